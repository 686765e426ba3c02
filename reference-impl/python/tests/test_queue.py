"""The profile `entity-queue`, and what a device offers beside the core, against a real server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fieldsync_device import Device, Limits, Names

from .harness import Case, Exchange


class Queue(Case):
    """A data set of the profile `entity-queue`."""

    data_set = "entity_queue"

    def told(self, device: Device) -> list[dict[str, Any]]:
        """What a device told of its syncs."""
        return [mutation["data"] for body in self.wires[device].bodies("push") for mutation in body["mutations"]
                if mutation["type"] == "telemetry"]


class Arrival(Queue):
    """The last one replaces, and types come in order."""

    def test_the_last_replaces_and_the_other_is_logged(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = tablet.create("observation", {"n": 0})
        self.sync(tablet, phone)
        tablet.edit("observation", key, {"n": 1})
        phone.edit("observation", key, {"n": 2})
        self.sync(tablet, phone, tablet)
        for device in (tablet, phone):
            self.assertEqual(device.read("observation", key).data, {"n": 2})
            self.assertEqual([entry["lost"] for _, entry in device.conflicts() if entry["record"]["id"] == key],
                             [{"n": 1}])

    def test_a_parent_goes_before_its_child_and_both_go_again_until_what_is_missing_is_there(self) -> None:
        tablet = self.device()
        child = tablet.create("member", {"household": "home-1"})
        home = tablet.create("household", {"village": "nowhere"}, "home-1")
        for _ in range(2):
            self.sync(tablet)
        self.assertEqual([[mutation["type"] for mutation in body["mutations"]]
                          for body in self.wires[tablet].bodies("push")], [["household", "member"]] * 2)
        self.assertEqual(self.status(tablet, child, "member"), "pending")
        tablet.edit("household", home, {"village": "north"})
        self.sync(tablet)
        self.assertEqual(tablet.outbox(), [])


class Groups(Queue):
    """Records that go together or not at all."""

    def pair(self, device: Device, name: str, **mother: Any) -> tuple[str, str]:
        """A mother and her newborn, each of whom names the other."""
        device.create("mother", {"child": f"{name}-n", **mother}, f"{name}-m", group=name)
        device.create("newborn", {"mother": f"{name}-m"}, f"{name}-n", group=name)
        return f"{name}-m", f"{name}-n"

    def test_a_circle_goes_in_one_batch(self) -> None:
        tablet = self.device(limits=Limits(batch=1, timeout=10))
        mother, newborn = self.pair(tablet, "circle")
        self.sync(tablet)
        self.assertEqual([[mutation["group"] for mutation in body["mutations"]]
                          for body in self.wires[tablet].bodies("push")], [["circle", "circle"]])
        self.assertEqual([self.status(tablet, mother, "mother"), self.status(tablet, newborn, "newborn")],
                         ["synced", "synced"])

    def test_the_others_wait_for_one_that_was_refused_and_go_with_it(self) -> None:
        tablet = self.device()
        mother, newborn = self.pair(tablet, "mended", note="x" * 9000)
        self.sync(tablet)
        self.assertEqual(tablet.quarantine(), [("mother", mother, "string-too-long")])
        self.assertEqual(self.status(tablet, newborn, "newborn"), "pending")
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.wires[tablet].kinds(), ["pull"])
        tablet.edit("mother", mother, {"note": "short"})
        self.sync(tablet)
        self.assertEqual({mutation["id"] for mutation in self.wires[tablet].bodies("push")[0]["mutations"]},
                         {mother, newborn})
        self.assertEqual(self.status(tablet, mother, "mother"), "synced")

    def test_a_group_is_never_taken_apart(self) -> None:
        tablet = self.device()
        self.pair(tablet, "whole")
        other = tablet.create("observation", {"n": 1})

        def fail(exchange: Exchange) -> Any:
            if exchange.kind == "push" and any(mutation["type"] == "mother" for mutation in exchange.body["mutations"]):
                exchange.problem(500, "internal", "never")
                return True

        self.wires[tablet].before = fail
        self.sync(tablet)
        self.assertEqual(self.status(tablet, other), "synced")
        self.assertEqual([code for _, _, code in tablet.quarantine()], ["server", "server"])
        for body in self.wires[tablet].bodies("push"):
            self.assertIn(sum(mutation.get("group") == "whole" for mutation in body["mutations"]), (0, 2))


class Telling(Queue):
    """Telemetry."""

    def test_what_was_done_is_told_and_nothing_is_not(self) -> None:
        tablet = self.device(telemetry=Names("visits", "Nokia"))
        tablet.create("observation", {"n": 1})
        self.sync(tablet)
        (said,) = self.told(tablet)
        self.assertEqual((said["user"], said["outcome"], said["pushed"], said["app"], said["device"]),
                         ("amina", "ok", {"observation": 1}, "visits", "Nokia"))
        self.assertGreaterEqual(said["pulled"]["observation"], 1)
        self.assertEqual(said["requests"], len(self.wires[tablet].kinds()) - 1)
        self.wires[tablet].calm()
        self.sync(tablet)
        self.assertEqual(self.wires[tablet].kinds(), ["pull"])

    def test_what_fails_is_told_by_the_next_and_a_lost_answer_changes_nothing(self) -> None:
        tablet = self.device(telemetry=Names())
        wire = self.wires[tablet]
        wire.before = lambda exchange: "drop" if exchange.kind == "pull" else None
        self.assertEqual(tablet.sync().cause, "network")
        self.assertEqual(self.told(tablet), [])
        wire.calm()
        wire.after = lambda exchange: "drop" if exchange.kind == "push" else None
        self.sync(tablet)
        first = [exchange.raw for exchange in wire.seen if exchange.kind == "push"]
        self.assertEqual([said["outcome"] for said in self.told(tablet)], ["failed", "ok"])
        wire.calm()
        self.sync(tablet)
        self.assertEqual([exchange.raw for exchange in wire.seen if exchange.kind == "push"], first)

    def test_a_sync_that_was_killed_is_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            tablet = self.device(folder=Path(folder), telemetry=Names())
            self.sync(tablet)
            tablet._telling.begin()
            tablet.close()
            tablet = self.device(folder=Path(folder), telemetry=Names())
            self.sync(tablet)
            self.assertEqual([said["outcome"] for said in self.told(tablet)], ["killed"])
            self.assertNotIn("ended_at", self.told(tablet)[0])
            tablet.close()


class Partitions(Queue):
    """A type whose changes are spread over several feeds."""

    def encounter(self, device: Device, kind: str, **more: Any) -> str:
        """A record of a type with partitions."""
        return device.create("encounter", {"kind": kind, "village": "north", **more})

    def test_a_partition_is_pulled_as_soon_as_it_is_named_and_a_move_keeps_the_record(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        key = self.encounter(tablet, "first")
        self.sync(tablet, phone)
        self.assertEqual(phone.read("encounter", key).data["kind"], "first")
        tablet.edit("encounter", key, {"kind": "second"})
        self.sync(tablet)
        wire = self.wires[phone]

        def only_the_move(exchange: Exchange) -> None:
            if exchange.kind == "pull":
                wire.after = lambda exchange: "drop"
                message = exchange.json
                message["feeds"] = [page for page in message["feeds"] if page["feed"] == "encounter/first"]
                exchange.forge(200, message)

        wire.after = only_the_move
        self.assertEqual(phone.sync().cause, "network")
        self.assertEqual(phone.read("encounter", key).data["kind"], "first")
        wire.calm()
        self.sync(phone)
        self.assertEqual(phone.read("encounter", key).data["kind"], "second")
        self.assertEqual(phone._store.feed_that_brought("encounter", key), "encounter/second")

    def test_what_a_walk_of_one_feed_lacks_is_gone_only_when_all_were_walked(self) -> None:
        tablet = self.device()
        key = self.encounter(tablet, "walked")
        self.sync(tablet)
        store = tablet._store
        store.execute("UPDATE record SET feed = 'encounter' WHERE id = ?", (key,))
        store.execute("INSERT INTO record SELECT type, 'nowhere', feed, walk, rev, version, deleted, message"
                      " FROM record WHERE id = ?", (key,))
        store.walk_again(["encounter", *store.partitions("encounter")])
        self.sync(tablet)
        self.assertEqual(tablet.read("encounter", key).status, "synced")
        self.assertIsNone(tablet.read("encounter", "nowhere").status)

    def test_a_partition_that_the_server_does_not_know_is_forgotten_until_it_is_named(self) -> None:
        tablet = self.device()
        key = self.encounter(tablet, "known")
        self.sync(tablet)
        tablet._store.begin_feed("encounter/invented")
        self.wires[tablet].calm()
        self.sync(tablet)
        asked = [set(body["feeds"]) for body in self.wires[tablet].bodies("pull")]
        self.assertIn("encounter/invented", asked[0])
        self.assertTrue(all("encounter/invented" not in feeds for feeds in asked[1:]))
        self.assertEqual(self.wires[tablet].kinds().count("session"), 0)
        other = self.device("ben")
        self.encounter(other, "invented")
        self.sync(other, tablet)
        self.assertIn("encounter/invented", tablet._store.cursors())
        self.assertEqual(tablet.read("encounter", key).status, "synced")


class Mending(Queue):
    """What a store lost, and what a server wants to be pulled once more."""

    def test_what_was_lost_or_altered_is_mended_and_nothing_else_is_fetched(self) -> None:
        tablet = self.device()
        keys = [tablet.create("observation", {"n": n}) for n in range(3)]
        self.sync(tablet)
        store = tablet._store
        with store.transaction():
            store.drop_record("observation", keys[0])
            store.execute("UPDATE record SET message = json_set(message, '$.data.n', 9) WHERE id = ?", (keys[1],))
        wire = self.wires[tablet]
        wire.calm()
        tablet.compare()
        self.sync(tablet)
        self.assertEqual([tablet.read("observation", key).data for key in keys], [{"n": 0}, {"n": 1}, {"n": 2}])
        self.assertEqual(wire.kinds(), ["pull", "digest", "bucket", "bucket"])
        wire.calm()
        self.sync(tablet)
        self.assertEqual(wire.kinds(), ["pull"])

    def test_an_order_is_carried_out_once(self) -> None:
        tablet = self.device()
        tablet.create("observation", {"n": 1})
        self.sync(tablet)
        wire = self.wires[tablet]

        def order(exchange: Exchange) -> None:
            if exchange.kind == "session":
                exchange.forge(200, {**exchange.json, "refetch": [{"id": "f-1", "types": ["observation"]}]})

        wire.calm()
        wire.after = order
        for _ in range(2):
            tablet._line.fetch_session()
            self.sync(tablet)
        asked = [body["feeds"] for body in wire.bodies("pull")]
        self.assertIsNone(asked[0]["observation"])
        self.assertIsNotNone(asked[0]["member"])
        self.assertTrue(all(feeds["observation"] for feeds in asked[1:]))
