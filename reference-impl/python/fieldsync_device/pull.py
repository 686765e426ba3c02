"""Pull: every feed is walked to its end, page by page, each page stored together with its cursor."""

from __future__ import annotations

from typing import Any

from . import conflicts, epoch, links, messages
from .epoch import EpochChanged
from .line import Line, Limits, Refused, SyncFailed
from .merging import is_in, merge_in
from .mutation import CONFLICT, EXPIRED, GONE
from .outbox import Outbox
from .records import encode
from .store import Store

TRIES = 3  # so often a pull is asked for again where an answer brings nothing on


class Pull:
    """The pull phase of one sync."""

    def __init__(self, outbox: Outbox, line: Line, limits: Limits) -> None:
        self._outbox = outbox
        self._store: Store = outbox.store
        self._line = line
        self._limits = limits
        self._unknown: set[str] = set()  # feeds that the server does not have, whatever its session says
        self._looked_for_types = False
        self._tries = 0

    def run(self) -> None:
        """Pulls until no feed says `more`: as many feeds at once as a request may name, then the next ones."""
        walked: set[str] = set()
        silent: set[str] = set()  # what began with null and got no page
        while True:
            asked = self._next_feeds(walked)
            request = {"replica": self._store.meta("replica"), "epoch": self._line.epoch,
                       "limit": self._limits.page, "feeds": asked}
            try:
                answer = self._line.call("POST", "/pull", encode(request).encode(), messages.is_pull_answer)
            except Refused as refused:
                self._obey(refused)
                continue
            if answer["epoch"] != request["epoch"]:
                raise EpochChanged(answer["epoch"], None)
            more, moved = self._store_pages(answer, asked)
            self._line.heed(answer["session"])
            self._look_for_types(answer.get("new_feeds") or [])
            if more and not moved:
                self._try_again("the pages of a pull do not go on from where this device stands")
            elif not more:
                walked.update(asked)
                feeds = self._feeds()
                without_cursor = {feed for feed, cursor in feeds.items() if cursor is None}
                silent.update(feed for feed, cursor in asked.items() if cursor is None and feed in without_cursor)
                # The answer may have brought a session with other feeds, or with an order to walk some once more.
                walked.difference_update(without_cursor - silent)
                if walked.issuperset(feeds):
                    self._drop_unmet()
                    return

    def _feeds(self) -> dict[str, str | None]:
        """The feeds of all types that this device can sync, each with its cursor."""
        cursors = self._store.cursors()
        feeds = self._line.session().all_feeds(self._store)
        return {feed: cursors.get(feed) for feed in feeds if feed not in self._unknown}

    def _next_feeds(self, walked: set[str]) -> dict[str, str | None]:
        """Those that were not walked to their ends yet, no more than one request may name."""
        waiting = [(feed, cursor) for feed, cursor in self._feeds().items() if feed not in walked]
        return dict(waiting[:self._line.session().pull_feeds])

    def _try_again(self, why: str, cause: str = "network") -> None:
        self._tries += 1
        if self._tries >= TRIES:
            raise SyncFailed(cause, why)

    def _obey(self, refused: Refused) -> None:
        """Does what a problem asks for, or ends the sync."""
        if refused.retry == "resync":
            partitions = [feed for feed in refused.feeds if "/" in feed]
            if refused.code == "unknown-feed":
                for feed in partitions:
                    self._store.stop_feed(feed)
                if len(partitions) < len(refused.feeds) or not partitions:
                    self._line.fetch_session()
                    self._unknown.update(refused.feeds)
            else:
                self._store.walk_again(refused.feeds or None)
        elif refused.retry == "new-replica":
            self._store.become_replica()
        else:
            raise SyncFailed(refused.cause, str(refused))
        self._try_again(str(refused), refused.cause)

    def _look_for_types(self, new_feeds: list[str]) -> None:
        """A feed that the session does not know is of a type that came since (`pull.feeds.new-are-pulled`)."""
        session = self._line.session()
        with self._store.transaction():
            for feed in new_feeds:
                if feed.split("/")[0] in self._spread() and "/" in feed:
                    self._store.begin_feed(feed)
        new_feeds = [feed.split("/")[0] for feed in new_feeds]
        known = session.left_out_feeds.union(session.feeds.values())
        if not self._looked_for_types and not known.issuperset(new_feeds):
            self._looked_for_types = True
            self._line.fetch_session()

    # Pages.

    def _store_pages(self, answer: dict[str, Any], asked: dict[str, str | None]) -> tuple[bool, bool]:
        """Stores an answer in one step; says whether there is more, and whether anything moved.

        A page that does not go on from the stored cursor is discarded, and there is more, for it told nothing.
        """
        more = moved = False
        with self._store.transaction():
            cursors = self._store.cursors()
            for page in answer.get("feeds") or []:
                feed, changes = page["feed"], page.get("changes") or []
                if feed not in asked:
                    continue
                if page.get("from") != cursors.get(feed):
                    more = True
                    continue
                for change in changes:
                    self._store_change(feed, change)
                moved = moved or bool(changes) or page["cursor"] != page.get("from")
                self._store.move_cursor(feed, page["cursor"])
                cursors[feed] = page["cursor"]
                if page.get("more"):
                    more = True
                else:
                    missing = self._store.end_walk(feed)
                    for kind, key in missing if feed.split("/")[0] not in self._spread() else ():
                        self._drop(kind, key)
        return more, moved

    def _store_change(self, feed: str, change: dict[str, Any]) -> None:
        if change.get("record"):
            self._outbox.tally.came(change["record"]["type"])
            arrived(self._outbox, feed, change["record"])
        elif change.get("removed"):
            self._outbox.tally.came(change["removed"]["type"])
            kind, key = change["removed"]["type"], change["removed"]["id"]
            if change.get("to"):
                self._store.move_record(kind, key, feed, change["to"])
                return
            self._store.release_files(change["removed"]["type"], change["removed"]["id"])
            self._drop(change["removed"]["type"], change["removed"]["id"])

    def _spread(self) -> set[str]:
        """The feeds of types that have several: what one of them lacks may have moved to another."""
        session = self._line.session()
        return {session.feeds[kind] for kind in session.partitions}

    def _drop_unmet(self) -> None:
        """All feeds were pulled to their ends: what none of a type's brought is gone."""
        with self._store.transaction():
            for feed in self._spread():
                for kind, key in self._store.unmet(feed):
                    self._drop(kind, key)

    def _drop(self, kind: str, key: str) -> None:
        """Forgets a record that a walk from null did not meet; unsent work on it goes to the quarantine."""
        self._store.drop_record(kind, key)
        while work := self._outbox.unsettled_of(kind, key):
            if not work[0].base_live or work[0].state == EXPIRED:
                return
            self._outbox.refuse(work[0], GONE)


