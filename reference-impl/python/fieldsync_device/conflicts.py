"""The conflict log: entries that came, and those that this device writes where its own merge overrides a value."""

from __future__ import annotations

import hashlib
from typing import Any

from .canonical import canonical
from .merge import Override
from .mutation import CONFLICT, Mutation, data_of
from .outbox import Outbox
from .store import ServerState


def entry_id(record: dict[str, str], path: str, lost_by: dict[str, str]) -> str:
    """The id of an entry: the same wherever the same loss is written down (`conflicts.entry.id`)."""
    named = canonical([record["type"], record["id"], path, lost_by.get("mutation_id") or lost_by["rev"]])
    return "c-" + hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def write(outbox: Outbox, mutation: Mutation, state: ServerState, override: Override) -> None:
    """Writes down what a merge of a mutation with the server's state overrides; it is shown at once, and pushed."""
    here = {"replica": outbox.store.meta("replica"), "mutation_id": mutation.mutation_id}
    there = {"rev": state.rev}
    if state.message.get("replica"):
        there["replica"] = state.message["replica"]
    lost_by, kept_by = (here, there) if override.lost_side == "local" else (there, here)
    record = {"type": mutation.type, "id": mutation.id}
    now = outbox.now()
    key = entry_id(record, override.path, lost_by)
    if outbox.store.record(CONFLICT, key) is None and not outbox.of(CONFLICT, key):
        outbox.add(CONFLICT, key, {"record": record, **override.message(), "lost_by": lost_by, "kept_by": kept_by,
                                   "time": now}, now)


def came(outbox: Outbox, key: str) -> None:
    """An entry came that this device may have been about to push: the server has it, and the first one stays."""
    for mutation in outbox.of(CONFLICT, key):
        if mutation.waits or mutation.code:
            outbox.remove(mutation)


def log(outbox: Outbox) -> list[tuple[str, dict[str, Any]]]:
    """Every entry once, by its id: those that the server has, and those that wait to be pushed."""
    with outbox.store.transaction():
        entries = dict(outbox.store.records(CONFLICT))
        for mutation in outbox.of_type(CONFLICT):
            entries.setdefault(mutation.id, data_of(mutation) or {})
    return sorted(entries.items())
