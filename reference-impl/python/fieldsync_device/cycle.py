"""One sync: settle, push, pull; or, where devices merge, settle, pull, push, pull (chapter "Sync cycles").

To settle is to send the batch again that has no answer. Push begins with it, so nothing is pulled before it. The files
of records come at the end, and those that go before their records right before the push. After them go the links.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from .attachments import Attachments
from .digest import Digest
from .epoch import EpochChanged, enter
from .line import Limits, Line, Refused, SyncFailed
from .links import Links
from .mutation import FIELD_MERGE
from .outbox import Outbox
from .pull import Pull, settle_expired
from .push import Push
from .tally import Tally
from .telemetry import Telling

EPOCHS = 3  # so many new epochs in one sync, and something is wrong
ROUNDS = 2  # so often a push that was told to pull first is tried


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


@dataclass(slots=True)
class Cycle:
    """One sync of a device. Whatever stops it, the next one goes on from there."""

    outbox: Outbox
    line: Line
    limits: Limits
    clock: Callable[[], int]
    attachments: Attachments
    links: Links
    telling: Telling | None

    def run(self) -> SyncEnd:
        """Runs all phases, and tells of it."""
        self.outbox.tally = Tally()
        if self.telling:
            self.telling.begin()
        end = self._run()
        if self.telling:
            self.telling.end(end, self.outbox.tally)
        return end

    def _run(self) -> SyncEnd:
        try:
            self.line.session()
            for _ in range(EPOCHS):
                try:
                    return self._once()
                except EpochChanged as changed:
                    enter(self.outbox, changed)
                    if self.line.session().epoch != changed.epoch:
                        self.line.fetch_session()
            raise SyncFailed("server", "one epoch after another begins")
        except (SyncFailed, Refused) as failed:
            with self.outbox.store.transaction():
                self.outbox.mark_failed(failed.cause)
            return SyncEnd(failed.cause, str(failed), getattr(failed, "retry_after", None))
        finally:
            self.outbox.pushing = False

    def _once(self) -> SyncEnd:
        """All phases, within one epoch."""
        pull = self._phases()
        self.attachments.run()
        if self.links.push():
            pull.run()
        with self.outbox.store.transaction():
            self.outbox.mark_passed()
        return SyncEnd()

    def _phases(self) -> Pull:
        """Records go and come; gives the pull, which knows what this sync has learnt of the feeds."""
        store, line = self.outbox.store, self.line
        push = Push(self.outbox, line, self.limits, self.clock)
        merging = line.session().profile == FIELD_MERGE
        self.links.settle()
        for _ in range(ROUNDS):
            # Where devices merge, they pull before they push; what has no answer is settled first in any case.
            recovering = store.meta("recovering")
            again = not recovering and self._push(push, only_settle=True)
            if not merging and not again and not recovering and not push.failure:
                self.attachments.run_first()
            if recovering or not merging and not again and not push.failure:
                again = self._push(push)
            if store.meta("recovering"):
                # What is kept comes before anything that is pulled.
                if push.failure:
                    raise push.failure
                store.set_meta(recovering=again)
                if again:
                    continue
            pull = self._pull()
            if push.failure:
                raise push.failure
            if merging:
                self.attachments.run_first()
                push.went = False
                again = self._push(push)
                if push.went:
                    pull.run()
                if push.failure:
                    raise push.failure
            if not again or not self.outbox.sendable():
                return pull
        raise SyncFailed("server", "the server asks for a pull before every push")

    def _push(self, push: Push, only_settle: bool = False) -> bool:
        """Pushes; whether that is to be tried again after a pull."""
        self.outbox.pushing = True
        again = push.run(only_settle)
        self.outbox.pushing = False
        return again

    def _pull(self) -> Pull:
        """Pulls, and looks into what only shows once everything is here."""
        if self.telling:
            self.telling.before_the_pull()
        pull = Pull(self.outbox, self.line, self.limits)
        pull.run()
        settle_expired(self.outbox)
        if self.outbox.store.meta("compare") and "digest" in self.line.session().capabilities:
            Digest(self.outbox, self.line, self.limits, pull.run).run()
            self.outbox.store.set_meta(compare=False)
        return pull
