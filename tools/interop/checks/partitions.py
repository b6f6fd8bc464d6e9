"""Many partitions: how long they take to make and to come back after SIGKILL, and what each costs while idle.

`INTEROP_GIB=10` writes so much before the kill, in place of a little.
"""

import os
import struct
import threading
import time

import kafka_node
from check import FRESH, check, expect
from client import tool
from target import BRISK
from . import wire
from .wire import Connection

MIB = 1 << 20
COUNT, TOPIC = 1000, "many"
FILES_MAX = 2_000
# As many shards as `BRISK` asks for.
SHARDS = int(BRISK["millrace.shards"])
# Beside files of partitions: sockets, rings, journals, the metadata log.
OTHER_DESCRIPTORS = 200


def tried(ask, seconds=60):
    """Asks until there is an answer, and says what it was."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except OSError:
            expect(time.monotonic() < deadline, f"no answer within {seconds} s")
            time.sleep(0.002)


def appended(connection, topic, partition, block):
    """Sends one batch until it is acknowledged: a partition may not be there yet."""
    deadline = time.monotonic() + 30
    while True:
        error, _ = wire.produced(connection.ask(wire.PRODUCE, 3, wire.produce_body(topic, block, partition)))
        if error == 0:
            return
        expect(error in (3, 5, 6) and time.monotonic() < deadline, f"{topic}-{partition}: error {error}")
        time.sleep(0.002)


def acknowledged(port, partition, block):
    """One batch on a connection of its own, and another connection while the broker does not serve yet."""

    def once():
        with Connection(port, seconds=60) as connection:
            appended(connection, TOPIC, partition, block)

    tried(once)


def fill(port, topic, total):
    """Writes so many bytes, over all partitions alike."""
    block = wire.batch([os.urandom(15_000) for _ in range(64)])
    frames = [wire.request(wire.PRODUCE, 3, wire.produce_body(topic, block, partition)) for partition in range(COUNT)]
    rounds = max(total // len(block) // COUNT, 1)
    with Connection(port, seconds=60) as connection:
        slots = threading.Semaphore(16)

        def send():
            for _ in range(rounds):
                for frame in frames:
                    slots.acquire()
                    connection.send(frame)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        for _ in range(rounds * COUNT):
            error, _ = wire.produced(connection.answer()[1])
            expect(error == 0, f"filling {topic}: error {error}")
            slots.release()
        sender.join()
    return rounds * COUNT * len(block), rounds * 64


def ends(connection, topic, count):
    """The end offset of every partition, in one request."""
    asks = [struct.pack(">iq", partition, -1) for partition in range(count)]
    body = struct.pack(">i", -1) + wire.array([wire.string(topic) + wire.array(asks)])
    reader = wire.Reader(connection.ask(wire.LIST_OFFSETS, 1, body))
    reader.take("i")
    reader.string()
    found = {}
    for _ in range(reader.take("i")):
        partition, error, _, offset = reader.take("ihqq")
        found[partition] = (error, offset)
    return found


def kill_and_start(broker):
    """SIGKILL, and a new process at once; the answer is when that was."""
    began = time.monotonic()
    broker.kill()
    broker.start()
    return began


def all_there(port, topic, count, end):
    with Connection(port) as connection:
        found = ends(connection, topic, count)
        if any(error in (3, 5, 6) for error, _ in found.values()):
            raise ConnectionError("not all partitions are there yet")
    wrong = {partition: each for partition, each in found.items() if each != (0, end)}
    expect(not wrong and len(found) == count, f"{len(wrong)} partitions changed: {list(wrong.items())[:3]}")


@check(f"partitions: {COUNT} made by Kafka's own tool, idle, and back after SIGKILL", needs=("jars",), stage=FRESH,
       seconds=900 if "INTEROP_GIB" in os.environ else 150, targets=("millrace",), quick=False)
def thousand(context):
    total = int(float(os.environ.get("INTEROP_GIB", "0.25")) * (1 << 30))
    with context.fresh(BRISK) as broker:
        memory, open_before = broker.rss_mib(), broker.descriptors()
        began = time.monotonic()
        tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker.bootstrap, "--create", "--topic",
             TOPIC, "--partitions", str(COUNT), "--replication-factor", "1")
        made = time.monotonic() - began
        with Connection(broker.port) as connection:
            for partition in range(COUNT):
                appended(connection, TOPIC, partition, wire.batch([b"first"]))
        context.note(f"made in {made:.1f} s with the JVM's start, "
                     f"each with a record after {time.monotonic() - began:.1f} s")
        # Tails are written after 5 s without a record, and let go at the next look but one.
        time.sleep(25)
        idle = broker.rss_mib() - memory
        context.note(f"idle: {idle * 1024 / COUNT:.1f} KiB of memory and "
                     f"{(broker.descriptors() - open_before) / COUNT:.2f} descriptors a partition")
        written, records = fill(broker.port, TOPIC, total)
        most = broker.descriptors()
        began = kill_and_start(broker)
        acknowledged(broker.port, 0, wire.batch([b"last"]))
        first = time.monotonic() - began
        with Connection(broker.port, seconds=60) as connection:
            for partition in range(1, COUNT):
                appended(connection, TOPIC, partition, wire.batch([b"last"]))
        tried(lambda: all_there(broker.port, TOPIC, COUNT, records + 2))
        context.note(f"SIGKILL with {written / (1 << 30):.2f} GiB: an acknowledgement after {first:.2f} s, "
                     f"one from every partition after {time.monotonic() - began:.2f} s")
        # Right away once more: what the last start has left as it was must do for this one too.
        began = kill_and_start(broker)
        tried(lambda: all_there(broker.port, TOPIC, COUNT, records + 2))
        with Connection(broker.port, seconds=60) as connection:
            for partition in range(COUNT):
                appended(connection, TOPIC, partition, wire.batch([b"again"]))
        tried(lambda: all_there(broker.port, TOPIC, COUNT, records + 3))
        context.note(f"SIGKILL again: an acknowledgement from every partition after {time.monotonic() - began:.2f} s")
        most = max(most, broker.descriptors())
        context.note(f"{most} descriptors at most")
        expect(most <= SHARDS * FILES_MAX + OTHER_DESCRIPTORS, f"{most} descriptors are open")
        expect(broker.alive(), f"the broker is gone:\n{broker.log_tail()}")


@check("partitions: from SIGKILL to the first acknowledgement with 100 partitions, ten times", stage=FRESH,
       seconds=90, targets=("millrace",))
def back(context):
    with context.fresh(BRISK) as broker:
        with Connection(broker.port) as connection:
            error = wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(TOPIC, 100)))
            expect(error == 0, f"creating the topic: error {error}")
        times, block = [], wire.batch([os.urandom(1000)])
        for _ in range(10):
            with Connection(broker.port) as connection:
                for partition in range(100):
                    appended(connection, TOPIC, partition, block)
            began = kill_and_start(broker)
            acknowledged(broker.port, len(times), block)
            times.append(time.monotonic() - began)
        tried(lambda: sizes(broker.port))
        context.note(f"median {sorted(times)[5]:.3f} s, slowest {max(times):.3f} s")


def sizes(port):
    """Ten records in each of ten rounds, and one more in the partition of each round's first acknowledgement."""
    with Connection(port) as connection:
        found = ends(connection, TOPIC, 100)
        if any(error in (3, 5, 6) for error, _ in found.values()):
            raise ConnectionError("not all partitions are there yet")
    wrong = {partition: each for partition, each in found.items() if each != (0, 11 if partition < 10 else 10)}
    expect(not wrong, f"partitions are not as they were: {wrong}")
