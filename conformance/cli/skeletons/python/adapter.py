"""An adapter: turns lines on the standard input into calls of a client, and writes back what the client said.

The lines are described in the chapter "Adapter" of the specification. Fill in the methods of `Device`, one after another:

    fieldsync adapter try --command 'python3 adapter.py'

says which one is next. Some members of the lines are only for clients that claim more in `hello`: `triggers` and
`telemetry` of `open`, `group` of `create`, the verb `attach`, `online`, `metered` and `damage` of `set`. The chapter names
the capability of each. Then judge the client:

    fieldsync check client --command 'python3 adapter.py'
"""

import json
import sys
import threading


class Missing(Exception):
    """Something that is not written yet."""


class Device:
    """One device. Replace what is below by calls of your client."""

    def __init__(self, base_url, credentials, store, offset_ms, page, batch, replica):
        # store: the path of a folder to keep everything in and to go on from, or None (memory will do).
        # offset_ms: how far the device's clock is ahead; page: the limit of a pull; batch: the most mutations of a push;
        # replica: the replica id with which a new store begins. The last three may be None: as the client likes.
        raise Missing("open: start your client here")

    def create(self, record, data):
        raise Missing("create: make the record, and store it before you return")

    def edit(self, record, changes):
        raise Missing("edit: set the members of `changes`; None clears one")

    def discard(self, record):
        raise Missing("edit with discard: give up the unsent and refused work on the record")

    def delete(self, record):
        raise Missing("delete: delete the record")

    def sync(self):
        # {"outcome": "ok"}, or {"outcome": "failed", "cause": "network" | "server" | "credentials", "detail": "..."}
        raise Missing("sync: run one sync, and tell how it ended")

    def read(self, records):
        # {"replica": ..., "records": [{"record", "data", "deleted", "status", "server"}, ...],
        #  "conflicts": [{"id", "entry"}, ...], "outbox": [record, ...], "quarantine": [{"record", "code"}, ...]}
        # A record has "files", too, where the client claims attachments-proxied.
        raise Missing("read: tell what the device shows")

    def set(self, offset_ms, credentials):
        raise Missing("set: move the device's clock, or log somebody in; what is None stays as it is")

    def close(self):
        raise Missing("close: end the device in good order")


DEVICES = {}
OUTPUT = threading.Lock()


def hello(_request):
    # profiles: version-wins, field-merge, entity-queue. capabilities: what else the client can do, such as concurrent (it is
    # used while it syncs), password-login, groups, attachments-proxied, triggers, telemetry. Only what is claimed is judged.
    return {"name": "my client", "version": "0.1.0", "profiles": ["version-wins"], "capabilities": []}


def open_device(request):
    DEVICES[request["device"]] = Device(
        request["base_url"],
        request["credentials"],
        request["store"],
        request.get("offset_ms", 0),
        request.get("page"),
        request.get("batch"),
        request.get("replica"),
    )


def edit(request):
    device = DEVICES[request["device"]]
    if request.get("discard"):
        device.discard(request["record"])
    else:
        device.edit(request["record"], request["changes"])


VERBS = {
    "hello": hello,
    "open": open_device,
    "create": lambda request: DEVICES[request["device"]].create(request["record"], request["data"]),
    "edit": edit,
    "delete": lambda request: DEVICES[request["device"]].delete(request["record"]),
    "sync": lambda request: DEVICES[request["device"]].sync(),
    "read": lambda request: DEVICES[request["device"]].read(request["records"]),
    "set": lambda request: DEVICES[request["device"]].set(request.get("offset_ms"), request.get("credentials")),
    "close": lambda request: DEVICES.pop(request["device"]).close(),
}


def answer(request):
    """One request, and its answer as a line."""
    error = None
    told = None
    verb = VERBS.get(request.get("verb"))
    if verb is None:
        error = {"code": "unknown-verb", "message": f"there is no verb {request.get('verb')!r}"}
    elif request["verb"] not in ("hello", "open") and request.get("device") not in DEVICES:
        error = {"code": "unknown-device", "message": f"there is no open device {request.get('device')!r}"}
    else:
        try:
            told = verb(request) or {}
        except Missing as missing:
            error = {"code": "failed", "message": f"not written yet: {missing}"}
        except Exception as failure:  # whatever the client breaks over is told, and the adapter goes on
            error = {"code": "failed", "message": repr(failure)}
    line = {"id": request.get("id", 0), "error": error} if error else {"id": request["id"], "ok": told}
    with OUTPUT:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def main():
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("verb") == "sync":
            # A sync takes its time; other lines are answered meanwhile.
            threading.Thread(target=answer, args=(request,), daemon=True).start()
        else:
            answer(request)


if __name__ == "__main__":
    main()
