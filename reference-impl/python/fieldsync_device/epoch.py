"""Another epoch (chapter "Epochs"): what the server acknowledged is kept until a backup has it, and sent again after a
restore.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from .mutation import BATCH, EXPIRED, SENT, Mutation
from .outbox import Outbox
from .records import encode
from .store import Store


class EpochChanged(Exception):
    """The data have another identity than this device knew."""

    def __init__(self, epoch: str, cause: str | None) -> None:
        super().__init__(f"the epoch is {epoch} now ({cause or 'for no reason that was given'})")
        self.epoch = epoch
        self.cause = cause


def keep(outbox: Outbox, mutation: Mutation, seq: int | None = None) -> None:
    """Keeps an acknowledged mutation, where the server says that backups are restored."""
    if outbox.restores:
        outbox.store.execute("INSERT INTO kept (seq, mutation) VALUES (?, ?)", (seq, encode(asdict(mutation))))


def await_record(outbox: Outbox, mutation: Mutation) -> None:
    """Keeps a delete whose record a backup lacked, until the record is there."""
    outbox.store.execute("INSERT INTO kept (awaited, mutation) VALUES (?, ?)",
                         (f"{mutation.type} {mutation.id}", encode(asdict(mutation))))


def delete_again(outbox: Outbox, record: dict[str, Any]) -> None:
    """A record came: a delete that waited for it is done, unless somebody went on from there."""
    kind, key = record["type"], record["id"]
    row = outbox.store.execute("SELECT k, mutation FROM kept WHERE awaited = ?", (f"{kind} {key}",)).fetchone()
    if row is None:
        return
    outbox.store.execute("DELETE FROM kept WHERE k = ?", (row[0],))
    mutation = Mutation(**json.loads(row[1]))
    if not record.get("deleted") and record["version"] < mutation.version and not outbox.unsettled_of(kind, key):
        outbox.add(kind, key, None, mutation.modified_at, saves=mutation.version - record["version"],
                   base=record["rev"], base_version=record["version"], base_live=True, replaces=mutation.mutation_id)


def accepted(store: Store, seq: int) -> None:
    """A batch was taken at this place; whatever has none was taken before."""
    store.execute("UPDATE kept SET seq = ? WHERE seq IS NULL AND awaited IS NULL", (seq,))


def heed(store: Store, session: dict[str, Any]) -> None:
    """A device that knows no epoch takes the session's. In the same one it forgets what a backup has."""
    with store.transaction():
        if store.meta("epoch") is None:
            store.set_meta(epoch=session["epoch"])
        if store.meta("epoch") == session["epoch"] and session.get("backed_up_seq") is not None:
            store.execute("DELETE FROM kept WHERE seq <= ?", (int(session["backed_up_seq"]),))


def enter(outbox: Outbox, changed: EpochChanged) -> None:
    """Goes on in another epoch: nothing that the server said before counts, and what a restore may have lost waits in
    front of all that was never acknowledged."""
    store, wiped = outbox.store, changed.cause == "wiped"
    with store.transaction():
        for mutation in outbox.in_state(BATCH) + outbox.in_state(EXPIRED):
            outbox.leave_open(mutation, SENT)
        store.drop_batch()
        store.execute("UPDATE link SET state = 'new' WHERE state = 'batch'")
        store.become_replica()
        store.walk_again(None)
        rows = store.execute("SELECT mutation FROM kept ORDER BY k").fetchall()
        kept = [] if wiped else [Mutation(**json.loads(row[0])) for row in rows]
        store.execute("DELETE FROM kept")
        waiting = outbox.unsettled() if kept else []
        for mutation in waiting:
            outbox.remove(mutation)
        for mutation in kept:
            mutation.state, mutation.discarded, mutation.cause = SENT, False, None
        for mutation in kept + waiting:
            mutation.n = None  # behind all that was put before it
            outbox.put(mutation)
        store.set_meta(epoch=changed.epoch, recovering=not wiped)
