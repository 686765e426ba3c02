"""One file on its way up: a slot, then its bytes by the way that the slot names, then the end.

Through the server it goes by tus, from the offset that the server tells. Into an object storage it goes as a whole;
where nobody knows whether it came, the end is told first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Callable

from . import messages
from .line import Line, SyncFailed
from .outbox import WAITS_TO_GO_UP
from .records import encode
from .storage import Storage, Unreachable
from .transport import Answer

CHUNK = 1 << 20  # so much of a file goes to the server in one request
TRIES = 4        # so often in one sync an upload begins anew, or looks for where it stands

PENDING, REFUSED, FAILING = WAITS_TO_GO_UP, "refused", "failing"
TUS = {"Tus-Resumable": "1.0.0"}

NEW_SLOT, LOOK_AGAIN = "new-slot", "look-again"  # how an attempt ends where the file is not stored

Upload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The server has a file, and says where it is, if data can hold that."""

    url: str | None


class Trouble(Exception):
    """The server refuses a file, or somebody fails over it; the others go on."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Enough(Exception):
    """The server, or the user, wants no files to travel now: they wait for a later sync."""


class Uploads:
    """The uploads of one phase of files."""

    def __init__(self, line: Line, storage: Storage) -> None:
        self._line = line
        self._storage = storage
        self._away: set[str] = set()  # storages to which there was no connection: nobody waits for them twice
        self._ways = {"tus-1.0": self._by_tus, "signed-put": self._by_put}

    def send(self, kind: str, file: dict[str, Any], path: Path, upload: Upload | None,
             keep: Callable[[Upload | None], None]) -> Stored:
        """Brings one file to the server, from wherever its upload stands; `keep` stores which upload that is."""
        for _ in range(TRIES):
            begun = upload is not None
            if upload is None:
                slot = self._ask_for_slot(kind, file)
                if isinstance(slot, Stored):
                    return slot
                upload = slot
                keep(upload)
            try:
                with path.open("rb") as content:
                    end = self._ways[upload["protocol"]](file, upload, content, begun)
            except OSError as error:
                raise Trouble(FAILING) from error  # Somebody took the bytes away in the middle of it.
            if isinstance(end, Stored):
                return end
            if end == NEW_SLOT:
                upload = None
                keep(None)
        raise Trouble(FAILING)

    def look_for(self, kind: str, file: dict[str, Any], upload: Upload | None) -> Stored | None:
        """Whether the server has a file whose bytes are gone: from an upload without an end, or from somebody else."""
        found = self._tell_end(file, upload) if upload else None
        if not isinstance(found, Stored):
            found = self._ask_for_slot(kind, file)
        return found if isinstance(found, Stored) else None

    def _ask_for_slot(self, kind: str, file: dict[str, Any]) -> Upload | Stored:
        """Where a file is to go, or that it is there."""
        request = {"type": kind, "id": file["id"], "bytes": file["bytes"], "media_type": file["media_type"]}
        answer = self._line.exchange("POST", "/attachments", encode(request).encode())
        if not answer.good or not messages.is_slot_answer(answer.message):
            raise _trouble(answer)
        if answer.message["have"]:
            return Stored(answer.message.get("url"))
        upload = answer.message.get("upload") or {}
        if upload.get("protocol") not in self._ways:
            raise Trouble(FAILING)
        return {name: upload.get(name) for name in ("protocol", "id", "url", "headers")}

    def _tell_end(self, file: dict[str, Any], upload: Upload) -> Stored | str:
        """Says that all bytes were sent. What the server has of them, it looks up itself."""
        request = {"id": file["id"], "upload": upload["id"]}
        answer = self._line.exchange("POST", "/attachments/complete", encode(request).encode())
        if answer.good and messages.is_complete_answer(answer.message) and answer.message["state"] == "stored":
            return Stored(answer.message.get("url"))
        return _after(answer)

    # Through the server.

    def _by_tus(self, file: dict[str, Any], upload: Upload, content: BinaryIO, begun: bool) -> Stored | str:
        """Sends what the server lacks of an upload, and ends it."""
        path, offset = self._line.path_of("/attachments", upload["url"]), 0
        if path is None:
            # The token goes to no other server than the one that gave it.
            if begun:
                return NEW_SLOT
            raise Trouble(FAILING)
        if begun:
            answer = self._ask_tus("HEAD", path)
            told = _offset(answer)
            if answer.status != 200 or told is None:
                return _after(answer)
            offset = told
        while offset < file["bytes"]:
            content.seek(offset)
            piece = content.read(CHUNK)
            if not piece:
                raise Trouble(FAILING)  # The server counts on more bytes than the file has.
            answer = self._ask_tus("PATCH", path, piece, {"Upload-Offset": str(offset),
                                                          "Content-Type": "application/offset+octet-stream"})
            told = _offset(answer)
            if answer.status != 204 or told is None or told <= offset:
                return _after(answer)
            offset = told
        return self._tell_end(file, upload)

    def _ask_tus(self, method: str, path: str, body: bytes | None = None,
                 headers: dict[str, str] | None = None) -> Answer:
        return self._line.exchange(method, path, body, {**TUS, **(headers or {})}, whole_path=True)

    # Straight into an object storage.

    def _by_put(self, file: dict[str, Any], upload: Upload, content: BinaryIO, begun: bool) -> Stored | str:
        """Puts a file where its slot says, unless it is there (`direct.device.end-before-again`)."""
        if begun:
            end = self._tell_end(file, upload)
            if end != LOOK_AGAIN:
                return end
        storage = "/".join(upload["url"].split("/")[:3])  # the scheme and the address
        if storage in self._away:
            raise Trouble(FAILING)
        try:
            status = self._storage.put(upload["url"], upload["headers"] or {}, content, file["bytes"])
        except Unreachable as error:
            self._away.add(storage)
            raise Trouble(FAILING) from error
        if status is not None and 400 <= status < 500 and status != 429:
            return NEW_SLOT
        if status is None or not 200 <= status < 300:
            raise Trouble(FAILING)  # Whether it came, the next sync asks first.
        end = self._tell_end(file, upload)
        if end == LOOK_AGAIN:
            raise Trouble(FAILING)  # A storage that says that it took a file, and has nothing, is not well.
        return end


def _after(answer: Answer) -> str:
    """What follows where an upload did not get on: the upload is gone, or spoilt, or not where it was thought to be."""
    if answer.status in (410, 422):
        return NEW_SLOT
    if answer.status == 409:
        return LOOK_AGAIN
    raise _trouble(answer)


def _offset(answer: Answer) -> int | None:
    value = answer.headers.get("upload-offset", "")
    return int(value) if value.isdigit() else None


def _trouble(answer: Answer) -> Exception:
    """What becomes of a file over which there is a problem."""
    if answer.status in (429, 503):
        return Enough()
    if answer.problem and answer.problem["code"] == "attachment-refused":
        return Trouble(REFUSED)
    if answer.problem or answer.status >= 500 or not answer.fault:
        return Trouble(FAILING)
    return SyncFailed("network", answer.fault)
