"""What the server does not take."""

from __future__ import annotations

from .harness import Case, Wire, changing


def lose_answers(wire: Wire) -> None:
    """Loses the answers to pushes."""
    wire.after = lambda exchange: "drop" if exchange.kind == "push" else None


def lose_pushes(wire: Wire) -> None:
    """Loses the pushes themselves."""
    wire.before = lambda exchange: "drop" if exchange.kind == "push" else None


class Refusals(Case):
    """Mutations that are refused, put off, or too much for the server."""

    def test_quarantine_and_the_way_out(self) -> None:
        tablet = self.device()
        good = tablet.create("observation", {"n": 1})
        bad = tablet.create("place", {"name": "Nowhere"})
        self.sync(tablet)
        self.assertEqual(self.status(tablet, good), "synced")
        self.assertEqual(self.status(tablet, bad, "place"), "rejected")
        self.assertEqual(tablet.quarantine(), [("place", bad, "read-only-type")])
        self.assertEqual(tablet.read("place", bad).data, {"name": "Nowhere"})
        wire = self.wires[tablet]
        wire.calm()
        self.sync(tablet)
        self.assertEqual(wire.kinds(), ["pull"])
        refused = tablet._outbox.refused()[0].mutation_id
        tablet.edit("place", bad, {"name": "Somewhere"})
        self.assertEqual(tablet.quarantine(), [])
        self.sync(tablet)
        pushed = wire.bodies("push")[0]["mutations"][0]
        self.assertEqual((pushed["op"], pushed["base"], pushed["version"], pushed["replaces"]),
                         ("create", None, 2, refused))
        tablet.discard("place", bad)
        self.assertIsNone(tablet.read("place", bad).status)
        tablet.edit("place", "north", {"name": "South"})
        self.sync(tablet)
        self.assertEqual(tablet.read("place", "north").data, {"name": "North"})
        self.assertEqual(self.status(tablet, "north", "place"), "rejected")
        tablet.discard("place", "north")
        self.assertEqual(self.status(tablet, "north", "place"), "synced")

    def test_a_batch_goes_in_halves_until_the_bad_one_is_alone(self) -> None:
        tablet, phone = self.device(), self.device("ben")
        wire = self.wires[tablet]
        keys = [tablet.create("observation", {"n": n}) for n in range(4)]

        def fail(exchange):
            if exchange.kind == "push" and any(change["id"] == keys[1] for change in exchange.body["mutations"]):
                exchange.problem(500, "internal", "same")
                return True

        wire.before = fail
        self.sync(tablet, phone)
        self.assertEqual(tablet.quarantine(), [("observation", keys[1], "server")])
        self.assertEqual([phone.read("observation", key).data for key in keys], [{"n": 0}, None, {"n": 2}, {"n": 3}])
        sizes = [len(body["mutations"]) for body in wire.bodies("push")]
        self.assertEqual(sizes, [4, 4, 4, 2, 2, 2, 1, 1, 1, 1, 2])
        ids = {change["mutation_id"] for body in wire.bodies("push") for change in body["mutations"]}
        self.assertEqual(len(ids), 4)
        self.assertEqual(len(self.waits), 6)
        self.assertLess(self.waits[0], 1.6)

    def test_a_server_that_fails_over_everything_sets_nothing_aside(self) -> None:
        tablet = self.device()
        self.sync(tablet)
        wire = self.wires[tablet]
        keys = [tablet.create("observation", {"n": n}) for n in range(2)]

        def fail(exchange):
            exchange.problem(500, "internal", "same")
            return True

        wire.before = fail
        self.assertEqual(tablet.sync().cause, "server")
        self.assertEqual(tablet.quarantine(), [])
        self.assertEqual(self.status(tablet, keys[0]), "server")
        wire.calm()
        self.sync(tablet)
        self.assertEqual([self.status(tablet, key) for key in keys], ["synced", "synced"])

    def test_come_back_in_an_hour(self) -> None:
        tablet = self.device()
        self.sync(tablet)
        wire = self.wires[tablet]
        wire.calm()
        wire.before = lambda exchange: exchange.problem(503, "unavailable", "after", retry_after=3600) or True
        end = tablet.sync()
        self.assertEqual((end.cause, end.retry_after, wire.kinds()), ("server", 3600, ["pull"]))

    def test_what_the_server_put_off_goes_again_later(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})

        wire.after = changing("push", lambda message: message["outcomes"][0].update(outcome="parked"))
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "pending")
        self.assertEqual(len(wire.bodies("push")), 1)
        wire.after = lambda exchange: None
        self.sync(tablet)
        self.assertEqual(self.status(tablet, key), "synced")
        self.assertEqual(*[body["mutations"][0]["mutation_id"] for body in wire.bodies("push")])

    def test_an_expired_outcome(self) -> None:
        tablet = self.device()
        wire = self.wires[tablet]
        key = tablet.create("observation", {"n": 1})
        lost = tablet.create("observation", {"n": 2})
        for fault, found in ((lose_answers, True), (lose_pushes, False)):
            with self.subTest(found=found):
                work = key if found else lost
                tablet.discard("observation", lost if found else "none")
                if not found:
                    tablet.create("observation", {"n": 2}, lost)
                fault(wire)
                self.assertEqual(tablet.sync().cause, "network")
                wire.calm()
                wire.before = lambda exchange: exchange.kind == "push" and (
                    exchange.problem(409, "outcome-expired", "resync") or True)
                replica = tablet.replica
                self.sync(tablet)
                self.assertNotEqual(tablet.replica, replica)
                self.assertEqual(self.status(tablet, work), "synced" if found else "rejected")
                self.assertEqual([code for _, _, code in tablet.quarantine()], [] if found else ["outcome-unknown"])
