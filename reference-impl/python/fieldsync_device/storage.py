"""The way to an object storage (chapter "Direct uploads"): another server, at a URL that ours has signed.

It gets the file and the headers of the slot, and nothing else: above all not the access token, which this module never
sees.
"""

from __future__ import annotations

import http.client
import socket
from typing import BinaryIO
from urllib.parse import urlsplit

BLOCK = 1 << 16  # so much of a file is in memory at a time


class Unreachable(Exception):
    """There is no connection to a storage, so nothing was sent."""


class Storage:
    """Puts files, one after another, each over a connection of its own.

    A connection that is kept may have ended unnoticed, and the next file would look like one that was lost on its way.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._closed = False
        self._connection: http.client.HTTPConnection | None = None

    def put(self, url: str, headers: dict[str, str], content: BinaryIO, size: int) -> int | None:
        """Puts a file, and gives the status of the answer; none where nobody knows whether the file came."""
        connection, path = self._connect(url)
        try:
            try:
                connection.request("PUT", path, content, {**headers, "Content-Length": str(size)})
            except (BrokenPipeError, ConnectionResetError):
                pass  # A storage that refuses a file may answer before it has read it.
            return connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            self._connection = None
            connection.close()

    def _connect(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        try:
            parts = urlsplit(url)
            kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[parts.scheme]
            connection = kind(parts.hostname or "", parts.port, timeout=self._timeout, blocksize=BLOCK)
            self._connection = connection
            connection.connect()
        except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(f"no connection to {url}: {error}") from error
        if self._closed:
            connection.close()
            raise Unreachable("the device was closed")
        return connection, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def break_off(self) -> None:
        """Ends what is under way on another thread, and lets nothing begin."""
        self._closed = True
        sock = self._connection.sock if self._connection else None
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
