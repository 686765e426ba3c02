"""The files of records, against a real server."""

from __future__ import annotations

import io
import json
import tempfile
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fieldsync_device import Device, Limits, NotPossible

from .harness import JPEG, PHOTO, Case, Endless, Exchange, file_id

def attach(device: Device, key: str, media_type: str, content: bytes, kind: str = "scan") -> str:
    """Adds a file that is small enough for a test."""
    return device.attach(kind, key, media_type, io.BytesIO(content))


class Attached(Case):
    """A data set with a type that carries files."""

    data_set = "version_wins"

    def scan(self, device: Device, content: bytes, media_type: str = JPEG) -> str:
        """A record with a file."""
        key = device.create("scan", {"n": 1})
        attach(device, key, media_type, content)
        return key

    def asked(self, device: Device) -> list[str]:
        """What a device asked for, but for downloads: other tests put files into the same data set."""
        return [kind for kind in self.wires[device].kinds() if kind != "GET"]

    def states(self, device: Device, key: str) -> list[str]:
        """How the files of a record stand."""
        return [file.status for file in device.files("scan", key)]

    def content(self, device: Device, key: str) -> bytes | None:
        """The bytes of the first file, as they are shown."""
        (file, *_) = device.files("scan", key)
        return file.path and file.path.read_bytes()


