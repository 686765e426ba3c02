"""The merge of the profile `field-merge`: one function of three states (chapter "Merge").

A member is merged by its rule; objects without one member by member, keyed lists item by item, at any depth. Where both
sides changed one value, one of the two stays, and the other is overridden. Nothing else is looked at: no clock, no
version, no order of requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .canonical import canonical
from .records import without_nulls

State = dict[str, Any] | None


class _Absent:
    """What stands where there is no member."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Override:
    """A value that did not stay; `lost_side` is `local` or `server`."""

    path: str
    base: Any
    lost: Any
    kept: Any
    lost_side: str

    def message(self) -> dict[str, Any]:
        """The values that are there, by their names."""
        values = (("base", self.base), ("lost", self.lost), ("kept", self.kept))
        return {"path": self.path, **{name: value for name, value in values if value is not ABSENT}}


@dataclass(slots=True)
class _Node:
    """The rules at a place: its own, those of the members below it, and those of the items of a keyed list."""

    rule: str | None = None
    key: str = "id"
    members: dict[str, _Node] = field(default_factory=dict)

    def below(self, name: str) -> _Node:
        """The rules of a member."""
        return self.members.get(name, _NONE)


_NONE = _Node()
ITEMS = "*"
KNOWN_RULES = frozenset({"server-wins", "client-wins", "immutable", "server-set", "keyed-set", "max", "min", "derived"})


def _tree(rules: dict[str, Any]) -> _Node:
    root = _Node()
    for pointer, entry in (rules.get("fields") or {}).items():
        node = root
        for name in pointer.split("/")[1:]:
            node = node.members.setdefault(name.replace("~1", "/").replace("~0", "~"), _Node())
        node.rule, node.key = entry["rule"], entry.get("key") or "id"
    return root


def merge(rules: dict[str, Any], base: State, local: State, server: State) -> tuple[State, list[Override]]:
    """Merges what was changed here with what was changed on the server: the merged state, and what it overrides."""
    return _merge(rules, base, local, server, late=False)


def merge_late(rules: dict[str, Any], base: State, local: State, late: State) -> State:
    """Merges with another form of the base itself: what the server set and computed after it had accepted it."""
    return _merge(rules, base, local, late, late=True)[0]


def _merge(rules: dict[str, Any], base: State, local: State, server: State, late: bool) -> tuple[State, list[Override]]:
    root, merging = _tree(rules), _Merging(late)
    base, local, server = (without_nulls(state) for state in (base, local, server))
    if base is not None and local is not None and server is not None:
        merged = merging.objects(base, local, server, root, "")
    else:
        edit_wins = rules.get("deletes") == "edit-wins"
        sides = (ABSENT if state is None else state for state in (base, local, server))
        merged = merging.records(*sides, root, edit_wins)
    return None if merged is ABSENT else merged, sorted(merging.overridden, key=lambda one: one.path)


def merge_files(base: list[dict[str, Any]], local: list[dict[str, Any]], server: list[dict[str, Any]]) \
        -> list[dict[str, Any]]:
    """Merges the files of a record: a keyed list of items that are nothing but their key, so nothing is overridden."""
    known = {file["id"]: file for side in (base, local, server) for file in side}
    ids = [{file["id"]: {"id": file["id"]} for file in side} for side in (base, local, server)]
    merged = _Merging(late=False).items(*ids, _NONE, "")
    return [known[item["id"]] for item in merged]


