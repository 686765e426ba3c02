"""The bytes of files, each under the hash of its content, so that a file never changes and can always be checked."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

PREFIX = "sha256:"
NOWHERE = os.devnull  # no file can be in it


def file_id(content: bytes) -> str:
    """The attachment id of these bytes."""
    return PREFIX + hashlib.sha256(content).hexdigest()


class Files:
    """A folder of files; a temporary one for a device that keeps everything in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._folder = folder / "files" if folder else None  # none as long as there is no file to keep

    def close(self) -> None:
        """Ends what was only temporary."""
        if self._temporary:
            self._temporary.cleanup()

    def _make_folder(self) -> None:
        if self._folder is None:
            self._temporary = tempfile.TemporaryDirectory()
            self._folder = Path(self._temporary.name)
        self._folder.mkdir(exist_ok=True)

    def _path(self, key: str) -> Path:
        return (self._folder or Path(NOWHERE)) / key.removeprefix(PREFIX)

    def has(self, key: str) -> bool:
        """Whether the bytes of a file are here."""
        return self._path(key).exists()

    def read(self, key: str) -> bytes | None:
        """The bytes of a file; none where they are not here, or are not what they were."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        if file_id(content) != key:
            self.drop(key)
            return None
        return content

    def add(self, content: bytes) -> str:
        """Keeps a file, whole or not at all, and gives its id."""
        key = file_id(content)
        if not self.has(key):
            self._make_folder()
            part = self._path(key).with_suffix(".new")
            with part.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            self._settle(part, key)
        return key

    def drop(self, key: str) -> None:
        """Forgets a file."""
        self._path(key).unlink(missing_ok=True)

    # A download goes on where it was broken off.

    def part_size(self, key: str) -> int:
        """How many bytes of a download are here."""
        part = self._path(key).with_suffix(".part")
        return part.stat().st_size if part.exists() else 0

    def open_part(self, key: str, offset: int) -> BinaryIO:
        """Opens a download to write on from this place."""
        self._make_folder()
        stream = self._path(key).with_suffix(".part").open("ab")
        stream.truncate(offset)
        return stream

    def finish_part(self, key: str) -> bool:
        """Takes a download for the file, if its bytes have the hash of its id; otherwise it is gone."""
        part = self._path(key).with_suffix(".part")
        with part.open("rb") as stream:
            right = PREFIX + hashlib.file_digest(stream, "sha256").hexdigest() == key
            os.fsync(stream.fileno())
        if right:
            self._settle(part, key)
        else:
            part.unlink()
        return right

    def drop_part(self, key: str) -> None:
        """Gives up what came of a download."""
        self._path(key).with_suffix(".part").unlink(missing_ok=True)

    def _settle(self, part: Path, key: str) -> None:
        """Gives a file its name, which no file has that is not whole."""
        part.replace(self._path(key))
        folder = os.open(part.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def keep_only(self, keys: set[str]) -> None:
        """Forgets every file but these: what no record carries any more is not on a phone that is lost."""
        if self._folder and self._folder.exists():
            names = {key.removeprefix(PREFIX) for key in keys}
            for path in self._folder.iterdir():
                if path.stem not in names:
                    path.unlink()
