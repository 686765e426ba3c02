"""One HTTP exchange after another over one kept connection, and what came back of it.

Nothing here knows what a push or a pull is. An answer that is cut short, cannot be decoded or is of another
media type keeps its status, for a server that fails over a batch counts even where a proxy wrote the page, but
it has no message.
"""

from __future__ import annotations

import http.client
import selectors
import socket
import zlib
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from .messages import RETRIES, is_problem
from .records import PROTOCOL, decode


class NoAnswer(Exception):
    """There was no answer at all, or none with a status."""


@dataclass(slots=True)
class Answer:
    """A status, and the message that came with it, if it is one."""

    status: int
    message: Any = None
    problem: dict[str, Any] | None = None
    fault: str = ""
    retry_after: str | None = None
    headers: Message = field(default_factory=Message)  # by their names in any case

    @property
    def good(self) -> bool:
        """Whether it is a success that carries JSON."""
        return 200 <= self.status < 300 and not self.fault


@dataclass(slots=True)
class Sink:
    """Where the bytes of a download go, of which this many are there already, and so many make it whole."""

    stream: BinaryIO
    offset: int
    size: int

    def takes(self, status: int, content_range: str) -> bool:
        """Whether an answer goes on from here; one with the whole begins anew."""
        if status == 200:
            self.stream.truncate(0)
            self.offset = 0
        return status == 200 or status == 206 and content_range.startswith(f"bytes {self.offset}-")


class Transport:
    """The connection to one base URL."""

    def __init__(self, base_url: str, timeout: float, answer_bytes: int) -> None:
        parts = urlsplit(base_url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._base_url = base_url.rstrip("/")
        self._answer_bytes = answer_bytes
        self._closed = False
        self.requests = self.sent = self.received = 0

    def path_of(self, asked: str, url: str) -> str | None:
        """The path of a URL in the answer to what was asked; none where it leads to another server."""
        try:
            found, base = urlsplit(urljoin(self._base_url + asked, url)), urlsplit(self._base_url)
        except ValueError:
            return None  # It leads nowhere.
        return (found.path + (f"?{found.query}" if found.query else "")) if found[:2] == base[:2] else None

    def exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str], whole_path: bool = False,
                 sink: Sink | None = None) -> Answer:
        """Sends one request. Redirects are not followed: a portal's would take the token along."""
        what = f"{method} {path or '/'}"
        if self._closed:
            raise NoAnswer(f"the device was closed before {what}")
        self._drop_stale_connection()
        headers = {"Accept": "*/*" if sink else "application/json", "Accept-Encoding": "identity" if sink else "gzip",
                   **headers}
        if path:
            headers["Fieldsync-Version"] = PROTOCOL
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        self.requests += 1
        self.sent += 0 if whole_path else len(body or b"")  # the bytes of files are not counted
        try:
            try:
                self._connection.request(method, (path if whole_path else self._path + path) or "/", body, headers)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a large body may answer before it has read it.
                if self._connection.sock is None:
                    raise
            response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NoAnswer(f"no answer to {what}: {error or type(error).__name__}") from error
        if sink and response.status in (200, 206):
            return self._receive(response, what, sink)
        return self._read(response, what)

    def _receive(self, response: http.client.HTTPResponse, what: str, sink: Sink) -> Answer:
        """Writes the bytes of a file as they come: what came before the connection broke need not come again."""
        expected = response.length
        answer = Answer(response.status)
        if sink.takes(response.status, response.headers.get("Content-Range", "")):
            try:
                while part := response.read(65536):
                    sink.offset += len(part)
                    if sink.offset > sink.size:
                        break
                    sink.stream.write(part)
                    expected = None if expected is None else expected - len(part)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise NoAnswer(f"the answer to {what} was cut short: {error}") from error
        if response.isclosed() and not response.will_close and not expected:
            return answer
        self._connection.close()
        if expected and sink.offset <= sink.size:
            raise NoAnswer(f"the answer to {what} was cut short")
        return answer

    def break_off(self) -> None:
        """Ends whatever is under way on another thread, and lets nothing begin."""
        self._closed = True
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _drop_stale_connection(self) -> None:
        """A kept connection that has something to say before it was asked was closed by the other side."""
        if self._connection.sock is not None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection.sock, selectors.EVENT_READ)
                if selector.select(0):
                    self._connection.close()

    def _read(self, response: http.client.HTTPResponse, what: str) -> Answer:
        answer = Answer(response.status, retry_after=response.headers.get("Retry-After"), headers=response.headers)
        try:
            plain = _decoded(self._body(response), response.headers.get("Content-Encoding"), self._answer_bytes)
            self.received += len(plain)
            value = decode(plain) if plain else None
        except (OSError, http.client.HTTPException, ValueError, zlib.error, RecursionError) as error:
            self._connection.close()
            answer.fault = f"the answer to {what} (status {response.status}) is no message: {error}"
            return answer
        if response.will_close:
            self._connection.close()
        media_type = response.headers.get_content_type()
        if 200 <= response.status < 300 and media_type == "application/json":
            answer.message = value
        elif response.status >= 400 and media_type == "application/problem+json" and is_problem(value):
            # A word that this device does not know is taken for `never`.
            answer.problem = value if value["retry"] in RETRIES else {**value, "retry": "never"}
        else:
            answer.fault = f"the answer to {what} (status {response.status}, {media_type}) is no message"
        return answer

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is not None:
            if response.length > self._answer_bytes:
                raise ValueError(f"its {response.length} bytes are too many")
            return response.read()
        body = bytearray()
        while part := response.read(65536):
            body += part
            if len(body) > self._answer_bytes:
                raise ValueError(f"it has more than {self._answer_bytes} bytes")
        return bytes(body)


def _decoded(body: bytes, coding: str | None, most: int) -> bytes:
    """Undoes the content coding; a few kilobytes can decode to gigabytes, so there is an end to it."""
    if coding is None or coding.strip().lower() in ("", "identity"):
        return body
    if coding.strip().lower() not in ("gzip", "x-gzip"):
        raise ValueError(f"its coding is {coding}")
    decoder = zlib.decompressobj(wbits=31)
    plain = decoder.decompress(body, most + 1)
    if len(plain) > most:
        raise ValueError(f"it decodes to more than {most} bytes")
    if not decoder.eof:
        raise ValueError("its gzip is cut short")
    return plain