def least_patch(base: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that makes one of the other, and holds nothing else."""
    patch: dict[str, Any] = {name: None for name in base if name not in changed}
    for name, value in changed.items():
        before = base.get(name, ABSENT)
        if isinstance(before, dict) and isinstance(value, dict):
            part = least_patch(before, value)
            if part:
                patch[name] = part
        elif not _equal(before, value):
            patch[name] = value
    return patch


# What counts as a change.

def _equal(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(one) == canonical(other)


def _same(one: Any, other: Any, node: _Node) -> bool:
    """Equal apart from what only the server sets, and from the order of keyed lists."""
    return _form(one, node) == _form(other, node)


def _form(value: Any, node: _Node) -> str:
    """One text for all values that are the same; none where nothing that counts is there."""
    if value is ABSENT or node.rule == "server-set":
        return ""
    if node.rule == "keyed-set":
        items = _items(value, node)
        if items is not None:
            below = node.below(ITEMS)
            forms = [f"{canonical(key)}:{_form(items[key], below)}" for key in sorted(items)]
            return "keyed " + ",".join(forms) if forms else ""
    if isinstance(value, dict) and node.members:
        forms = [(canonical(name), _form(value[name], node.below(name))) for name in sorted(value)]
        return "{" + ",".join(f"{name}:{form}" for name, form in forms if form) + "}"
    return canonical(value)


def _items(value: Any, node: _Node) -> dict[str, dict[str, Any]] | None:
    """The items of a keyed list by their keys, none where it is no such list."""
    if value is ABSENT:
        return {}
    if not isinstance(value, list):
        return None
    items: dict[str, dict[str, Any]] = {}
    for item in value:
        key = item.get(node.key) if isinstance(item, dict) else None
        if isinstance(key, float) and key.is_integer():
            key = int(key)
        if isinstance(key, int) and not isinstance(key, bool):
            key = str(key)
        if not isinstance(key, str) or key in items:
            return None
        items[key] = item
    return items


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


class _Merging:
    """One merge. In a late one the local value stays where there would be a conflict, and nothing is overridden."""

    def __init__(self, late: bool) -> None:
        self._late = late
        self.overridden: list[Override] = []

    def _server_wins(self, path: str, base: Any, local: Any, server: Any) -> Any:
        if self._late:
            return local
        self.overridden.append(Override(path, base, local, server, "local"))
        return server

    def _local_wins(self, path: str, base: Any, local: Any, server: Any) -> Any:
        if not self._late:
            self.overridden.append(Override(path, base, server, local, "server"))
        return local

    def records(self, base: Any, local: Any, server: Any, node: _Node, edit_wins: bool) -> Any:
        """A record that is not there on all three sides."""
        if _same(local, base, node):
            return server
        if _same(server, base, node):
            return local
        if _same(local, server, node):
            return server
        if base is ABSENT:
            return self._server_wins("", base, local, server)
        if (local is ABSENT) == edit_wins:
            return self._server_wins("", base, local, server)
        return self._local_wins("", base, local, server)

    def objects(self, base: Any, local: Any, server: Any, node: _Node, path: str) -> dict[str, Any]:
        """An object that is there on all three sides."""
        merged = {}
        for name in {**server, **local, **base}:
            value = self._member(*(side.get(name, ABSENT) for side in (base, local, server)), node.below(name),
                                 _at(path, name))
            if value is not ABSENT:
                merged[name] = value
        return merged

    def _member(self, base: Any, local: Any, server: Any, node: _Node, path: str) -> Any:
        if _equal(local, base) or node.rule == "server-set":
            return server
        if node.rule is None and all(isinstance(side, dict) for side in (base, local, server)):
            return self.objects(base, local, server, node, path)
        if node.rule == "keyed-set":
            sides = [_items(side, node) for side in (base, local, server)]
            if None not in sides:
                # A result without items is in the server's form.
                return self.items(*sides, node.below(ITEMS), path) or ([] if server is not ABSENT else ABSENT)
        if _same(local, base, node) or _same(local, server, node):
            return server
        if node.rule == "immutable":
            return self._server_wins(path, base, local, server)
        if _same(server, base, node):
            return local
        numbers = _is_number(local) and _is_number(server)
        if node.rule == "client-wins" or numbers and (node.rule == "max" and local > server
                                                      or node.rule == "min" and local < server):
            return self._local_wins(path, base, local, server)
        return self._server_wins(path, base, local, server)

    def items(self, base: Any, local: Any, server: Any, node: _Node, path: str) -> list[dict[str, Any]]:
        """The items of a keyed list, by their keys on each side."""
        merged = {}
        for key in {**server, **local, **base}:
            item = self._item(*(side.get(key, ABSENT) for side in (base, local, server)), node, _at(path, key))
            if item is not ABSENT:
                merged[key] = item
        as_it_was = list(server) == list(base) and all(_same(server[key], base[key], node) for key in server)
        first, then = (local, server) if as_it_was else (server, local)
        return [merged[key] for key in {**first, **then} if key in merged]

    def _item(self, base: Any, local: Any, server: Any, node: _Node, path: str) -> Any:
        if ABSENT not in (base, local, server):
            return self.objects(base, local, server, node, path)
        if _same(local, base, node):
            return server
        if _same(server, base, node):
            return local
        if _same(local, server, node):
            return server
        return self._server_wins(path, base, local, server)
