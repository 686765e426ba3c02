"""Comparing what the store holds with what the server has, and mending it (chapter "Digest").

A cursor says what was seen, not what is still there. The records of a feed are in 256 buckets; only those whose hashes
differ are fetched again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Callable

from . import messages
from .canonical import canonical
from .epoch import EpochChanged
from .line import Limits, Line, Refused, SyncFailed
from .outbox import Outbox
from .pull import arrived
from .records import encode
from .store import Store

MANY = 64   # so many buckets that differ are fetched one by one; beyond that the feed is walked again
TRIES = 3   # so often a feed is asked for that has something new each time


def bucket_of(key: str) -> str:
    """The bucket of a record: the first byte of the hash of its id."""
    return hashlib.sha256(key.encode()).hexdigest()[:2]


def hash_of(record: dict[str, Any]) -> int:
    """The hash of a record: of its id, its rev and its content."""
    files = "".join(f"\n{file['id']}" for file in record.get("attachments") or ())
    content = hashlib.sha256((canonical(record.get("data") or {}) + files).encode("utf-8", "surrogatepass"))
    lines = f"{record['id']}\n{record['rev']}\n{content.hexdigest()}"
    return int.from_bytes(hashlib.sha256(lines.encode()).digest())


def buckets(records: list[dict[str, Any]]) -> dict[str, str]:
    """The hash of each bucket that is not all zeros."""
    sums: dict[str, int] = {}
    for record in records:
        name = bucket_of(record["id"])
        sums[name] = sums.get(name, 0) ^ hash_of(record)
    return {name: f"{value:064x}" for name, value in sums.items() if value}


class Digest:
    """The comparison, after everything was pulled."""

    def __init__(self, outbox: Outbox, line: Line, limits: Limits, pull: Callable[[], None]) -> None:
        self._outbox = outbox
        self._store: Store = outbox.store
        self._line = line
        self._limits = limits
        self._pull = pull

    def run(self) -> None:
        """Compares all feeds, and mends what differs."""
        left = {feed for feed in self._line.session().all_feeds(self._store)
                if self._store.cursors().get(feed)}
        for _ in range(TRIES):
            walks = []
            for page in self._ask("/digest", {"feeds": {feed: self._store.cursors()[feed] for feed in sorted(left)}},
                                  messages.is_digest_answer).get("feeds") or []:
                feed, theirs = page["feed"], page.get("buckets") or {}
                if feed not in left or page["from"] != self._store.cursors()[feed]:
                    continue
                left.remove(feed)
                mine = buckets(self._held(feed))
                differ = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
                if len(differ) > MANY:
                    walks.append(feed)
                else:
                    for bucket in differ:
                        self._mend(feed, bucket)
            if walks:
                self._store.walk_again(walks)
            if walks or left:
                self._pull()  # A feed that is not in the answer has something new.
            if not left:
                return

    def _ask(self, path: str, request: dict[str, Any], check: messages.Check) -> dict[str, Any]:
        request = {"replica": self._store.meta("replica"), "epoch": self._line.epoch, **request}
        try:
            answer: dict[str, Any] = self._line.call("POST", path, encode(request).encode(), check)
        except Refused as refused:
            raise SyncFailed(refused.cause, str(refused)) from refused
        if answer["epoch"] != request["epoch"]:
            raise EpochChanged(answer["epoch"], None)
        self._line.heed(answer["session"])
        return answer

    def _held(self, feed: str) -> list[dict[str, Any]]:
        with self._store.transaction():
            rows = self._store.execute("SELECT message FROM record WHERE feed = ? AND NOT deleted", (feed,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def _mend(self, feed: str, bucket: str) -> None:
        """Fetches a bucket to its end. What did not come of it is forgotten; unsent work stays."""
        missing = {(record["type"], record["id"]) for record in self._held(feed) if bucket_of(record["id"]) == bucket}
        request: dict[str, Any] = {"feed": feed, "bucket": bucket, "limit": self._limits.page}
        more = True
        while more:
            answer = self._ask("/bucket", request, messages.is_bucket_answer)
            records = answer.get("records") or []
            if (answer["feed"], answer["bucket"]) != (feed, bucket) or answer.get("more") and not records:
                raise SyncFailed("network", f"the answer to POST /bucket is none to {feed} {bucket}")
            with self._store.transaction():
                for record in records:
                    arrived(self._outbox, feed, record)
                    missing.discard((record["type"], record["id"]))
            more = answer.get("more", False)
            if more:
                request["after"] = records[-1]["id"]
        with self._store.transaction():
            for kind, key in missing:
                self._store.drop_record(kind, key)
