"""The vectors of the specification: pure functions, the same in every language."""

from __future__ import annotations

import json
import unittest
from typing import Any

from fieldsync_device.canonical import canonical
from fieldsync_device.conflicts import entry_id
from fieldsync_device.digest import buckets
from fieldsync_device.merge import least_patch, merge, merge_files, merge_late
from fieldsync_device.records import without_nulls

from .harness import FIXTURES


def vectors(name: str) -> Any:
    """A file of vectors."""
    return json.loads((FIXTURES / "vectors" / name).read_text())


class Merge(unittest.TestCase):
    """The merge of three states, each line of its chapter."""

    def assert_same(self, got: Any, wanted: Any, title: str) -> None:
        """Compares as the vectors do: in the canonical form."""
        self.assertEqual(canonical(got), canonical(wanted), title)

    def test_three_states(self) -> None:
        files = sorted((FIXTURES / "vectors" / "merge").glob("*.json"))
        self.assertGreater(len(files), 8)
        for path in files:
            if path.name in ("patch.json", "late-state.json"):
                continue
            for case in vectors(f"merge/{path.name}"):
                title = f"{path.name}: {case['title']}"
                rules, server = case["rules"], case.get("server")
                merged, overridden = merge(rules, case.get("base"), case.get("local"), server)
                self.assert_same(merged, case.get("merged"), title)
                self.assert_same([{**one.message(), "lost_side": one.lost_side} for one in overridden],
                                 case["overridden"], title)
                again, more = merge(rules, server, merged, server)
                self.assert_same(again, merged, title)
                self.assertEqual(more, [], title)

    def test_late_states(self) -> None:
        for case in vectors("merge/late-state.json"):
            merged = merge_late(case["rules"], case.get("base"), case.get("local"), case["late"])
            self.assert_same(merged, case.get("merged"), case["title"])

    def test_patches(self) -> None:
        for case in vectors("merge/patch.json"):
            self.assert_same(least_patch(without_nulls(case["base"]), without_nulls(case["changed"])), case["patch"],
                             case["title"])


    def test_files(self) -> None:
        def files(letters: list[str]) -> list[dict[str, Any]]:
            return [{"id": letter, "bytes": 1} for letter in letters]

        for case in vectors("attachments/files.json"):
            merged = merge_files(files(case["base"]), files(case["local"]), files(case["server"]))
            self.assertEqual(merged, files(case["merged"]), case["title"])


class Conflicts(unittest.TestCase):
    """The ids of the entries that a device writes."""

    def test_ids(self) -> None:
        for case in vectors("conflicts/ids.json"):
            self.assertEqual(entry_id(case["record"], case["path"], case["lost_by"]), case["id"], case["title"])


class Digest(unittest.TestCase):
    """What a record and a feed come to."""

    def test_canonical_forms(self) -> None:
        found = vectors("digest/buckets.json")
        self.assertEqual([canonical(record["data"]) for record in found["records"]], found["canonical"])

    def test_buckets(self) -> None:
        found = vectors("digest/buckets.json")
        self.assertEqual(buckets(found["records"]), found["buckets"])

    def test_numbers_as_javascript_writes_them(self) -> None:
        for number, text in ((0.0, "0"), (-0.0, "0"), (1e21, "1e+21"), (1e20, "100000000000000000000"),
                             (1e-6, "0.000001"),
                             (1.5e-7, "1.5e-7"), (-38.10, "-38.1"), (123456.789, "123456.789"), (5e-324, "5e-324"),
                             (1.7976931348623157e308, "1.7976931348623157e+308"), (True, "true"), (12, "12")):
            self.assertEqual(canonical(number), text)
