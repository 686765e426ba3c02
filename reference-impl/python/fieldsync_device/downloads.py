"""One file on its way down. What has another hash than its id is not taken, whoever sent it."""

from __future__ import annotations

from .files import Files
from .line import Line
from .transport import Sink
from .uploads import Enough

TRIES = 2  # so often in one sync: once to go on where it was broken off, once from the first byte


def fetch(line: Line, files: Files, name: str, size: int) -> None:
    """Fetches one file, and goes on where it was broken off. What does not come, comes with a later sync."""
    for _ in range(TRIES):
        offset = files.part_size(name)
        if not 0 < offset < size:
            offset = 0
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with files.open_part(name, offset) as stream:
            answer = line.exchange("GET", f"/attachments/{name}", None, headers, sink=Sink(stream, offset, size))
        if answer.status in (429, 503):
            raise Enough
        if answer.status in (200, 206) and files.finish_part(name):
            return
        if answer.status not in (200, 206, 416):
            return
        if answer.status == 416:
            files.drop_part(name)
