"""The profile `field-merge`, against a real server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fieldsync_device import Device

from .harness import Case, Exchange


class Merging(Case):
    """A data set of the profile `field-merge`."""

    data_set = "field_merge"

    def two(self, data: dict[str, Any], kind: str = "observation") -> tuple[Device, Device, str]:
        """Two devices that have a record."""
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create(kind, data)
        self.sync(tablet, phone)
        return tablet, phone, key

    def entries(self, device: Device, key: str) -> list[dict[str, Any]]:
        """The conflict log of a record."""
        return [entry for _, entry in device.conflicts() if entry["record"]["id"] == key]

    def pushed(self, device: Device) -> list[dict[str, Any]]:
        """The mutations that a device pushed."""
        return [mutation for body in self.wires[device].bodies("push") for mutation in body["mutations"]]


class Flows(Merging):
    """What two devices do to one record."""

    def test_both_keep_what_they_changed_in_different_members(self) -> None:
        tablet, phone, key = self.two({"a": 1, "b": 1, "o": {"x": 1, "y": 1}})
        tablet.edit("observation", key, {"a": 2, "o": {"x": 2, "y": 1}})
        phone.edit("observation", key, {"b": 2, "o": {"x": 1, "y": 2}})
        self.wires[phone].calm()
        self.sync(tablet, phone, tablet)
        for device in (tablet, phone):
            self.assertEqual(device.read("observation", key).data, {"a": 2, "b": 2, "o": {"x": 2, "y": 2}})
            self.assertEqual(self.entries(device, key), [])
        self.assertEqual(self.wires[phone].kinds(), ["pull", "push", "pull"])
        (mutation,) = self.pushed(phone)
        self.assertEqual(mutation["patch"], {"b": 2, "o": {"y": 2}})
        self.assertIn("replaces", mutation)
        self.assertEqual(phone.read("observation", key).server["version"], 3)

    def test_of_one_member_the_servers_stays_and_the_other_is_logged_once_everywhere(self) -> None:
        tablet, phone, key = self.two({"a": 1, "b": 1})
        tablet.edit("observation", key, {"a": 2})
        phone.edit("observation", key, {"a": 3, "b": 3})
        self.sync(tablet)
        wire = self.wires[phone]
        wire.before = lambda exchange: "drop" if exchange.kind == "push" else None
        self.assertEqual(phone.sync().cause, "network")
        self.assertEqual(phone.read("observation", key).data, {"a": 2, "b": 3})
        (mine,) = self.entries(phone, key)
        self.assertEqual((mine["path"], mine["base"], mine["lost"], mine["kept"]), ("/a", 1, 3, 2))
        self.assertEqual(mine["lost_by"]["replica"], phone.replica)
        self.assertEqual(mine["kept_by"]["replica"], tablet.replica)
        wire.calm()
        self.sync(phone, tablet, phone)
        for device in (tablet, phone):
            self.assertEqual(self.entries(device, key), [mine])
            self.assertEqual(device.outbox(), [])
        self.assertEqual([mutation["type"] for mutation in self.pushed(phone)], ["observation", "conflict"])

    def test_a_change_that_was_taken_back_is_not_pushed(self) -> None:
        tablet, _, key = self.two({"a": 1})
        tablet.edit("observation", key, {"a": 2})
        tablet.edit("observation", key, {"a": 1})
        self.assertEqual((tablet.outbox(), self.status(tablet, key)), ([], "synced"))

    def test_what_was_changed_alike_leaves_nothing_to_push(self) -> None:
        tablet, phone, key = self.two({"a": 1})
        for device in (tablet, phone):
            device.edit("observation", key, {"a": 2})
        self.wires[phone].calm()
        self.sync(tablet, phone)
        self.assertEqual((self.wires[phone].kinds(), phone.outbox(), self.entries(phone, key)), (["pull"], [], []))

    def test_stale_is_merged_and_pushed_again_with_the_edit_behind_it(self) -> None:
        tablet, phone, key = self.two({"a": 1, "b": 1, "c": 1})
        phone.edit("observation", key, {"b": 2})
        wire = self.wires[phone]
        wire.calm()

        def meanwhile(exchange: Exchange) -> None:
            if exchange.kind == "push":
                wire.before = lambda exchange: None
                tablet.edit("observation", key, {"a": 2})
                phone.edit("observation", key, {"c": 2})
                self.sync(tablet)

        wire.before = meanwhile
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).server["data"], {"a": 2, "b": 2, "c": 2})
        first, second = self.pushed(phone)
        self.assertEqual((second["replaces"], second["patch"]), (first["mutation_id"], {"b": 2, "c": 2}))
        self.assertEqual(second["version"], 4)

    def test_after_four_times_it_waits(self) -> None:
        tablet, phone, key = self.two({"n": 0})
        phone.edit("observation", key, {"mine": 1})
        wire = self.wires[phone]
        wire.calm()
        turns = iter(range(1, 100))

        def meanwhile(exchange: Exchange) -> None:
            if exchange.kind == "push":
                tablet.edit("observation", key, {"n": next(turns)})
                self.sync(tablet)

        wire.before = meanwhile
        self.sync(phone)
        self.assertEqual(len(self.pushed(phone)), 4)
        self.assertEqual(self.status(phone, key), "pending")
        wire.calm()
        self.sync(phone)
        self.assertEqual(phone.read("observation", key).server["data"], {"n": 4, "mine": 1})

    def test_a_delete_against_an_edit(self) -> None:
        for kind, gone in (("case", True), ("contact", False)):
            tablet, phone, key = self.two({"a": 1}, kind)
            tablet.delete(kind, key)
            phone.edit(kind, key, {"a": 2})
            self.sync(tablet, phone, tablet)
            for device in (tablet, phone):
                self.assertEqual(device.read(kind, key).deleted, gone)
                (entry,) = self.entries(device, key)
                self.assertEqual((entry["path"], "lost" in entry, "kept" in entry), ("", gone, not gone))

    def test_a_lost_answer_is_no_conflict_with_oneself(self) -> None:
        tablet, phone, key = self.two({"a": 1})
        tablet.edit("observation", key, {"a": 2})
        wire = self.wires[tablet]
        wire.after = lambda exchange: "drop" if exchange.kind == "push" else None
        tablet.sync()
        tablet.edit("observation", key, {"a": 3})
        wire.calm()
        self.sync(tablet, phone)
        self.assertEqual(wire.kinds(), ["push", "pull", "push", "pull"])
        self.assertEqual(phone.read("observation", key).data, {"a": 3})
        self.assertEqual(self.entries(tablet, key), [])

    def test_a_merge_outlives_the_process(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet, phone = self.device(), self.device("ben", folder=Path(folder))
            key = tablet.create("observation", {"a": 1, "b": 1})
            self.sync(tablet, phone)
            tablet.edit("observation", key, {"a": 2})
            phone.edit("observation", key, {"a": 3, "b": 3})
            self.sync(tablet)
            self.wires[phone].before = lambda exchange: "drop" if exchange.kind == "push" else None
            phone.sync()
            before = phone.read("observation", key).data, self.entries(phone, key), phone.outbox()
            phone.close()
            phone = self.device("ben", folder=Path(folder))
            self.assertEqual((phone.read("observation", key).data, self.entries(phone, key), phone.outbox()), before)
            self.sync(phone, tablet)
            self.assertEqual(tablet.read("observation", key).data, {"a": 2, "b": 3})
            self.assertEqual(len(self.entries(tablet, key)), 1)
            phone.close()

    def test_what_the_server_sets_late_is_no_conflict(self) -> None:
        tablet = self.device()
        key = tablet.create("patient", {"temp": 38.5, "n": 1})
        wire = self.wires[tablet]

        def meanwhile(exchange: Exchange) -> None:
            if exchange.kind == "push":
                wire.before = lambda exchange: None
                tablet.edit("patient", key, {"n": 2})

        wire.before = meanwhile
        self.sync(tablet)
        self.assertEqual(tablet.read("patient", key).data, {"temp": 38.5, "n": 2, "state": "raised"})
        self.assertEqual(self.entries(tablet, key), [])
        self.assertEqual(self.pushed(tablet)[-1].get("patch"), {"n": 2})

    def test_a_type_with_a_rule_that_the_device_does_not_know_is_left_out(self) -> None:
        tablet = self.device()

        def later(exchange: Exchange) -> None:
            if exchange.kind == "session":
                message = exchange.json
                for entry in message["registry"]["types"]:
                    if entry["name"] == "case":
                        entry["merge"]["fields"]["/a"] = {"rule": "average"}
                exchange.forge(200, message)

        self.wires[tablet].after = later
        tablet.create("case", {"a": 1})
        tablet.create("observation", {"a": 1})
        self.sync(tablet)
        self.assertEqual([mutation["type"] for mutation in self.pushed(tablet)], ["observation"])
        self.assertNotIn("case", self.wires[tablet].bodies("pull")[0]["feeds"])
