"""Telling the server of syncs, so that somebody sees who does not get through (chapter "Telemetry").

It is never in the way of data: it has a replica of its own, with its own row of batches, it goes last, and whatever
becomes of it changes nothing about the sync.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from . import messages
from .epoch import EpochChanged
from .line import Line, Refused, SyncFailed
from .records import encode, new_id, new_record_id, timestamp
from .store import Store
from .tally import Tally

if TYPE_CHECKING:
    from .cycle import SyncEnd

KIND = "telemetry"
BATCHES = 5  # so many in one sync
MOST = 100   # so many syncs that could not be told of are kept
TROUBLE = 3  # so many that wait are told before the pull


@dataclass(frozen=True, slots=True)
class Names:
    """How the app and the device are called, where syncs are told."""

    app: str | None = None
    device: str | None = None


class Telling:
    """What there is to tell."""

    def __init__(self, store: Store, line: Line, clock: Callable[[], int], names: Names) -> None:
        self._store = store
        self._line = line
        self._clock = clock
        self._names = {name: value for name, value in (("app", names.app), ("device", names.device)) if value}
        self._traffic = (0, 0, 0)
        with store.transaction():
            # What was begun and never ended was killed; so it says already.
            store.execute("UPDATE telling SET ended = 1")

    def begin(self) -> None:
        """Stores, before the first byte is sent, that a sync begins."""
        started = self._clock()
        self._traffic = self._line.traffic()
        message = {"started_at": timestamp(started), "outcome": "killed", **self._names}
        with self._store.transaction():
            self._store.execute("INSERT INTO telling VALUES (?, 0, ?)", (new_record_id(started), encode(message)))

    def end(self, end: SyncEnd, tally: Tally) -> None:
        """The sync has ended: tells of it and of earlier ones, or leaves that to the next."""
        with self._store.transaction():
            (key, text), = self._store.execute("SELECT id, message FROM telling WHERE NOT ended").fetchall()
            if end.ok and not (tally.pushed or tally.pulled or tally.given_up):
                self._store.execute("DELETE FROM telling WHERE id = ?", (key,))
            else:
                requests, sent, received = map(int.__sub__, self._line.traffic(), self._traffic)
                message = {**json.loads(text), "ended_at": timestamp(self._clock()), "outcome": "ok",
                           "pushed": tally.pushed, "pulled": tally.pulled, "given_up": tally.given_up,
                           "requests": requests, "bytes_sent": sent, "bytes_received": received}
                if not end.ok:
                    message |= {"outcome": "failed", "cause": end.cause, "detail": (end.detail or "")[:2048]}
                self._store.execute("UPDATE telling SET ended = 1, message = ? WHERE id = ?", (encode(message), key))
            self._store.execute("DELETE FROM telling WHERE id NOT IN"
                                " (SELECT id FROM telling ORDER BY rowid DESC LIMIT ?)", (MOST,))
        # A sync that the server broke off is told at once: there may never be a better one.
        if end.ok or end.cause == "server" and not end.retry_after:
            self._tell()

    def before_the_pull(self) -> None:
        """Tells of earlier syncs, where several wait: it may be in the pull that each of them breaks off."""
        (waiting,), = self._store.execute("SELECT count(*) FROM telling WHERE ended").fetchall()
        if waiting >= TROUBLE:
            self._tell()

    def _tell(self) -> None:
        for _ in range(BATCHES):
            try:
                if not self._push():
                    return
            except Refused as refused:
                self._forget(new_replica=refused.retry in ("new-replica", "resync"))
                if refused.retry != "new-replica":
                    return
            except EpochChanged:
                self._forget(new_replica=True)  # The next sync enters the epoch; then this goes again.
                return
            except SyncFailed:
                return  # The batch stays as it is, for the next sync.

    def _push(self) -> bool:
        """Sends a batch; whether it went."""
        row = self._store.meta("telling") or {"replica": new_id("t-"), "seq": 1, "previous": None, "body": None}
        if row["body"] is None:
            row = {**row, "body": self._freeze(row)}
            if row["body"] is None:
                return False
            self._store.set_meta(telling=row)
        answer = self._line.call("POST", "/push", row["body"].encode(), messages.is_push_answer)
        sent = {mutation["mutation_id"]: mutation["id"] for mutation in json.loads(row["body"])["mutations"]}
        outcomes = {outcome["mutation_id"]: outcome["outcome"] for outcome in answer["outcomes"]}
        if sent.keys().isdisjoint(outcomes):
            return False
        with self._store.transaction():
            for mutation_id, key in sent.items():
                if outcomes.get(mutation_id) in ("applied", "duplicate", "merged", "superseded", "rejected"):
                    self._store.execute("DELETE FROM telling WHERE id = ?", (key,))
            self._store.set_meta(telling={**row, "seq": row["seq"] + 1, "previous": answer["token"], "body": None})
        self._line.heed(answer["session"])
        return True

    def _freeze(self, row: dict[str, Any]) -> str | None:
        """The next batch of this replica; none where there is nothing to tell, or nobody who wants to know."""
        session = self._line.session()
        with self._store.transaction():
            rows = self._store.execute("SELECT id, message FROM telling WHERE ended ORDER BY rowid LIMIT ?",
                                       (min(MOST, session.batch_mutations),)).fetchall()
        known = self._store.meta("session")
        if not rows or KIND not in session.capabilities or known["role"] == "read-only":
            return None
        mutations: list[dict[str, Any]] = []
        size = 1024
        for key, text in rows:
            data = {"user": known["principal"], **json.loads(text)}
            mutations.append({"mutation_id": "m-" + key, "op": "create", "type": KIND, "id": key, "base": None,
                              "version": 1, "modified_at": data.get("ended_at", data["started_at"]), "data": data})
            size += len(encode(mutations[-1]).encode()) + 1
            if size > session.body_bytes and len(mutations) > 1:
                mutations.pop()
                break
        return encode({"replica": row["replica"], "seq": row["seq"], "previous": row["previous"],
                       "epoch": self._line.epoch, "mutations": mutations})

    def _forget(self, new_replica: bool) -> None:
        """The batch is answered, and nothing came of it."""
        row = self._store.meta("telling")
        self._store.set_meta(telling=None if new_replica or row is None else {**row, "body": None})
