"""One sync: settle, push, pull (chapter "Sync cycles").

To settle is to send the batch again that has no answer. Push begins with it, so nothing is pulled before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .outbox import Outbox
from .pull import Pull, settle_expired
from .push import Push
from .session import Line, Limits, Refused, SyncFailed


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


def sync(outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int]) -> SyncEnd:
    """Runs one cycle; whatever stops it, the next one goes on from there."""
    try:
        _cycle(outbox, line, limits, clock)
    except (SyncFailed, Refused) as failed:
        with outbox.store.transaction():
            outbox.mark_failed(failed.cause)
        return SyncEnd(failed.cause, str(failed), getattr(failed, "retry_after", None))
    finally:
        outbox.pushing = False
    with outbox.store.transaction():
        outbox.mark_passed()
    return SyncEnd()


def _cycle(outbox: Outbox, line: Line, limits: Limits, clock: Callable[[], int]) -> None:
    line.session()
    push = Push(outbox, line, limits, clock)
    for _ in range(2):
        outbox.pushing = True
        again = push.run()
        outbox.pushing = False
        Pull(outbox, line, limits).run()
        settle_expired(outbox)
        if push.failure:
            raise push.failure
        if not again or not outbox.sendable():
            return
    raise SyncFailed("server", "the server asks for a pull before every push")
