"""The parts of a device that need no server."""

from __future__ import annotations

import json
import sqlite3
import unittest

from fieldsync_device import edits, messages
from fieldsync_device.merging import merge_in
from fieldsync_device.mutation import BATCH, GONE, SENT, Mutation
from fieldsync_device.outbox import Outbox
from fieldsync_device.pull import arrived
from fieldsync_device.records import decode, encode, new_record_id, same_content, timestamp, without_nulls
from fieldsync_device.status import read, shown
from fieldsync_device.store import Store

AT = "2026-12-01T08:00:00.000Z"
NAME = ("observation", "a")


def state(rev: str, version: int, **members: object) -> dict[str, object]:
    """A record as a server publishes it."""
    return {"type": NAME[0], "id": NAME[1], "rev": rev, "version": version, "modified_at": AT, "accepted_at": AT,
            **members}


class Values(unittest.TestCase):
    """Times, ids and contents."""

    def test_content_is_equal_however_it_is_written(self) -> None:
        self.assertTrue(same_content({"a": 1, "b": [None, 2.0]}, {"b": [None, 2], "a": 1.0, "c": None}))
        self.assertFalse(same_content({"a": 1}, {"a": True}))
        self.assertFalse(same_content({"a": [1, 2]}, {"a": [2, 1]}))
        self.assertFalse(same_content(None, {}))

    def test_nulls_are_absent_but_in_lists(self) -> None:
        self.assertEqual(without_nulls({"a": None, "b": {"c": None}, "d": [None, {"e": None}]}),
                         {"b": {}, "d": [None, {}]})

    def test_text_comes_back_with_its_code_points(self) -> None:
        for text in ("A\u030a", "\u212b", "\ud800", "\u0000", "\U0001f600"):
            self.assertEqual(decode(encode({text: text})), {text: text})
            encode(text).encode()
        with self.assertRaises(ValueError):
            decode('{"a": NaN}')
        with self.assertRaises(ValueError):
            encode(float("inf"))

    def test_times_and_ids(self) -> None:
        self.assertEqual(timestamp(1_796_113_800_007), "2026-12-01T08:30:00.007Z")
        self.assertLess(new_record_id(1000), new_record_id(2000))


class Stores(unittest.TestCase):
    """What a device keeps."""

    def test_what_is_rolled_back_is_not_remembered(self) -> None:
        store = Store(None)
        store.set_meta(epoch="e1")
        with self.assertRaises(ZeroDivisionError), store.transaction():
            store.set_meta(epoch="e2")
            self.assertEqual(store.meta("epoch"), "e2")
            raise ZeroDivisionError
        self.assertEqual(store.meta("epoch"), "e1")

    def test_what_cannot_be_committed_is_not_remembered(self) -> None:
        store = Store(None)
        store.execute("PRAGMA foreign_keys = ON")
        store.execute("CREATE TABLE child (of TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED)")
        with self.assertRaises(sqlite3.IntegrityError), store.transaction():
            store.set_meta(epoch="e2")
            store.execute("INSERT INTO child VALUES ('nobody')")
        self.assertIsNone(store.meta("epoch"))
        store.set_meta(epoch="e3")
        self.assertEqual(store.meta("epoch"), "e3")


class Messages(unittest.TestCase):
    """What is a message and what is none."""

    def test_a_pull_answer(self) -> None:
        page = {"feed": "observation", "from": None, "cursor": "1.x", "more": False, "later": 7,
                "changes": [{"op": "put", "record": state("r1", 1, data={})}]}
        answer = {"epoch": "e", "session": "s", "server_time": AT, "feeds": [page], "new_feeds": [], "later": {}}
        self.assertTrue(messages.is_pull_answer(answer))
        for spoilt in ({"epoch": None}, {"feeds": 7}, {"session": ""}, {"server_time": "now"},
                       {"feeds": [{**page, "cursor": None}]}, {"feeds": [{**page, "more": 1}]},
                       {"feeds": [{**page, "changes": [{"op": "put", "record": state("r1", 0)}]}]}):
            self.assertFalse(messages.is_pull_answer({**answer, **spoilt}), spoilt)
        for other in (None, [], "", 7):
            self.assertFalse(messages.is_pull_answer(other))

    def test_words_of_later_versions_are_let_pass(self) -> None:
        outcome = {"mutation_id": "m-1", "outcome": "parked", "problem": {"code": "novel", "detail": "?"}}
        answer = {"token": "t", "epoch": "e", "session": "s", "outcomes": [outcome]}
        self.assertTrue(messages.is_push_answer(answer))
        self.assertFalse(messages.is_push_answer({**answer, "outcomes": [{**outcome, "mutation_id": "a b"}]}))


def file(letter: str) -> dict[str, object]:
    """A file as a record names it."""
    return {"id": "sha256:" + letter * 64, "bytes": 1, "media_type": "image/jpeg"}


