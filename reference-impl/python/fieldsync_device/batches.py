"""Batches of mutations: each is kept until it is answered, whatever is in it.

What a server says of a batch as a whole, or fails to say, never loses a mutation: it goes again under its own id, in
the same bytes, in halves, or as another replica. What it says of a single mutation is for `push` and `links` to know.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Sequence

from . import epoch, messages
from .line import Limits, Line, Refused, SyncFailed
from .mutation import EXPIRED, SENT
from .records import encode
from .store import Batch, Store
from .transport import Answer

EXPIRED_CODE = "outcome-expired"
FENCES = 3    # so often in one sync a device takes a new name before it says that something is wrong
FAILURES = 3  # so many answers of 500 and above take a batch apart


class _TakeApart(Exception):
    """The server cannot take the batch as it is."""


class Batches:
    """The batches of one kind of mutations, in one sync.

    A mutation of any kind has an `n`, by which it is known here, a `mutation_id`, and says in `wire` how it is pushed.
    """

    def __init__(self, store: Store, line: Line, limits: Limits) -> None:
        self._store = store
        self._line = line
        self._limits = limits
        self._halves: list[set[int]] = []     # what comes next where a batch was taken apart, by `n`
        self._queue: deque[set[int]] = deque()  # what waits behind the batch, unit by unit in its order, by `n`
        self._known: Any = None               # what there was when the order was worked out
        self._later: set[int] = set()         # what was put off goes again in a later sync, not in this one
        self._suspects: list[set[int]] = []   # what the server failed over when it was alone
        self._sends = 0                       # how often the batch on its way was sent and answered with no success
        self._fences = 0
        self._some_were_taken = False
        self.sent = False                     # whether a batch was sent
        self.went = False                     # whether one was answered
        self.failure: SyncFailed | None = None

    # What each kind knows of itself.

    def _ready(self, skip: set[int], among: set[int] | None = None) -> list[list[Any]]:
        """What can go now, of these or of all that waits, in its order; what goes together is one."""
        raise NotImplementedError

    def _news(self) -> Any:
        """Something else whenever anything new can go, for which the order is to be worked out anew."""
        return None

    def _put_in(self, item: Any) -> None:
        """It is in the batch on its way."""
        raise NotImplementedError

    def _on_its_way(self) -> Sequence[Any]:
        """What is in it."""
        raise NotImplementedError

    def _take_out(self, state: str) -> list[set[int]]:
        """Nobody knows what became of the batch: all of it stays as it was sent. Gives what of it goes again."""
        raise NotImplementedError

    def _judge(self) -> None:
        """What the server failed over alone: is it that, or the server?"""
        raise NotImplementedError

    def _take(self, batch: Batch, said: dict[str, dict[str, Any]], seq: int | None) -> None:
        """Takes what an answer says of each mutation, by its id."""
        raise NotImplementedError

    # One after another.

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
            chosen = self._choose(most)
            if not chosen:
                return None
            head: dict[str, Any] = {"replica": self._store.meta("replica"), "seq": self._store.meta("seq") + 1,
                                    "previous": self._store.meta("token"), "epoch": self._line.epoch}
            text = encode(head)[:-1] + ',"mutations":['
            parts: list[str] = []
            size = len(text.encode()) + 2
            for place, unit in enumerate(chosen):
                more = [mutation.wire("groups" in session.capabilities) for mutation in unit]
                size += sum(len(part.encode()) + 1 for part in more)
                if parts and (size > session.body_bytes or len(parts) + len(more) > most):
                    self._queue.extendleft({mutation.n for mutation in left} for left in reversed(chosen[place:]))
                    break
                parts += more
                for mutation in unit:
                    self._put_in(mutation)
            batch = Batch(head["replica"], head["seq"], (text + ",".join(parts) + "]}").encode(), 0)
            self._store.put_batch(batch)
        return batch

    def _choose(self, most: int) -> list[list[Any]]:
        """What the next batch is made of: a half, or what the queue has in front, or what is left of all that waits.

        As long as nothing new comes, the order of all is worked out once. Before a batch goes, only what is to be in it
        is looked at again: what went before may have been refused, or put off.
        """
        skip = self._later.union(*self._suspects)
        news = self._news()
        if news != self._known:
            self._queue.clear()
        self._known = news
        while self._halves or self._queue:
            chosen = self._ready(skip, self._halves.pop(0) if self._halves else self._front(most))
            if chosen:
                return chosen
        return self._ready(skip)

    def _front(self, most: int) -> set[int]:
        front = self._queue.popleft()
        while self._queue and len(front) + len(self._queue[0]) <= most:
            front |= self._queue.popleft()
        return front

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

        self._sends, self.sent = 0, True
        answer: dict[str, Any] = self._line.call("POST", "/push", batch.body, messages.is_push_answer, watch)
        mine = {mutation.mutation_id for mutation in self._on_its_way()}
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

    def _abandon(self, state: str, new_replica: bool = False) -> list[set[int]]:
        """Takes the batch off its way; its mutations stay as they were sent, under their own ids."""
        with self._store.transaction():
            left = self._take_out(state)
            self._store.drop_batch()
            if new_replica:
                self._store.become_replica()
        return left

    def _take_apart(self) -> None:
        """Halves the batch; one mutation, or one group, alone comes under suspicion (`cycles.poison.halves`)."""
        parts = self._abandon(SENT, new_replica=True)
        if len(parts) == 1:
            self._suspects += parts
        else:
            middle = (len(parts) + 1) // 2
            self._halves[:0] = [set().union(*half) for half in (parts[:middle], parts[middle:]) if half]

    # What the server says of each mutation.

    def _apply(self, batch: Batch, answer: dict[str, Any]) -> None:
        """Takes all that an answer says in one step."""
        said = {outcome["mutation_id"]: outcome for outcome in reversed(answer["outcomes"])}
        with self._store.transaction():
            seq = answer.get("accepted_seq")
            if seq is not None:
                epoch.accepted(self._store, seq)
            self._take(batch, said, seq)
            self._store.drop_batch()
            self._store.set_meta(seq=batch.seq, token=answer["token"])
