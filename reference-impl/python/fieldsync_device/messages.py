"""What makes an answer a message: the schemas, as far as a device relies on them.

Whatever fails here is a failure of the network (`transport.answer.not-a-message`). Members and words that
this device does not know are let pass: later servers have more of them.
"""

from __future__ import annotations

import re
from typing import Any, Callable

Check = Callable[[Any], bool]


def text(pattern: str = "", longest: int | None = None) -> Check:
    """A string, of this form and at most this long."""
    form = re.compile(pattern, re.DOTALL)

    def check(value: Any) -> bool:
        return (isinstance(value, str) and form.fullmatch(value) is not None if pattern else isinstance(value, str)) \
            and (longest is None or 0 < len(value) <= longest)
    return check


def whole(least: int, most: int = 2**53 - 1) -> Check:
    """A whole number; `3.0` is one, too, but `true` is not."""
    def check(value: Any) -> bool:
        if isinstance(value, float):
            return value.is_integer() and least <= value <= most
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    return check


def flag(value: Any) -> bool:
    """`true` or `false`."""
    return isinstance(value, bool)


def anything(value: Any) -> bool:
    """An object whose members are somebody else's."""
    return isinstance(value, dict)


def or_null(check: Check) -> Check:
    """What may be null as well."""
    return lambda value: value is None or check(value)


def many(check: Check) -> Check:
    """A list."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def each(name: Check, check: Check) -> Check:
    """An object with any members, whose names and values are of one kind each."""
    return lambda value: isinstance(value, dict) and all(map(name, value)) and all(map(check, value.values()))


def members(needed: dict[str, Check], other: dict[str, Check] | None = None) -> Check:
    """An object with these members, those that it may lack, and any others."""
    optional = other or {}

    def check(value: Any) -> bool:
        return isinstance(value, dict) \
            and all(name in value and part(value[name]) for name, part in needed.items()) \
            and all(part(value[name]) for name, part in optional.items() if name in value)
    return check


def _visible(longest: int) -> Check:
    return text(r"[!-~]{1,%d}" % longest)


_NAME = r"[A-Za-z0-9_.:-]"
_TYPE = text(r"[a-z][a-z0-9_]{0,63}")
_FEED = text(r"[a-z][a-z0-9_]{0,63}(/" + _NAME + r"{1,64})?")
_RECORD_ID = text(_NAME + r"{1,128}")
_MUTATION_ID = text(_NAME + r"{1,64}")
_TIME = text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)")
_VERSION = whole(1)

is_group = _MUTATION_ID
is_reference = members({"type": _TYPE, "id": _RECORD_ID})

_ATTACHMENT_ID = text(r"sha256:[0-9a-f]{64}")
_ATTACHMENT = members({"id": _ATTACHMENT_ID, "bytes": whole(0), "media_type": text(longest=255)},
                      {"state": or_null(text())})

is_record = members(
    {"type": _TYPE, "id": _RECORD_ID, "rev": _visible(128), "version": _VERSION, "modified_at": _TIME,
     "accepted_at": _TIME},
    {"claimed_at": or_null(_TIME), "replica": or_null(text(_NAME + r"{1,64}")), "deleted": flag,
     "data": or_null(anything), "attachments": many(_ATTACHMENT)})

RETRIES = frozenset({"never", "same", "after", "login", "rebase", "resync", "split", "new-replica", "upgrade"})

is_problem = members(
    {"title": text(longest=256), "status": whole(400, 599), "detail": text(longest=2048), "code": text(longest=64),
     "retry": text(longest=64), "request_id": _visible(64)},
    {"retry_after": or_null(whole(0)), "feeds": many(_FEED), "supported": many(text()),
     "epoch": or_null(_visible(64)), "cause": or_null(text(longest=64))})

is_discovery = members({"versions": many(text()), "profile": text(), "auth": many(text())})

is_tokens = members({"access_token": text(longest=4096), "expires_at": _TIME},
                    {"refresh_token": or_null(text(longest=4096))})

is_session = members(
    {"tag": _visible(64), "principal": _visible(128), "role": text(), "scope": _visible(64), "epoch": _visible(64),
     "server_time": _TIME, "profile": text(),
     "limits": members({"body_bytes": whole(65536), "batch_mutations": whole(10), "page_changes": whole(10),
                        "record_bytes": whole(16384), "string_bytes": whole(4096), "nesting": whole(8)},
                       {"pull_feeds": whole(10, 1000)}),
     "registry": members({"types": many(members(
         {"name": _TYPE, "class": text(), "merge": members({"policy": text()})},
         {"feed": or_null(_FEED), "requires": many(text()), "partition": or_null(text())}))})},
    {"capabilities": many(text()), "backed_up_seq": or_null(whole(0)),
     "refetch": many(members({"id": _MUTATION_ID}, {"types": many(_TYPE)}))})

is_push_answer = members(
    {"token": _visible(128), "epoch": _visible(64), "session": _visible(64), "outcomes": many(members(
        {"mutation_id": _MUTATION_ID, "outcome": text()},
        {"rev": or_null(_visible(128)), "version": or_null(_VERSION), "record": or_null(is_record),
         "conflicts": many(is_record), "problem": or_null(members({"code": text(longest=64), "detail": text()}))}))},
    {"replayed": flag, "accepted_seq": or_null(whole(0))})

is_slot_answer = members(
    {"id": _ATTACHMENT_ID, "have": flag},
    {"url": or_null(text(longest=4096)), "upload": or_null(members(
        {"id": text(_NAME + r"{1,128}"), "protocol": text(), "url": text(longest=4096), "expires_at": _TIME},
        {"headers": each(text(), text())}))})

is_complete_answer = members({"id": _ATTACHMENT_ID, "state": text()}, {"url": or_null(text(longest=4096))})

is_digest_answer = members(
    {"epoch": _visible(64), "session": _visible(64)},
    {"feeds": many(members({"feed": _FEED, "from": _visible(256)},
                           {"buckets": each(text("[0-9a-f]{2}"), text("[0-9a-f]{64}"))}))})

is_bucket_answer = members(
    {"epoch": _visible(64), "session": _visible(64), "feed": _FEED, "bucket": text("[0-9a-f]{2}")},
    {"records": many(is_record), "more": flag})

is_pull_answer = members(
    {"epoch": _visible(64), "session": _visible(64), "server_time": _TIME},
    {"new_feeds": many(_FEED), "feeds": many(members(
        {"feed": _FEED, "cursor": _visible(256)},
        {"from": or_null(_visible(256)), "more": flag, "changes": many(members(
            {"op": text()},
            {"record": or_null(is_record), "removed": or_null(is_reference), "to": or_null(_FEED)}))}))})
