"""Well-formed requests that ask for what cannot be: each gets the error code that Kafka gives."""

import struct
import time
import uuid

from check import check, expect
from . import wire
from .wire import Connection, Reader

UNKNOWN_TOPIC, CORRUPT, INVALID_TOPIC, INVALID_RECORD, OUT_OF_RANGE = 3, 2, 17, 87, 1


def judge(rows):
    """`rows` are (name, code, codes allowed); all that differ are told at once."""
    wrong = [f"{name}: {code}, not {allowed}" for name, code, allowed in rows
             if code not in (allowed if isinstance(allowed, tuple) else (allowed,))]
    expect(not wrong, "; ".join(wrong))


@check("refusals: topics that cannot be created")
def topics(context):
    cases = [("a/b", 1, 1, INVALID_TOPIC), ("..", 1, 1, INVALID_TOPIC), (".", 1, 1, INVALID_TOPIC),
             ("", 1, 1, INVALID_TOPIC), ("t" * 250, 1, 1, INVALID_TOPIC), ("with space", 1, 1, INVALID_TOPIC),
             ("nul\0", 1, 1, INVALID_TOPIC), ("\u00fc", 1, 1, INVALID_TOPIC),
             ("refused.zero", 0, 1, 37), ("refused.minus", -7, 1, 37), ("refused.billion", 10**9, 1, (37, 44, 42)),
             ("refused.factor", 1, 0, 38), ("refused.factor", 1, 3, 38), ("t" * 249, 1, 1, 0)]
    rows = []
    with Connection(context.broker.port, seconds=20) as connection:
        for name, partitions, factor, allowed in cases:
            code = wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(name, partitions, factor)))
            rows.append((f"{name[:20]!r} x {partitions} x {factor}", code, allowed))
        bad = wire.create_topic("refused.config", configs=[("segment.bytes", "much")])
        rows.append(("a mistyped config", wire.created(connection.ask(wire.CREATE_TOPICS, 4, bad)), 40))
        bad = wire.create_topic("refused.config", configs=[("no.such.config", "1")])
        rows.append(("an unknown config", wire.created(connection.ask(wire.CREATE_TOPICS, 4, bad)), 40))
    judge(rows)


def topic(connection, name):
    """A topic that is ready to be written."""
    expect(wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(name))) == 0, f"creating {name}")
    for _ in range(100):
        error, _ = wire.produced(connection.ask(wire.PRODUCE, 3, wire.produce_body(name, wire.batch([b"first"]))))
        if error == 0:
            return
        time.sleep(0.05)
    expect(False, f"{name} is not writable: error {error}")


@check("refusals: batches that are not whole")
def batches(context):
    good = wire.batch([b"a", b"b", b"c"])
    cases = [
        ("bad checksum", wire.batch([b"a"], crc=1), CORRUPT),
        ("one bit flipped", good[:-2] + bytes([good[-2] ^ 4]) + good[-1:], CORRUPT),
        ("magic 7", wire.batch([b"a"], magic=7), CORRUPT),
        ("count too large", wire.batch([b"a"], count=5), (INVALID_RECORD, CORRUPT)),
        ("count negative", wire.batch([b"a"], count=-1), (INVALID_RECORD, CORRUPT)),
        ("last delta differs from the count", wire.batch([b"a"], last_delta=9), INVALID_RECORD),
        ("length longer than what is there", wire.batch([b"a"], length=500), INVALID_RECORD),
        ("length negative", wire.batch([b"a"], length=-1), CORRUPT),
        ("length below the header", wire.batch([b"a"], length=10), CORRUPT),
        ("cut short", good[:40], INVALID_RECORD),
        ("codec 7", wire.batch([b"a"], attributes=7), None),
        ("not compressed, but says gzip", wire.batch([b"a"], attributes=1), None),
        ("control batch from a client", wire.batch([b"a"], attributes=32), INVALID_RECORD),
        ("two batches", good + good, INVALID_RECORD),
        ("no batch", b"", None),
        ("larger than max.message.bytes", wire.batch([b"x" * 1_100_000]), 10),
    ]
    rows = []
    with Connection(context.broker.port, seconds=20) as connection:
        topic(connection, "refused.batches")
        for name, data, allowed in cases:
            answer = connection.ask(wire.PRODUCE, 3, wire.produce_body("refused.batches", data))
            code, _ = wire.produced(answer)
            if allowed is None:
                context.note(f"{name}: {code}")
                allowed = tuple(range(-1, 140))
            rows.append((name, code, allowed))
        body = wire.produce_body("refused.batches", wire.batch([b"last"]))
        code, offset = wire.produced(connection.ask(wire.PRODUCE, 3, body))
        context.note(f"end offset {offset}")
        rows.append(("and a good one afterwards", code, 0))
    judge(rows)


