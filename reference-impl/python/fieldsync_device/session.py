"""What a server says of itself and of who is logged in: its limits, its types, and what may be done with them."""

from __future__ import annotations

import re
from typing import Any

from .merge import KNOWN_RULES
from .mutation import FIELD_MERGE
from .store import Store

CAPABILITIES = frozenset({"password-login", "token-refresh", "roles", "horizon", "restore", "parents", "scopes",
                          "groups", "refetch", "digest", "derived-fields", "attachments-proxied",
                          "attachments-direct", "link", "partitions", "on-stale-merge"})
# The policies of transactional types, by profile.
PROFILES = {"version-wins": {"version-wins"}, "entity-queue": {"arrival-wins", "version-wins"},
            FIELD_MERGE: {FIELD_MERGE}}

_PARTITION = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Session:
    """The answer to `GET {base}/session`, as far as a device goes by it."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.tag: str = message["tag"]
        self.epoch: str = message["epoch"]
        self.profile: str = message["profile"]
        self.capabilities = frozenset(message.get("capabilities") or ())
        self.batch_mutations = int(message["limits"]["batch_mutations"])
        self.body_bytes = int(message["limits"]["body_bytes"])
        self.pull_feeds = int(message["limits"].get("pull_feeds", 1000))
        self.feeds: dict[str, str] = {}
        self.partitions: dict[str, str] = {}  # of types that have several feeds, the member that says which
        self.left_out: set[str] = set()
        self.left_out_feeds: set[str] = set()
        self._ranks: dict[str, int] = {}
        self.parents: dict[str, list[tuple[str, str]]] = {}
        for entry in message["registry"]["types"]:
            self._ranks[entry["name"]] = len(self._ranks)
            self.parents[entry["name"]] = [(parent["field"], parent["type"]) for parent in entry.get("parents") or ()]
            feed = entry.get("feed") or entry["name"]
            if self._can_sync(entry):
                self.feeds[entry["name"]] = feed
                if entry.get("partition"):
                    self.partitions[entry["name"]] = entry["partition"]
            else:
                self.left_out.add(entry["name"])
                self.left_out_feeds.add(feed)

    def _can_sync(self, entry: dict[str, Any]) -> bool:
        """A type that asks for what this device does not know is left out, and all others are synced."""
        policies = {"reference": {"server-only"}, "append": {"append-only"}, "transactional": PROFILES[self.profile]}
        return entry["merge"]["policy"] in policies.get(entry["class"], ()) \
            and CAPABILITIES.issuperset(entry.get("requires") or ()) \
            and (self.profile != FIELD_MERGE or KNOWN_RULES.issuperset(
                rule["rule"] for rule in (entry["merge"].get("fields") or {}).values()))

    def rank(self, kind: str) -> int:
        """The place of a type in the registry, behind those that it refers to."""
        return self._ranks.get(kind, len(self._ranks))

    def feed_of(self, kind: str) -> str:
        """The feed that carries a type, or the first one of several."""
        return self.feeds.get(kind, kind)

    def feed_of_record(self, record: dict[str, Any]) -> str:
        """The feed that carries a live record, by the value of its member."""
        feed, member = self.feed_of(record["type"]), self.partitions.get(record["type"])
        value = (record.get("data") or {}).get(member) if member else None
        return f"{feed}/{value}" if isinstance(value, str) and _PARTITION.fullmatch(value) else feed

    def all_feeds(self, store: Store) -> list[str]:
        """Every feed of the types that this device can sync, with the partitions that were named to it.

        In the order of the registry, which has parents before their children.
        """
        feeds: dict[str, None] = {}
        for kind, feed in self.feeds.items():
            feeds[feed] = None
            feeds.update(dict.fromkeys(store.partitions(feed) if kind in self.partitions else ()))
        return list(feeds)
