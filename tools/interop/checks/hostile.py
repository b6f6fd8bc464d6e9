"""Bytes on the port that no client sends: the one at fault is closed or told, the others do not notice."""

import os
import random
import struct
import time
from contextlib import contextmanager

from check import check, expect
from . import wire
from .bystander import Bystander
from .confluent import until
from .wire import Connection

TLS_HELLO = bytes.fromhex("16030102000100" "01fc0303") + bytes(range(256)) * 2
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\n\r\n"
SIZE_MAX = 104_857_600


def length(number):
    return struct.pack(">i", number)


def closed(context, cases, growth_mib=32, or_answered=()):
    """Each of the named byte strings, on a connection of its own, must get that connection closed."""
    kept = []
    with Bystander(context, growth_mib):
        for name, data, finish in cases:
            with Connection(context.broker.port) as connection:
                try:
                    connection.send(data)
                    if finish:
                        connection.socket.shutdown(1)
                except OSError:
                    continue
                fate = connection.fate()
                if fate != "closed" and not (fate == "answered" and name in or_answered):
                    kept.append(f"{name}: {fate}")
    expect(not kept, f"not closed: {kept}")


@check("hostile: garbage, a TLS hello, an HTTP request")
def garbage(context):
    chance = random.Random(7)
    cases = [("TLS hello", TLS_HELLO, False), ("HTTP GET", HTTP, False), ("0xff", b"\xff" * 4096, False),
             ("nothing at all", b"", True), ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", False)]
    cases += [(f"random {n}", chance.randbytes(chance.randrange(1, 65536)), True) for n in range(40)]
    closed(context, cases)


@check("hostile: frame lengths that are negative, zero, too short, too large")
def frame_lengths(context):
    numbers = (-1, -2**31, 0, 1, 7, SIZE_MAX + 1, 2**31 - 1)
    closed(context, [(f"length {n}", length(n) + b"\0" * 16, False) for n in numbers])


@check("hostile: frames that stop in the middle")
def truncated(context):
    whole = wire.request(wire.METADATA, 1, wire.array([wire.string("bystander")]))
    closed(context, [(f"{cut} bytes of {len(whole)}", whole[:cut], True) for cut in range(1, len(whole))])


@check("hostile: 50 connections announce 100 MiB each and send 10 bytes", targets=("millrace",))
def announced(context):
    with Bystander(context, 48):
        held = [Connection(context.broker.port) for _ in range(50)]
        for connection in held:
            connection.send(length(SIZE_MAX) + b"\0\0\0\1\0\4\0\0\0\0")
        time.sleep(2)
        for connection in held:
            connection.close()


def lies():
    """Frames whose own length is right and whose inner lengths lie."""
    big, text = 2**31 - 1, wire.string("bystander")
    flexible = {"flexible": True}
    forms = {
        "client id of 32767": wire.request(3, 1, b"\0\0\0\0", client=struct.pack(">h", 32767) + b"abc"),
        "client id of -2": wire.request(3, 1, b"\0\0\0\0", client=struct.pack(">h", -2)),
        "topics: 2^31-1": wire.request(3, 1, struct.pack(">i", big)),
        "topics: 2^31-1, one there": wire.request(3, 1, struct.pack(">i", big) + text),
        "topic name of 32767": wire.request(3, 1, struct.pack(">ih", 1, 32767) + b"abc"),
        "topic name of -3": wire.request(3, 1, struct.pack(">ih", 1, -3) + b"abc"),
        "topic name is not UTF-8 and long": wire.request(3, 1, struct.pack(">ih", 1, 300) + b"\xff" * 10),
        "compact topics: 2^32-1": wire.request(3, 12, b"\xff\xff\xff\xff\x0f" + b"\0" * 20, **flexible),
        "compact topics: varint without end": wire.request(3, 12, b"\xff" * 40, **flexible),
        "compact name of 2^28": wire.request(3, 12, b"\2" + b"\0" * 16 + b"\x80\x80\x80\x80\1" + b"ab", **flexible),
        "tags: 2^28, none there": wire.request(3, 12, b"\1\0\0" + b"\x80\x80\x80\x80\1", **flexible),
        "tag of 2^28 bytes": wire.request(3, 12, b"\1\0\0\1\5\x80\x80\x80\x80\1", **flexible),
        "produce: records of 2^31-1": wire.request(
            0, 3, struct.pack(">hhi", -1, -1, 1000) + wire.array([text + struct.pack(">iii", 1, 0, big)])),
        "produce: topics of 2^31-1": wire.request(0, 3, struct.pack(">hhii", -1, -1, 1000, big)),
        "fetch: partitions of 2^31-1": wire.request(
            1, 4, struct.pack(">iiiib", -1, 100, 1, 1, 0) + wire.array([text + struct.pack(">i", big)])),
        "create topics: 2^31-1": wire.request(19, 4, struct.pack(">i", big) + b"\0" * 30),
        "join group: protocols of 2^31-1": wire.request(
            11, 5, wire.string("g") + struct.pack(">ii", 6000, 6000) + wire.string("") + struct.pack(">h", -1)
            + wire.string("consumer") + struct.pack(">i", big)),
        "offset commit: topics of 2^31-1": wire.request(
            8, 2, wire.string("g") + struct.pack(">i", -1) + wire.string("") + struct.pack(">qi", -1, big)),
        "body cut short": wire.request(1, 4, b"\0\0"),
        "header only": length(8) + struct.pack(">hhi", 3, 1, 1),
    }
    return [(name, frame, False) for name, frame in forms.items()]


# Kafka takes any negative length for a null one: these may be answered as well.
NULLS = ("client id of -2", "compact topics: 2^32-1")


@check("hostile: array, string and record lengths that lie")
def lengths_lie(context):
    closed(context, lies(), or_answered=NULLS)


@check("hostile: a million tagged fields")
def tags(context):
    fields = b"".join(wire.uvarint(number) + b"\0" for number in range(1_000_000))
    body = b"\1\0\0" + wire.uvarint(1_000_000) + fields
    with Bystander(context, 64):
        for _ in range(3):
            with Connection(context.broker.port) as connection:
                began = time.monotonic()
                connection.send(wire.request(wire.METADATA, 12, body, flexible=True))
                fate = connection.fate(10)
                context.note(f"{fate} after {time.monotonic() - began:.2f} s")
                expect(fate != "silent", "neither answered nor closed within 10 s")


@check("hostile: unknown APIs and versions close the connection")
def unknown(context):
    keys = [(9999, 0), (-1, 0), (32767, 32767), (wire.METADATA, 99), (wire.METADATA, -1), (wire.FETCH, 3),
            (wire.FETCH, 99), (wire.PRODUCE, 99), (wire.CREATE_TOPICS, 1), (4, 0), (7, 0)]
    closed(context, [(f"key {key} version {version}", wire.request(key, version, b"\0" * 40), False)
                     for key, version in keys])


@check("ApiVersions of a newer version is answered in version 0 with error 35, and the connection lives")
def newer_api_versions(context):
    with Connection(context.broker.port) as connection:
        connection.send(wire.request(wire.API_VERSIONS, 99, b"\x07what\0\xff", correlation=77, flexible=True))
        correlation, body = connection.answer()
        expect(correlation == 77, f"correlation id {correlation}")
        error, count, key, least, most = struct.unpack(">hihhh", body)
        expect((error, count, key, least) == (35, 1, 18, 0) and most >= 4, f"it said {body.hex()}")
        body = connection.ask(wire.API_VERSIONS, 3, wire.compact("wire") + wire.compact("1.0") + b"\0", flexible=True)
        expect(struct.unpack_from(">h", body) == (0,), f"version 3 afterwards: {body[:2].hex()}")
        body = connection.ask(wire.API_VERSIONS, 3, wire.compact("-?-") + wire.compact("") + b"\0", flexible=True)
        expect(struct.unpack_from(">h", body) == (42,), f"a bad software name: {body[:2].hex()}")


@check("hostile: 20 clients send a byte a second, and are answered in the end", seconds=40, quick=False)
def slow(context):
    frame = wire.request(wire.API_VERSIONS, 0, client=struct.pack(">h", -1))
    with Bystander(context, 32):
        held = [Connection(context.broker.port) for _ in range(20)]
        for byte in frame:
            for connection in held:
                connection.send(bytes([byte]))
            time.sleep(1)
        for connection in held:
            expect(struct.unpack_from(">h", connection.answer()[1]) == (0,), "the slow client got an error")
            connection.close()


@check("hostile: 20 clients ask for 40 MiB each and never read", seconds=90)
def never_reads(context):
    topic, mib = "hostile.unread", 1 << 20
    with Connection(context.broker.port) as connection:
        wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(topic)))
        block = wire.batch([os.urandom(900_000)], crc=None)
        for _ in range(4):
            for _ in range(50):
                error, _ = wire.produced(connection.ask(wire.PRODUCE, 3, wire.produce_body(topic, block)))
                if error == 0:
                    break
                time.sleep(0.1)
            expect(error == 0, f"produce: error {error}")
    with Bystander(context, 128):
        held = [Connection(context.broker.port) for _ in range(20)]
        ask = wire.request(wire.FETCH, 4, wire.fetch_body(topic, 0, most=2 * mib, partition_most=2 * mib))
        for connection in held:
            connection.send(ask * 20)
        time.sleep(4)
        for connection in held:
            connection.close()


