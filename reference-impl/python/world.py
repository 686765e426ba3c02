"""What a suite does to the world around a device, which no user does and a device has no method for.

The clock jumps, the store is damaged, somebody empties the phone's gallery.
"""

from __future__ import annotations

import json
from typing import Any

from fieldsync_device import Device
from fieldsync_device.records import machine_clock


class Clock:
    """The machine's clock, moved: a device does not sleep in a test, its clock goes forward instead."""

    def __init__(self, offset_ms: int) -> None:
        self.offset_ms = offset_ms

    def now(self) -> int:
        """Milliseconds since 1970."""
        return machine_clock() + self.offset_ms

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.offset_ms += int(seconds * 1000)


def damage(device: Device, damage: dict[str, Any]) -> None:
    """Does to the store what failing hardware does. The next sync compares it with what the server has."""
    store = device._store
    with store.transaction():
        for record in damage.get("loses") or ():
            store.drop_record(record["type"], record["id"])
        for altered in damage.get("alters") or ():
            kind, key = altered["record"]["type"], altered["record"]["id"]
            message = {**store.record(kind, key).message, "data": altered["data"]}
            store.execute("UPDATE record SET message = ? WHERE type = ? AND id = ?", (json.dumps(message), kind, key))
    device.compare()


def lose(device: Device, file: str) -> None:
    """Takes the bytes of a file away."""
    device._files.drop(file)
