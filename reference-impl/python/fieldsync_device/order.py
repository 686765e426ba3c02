"""The order of the queue: what a record refers to goes before it, and is deleted after it.

A change that refers to a record which this device made, and which the server has not taken, waits for it. Among changes
that do not depend on one another the older goes first.
"""

from __future__ import annotations

from .outbox import Mutation, Outbox, data_of
from .session import Session

Record = tuple[str, str]


def in_order(ready: list[Mutation], outbox: Outbox, session: Session) -> list[Mutation]:
    """What of `ready` can go now, in the order in which it goes."""
    queue = _Queue(ready, outbox, session)
    changes = [mutation for mutation in ready if not mutation.deletes]
    deletes = [mutation for mutation in ready if mutation.deletes]
    for mutation in sorted(changes, key=lambda one: (session.rank(one.type), one.n)):
        queue.visit(mutation)
    going = queue.going
    queue.going = []
    for mutation in sorted(deletes, key=lambda one: (session.rank(one.type), -one.n)):
        queue.visit(mutation)
    return going + queue.going[::-1]


class _Queue:
    def __init__(self, ready: list[Mutation], outbox: Outbox, session: Session) -> None:
        self._ready = {(mutation.type, mutation.id): mutation for mutation in ready}
        self._outbox = outbox
        self._session = session
        self._marks: dict[int, bool] = {}
        self.going: list[Mutation] = []

    def visit(self, mutation: Mutation) -> bool:
        """Puts a mutation behind what it refers to; whether it can go at all."""
        if mutation.n in self._marks:
            return self._marks[mutation.n]
        self._marks[mutation.n] = True  # what refers to itself, by whatever way, goes as it stands
        goes = True
        for parent in self._parents(mutation):
            other = self._ready.get(parent)
            follows = other is not None and other.deletes == mutation.deletes and self.visit(other)
            if not (follows or mutation.deletes) and self._is_unmade(parent):
                goes = False
        self._marks[mutation.n] = goes
        if goes:
            self.going.append(mutation)
        return goes

    def _parents(self, mutation: Mutation) -> list[Record]:
        fields = self._session.parents.get(mutation.type)
        if not fields:
            return []
        data = data_of(mutation)
        if mutation.deletes:
            state = self._outbox.store.record(mutation.type, mutation.id)
            data = state.data if state else None
        named = ((kind, (data or {}).get(field)) for field, kind in fields)
        return [(kind, key) for kind, key in named if isinstance(key, str) and (kind, key) != (mutation.type, mutation.id)]

    def _is_unmade(self, record: Record) -> bool:
        """Whether this device made it, and the server has not taken it."""
        first = next(iter(self._outbox.of(*record)), None)
        return first is not None and not first.deletes and not first.base_live