@check("hostile: a client sends metadata requests without reading the answers", seconds=60)
def never_reads_small(context):
    ask = wire.request(wire.METADATA, 1, length(-1)) * 100
    sent, deadline = 0, time.monotonic() + 6
    with Bystander(context, 64):
        with Connection(context.broker.port, seconds=1) as connection:
            try:
                while time.monotonic() < deadline:
                    sent += connection.socket.send(ask)
            except OSError:
                pass
    context.note(f"{sent >> 10} KiB of requests were taken in")
    # What is taken in without an end is kept somewhere; only buffers of a bounded size may swallow it.
    expect(sent < 64 << 20, f"the broker took in {sent >> 20} MiB of requests that nobody reads the answers of")


@contextmanager
def storm(context, growth_mib):
    """A bystander before and during the attack, and afterwards no descriptor is left open."""
    with Bystander(context) as quiet:
        time.sleep(2)
    before = context.broker.descriptors()
    with Bystander(context, growth_mib) as beside:
        yield
    if context.target.name == "millrace":
        until(lambda: context.broker.descriptors() <= before + 10,
              f"more than 10 descriptors are open that were not: {before} before")
    context.note(f"p99 {beside.p99 / quiet.p99:.1f} times as long as in quiet; "
                 f"{before} descriptors before, {context.broker.descriptors()} after")


@check("hostile: 2,000 connections at once, all with traffic", seconds=90)
def many(context):
    with storm(context, 160):
        held = []
        try:
            for _ in range(2000):
                held.append(Connection(context.broker.port, seconds=20))
            for _ in range(3):
                for connection in held:
                    connection.send(wire.request(wire.METADATA, 1, wire.array([wire.string("bystander")])))
                for connection in held:
                    correlation, body = connection.answer()
                    expect(correlation == 1 and len(body) > 20, "an answer is wrong")
        finally:
            for connection in held:
                connection.close()


@check("hostile: 4,000 connections opened and reset at once, one after the other", seconds=60)
def resets(context):
    with storm(context, 48):
        began = time.monotonic()
        for number in range(4000):
            with Connection(context.broker.port) as connection:
                if number % 2:
                    connection.send(wire.request(wire.METADATA, 1, length(-1)))
                connection.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))
        context.note(f"{4000 / (time.monotonic() - began):.0f} a second")
