"""What a device shows: of each record its data and where it stands (chapter "Status")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .mutation import BATCH, REFUSED, Mutation, data_of, files_of
from .outbox import Outbox

PENDING, SYNCING, SYNCED = "pending", "syncing", "synced"


@dataclass(slots=True)
class Reading:
    """What a device shows of one record, at one moment."""

    data: dict[str, Any] | None
    deleted: bool
    status: str | None
    cause: str | None
    server: dict[str, Any] | None


def shown(outbox: Outbox, kind: str, key: str) -> tuple[dict[str, Any] | None, bool]:
    """What the user sees: unsent work, or else the server's state; and whether that is a deleted record."""
    for mutation in reversed(outbox.of(kind, key)):
        if mutation.shown:
            return data_of(mutation), mutation.deletes
    state = outbox.store.record(kind, key)
    return (None, False) if state is None else (state.data, state.deleted)


def shown_files(outbox: Outbox, kind: str, key: str) -> list[dict[str, Any]]:
    """The files of what the user sees."""
    for mutation in reversed(outbox.of(kind, key)):
        if mutation.shown:
            return files_of(mutation.files)
    state = outbox.store.record(kind, key)
    return [] if state is None else state.files


def read(outbox: Outbox, kind: str, key: str) -> Reading:
    """All that there is to show of a record."""
    with outbox.store.transaction():
        work = outbox.of(kind, key)
        state = outbox.store.record(kind, key)
        data, deleted = shown(outbox, kind, key)
        known = bool(work) or state is not None
        status, cause = _status(work, outbox.pushing) if known else (None, None)
        return Reading(data, deleted, status, cause, state.message if state else None)


def _status(work: list[Mutation], pushing: bool) -> tuple[str, str | None]:
    if not work:
        return SYNCED, None
    if work[0].state == REFUSED:
        return "error", "rejected"
    if pushing and work[0].state == BATCH:
        return SYNCING, None
    for mutation in work:
        if mutation.cause:
            return "error", mutation.cause
    return PENDING, None
