"""Merging unsent work with what the server has by now (chapter "Sync cycles", "Merging").

It happens in the transaction that stores the server's state, so that both are there or neither. Work whose outcome is
not known is left alone: the server may have it.
"""

from __future__ import annotations

from typing import Any

from . import conflicts
from .merge import State, least_patch, merge, merge_files, merge_late
from .mutation import NEW, Mutation, data_of, files_of, snapshot_of
from .outbox import Outbox
from .records import encode, new_id, same_content
from .store import ServerState


def merge_in(outbox: Outbox, kind: str, key: str) -> None:
    """Merges the work on a record, where the server has another state than the one on which it stands."""
    rules = outbox.rules.get(kind)
    state = outbox.store.record(kind, key) if rules is not None else None
    work = outbox.of(kind, key) if state is not None else []
    if rules is None or state is None or not work or not work[0].waits:
        return
    if outbox.store.is_doubtful(kind, key):
        return
    mutation = work[0]
    base, here = snapshot_of(mutation), data_of(mutation)
    if mutation.base == state.rev:
        if base is not None and not same_content(base, state.data):
            _take_late(mutation, base, merge_late(rules, base, here, state.data), state)
            _keep(outbox, mutation)
        return
    merged, overridden = merge(rules, base, here, state.data)
    for override in overridden:
        conflicts.write(outbox, mutation, state, override)
    mutation.base, mutation.base_version, mutation.base_live = state.rev, state.version, not state.deleted
    mutation.snapshot = None if state.data is None else encode(state.data)
    mutation.data = None if merged is None else encode(merged)
    _merge_files(mutation, state)
    _rename(mutation)
    _keep(outbox, mutation)


def is_in(outbox: Outbox, mutation: Mutation, state: ServerState) -> bool:
    """Whether the server's state has all that a mutation says."""
    rules = outbox.rules.get(mutation.type)
    files = files_of(mutation.files)
    if rules is not None:
        files = merge_files(files_of(mutation.snapshot_files), files, state.files)
    if not mutation.deletes and [file["id"] for file in files] != [file["id"] for file in state.files]:
        return False
    if rules is None:
        return same_content(state.data, data_of(mutation))
    merged, overridden = merge(rules, snapshot_of(mutation), data_of(mutation), state.data)
    return not overridden and same_content(merged, state.data)


def _take_late(mutation: Mutation, base: dict[str, Any], merged: State, state: ServerState) -> None:
    """The state on which the work stands has got another form. What the user changed stays the same change."""
    before = None if mutation.deletes else least_patch(base, data_of(mutation) or {})
    mutation.snapshot = encode(state.data)
    mutation.data = None if merged is None else encode(merged)
    after = None if merged is None else least_patch(state.data or {}, merged)
    if not same_content(before, after):
        _rename(mutation)


def _merge_files(mutation: Mutation, state: ServerState) -> None:
    base, local = files_of(mutation.snapshot_files), files_of(mutation.files)
    if mutation.deletes or state.deleted:
        files = [] if mutation.deletes else local  # Where one side deleted the record, they are the other one's.
    else:
        files = merge_files(base, local, state.files)
    mutation.files = encode(files) if files else None
    mutation.snapshot_files = encode(state.files) if state.files else None


def _rename(mutation: Mutation) -> None:
    """What came of a merge is another mutation, in the place of the one before."""
    mutation.replaces, mutation.mutation_id, mutation.state = mutation.mutation_id, new_id("m-"), NEW


def _keep(outbox: Outbox, mutation: Mutation) -> None:
    if mutation.changes_nothing:
        outbox.remove(mutation)
    else:
        outbox.update(mutation)
