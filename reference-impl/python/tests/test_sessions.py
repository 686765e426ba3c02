"""Sessions, tokens, and whose store it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fieldsync_device import Credentials

from .harness import PASSWORD, Case


class Sessions(Case):
    """Who is logged in, and what the session says."""

    def test_another_tag_is_fetched(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]

        def retag(exchange):
            if exchange.kind == "pull":
                exchange.forge(200, {**exchange.json, "session": "s-another"})

        wire.after = retag
        self.sync(tablet)
        # The data set is that of other tests, too, so there may be a second page.
        pages = wire.kinds().count("pull")
        self.assertGreater(pages, 0)
        self.assertEqual(wire.kinds(), ["session"] + ["pull", "session"] * pages)

    def test_a_type_that_asks_too_much_is_left_out(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]

        def demand(exchange):
            if exchange.kind == "session":
                message = exchange.json
                message["registry"]["types"][1]["requires"] = ["telepathy"]
                exchange.forge(200, message)

        wire.after = demand
        left_out = tablet.create("observation", {"n": 1})
        reading = tablet.create("reading", {"n": 1})
        self.sync(tablet)
        self.assertEqual(sorted(wire.bodies("pull")[0]["feeds"]), ["conflicts", "place", "reading"])
        self.assertEqual(self.status(tablet, left_out), "pending")
        self.assertEqual(self.status(tablet, reading, "reading"), "synced")

    def test_a_store_stays_its_owners(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            self.sync(tablet)
            key = tablet.create("observation", {"n": 1})
            tablet.set_credentials(Credentials(token=self.server.token("ben")))
            self.assertEqual(tablet.sync().cause, "credentials")
            tablet.close()
            wire = self.wires[tablet]
            wire.calm()
            tablet = self.device("ben", folder=Path(folder), wire=wire)
            self.assertEqual(tablet.sync().cause, "credentials")
            self.assertEqual(wire.kinds(), ["session"])
            tablet.set_credentials(Credentials(token=self.server.token("amina")))
            self.sync(tablet)
            self.assertEqual(self.status(tablet, key), "synced")
            tablet.close()

    def test_the_token_ends(self) -> None:
        tablet = self.device(credentials=Credentials("amina", PASSWORD))
        self.sync(tablet)
        wire = self.wires[tablet]
        wire.calm()
        key = tablet.create("observation", {"n": 1})
        ended = iter(["push"])

        def end_once(exchange):
            if exchange.kind == next(ended, None):
                exchange.problem(401, "unauthenticated", "login")
                return True

        wire.before = end_once
        self.sync(tablet)
        self.assertEqual(wire.kinds(), ["push", "refresh", "push", "pull"])
        self.assertEqual(wire.seen[0].raw, wire.seen[2].raw)
        self.assertEqual(self.status(tablet, key), "synced")
        tablet.set_credentials(Credentials("amina", "wrong"))
        wire.before = lambda exchange: exchange.kind == "pull" and (
            exchange.problem(401, "unauthenticated", "login") or True)
        self.assertEqual(tablet.sync().cause, "credentials")
