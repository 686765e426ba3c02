"""The main flows, against a real server."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import threading
from pathlib import Path

from fieldsync_device import Credentials, Limits, NotPossible

from .harness import PASSWORD, Case


class Converge(Case):
    """What one device does, another one sees."""

    def test_create_edit_delete_reach_the_other(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create("observation", {"symptom": "fever", "note": None})
        self.assertEqual(self.status(tablet, key), "pending")
        self.sync(tablet, phone)
        self.assertEqual(self.status(tablet, key), "synced")
        self.assertEqual(phone.read("observation", key).data, {"symptom": "fever"})
        phone.edit("observation", key, {"temp": 38.5})
        self.sync(phone, tablet)
        self.assertEqual(tablet.read("observation", key).data, {"symptom": "fever", "temp": 38.5})
        self.assertEqual(tablet.read("observation", key).server["version"], 2)
        tablet.delete("observation", key)
        self.sync(tablet, phone)
        self.assertTrue(phone.read("observation", key).deleted)
        self.assertIsNone(phone.read("observation", key).data)
        phone.create("observation", {"symptom": "cough"}, key)
        self.sync(phone, tablet)
        self.assertEqual(tablet.read("observation", key).server["version"], 4)
        self.assertEqual(tablet.conflicts(), [])

    def test_each_save_counts_one(self) -> None:
        tablet = self.device()
        key = tablet.create("observation", {"n": 1})
        tablet.edit("observation", key, {"n": 2})
        tablet.edit("observation", key, {"n": None, "m": 3})
        self.sync(tablet)
        self.assertEqual(tablet.read("observation", key).server["version"], 3)
        self.assertEqual(tablet.read("observation", key).data, {"m": 3})

    def test_what_was_never_pushed_leaves_no_trace(self) -> None:
        tablet = self.device()
        key = tablet.create("observation", {"n": 1})
        tablet.delete("observation", key)
        self.assertEqual(tablet.outbox(), [])
        self.assertIsNone(tablet.read("observation", key).status)
        with self.assertRaises(NotPossible):
            tablet.edit("observation", key, {"n": 2})

    def test_nothing_new_is_one_request(self) -> None:
        tablet = self.device(credentials=Credentials("amina", PASSWORD))
        self.sync(tablet)
        wire = self.wires[tablet]
        self.assertEqual(wire.kinds(), ["clinic", "login", "session", "pull"])
        wire.calm()
        self.sync(tablet)
        self.assertEqual(wire.kinds(), ["pull"])

    def test_small_pages_and_batches(self) -> None:
        tablet = self.device(limits=Limits(batch=2, page=2))
        phone = self.device("ben", limits=Limits(page=1))
        keys = [tablet.create("observation", {"n": n}) for n in range(5)]
        self.sync(tablet, phone)
        self.assertEqual([len(body["mutations"]) for body in self.wires[tablet].bodies("push")], [2, 2, 1])
        self.assertEqual([phone.read("observation", key).data for key in keys], [{"n": n} for n in range(5)])

    def test_the_higher_version_wins_and_the_other_is_logged_once(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create("observation", {"n": 0})
        self.sync(tablet, phone)
        tablet.edit("observation", key, {"n": 1})
        tablet.edit("observation", key, {"n": 2})
        phone.edit("observation", key, {"n": 9})
        self.sync(tablet)
        wire = self.wires[phone]
        wire.before = lambda exchange: "drop" if exchange.kind == "pull" else None
        self.assertEqual(phone.sync().cause, "network")
        self.assertEqual(phone.read("observation", key).data, {"n": 2})
        self.assertEqual(self.status(phone, key), "synced")
        mine = [entry for _, entry in phone.conflicts() if entry["record"]["id"] == key]
        self.assertEqual([(entry["lost"], entry["kept"]) for entry in mine], [({"n": 9}, {"n": 2})])
        wire.calm()
        self.sync(phone, tablet)
        for device in (phone, tablet):
            self.assertEqual([entry for _, entry in device.conflicts() if entry["record"]["id"] == key], mine)


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

        def shift(exchange):
            message = exchange.json
            for page in message["feeds"]:
                page["from"] = "elsewhere"
            exchange.forge(200, message)

        wire.after = shift
        self.assertEqual(phone.sync().cause, "network")
        self.assertIsNone(phone.read("observation", key).data)
        wire.calm()
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).data, {"n": 1})

    def test_the_answer_to_something_else_settles_nothing(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})

        def forge(exchange):
            if exchange.kind == "push":
                message = exchange.json
                message["outcomes"][0]["mutation_id"] = "m-of-another"
                exchange.forge(200, message)

        wire.after = forge
        self.assertEqual(tablet.sync().cause, "network")
        self.assertEqual(self.status(tablet, key), "network")
        self.assertEqual(wire.kinds()[-1], "push")
        wire.calm()
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "synced")


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
        self.assertEqual(wire.kinds(), ["session", "pull", "session"])

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


class Refusals(Case):
    """Mutations that are refused, put off, or too much for the server."""

    def test_quarantine_and_the_way_out(self) -> None:
        tablet = self.device()
        good = tablet.create("observation", {"n": 1})
        bad = tablet.create("place", {"name": "Nowhere"})
        self.sync(tablet)
        self.assertEqual(self.status(tablet, good), "synced")
        self.assertEqual(self.status(tablet, bad, "place"), "rejected")
        self.assertEqual(tablet.quarantine(), [("place", bad, "read-only-type")])
        self.assertEqual(tablet.read("place", bad).data, {"name": "Nowhere"})
        wire = self.wires[tablet]
        wire.calm()
        self.sync(tablet)
        self.assertEqual(wire.kinds(), ["pull"])
        refused = tablet._outbox.refused()[0].mutation_id
        tablet.edit("place", bad, {"name": "Somewhere"})
        self.assertEqual(tablet.quarantine(), [])
        self.sync(tablet)
        pushed = wire.bodies("push")[0]["mutations"][0]
        self.assertEqual((pushed["op"], pushed["base"], pushed["version"], pushed["replaces"]),
                         ("create", None, 2, refused))
        tablet.discard("place", bad)
        self.assertIsNone(tablet.read("place", bad).status)
        tablet.edit("place", "north", {"name": "South"})
        self.sync(tablet)
        self.assertEqual(tablet.read("place", "north").data, {"name": "North"})
        self.assertEqual(self.status(tablet, "north", "place"), "rejected")
        tablet.discard("place", "north")
        self.assertEqual(self.status(tablet, "north", "place"), "synced")

    def test_a_batch_goes_in_halves_until_the_bad_one_is_alone(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        wire = self.wires[tablet]
        keys = [tablet.create("observation", {"n": n}) for n in range(4)]

        def fail(exchange):
            if exchange.kind == "push" and any(change["id"] == keys[1] for change in exchange.body["mutations"]):
                exchange.problem(500, "internal", "same")
                return True

        wire.before = fail
        self.sync(tablet, phone)
        self.assertEqual(tablet.quarantine(), [("observation", keys[1], "server")])
        self.assertEqual([phone.read("observation", key).data for key in keys], [{"n": 0}, None, {"n": 2}, {"n": 3}])
        sizes = [len(body["mutations"]) for body in wire.bodies("push")]
        self.assertEqual(sizes, [4, 4, 4, 2, 2, 2, 1, 1, 1, 1, 2])
        ids = {change["mutation_id"] for body in wire.bodies("push") for change in body["mutations"]}
        self.assertEqual(len(ids), 4)
        self.assertEqual(len(self.waits), 6)
        self.assertLess(self.waits[0], 1.6)

    def test_a_server_that_fails_over_everything_sets_nothing_aside(self) -> None:
        tablet = self.device()
        self.sync(tablet)
        wire = self.wires[tablet]
        keys = [tablet.create("observation", {"n": n}) for n in range(2)]

        def fail(exchange):
            exchange.problem(500, "internal", "same")
            return True

        wire.before = fail
        self.assertEqual(tablet.sync().cause, "server")
        self.assertEqual(tablet.quarantine(), [])
        self.assertEqual(self.status(tablet, keys[0]), "server")
        wire.calm()
        self.sync(tablet)
        self.assertEqual([self.status(tablet, key) for key in keys], ["synced", "synced"])

    def test_come_back_in_an_hour(self) -> None:
        tablet = self.device()
        self.sync(tablet)
        wire = self.wires[tablet]
        wire.calm()
        wire.before = lambda exchange: exchange.problem(503, "unavailable", "after", retry_after=3600) or True
        end = tablet.sync()
        self.assertEqual((end.cause, end.retry_after, wire.kinds()), ("server", 3600, ["pull"]))

    def test_what_the_server_put_off_goes_again_later(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})

        def put_off(exchange):
            if exchange.kind == "push":
                message = exchange.json
                message["outcomes"][0]["outcome"] = "parked"
                exchange.forge(200, message)

        wire.after = put_off
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "pending")
        self.assertEqual(len(wire.bodies("push")), 1)
        wire.after = lambda exchange: None
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "synced")
        self.assertEqual(*[body["mutations"][0]["mutation_id"] for body in wire.bodies("push")])

    def test_an_expired_outcome(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})
        lost = tablet.create("observation", {"n": 2})
        for fault, found in ((wire_after, True), (wire_before, False)):
            with self.subTest(found=found):
                work = key if found else lost
                tablet.discard("observation", lost if found else "none")
                if not found:
                    tablet.create("observation", {"n": 2}, lost)
                fault(wire)
                self.assertEqual(tablet.sync().cause, "network")
                wire.calm()
                wire.before = lambda exchange: exchange.kind == "push" and (
                    exchange.problem(409, "outcome-expired", "resync") or True)
                replica = tablet.replica
                self.sync(tablet)
                self.assertNotEqual(tablet.replica, replica)
                self.assertEqual(self.status(tablet, work), "synced" if found else "rejected")
                self.assertEqual([code for _, _, code in tablet.quarantine()], [] if found else ["outcome-unknown"])

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


def wire_after(wire) -> None:
    """Loses the answers to pushes."""
    wire.after = lambda exchange: "drop" if exchange.kind == "push" else None


def wire_before(wire) -> None:
    """Loses the pushes themselves."""
    wire.before = lambda exchange: "drop" if exchange.kind == "push" else None


class Meanwhile(Case):
    """The device is used while it syncs."""

    def test_an_edit_during_a_push(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create("observation", {"n": 1})
        wire = self.wires[tablet]
        on_its_way, go_on = threading.Event(), threading.Event()

        def hold(exchange):
            if exchange.kind == "push" and not on_its_way.is_set():
                on_its_way.set()
                go_on.wait(10)

        wire.before = hold
        ends = []
        threads = [threading.Thread(target=lambda: ends.append(tablet.sync())) for _ in range(2)]
        for thread in threads:
            thread.start()
        self.assertTrue(on_its_way.wait(10))
        self.assertEqual(self.status(tablet, key), "syncing")
        tablet.edit("observation", key, {"n": 2})
        self.assertEqual(tablet.read("observation", key).data, {"n": 2})
        other = tablet.create("observation", {"n": 7})
        self.assertEqual(self.status(tablet, other), "pending")
        go_on.set()
        for thread in threads:
            thread.join()
        self.assertEqual([end.ok for end in ends], [True, True])
        self.assertEqual(wire.kinds().count("pull"), 1)
        self.assertEqual([(change["version"], change["op"]) for body in wire.bodies("push")
                          for change in body["mutations"] if change["id"] == key], [(1, "create"), (2, "update")])
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).data, {"n": 2})
        self.assertEqual(self.status(tablet, key), "synced")
