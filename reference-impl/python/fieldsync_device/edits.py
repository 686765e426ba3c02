"""What a user does to records, while there may be no network at all.

Every function stores one saved modification. It goes into the mutation that waits, or behind the one that was
sent already (`cycles.edit.during-push-is-kept`).
"""

from __future__ import annotations

from typing import Any

from .messages import is_group, is_reference
from .mutation import BATCH, DEFERRED, GONE, NEW, REFUSED, Mutation, data_of, ids_of, snapshot_of
from .outbox import Outbox
from .records import encode, new_id, same_content, without_nulls
from .status import shown, shown_files


class NotPossible(Exception):
    """What was asked for makes no sense for what the device shows."""


def create(outbox: Outbox, kind: str, key: str, data: dict[str, Any], at: str, group: str | None = None) -> None:
    """Makes a record; also in the place of one that was deleted. Those of one group go all or none."""
    if not is_reference({"type": kind, "id": key}):
        raise NotPossible(f"{kind!r} {key!r} cannot be the name of a record")
    if group is not None and not is_group(group):
        raise NotPossible(f"{group!r} cannot be the name of a group")
    with outbox.store.transaction():
        if shown(outbox, kind, key)[0] is not None:
            raise NotPossible(f"there is a {kind} {key} already")
        _save(outbox, kind, key, without_nulls(data), at, group)


def edit(outbox: Outbox, kind: str, key: str, changes: dict[str, Any], at: str) -> None:
    """Sets members. All others stay, known to the app or not (`records.data.unknown-kept`); null clears one."""
    with outbox.store.transaction():
        data = shown(outbox, kind, key)[0]
        if data is None:
            raise NotPossible(f"there is no {kind} {key}")
        changed = without_nulls({**data, **changes})
        # To save what was refused once more is to try it again; to save anything else as it was is no modification.
        if not same_content(data, changed) or any(mutation.state == REFUSED for mutation in outbox.of(kind, key)):
            _save(outbox, kind, key, changed, at)


def delete(outbox: Outbox, kind: str, key: str, at: str) -> None:
    """Deletes a record."""
    with outbox.store.transaction():
        if shown(outbox, kind, key)[0] is None:
            raise NotPossible(f"there is no {kind} {key}")
        _save(outbox, kind, key, None, at)


def discard(outbox: Outbox, kind: str, key: str) -> None:
    """Gives up the unsent and the refused work; a batch on its way still goes (`status.discard.gives-up`)."""
    with outbox.store.transaction():
        for mutation in outbox.of(kind, key):
            if mutation.state == BATCH:
                mutation.discarded = True
                outbox.update(mutation)
            else:
                outbox.remove(mutation)


def attach(outbox: Outbox, kind: str, key: str, file: dict[str, Any], at: str) -> None:
    """Adds a file, whose bytes are here, behind those that the record has."""
    with outbox.store.transaction():
        data, files = shown(outbox, kind, key)[0], shown_files(outbox, kind, key)
        if data is None:
            raise NotPossible(f"there is no {kind} {key}")
        if all(other["id"] != file["id"] for other in files):
            _save(outbox, kind, key, data, at, files=[*files, file])


def _save(outbox: Outbox, kind: str, key: str, data: dict[str, Any] | None, at: str, group: str | None = None,
          files: list[dict[str, Any]] | None = None) -> None:
    files = [] if data is None else files or shown_files(outbox, kind, key)
    listed = encode(files) if files else None
    work = outbox.of(kind, key)
    last = work[-1] if work else None
    if last is not None and last.state in (NEW, DEFERRED):
        before = work[-2] if len(work) > 1 else None
        nothing_there = not last.base_live if before is None else before.deletes and not before.discarded
        if data is None and nothing_there:
            outbox.remove(last)
            return
        if last.state == DEFERRED:
            last.replaces, last.state = last.mutation_id, NEW
        last.mutation_id, last.modified_at, last.saves = new_id("m-"), at, last.saves + 1
        last.data = None if data is None else encode(data)
        last.files = listed
        if kind in outbox.rules and data is not None and _was_so(last, before, data):
            outbox.remove(last)
        else:
            outbox.update(last)
    elif last is not None and last.state != REFUSED:
        outbox.add(kind, key, data, at, files=listed)
    elif last is not None and last.shown:
        # The user goes on from what was refused. What is gone from the server is made again, whole.
        outbox.remove(last)
        if data is not None:
            outbox.add(kind, key, data, at, saves=last.saves + 1, base=None if last.code == GONE else last.base,
                       base_version=last.base_version, replaces=last.mutation_id, grp=last.grp, files=listed)
    else:
        replaces = None
        if last is not None:
            outbox.remove(last)
            replaces = last.mutation_id
        state = outbox.store.record(kind, key)
        if state is None:
            outbox.add(kind, key, data, at, replaces=replaces, grp=group)
        elif kind not in outbox.rules or data is None or files != state.files or not same_content(state.data, data):
            # Where devices merge, to save what the server has takes back what was refused: nothing is to be pushed.
            outbox.add(kind, key, data, at, base=state.rev, base_version=state.version, base_live=not state.deleted,
                       snapshot=outbox.snapshot(kind, state.data), files=listed, replaces=replaces, grp=group,
                       snapshot_files=encode(state.files) if state.files else None)


def _was_so(last: Mutation, before: Mutation | None, data: dict[str, Any]) -> bool:
    """Whether a change of a type that is merged was taken back before it was pushed."""
    if before is not None:
        return not (before.discarded or before.deletes) and ids_of(before.files) == ids_of(last.files) \
            and same_content(data_of(before), data)
    return ids_of(last.snapshot_files) == ids_of(last.files) and same_content(snapshot_of(last), data)
