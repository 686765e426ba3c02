"""A device: one store, one user, one data set."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, BinaryIO, Callable

from . import attachments, conflicts, edits, status
from .attachments import Attachments, ShownFile
from .cycle import Cycle, SyncEnd
from .files import Files
from .line import Credentials, Limits, Line
from .links import Links
from .occasions import Occasions
from .outbox import Outbox
from .records import machine_clock, new_record_id
from .status import Reading
from .storage import Storage
from .store import Store
from .telemetry import Names, Telling
from .transport import Transport


class _Run:
    """A sync under way."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.end: SyncEnd | None = None


class Device:
    """A device on its store, a folder; or in memory, where there is none.

    Any thread may call anything at any time: the store has one lock, which is never held while a request is on
    its way.
    """

    def __init__(self, base_url: str, credentials: Credentials, folder: Path | None = None, *,
                 clock: Callable[[], int] = machine_clock, wait: Callable[[float], object] | None = None,
                 limits: Limits = Limits(), replica: str | None = None,
                 telemetry: Names | None = None) -> None:
        self._clock = clock
        self._limits = limits
        self._store = Store(folder, replica)
        self._files = Files(folder)
        self._outbox = Outbox(self._store, clock)
        self._transport = Transport(base_url, limits.timeout, limits.answer_bytes)
        self._storage = Storage(limits.timeout)
        self._closing = threading.Event()
        self._line = Line(self._transport, self._store, credentials, limits, wait or self._closing.wait,
                          self._outbox.follow)
        self._telling = Telling(self._store, self._line, clock, telemetry) if telemetry else None
        self._gate = threading.Lock()
        self._running: _Run | None = None
        self._occasions: Occasions | None = None

    # What a user does.

    def create(self, kind: str, data: dict[str, Any], key: str | None = None, group: str | None = None) -> str:
        """Makes a record, and gives its id. Records that are made with one `group` go to the server all or none."""
        key = key or new_record_id(self._clock())
        edits.create(self._outbox, kind, key, data, self._outbox.now(), group)
        self._changed()
        return key

    def edit(self, kind: str, key: str, changes: dict[str, Any]) -> None:
        """Sets members of a record's data; null clears one."""
        edits.edit(self._outbox, kind, key, changes, self._outbox.now())
        self._changed()

    def delete(self, kind: str, key: str) -> None:
        """Deletes a record."""
        edits.delete(self._outbox, kind, key, self._outbox.now())
        self._changed()

    def discard(self, kind: str, key: str) -> None:
        """Gives up the unsent and the refused work on a record."""
        edits.discard(self._outbox, kind, key)

    def attach(self, kind: str, key: str, media_type: str, content: BinaryIO) -> str:
        """Adds a file to a record, as a copy of what the stream has left, and gives its id."""
        file = attachments.add(self._outbox, self._files, kind, key, media_type, content)
        self._changed()
        return file

    def set_metered(self, metered: bool) -> None:
        """Says whether the network costs by the byte; files go and come only where it does not."""
        self._store.set_meta(metered=metered)

    def set_credentials(self, credentials: Credentials) -> None:
        """Somebody else logs in, or the same person anew."""
        self._line.set_credentials(credentials)

    # What a user sees.

    @property
    def replica(self) -> str:
        """The id under which this device pushes now."""
        return str(self._store.meta("replica"))

    def moment(self) -> Any:
        """A context in which everything that is read is of one moment."""
        return self._store.transaction()

    def read(self, kind: str, key: str) -> Reading:
        """What there is to show of a record."""
        return status.read(self._outbox, kind, key)

    def files(self, kind: str, key: str) -> list[ShownFile]:
        """The files of a record, in their order: how each stands, and where its bytes are, if they are here."""
        return attachments.show(self._outbox, self._files, kind, key)

    def conflicts(self) -> list[tuple[str, dict[str, Any]]]:
        """The conflict log: each entry once, by its id, from an outcome, from the feed, or written here."""
        return conflicts.log(self._outbox)

    def outbox(self) -> list[tuple[str, str]]:
        """The records with mutations that are not settled, one for each mutation."""
        return [(mutation.type, mutation.id) for mutation in self._outbox.unsettled()]

    def quarantine(self) -> list[tuple[str, str, str]]:
        """The records with refused mutations, each with the code of the refusal."""
        return [(mutation.type, mutation.id, mutation.code or "") for mutation in self._outbox.refused()]

    # Syncing.

    def sync(self, join: bool = True) -> SyncEnd:
        """Runs one sync. Whoever asks while one is under way waits for the same end, or (`join`) for one of its own."""
        while True:
            with self._gate:
                running = self._running
                if running is None:
                    mine = self._running = _Run()
                    break
            running.done.wait()
            if join and running.end:
                return running.end
        try:
            files = Attachments(self._outbox, self._line, self._files, self._storage)
            links = Links(self._outbox, self._line, self._limits)
            mine.end = Cycle(self._outbox, self._line, self._limits, self._clock, files, links, self._telling).run()
            if self._occasions:
                self._occasions.synced(mine.end)
            return mine.end
        finally:
            with self._gate:
                self._running = None
            mine.done.set()

    def compare(self) -> None:
        """Has the next sync compare what is held with what the server has, and mend it."""
        self._store.set_meta(compare=True)

    def sync_by_itself(self, interval_ms: int, online: bool = True) -> None:
        """Starts syncs from now on: at once, after each change, and when the interval has passed."""
        self._occasions = Occasions(lambda: self.sync(join=False), self._clock, interval_ms, online)

    def look(self, online: bool | None = None) -> None:
        """The network came or went, or the clock was set."""
        if self._occasions:
            self._occasions.look(online)

    def close(self) -> None:
        """Breaks off what is under way, and leaves a store that can be copied and opened again."""
        self._closing.set()
        self._transport.break_off()
        self._storage.break_off()
        with self._gate:
            running = self._running
        if running is not None:
            running.done.wait()
        if self._occasions:
            self._occasions.end()
        self._transport.close()
        self._store.close()
        self._files.close()

    def _changed(self) -> None:
        if self._occasions:
            self._occasions.changed()
