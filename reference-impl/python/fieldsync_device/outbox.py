"""The mutations of a device: the outbox, and the quarantine of those that were refused.

A record has at most one mutation that was sent, and behind it one that waits. What an outcome says of the first changes
the base of the second.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any, Callable

from .mutation import DEFERRED, FIELD_MERGE, NEW, REFUSED, SENT, Mutation
from .records import encode, machine_clock, new_id, timestamp
from .store import Store
from .tally import Tally

WAITS_TO_GO_UP = "pending"  # a file whose record is in the outbox, or with the server already

_NAMES = tuple(field.name for field in fields(Mutation))
_COLUMNS = ", ".join(_NAMES)
_PLACES = ", ".join("?" * len(_NAMES))
_SETS = ", ".join(f"{name} = ?" for name in _NAMES)
_values = attrgetter(*_NAMES)


class Outbox:
    """The mutations in a store."""

    def __init__(self, store: Store, clock: Callable[[], int] = machine_clock) -> None:
        self.store = store
        self._clock = clock
        self.rules: dict[str, dict[str, Any]] = {}  # of each type that devices merge
        self.linked: dict[str, set[str]] = {}  # of each type whose data hold URLs, the members that name no file
        self.restores = False                     # whether the server says that backups are restored
        self.follow(store.meta("session"))
        self.pushing = False  # whether the batch is on its way at this moment
        self.tally = Tally()  # what the sync that is under way has done
        self.news = 0         # how often something came that was never sent, or changed what was not

    def now(self) -> str:
        """The time, by the device's clock."""
        return timestamp(self._clock())

    def follow(self, session: dict[str, Any] | None) -> None:
        """A session came: which types are merged on the device, and how; and which are linked."""
        self.restores = session is not None and "restore" in (session.get("capabilities") or ())
        types = session["registry"]["types"] if session else ()
        self.rules = {entry["name"]: entry["merge"] for entry in types if entry["merge"]["policy"] == FIELD_MERGE}
        self.linked = {entry["name"]: _read_by_the_server(entry) for entry in types
                       if (entry.get("attachments") or {}).get("link") == "url"}

    def snapshot(self, kind: str, data: Any) -> str | None:
        """What is kept of the state on which a change is made, where its type is merged."""
        return encode(data) if kind in self.rules and data is not None else None

    def _select(self, where: str, *values: Any) -> list[Mutation]:
        with self.store.transaction():
            return [Mutation(*row) for row in
                    self.store.execute(f"SELECT {_COLUMNS} FROM mutation WHERE {where} ORDER BY n", values)]

    def of(self, kind: str, key: str) -> list[Mutation]:
        """What there is of a record: what was sent, then what waits behind it; or what was refused."""
        return self._select("type = ? AND id = ?", kind, key)

    def unsettled_of(self, kind: str, key: str) -> list[Mutation]:
        """The outbox, as far as it is about one record."""
        return self._select("type = ? AND id = ? AND state <> 'refused'", kind, key)

    def of_type(self, kind: str) -> list[Mutation]:
        """The outbox and the quarantine of one type."""
        return self._select("type = ?", kind)

    def unsettled(self) -> list[Mutation]:
        """The outbox, in the order of its making."""
        return self._select("state <> 'refused'")

    def refused(self) -> list[Mutation]:
        """The quarantine."""
        return self._select("state = 'refused'")

    def in_state(self, state: str) -> list[Mutation]:
        """The mutations in a state."""
        return self._select("state = ?", state)

    def sendable(self, among: set[int] | None = None) -> list[Mutation]:
        """What can go into a batch, of these or of all: the first mutation of each record, and never two of one."""
        these = "" if among is None else f"n IN ({', '.join(map(str, among))}) AND "
        return self._select(these + "state IN ('new', 'deferred', 'sent') AND NOT EXISTS"
                            " (SELECT 1 FROM mutation AS earlier WHERE earlier.type = mutation.type"
                            " AND earlier.id = mutation.id AND earlier.n < mutation.n)")

    def of_group(self, group: str) -> list[Mutation]:
        """The mutations that go together, wherever they stand."""
        return self._select("grp = ?", group)

    def add(self, kind: str, key: str, data: dict[str, Any] | None, at: str, **more: Any) -> None:
        """A new mutation. One that waits behind another gets its base when that one is answered."""
        self.put(Mutation(None, new_id("m-"), kind, key, None if data is None else encode(data), at, **more))

    def put(self, mutation: Mutation) -> None:
        """Puts a mutation into its place, or behind all others where it has none."""
        self.news += mutation.state == NEW
        self.store.execute(f"INSERT INTO mutation ({_COLUMNS}) VALUES ({_PLACES})", _values(mutation))

    def update(self, mutation: Mutation) -> None:
        """Writes back what changed in a mutation."""
        self.news += mutation.state == NEW
        self.store.execute(f"UPDATE mutation SET {_SETS} WHERE n = ?", (*_values(mutation), mutation.n))

    def send_file(self, kind: str, key: str, file: dict[str, Any]) -> None:
        """A record names a file whose bytes are here: it waits to go up, once the server has the record."""
        self.store.execute("INSERT INTO added VALUES (?, ?, ?, ?, NULL, NULL) ON CONFLICT (type, id, file)"
                           " DO UPDATE SET state = excluded.state, left_with = NULL",
                           (kind, key, file["id"], WAITS_TO_GO_UP))

    def remove(self, mutation: Mutation) -> None:
        """Forgets a mutation."""
        self.store.execute("DELETE FROM mutation WHERE n = ?", (mutation.n,))

    def waiting_behind(self, mutation: Mutation) -> Mutation | None:
        """The edit that was made since a mutation was sent."""
        found = self._select("type = ? AND id = ? AND n > ?", mutation.type, mutation.id, mutation.n)
        return found[0] if found else None

    def settle(self, mutation: Mutation, rev: str, version: int, live: bool) -> None:
        """The mutation is the record's state: what waited behind it goes on from there."""
        waiting = self.waiting_behind(mutation)
        self.remove(mutation)
        if waiting and waiting.state == SENT:
            # It goes again after a restore: it stays what it was.
            waiting.saves = max(waiting.saves, waiting.version - version)
        elif waiting:
            waiting.snapshot = mutation.data if live and mutation.type in self.rules else None
            waiting.snapshot_files = mutation.files
        if waiting:
            waiting.base, waiting.base_version, waiting.base_live = rev, version, live
            self._keep_or_drop(waiting)

    def give_way(self, mutation: Mutation) -> Mutation | None:
        """The mutation ends here; what waited behind it takes its base and what was saved since."""
        waiting = self.waiting_behind(mutation)
        self.remove(mutation)
        if waiting is None:
            return None
        waiting.base, waiting.base_version = mutation.base, mutation.base_version
        waiting.base_live, waiting.snapshot = mutation.base_live, mutation.snapshot
        waiting.snapshot_files = mutation.snapshot_files
        waiting.saves += mutation.saves
        return waiting

    def supersede(self, mutation: Mutation) -> None:
        """Another state won: what waited is ranked on the old base, for its user had not seen the winner."""
        waiting = self.give_way(mutation)
        if waiting:
            self.update(waiting)

    def refuse(self, mutation: Mutation, code: str) -> None:
        """The mutation is set aside, or becomes one with the edit that waited behind it."""
        waiting = self.give_way(mutation)
        if waiting:
            self._become_one(waiting, mutation)
        elif not mutation.discarded:
            mutation.state, mutation.cause, mutation.code = REFUSED, None, code
            self.put(mutation)
            self.tally.given_up += 1

    def put_off(self, mutation: Mutation) -> Mutation | None:
        """The server did not take it yet: it stays, as one with the edit that waited behind it."""
        waiting = self.waiting_behind(mutation)
        if waiting or mutation.discarded:
            waiting = self.give_way(mutation)
            if waiting:
                self._become_one(waiting, mutation)
            return waiting
        mutation.state = DEFERRED
        self.update(mutation)
        return mutation

    def reopen(self, mutation: Mutation) -> None:
        """The server has another state than the mutation's base: it waits for the merge, as one with all behind it."""
        first, waiting = mutation, self.waiting_behind(mutation)
        while waiting:
            waiting = self.give_way(mutation)
            waiting.mutation_id, waiting.replaces, waiting.grp = first.mutation_id, first.replaces, first.grp
            mutation, waiting = waiting, self.waiting_behind(waiting)
        if mutation is first and first.discarded:
            self.remove(first)
        else:
            mutation.state = NEW
            self.update(mutation)

    def leave_open(self, mutation: Mutation, state: str) -> None:
        """Nobody knows what became of it: it stays as it was sent, whatever waits behind it."""
        if mutation.discarded:
            self.supersede(mutation)
        else:
            mutation.state = state
            self.update(mutation)

    def _become_one(self, waiting: Mutation, mutation: Mutation) -> None:
        """What waited says what the one before it said as well, and goes with whom that one went."""
        waiting.replaces, waiting.grp = mutation.mutation_id, mutation.grp
        self._keep_or_drop(waiting)

    def _keep_or_drop(self, waiting: Mutation) -> None:
        if waiting.state != SENT and waiting.changes_nothing:
            self.remove(waiting)
        else:
            self.update(waiting)

    def mark_failed(self, cause: str) -> None:
        """A sync failed: what waits shows why."""
        self.store.execute("UPDATE mutation SET cause = ? WHERE state <> 'refused'", (cause,))

    def mark_passed(self) -> None:
        """A sync ended well: what still waits is pending again."""
        self.store.execute("UPDATE mutation SET cause = NULL WHERE cause IS NOT NULL")


def _read_by_the_server(entry: dict[str, Any]) -> set[str]:
    """The members that the registry reads for itself, whatever stands in them."""
    return {entry.get("location"), entry.get("partition"), *(parent["field"] for parent in entry.get("parents") or ())}
