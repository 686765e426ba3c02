"""The vectors of the specification: pure functions, the same in every language."""

from __future__ import annotations

import json
import unittest
from typing import Any

from fieldsync_device.canonical import canonical
from fieldsync_device.digest import buckets

from .harness import FIXTURES


def vectors(name: str) -> Any:
    """A file of vectors."""
    return json.loads((FIXTURES / "vectors" / name).read_text())


class Digest(unittest.TestCase):
    """What a record and a feed come to."""

    def test_canonical_forms(self) -> None:
        found = vectors("digest/buckets.json")
        self.assertEqual([canonical(record["data"]) for record in found["records"]], found["canonical"])

    def test_buckets(self) -> None:
        found = vectors("digest/buckets.json")
        self.assertEqual(buckets(found["records"]), found["buckets"])

    def test_numbers_as_javascript_writes_them(self) -> None:
        for number, text in ((0.0, "0"), (-0.0, "0"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001"),
                             (1.5e-7, "1.5e-7"), (-38.10, "-38.1"), (123456.789, "123456.789"), (5e-324, "5e-324"),
                             (1.7976931348623157e308, "1.7976931348623157e+308"), (True, "true"), (12, "12")):
            self.assertEqual(canonical(number), text)
