"""Speaks the lines of the chapter "Adapter" for the device in `fieldsync_device`.

Run by the suite: JSON lines on the standard input, their answers on the standard output, in any order.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from fieldsync_device import Credentials, Device, Limits, Names
from fieldsync_device.records import machine_clock

DESCRIPTION = {"name": "fieldsync-python", "version": "0.1.0",
               "profiles": ["version-wins", "entity-queue", "field-merge"],
               "capabilities": ["attachments-direct", "attachments-proxied", "concurrent", "digest", "groups", "partitions",
                                "password-login", "refetch", "telemetry", "token-refresh", "triggers"]}


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


class AdapterError(Exception):
    """What cannot be done, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def credentials_of(line: dict[str, Any]) -> Credentials:
    """The credentials of a line."""
    given = line["credentials"]
    return Credentials(given.get("user"), given.get("password"), given.get("token"))


class Adapter:
    """The open devices, and what each verb does with them."""

    def __init__(self) -> None:
        self._devices: dict[str, tuple[Device, Clock]] = {}
        self._output = threading.Lock()
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": lambda line: DESCRIPTION, "open": self._open, "create": self._create, "edit": self._edit,
            "attach": self._attach, "delete": self._delete, "sync": self._sync, "read": self._read, "set": self._set,
            "close": self._close}

    def run(self) -> None:
        """Answers lines until there are no more."""
        for text in sys.stdin.buffer:
            try:
                line = json.loads(text)
                number = line["id"]
            except (ValueError, TypeError, KeyError) as error:
                self._answer(0, {"error": {"code": "bad-request", "message": f"no request: {error!r}"}})
                continue
            if line.get("verb") == "sync":
                threading.Thread(target=self._do, args=(number, line), daemon=True).start()
            else:
                self._do(number, line)

    def _do(self, number: int, line: dict[str, Any]) -> None:
        try:
            verb = self._verbs.get(line.get("verb", ""))
            if verb is None:
                raise AdapterError("unknown-verb", f"there is no verb {line.get('verb')!r}")
            answer = {"ok": verb(line)}
        except AdapterError as error:
            answer = {"error": {"code": error.code, "message": str(error)}}
        except KeyError as error:
            answer = {"error": {"code": "bad-request", "message": f"a member is missing: {error}"}}
        except Exception as error:  # Whatever the client breaks over is the client's answer.
            answer = {"error": {"code": "failed", "message": f"{type(error).__name__}: {error}"}}
        self._answer(number, answer)

    def _answer(self, number: int, answer: dict[str, Any]) -> None:
        text = json.dumps({"id": number, **answer}) + "\n"
        with self._output:
            sys.stdout.write(text)
            sys.stdout.flush()

    def _device(self, line: dict[str, Any]) -> tuple[Device, Clock]:
        found = self._devices.get(line["device"])
        if found is None:
            raise AdapterError("unknown-device", f"there is no open device \"{line['device']}\"")
        return found

    def _open(self, line: dict[str, Any]) -> dict[str, Any]:
        clock = Clock(line.get("offset_ms") or 0)
        limits = Limits(page=line.get("page") or Limits().page, batch=line.get("batch"))
        folder = Path(line["store"]) if line.get("store") else None
        device = Device(line["base_url"], credentials_of(line), folder, clock=clock.now, wait=clock.wait,
                        limits=limits, replica=line.get("replica"),
                        telemetry=Names(DESCRIPTION["name"]) if line.get("telemetry") else None)
        self._devices[line["device"]] = device, clock
        if line.get("triggers") is not None:
            device.sync_by_itself(line["triggers"]["interval_ms"], line["triggers"]["online"])
        return {}

    def _create(self, line: dict[str, Any]) -> dict[str, Any]:
        self._device(line)[0].create(line["record"]["type"], line["data"], line["record"]["id"],
                                     line.get("group"))
        return {}

    def _edit(self, line: dict[str, Any]) -> dict[str, Any]:
        device, record = self._device(line)[0], line["record"]
        if line.get("discard"):
            device.discard(record["type"], record["id"])
        else:
            device.edit(record["type"], record["id"], line["changes"])
        return {}

    def _attach(self, line: dict[str, Any]) -> dict[str, Any]:
        device, record = self._device(line)[0], line["record"]
        file = device.attach(record["type"], record["id"], line["media_type"],
                             io.BytesIO(base64.b64decode(line["content"])))
        if line.get("lost"):
            device._files.drop(file)  # Somebody empties the phone's gallery; a device has no method for that.
        return {}

    def _delete(self, line: dict[str, Any]) -> dict[str, Any]:
        self._device(line)[0].delete(line["record"]["type"], line["record"]["id"])
        return {}

    def _sync(self, line: dict[str, Any]) -> dict[str, Any]:
        end = self._device(line)[0].sync()
        return {"outcome": "ok"} if end.ok else {"outcome": "failed", "cause": end.cause, "detail": end.detail}

    def _read(self, line: dict[str, Any]) -> dict[str, Any]:
        device = self._device(line)[0]
        with device.moment():
            records = []
            for record in line.get("records") or []:
                shown = device.read(record["type"], record["id"])
                status = {"error": shown.cause} if shown.cause else shown.status
                records.append({"record": record, "data": shown.data, "deleted": shown.deleted, "status": status,
                                "server": shown.server, "files": self._files(device, record)})
            return {"replica": device.replica, "records": records,
                    "conflicts": [{"id": key, "entry": entry} for key, entry in device.conflicts()],
                    "outbox": [{"type": kind, "id": key} for kind, key in device.outbox()],
                    "quarantine": [{"record": {"type": kind, "id": key}, "code": code}
                                   for kind, key, code in device.quarantine()]}

    @staticmethod
    def _files(device: Device, record: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"status": file.status} if file.path is None
                else {"status": file.status, "content": base64.b64encode(file.path.read_bytes()).decode()}
                for file in device.files(record["type"], record["id"])]

    def _set(self, line: dict[str, Any]) -> dict[str, Any]:
        device, clock = self._device(line)
        if line.get("offset_ms") is not None:
            clock.offset_ms = line["offset_ms"]
        if line.get("metered") is not None:
            device.set_metered(line["metered"])
        device.look(line.get("online"))
        if line.get("credentials") is not None:
            device.set_credentials(credentials_of(line))
        if line.get("damage") is not None:
            self._damage(device, line["damage"])
        return {}

    @staticmethod
    def _damage(device: Device, damage: dict[str, Any]) -> None:
        """Does to the store what failing hardware does; a device has no method for that."""
        store = device._store
        with store.transaction():
            for record in damage.get("loses") or ():
                store.drop_record(record["type"], record["id"])
            for altered in damage.get("alters") or ():
                kind, key = altered["record"]["type"], altered["record"]["id"]
                message = {**store.record(kind, key).message, "data": altered["data"]}
                store.execute("UPDATE record SET message = ? WHERE type = ? AND id = ?",
                              (json.dumps(message), kind, key))
        device.compare()

    def _close(self, line: dict[str, Any]) -> dict[str, Any]:
        device = self._device(line)[0]
        del self._devices[line["device"]]
        device.close()
        return {}


if __name__ == "__main__":
    Adapter().run()
