"""Files that go straight into an object storage."""

from __future__ import annotations

import io
import tempfile
import threading
import time
import tracemalloc
import unittest
from pathlib import Path
from typing import Any

from fieldsync_device import Device
from fieldsync_device.storage import Storage, Unreachable

from .harness import JPEG, PHOTO, Case, Endless, Exchange, file_id
from .object_storage import ObjectStorage


class Direct(Case):
    """A device, a server that signs, and a storage."""

    data_set = "version_wins"

    def setUp(self) -> None:
        super().setUp()
        self.storage = ObjectStorage()
        self.addCleanup(self.storage.close)

    def device(self, *args: Any, **options: Any) -> Device:
        """A device whose server signs for the storage."""
        device = super().device(*args, **options)
        self.wires[device].before = self.storage.serve
        return device

    def film(self, device: Device, content: bytes) -> str:
        """A record with a file."""
        key = device.create("film", {"n": 1})
        device.attach("film", key, JPEG, io.BytesIO(content))
        return key

    def shown(self, device: Device, key: str) -> str:
        """How the file of a record stands."""
        return device.files("film", key)[0].status

    def asked(self, device: Device) -> list[str]:
        """What the server was asked about files since the last time."""
        kinds = [kind for kind in self.wires[device].kinds() if kind in ("attachments", "complete")]
        self.wires[device].seen.clear()
        return kinds

    def test_a_file_goes_by_one_put_with_the_headers_of_its_slot_and_without_the_token(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.sync(tablet)
        self.assertEqual((self.asked(tablet), self.shown(tablet, key)), (["attachments", "complete"], "synced"))
        self.assertEqual(list(self.storage.objects.values()), [file_id(PHOTO)])
        (headers,) = self.storage.puts
        self.assertEqual((headers["content-type"], headers["x-signed"], headers["content-length"]),
                         (JPEG, "with this", str(len(PHOTO))))
        self.assertFalse(headers.keys() & {"authorization", "fieldsync-version", "transfer-encoding"})

    def test_a_file_that_came_unnoticed_is_not_put_again(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder))
            key = self.film(tablet, PHOTO)
            self.storage.verdict = lambda path: "drop after"
            self.sync(tablet)
            self.assertEqual((self.asked(tablet), self.shown(tablet, key)), (["attachments"], "failing"))
            tablet.close()
            tablet = self.device(folder=Path(folder))
            self.sync(tablet)
            self.assertEqual((self.asked(tablet), self.shown(tablet, key)), (["complete"], "synced"))
            self.assertEqual(len(self.storage.puts), 1)
            tablet.close()

    def test_a_file_that_did_not_come_is_put_again_where_it_was_to_go(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        for verdict in ("drop before", 500, 503, 429, 301):
            self.storage.verdict = lambda path: verdict
            self.sync(tablet)
            self.assertEqual(self.shown(tablet, key), "failing")
        self.storage.verdict = lambda path: 200
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["attachments", *["complete"] * 6])
        self.assertEqual((self.shown(tablet, key), list(self.storage.objects)), ("synced", ["/files/u-1?signature=s"]))

    def test_a_put_that_is_refused_gets_another_slot(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.storage.verdict = lambda path: 200 if "u-3" in path else 403
        self.sync(tablet)
        self.assertEqual((self.asked(tablet), self.shown(tablet, key)),
                         (["attachments"] * 3 + ["complete"], "synced"))

    def test_what_is_refused_again_and_again_waits_for_the_next_sync(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.storage.verdict = lambda path: 400
        self.sync(tablet)
        self.assertEqual((self.asked(tablet), self.shown(tablet, key)), (["attachments"] * 4, "failing"))

    def test_other_bytes_in_its_place_get_another_slot(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.storage.verdict = lambda path: "drop before"
        self.sync(tablet)
        self.storage.objects["/files/u-1?signature=s"] = file_id(b"of somebody else")
        self.storage.verdict = lambda path: 200
        self.asked(tablet)
        self.sync(tablet)
        self.assertEqual((self.asked(tablet), self.shown(tablet, key)),
                         (["complete", "attachments", "complete"], "synced"))

    def test_a_storage_that_is_away_is_waited_for_once_and_holds_up_nothing(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        self.storage.close()
        films = [self.film(tablet, PHOTO + bytes([n])) for n in range(3)]
        connected = []
        connect = Storage._connect
        Storage._connect = lambda *args: connected.append(1) or connect(*args)
        self.addCleanup(setattr, Storage, "_connect", connect)
        self.sync(tablet, phone)
        self.assertEqual(len(connected), 1)
        for key in films:
            self.assertEqual((self.shown(tablet, key), self.status(tablet, key, "film")), ("failing", "synced"))
            self.assertEqual(phone.read("film", key).data, {"n": 1})

    def test_the_bytes_are_gone_but_the_file_had_come(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.storage.verdict = lambda path: "drop after"
        self.sync(tablet)
        tablet._files.drop(file_id(PHOTO))
        self.assertEqual(self.shown(tablet, key), "missing")
        self.asked(tablet)
        self.sync(tablet)
        self.assertEqual(self.asked(tablet), ["complete"])
        self.assertEqual(self.shown(tablet, key), "remote")

    def test_to_add_a_file_once_more_does_not_send_it_once_more(self) -> None:
        tablet = self.device()
        key = self.film(tablet, PHOTO)
        self.storage.verdict = lambda path: "drop after"
        self.sync(tablet)
        tablet.attach("film", key, JPEG, io.BytesIO(PHOTO))
        self.sync(tablet)
        self.assertEqual((len(self.storage.puts), self.shown(tablet, key)), (1, "synced"))

    def test_a_slot_that_leads_nowhere_fails_its_file_alone(self) -> None:
        for spoilt in ({"protocol": "by-pigeon"}, {"url": "http://[/u-1"}, {"url": "/u-1"},
                       {"protocol": "tus-1.0"}, {"protocol": "tus-1.0", "url": "http://[/u-1"}):
            with self.subTest(spoilt=spoilt):
                tablet = self.device()

                def spoil(exchange: Exchange) -> bool:
                    served = self.storage.serve(exchange)
                    if exchange.kind == "attachments":
                        message = exchange.json
                        message["upload"] |= spoilt
                        exchange.forge(200, message)
                    return served

                self.wires[tablet].before = spoil
                key = self.film(tablet, PHOTO)
                self.sync(tablet)
                self.assertEqual((self.shown(tablet, key), self.status(tablet, key, "film")), ("failing", "synced"))
                self.assertEqual(self.storage.puts, [])


class ByItself(unittest.TestCase):
    """The storage's side of a device alone."""

    def setUp(self) -> None:
        self.storage = ObjectStorage()
        self.addCleanup(self.storage.close)

    def test_a_file_goes_through_in_pieces(self) -> None:
        size = 24 << 20
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertEqual(Storage(60).put(self.storage.url("u-1"), {}, Endless(size), size), 200)
        self.assertLess(tracemalloc.get_traced_memory()[1], size // 4)

    def test_what_is_no_url_of_a_storage_cannot_be_reached(self) -> None:
        for url in ("ftp://127.0.0.1/u-1", "/files/u-1", "http://[/u-1", "http://127.0.0.1:x/u-1"):
            with self.assertRaises(Unreachable):
                Storage(10).put(url, {}, io.BytesIO(), 0)

    def test_headers_that_cannot_be_sent_are_no_file_that_came(self) -> None:
        self.assertIsNone(Storage(10).put(self.storage.url("u-1"), {"x": "a\r\nb"}, io.BytesIO(), 0))

    def test_a_device_that_is_closed_waits_for_no_storage(self) -> None:
        storage, came, goes_on = Storage(30), threading.Event(), threading.Event()
        self.addCleanup(goes_on.set)
        self.storage.verdict = lambda path: came.set() or goes_on.wait() and 200
        ends: list[Any] = []
        thread = threading.Thread(target=lambda: ends.append(storage.put(self.storage.url("u-1"), {}, io.BytesIO(), 0)))
        began = time.monotonic()
        thread.start()
        came.wait()
        storage.break_off()
        thread.join()
        self.assertEqual(ends, [None])
        self.assertLess(time.monotonic() - began, 10)
        with self.assertRaises(Unreachable):
            storage.put(self.storage.url("u-2"), {}, io.BytesIO(), 0)