class Up(Attached):
    """From a device to the server."""

    def test_the_record_goes_first_then_its_file_and_another_device_gets_both(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"1")
        self.assertEqual(self.states(tablet, key), ["pending"])
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["session", "push", "pull", "attachments", "PATCH", "complete"])
        self.assertEqual((self.states(tablet, key), self.status(tablet, key, "scan")), (["synced"], "synced"))
        self.sync(phone)
        self.assertEqual((self.states(phone, key), self.content(phone, key)), (["synced"], PHOTO + b"1"))
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["pull"])

    def test_an_upload_goes_on_where_it_was_broken_off_also_in_another_process(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            key = self.scan(tablet, PHOTO + b"2")
            wire = self.wires[tablet]

            def halve(exchange: Exchange) -> None:
                if exchange.kind == "PATCH":
                    exchange.raw = exchange.raw[:1000]

            wire.before = halve
            wire.after = lambda exchange: "drop" if exchange.kind == "PATCH" else None
            self.assertEqual(tablet.sync().cause, "network")
            tablet.close()
            tablet = self.device(folder=Path(folder))
            self.sync(tablet)
            wire = self.wires[tablet]
            self.assertEqual(self.asked(tablet)[1:], ["HEAD", "PATCH", "complete"])
            (rest,) = [exchange.raw for exchange in wire.seen if exchange.kind == "PATCH"]
            self.assertEqual(rest, (PHOTO + b"2")[1000:])
            self.assertEqual(self.states(tablet, key), ["synced"])
            tablet.close()

    def test_an_upload_that_is_gone_begins_anew(self) -> None:
        tablet = self.device()
        key = self.scan(tablet, PHOTO + b"3")
        wire = self.wires[tablet]

        def gone(exchange: Exchange) -> Any:
            if exchange.kind == "PATCH":
                wire.before = lambda exchange: None
                exchange.problem(410, "upload-gone", "never")
                return True

        wire.before = gone
        self.sync(tablet)
        self.assertEqual(self.asked(tablet)[3:], ["attachments", "PATCH", "attachments", "PATCH", "complete"])
        self.assertEqual(self.states(tablet, key), ["synced"])

    def test_what_cannot_go_holds_up_nothing(self) -> None:
        tablet = self.device()
        lost, refused = self.scan(tablet, PHOTO + b"4"), self.scan(tablet, PHOTO + b"5", "image/png")
        failing, good = self.scan(tablet, PHOTO + b"6"), self.scan(tablet, PHOTO + b"7")
        tablet._files.drop(file_id(PHOTO + b"4"))

        def trouble(exchange: Exchange) -> Any:
            if exchange.kind == "attachments" and exchange.body["media_type"] == "image/png":
                exchange.problem(422, "attachment-refused", "never")
                return True
            if exchange.kind == "attachments" and exchange.body["id"] == file_id(PHOTO + b"6"):
                exchange.forge(500, "oops", "text/html")
                return True

        self.wires[tablet].before = trouble
        self.sync(tablet)
        self.assertEqual([self.states(tablet, key) for key in (lost, refused, failing, good)],
                         [["missing"], ["refused"], ["failing"], ["synced"]])
        self.assertEqual({self.status(tablet, key, "scan") for key in (lost, refused, failing, good)}, {"synced"})
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.states(tablet, failing), ["synced"])

    def test_a_record_that_is_edited_keeps_its_files(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"8")
        attach(tablet, key, JPEG, PHOTO + b"9")
        self.sync(tablet, phone)
        phone.edit("scan", key, {"n": 2})
        self.sync(phone, tablet)
        self.assertEqual([file.id for file in tablet.files("scan", key)],
                         [file_id(PHOTO + b"8"), file_id(PHOTO + b"9")])
        self.assertEqual(self.states(tablet, key), ["synced", "synced"])

    def test_a_file_of_a_record_that_was_deleted_is_not_sent_and_its_bytes_go(self) -> None:
        tablet = self.device()
        key = self.scan(tablet, PHOTO + b"10")
        wire = self.wires[tablet]
        wire.before = lambda exchange: "drop" if exchange.kind == "attachments" else None
        self.assertEqual(tablet.sync().cause, "network")
        tablet.delete("scan", key)
        wire.calm()
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["push", "pull"])
        self.assertFalse(tablet._files.has(file_id(PHOTO + b"10")))

    def test_what_the_type_does_not_carry_is_refused_at_once(self) -> None:
        tablet = self.device()
        self.sync(tablet)
        key = tablet.create("scan", {"n": 1})
        for media_type, content in (("video/mp4", b"x"), (JPEG, bytes(100_001))):
            with self.assertRaises(NotPossible):
                attach(tablet, key, media_type, content)
        self.assertEqual(tablet.files("scan", key), [])

    def test_nothing_goes_up_while_it_costs_also_in_another_process(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            key = self.scan(tablet, PHOTO + b"14")
            tablet.set_metered(True)
            self.sync(tablet)
            tablet.close()
            tablet = self.device(folder=Path(folder))
            self.sync(tablet)
            self.assertEqual((self.asked(tablet), self.states(tablet, key)), (["pull"], ["pending"]))
            tablet.set_metered(False)
            self.sync(tablet)
            self.assertEqual(self.states(tablet, key), ["synced"])
            tablet.close()

    def test_a_network_that_begins_to_cost_stops_the_files_that_still_wait(self) -> None:
        tablet = self.device()
        keys = [self.scan(tablet, PHOTO + b"18" + bytes([n])) for n in range(3)]
        self.wires[tablet].after = lambda exchange: exchange.kind == "PATCH" and tablet.set_metered(True)
        self.sync(tablet)
        self.assertEqual(sorted(self.states(tablet, key)[0] for key in keys), ["pending", "pending", "synced"])
        tablet.set_metered(False)
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual([self.states(tablet, key) for key in keys], [["synced"]] * 3)

    def test_a_file_that_the_server_lost_is_offered_again_by_who_added_it(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"15")
        self.sync(tablet, phone)

        def lose(exchange: Exchange) -> None:
            if exchange.kind == "pull":
                exchange.forge(200, json.loads(exchange.answer.replace(b'"stored"', b'"awaiting"')))

        for device, slots in ((tablet, 1), (phone, 0)):
            wire = self.wires[device]
            wire.calm()
            wire.after = lose
            device._store.walk_again(["scan"])
            self.sync(device)
            mine = [body for body in wire.bodies("attachments") if body["id"] == file_id(PHOTO + b"15")]
            self.assertEqual(len(mine), slots)
        self.assertEqual((self.states(tablet, key), self.states(phone, key)), (["synced"], ["awaiting"]))

    def test_a_file_of_a_record_that_is_shown_no_longer_still_goes_up_and_then_its_bytes_go(self) -> None:
        tablet = self.device()
        key = self.scan(tablet, PHOTO + b"16")
        wire = self.wires[tablet]
        wire.before = lambda exchange: "drop" if exchange.kind == "attachments" else None
        self.assertEqual(tablet.sync().cause, "network")
        wire.calm()

        def remove(exchange: Exchange) -> None:
            if exchange.kind == "pull":
                message = exchange.json
                cursor = tablet._store.cursors()["scan"]
                message["feeds"] = [{"feed": "scan", "from": cursor, "cursor": cursor, "changes": [
                    {"op": "remove", "removed": {"type": "scan", "id": key}}]}]
                exchange.forge(200, message)

        wire.after = remove
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["pull", "attachments", "PATCH", "complete"])
        self.assertIsNone(tablet.read("scan", key).status)
        self.assertFalse(tablet._files.has(file_id(PHOTO + b"16")))


