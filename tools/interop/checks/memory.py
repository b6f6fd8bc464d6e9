"""`millrace.memory.bytes` is a bound that holds, whatever clients do; who asks for more waits, and gets no error.

`INTEROP_LOAD_SECONDS=180` keeps the load up so long beside those that stop reading, in place of 18 seconds.
"""

import os
import socket
import threading
import time

from check import FRESH, check, expect
from memory_group import MemoryGroup
from target import BRISK
from . import wire
from .wire import Connection

MIB = 1 << 20
BOUND = 256 * MIB
# What a broker needs beside that: code, stacks, rings and tables (25 MiB a shard before the first request), the 8 MiB
# that one turn of a shard may admit before it looks again, and what the allocator has not yet given back.
FIXED = 96 * MIB
# What all of it may be: more, and the kernel kills it where there are control groups.
MOST = BOUND * 12 // 10 + FIXED
TOPIC, PARTITIONS = "memory", 6
PRODUCERS, IN_FLIGHT, LAGGING, TAILING, SLOW, STALLED = 6, 8, 8, 2, 2, 100
# What those read who are slow, not stalled: such a link is never cut. Bytes a second.
SLOW_RATE = 1 << 19
# What the slow and the stalled ones ask for, again and again: it stays, and is more than the kernel takes in for them.
LASTING, LASTING_BATCHES, STALLED_REQUESTS = "lasting", 8, 10
QUIET_SECONDS, AGAIN_SECONDS = 6, 6
STALLED_SECONDS = int(os.environ.get("INTEROP_LOAD_SECONDS", "18"))
# What those that read must keep of their throughput meanwhile; on a quiet machine it is more than 80. Percent.
KEPT_PERCENT = 60
# As long as Kafka's clients wait for an answer (`request.timeout.ms`). Seconds.
PATIENCE = 30

SETTINGS = {**BRISK, "millrace.memory.bytes": str(BOUND), "millrace.journal.bytes": str(128 * MIB),
            "log.retention.check.interval.ms": "1000", "log.segment.delete.delay.ms": "0"}
KEPT = [("segment.bytes", str(32 * MIB)), ("retention.bytes", str(192 * MIB)), ("file.delete.delay.ms", "0")]
LASTING_FETCH = wire.request(wire.FETCH, 4, wire.fetch_body(LASTING, 0, 0, most=50 * MIB, partition_most=50 * MIB))


def large_batch():
    return wire.batch([os.urandom(16_000) for _ in range(60)])