def arrived(outbox: Outbox, feed: str, record: dict[str, Any]) -> None:
    """The server's state of a record came."""
    outbox.store.put_record(feed, record)
    epoch.delete_again(outbox, record)
    links.came(outbox, record)
    merge_in(outbox, record["type"], record["id"])
    if record["type"] == CONFLICT:
        conflicts.came(outbox, record["id"])


def settle_expired(outbox: Outbox) -> None:
    """Looks, once everything was pulled from null, for what became of a batch whose outcomes the server forgot."""
    with outbox.store.transaction():
        for mutation in outbox.in_state(EXPIRED):
            state = outbox.store.record(mutation.type, mutation.id)
            there = None if state is None else state.data
            if state is not None and is_in(outbox, mutation, state):
                epoch.keep(outbox, mutation)
                outbox.tally.settled(mutation.type)
                # What is merged is merged with the whole state, in which others may have changed something, too.
                merged = mutation.type in outbox.rules
                outbox.settle(mutation, mutation.base if merged else state.rev, state.version, not state.deleted)
            elif there is None and mutation.deletes:
                outbox.tally.settled(mutation.type)
                outbox.supersede(mutation)
            else:
                outbox.refuse(mutation, "outcome-unknown")
            merge_in(outbox, mutation.type, mutation.id)
