"""A rotten bit in a segment of a real broker: found by `millrace-tools verify`, read around, given up by `repair`."""

import re
import struct
import time

from check import FRESH, check, expect
from client import run
from target import BRISK, segments
from . import confluent
from .files import dump

TOPIC = "rot"
RECORDS, MORE = 3_000, 50


def value(number):
    return b"%08d" % number + bytes([65 + number % 26]) * 1_000


def tools(context, *arguments, code):
    """What millrace-tools prints; it must end with `code`."""
    out, _ = run([context.target.binary.with_name("millrace-tools"), *arguments], code=code)
    return out


def batches(content):
    """Position, size, first and last offset of every batch of a segment."""
    at = 0
    while at < len(content):
        base, length, delta = struct.unpack_from(">qi11xi", content, at)
        yield at, 12 + length, base, base + delta
        at += 12 + length


def spoil(file):
    """Flips a bit of a record in the middle of a segment; the answer is the batch's position and its offsets."""
    content = bytearray(file.read_bytes())
    found = list(batches(content))
    at, size, first, last = found[len(found) // 2]
    content[at + size // 2] ^= 4
    file.write_bytes(content)
    return at, first, last


def read(context, begin, end):
    """Reads the records at `begin` to `end`, which are those that were written there."""
    from confluent_kafka import TopicPartition
    reader = confluent.consumer(context, "rot")
    reader.assign([TopicPartition(TOPIC, 0, begin)])
    messages = confluent.read(reader, end - begin)[:end - begin]
    reader.close()
    found = [(message.offset(), message.value()) for message in messages]
    expect(found == [(offset, value(offset)) for offset in range(begin, end)], f"other records at {begin} to {end}")


def refusal(context, offset):
    """The error that a consumer is given for the record at an offset."""
    from confluent_kafka import TopicPartition
    reader = confluent.consumer(context, "rot")
    reader.assign([TopicPartition(TOPIC, 0, offset)])
    deadline, message = time.monotonic() + 20, None
    while message is None:
        expect(time.monotonic() < deadline, f"neither a record nor an error for offset {offset} after 20 s")
        message = reader.poll(0.5)
    reader.close()
    expect(message.error(), f"offset {message.offset()} was given out, though {offset} was asked for and is damaged")
    return message.error().name()


def read_whole(context, lost):
    """Reads all of the log without a word about those in `lost`."""
    from confluent_kafka import TopicPartition
    wanted = [number for number in range(RECORDS + MORE) if number not in lost]
    reader = confluent.consumer(context, "rot")
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    messages = confluent.read(reader, len(wanted))
    reader.close()
    expect([message.offset() for message in messages] == wanted, "not every record that is left was read, in order")
    expect(all(message.value() == value(message.offset()) for message in messages), "another record was read")


def files(partition):
    return {file.name: file.read_bytes() for file in partition.iterdir()}


@check("a rotten bit: verify names it, clients read around it, repair gives it up when told to and keeps a copy",
       needs=("venv", "jars"), stage=FRESH, targets=("millrace",), seconds=120)
def rot(context):
    broker = context.broker = context.fresh({**BRISK, "log.segment.bytes": "1048576"})
    with broker:
        confluent.create(context, TOPIC)
        sent = confluent.produce(context, TOPIC, [(0, value(n)) for n in range(RECORDS)], **{"batch.size": 20_000})
        expect(sorted(message.offset() for message in sent) == list(range(RECORDS)), "not every offset was given once")
    tools(context, "verify", broker.data, code=0)
    log = next(file for file in segments(broker.data) if file.parent.name == f"{TOPIC}-0")
    position, first, last = spoil(log)
    lost = range(first, last + 1)
    said = tools(context, "verify", broker.data, code=1)
    named = rf"BAD +{TOPIC}-0: offsets {first}\.\.: {log.name} at position {position}: .* from offset {last + 1} on"
    expect(re.search(named, said), f"verify does not name it: {said[-800:]}")

    with broker:
        read(context, 0, first)
        for offset in (first, last):
            name = refusal(context, offset)
            expect(name in ("_BAD_MSG", "INVALID_MSG", "CORRUPT_MESSAGE"), f"offset {offset} was refused with {name}")
        read(context, last + 1, RECORDS)
        more = confluent.produce(context, TOPIC, [(0, value(n)) for n in range(RECORDS, RECORDS + MORE)])
        expect(more[-1].offset() == RECORDS + MORE - 1, f"appends go on at {more[-1].offset()}")

    before = files(log.parent)
    said = tools(context, "repair", broker.data, code=1)
    expect(f"offsets {first} to {last} at" in said and "--accept-loss" in said, f"repair said {said[-800:]}")
    expect(files(log.parent) == before, "repair changed something without --accept-loss")
    said = tools(context, "repair", broker.data, "--accept-loss", code=0)
    after = files(log.parent)
    expect(after.get(log.name + ".damaged") == before[log.name], f"there is no copy of {log.name}: {said[-800:]}")
    tools(context, "verify", broker.data, code=0)

    with broker:
        read_whole(context, lost)
    tools(context, "verify", "--deep", broker.data, code=0)
    empty = rf"^baseOffset: {first} lastOffset: {last} count: 0 .* isvalid: true$"
    expect(re.search(empty, dump(segments(broker.data)), re.M), "dump-log sees no empty batch instead of the lost ones")
    context.note(f"offsets {first} to {last} of {RECORDS + MORE}")
