"""The order of what waits, and how it falls into batches."""

from __future__ import annotations

import unittest
from types import SimpleNamespace
from typing import Any

from fieldsync_device import Limits
from fieldsync_device.order import in_order
from fieldsync_device.outbox import Outbox
from fieldsync_device.store import Store

from .harness import Exchange
from .test_queue import Queue

AT = "2026-12-01T08:00:00.000Z"
SESSION: Any = SimpleNamespace(parents={"visit": [("after", "visit"), ("beside", "visit")]}, rank=lambda kind: 0)


class Order(unittest.TestCase):
    """Records of one type, which refer to one another; no server."""

    def setUp(self) -> None:
        self.outbox = Outbox(Store(None))

    def ids(self, among: set[int] | None = None) -> list[list[str]]:
        """What goes, in its order."""
        return [[mutation.id for mutation in unit]
                for unit in in_order(self.outbox.sendable(among), self.outbox, SESSION)]

    def test_what_it_refers_to_goes_first_and_a_circle_as_it_stands(self) -> None:
        for key, data in (("a", {"after": "c"}), ("b", {}), ("c", {}), ("d", {"after": "e"}), ("e", {"beside": "d"})):
            self.outbox.add("visit", key, data, AT)
        self.assertEqual(self.ids(), [["c"], ["a"], ["b"], ["e"], ["d"]])

    def test_of_a_part_only_what_has_all_that_it_refers_to_goes(self) -> None:
        for key, data in (("a", {}), ("b", {"after": "a"}), ("c", {})):
            self.outbox.add("visit", key, data, AT)
        numbers = [mutation.n for mutation in self.outbox.unsettled()]
        self.assertEqual(self.ids({numbers[1], numbers[2]}), [["c"]])

    def test_a_chain_of_any_length_is_deleted_from_its_end(self) -> None:
        keys = [f"v{n}" for n in range(3000)]
        with self.outbox.store.transaction():
            for before, key in zip([None, *keys], keys):
                message = {"type": "visit", "id": key, "rev": "r1", "version": 1, "modified_at": AT, "accepted_at": AT,
                           "data": {"after": before} if before else {}}
                self.outbox.store.put_record("visit", message)
                self.outbox.add("visit", key, None, AT, base="r1", base_version=1, base_live=True)
        self.assertEqual(self.ids(), [[key] for key in reversed(keys)])


class InBatches(Queue):
    """More than one batch has room for."""

    def pushed(self, device: Any) -> list[list[str]]:
        """The ids of each batch."""
        return [[mutation["id"] for mutation in body["mutations"]] for body in self.wires[device].bodies("push")]

    def test_what_refers_to_a_refused_record_is_left_out_of_later_batches(self) -> None:
        tablet = self.device(limits=Limits(batch=2, timeout=10))
        tablet.create("household", {"village": "north", "note": "x" * 9000}, "refused")
        tablet.create("household", {"village": "north"}, "taken")
        tablet.create("member", {"household": "refused"}, "waits")
        tablet.create("member", {"household": "taken"}, "goes")
        self.sync(tablet)
        self.assertEqual(self.pushed(tablet), [["refused", "taken"], ["goes"]])
        self.assertEqual(tablet.outbox(), [("member", "waits")])

    def test_a_group_is_never_parted_by_the_end_of_a_batch(self) -> None:
        tablet = self.device(limits=Limits(batch=3, timeout=10))
        for group, key in (("one", "a"), ("two", "b"), ("one", "c"), ("two", "d")):
            tablet.create("observation", {}, f"parted-{key}", group=group)
        tablet.create("observation", {}, "parted-e")
        self.sync(tablet)
        self.assertEqual(self.pushed(tablet), [["parted-a", "parted-c"], ["parted-b", "parted-d", "parted-e"]])

    def test_what_goes_again_goes_before_the_delete_of_what_it_leaves(self) -> None:
        tablet = self.device(limits=Limits(batch=1, timeout=10))
        tablet.create("household", {"village": "north"}, "left")
        tablet.create("member", {"household": "left"}, "leaves")
        self.sync(tablet)
        wire = self.wires[tablet]
        wire.calm()
        tablet.edit("member", "leaves", {"household": None})
        tablet.delete("household", "left")

        def refuse(exchange: Exchange) -> None:
            if exchange.kind == "push":
                wire.after = lambda exchange: None
                message = exchange.json
                problem = {"code": "mutation-id-reused", "detail": "forged"}
                message["outcomes"] = [{"mutation_id": message["outcomes"][0]["mutation_id"], "outcome": "rejected",
                                        "problem": problem}]
                exchange.forge(200, message)

        wire.after = refuse
        self.sync(tablet)
        self.assertEqual(self.pushed(tablet), [["leaves"], ["leaves"], ["left"]])

    def test_what_is_made_while_batches_go_goes_in_the_same_sync(self) -> None:
        tablet = self.device(limits=Limits(batch=1, timeout=10))
        for key in ("late-a", "late-b"):
            tablet.create("member", {}, key)

        def answered(exchange: Exchange) -> None:
            if exchange.kind == "push" and not tablet.read("household", "late-home").data:
                tablet.create("household", {"village": "north"}, "late-home")
                tablet.edit("member", "late-b", {"household": "late-home"})

        self.wires[tablet].after = answered
        self.sync(tablet)
        self.assertEqual(self.pushed(tablet), [["late-a"], ["late-home"], ["late-b"]])
        self.assertEqual(tablet.outbox(), [])
