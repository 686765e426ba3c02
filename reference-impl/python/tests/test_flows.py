"""What one device does, and another one sees."""

from __future__ import annotations

import threading

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
