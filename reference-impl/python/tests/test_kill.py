"""A process that is killed at any moment, and goes on with its store."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .harness import Case, Wire

ROUNDS = 6


class Kill(Case):
    """Nothing that was stored is lost, and nothing is done twice."""

    def test_killed_again_and_again(self) -> None:
        wire = Wire(self.server)
        self.addCleanup(wire.close)
        wire.after = lambda exchange: "drop" if random.random() < 0.2 else None
        stored: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(ROUNDS):
                worker = subprocess.Popen(
                    [sys.executable, "-m", "tests.kill_worker", wire.base_url, self.server.token("amina"), folder],
                    cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)
                first = worker.stdout.readline()
                time.sleep(random.uniform(0, 0.3))
                worker.kill()
                for line in [first, *worker.stdout]:
                    if line.endswith("\n"):
                        stored[line.split()[0]] = int(line.split()[1])
                worker.stdout.close()
                worker.wait()
            wire.calm()
            tablet, phone = self.device(folder=Path(folder), wire=wire), self.device("ben")
            self.sync(tablet, phone)
            self.assertEqual(tablet.outbox(), [])
            self.assertGreaterEqual(len(stored), ROUNDS)
            for key, edits in stored.items():
                shown = phone.read("observation", key)
                # The process may have ended between an edit and the word of it.
                self.assertIn((shown.data["n"], shown.server["version"]), ((edits, edits), (2, 2)))
                self.assertEqual(tablet.read("observation", key).data, shown.data)
            self.assertEqual([entry for _, entry in phone.conflicts() if entry["record"]["id"] in stored], [])
            tablet.close()
