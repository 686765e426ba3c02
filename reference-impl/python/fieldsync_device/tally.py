"""Counting what a sync does, for whoever is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What one sync did, by type."""

    pushed: dict[str, int] = field(default_factory=dict)
    pulled: dict[str, int] = field(default_factory=dict)
    given_up: int = 0

    def settled(self, kind: str) -> None:
        """The server settled a change."""
        self.pushed[kind] = self.pushed.get(kind, 0) + 1

    def came(self, kind: str) -> None:
        """A change came."""
        self.pulled[kind] = self.pulled.get(kind, 0) + 1