class Merged(Attached):
    """Files where devices merge."""

    data_set = "field_merge"

    def test_what_both_added_is_there_the_servers_first(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create("scan", {"n": 1})
        self.sync(tablet, phone)
        attach(tablet, key, JPEG, b"of tablet")
        attach(phone, key, JPEG, b"of phone")
        self.sync(tablet, phone, tablet)
        for device in (tablet, phone):
            self.assertEqual([file.path.read_bytes() for file in device.files("scan", key)],
                             [b"of tablet", b"of phone"])
            self.assertNotIn(key, [entry["record"]["id"] for _, entry in device.conflicts()])
        (mutation,) = [mutation for mutation in self.wires[phone].bodies("push")[-1]["mutations"]]
        self.assertEqual((mutation["patch"], len(mutation["attachments"])), ({}, 2))


class Down(Attached):
    """From the server to a device."""

    def test_nothing_comes_down_while_it_costs(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"11")
        phone.set_metered(True)
        self.sync(tablet, phone)
        self.assertEqual((self.states(phone, key), self.content(phone, key)), (["remote"], None))
        phone.set_metered(False)
        self.sync(phone)
        self.assertEqual(self.states(phone, key), ["synced"])

    def test_a_download_that_was_cut_goes_on(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"12")
        self.sync(tablet)
        wire = self.wires[phone]
        wire.after = lambda exchange: "cut" if exchange.answer == PHOTO + b"12" else None
        self.assertEqual(phone.sync().cause, "network")
        self.assertEqual(self.states(phone, key), ["remote"])
        cut = len(PHOTO + b"12") // 2
        wire.calm()
        self.sync(phone)
        again = next(exchange for exchange in wire.seen if "Range" in exchange.asked)
        self.assertEqual((again.asked["Range"], again.status), (f"bytes={cut}-", 206))
        self.assertEqual(self.content(phone, key), PHOTO + b"12")

    def test_other_bytes_are_not_shown(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"13")
        self.sync(tablet)

        def forge(exchange: Exchange) -> None:
            if exchange.kind == "GET":
                exchange.answer = bytes(len(exchange.answer))

        self.wires[phone].after = forge
        self.sync(phone)
        self.assertEqual((self.states(phone, key), self.content(phone, key)), (["remote"], None))
        self.wires[phone].calm()
        self.sync(phone)
        self.assertEqual(self.content(phone, key), PHOTO + b"13")

    def test_bytes_that_changed_on_the_device_are_fetched_again(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.scan(tablet, PHOTO + b"17")
        self.sync(tablet, phone)
        phone.files("scan", key)[0].path.write_bytes(bytes(3))
        self.assertEqual((self.states(phone, key), self.content(phone, key)), (["remote"], None))
        self.sync(phone)
        self.assertEqual(self.content(phone, key), PHOTO + b"17")


class Large(Attached):
    """Files that are larger than the memory of a phone."""

    data_set = "library"
    size = 24 << 20

    def test_a_file_goes_through_in_pieces(self) -> None:
        direct = SimpleNamespace(base_url=f"http://127.0.0.1:{self.server.port}/library")  # a wire holds what it sees
        patient = Limits(timeout=120)  # a server hashes a large file before it answers
        tablet = self.device(wire=direct, limits=patient)
        phone = self.device("ben", wire=direct, limits=patient)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        key = tablet.create("album", {"n": 1})
        file = tablet.attach("album", key, JPEG, Endless(self.size))
        self.sync(tablet, phone)
        (shown,) = phone.files("album", key)
        self.assertLess(tracemalloc.get_traced_memory()[1], self.size // 4)
        self.assertEqual((shown.id, shown.status, shown.path.stat().st_size), (file, "synced", self.size))

    def test_what_is_too_large_is_not_read_to_its_end(self) -> None:
        tablet = self.device(wire=SimpleNamespace(base_url=f"http://127.0.0.1:{self.server.port}/version_wins"))
        self.sync(tablet)
        key, content = tablet.create("scan", {"n": 1}), Endless()
        with self.assertRaises(NotPossible):
            tablet.attach("scan", key, JPEG, content)
        self.assertLess(content.given, 200_000)
