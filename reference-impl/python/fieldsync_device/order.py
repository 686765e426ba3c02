"""The order of the queue: what a record refers to goes before it, and is deleted after it.

A change that refers to a record which this device made, and which the server has not taken, waits for it. Among changes
that do not depend on one another the older goes first. What goes as one is a *unit*: a mutation, or a whole group.
"""

from __future__ import annotations

from .mutation import CONFLICT, Mutation, data_of
from .outbox import Outbox
from .session import Session

Record = tuple[str, str]
Unit = list[Mutation]


def units(mutations: list[Mutation]) -> list[Unit]:
    """The mutations, those of a group in one unit."""
    found: dict[object, Unit] = {}
    for mutation in mutations:
        found.setdefault(mutation.grp or mutation.n, []).append(mutation)
    return list(found.values())


def in_order(ready: list[Mutation], outbox: Outbox, session: Session) -> list[Unit]:
    """What of `ready` can go now, in the order in which it goes."""
    entries = [[mutation] for mutation in ready if mutation.type == CONFLICT]  # they go after all that waits
    ready = [mutation for mutation in ready if mutation.type != CONFLICT]
    queue = _Queue(ready, outbox, session)
    changes = [mutation for mutation in ready if not mutation.deletes]
    deletes = [mutation for mutation in ready if mutation.deletes]
    for mutation in sorted(changes, key=lambda one: (session.rank(one.type), one.n)):
        queue.visit(mutation)
    going = queue.going
    queue.going = []
    for mutation in sorted(deletes, key=lambda one: (session.rank(one.type), -one.n)):
        queue.visit(mutation)
    return going + queue.going[::-1] + entries


class _Queue:
    def __init__(self, ready: list[Mutation], outbox: Outbox, session: Session) -> None:
        self._ready = {(mutation.type, mutation.id): mutation for mutation in ready}
        self._numbers = {mutation.n for mutation in ready}
        self._outbox = outbox
        self._session = session
        self._marks: dict[int | None, bool] = {}  # whether what was looked at goes
        self._begun: dict[int | None, tuple[Unit, list[tuple[Mutation, Record]]]] = {}
        self.going: list[Unit] = []

    def visit(self, first: Mutation) -> None:
        """Puts a mutation, with its group, behind what it refers to: a chain of any length, so this is no recursion."""
        path = [first]
        while path:
            mutation = path[-1]
            if mutation.n not in self._marks:
                path += self._begin(mutation)
                continue
            path.pop()
            if mutation.n in self._begun:
                self._end(*self._begun.pop(mutation.n))

    def _begin(self, mutation: Mutation) -> list[Mutation]:
        """Looks what a mutation and its group refer to; gives what of that is to be looked at before, the last first."""
        unit = [mutation] if mutation.grp is None else self._outbox.of_group(mutation.grp)
        for one in unit:
            self._marks[one.n] = True  # what refers to itself, by whatever way, goes as it stands
        own = {(one.type, one.id) for one in unit}
        references = [(one, parent) for one in unit for parent in self._parents(one) if parent not in own]
        self._begun[mutation.n] = unit, references
        before = [self._before(one, parent) for one, parent in references]
        return [other for other in reversed(before) if other and other.n not in self._marks]

    def _end(self, unit: Unit, references: list[tuple[Mutation, Record]]) -> None:
        """All that a unit refers to has been looked at."""
        # A group that lacks one which waits elsewhere, or was refused, waits with it.
        goes = self._numbers.issuperset(one.n for one in unit) \
            and all(self._is_there(one, parent) for one, parent in references)
        for one in unit:
            self._marks[one.n] = goes
        if goes:
            self.going.append(unit)

    def _before(self, mutation: Mutation, parent: Record) -> Mutation | None:
        """What goes before a mutation that refers to this record."""
        other = self._ready.get(parent)
        return other if other is not None and other.deletes == mutation.deletes else None

    def _is_there(self, mutation: Mutation, parent: Record) -> bool:
        """Whether what a mutation refers to is there, or goes before it."""
        other = self._before(mutation, parent)
        return other is not None and self._marks[other.n] or mutation.deletes or not self._is_unmade(parent)

    def _parents(self, mutation: Mutation) -> list[Record]:
        fields = self._session.parents.get(mutation.type)
        if not fields:
            return []
        data = data_of(mutation)
        if mutation.deletes:
            state = self._outbox.store.record(mutation.type, mutation.id)
            data = state.data if state else None
        named = ((kind, (data or {}).get(field)) for field, kind in fields)
        return [(kind, key) for kind, key in named if isinstance(key, str)]

    def _is_unmade(self, record: Record) -> bool:
        """Whether this device made it, and the server has not taken it."""
        first = next(iter(self._outbox.of(*record)), None)
        return first is not None and not first.deletes and not first.base_live
