"""Push: what waits goes out in batches, each of which is kept until it is answered.

What a server says of a single mutation is an outcome. What it says of a batch as a whole, or fails to say, never
loses a mutation: it goes again under its own id, in the same bytes, in halves, or as another replica.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import epoch, messages
from .merging import merge_in
from .order import Unit, in_order, units
from .mutation import BATCH, EXPIRED, NEW, SENT, Mutation, data_of, files_of
from .outbox import Outbox
from .records import encode, new_id, timestamp
from .line import Line, Limits, Refused, SyncFailed
from .store import Batch, Store
from .transport import Answer

EXPIRED_CODE = "outcome-expired"
SETTLED = frozenset({"applied", "duplicate", "merged", "superseded"})
FENCES = 3    # so often in one sync a device takes a new name before it says that something is wrong
PUSHES = 4    # so often in one sync a record is pushed that is stale each time
FAILURES = 3  # so many answers of 500 and above take a batch apart


class _TakeApart(Exception):
    """The server cannot take the batch as it is."""


class Push:
    """The push phase of one sync."""

    def __init__(self, outbox: Outbox, line: Line, limits: Limits, clock: Any) -> None:
        self._outbox = outbox
        self._store: Store = outbox.store
        self._line = line
        self._limits = limits
        self._clock = clock
        self._halves: list[set[int]] = []     # what comes next where a batch was taken apart, by `n`
        self._later: set[int] = set()         # what was put off goes again in a later sync, not in this one
        self._suspects: list[set[int]] = []   # what the server failed over when it was alone
        self._renamed: set[tuple[str, str]] = set()
        self._sends = 0                       # how often the batch on its way was sent and answered with no success
        self._fences = 0
        self._some_were_taken = False
        self._stale: Counter[tuple[str, str]] = Counter()  # how often each record was stale; then it was merged
        self.went = False                     # whether a batch was answered
        self.failure: SyncFailed | None = None

    def run(self, only_settle: bool = False) -> bool:
        """Pushes what waits, or only the batch that has no answer; True where it is to be tried again after a pull."""
        again = False
        while True:
            batch, fresh = self._store.batch(), False
            if batch is None and only_settle:
                return again
            if batch is None:
                batch, fresh = self._freeze(), True
            if batch is None:
                if not self._suspects:
                    return again
                self._judge()
                if self.failure:
                    return again
                continue
            try:
                answer = self._send(batch)
            except _TakeApart:
                self._take_apart()
            except Refused as refused:
                again = self._obey(refused, fresh and self._sends == 1) or again
                if self.failure or refused.retry in ("resync", "rebase") and refused.code != EXPIRED_CODE:
                    return again
            else:
                self._some_were_taken = self.went = True
                self._apply(batch, answer)
                self._line.heed(answer["session"])

    # Making and sending a batch.

    def _freeze(self) -> Batch | None:
        """Makes the next batch, and keeps its bytes before they are sent."""
        session = self._line.session()
        most = min(session.batch_mutations, self._limits.batch or session.batch_mutations)
        with self._store.transaction():
            skip = self._later.union(*self._suspects)
            ready = in_order([mutation for mutation in self._outbox.sendable()
                              if mutation.n not in skip and mutation.type not in session.left_out
                              and self._stale[mutation.type, mutation.id] < PUSHES],
                             self._outbox, session)
            chosen: list[Unit] = []
            while self._halves and not chosen:
                half = self._halves.pop(0)
                chosen = [unit for unit in ready if unit[0].n in half]
            chosen = chosen or ready
            if not chosen:
                return None
            head: dict[str, Any] = {"replica": self._store.meta("replica"), "seq": self._store.meta("seq") + 1,
                                    "previous": self._store.meta("token"), "epoch": self._line.epoch}
            text = encode(head)[:-1] + ',"mutations":['
            parts: list[str] = []
            size = len(text.encode()) + 2
            for unit in chosen:
                more = [mutation.wire("groups" in session.capabilities) for mutation in unit]
                size += sum(len(part.encode()) + 1 for part in more)
                if parts and (size > session.body_bytes or len(parts) + len(more) > most):
                    break
                parts += more
                for mutation in unit:
                    mutation.state = BATCH
                    self._outbox.update(mutation)
            batch = Batch(head["replica"], head["seq"], (text + ",".join(parts) + "]}").encode(), 0)
            self._store.put_batch(batch)
        return batch

    def _send(self, batch: Batch) -> dict[str, Any]:
        """Sends the batch until there is an answer to it; a good one has an outcome of this batch."""

        def watch(answer: Answer) -> None:
            self._sends += 1
            retry = answer.problem["retry"] if answer.problem else None
            if answer.status in (400, 413) and retry in (None, "never"):
                raise _TakeApart
            if answer.status < 500 or answer.status == 503 or retry not in (None, "never", "same", "after"):
                return
            batch.failures += 1
            with self._store.transaction():
                self._store.put_batch(batch)
            if batch.failures >= FAILURES or retry == "never":
                raise _TakeApart

        self._sends = 0

        answer: dict[str, Any] = self._line.call("POST", "/push", batch.body, messages.is_push_answer, watch)
        mine = {mutation.mutation_id for mutation in self._outbox.in_state(BATCH)}
        if mine.isdisjoint(outcome["mutation_id"] for outcome in answer["outcomes"]):
            raise SyncFailed("network", "the answer to POST /push has an outcome for nothing that was pushed")
        return answer

    # What the server says of the batch as a whole.

    def _obey(self, refused: Refused, fresh: bool) -> bool:
        """Does what a problem asks for; True where the push is to be tried again after a pull."""
        # A batch that was never sent before has no outcome that could have been forgotten: only the replica is unknown.
        retry = "new-replica" if refused.code == EXPIRED_CODE and fresh else refused.retry
        if refused.code == EXPIRED_CODE and not fresh:
            with self._store.transaction():
                self._abandon(EXPIRED, new_replica=True)
                self._store.walk_again(None)
            return True
        if retry == "split":
            self._take_apart()
            return False
        with self._store.transaction():
            self._abandon(SENT, new_replica=retry == "new-replica")
            if retry == "resync":
                self._store.walk_again(refused.feeds or None)
        if retry in ("resync", "rebase"):
            return True
        if retry == "new-replica" and self._fences < FENCES:
            self._fences += 1
            return False
        failure = SyncFailed(refused.cause, str(refused))
        if retry != "never":
            raise failure
        self.failure = failure  # This push is over, but nothing speaks against a pull.
        return False

    def _abandon(self, state: str, new_replica: bool = False) -> list[Mutation]:
        """Takes the batch off its way; its mutations stay as they were sent, under their own ids."""
        with self._store.transaction():
            batch = self._outbox.in_state(BATCH)
            for mutation in batch:
                self._outbox.leave_open(mutation, state)
            self._store.drop_batch()
            if new_replica:
                self._store.become_replica()
        return [mutation for mutation in batch if not mutation.discarded]

    def _take_apart(self) -> None:
        """Halves the batch; one mutation, or one group, alone comes under suspicion (`cycles.poison.halves`)."""
        parts = [{mutation.n for mutation in unit} for unit in units(self._abandon(SENT, new_replica=True))]
        if len(parts) == 1:
            self._suspects += parts
        else:
            middle = (len(parts) + 1) // 2
            self._halves[:0] = [set().union(*half) for half in (parts[:middle], parts[middle:]) if half]

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

    # What the server says of each mutation.

    def _apply(self, batch: Batch, answer: dict[str, Any]) -> None:
        """Takes all that an answer says in one step: states, conflict entries, what is left to do."""
        said = {outcome["mutation_id"]: outcome for outcome in reversed(answer["outcomes"])}
        with self._store.transaction():
            seq = answer.get("accepted_seq")
            if seq is not None:
                epoch.accepted(self._store, seq)
            merged = self._groups_to_merge(said)
            for mutation in self._outbox.in_state(BATCH):
                outcome = said.get(mutation.mutation_id, {})
                self._take_outcome(mutation, outcome, batch.replica, seq, merged)
                merge_in(self._outbox, mutation.type, mutation.id)
                for entry in outcome.get("conflicts", ()):
                    self._store.put_record(self._line.session().feed_of(entry["type"]), entry, only_newer=True)
            self._store.drop_batch()
            self._store.set_meta(seq=batch.seq, token=answer["token"])

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
