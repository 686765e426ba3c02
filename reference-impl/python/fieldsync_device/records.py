"""Values of the chapter "Records": ids, times, and what counts as equal content."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

PROTOCOL = "2026-12-01"
_EPOCH = datetime(1970, 1, 1)  # in UTC, as everything here


def machine_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def timestamp(millis: int) -> str:
    """An instant as the protocol writes it: RFC 3339 in UTC, in whole milliseconds."""
    instant = _EPOCH + timedelta(milliseconds=millis)
    return instant.isoformat(timespec="milliseconds") + "Z"


def new_record_id(millis: int) -> str:
    """A UUIDv7: ids in the order of time are cheaper to index for a server."""
    bits = (millis & (1 << 48) - 1) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def new_id(prefix: str) -> str:
    """A name that nobody else makes up, for a replica or a mutation."""
    return prefix + secrets.token_hex(12)


def _not_json(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_reader = json.JSONDecoder(parse_constant=_not_json)
_writer = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode(text: str | bytes) -> Any:
    """Reads JSON in UTF-8; `NaN` and the like, which Python would take, are refused."""
    return _reader.decode(text if isinstance(text, str) else text.decode())


def encode(value: Any) -> str:
    """Writes JSON in UTF-8, escaped only where a lone surrogate could not be sent otherwise."""
    text = _writer.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def without_nulls(value: Any) -> Any:
    """A null member is an absent one, at any depth; a null in a list keeps its place."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def same_content(one: Any, other: Any) -> bool:
    """Whether two contents are equal: not by text, for `1.0` is `1` and members have no order."""
    return json.dumps(_plain(one), sort_keys=True) == json.dumps(_plain(other), sort_keys=True)
