"""What a device keeps, durably: records as the server has them, feeds with their cursors, mutations, the batch.

One SQLite file, one connection, one lock. Whatever belongs together is written in one transaction, so that a
process that is killed at any moment finds a store that it can go on from.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .records import encode, new_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    type TEXT, id TEXT, feed TEXT NOT NULL, walk INTEGER NOT NULL, rev TEXT NOT NULL, version INTEGER NOT NULL,
    deleted INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (type, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_walk ON record (feed, walk);
CREATE TABLE IF NOT EXISTS feed (
    name TEXT PRIMARY KEY, cursor TEXT, walk INTEGER NOT NULL, walking INTEGER NOT NULL,
    stopped INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mutation (
    n INTEGER PRIMARY KEY AUTOINCREMENT, mutation_id TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
    data TEXT, modified_at TEXT NOT NULL, saves INTEGER NOT NULL, base TEXT, base_version INTEGER NOT NULL,
    base_live INTEGER NOT NULL, snapshot TEXT, files TEXT, snapshot_files TEXT, replaces TEXT, grp TEXT,
    state TEXT NOT NULL, discarded INTEGER NOT NULL, cause TEXT, code TEXT);
CREATE INDEX IF NOT EXISTS mutation_record ON mutation (type, id, n);
CREATE INDEX IF NOT EXISTS mutation_state ON mutation (state);
CREATE INDEX IF NOT EXISTS mutation_group ON mutation (grp) WHERE grp IS NOT NULL;
CREATE TABLE IF NOT EXISTS kept (
    k INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER, awaited TEXT, mutation TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS kept_seq ON kept (seq);
CREATE INDEX IF NOT EXISTS kept_awaited ON kept (awaited) WHERE awaited IS NOT NULL;
CREATE TABLE IF NOT EXISTS attachment (
    type TEXT, id TEXT, file TEXT, bytes INTEGER NOT NULL, state TEXT, PRIMARY KEY (type, id, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS added (
    type TEXT, id TEXT, file TEXT, state TEXT NOT NULL, upload TEXT, left_with TEXT,
    PRIMARY KEY (type, id, file)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (
    n INTEGER PRIMARY KEY AUTOINCREMENT, mutation_id TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
    file TEXT NOT NULL, url TEXT NOT NULL, state TEXT NOT NULL, UNIQUE (type, id, file));
CREATE TABLE IF NOT EXISTS telling (id TEXT PRIMARY KEY, ended INTEGER NOT NULL, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    one INTEGER PRIMARY KEY CHECK (one = 1), replica TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,
    failures INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(slots=True)
class ServerState:
    """The server's state of a record, as this device last got it."""

    rev: str
    version: int
    deleted: bool
    message: dict[str, Any]

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files that it names, as a device pushes them: how they stand, the server says."""
        return [{name: value for name, value in file.items() if name != "state"}
                for file in (not self.deleted and self.message.get("attachments")) or ()]

    @property
    def data(self) -> dict[str, Any] | None:
        """What it says; nothing in a tombstone."""
        return None if self.deleted else self.message.get("data")


@dataclass(slots=True)
class Batch:
    """The batch on its way: its bytes never change, whatever happens (`cycles.freeze.byte-for-byte`)."""

    replica: str
    seq: int
    body: bytes
    failures: int


class _Transaction:
    """The lock and, while it is held, one transaction; a transaction within one is part of it.

    One that is rolled back takes what is remembered of the file with it.
    """

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock, remembered: dict[str, Any]) -> None:
        self._db = db
        self._lock = lock
        self._remembered = remembered
        self._depth = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._lock.release()
            raise
        self._depth += 1

    def __exit__(self, kind: object, *_: object) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                self._end(kind is None)
        finally:
            self._lock.release()

    def _end(self, well: bool) -> None:
        committed = False
        try:
            if well:
                self._db.execute("COMMIT")
                committed = True
        finally:
            if not committed:
                self._remembered.clear()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


class Store:
    """The file, or the memory, in which a device keeps its state."""

    def __init__(self, folder: Path | None, replica: str | None = None) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "device.sqlite3" if folder else ":memory:", timeout=10,
                                   isolation_level=None, check_same_thread=False)
        self.execute = self._db.execute
        self._meta: dict[str, Any] = {}  # the single values that were read or written; a session is long
        self._transaction = _Transaction(self._db, self._lock, self._meta)
        if folder:
            self.execute("PRAGMA journal_mode = WAL")
            self.execute("PRAGMA synchronous = FULL")
        with self.transaction():
            if not self.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept_seq'").fetchone():
                for statement in _SCHEMA.split(";"):
                    self.execute(statement)
            if self.meta("replica") is None:
                self.become_replica(replica)

    def transaction(self) -> _Transaction:
        """All of it or nothing; also what a read needs to see one moment."""
        return self._transaction

    def close(self) -> None:
        """Puts everything into the one file, which can be copied then."""
        with self._lock:
            self._db.close()

    # Single values.

    def meta(self, key: str) -> Any:
        """A single value, or None. Nobody changes it in place: the next one to ask is given the same."""
        with self._lock:
            if key not in self._meta:
                row = self.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
                self._meta[key] = None if row is None else json.loads(row[0])
            return self._meta[key]

    def set_meta(self, **values: Any) -> None:
        """Sets single values."""
        with self.transaction():
            for key, value in values.items():
                self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, encode(value)))
                self._meta[key] = value

    def become_replica(self, replica: str | None = None) -> None:
        """Takes a new replica id, whose batches begin at 1; everything else stays as it is."""
        self.set_meta(replica=replica or new_id("r-"), seq=0, token=None)

    # The server's records.

    def record(self, kind: str, key: str) -> ServerState | None:
        """The server's state of a record."""
        with self._lock:
            row = self.execute("SELECT rev, version, deleted, message FROM record WHERE type = ? AND id = ?",
                               (kind, key)).fetchone()
        return None if row is None else ServerState(row[0], row[1], bool(row[2]), json.loads(row[3]))

    def records(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """The live records of a type, each with its id, in the order of their ids."""
        with self._lock:
            rows = self.execute("SELECT id, message FROM record WHERE type = ? AND NOT deleted", (kind,)).fetchall()
        return [(key, json.loads(message)["data"]) for key, message in rows]

    def put_record(self, feed: str, message: dict[str, Any], only_newer: bool = False) -> None:
        """Takes a state. One that came with an outcome may be older than what a feed brought since (`only_newer`)."""
        deleted = bool(message.get("deleted")) or message.get("data") is None
        with self.transaction():
            if only_newer:
                held = self.record(message["type"], message["id"])
                if held is not None and held.version >= message["version"] \
                        and not self.is_doubtful(message["type"], message["id"]):
                    return
            walk = self.execute("SELECT walk FROM feed WHERE name = ?", (feed,)).fetchone()
            self.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                         (message["type"], message["id"], feed, walk[0] if walk else 1, message["rev"],
                          message["version"], deleted, encode(message)))
            self._put_attachments(message)

    def _put_attachments(self, message: dict[str, Any]) -> None:
        name = (message["type"], message["id"])
        self.execute("DELETE FROM attachment WHERE type = ? AND id = ?", name)
        for file in message.get("attachments") or ():
            self.execute("INSERT OR REPLACE INTO attachment VALUES (?, ?, ?, ?, ?)",
                         (*name, file["id"], int(file["bytes"]), file.get("state")))
            self.execute("UPDATE added SET left_with = NULL WHERE type = ? AND id = ? AND file = ?",
                         (*name, file["id"]))

    def mark_stored(self, kind: str, key: str, file: str) -> None:
        """The server has a file of a record."""
        with self.transaction():
            state = self.record(kind, key)
            if state is not None:
                for one in state.message.get("attachments") or ():
                    if one["id"] == file:
                        one["state"] = "stored"
                self.execute("UPDATE record SET message = ? WHERE type = ? AND id = ?",
                             (encode(state.message), kind, key))
                self._put_attachments(state.message)

    def is_doubtful(self, kind: str, key: str) -> bool:
        """Whether a walk is under way that has not met the record: what is held of it may be of another epoch."""
        return self.execute("SELECT 1 FROM record JOIN feed ON name = feed WHERE type = ? AND id = ? AND walking"
                            " AND record.walk < feed.walk", (kind, key)).fetchone() is not None

    def release_files(self, kind: str, key: str) -> None:
        """A record is shown no longer: what was added to it here, and the server has not got, goes up all the same."""
        state = self.record(kind, key)
        for file in state.files if state else ():
            self.execute("UPDATE added SET left_with = ? WHERE type = ? AND id = ? AND file = ? AND state <> 'sent'",
                         (encode(file), kind, key, file["id"]))

    def drop_record(self, kind: str, key: str) -> None:
        """Forgets a record."""
        self.execute("DELETE FROM record WHERE type = ? AND id = ?", (kind, key))
        self.execute("DELETE FROM attachment WHERE type = ? AND id = ?", (kind, key))

    # Feeds. A walk is one way through a feed from null; a record that it did not meet is gone.

    def cursors(self) -> dict[str, str | None]:
        """The cursor of each feed that was ever pulled, or is to be pulled from now on."""
        with self._lock:
            return dict(self.execute("SELECT name, cursor FROM feed WHERE NOT stopped").fetchall())

    def partitions(self, feed: str) -> list[str]:
        """The partitions of a type's feed that are known."""
        return [name for name in self.cursors() if name.startswith(feed + "/")]

    def begin_feed(self, name: str) -> None:
        """A feed was named: it is walked from null, if it is not pulled already."""
        self.execute("INSERT INTO feed VALUES (?, NULL, 1, 1, 0) ON CONFLICT (name) DO UPDATE SET cursor = NULL,"
                     " walk = walk + 1, walking = 1, stopped = 0 WHERE stopped", (name,))

    def stop_feed(self, name: str) -> None:
        """A feed is there no longer: it counts as walked to its end, with nothing in it."""
        with self.transaction():
            self.execute("UPDATE feed SET cursor = NULL, walk = walk + 1, walking = 0, stopped = 1 WHERE name = ?",
                         (name,))

    def move_record(self, kind: str, key: str, feed: str, to: str) -> None:
        """A record left a feed for another one; if it came by another one before, that is where it is."""
        self.execute("UPDATE record SET feed = ?, walk = coalesce((SELECT walk FROM feed WHERE name = ?), 1)"
                     " WHERE type = ? AND id = ? AND feed = ?", (to, to, kind, key, feed))

    def feed_that_brought(self, kind: str, key: str) -> str | None:
        """The feed of a record that is held."""
        row = self.execute("SELECT feed FROM record WHERE type = ? AND id = ?", (kind, key)).fetchone()
        return row[0] if row else None

    def unmet(self, feed: str) -> list[tuple[str, str]]:
        """The records of a type that no walk of its feeds has met, once all of them were pulled to their ends."""
        return self.execute("SELECT type, id FROM record JOIN feed ON name = feed WHERE (name = ? OR name GLOB ?)"
                            " AND NOT walking AND record.walk < feed.walk", (feed, feed + "/*")).fetchall()

    def walk_again(self, feeds: list[str] | None) -> None:
        """Begins these feeds, or all, from null."""
        with self.transaction():
            names = list(self.cursors()) if feeds is None else feeds
            for name in names:
                self.execute("UPDATE feed SET cursor = NULL, walk = walk + 1, walking = 1 WHERE name = ?", (name,))

    def move_cursor(self, feed: str, cursor: str) -> None:
        """Goes on with a feed, which begins its first walk where there was none."""
        self.execute("INSERT INTO feed VALUES (?, ?, 1, 1, 0)"
                     " ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor", (feed, cursor))

    def end_walk(self, feed: str) -> list[tuple[str, str]]:
        """Says that a feed was walked to its end, and names the records that did not come."""
        walk, walking = self.execute("SELECT walk, walking FROM feed WHERE name = ?", (feed,)).fetchone()
        if not walking:
            return []
        self.execute("UPDATE feed SET walking = 0 WHERE name = ?", (feed,))
        return self.execute("SELECT type, id FROM record WHERE feed = ? AND walk < ?", (feed, walk)).fetchall()

    # The batch on its way.

    def batch(self) -> Batch | None:
        """The batch that waits for its answer."""
        with self._lock:
            row = self.execute("SELECT replica, seq, body, failures FROM batch").fetchone()
        return None if row is None else Batch(*row)

    def put_batch(self, batch: Batch) -> None:
        """Keeps the batch, before it is sent."""
        self.execute("INSERT OR REPLACE INTO batch VALUES (1, ?, ?, ?, ?)",
                     (batch.replica, batch.seq, batch.body, batch.failures))

    def drop_batch(self) -> None:
        """The batch is answered, or taken apart."""
        self.execute("DELETE FROM batch")