class Merged(unittest.TestCase):
    """Work on a type that the device merges."""

    def setUp(self) -> None:
        self.store = Store(None)
        self.addCleanup(self.store.close)
        self.outbox = Outbox(self.store)
        self.outbox.rules = {NAME[0]: {"policy": "field-merge"}}

    def came(self, rev: str, version: int, **members: object) -> dict[str, object] | None:
        """A page brings a state; what is to be pushed then."""
        arrived(self.outbox, NAME[0], state(rev, version, **members))
        work = self.outbox.of(*NAME)
        self.assertLess(len(work), 2)
        return json.loads(work[0].wire()) if work else None

    def test_a_file_that_was_added_here_comes_behind_those_that_others_added(self) -> None:
        self.came("r1", 1, data={"n": 1}, attachments=[file("a")])
        edits.attach(self.outbox, *NAME, file("b"), AT)
        self.outbox.send_file(*NAME, file("b"))
        self.assertEqual(self.outbox.of(*NAME)[0].wire().count('"patch":{}'), 1)
        mutation = self.came("r2", 2, data={"n": 2}, attachments=[file("c"), file("a")])
        self.assertEqual(mutation["attachments"], [file("c"), file("a"), file("b")])
        self.assertEqual((mutation["base"], mutation["version"], mutation["patch"]), ("r2", 3, {}))
        self.assertIsNone(self.came("r3", 4, data={"n": 2}, attachments=[file("b")]))

    def test_what_is_held_of_a_walk_that_has_not_come_there_is_not_merged_with(self) -> None:
        self.store.move_cursor(NAME[0], "c1")
        self.came("r1", 1, data={"n": 1})
        self.store.end_walk(NAME[0])
        self.store.walk_again([NAME[0]])
        edits.edit(self.outbox, *NAME, {"m": 1}, AT)
        self.outbox.refuse(self.outbox.of(*NAME)[0], "unknown-record")
        edits.edit(self.outbox, *NAME, {"m": 2}, AT)
        self.store.execute("UPDATE mutation SET base = 'r0'")
        merge_in(self.outbox, *NAME)
        self.assertEqual(self.outbox.of(*NAME)[0].base, "r0")
        self.assertEqual(self.came("r2", 2, data={"n": 2})["patch"], {"m": 2})


