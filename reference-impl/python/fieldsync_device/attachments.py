"""The files of records (chapter "Attachments"): up and down after everything else, and never in its way.

A file that was added here stands in the table `added`, for as long as its record carries it: where a server loses it,
this device has it. What records carry as the server has them stands in `attachment`, which follows the records.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from . import edits, links
from .downloads import fetch
from .edits import NotPossible
from .files import Files
from .line import Line, SyncFailed
from .outbox import Outbox
from .records import encode
from .status import shown_files
from .storage import Storage
from .store import Store
from .uploads import PENDING, REFUSED, Enough, Stored, Trouble, Upload, Uploads

CAPABILITY = "attachments-proxied"
SENT = "sent"
PIECE = 1 << 16  # so much of a file is in memory at a time

Row = tuple[str, str, str]  # of the table `added`: the type, the id of the record, the id of the file


@dataclass(slots=True)
class ShownFile:
    """What a device shows of a file; `path` leads to its bytes, where they are here."""

    id: str
    status: str
    path: Path | None


def add(outbox: Outbox, files: Files, kind: str, key: str, media_type: str, content: BinaryIO) -> str:
    """Adds a file to a record, and gives its id. Its bytes are kept before the record names it.

    Refuses one that the server would refuse, with everything that was written beside it.
    """
    session = outbox.store.meta("session")
    types = session["registry"]["types"] if session else ()
    policy = next((entry.get("attachments") or {"max_bytes": -1} for entry in types if entry["name"] == kind), {})
    most, media_types = policy.get("max_bytes"), policy.get("media_types")
    with files.arrival() as arrival:
        while piece := content.read(PIECE):
            arrival.write(piece)
            if most is not None and arrival.size > most:
                break
        if most is not None and arrival.size > most or media_types and media_type not in media_types:
            raise NotPossible(f"a {kind} carries no {media_type} of {arrival.size} bytes or more")
        file = {"id": arrival.finish(), "bytes": arrival.size, "media_type": media_type}
        with outbox.store.transaction():
            edits.attach(outbox, kind, key, file, outbox.now())
            outbox.send_file(kind, key, file)
            files.settle(arrival.path, file["id"])
    return str(file["id"])


def show(outbox: Outbox, files: Files, kind: str, key: str) -> list[ShownFile]:
    """The files of a record, as its user sees them, in their order."""
    store = outbox.store
    with store.transaction():
        here = shown_files(outbox, kind, key)
        added = dict(store.execute("SELECT file, state FROM added WHERE type = ? AND id = ?", (kind, key)).fetchall())
        server = dict(store.execute("SELECT file, state FROM attachment WHERE type = ? AND id = ?",
                                    (kind, key)).fetchall())
    shown = []
    for file in here:
        name = file["id"]
        path = files.verified(name)
        if server.get(name) == "stored":
            status = "remote" if path is None else "synced"
        elif name in added:
            status = "missing" if path is None else PENDING if added[name] == SENT else added[name]
        else:
            status = "awaiting"
        shown.append(ShownFile(name, status, path))
    return shown


class Attachments:
    """The phases of the files in one sync."""

    def __init__(self, outbox: Outbox, line: Line, files: Files, storage: Storage) -> None:
        self._outbox = outbox
        self._store: Store = outbox.store
        self._line = line
        self._files = files
        self._uploads = Uploads(line, storage)

    def run(self) -> None:
        """Sends what waits, then fetches what is not here. Only the network ends it, and with it the sync."""
        if CAPABILITY not in self._line.session().capabilities:
            return
        try:
            self._send_all()
            self._fetch_all()
        except Enough:
            pass
        self._forget()

    def run_first(self) -> None:
        """Sends the files that go before their records. Whatever becomes of them, the records follow."""
        if CAPABILITY not in self._line.session().capabilities:
            return
        try:
            self._send_first()
        except Enough:
            pass

    def _go_on(self) -> None:
        """Looks before each file whether it may go: a user can say at any moment that the network costs."""
        if self._store.meta("metered"):
            raise Enough

    # Up.

    def _send_first(self) -> None:
        types = self._store.meta("session")["registry"]["types"]
        first = {entry["name"] for entry in types if (entry.get("attachments") or {}).get("order") == "media-first"}
        rows = self._store.execute("SELECT type, id, file, state, upload FROM added").fetchall()
        waiting = {(mutation.type, mutation.id) for mutation in self._outbox.sendable()}
        for kind, key, name, state, upload in rows:
            if kind not in first or (kind, key) not in waiting or state in (SENT, REFUSED):
                continue
            file = next((file for file in shown_files(self._outbox, kind, key) if file["id"] == name), None)
            if file is None:
                continue
            self._go_on()
            try:
                self._send(kind, key, file, upload)
            except SyncFailed:
                pass  # It is tried again after the records, or in the next sync.

    def _send_all(self) -> None:
        """What waits, and what the server had and lost. The thousands that it has are not looked at."""
        rows = self._store.execute(
            "SELECT type, id, file, upload, left_with FROM added LEFT JOIN attachment USING (type, id, file)"
            " WHERE added.state NOT IN (?, ?) OR added.state = ? AND attachment.state = 'awaiting'",
            (SENT, REFUSED, SENT)).fetchall()
        for kind, key, name, upload, left_with in rows:
            file = json.loads(left_with) if left_with else self._file(kind, key, name)
            if file is not None:
                self._go_on()
                self._send(kind, key, file, upload)

    def _file(self, kind: str, key: str, name: str) -> dict[str, Any] | None:
        """A file of a record as the server has the record; none where it does not carry it (yet, or any more)."""
        state = self._store.record(kind, key)
        files = [] if state is None or state.deleted else state.message.get("attachments") or []
        return next((file for file in files if file["id"] == name), None)

    def _send(self, kind: str, key: str, file: dict[str, Any], kept: str | None) -> None:
        """Brings one file to the server, as far as it goes now. What becomes of it stops no other."""
        row = (kind, key, file["id"])
        upload = json.loads(kept) if kept else None
        try:
            path = self._files.verified(file["id"])
            if path is not None:
                stored = self._uploads.send(kind, file, path, upload, lambda upload: self._keep(row, upload))
            else:
                stored = self._uploads.look_for(kind, file, upload)
            if stored:
                self._done(row, stored)
        except Trouble as trouble:
            # The upload is kept: the file goes on, next time, from as far as it came.
            with self._store.transaction():
                self._store.execute("UPDATE added SET state = ? WHERE type = ? AND id = ? AND file = ?",
                                    (trouble.state, *row))

    def _keep(self, row: Row, upload: Upload | None) -> None:
        with self._store.transaction():
            self._store.execute("UPDATE added SET state = ?, upload = ? WHERE type = ? AND id = ? AND file = ?",
                                (PENDING, upload and encode(upload), *row))

    def _done(self, row: Row, stored: Stored) -> None:
        """The server has the file; the next pull says so, too. What there is to link is kept together with that."""
        with self._store.transaction():
            self._store.execute("UPDATE added SET state = ?, upload = NULL, left_with = NULL"
                                " WHERE type = ? AND id = ? AND file = ?", (SENT, *row))
            self._store.mark_stored(*row)
            links.wait(self._outbox, *row, stored.url)

    # Down, and away.

    def _fetch_all(self) -> None:
        rows = self._store.execute("SELECT DISTINCT file, bytes FROM attachment WHERE state = 'stored'").fetchall()
        for name, size in rows:
            if not self._files.has(name):
                self._go_on()
                fetch(self._line, self._files, name, size)

    def _forget(self) -> None:
        """Drops what waits for records that carry it no longer, and the bytes that no record names."""
        with self._store.transaction():
            # A record without work of its user carries what stands in `attachment`.
            rows = self._store.execute(
                "SELECT type, id, file FROM added AS one WHERE (left_with IS NULL OR state = ?) AND"
                " (NOT EXISTS (SELECT 1 FROM attachment AS its WHERE (its.type, its.id, its.file)"
                " = (one.type, one.id, one.file))"
                " OR EXISTS (SELECT 1 FROM mutation AS work WHERE (work.type, work.id) = (one.type, one.id)))",
                (REFUSED,))
            for kind, key, name in rows.fetchall():
                if not any(file["id"] == name for file in shown_files(self._outbox, kind, key)):
                    self._store.execute("DELETE FROM added WHERE type = ? AND id = ? AND file = ?", (kind, key, name))
            links.forget(self._store)
            named = {row[0] for row in self._store.execute("SELECT file FROM attachment UNION SELECT file FROM added")}
            for (text,) in self._store.execute("SELECT files FROM mutation WHERE files IS NOT NULL").fetchall():
                named.update(file["id"] for file in json.loads(text))
            self._files.keep_only(named)
