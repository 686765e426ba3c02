"""A server for the tests, and a wire on which answers get lost, cut, doubled and forged."""

from __future__ import annotations

import atexit
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

from fieldsync_device import Credentials, Device, Limits

BINARY = os.environ.get("FIELDSYNC_BIN", "fieldsync")
PASSWORD = "correct horse"
FIXTURES = Path(__file__).parents[3] / "fixtures"
PHOTO = bytes(range(256)) * 40
JPEG = "image/jpeg"
OTHERS = ("entity_queue", "field_merge", "version_wins")
LIMITS = """
profile: version-wins
limits:
  { body_bytes: 65536, batch_mutations: 50, page_changes: 100, record_bytes: 32768, string_bytes: 8192, nesting: 16 }
"""
DATA_SETS = {
    "clinic": """
types:
  - { name: place, class: reference, merge: { policy: server-only } }
  - { name: observation, class: transactional, merge: { policy: version-wins }, tombstone_days: 90 }
  - { name: reading, class: append, merge: { policy: append-only } }
records:
  - { type: place, id: north, data: { name: North } }
""",
    "library": """
types:
  - name: album
    class: transactional
    merge: { policy: version-wins }
    attachments: { order: record-first, link: id }
    requires: [attachments-proxied]
  - name: sighting
    class: transactional
    merge: { policy: version-wins }
    attachments: { order: record-first, link: url }
    requires: [attachments-proxied, link]
"""}


def changing(kind: str, change: Callable[[Any], None]) -> Callable[[Exchange], None]:
    """What changes the message of every answer to a request of this kind."""

    def after(exchange: Exchange) -> None:
        if exchange.kind == kind:
            message = exchange.json
            change(message)
            exchange.forge(200, message)

    return after


def file_id(content: bytes) -> str:
    """The attachment id of these bytes."""
    return "sha256:" + sha256(content).hexdigest()


