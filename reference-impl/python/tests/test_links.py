"""URLs of files in the data of records."""

from __future__ import annotations

import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from fieldsync_device import Device
from fieldsync_device.links import names
from fieldsync_device.outbox import Outbox
from fieldsync_device.store import Store

from .harness import JPEG, PHOTO, Case, Exchange, file_id

FILE = file_id(PHOTO)
NEW_ONE = file_id(b"of another photo")


def is_link(exchange: Exchange) -> bool:
    """Whether it is a push of links."""
    return exchange.kind == "push" and exchange.body["mutations"][0]["op"] == "link"


def refuse(exchange: Exchange) -> None:
    """Has the server reject all links."""
    if is_link(exchange):
        message = exchange.json
        message["outcomes"] = [{"mutation_id": mutation["mutation_id"], "outcome": "rejected",
                                "problem": {"code": "link-refused", "detail": "forged"}}
                               for mutation in exchange.body["mutations"]]
        exchange.forge(200, message)


class Linked(Case):
    """A type whose data hold URLs."""

    data_set = "library"

    def sighting(self, device: Device, content: bytes, **data: Any) -> str:
        """A record with a file that its data name."""
        key = device.create("sighting", {"photo": file_id(content), **data})
        device.attach("sighting", key, JPEG, io.BytesIO(content))
        return key

    def photo(self, device: Device, key: str) -> str:
        """What the data hold."""
        return device.read("sighting", key).data["photo"]

    def assert_linked(self, key: str, content: bytes, *devices: Device) -> None:
        """All have the URL."""
        for device in devices:
            self.assertEqual(self.photo(device, key), f"/library/attachments/{file_id(content)}")

    def links(self, device: Device) -> list[list[tuple[str, str]]]:
        """The links that were pushed, batch by batch: the files, and the mutation ids."""
        return [[(mutation["attachment"], mutation["mutation_id"]) for mutation in exchange.body["mutations"]]
                for exchange in self.wires[device].seen if is_link(exchange)]

    def asked(self, device: Device) -> list[str]:
        """What was asked for, but for the files of other tests."""
        return [kind for kind in self.wires[device].kinds() if kind != "GET"]


class Follows(Linked):
    """A link follows its file."""

    def test_a_file_is_linked_in_the_sync_in_which_it_went_up_and_shows_in_nothing(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        content = PHOTO + b"1"
        key = self.sighting(tablet, content, note="by the river")
        shown = []

        def look(exchange: Exchange) -> None:
            if is_link(exchange):
                shown.append((self.status(tablet, key, "sighting"), tablet.outbox()))

        self.wires[tablet].before = look
        self.sync(tablet, phone)
        self.assertEqual(self.asked(tablet),
                         ["session", "push", "pull", "attachments", "PATCH", "complete", "push", "pull"])
        self.assertEqual(shown, [("synced", [])])
        self.assert_linked(key, content, tablet, phone)
        self.assertEqual((phone.read("sighting", key).data["note"], phone.read("sighting", key).server["version"]),
                         ("by the river", 2))  # two saves; a link is none
        self.assertEqual((tablet.quarantine(), tablet.conflicts()), ([], []))
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["pull"])

    def test_two_files_of_one_record_go_in_two_batches_of_one_sync(self) -> None:
        tablet = self.device()
        first, second = PHOTO + b"2", PHOTO + b"3"
        key = self.sighting(tablet, first, more=[{"photo": file_id(second)}])
        tablet.attach("sighting", key, JPEG, io.BytesIO(second))
        other = self.sighting(tablet, PHOTO + b"4")
        self.sync(tablet)
        self.assertEqual(sorted(map(len, self.links(tablet))), [1, 2])
        self.assert_linked(key, first, tablet)
        self.assert_linked(other, PHOTO + b"4", tablet)
        self.assertEqual(tablet.read("sighting", key).data["more"][0]["photo"],
                         f"/library/attachments/{file_id(second)}")

    def test_a_link_waits_until_the_server_has_a_record_that_names_the_file(self) -> None:
        tablet = self.device()
        content = PHOTO + b"5"
        key = tablet.create("sighting", {"photo": "none"})
        tablet.attach("sighting", key, JPEG, io.BytesIO(content))
        self.sync(tablet)
        self.assertEqual(self.links(tablet), [])
        tablet.edit("sighting", key, {"photo": file_id(content)})
        self.assertEqual(self.links(tablet), [])
        self.sync(tablet)
        self.assertEqual([[file for file, _ in batch] for batch in self.links(tablet)], [[file_id(content)]])
        self.assert_linked(key, content, tablet)

    def test_a_file_that_the_server_has_already_is_linked(self) -> None:
        tablet = self.device()
        content = PHOTO + b"6"
        key = self.sighting(tablet, content)
        self.sync(tablet)
        other = self.sighting(tablet, content)
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["push", "pull", "attachments", "push", "pull"])
        self.assert_linked(key, content, tablet)
        self.assert_linked(other, content, tablet)

    def test_nothing_is_linked_where_data_hold_ids(self) -> None:
        tablet = self.device()
        content = PHOTO + b"7"
        key = tablet.create("album", {"photo": file_id(content)})
        tablet.attach("album", key, JPEG, io.BytesIO(content))
        self.sync(tablet)
        self.assertEqual((self.links(tablet), tablet.read("album", key).data["photo"]), ([], file_id(content)))
        self.assertEqual(tablet._store.execute("SELECT * FROM link").fetchall(), [])