@check("refusals: sequences and epochs of idempotent producers")
def sequences(context):
    with Connection(context.broker.port, seconds=20) as connection:
        topic(connection, "refused.sequences")
        for _ in range(100):
            reader = Reader(connection.ask(wire.INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 1000)))
            _, error, producer, epoch = reader.take("ihqh")
            if error == 0:
                break
            time.sleep(0.1)
        expect(error == 0 and epoch == 0, f"InitProducerId: error {error}, epoch {epoch}")

        def send(sequence, epoch=0, count=1, producer=producer):
            data = wire.batch([b"s"] * count, producer=producer, epoch=epoch, sequence=sequence)
            return wire.produced(connection.ask(wire.PRODUCE, 3, wire.produce_body("refused.sequences", data)))

        first, offset = send(0, count=3)
        rows = [("sequence 0", first, 0)]
        again = send(0, count=3)
        rows.append(("the same batch again is answered with its offset", again, ((0, offset),)))
        rows.append(("a gap", send(9)[0], 45))
        rows.append(("the next", send(3), ((0, offset + 3),)))
        rows.append(("a newer epoch that does not begin at 0", send(4, epoch=1)[0], 45))
        rows.append(("a newer epoch", send(0, epoch=1)[0], 0))
        rows.append(("the older epoch again", send(4, epoch=0)[0], 47))
        rows.append(("five back is a duplicate", [send(n, epoch=1) for n in range(1, 6)][-1][0], 0))
        rows.append(("the one before", send(4, epoch=1)[0], 0))
        rows.append(("one long ago", send(0, epoch=1)[0], 45))
        rows.append(("an unknown producer that begins at 0", send(0, producer=producer + 1000)[0], 0))
        rows.append(("an unknown producer that begins at 5", send(5, producer=producer + 2000)[0], (0, 45, 59)))
        rows.append(("a negative sequence", send(-1)[0], tuple(range(1, 140))))
    judge(rows)


@check("refusals: topics, ids, partitions and offsets that are not there")
def absent(context):
    rows = []
    with Connection(context.broker.port, seconds=20) as connection:
        topic(connection, "refused.absent")
        ask = connection.ask

        def fetch(name, offset, partition=0):
            return wire.fetched(ask(wire.FETCH, 4, wire.fetch_body(name, offset, partition, wait=100)))[0]

        def produce(name, partition=0):
            return wire.produced(ask(wire.PRODUCE, 3, wire.produce_body(name, wire.batch([b"x"]), partition)))[0]

        rows += [("fetch at 10^12", fetch("refused.absent", 10**12), OUT_OF_RANGE),
                 ("fetch at -5", fetch("refused.absent", -5), OUT_OF_RANGE),
                 ("fetch of partition 99", fetch("refused.absent", 0, 99), UNKNOWN_TOPIC),
                 ("fetch of partition -1", fetch("refused.absent", 0, -1), UNKNOWN_TOPIC),
                 ("fetch of no such topic", fetch("refused.nowhere", 0), UNKNOWN_TOPIC),
                 ("fetch of a/../b", fetch("a/../b", 0), UNKNOWN_TOPIC),
                 ("produce to partition 99", produce("refused.absent", 99), UNKNOWN_TOPIC),
                 ("produce to no such topic", produce("refused.nowhere"), UNKNOWN_TOPIC)]
        # Produce version 13 names topics by id.
        body = (b"\0" + struct.pack(">hi", -1, 5000) + b"\2" + uuid.UUID(int=12345).bytes
                + b"\2" + struct.pack(">i", 0) + wire.compact(wire.batch([b"x"])) + b"\0\0\0")
        answer = ask(wire.PRODUCE, 13, body, flexible=True)
        rows.append(("produce to an unknown id", struct.unpack_from(">h", answer, 1 + 1 + 16 + 1 + 4)[0], 100))
        # ListOffsets version 1: a partition that is not there.
        ask_for = wire.string("refused.absent") + wire.array([struct.pack(">iq", 7, -1)])
        body = struct.pack(">i", -1) + wire.array([ask_for])
        reader = Reader(ask(wire.LIST_OFFSETS, 1, body))
        reader.take("i")
        reader.string()
        rows.append(("offsets of partition 7", reader.take("iih")[2], UNKNOWN_TOPIC))
    judge(rows)