class Edits(unittest.TestCase):
    """What becomes of an edit behind a mutation that was sent, by what the server says of that one."""

    def setUp(self) -> None:
        self.store = Store(None)
        self.addCleanup(self.store.close)
        self.outbox = Outbox(self.store)

    def pulled(self, rev: str, version: int, **members: object) -> None:
        """The feed brings a state."""
        self.store.put_record("observation", state(rev, version, **members))

    def send(self) -> Mutation:
        """The record's first mutation is on its way."""
        mutation = self.outbox.sendable()[0]
        mutation.state = BATCH
        self.outbox.update(mutation)
        return mutation

    def wire(self) -> dict[str, object]:
        """The one mutation that is left, as it would be pushed."""
        work = self.outbox.of(*NAME)
        self.assertEqual(len(work), 1)
        return {name: value for name, value in json.loads(work[0].wire()).items()
                if name in ("op", "base", "version", "replaces", "data")}

    def edited_behind_an_update(self) -> Mutation:
        """A record of version 4 with an update on its way, and two edits since."""
        self.pulled("r4", 4, data={"n": 0, "unknown": "kept"})
        edits.edit(self.outbox, *NAME, {"n": 1}, AT)
        mutation = self.send()
        edits.edit(self.outbox, *NAME, {"n": 2}, AT)
        edits.edit(self.outbox, *NAME, {"n": 3}, AT)
        self.assertEqual(len(self.outbox.of(*NAME)), 2)
        self.assertEqual(self.outbox.sendable(), [])
        return mutation

    def test_after_applied(self) -> None:
        self.outbox.settle(self.edited_behind_an_update(), "r6", 6, True)
        self.assertEqual(self.wire(), {"op": "update", "base": "r6", "version": 8,
                                       "data": {"n": 3, "unknown": "kept"}})

    def test_after_superseded(self) -> None:
        self.outbox.supersede(self.edited_behind_an_update())
        self.assertEqual(self.wire(), {"op": "update", "base": "r4", "version": 7,
                                       "data": {"n": 3, "unknown": "kept"}})

    def test_after_rejected(self) -> None:
        mutation = self.edited_behind_an_update()
        self.outbox.refuse(mutation, "too-deep")
        self.assertEqual(self.wire(), {"op": "update", "base": "r4", "version": 7, "replaces": mutation.mutation_id,
                                       "data": {"n": 3, "unknown": "kept"}})

    def test_after_put_off(self) -> None:
        mutation = self.edited_behind_an_update()
        self.outbox.put_off(mutation)
        self.assertEqual(self.wire(), {"op": "update", "base": "r4", "version": 7, "replaces": mutation.mutation_id,
                                       "data": {"n": 3, "unknown": "kept"}})
        self.assertNotEqual(self.outbox.of(*NAME)[0].mutation_id, mutation.mutation_id)

    def test_an_edit_takes_the_place_of_what_was_put_off(self) -> None:
        edits.create(self.outbox, *NAME, {"n": 1}, AT)
        mutation = self.send()
        self.outbox.put_off(mutation)
        self.assertEqual([found.mutation_id for found in self.outbox.sendable()], [mutation.mutation_id])
        edits.edit(self.outbox, *NAME, {"n": 2}, AT)
        self.assertEqual(self.wire(), {"op": "create", "base": None, "version": 2, "replaces": mutation.mutation_id,
                                       "data": {"n": 2}})

    def test_a_save_that_changes_nothing_is_no_modification(self) -> None:
        self.pulled("r4", 4, data={"n": 1})
        edits.edit(self.outbox, *NAME, {"n": 1.0, "m": None}, AT)
        self.assertEqual(self.outbox.of(*NAME), [])

    def test_without_an_outcome_both_stay(self) -> None:
        mutation = self.edited_behind_an_update()
        before = mutation.wire()
        self.outbox.leave_open(mutation, SENT)
        self.assertEqual([found.wire() for found in self.outbox.sendable()], [before])
        self.assertEqual(len(self.outbox.of(*NAME)), 2)

    def test_a_rejected_create(self) -> None:
        edits.create(self.outbox, *NAME, {"n": 1}, AT)
        mutation = self.send()
        self.outbox.refuse(mutation, "too-deep")
        self.assertEqual((read(self.outbox, *NAME).cause, shown(self.outbox, *NAME)[0]), ("rejected", {"n": 1}))
        self.assertEqual(self.outbox.sendable(), [])
        edits.edit(self.outbox, *NAME, {"n": 2}, AT)
        self.assertEqual(self.wire(), {"op": "create", "base": None, "version": 2, "data": {"n": 2},
                                       "replaces": mutation.mutation_id})
        edits.delete(self.outbox, *NAME, AT)
        self.assertEqual(self.outbox.of(*NAME), [])

    def test_made_again_behind_a_delete(self) -> None:
        self.pulled("r1", 1, data={"n": 0})
        edits.delete(self.outbox, *NAME, AT)
        mutation = self.send()
        self.assertTrue(read(self.outbox, *NAME).deleted)
        edits.create(self.outbox, *NAME, {"n": 1}, AT)
        self.outbox.settle(mutation, "r2", 2, False)
        self.assertEqual(self.wire(), {"op": "create", "base": "r2", "version": 3, "data": {"n": 1}})

    def test_unsent_work_is_shown_on_its_own_base(self) -> None:
        self.pulled("r1", 1, data={"n": 0})
        edits.edit(self.outbox, *NAME, {"n": 1}, AT)
        self.pulled("r2", 2, deleted=True)
        self.assertEqual(shown(self.outbox, *NAME), ({"n": 1}, False))
        self.assertEqual(self.wire()["base"], "r1")
        edits.discard(self.outbox, *NAME)
        self.assertEqual(shown(self.outbox, *NAME), (None, True))

    def test_a_discarded_batch_still_goes_and_leaves_nothing(self) -> None:
        edits.create(self.outbox, *NAME, {"n": 1}, AT)
        mutation = self.send()
        edits.discard(self.outbox, *NAME)
        self.assertIsNone(shown(self.outbox, *NAME)[0])
        self.assertEqual(len(self.outbox.of(*NAME)), 1)
        self.outbox.refuse(self.outbox.in_state(BATCH)[0], "too-deep")
        self.assertEqual(self.outbox.of(*NAME), [])
        self.assertEqual(mutation.version, 1)

    def test_work_on_what_is_gone_is_shown_and_can_be_made_again(self) -> None:
        self.pulled("r5", 5, data={"n": 0})
        edits.edit(self.outbox, *NAME, {"n": 1}, AT)
        self.store.drop_record(*NAME)
        self.outbox.refuse(self.outbox.of(*NAME)[0], GONE)
        self.assertEqual((read(self.outbox, *NAME).cause, shown(self.outbox, *NAME)[0]), ("rejected", {"n": 1}))
        edits.edit(self.outbox, *NAME, {"n": 2}, AT)
        self.assertEqual(self.wire()["op"], "create")
        self.assertIsNone(self.wire()["base"])

    def test_an_older_state_does_not_replace_a_newer_one(self) -> None:
        self.pulled("r5", 5, data={"n": 5})
        self.store.put_record("observation", state("r4", 4, data={"n": 4}), only_newer=True)
        self.assertEqual(shown(self.outbox, *NAME)[0], {"n": 5})

    def test_a_step_is_taken_whole_or_not_at_all(self) -> None:
        with self.assertRaises(ZeroDivisionError), self.store.transaction():
            self.pulled("r1", 1, data={})
            with self.store.transaction():
                raise ZeroDivisionError
        self.assertIsNone(self.store.record(*NAME))

    def test_names_that_no_record_can_have(self) -> None:
        for kind, key in (("Observation", "a"), ("observation", "a b"), ("observation", "")):
            with self.assertRaises(edits.NotPossible):
                edits.create(self.outbox, kind, key, {}, AT)
