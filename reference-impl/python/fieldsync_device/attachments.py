"""The files of records (chapter "Attachments"): up and down after everything else, and never in its way.

A file that was added here stands in the table `added`, for as long as its record carries it: where a server loses it,
this device has it. What records carry as the server has them stands in `attachment`, which follows the records.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import messages
from .edits import NotPossible
from .files import Files
from .outbox import WAITS_TO_GO_UP, Outbox
from .records import encode
from .session import Line, SyncFailed
from .status import shown_files
from .store import Store
from .transport import Answer, Sink

CAPABILITY = "attachments-proxied"
CHUNK = 1 << 20  # so much of a file goes up in one request
TRIES = 4        # so often in one sync an upload begins anew, or looks for where it stands

PENDING, REFUSED, FAILING, SENT = WAITS_TO_GO_UP, "refused", "failing", "sent"
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(slots=True)
class ShownFile:
    """What a device shows of a file."""

    id: str
    status: str
    content: bytes | None


class _Trouble(Exception):
    """The server refuses a file, or fails over it; the others go on."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class _Enough(Exception):
    """The server wants to be left alone: the files wait for the next sync."""


def check(session: dict[str, Any] | None, kind: str, media_type: str, size: int) -> None:
    """Refuses a file that the server would refuse, with everything that was written beside it."""
    types = session["registry"]["types"] if session else ()
    policy = next((entry.get("attachments") or {"max_bytes": -1} for entry in types if entry["name"] == kind), {})
    most, media_types = policy.get("max_bytes"), policy.get("media_types")
    if most is not None and size > most or media_types and media_type not in media_types:
        raise NotPossible(f"a {kind} carries no {media_type} of {size} bytes")


def show(outbox: Outbox, files: Files, kind: str, key: str) -> list[ShownFile]:
    """The files of a record, as its user sees them, in their order."""
    store = outbox.store
    added = dict(store.execute("SELECT file, state FROM added WHERE type = ? AND id = ?", (kind, key)).fetchall())
    server = dict(store.execute("SELECT file, state FROM attachment WHERE type = ? AND id = ?", (kind, key)).fetchall())
    shown = []
    for file in shown_files(outbox, kind, key):
        name = file["id"]
        content = files.read(name)
        if server.get(name) == "stored":
            status = "remote" if content is None else "synced"
        elif name in added:
            status = "missing" if content is None else PENDING if added[name] == SENT else added[name]
        else:
            status = "awaiting"
        shown.append(ShownFile(name, status, content))
    return shown


