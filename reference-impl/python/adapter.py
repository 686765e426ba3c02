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
from typing import Any

from fieldsync_device import Credentials, Device, Limits, Names
from world import Clock, damage, lose

DESCRIPTION = {"name": "fieldsync-python", "version": "0.1.0",
               "profiles": ["version-wins", "entity-queue", "field-merge"],
               "capabilities": ["attachments-direct", "attachments-proxied", "concurrent", "digest", "groups", "link",
                                "partitions", "password-login", "refetch", "telemetry", "token-refresh", "triggers"]}

Line = dict[str, Any]


class AdapterError(Exception):
    """What cannot be done, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Adapter:
    """The open devices, and, in a method `do_VERB` for each verb, what is done with them."""

    def __init__(self) -> None:
        self._devices: dict[str, tuple[Device, Clock]] = {}
        self._output = threading.Lock()

    def run(self) -> None:
        """Answers lines until there are no more. A sync takes its time, and other lines are answered meanwhile."""
        for text in sys.stdin.buffer:
            try:
                line = json.loads(text)
                number, verb = line["id"], line["verb"]
            except (ValueError, TypeError, KeyError) as error:
                self._say(0, {"error": {"code": "bad-request", "message": f"no request: {error!r}"}})
                continue
            if verb == "sync":
                threading.Thread(target=self._answer, args=(number, verb, line), daemon=True).start()
            else:
                self._answer(number, verb, line)

    def _answer(self, number: int, verb: str, line: Line) -> None:
        try:
            do = getattr(self, f"do_{verb}", None)
            if do is None:
                raise AdapterError("unknown-verb", f"there is no verb {verb!r}")
            answer = {"ok": do(line) or {}}
        except AdapterError as error:
            answer = {"error": {"code": error.code, "message": str(error)}}
        except KeyError as error:
            answer = {"error": {"code": "bad-request", "message": f"a member is missing: {error}"}}
        except Exception as error:  # Whatever the client breaks over is the client's answer.
            answer = {"error": {"code": "failed", "message": f"{type(error).__name__}: {error}"}}
        self._say(number, answer)

    def _say(self, number: int, answer: dict[str, Any]) -> None:
        with self._output:
            print(json.dumps({"id": number, **answer}), flush=True)

    def _opened(self, line: Line) -> tuple[Device, Clock]:
        if line["device"] not in self._devices:
            raise AdapterError("unknown-device", f"there is no open device \"{line['device']}\"")
        return self._devices[line["device"]]

    def _named(self, line: Line) -> tuple[Device, str, str]:
        """The device of a line, with the type and the id of its record."""
        return self._opened(line)[0], line["record"]["type"], line["record"]["id"]

    # The verbs.

    def do_hello(self, line: Line) -> dict[str, Any]:
        return DESCRIPTION

    def do_open(self, line: Line) -> None:
        clock = Clock(line.get("offset_ms") or 0)
        limits = Limits(page=line.get("page") or Limits().page, batch=line.get("batch"))
        folder = Path(line["store"]) if line.get("store") else None
        device = Device(line["base_url"], _credentials(line), folder, clock=clock.now, wait=clock.wait,
                        limits=limits, replica=line.get("replica"),
                        telemetry=Names(DESCRIPTION["name"]) if line.get("telemetry") else None)
        self._devices[line["device"]] = device, clock
        if line.get("triggers") is not None:
            device.sync_by_itself(line["triggers"]["interval_ms"], line["triggers"]["online"])

    def do_create(self, line: Line) -> None:
        device, kind, key = self._named(line)
        device.create(kind, line["data"], key, line.get("group"))

    def do_edit(self, line: Line) -> None:
        device, kind, key = self._named(line)
        if line.get("discard"):
            device.discard(kind, key)
        else:
            device.edit(kind, key, line["changes"])

    def do_attach(self, line: Line) -> None:
        device, kind, key = self._named(line)
        file = device.attach(kind, key, line["media_type"], io.BytesIO(base64.b64decode(line["content"])))
        if line.get("lost"):
            lose(device, file)

    def do_delete(self, line: Line) -> None:
        device, kind, key = self._named(line)
        device.delete(kind, key)

    def do_sync(self, line: Line) -> dict[str, Any]:
        end = self._opened(line)[0].sync()
        return {"outcome": "ok"} if end.ok else {"outcome": "failed", "cause": end.cause, "detail": end.detail}

    def do_read(self, line: Line) -> dict[str, Any]:
        device = self._opened(line)[0]
        with device.moment():
            return {"replica": device.replica,
                    "records": [_shown(device, record) for record in line.get("records") or []],
                    "conflicts": [{"id": key, "entry": entry} for key, entry in device.conflicts()],
                    "outbox": [{"type": kind, "id": key} for kind, key in device.outbox()],
                    "quarantine": [{"record": {"type": kind, "id": key}, "code": code}
                                   for kind, key, code in device.quarantine()]}

    def do_set(self, line: Line) -> None:
        device, clock = self._opened(line)
        if line.get("offset_ms") is not None:
            clock.offset_ms = line["offset_ms"]
        if line.get("metered") is not None:
            device.set_metered(line["metered"])
        device.look(line.get("online"))
        if line.get("credentials") is not None:
            device.set_credentials(_credentials(line))
        if line.get("damage") is not None:
            damage(device, line["damage"])

    def do_close(self, line: Line) -> None:
        device = self._opened(line)[0]
        del self._devices[line["device"]]
        device.close()


def _credentials(line: Line) -> Credentials:
    given = line["credentials"]
    return Credentials(given.get("user"), given.get("password"), given.get("token"))


def _shown(device: Device, record: dict[str, str]) -> dict[str, Any]:
    shown = device.read(record["type"], record["id"])
    files = [{"status": file.status} if file.path is None
             else {"status": file.status, "content": base64.b64encode(file.path.read_bytes()).decode()}
             for file in device.files(record["type"], record["id"])]
    return {"record": record, "data": shown.data, "deleted": shown.deleted, "server": shown.server, "files": files,
            "status": {"error": shown.cause} if shown.cause else shown.status}


if __name__ == "__main__":
    Adapter().run()