class Endless(io.RawIOBase):
    """Bytes that nobody made, and that take no memory: so many of them, or without an end."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.given = 0

    def read(self, most: int = -1) -> bytes:
        """The next ones."""
        piece = bytes(most if self.size is None else min(most, self.size - self.given))
        self.given += len(piece)
        return piece


class Server:
    """`fieldsync serve` on a free port, with two accounts."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        data, domains = Path(self._folder.name, "data"), []
        for name, types in DATA_SETS.items():
            domains.append(Path(self._folder.name, name + ".yaml"))
            domains[-1].write_text(f"name: {name}{LIMITS.rstrip()}{types}")
        domains += (FIXTURES / "domain" / (name.replace("_", "-") + ".yaml") for name in OTHERS)
        grants = [word for name in (*DATA_SETS, *OTHERS) for word in ("--grant", name + "=read-write")]
        for name in ("amina", "ben"):
            subprocess.run([BINARY, "user", "add", "--data", data, *grants, name],
                           input=PASSWORD + "\n", text=True, check=True, capture_output=True)
        self._process = subprocess.Popen(
            [BINARY, "serve", "--data", data, "--listen", "127.0.0.1:0",
             *(word for path in domains for word in ("--domain", path))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.port = 0
        for line in self._process.stdout:
            if line.startswith("serving http://"):
                self.port = int(line.rsplit(":", 1)[1])
                break
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

        self._tokens: dict[str, str] = {}

    def token(self, user: str) -> str:
        """A token of an account; to log in takes long, so it is done once."""
        if user not in self._tokens:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.request("POST", "/clinic/login", json.dumps({"user": user, "password": PASSWORD}),
                               {"Content-Type": "application/json", "Fieldsync-Version": "2026-12-01"})
            self._tokens[user] = json.load(connection.getresponse())["access_token"]
            connection.close()
        return self._tokens[user]

    def close(self) -> None:
        """Ends the server."""
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


@dataclass
class Exchange:
    """A request on the wire, and the answer that a fault may change or take away."""

    kind: str
    body: Any
    raw: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The answer's message."""
        return json.loads(self.answer)

    def forge(self, status: int, message: Any, media_type: str = "application/json") -> None:
        """Puts another answer in the place of the server's."""
        self.status, self.headers = status, {"Content-Type": media_type}
        self.answer = message.encode() if isinstance(message, str) else json.dumps(message).encode()

    def problem(self, status: int, code: str, retry: str, **members: Any) -> None:
        """Puts a problem in the place of the server's answer."""
        self.forge(status, {"title": code, "status": status, "detail": "forged", "code": code, "retry": retry,
                            "request_id": "r-1", **members}, "application/problem+json")


class _Http(ThreadingHTTPServer):
    """A server that does not complain of devices that end."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Wire:
    """Stands between one device and the server; `before` and `after` see every exchange and may spoil it.

    What they return decides: `"drop"` loses the connection, `"cut"` sends half of the answer, anything true from
    `before` keeps the request from the server.
    """

    def __init__(self, server: Server, data_set: str = "clinic") -> None:
        wire = self
        self.seen: list[Exchange] = []
        self.before: Callable[[Exchange], Any] = lambda exchange: None
        self.after: Callable[[Exchange], Any] = lambda exchange: None

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def log_message(self, *_: Any) -> None:
                pass

            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind = self.path.rsplit("/", 1)[1]
                if self.command in ("HEAD", "PATCH") or "/attachments/sha256" in self.path:
                    kind = self.command
                is_json = raw and self.headers["Content-Type"] == "application/json"
                exchange = Exchange(kind, json.loads(raw) if is_json else None, raw)
                exchange.asked = dict(self.headers)
                wire.seen.append(exchange)
                verdict = wire.before(exchange)
                if not verdict:
                    upstream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
                    names = ("Authorization", "Fieldsync-Version", "Content-Type", "Tus-Resumable", "Upload-Offset",
                             "Range")
                    upstream.request(self.command, self.path, exchange.raw or None,
                                     {name: self.headers[name] for name in names if self.headers[name]})
                    response = upstream.getresponse()
                    exchange.status, exchange.answer = response.status, response.read()
                    exchange.headers = {name: response.headers[name] for name in
                                        ("Content-Type", "Upload-Offset", "Content-Range") if response.headers[name]}
                    upstream.close()
                    verdict = wire.after(exchange)
                if verdict == "drop":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(exchange.status)
                for name, value in exchange.headers.items():
                    self.send_header(name, value)
                if exchange.status != 204:
                    self.send_header("Content-Length", str(len(exchange.answer)))
                self.end_headers()
                if verdict == "cut":
                    self.close_connection = True
                    self.wfile.write(exchange.answer[:len(exchange.answer) // 2])
                else:
                    self.wfile.write(exchange.answer)

            do_GET = do_POST = do_HEAD = do_PATCH = _serve

        self._http = _Http(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/{data_set}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def kinds(self) -> list[str]:
        """What was asked since the last `calm`."""
        return [exchange.kind for exchange in self.seen]

    def bodies(self, kind: str) -> list[Any]:
        """The requests of a kind."""
        return [exchange.body for exchange in self.seen if exchange.kind == kind]

    def calm(self) -> None:
        """No more faults; what was seen is forgotten."""
        self.before = self.after = lambda exchange: None
        self.seen.clear()

    def close(self) -> None:
        """Takes the wire down."""
        self._http.shutdown()
        self._http.server_close()


class Case(unittest.TestCase):
    """A test with a server that all tests share, and devices with a wire each."""

    server: Server
    data_set = "clinic"

    @classmethod
    def setUpClass(cls) -> None:
        if not hasattr(Case, "server"):
            Case.server = Server()
            atexit.register(Case.server.close)

    def setUp(self) -> None:
        self.waits: list[float] = []
        self.wires: dict[Device, Wire] = {}

    def device(self, user: str = "amina", folder: Path | None = None, wire: Wire | None = None,
               **options: Any) -> Device:
        """A device; it does not sleep, and tells in `waits` for how long it would have."""
        if wire is None:
            wire = Wire(self.server, self.data_set)
            self.addCleanup(wire.close)
        credentials = options.pop("credentials", Credentials(token=self.server.token(user)))
        limits = options.pop("limits", Limits(timeout=10))
        device = Device(wire.base_url, credentials, folder, wait=self.waits.append, limits=limits, **options)
        self.wires[device] = wire
        self.addCleanup(device.close)
        return device

    def sync(self, *devices: Device) -> None:
        """Syncs, which must end well."""
        for device in devices:
            end = device.sync()
            self.assertTrue(end.ok, end)

    def status(self, device: Device, key: str, kind: str = "observation") -> str:
        """The status of a record, or the cause of its error."""
        reading = device.read(kind, key)
        return reading.cause or reading.status
