"""Push: what users changed goes out, and what a server says of each change settles it or not.

How a batch gets there, and what becomes of one that does not, is in `batches`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable

from . import epoch
from .batches import Batches
from .line import Limits, Line, SyncFailed
from .merging import merge_in
from .mutation import BATCH, NEW, SENT, Mutation, data_of, files_of
from .order import Unit, in_order, units
from .outbox import Outbox
from .records import new_id, timestamp
from .store import Batch

SETTLED = frozenset({"applied", "duplicate", "merged", "superseded"})
PUSHES = 4  # so often in one sync a record is pushed that is stale each time


class Push(Batches):
    """The push phase of one sync."""

    def __init__(self, outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int]) -> None:
        super().__init__(outbox.store, line, limits)
        self._outbox = outbox
        self._clock = clock
        self._renamed: set[tuple[str, str]] = set()
        self._stale: Counter[tuple[str, str]] = Counter()  # how often each record was stale; then it was merged

    def _ready(self, skip: set[int], among: set[int] | None = None) -> list[Unit]:
        session = self._line.session()
        return in_order([mutation for mutation in self._outbox.sendable(among)
                         if mutation.n not in skip and mutation.type not in session.left_out
                         and self._stale[mutation.type, mutation.id] < PUSHES],
                        self._outbox, session)

    def _news(self) -> tuple[int, str]:
        return self._outbox.news, self._line.session().tag

    def _put_in(self, mutation: Mutation) -> None:
        mutation.state = BATCH
        self._outbox.update(mutation)

    def _on_its_way(self) -> list[Mutation]:
        return self._outbox.in_state(BATCH)

    def _take_out(self, state: str) -> list[set[int]]:
        batch = self._on_its_way()
        for mutation in batch:
            self._outbox.leave_open(mutation, state)
        return [{mutation.n for mutation in unit}
                for unit in units([mutation for mutation in batch if not mutation.discarded])]

    def _judge(self) -> None:
        """Sets aside what the server failed over alone, unless it fails over everything."""
        if not self._some_were_taken:
            if len(self._suspects) > 1:
                # It says nothing about any of them. What others did can be pulled all the same.
                self.failure = SyncFailed("server", "the server takes no push at all")
                return
            self._line.fetch_session()
        with self._store.transaction():
            for mutation in self._outbox.in_state(SENT):
                if any(mutation.n in unit for unit in self._suspects):
                    self._outbox.refuse(mutation, "server")
        self._suspects.clear()

    def _take(self, batch: Batch, said: dict[str, dict[str, Any]], seq: int | None) -> None:
        """States, conflict entries, what is left to do."""
        merged = self._groups_to_merge(said)
        for mutation in self._on_its_way():
            outcome = said.get(mutation.mutation_id, {})
            self._take_outcome(mutation, outcome, batch.replica, seq, merged)
            merge_in(self._outbox, mutation.type, mutation.id)
            for entry in outcome.get("conflicts", ()):
                self._store.put_record(self._line.session().feed_of(entry["type"]), entry, only_newer=True)

    def _take_outcome(self, mutation: Mutation, outcome: dict[str, Any], replica: str, seq: int | None,
                      merged: set[str | None]) -> None:
        word = outcome.get("outcome")
        record = outcome.get("record")
        if word in SETTLED:
            self._outbox.tally.settled(mutation.type)
        if word in ("applied", "duplicate") and outcome.get("rev") and outcome.get("version"):
            self._take_state(self._as_record(mutation, outcome, replica))
            epoch.keep(self._outbox, mutation, seq)
            self._outbox.settle(mutation, outcome["rev"], int(outcome["version"]), not mutation.deletes)
        elif word == "merged" and record:
            self._take_state(record)
            epoch.keep(self._outbox, mutation, seq)
            # An edit behind it was made without what others had changed; it is merged with the whole state.
            rev = mutation.base if mutation.type in self._outbox.rules else record["rev"]
            self._outbox.settle(mutation, rev, int(record["version"]), not record.get("deleted"))
        elif word == "superseded" and record:
            self._take_state(record)
            epoch.keep(self._outbox, mutation, seq)
            self._outbox.supersede(mutation)
        elif word == "rejected" and outcome.get("problem"):
            self._reject(mutation, outcome["problem"]["code"])
        elif word == "stale" and record and mutation.type in self._outbox.rules:
            self._take_state(record)
            self._outbox.reopen(mutation)
            self._stale[mutation.type, mutation.id] += 1
        elif word in ("held", "skipped", "stale"):
            left = self._outbox.put_off(mutation)
            if left and not (left.grp and left.grp in merged):
                self._later.add(left.n)
        else:
            self._outbox.leave_open(mutation, SENT)
            self._later.add(mutation.n)

    def _groups_to_merge(self, said: dict[str, dict[str, Any]]) -> set[str | None]:
        """The groups of which one is merged and goes again in this sync: the others, which were skipped, go with it."""
        return {mutation.grp for mutation in self._outbox.in_state(BATCH)
                if mutation.type in self._outbox.rules
                and said.get(mutation.mutation_id, {}).get("outcome") == "stale"}

    def _reject(self, mutation: Mutation, code: str) -> None:
        name = (mutation.type, mutation.id)
        if code == "unknown-record" and self._store.meta("recovering") and not mutation.discarded:
            self._make_again(mutation)
            return
        if code != "mutation-id-reused" or mutation.discarded or self._outbox.waiting_behind(mutation):
            self._outbox.refuse(mutation, code)
            return
        mutation.mutation_id, mutation.state = new_id("m-"), NEW
        self._outbox.update(mutation)
        if name in self._renamed:
            self._later.add(mutation.n)
        self._renamed.add(name)

    def _make_again(self, mutation: Mutation) -> None:
        """The backup lacks the record of what is sent again (`epoch.restored.lost-record-is-made`)."""
        if mutation.deletes:
            self._outbox.remove(mutation)
            epoch.await_record(self._outbox, mutation)
            return
        mutation.replaces, mutation.mutation_id, mutation.state = mutation.mutation_id, new_id("m-"), NEW
        mutation.saves, mutation.base, mutation.base_version, mutation.base_live = mutation.version, None, 0, False
        mutation.snapshot = None
        self._outbox.update(mutation)

    def _take_state(self, record: dict[str, Any]) -> None:
        feed = self._line.session().feed_of_record(record)
        if record.get("deleted"):
            feed = self._store.feed_that_brought(record["type"], record["id"]) or feed
        self._store.put_record(feed, record, only_newer=True)

    def _as_record(self, mutation: Mutation, outcome: dict[str, Any], replica: str) -> dict[str, Any]:
        """The state that a mutation made, until a pull brings it with the server's own times."""
        record: dict[str, Any] = {"type": mutation.type, "id": mutation.id, "rev": outcome["rev"],
                                  "version": int(outcome["version"]), "modified_at": mutation.modified_at,
                                  "accepted_at": timestamp(self._clock()), "replica": replica}
        if mutation.deletes:
            record["deleted"] = True
        else:
            record["data"] = data_of(mutation)
            if mutation.files:
                held = self._store.record(mutation.type, mutation.id)
                states = {file["id"]: file.get("state") for file in (held and held.message.get("attachments")) or ()}
                record["attachments"] = [{**file, "state": states.get(file["id"]) or "awaiting"}
                                         for file in files_of(mutation.files)]
        return record
