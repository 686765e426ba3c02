"""The bytes of files, each under the hash of its content, so that a file never changes and can always be checked.

A file may be larger than the memory of the phone. Its bytes pass through in pieces, whichever way they go.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

PREFIX = "sha256:"
NOWHERE = os.devnull  # no file can be in it
NEW, PART = ".new", ".part"  # what is copied, and what is downloaded: files once they are whole


class Arrival:
    """Bytes that are being copied here. What they are called is known when all of them came."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._stream.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    def finish(self) -> str:
        """All bytes came, and are on the disk: gives their attachment id."""
        _flush(self._stream)
        return PREFIX + self._digest.hexdigest()


class Files:
    """A folder of files; a temporary one for a device that keeps everything in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._making = threading.Lock()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._folder = folder / "files" if folder else None  # none as long as there is no file to keep
        if self._folder:
            for left in self._folder.glob("*" + NEW):
                left.unlink()  # The process ended while it was copied, so no record names it.

    def close(self) -> None:
        """Ends what was only temporary."""
        if self._temporary:
            self._temporary.cleanup()

    def _made_folder(self) -> Path:
        with self._making:
            if self._folder is None:
                self._temporary = tempfile.TemporaryDirectory()
                self._folder = Path(self._temporary.name)
        self._folder.mkdir(exist_ok=True)
        return self._folder

    def _path(self, key: str) -> Path:
        return (self._folder or Path(NOWHERE)) / key.removeprefix(PREFIX)

    def has(self, key: str) -> bool:
        """Whether the bytes of a file are here."""
        return self._path(key).exists()

    def verified(self, key: str) -> Path | None:
        """Where a file is, read through once more; none where it is not here, or is not what it was."""
        path = self._path(key)
        try:
            right = _id_of(path) == key
        except OSError:
            return None
        if not right:
            self.drop(key)
        return path if right else None

    @contextmanager
    def arrival(self) -> Iterator[Arrival]:
        """A place for bytes that are copied here. Nothing is left of them unless they are settled."""
        path = self._made_folder() / (secrets.token_hex(8) + NEW)
        try:
            with path.open("xb") as stream:
                yield Arrival(path, stream)
        finally:
            path.unlink(missing_ok=True)

    def settle(self, part: Path, key: str) -> None:
        """Gives whole and flushed bytes the name of their file, which nothing else ever has."""
        part.replace(self._path(key))
        folder = os.open(part.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # A name is not on the disk before its folder is.
        finally:
            os.close(folder)

    def drop(self, key: str) -> None:
        """Forgets a file."""
        self._path(key).unlink(missing_ok=True)

    def keep_only(self, keys: set[str]) -> None:
        """Forgets every file but these: what no record carries any more is not on a phone that is lost."""
        if self._folder and self._folder.exists():
            names = {key.removeprefix(PREFIX) for key in keys}
            for path in self._folder.iterdir():
                if path.stem not in names and path.suffix != NEW:
                    path.unlink()

    # A download goes on where it was broken off.

    def part_size(self, key: str) -> int:
        """How many bytes of a download are here."""
        part = self._path(key).with_suffix(PART)
        return part.stat().st_size if part.exists() else 0

    @contextmanager
    def open_part(self, key: str, offset: int) -> Iterator[BinaryIO]:
        """Opens a download to write on from this place."""
        with (self._made_folder() / self._path(key).name).with_suffix(PART).open("ab") as stream:
            stream.truncate(offset)
            yield stream
            _flush(stream)

    def finish_part(self, key: str) -> bool:
        """Takes a download for the file, if its bytes have the hash of its id; otherwise it is gone."""
        part = self._path(key).with_suffix(PART)
        right = _id_of(part) == key
        if right:
            self.settle(part, key)
        else:
            part.unlink()
        return right

    def drop_part(self, key: str) -> None:
        """Gives up what came of a download."""
        self._path(key).with_suffix(PART).unlink(missing_ok=True)


def _id_of(path: Path) -> str:
    with path.open("rb") as stream:
        return PREFIX + hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
