"""The bytes of files on the disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fieldsync_device.files import Files

from .harness import JPEG, Case, Endless, file_id


class Kept(Case):
    """The bytes on the disk."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def names(self) -> list[str]:
        """What there is on the disk."""
        return [path.name for path in (self.folder / "files").iterdir()]

    def test_a_copy_is_a_file_once_it_is_whole(self) -> None:
        files = Files(self.folder)
        with files.arrival() as arrival:
            arrival.write(b"hel")
            arrival.write(b"lo")
            files.keep_only(set())  # A sync on another thread puts things in order meanwhile.
            files.settle(arrival.path, arrival.finish())
        self.assertEqual(files.verified(file_id(b"hello")).read_bytes(), b"hello")
        self.assertEqual(self.names(), [file_id(b"hello").removeprefix("sha256:")])

    def test_nothing_is_left_of_a_copy_that_broke_off(self) -> None:
        files = Files(self.folder)
        with self.assertRaises(ZeroDivisionError), files.arrival() as arrival:
            arrival.write(b"hel")
            raise ZeroDivisionError
        self.assertEqual(self.names(), [])
        Path(self.folder, "files", "of-a-process-that-was-killed.new").write_bytes(b"hel")
        Files(self.folder)
        self.assertEqual(self.names(), [])

    def test_a_user_who_breaks_off_adds_nothing(self) -> None:
        tablet = self.device(folder=self.folder)
        key = tablet.create("observation", {"n": 1})

        class Broken(Endless):
            def read(self, most: int = -1) -> bytes:
                if self.given:
                    raise OSError("the card was pulled out")
                return super().read(most)

        with self.assertRaises(OSError):
            tablet.attach("observation", key, JPEG, Broken())
        self.assertEqual((tablet.files("observation", key), self.names()), ([], []))
        tablet.close()