class Attachments:
    """The phase of the files in one sync."""

    def __init__(self, outbox: Outbox, line: Line, files: Files, metered: bool) -> None:
        self._outbox = outbox
        self._store: Store = outbox.store
        self._line = line
        self._files = files
        self._metered = metered

    def run(self) -> None:
        """Sends what waits, then fetches what is not here. Only the network ends it, and with it the sync."""
        if not self._metered:
            try:
                self._send_all()
                self._fetch_all()
            except _Enough:
                pass
        self._forget()

    def run_first(self) -> None:
        """Sends the files that go before their records. Whatever becomes of them, the records follow."""
        if self._metered:
            return
        types = (self._store.meta("session") or {"registry": {"types": ()}})["registry"]["types"]
        first = {entry["name"] for entry in types if (entry.get("attachments") or {}).get("order") == "media-first"}
        rows = self._store.execute("SELECT type, id, file, state, upload FROM added").fetchall()
        waiting = {(mutation.type, mutation.id) for mutation in self._outbox.sendable()}
        for kind, key, name, state, upload in rows:
            if kind not in first or (kind, key) not in waiting or state in (SENT, REFUSED):
                continue
            file = next((file for file in shown_files(self._outbox, kind, key) if file["id"] == name), None)
            try:
                if file is not None:
                    self._send(kind, key, file, json.loads(upload) if upload else None)
            except _Trouble as trouble:
                self._mark(kind, key, name, trouble.state, None)
            except SyncFailed:
                pass  # It is tried again after the records, or in the next sync.
            except _Enough:
                return

    def _send_all(self) -> None:
        rows = self._store.execute("SELECT type, id, file, state, upload, left_with FROM added").fetchall()
        for kind, key, name, state, upload, left_with in rows:
            file = json.loads(left_with) if left_with else self._file(kind, key, name)
            lost = file is not None and state == SENT and file.get("state") == "awaiting"
            if file is not None and (lost or state not in (SENT, REFUSED)):
                try:
                    self._send(kind, key, file, json.loads(upload) if upload else None)
                except _Trouble as trouble:
                    self._mark(kind, key, name, trouble.state, None)

    def _file(self, kind: str, key: str, name: str) -> dict[str, Any] | None:
        """A file of a record as the server has the record; none where it does not carry it (yet, or any more)."""
        state = self._store.record(kind, key)
        files = [] if state is None or state.deleted else state.message.get("attachments") or []
        return next((file for file in files if file["id"] == name), None)

    def _mark(self, kind: str, key: str, name: str, state: str, upload: dict[str, Any] | None) -> None:
        with self._store.transaction():
            self._store.execute("UPDATE added SET state = ?, upload = ? WHERE type = ? AND id = ? AND file = ?",
                                (state, upload and encode(upload), kind, key, name))

    def _done(self, kind: str, key: str, name: str) -> None:
        """The server has the file; the next pull says so, too."""
        with self._store.transaction():
            self._store.execute("UPDATE added SET state = ?, upload = NULL, left_with = NULL"
                                " WHERE type = ? AND id = ? AND file = ?", (SENT, kind, key, name))
            self._store.mark_stored(kind, key, name)

    # Up.

    def _send(self, kind: str, key: str, file: dict[str, Any], upload: dict[str, Any] | None) -> None:
        """Brings one file to the server, from wherever its upload stands."""
        name = file["id"]
        content = self._files.read(name)
        if content is None:
            # It may be there all the same, from a copy or from somebody else.
            if self._ask_for_slot(kind, file) is None:
                self._done(kind, key, name)
            return
        for _ in range(TRIES):
            offset = None
            if upload is None:
                upload, offset = self._ask_for_slot(kind, file), 0
                if upload is None:
                    self._done(kind, key, name)
                    return
                self._mark(kind, key, name, PENDING, upload)
            stopped = self._upload(name, upload, content, offset)
            if stopped is None:
                self._done(kind, key, name)
                return
            if stopped.status in (410, 422):
                upload = None  # Gone, or spoilt: from the beginning.
                self._mark(kind, key, name, PENDING, None)
            elif stopped.status != 409:
                raise self._trouble(stopped)
        raise _Trouble(FAILING)

    def _upload(self, name: str, upload: dict[str, Any], content: bytes, offset: int | None) -> Answer | None:
        """Sends what the server lacks of an upload; the answer that stopped it, or none where the server has it all."""
        if offset is None:
            answer = self._to_upload("HEAD", upload)
            offset = self._offset(answer)
            if answer.status != 200 or offset is None:
                return answer
        while offset < len(content):
            answer = self._to_upload("PATCH", upload, content[offset:offset + CHUNK],
                                     {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"})
            reached = self._offset(answer)
            if answer.status != 204 or reached is None or reached <= offset:
                return answer
            offset = reached
        answer = self._line.exchange("POST", "/attachments/complete",
                                     encode({"id": name, "upload": upload["id"]}).encode())
        stored = answer.good and messages.is_complete_answer(answer.message) and answer.message["state"] == "stored"
        return None if stored else answer

    def _ask_for_slot(self, kind: str, file: dict[str, Any]) -> dict[str, Any] | None:
        """Where a file is to go; None where the server has it."""
        request = {"type": kind, "id": file["id"], "bytes": file["bytes"], "media_type": file["media_type"]}
        answer = self._line.exchange("POST", "/attachments", encode(request).encode())
        if not answer.good or not messages.is_slot_answer(answer.message):
            raise self._trouble(answer)
        if answer.message["have"]:
            return None
        upload = answer.message.get("upload") or {}
        if upload.get("protocol") != "tus-1.0":
            raise _Trouble(FAILING)
        return {"id": upload["id"], "url": upload["url"]}

    def _to_upload(self, method: str, upload: dict[str, Any], body: bytes | None = None,
                   headers: dict[str, str] | None = None) -> Answer:
        """A request to an upload. The token goes to no other server than the one that got it."""
        path = self._line.path_of("/attachments", upload["url"])
        if path is None:
            raise _Trouble(FAILING)
        return self._line.exchange(method, path, body, {**TUS, **(headers or {})}, whole_path=True)

    @staticmethod
    def _offset(answer: Answer) -> int | None:
        value = answer.headers.get("upload-offset", "")
        return int(value) if value.isdigit() else None

    @staticmethod
    def _trouble(answer: Answer) -> Exception:
        """What becomes of a file over which there is a problem."""
        if answer.status in (429, 503):
            return _Enough()
        if answer.problem and answer.problem["code"] == "attachment-refused":
            return _Trouble(REFUSED)
        if answer.problem or answer.status >= 500 or not answer.fault:
            return _Trouble(FAILING)
        return SyncFailed("network", answer.fault)

    # Down.

    def _fetch_all(self) -> None:
        rows = self._store.execute("SELECT DISTINCT file, bytes FROM attachment WHERE state = 'stored'").fetchall()
        for name, size in rows:
            if not self._files.has(name):
                self._fetch(name, size)

    def _fetch(self, name: str, size: int) -> None:
        """Fetches one file, and goes on where it was broken off. What has another hash is not taken."""
        for _ in range(2):
            offset = self._files.part_size(name)
            if not 0 < offset < size:
                offset = 0
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            with self._files.open_part(name, offset) as stream:
                answer = self._line.exchange("GET", f"/attachments/{name}", None, headers,
                                             sink=Sink(stream, offset, size))
            if answer.status in (429, 503):
                raise _Enough
            if answer.status in (200, 206) and self._files.finish_part(name):
                return
            if answer.status not in (200, 206, 416):
                return
            if answer.status == 416:
                self._files.drop_part(name)

    def _forget(self) -> None:
        """Drops what waits for records that carry it no longer, and the bytes that no record names."""
        with self._store.transaction():
            rows = self._store.execute("SELECT type, id, file FROM added WHERE left_with IS NULL OR state = ?",
                                       (REFUSED,))
            for kind, key, name in rows.fetchall():
                if not any(file["id"] == name for file in shown_files(self._outbox, kind, key)):
                    self._store.execute("DELETE FROM added WHERE type = ? AND id = ? AND file = ?", (kind, key, name))
            named = {row[0] for row in self._store.execute("SELECT file FROM attachment UNION SELECT file FROM added")}
            for (text,) in self._store.execute("SELECT files FROM mutation WHERE files IS NOT NULL").fetchall():
                named.update(file["id"] for file in json.loads(text))
            self._files.keep_only(named)
