"""A network that loses, cuts, forges and repeats."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

from .harness import Case, changing


class Lost(Case):
    """Answers that never come, and processes that end."""

    def test_a_lost_answer_then_the_same_bytes(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})
        wire.after = lambda exchange: "drop" if exchange.kind == "push" else None
        end = tablet.sync()
        self.assertEqual(end.cause, "network")
        self.assertEqual(self.status(tablet, key), "network")
        tablet.edit("observation", key, {"n": 2})
        first = [exchange.raw for exchange in wire.seen if exchange.kind == "push"]
        wire.calm()
        self.sync(tablet, phone)
        pushes = [exchange.raw for exchange in wire.seen if exchange.kind == "push"]
        self.assertEqual(wire.kinds()[0], "push")
        self.assertEqual(pushes[0], first[0])
        self.assertEqual(len(pushes), 2)
        self.assertEqual(phone.read("observation", key).data, {"n": 2})
        self.assertEqual(phone.read("observation", key).server["version"], 2)
        self.assertEqual([entry for _, entry in phone.conflicts() if entry["record"]["id"] == key], [])

    def test_a_copied_and_a_reopened_store_go_on(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stores = [Path(folder, name) for name in ("one", "killed", "clone")]
            for store in stores:
                store.mkdir()
            tablet = self.device(folder=stores[0])
            wire = self.wires[tablet]
            key = tablet.create("observation", {"n": 1})
            wire.after = lambda exchange: "drop" if exchange.kind == "push" else None
            tablet.sync()
            for file in stores[0].iterdir():  # The store as a kill leaves it, its log not yet written back.
                shutil.copy(file, stores[1])
            again = self.device(folder=stores[1], wire=wire)
            self.assertEqual(self.status(again, key), "network")
            first = wire.seen[-1].raw
            wire.calm()
            self.sync(again)
            self.assertEqual(wire.seen[0].raw, first)
            self.assertEqual(self.status(again, key), "synced")
            again.close()
            shutil.copy(stores[1] / "device.sqlite3", stores[2])
            twins = [self.device(folder=store, wire=wire) for store in stores[1:]]
            keys = [twin.create("observation", {"twin": n}) for n, twin in enumerate(twins)]
            self.sync(*twins, *twins)
            self.assertNotEqual(twins[0].replica, twins[1].replica)
            for twin in twins:
                self.assertEqual([twin.read("observation", key).data for key in keys], [{"twin": 0}, {"twin": 1}])

    def test_half_a_page_a_portal_and_a_proxy_change_nothing(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        self.sync(phone)
        key = tablet.create("observation", {"n": 1})
        self.sync(tablet)
        wire = self.wires[phone]

        def gzip_cut(exchange):
            exchange.answer = gzip.compress(exchange.answer)[:-9]
            exchange.headers["Content-Encoding"] = "gzip"

        faults = [lambda exchange: "cut", gzip_cut,
                  lambda exchange: exchange.forge(200, "<html>Welcome!</html>", "text/html"),
                  lambda exchange: exchange.forge(200, exchange.json, "text/plain"),
                  lambda exchange: exchange.forge(302, "", "text/html"),
                  lambda exchange: exchange.forge(200, {**exchange.json, "epoch": None}),
                  lambda exchange: exchange.headers.update({"Content-Encoding": "gzip"})]
        for fault in faults:
            wire.after = fault
            self.assertEqual(phone.sync().cause, "network")
            self.assertIsNone(phone.read("observation", key).data)
        wire.calm()
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).data, {"n": 1})

    def test_a_page_from_elsewhere_is_discarded(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        self.sync(phone)
        key = tablet.create("observation", {"n": 1})
        self.sync(tablet)
        wire = self.wires[phone]

        def shift(message):
            for page in message["feeds"]:
                page["from"] = "elsewhere"

        wire.after = changing("pull", shift)
        self.assertEqual(phone.sync().cause, "network")
        self.assertIsNone(phone.read("observation", key).data)
        wire.calm()
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).data, {"n": 1})

    def test_the_answer_to_something_else_settles_nothing(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})

        wire.after = changing("push", lambda message: message["outcomes"][0].update(mutation_id="m-of-another"))
        self.assertEqual(tablet.sync().cause, "network")
        self.assertEqual(self.status(tablet, key), "network")
        self.assertEqual(wire.kinds()[-1], "push")
        wire.calm()
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "synced")