class Load:
    """Threads that each do one thing until told to stop; the first error of any is kept."""

    def __init__(self, port):
        self.port, self.stop, self.errors, self.threads = port, threading.Event(), [], []
        self.moved, self.last, self.slowest = {}, {}, 0.0

    def begin(self, name, body, number):
        self.moved.setdefault(name, 0)

        def run():
            try:
                with Connection(self.port, seconds=PATIENCE) as connection:
                    body(name, number, connection)
            except Exception as error:
                self.errors.append(f"{name} {number}: {error!r}")

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def count(self, name, number, amount):
        self.moved[name] += amount
        self.last[name, number] = time.monotonic()

    def produce(self, name, number, connection):
        """As much as the broker takes, with many requests under way: more than it has memory for."""
        block = large_batch()
        frame = wire.request(wire.PRODUCE, 3, wire.produce_body(TOPIC, block, number % PARTITIONS))
        sent = []
        slots = threading.Semaphore(IN_FLIGHT)

        def send():
            while not self.stop.is_set():
                if slots.acquire(timeout=1):
                    sent.append(time.monotonic())
                    connection.send(frame)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        while sender.is_alive() or sent:
            if not sent:
                time.sleep(0.01)
                continue
            error, _ = wire.produced(connection.answer()[1])
            expect(error == 0, f"error {error}")
            self.slowest = max(self.slowest, time.monotonic() - sent.pop(0))
            slots.release()
            self.count(name, number, len(block))

    def consume(self, name, number, connection):
        """Reads from the oldest record on, or from the newest, and again from there when it was too slow."""
        partition = number % PARTITIONS
        offset = -1
        while not self.stop.is_set():
            if offset < 0:
                offset = wire.earliest(connection, TOPIC, partition)
            body = wire.fetch_body(TOPIC, offset, partition, most=50 * MIB, partition_most=50 * MIB)
            error, high, records = wire.fetched(connection.ask(wire.FETCH, 4, body))
            expect(error in (0, 1), f"error {error}")
            self.count(name, number, len(records))
            offset = -1 if error else high if name == "tailing" else wire.next_offset(records) or offset
            time.sleep(0.05 if name == "lagging" else 0)

    def read_slowly(self, name, number, connection):
        """Reads over a slow link: its answers take longer than others are to wait for their memory."""
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RATE // 10)
        while not self.stop.is_set():
            connection.send(LASTING_FETCH)
            left = int.from_bytes(connection.socket.recv(4, socket.MSG_WAITALL), "big")
            while left > 0 and not self.stop.is_set():
                got = len(connection.socket.recv(min(left, SLOW_RATE // 10)))
                expect(got > 0, "a slow consumer was cut")
                left -= got
                self.count(name, number, got)
                time.sleep(got / SLOW_RATE)

    def rates(self, seconds):
        """MiB/s of each kind during the next seconds."""
        before, began = dict(self.moved), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        return {name: (self.moved[name] - before[name]) / MIB / passed for name in before}


def stalled(port):
    """A consumer that asks for more than the kernel takes in for it, and does not read."""
    connection = Connection(port)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.send(LASTING_FETCH * STALLED_REQUESTS)
    return connection


def is_cut(connection):
    """Whether the broker has ended the connection: the kernel knows, though nothing was read."""
    # The state is the first byte of `struct tcp_info`; 1 is TCP_ESTABLISHED.
    return connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] != 1


@check(f"memory: the bound holds under mixed load with {STALLED} consumers that stop reading", stage=FRESH,
       seconds=130 + STALLED_SECONDS, targets=("millrace",), quick=False)
def bound(context):
    with MemoryGroup("millrace-interop", MOST) as group:
        context.note(group.missing or f"in a control group of {group.limit // MIB} MiB")
        broker = context.fresh(SETTINGS)
        broker.prefix = group.prefix()
        with broker:
            context.broker = broker
            under_load(context, broker)
            expect(group.kills() == 0, f"the kernel killed {group.kills()} processes of the group")


def under_load(context, broker):
    with Connection(broker.port) as connection:
        for topic, partitions, configs in ((TOPIC, PARTITIONS, KEPT), (LASTING, 1, [])):
            asked = wire.create_topic(topic, partitions, configs=configs)
            expect(wire.created(connection.ask(wire.CREATE_TOPICS, 4, asked)) == 0, "the topic is not created")
        time.sleep(1)
        for _ in range(LASTING_BATCHES):
            body = wire.produce_body(LASTING, large_batch(), 0)
            error, _ = wire.produced(connection.ask(wire.PRODUCE, 3, body))
            expect(error == 0, f"error {error}")
    load = Load(broker.port)
    for kind, body, count in (("producers", load.produce, PRODUCERS), ("lagging", load.consume, LAGGING),
                              ("tailing", load.consume, TAILING), ("slow", load.read_slowly, SLOW)):
        for number in range(count):
            load.begin(kind, body, number)
    time.sleep(2)
    quiet = load.rates(QUIET_SECONDS)
    held = [stalled(broker.port) for _ in range(STALLED)]
    busy = load.rates(STALLED_SECONDS)
    cut = sum(map(is_cut, held))
    for connection in held:
        connection.close()
    # Whoever waited for the memory of those that do not read gets it now at the latest.
    freed = time.monotonic()
    time.sleep(AGAIN_SECONDS)
    idle = [f"{name} {number}" for (name, number), last in load.last.items() if last < freed]
    load.stop.set()
    for thread in load.threads:
        thread.join(PATIENCE)
    peak = broker.rss_mib("VmHWM")
    for kind in quiet:
        context.note(f"{kind} {quiet[kind]:.0f} MiB/s, {busy[kind]:.0f} beside those that stop reading")
    kept = 100 * (busy["lagging"] + busy["tailing"]) / (quiet["lagging"] + quiet["tailing"])
    context.note(f"those that read keep {kept:.0f} %; {cut} of {STALLED} cut; slowest acknowledgement "
                 f"{load.slowest:.2f} s; most memory {peak} MiB of {MOST // MIB}, {BOUND // MIB} of them for what clients send and read")
    expect(broker.alive(), f"the broker is gone:\n{broker.log_tail()}")
    expect(not load.errors, f"{len(load.errors)} clients got errors, such as {load.errors[:3]}")
    expect(not idle, f"nothing moved in {AGAIN_SECONDS} s after the others were gone: {idle}")
    expect(len(load.last) == PRODUCERS + LAGGING + TAILING + SLOW, "some clients got nothing at all")
    expect(kept >= KEPT_PERCENT, f"those that read keep {kept:.0f} % beside those that do not")
    expect(peak <= MOST // MIB, f"{peak} MiB of memory, {MOST // MIB} are allowed")
