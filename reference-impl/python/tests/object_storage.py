"""An object storage for the tests, at another address than the server, which a test can have fail."""

from __future__ import annotations

import socket
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from .harness import Exchange


class ObjectStorage:
    """Takes what is put into it. `verdict` says how: with a status, or as `"drop"`, before or after it was stored.

    A wire that has `serve` as its `before` is the server that signs URLs for it and looks at what came.
    """

    def __init__(self) -> None:
        storage = self
        self.objects: dict[str, str] = {}  # the ids of the files, by their paths
        self.puts: list[dict[str, str]] = []  # the headers of each request
        self.slots = 0
        self.verdict: Callable[[str], Any] = lambda path: 200

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_PUT(self) -> None:
                storage.puts.append({name.lower(): value for name, value in self.headers.items()})
                digest, left = sha256(), int(self.headers["Content-Length"])
                while piece := self.rfile.read(min(left, 65536)):
                    digest.update(piece)
                    left -= len(piece)
                verdict = storage.verdict(self.path)
                if verdict in (200, "drop after"):
                    storage.objects[self.path] = "sha256:" + digest.hexdigest()
                if verdict in ("drop after", "drop before"):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(verdict)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def serve(self, exchange: Exchange) -> bool:
        """Answers the requests about files in the server's place."""
        if exchange.kind == "attachments":
            self.slots += 1
            exchange.forge(200, {"id": exchange.body["id"], "have": False, "upload": {
                "id": f"u-{self.slots}", "protocol": "signed-put", "url": self.url(f"u-{self.slots}"),
                "headers": {"content-type": exchange.body["media_type"], "x-signed": "with this"},
                "expires_at": "2099-01-01T00:00:00.000Z"}})
        elif exchange.kind == "complete":
            there = self.objects.get(f"/files/{exchange.body['upload']}?signature=s")
            if there is None:
                exchange.problem(409, "upload-incomplete", "never")
            elif there != exchange.body["id"]:
                exchange.problem(422, "attachment-mismatch", "never")
            else:
                exchange.forge(200, {"id": exchange.body["id"], "state": "stored"})
        return exchange.kind in ("attachments", "complete")

    def url(self, upload: str) -> str:
        """A signed URL."""
        return f"http://{self.address}/files/{upload}?signature=s"

    def close(self) -> None:
        """Takes it down."""
        self._http.shutdown()
        self._http.server_close()
