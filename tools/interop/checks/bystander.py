"""A well-behaved client beside the bad ones: it must not notice them."""

import threading
import time

from check import expect
from . import wire

TOPIC = "bystander"
# How long one produce and fetch of the bystander may take while others misbehave, in seconds.
PAUSE_MAX = 2.0


class Bystander:
    """Produces and fetches one record after the other on one connection, and times it."""

    def __init__(self, context, rss_growth_max_mib=None):
        self.context, self.growth_max = context, rss_growth_max_mib
        self.stop, self.error, self.times, self.turns = threading.Event(), None, [], 0

    def __enter__(self):
        port = self.context.broker.port
        with wire.Connection(port) as connection:
            code = wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(TOPIC)))
            expect(code in (0, 36), f"creating the bystander's topic: error {code}")
        self.before = self.peak = self.context.broker.rss_mib()
        self.connection = wire.Connection(port, seconds=15)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                self.turn()
                self.times.append(time.monotonic() - began)
                self.peak = max(self.peak, self.context.broker.rss_mib())
                time.sleep(0.02)
        except Exception as error:
            self.error = repr(error)

    @property
    def p99(self):
        """What one turn in a hundred takes longer than, in seconds."""
        return sorted(self.times)[len(self.times) * 99 // 100]

    def turn(self):
        value = b"bystander %d" % self.turns
        body = wire.produce_body(TOPIC, wire.batch([value]))
        error, offset = wire.produced(self.connection.ask(wire.PRODUCE, 3, body))
        if error in (3, 5, 6) and not self.turns:
            return
        expect(error == 0, f"produce: error {error}")
        error, _, records = wire.fetched(self.connection.ask(wire.FETCH, 4, wire.fetch_body(TOPIC, offset)))
        expect(error == 0 and value in records, f"fetch at {offset}: error {error}, {len(records)} bytes")
        self.turns += 1

    def __exit__(self, kind, *_):
        # One more turn after the attack, with a new connection as well.
        time.sleep(0.2)
        self.stop.set()
        self.thread.join(20)
        if kind is not None:
            return
        expect(self.context.broker_lives(), "the broker is gone")
        expect(self.error is None, f"the bystander got {self.error}")
        expect(self.turns > 0, "the bystander did not get one record through")
        with wire.Connection(self.context.broker.port) as connection:
            connection.ask(wire.API_VERSIONS, 0)
        growth, slowest = self.peak - self.before, max(self.times)
        self.context.note(f"bystander: {self.turns} turns, p99 {self.p99 * 1000:.1f} ms, slowest {slowest * 1000:.0f} ms; "
                          f"RSS {self.before} MiB + {growth}")
        expect(slowest <= PAUSE_MAX, f"the bystander waited {slowest:.2f} s, limit {PAUSE_MAX} s")
        if self.growth_max is not None and self.context.target.name == "millrace":
            expect(growth <= self.growth_max, f"RSS grew by {growth} MiB, limit {self.growth_max} MiB")
