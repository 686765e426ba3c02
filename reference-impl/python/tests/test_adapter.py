"""The adapter's lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .harness import Case

RECORD = {"type": "observation", "id": "fever-1"}


class Adapter(Case):
    """What a suite would write, and what it reads."""

    def setUp(self) -> None:
        super().setUp()
        self.process = subprocess.Popen([sys.executable, Path(__file__).parent.parent / "adapter.py"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.stdin.close)

    def say(self, **line: Any) -> dict[str, Any]:
        """Writes a line and reads one."""
        print(json.dumps({"id": 1, **line}), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def test_a_conversation(self) -> None:
        self.assertIn("version-wins", self.say(verb="hello", protocol="2026-12-01")["ok"]["profiles"])
        self.assertEqual(self.say(verb="dance")["error"]["code"], "unknown-verb")
        self.assertEqual(self.say(verb="sync", device="tablet")["error"]["code"], "unknown-device")
        self.assertEqual(self.say(verb="open", device="tablet")["error"]["code"], "bad-request")
        print("{", file=self.process.stdin, flush=True)
        self.assertEqual(json.loads(self.process.stdout.readline())["id"], 0)
        base_url = f"http://127.0.0.1:{self.server.port}/clinic"
        self.say(verb="open", device="tablet", base_url=base_url, store=None, replica="t-1",
                 credentials={"token": self.server.token("amina")})
        self.assertEqual(self.say(verb="create", device="tablet", record=RECORD, data={"temp": 38, "x": 1}),
                         {"id": 1, "ok": {}})
        self.assertEqual(self.say(verb="create", device="tablet", record=RECORD, data={})["error"]["code"], "failed")
        self.say(verb="edit", device="tablet", record=RECORD, changes={"x": None})
        reading = self.say(verb="read", device="tablet", records=[RECORD])["ok"]
        self.assertEqual(reading["replica"], "t-1")
        self.assertEqual(reading["records"], [{"record": RECORD, "data": {"temp": 38}, "deleted": False,
                                               "status": "pending", "server": None, "files": []}])
        self.assertEqual(reading["outbox"], [RECORD])
        self.assertEqual(self.say(verb="sync", device="tablet")["ok"], {"outcome": "ok"})
        reading = self.say(verb="read", device="tablet", records=[RECORD])["ok"]
        self.assertEqual((reading["records"][0]["status"], reading["records"][0]["server"]["version"]), ("synced", 2))
        self.assertEqual(self.say(verb="close", device="tablet")["ok"], {})
        self.assertEqual(self.say(verb="read", device="tablet")["error"]["code"], "unknown-device")

    def test_a_device_that_syncs_by_itself(self) -> None:
        base_url = f"http://127.0.0.1:{self.server.port}/clinic"
        self.say(verb="open", device="tablet", base_url=base_url, credentials={"token": self.server.token("amina")},
                 triggers={"online": False, "interval_ms": 3_600_000})
        record = {"type": "observation", "id": "by-itself"}
        self.say(verb="create", device="tablet", record=record, data={"n": 1})

        def status() -> Any:
            return self.say(verb="read", device="tablet", records=[record])["ok"]["records"][0]["status"]

        self.assertEqual(status(), "pending")
        self.say(verb="set", device="tablet", online=True)
        while status() != "synced":
            pass
        self.say(verb="edit", device="tablet", record=record, changes={"n": 2})
        while status() != "synced":
            pass
        other = self.device("ben")
        other.create("observation", {"n": 3}, "of-another")
        self.sync(other)
        self.say(verb="set", device="tablet", offset_ms=3_600_000)
        record["id"] = "of-another"
        while status() != "synced":
            pass