class GoesOn(Linked):
    """What becomes of a link that does not go through."""

    def test_a_link_without_an_answer_goes_again_first_and_byte_for_byte_also_in_another_process(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            content = PHOTO + b"8"
            key = self.sighting(tablet, content)
            wire = self.wires[tablet]
            wire.after = lambda exchange: "drop" if is_link(exchange) else None
            self.assertEqual(tablet.sync().cause, "network")
            self.assertEqual((self.status(tablet, key, "sighting"), tablet.outbox()), ("synced", []))
            lost = wire.seen[-1].raw
            tablet.close()
            tablet = self.device(folder=Path(folder))
            wire = self.wires[tablet]
            self.sync(tablet)
            self.assertEqual(self.asked(tablet), ["push", "pull"])
            self.assertEqual(next(exchange.raw for exchange in wire.seen if is_link(exchange)), lost)
            self.assert_linked(key, content, tablet)
            tablet.close()

    def test_a_process_that_ended_before_the_link(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            content = PHOTO + b"9"
            key = self.sighting(tablet, content)
            self.wires[tablet].before = lambda exchange: "drop" if is_link(exchange) else None
            self.assertEqual(tablet.sync().cause, "network")
            tablet._store.execute("DELETE FROM batch")  # as if it had ended one step earlier
            tablet._store.execute("UPDATE link SET state = 'new'")
            tablet.close()
            tablet = self.device(folder=Path(folder))
            self.sync(tablet)
            self.assertEqual(self.asked(tablet), ["pull", "push", "pull"])
            self.assert_linked(key, content, tablet)
            tablet.close()

    def test_one_that_the_server_fails_over_holds_up_nothing_and_goes_again_under_its_id(self) -> None:
        tablet = self.device()
        bad, good = PHOTO + b"10", PHOTO + b"11"
        bad_key, good_key = self.sighting(tablet, bad), self.sighting(tablet, good)

        def fail(exchange: Exchange) -> Any:
            if is_link(exchange) and file_id(bad).encode() in exchange.raw:
                exchange.forge(500, "oops", "text/html")
                return True

        self.wires[tablet].before = fail
        self.sync(tablet)
        self.assert_linked(good_key, good, tablet)
        self.assertEqual((self.photo(tablet, bad_key), self.status(tablet, bad_key, "sighting")),
                         (file_id(bad), "synced"))
        self.assertEqual(tablet.quarantine(), [])
        tried = {name for batch in self.links(tablet) for file, name in batch if file == file_id(bad)}
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual({name for batch in self.links(tablet) for _, name in batch}, tried)
        self.assert_linked(bad_key, bad, tablet)

    def test_one_that_is_refused_is_forgotten(self) -> None:
        tablet = self.device()
        key = self.sighting(tablet, PHOTO + b"12")
        self.wires[tablet].after = refuse
        self.sync(tablet)
        self.assertEqual((tablet.quarantine(), tablet.outbox(), self.status(tablet, key, "sighting")),
                         ([], [], "synced"))
        self.assertEqual(tablet._store.execute("SELECT * FROM link").fetchall(), [])

    def test_one_whose_outcome_says_nothing_goes_again_later(self) -> None:
        tablet = self.device()
        content = PHOTO + b"13"
        key = self.sighting(tablet, content)

        def hold(exchange: Exchange) -> None:
            if is_link(exchange):
                message = exchange.json
                message["outcomes"] = [{**outcome, "outcome": "held"} for outcome in message["outcomes"]]
                exchange.forge(200, message)

        self.wires[tablet].after = hold
        self.sync(tablet)
        self.assertEqual(len(self.links(tablet)), 1)
        first = self.links(tablet)
        self.wires[tablet].calm()
        tablet._store.execute("UPDATE record SET message = replace(message, ?, ?) WHERE id = ?",
                              (f"/library/attachments/{file_id(content)}", file_id(content), key))
        self.sync(tablet)
        self.assertEqual(self.links(tablet), first)

    def test_who_may_not_push_loses_nothing_by_it(self) -> None:
        tablet = self.device()
        content = PHOTO + b"14"
        key = self.sighting(tablet, content)
        self.wires[tablet].before = lambda exchange: is_link(exchange) and (
            exchange.problem(403, "forbidden", "never") or True)
        self.sync(tablet)
        self.assertEqual((len(self.links(tablet)), self.status(tablet, key, "sighting")), (1, "synced"))
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assert_linked(key, content, tablet)

    def test_who_may_push_no_longer_is_told_so_once_in_a_sync(self) -> None:
        tablet = self.device()
        self.sighting(tablet, PHOTO + b"18")
        self.wires[tablet].before = lambda exchange: "drop" if is_link(exchange) else None
        self.assertEqual(tablet.sync().cause, "network")
        self.wires[tablet].calm()
        self.wires[tablet].before = lambda exchange: is_link(exchange) and (
            exchange.problem(403, "forbidden", "never") or True)
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["push", "pull"])

    def test_another_epoch_begins_over_a_link(self) -> None:
        tablet = self.device()
        content = PHOTO + b"15"
        key = self.sighting(tablet, content)
        told = []

        def restore(exchange: Exchange) -> Any:
            if is_link(exchange) and not told:
                told.append(exchange.body["replica"])
                exchange.problem(409, "epoch-mismatch", "resync", epoch=tablet._line.epoch + "-2", cause="restored")
                return True
            # The server of this test goes on in its own epoch, whatever the device was told.
            if told and exchange.body and exchange.body.get("epoch"):
                exchange.raw = exchange.raw.replace(exchange.body["epoch"].encode(),
                                                    exchange.body["epoch"].removesuffix("-2").encode())

        def rename(exchange: Exchange) -> None:
            if told and exchange.kind in ("session", "push", "pull") and exchange.status == 200:
                exchange.forge(200, {**exchange.json, "epoch": tablet._line.epoch})

        self.wires[tablet].before, self.wires[tablet].after = restore, rename
        self.sync(tablet)
        (first,), (second,) = self.links(tablet)
        self.assertEqual(first, second)
        self.assertNotEqual(tablet.replica, told[0])
        self.assert_linked(key, content, tablet)


class Anew(Linked):
    """The server lost what was linked."""

    def test_a_file_that_is_named_by_its_id_again_is_linked_once_more_by_who_added_it(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        content = PHOTO + b"16"
        key = self.sighting(tablet, content)
        self.sync(tablet, phone)

        def lose(exchange: Exchange) -> None:
            if exchange.kind == "pull":
                url = f"/library/attachments/{file_id(content)}".encode()
                exchange.forge(200, exchange.answer.replace(url, file_id(content).encode()).decode())

        for device in (tablet, phone):
            self.wires[device].calm()
            self.wires[device].after = lambda exchange: lose(exchange)
            device._store.walk_again(["sighting"])
            self.sync(device)
        self.assertEqual([[file for file, _ in batch] for batch in self.links(tablet)], [[file_id(content)]])
        self.assertEqual([body["id"] for body in self.wires[tablet].bodies("attachments")], [file_id(content)])
        self.assertEqual((self.links(phone), self.wires[phone].bodies("attachments")), ([], []))
        self.assertEqual(tablet.files("sighting", key)[0].status, "synced")

    def test_a_link_that_still_waits_is_not_begun_anew(self) -> None:
        tablet = self.device()
        content = PHOTO + b"17"
        self.sighting(tablet, content)
        self.wires[tablet].before = lambda exchange: is_link(exchange) and (
            exchange.forge(500, "oops", "text/html") or True)
        self.sync(tablet)
        tablet._store.walk_again(["sighting"])
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["pull", "push", "pull"])


class Names(unittest.TestCase):
    """Where data name a file."""

    def setUp(self) -> None:
        self.outbox = Outbox(Store(None))
        self.outbox.follow({"registry": {"types": [
            {"name": "sighting", "merge": {"policy": "version-wins"}, "attachments": {"link": "url"},
             "location": "place", "partition": "kind", "parents": [{"field": "trip", "type": "trip"}]},
            {"name": "scan", "merge": {"policy": "version-wins"}, "attachments": {"link": "id"}},
            {"name": "note", "merge": {"policy": "version-wins"}}]}})

    def names(self, data: dict[str, Any] | None) -> bool:
        """Whether these data name the file."""
        return names(self.outbox, {"type": "sighting", "id": "a", "data": data}, FILE)

    def test_as_the_whole_of_a_value_at_any_depth(self) -> None:
        for value in (FILE, [FILE], {"a": FILE}, [1, {"a": [None, [FILE]]}]):
            self.assertTrue(self.names({"x": value}), value)
        for value in (None, 1, "see " + FILE, [FILE + " "], {FILE: "a"}, NEW_ONE):
            self.assertFalse(self.names({"x": value}), value)
        self.assertFalse(self.names(None))

    def test_but_not_where_the_server_looks_for_itself(self) -> None:
        self.assertFalse(self.names({"place": FILE, "kind": FILE, "trip": FILE}))
        self.assertTrue(self.names({"place": FILE, "deeper": {"place": FILE}}))

    def test_only_types_that_say_so_are_linked(self) -> None:
        self.assertEqual(list(self.outbox.linked), ["sighting"])
