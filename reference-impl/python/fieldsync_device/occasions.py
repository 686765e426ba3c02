"""When a device syncs by itself (`cycles.start`).

At its start and whenever the network comes back, after each change, and when an interval has passed by the
device's clock. A server that asked to be left alone is left alone.
"""

from __future__ import annotations

import threading
from typing import Callable

from .cycle import SyncEnd

LOOK_SECONDS = 5.0  # so often the clock is looked at, which somebody may have set


class Occasions:
    """A thread that starts syncs."""

    def __init__(self, sync: Callable[[], object], clock: Callable[[], int], interval_ms: int, online: bool) -> None:
        self._sync = sync
        self._clock = clock
        self._interval_ms = interval_ms
        self._online = online
        self._wanted = True
        self._ended = False
        self._last = clock()
        self._not_before: float = 0
        self._woken = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """The user changed something."""
        with self._woken:
            self._wanted = True
            self._woken.notify()

    def look(self, online: bool | None = None) -> None:
        """The network came or went, or the clock was set."""
        with self._woken:
            if online is not None:
                self._wanted = self._wanted or online and not self._online
                self._online = online
            self._woken.notify()

    def synced(self, end: SyncEnd) -> None:
        """A sync has ended, whoever asked for it: the interval begins anew."""
        with self._woken:
            self._last = self._clock()
            self._not_before = self._last + 1000 * (end.retry_after or 0)

    def end(self) -> None:
        """No more syncs."""
        with self._woken:
            self._ended = True
            self._woken.notify()
        self._thread.join()

    def _due(self) -> bool:
        now = self._clock()
        return self._online and now >= self._not_before and (self._wanted or now - self._last >= self._interval_ms)

    def _run(self) -> None:
        while True:
            with self._woken:
                while not self._ended and not self._due():
                    left = (self._last + self._interval_ms - self._clock()) / 1000
                    self._woken.wait(min(LOOK_SECONDS, max(left, 0.01)))
                if self._ended:
                    return
                self._wanted = False
            self._sync()
