"""Links (chapter "Links"): where the data of a record name a file, the server writes its URL, once it is told to.

A link is no work of a user. It waits in a table of its own, from the moment at which the server said where the file is
until the server has taken the link, or refused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .batches import Batches
from .line import Limits, Line
from .mutation import BATCH, NEW
from .outbox import WAITS_TO_GO_UP, Outbox
from .records import encode, new_id
from .store import Batch, Store

CAPABILITY = "link"


@dataclass(slots=True)
class Link:
    """That a record's file is at a URL."""

    n: int
    mutation_id: str
    type: str
    id: str
    file: str
    url: str

    def wire(self, groups: bool = True) -> str:
        """The link as a push carries it: no version, no time, no group, for it is no change of the record."""
        return encode({"mutation_id": self.mutation_id, "op": "link", "type": self.type, "id": self.id, "base": None,
                       "attachment": self.file, "url": self.url})


def wait(outbox: Outbox, kind: str, key: str, file: str, url: str | None) -> None:
    """The server said where a file is: that waits to be linked, where data hold URLs. Another URL is another link."""
    if url is not None and kind in outbox.linked:
        outbox.store.execute("INSERT INTO link (mutation_id, type, id, file, url, state) VALUES (?, ?, ?, ?, ?, ?)"
                             " ON CONFLICT (type, id, file) DO UPDATE SET mutation_id = excluded.mutation_id,"
                             " url = excluded.url WHERE url <> excluded.url AND state = excluded.state",
                             (new_id("m-"), kind, key, file, url, NEW))


def came(outbox: Outbox, record: dict[str, Any]) -> None:
    """A record came. If it names a file by its id that was added here and linked before, the server has lost the link.

    The server is asked once more where the file is, and the rest follows from that.
    """
    kind, key = record["type"], record["id"]
    if kind in outbox.linked:
        for file in record.get("attachments") or ():
            if file.get("state") == "stored" and names(outbox, record, file["id"]):
                outbox.store.execute("UPDATE added SET state = ? WHERE type = ? AND id = ? AND file = ?"
                                     " AND state = 'sent' AND NOT EXISTS (SELECT 1 FROM link WHERE"
                                     " link.type = added.type AND link.id = added.id AND link.file = added.file)",
                                     (WAITS_TO_GO_UP, kind, key, file["id"]))


def names(outbox: Outbox, record: dict[str, Any], file: str) -> bool:
    """Whether a record that carries a file names it: as the whole of a value, anywhere but where the server looks."""
    apart = outbox.linked[record["type"]]
    return any(_holds(value, file) for name, value in (record.get("data") or {}).items() if name not in apart)


def _holds(value: Any, file: str) -> bool:
    if isinstance(value, dict):
        return any(_holds(item, file) for item in value.values())
    if isinstance(value, list):
        return any(_holds(item, file) for item in value)
    return bool(value == file)


def forget(store: Store) -> None:
    """Nothing is linked for a record that does not carry the file any more."""
    store.execute("DELETE FROM link WHERE state <> 'batch' AND NOT EXISTS (SELECT 1 FROM added WHERE"
                  " added.type = link.type AND added.id = link.id AND added.file = link.file)")


class Links(Batches):
    """The links of one sync. One that the server does not take stays, under its own id, or is forgotten."""

    def __init__(self, outbox: Outbox, line: Line, limits: Limits) -> None:
        super().__init__(outbox.store, line, limits)
        self._outbox = outbox

    def settle(self) -> None:
        """Sends the batch again that has no answer, if that is one of links."""
        if self._on_its_way():
            self.run(only_settle=True)

    def push(self) -> bool:
        """Pushes what can be linked by now; whether anything was sent."""
        self.sent = False
        if CAPABILITY in self._line.session().capabilities and not self.failure:
            self.run()
        return self.sent

    def _select(self, state: str) -> list[Link]:
        with self._store.transaction():
            return [Link(*row) for row in self._store.execute(
                "SELECT n, mutation_id, type, id, file, url FROM link WHERE state = ? ORDER BY n", (state,))]

    def _ready(self, skip: set[int], among: set[int] | None = None) -> list[list[Link]]:
        """One link of each record, where the server has a state of it that names the file."""
        ready: dict[tuple[str, str], Link] = {}
        for link in self._select(NEW):
            if among is not None and link.n not in among:
                continue
            state = self._store.record(link.type, link.id)
            carries = state is not None and any(file["id"] == link.file for file in state.files)
            if link.n not in skip and link.type in self._outbox.linked and state is not None and carries \
                    and names(self._outbox, state.message, link.file):
                ready.setdefault((link.type, link.id), link)
        return [[link] for link in ready.values()]

    def _put_in(self, link: Link) -> None:
        self._set_state(link, BATCH)

    def _on_its_way(self) -> list[Link]:
        return self._select(BATCH)

    def _take_out(self, state: str) -> list[set[int]]:
        links = self._on_its_way()
        for link in links:
            self._set_state(link, NEW)
        return [{link.n} for link in links]

    def _judge(self) -> None:
        # No user could mend it, and the server may: it goes again in a later sync.
        self._later = self._later.union(*self._suspects)
        self._suspects.clear()

    def _take(self, batch: Batch, said: dict[str, dict[str, Any]], seq: int | None) -> None:
        for link in self._on_its_way():
            if said.get(link.mutation_id, {}).get("outcome") in ("applied", "duplicate", "rejected"):
                self._store.execute("DELETE FROM link WHERE n = ?", (link.n,))
            else:
                self._set_state(link, NEW)
                self._later.add(link.n)

    def _set_state(self, link: Link, state: str) -> None:
        self._store.execute("UPDATE link SET state = ? WHERE n = ?", (state, link.n))
