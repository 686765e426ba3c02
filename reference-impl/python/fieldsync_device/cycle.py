"""One sync: settle, push, pull; or, where devices merge, settle, pull, push, pull (chapter "Sync cycles"). Files that go
before their records go right before the push.

To settle is to send the batch again that has no answer. Push begins with it, so nothing is pulled before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .digest import Digest
from .epoch import EpochChanged, enter
from .outbox import Outbox
from .pull import Pull, settle_expired
from .push import Push
from .session import FIELD_MERGE, Line, Limits, Refused, SyncFailed
from .tally import Tally
from .telemetry import Telling


EPOCHS = 3  # so many new epochs in one sync, and something is wrong


@dataclass(frozen=True, slots=True)
class SyncEnd:
    """How a sync ended: well, or by a cause, with what to tell the user and when to come back at the earliest."""

    cause: str | None = None
    detail: str | None = None
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.cause is None


def sync(outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int], telling: Telling | None,
         files: Callable[[], None], first: Callable[[], None]) -> SyncEnd:
    """Runs one cycle, and tells of it."""
    outbox.tally = Tally()
    if telling:
        telling.begin()
    end = _sync(outbox, line, limits, clock, telling, files, first)
    if telling:
        telling.end(end, outbox.tally)
    return end


def _sync(
    outbox: Outbox,
    line: Line,
    limits: Limits,
    clock: Callable[[], int],
    telling: Telling | None,
    files: Callable[[], None],
    first: Callable[[], None],
) -> SyncEnd:
    """Runs one cycle; whatever stops it, the next one goes on from there."""
    try:
        _cycle(outbox, line, limits, clock, telling, first)
        files()
    except (SyncFailed, Refused) as failed:
        with outbox.store.transaction():
            outbox.mark_failed(failed.cause)
        return SyncEnd(failed.cause, str(failed), getattr(failed, "retry_after", None))
    finally:
        outbox.pushing = False
    with outbox.store.transaction():
        outbox.mark_passed()
    return SyncEnd()


def _cycle(outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int], telling: Telling | None,
           first: Callable[[], None]) -> None:
    line.session()
    for _ in range(EPOCHS):
        try:
            _phases(outbox, line, limits, clock, telling, first)
            return
        except EpochChanged as changed:
            enter(outbox, changed)
            if line.session().epoch != changed.epoch:
                line.fetch_session()
    raise SyncFailed("server", "one epoch after another begins")


def _phases(outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int], telling: Telling | None,
            first: Callable[[], None]) -> None:
    push = Push(outbox, line, limits, clock)
    merging = line.session().profile == FIELD_MERGE
    for _ in range(2):
        # Where devices merge, they pull before they push; what has no answer is settled first in any case.
        recovering = outbox.store.meta("recovering")
        again = not recovering and _push(outbox, push, only_settle=True)
        if not merging and not again and not recovering and not push.failure:
            first()
        if recovering or not merging and not again and not push.failure:
            again = _push(outbox, push)
        if outbox.store.meta("recovering"):
            # What is kept comes before anything that is pulled.
            if push.failure:
                raise push.failure
            outbox.store.set_meta(recovering=again)
            if again:
                continue
        if telling:
            telling.before_the_pull()
        pull = Pull(outbox, line, limits)
        pull.run()
        settle_expired(outbox)
        if outbox.store.meta("compare") and "digest" in line.session().capabilities:
            Digest(outbox, line, limits, pull.run).run()
            outbox.store.set_meta(compare=False)
        if push.failure:
            raise push.failure
        if merging:
            first()
            push.went = False
            again = _push(outbox, push)
            if push.went:
                pull.run()
            if push.failure:
                raise push.failure
        if not again or not outbox.sendable():
            return
    raise SyncFailed("server", "the server asks for a pull before every push")


def _push(outbox: Outbox, push: Push, only_settle: bool = False) -> bool:
    outbox.pushing = True
    again = push.run(only_settle)
    outbox.pushing = False
    return again
