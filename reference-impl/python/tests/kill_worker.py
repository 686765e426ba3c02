"""Makes and edits records and syncs without end, and says of each change once it is stored; run by `test_kill`."""

from __future__ import annotations

import sys
from pathlib import Path

from fieldsync_device import Credentials, Device

base_url, token, folder = sys.argv[1:]
device = Device(base_url, Credentials(token=token), Path(folder))
while True:
    key = device.create("observation", {"n": 1})
    print(key, 1, flush=True)
    device.sync()
    device.edit("observation", key, {"n": 2})
    print(key, 2, flush=True)
