"""Full, stalled and suddenly powerless disks: real file systems on loop devices below a real broker."""

import os
import random
import time

from check import FRESH, check, expect
from loop_disk import LoopDisk
from target import BRISK
from . import confluent, sigkill
from .ledger import Ledger, parse, value

SMALL = {**BRISK, "millrace.journal.bytes": "16777216", "log.segment.bytes": "8388608"}
CUT_CYCLES = 10
PARTITIONS = 1_000
# Less than the session timeout of the reader: librdkafka gives its membership up by itself after that.
STALL_SECONDS = 5


class Filler:
    """A producer that tries each record once, and keeps what was acknowledged and what was refused."""

    def __init__(self, context, topic):
        from confluent_kafka import Producer
        self.client = Producer({"bootstrap.servers": context.bootstrap, "acks": "all", "retries": 0, "linger.ms": 2,
                                "message.timeout.ms": 20_000, **confluent.QUIET})
        self.topic, self.sent, self.acked, self.refused = topic, 0, {}, []

    def send(self, size=100_000):
        number, began = self.sent, time.monotonic()
        self.sent += 1

        def done(error, message):
            if error is None:
                self.acked[message.offset()] = number
            else:
                self.refused.append((error.name(), time.monotonic() - began))

        self.client.produce(self.topic, value(0, number, os.urandom(size)), partition=0, on_delivery=done)
        self.client.poll(0)

    def probe(self):
        """Sends one record; says how it went, and how long that took."""
        acked, refused, began = len(self.acked), len(self.refused), time.monotonic()
        self.send(20_000)
        expect(self.client.flush(25) == 0, "a record is neither acknowledged nor refused after 25 s")
        seconds = time.monotonic() - began
        expect(len(self.acked) + len(self.refused) == acked + refused + 1, "one record, one answer")
        return (None if len(self.acked) > acked else self.refused[-1][0]), seconds

    def fill(self, seconds=60):
        """Sends until the broker refuses."""
        deadline = time.monotonic() + seconds
        while not self.refused:
            expect(time.monotonic() < deadline, f"the disk is not full after {seconds} s")
            self.send()
            while len(self.client) > 100:
                self.client.poll(0.1)
        expect(self.client.flush(25) == 0, "records are neither acknowledged nor refused after 25 s")
        names = {name for name, _ in self.refused}
        expect(names == {"KAFKA_STORAGE_ERROR"}, f"refused with {names}")


def kept(context, topic, acked):
    """Reads the topic and compares it with what was acknowledged."""
    reader = confluent.consumer(context, "disk-judge", **{"enable.partition.eof": True})
    from confluent_kafka import TopicPartition
    reader.assign([TopicPartition(topic, 0, 0)])
    found, deadline = {}, time.monotonic() + 60
    while True:
        expect(time.monotonic() < deadline, f"reading {topic} took more than 60 s")
        messages = reader.consume(500, timeout=1)
        ends = [each for each in messages if each.error() and each.error().name() == "_PARTITION_EOF"]
        for each in messages:
            expect(each.error() is None or each in ends, f"reading {topic}: {each.error()}")
            if each.error() is None:
                record = parse(each.value())
                expect(record is not None, f"{topic}@{each.offset()} is not what was sent")
                found[each.offset()] = record[1]
        if ends:
            break
    reader.close()
    lost = {offset: number for offset, number in acked.items() if found.get(offset) != number}
    expect(not lost, f"{len(lost)} acknowledged records of {topic} are lost, such as {next(iter(lost.items()), None)}")


def free(context, cycle, topic):
    """Makes room in one of three ways, and says in which."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
    client = confluent.admin(context)
    way = ("delete topic", "delete records", "retention")[cycle % 3]
    if way == "delete topic":
        confluent.settle(client.delete_topics([topic]))
    elif way == "delete records":
        confluent.settle(client.delete_records([TopicPartition(topic, 0, -1)]))
    else:
        entry = ConfigEntry("retention.bytes", "8388608", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        confluent.settle(client.incremental_alter_configs([resource]))
    return way


def fill_cycle(context, disk, cycle, steady):
    """Fills the disk, looks at what goes on, frees room, and waits for writing to go on."""
    topic = f"fill-{cycle}"
    confluent.create(context, topic, 1)
    filler = Filler(context, topic)
    filler.fill()
    error, refused_in = filler.probe()
    expect(error == "KAFKA_STORAGE_ERROR", f"cycle {cycle}: a record on a full disk: {error}")
    expect(refused_in <= 1, f"cycle {cycle}: it was refused after {refused_in:.1f} s")
    if cycle % 2:
        context.broker.kill()
        context.broker.start()
        # What the journals held is in segments now, which may have left some room.
        again = Filler(context, topic)
        again.fill()
        filler.acked.update(again.acked)
    kept(context, topic, filler.acked)
    kept(context, "steady", steady.acked)
    full, began = disk.free_mib(), time.monotonic()
    way = free(context, cycle, topic)
    # Each partition finds out for itself that there is room.
    for name in (topic, "steady") if cycle % 3 else ("steady",):
        while (result := Filler(context, name).probe()[0]) is not None:
            expect(time.monotonic() - began < 5,
                   f"cycle {cycle}: {name} 5 s after {way}, {disk.free_mib()} MiB free: {result}")
            time.sleep(0.1)
    resumed_in = time.monotonic() - began
    for _ in range(20):
        steady.send(1000)
    expect(steady.client.flush(20) == 0 and not steady.refused, f"cycle {cycle}: {steady.refused[:1]}")
    # Deleted files go at once while the disk is full, and later otherwise: whatever is left is filled up.
    filler = Filler(context, topic if cycle % 3 else "steady")
    while disk.free_mib() < full + 50:
        expect(time.monotonic() - began < 15, f"cycle {cycle}: {disk.free_mib()} MiB free 15 s after {way}")
        for _ in range(20):
            filler.send()
        expect(filler.client.flush(20) == 0, f"cycle {cycle}: records without an answer after 20 s")
    return refused_in, resumed_in


def refused(context, partitions, content):
    """Sends a record to each of these partitions of one topic; says by which it was refused."""
    from confluent_kafka import Producer
    client = Producer({"bootstrap.servers": context.bootstrap, "acks": "all", "retries": 0, "linger.ms": 2,
                       "message.timeout.ms": 20_000, **confluent.QUIET})
    errors = {}
    for partition in partitions:
        def done(error, _, partition=partition):
            errors.update({partition: error.name()} if error else {})
        client.produce("many", content, partition=partition, on_delivery=done)
    expect(client.flush(25) == 0, "records are neither acknowledged nor refused after 25 s")
    expect(set(errors.values()) <= {"KAFKA_STORAGE_ERROR"}, f"refused with {set(errors.values())}")
    return set(errors)


def fill_and_free(context, kind, mib, cycles):
    with LoopDisk(context.work, kind, mib) as disk:
        broker = context.broker = context.fresh(SMALL)
        broker.data = disk.path / "data"
        with broker:
            confluent.create(context, "steady", 1)
            steady = Filler(context, "steady")
            for _ in range(100):
                steady.send(1000)
            expect(steady.client.flush(20) == 0 and not steady.refused, f"{steady.refused[:1]}")
            times = [fill_cycle(context, disk, cycle, steady) for cycle in range(cycles)]
            kept(context, "steady", steady.acked)
            code = broker.stop()
        expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")
        disk.unmount()
    context.note(f"{kind}: {len(times)} cycles, refused in {max(t[0] for t in times):.2f} s at most, "
                 f"writing again in {max(t[1] for t in times):.1f} s at most")


@check("full disk, ext4: refusals, reads, deletion, restart and recovery, 5 times", needs=("venv", "loop"), stage=FRESH,
       seconds=180, targets=("millrace",), quick=False)
def full_ext4(context):
    fill_and_free(context, "ext4", 256, 5)


# mkfs.xfs makes none below 300 MiB.
@check("full disk, xfs: refusals, reads, deletion, restart and recovery, 3 times", needs=("venv", "loop"), stage=FRESH,
       seconds=180, targets=("millrace",), quick=False)
def full_xfs(context):
    fill_and_free(context, "xfs", 320, 3)


@check("full disk, 1,000 partitions: all go on within 5 s of there being room", needs=("venv", "loop"), stage=FRESH,
       seconds=120, targets=("millrace",), quick=False)
def full_many(context):
    """Who makes room is nobody that the broker knows of."""
    with LoopDisk(context.work, "ext4", 700) as disk:
        ballast = disk.path / "ballast"
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 300 << 20)
        broker = context.broker = context.fresh({**SMALL, "millrace.journal.bytes": "33554432"})
        broker.data = disk.path / "data"
        with broker:
            confluent.create(context, "many", PARTITIONS)
            everybody = set(range(PARTITIONS))
            left, began = everybody, time.monotonic()
            while left:
                expect(time.monotonic() - began < 60, f"{len(left)} partitions still find room after 60 s")
                left = left - refused(context, left, os.urandom(30_000))
            again = refused(context, everybody, b"full")
            expect(again == everybody, f"{PARTITIONS - len(again)} partitions have room on a full disk")
            ballast.unlink()
            left, began = everybody, time.monotonic()
            while left := refused(context, left, b"room"):
                waited = time.monotonic() - began
                expect(waited < 5, f"{len(left)} partitions are still refused {waited:.1f} s after there was room")
                time.sleep(0.1)
            resumed_in = time.monotonic() - began
            code = broker.stop()
        expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")
        disk.unmount()
    context.note(f"all {PARTITIONS} partitions go on after {resumed_in:.1f} s")


@check("stalled disk: no acknowledgement, no lost member, full rate after", needs=("venv", "loop"), stage=FRESH,
       seconds=90, targets=("millrace",), quick=False)
def stalled(context):
    ledger = Ledger(sigkill.PARTITIONS)
    with LoopDisk(context.work, "ext4", 512) as disk:
        broker = context.broker = context.fresh(BRISK)
        broker.data = disk.path / "data"
        with broker:
            confluent.create(context, sigkill.TOPIC, sigkill.PARTITIONS)
            producer = sigkill.Producer(broker.bootstrap, ledger, 1)
            reader, joined = sigkill.Reader(context, ledger), []
            begin, reader.begin = reader.begin, lambda *given: (joined.append(1), begin(*given))
            producer.start()
            reader.start()
            confluent.until(lambda: ledger.commits, "no commit after 20 s", seconds=20)
            before, began = ledger.count(), time.monotonic()
            time.sleep(1)
            rate = (ledger.count() - before) / (time.monotonic() - began)
            disk.freeze()
            try:
                time.sleep(0.5)
                frozen, rss = ledger.count(), broker.rss_mib()
                time.sleep(STALL_SECONDS)
                grown = broker.rss_mib() - rss
                late = ledger.count() - frozen
                expect(late == 0, f"{late} records were acknowledged while the disk stood still")
            finally:
                disk.thaw()
            expect(broker.alive(), f"the broker died:\n{broker.log_tail()}")
            time.sleep(1)
            before, began = ledger.count(), time.monotonic()
            expect(before > frozen, "nothing was acknowledged within 1 s of the thaw")
            time.sleep(1)
            after = (ledger.count() - before) / (time.monotonic() - began)
            producer.finish()
            time.sleep(2)
            expect(len(joined) == 1, f"the member joined {len(joined)} times")
            reader.finish()
            total = sigkill.judge(context, ledger)
            code = broker.stop()
        disk.unmount()
    context.note(f"{rate:.0f} records/s before, {after:.0f} after, {total} in all; memory grew by {grown} MiB")
    expect(not ledger.problems, "; ".join(ledger.problems))
    expect(after > rate / 2, f"{rate:.0f} records/s before the stall, {after:.0f} after")
    expect(grown < 64, f"memory grew by {grown} MiB while the disk stood still")
    expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")


def power_cuts(context, kind):
    seed = int(os.environ.get("MILLRACE_SEED", time.time_ns() % 1_000_000))
    context.note(f"MILLRACE_SEED={seed}")
    chance, ledger, lives = random.Random(seed), Ledger(sigkill.PARTITIONS), []
    with LoopDisk(context.work, kind, 512) as disk:
        broker = context.broker = context.fresh({**BRISK, "log.segment.bytes": "1048576"})
        broker.data = disk.path / "data"
        with broker:
            confluent.create(context, sigkill.TOPIC, sigkill.PARTITIONS)
            producer = sigkill.Producer(broker.bootstrap, ledger, seed)
            producer.start()
            for cycle in range(CUT_CYCLES):
                before = ledger.count()
                confluent.until(lambda: ledger.count() > before or ledger.problems,
                                f"cycle {cycle}: nothing is acknowledged", seconds=30)
                time.sleep(chance.uniform(0.1, 1))
                expect(broker.alive(), f"cycle {cycle}: the broker died by itself:\n{broker.log_tail()}")
                disk.cut()
                time.sleep(0.05)
                broker.kill()
                lives.append(ledger.count() - before)
                disk.unmount()
                disk.mount()
                broker.start()
            producer.finish()
            total = sigkill.judge(context, ledger)
            code = broker.stop()
        disk.unmount()
    context.note(f"{kind}: {len(lives)} cuts, {total} records, {min(lives)} to {max(lives)} acknowledged in a life")
    expect(not ledger.problems, "; ".join(ledger.problems))
    expect(total == sum(ledger.sent), f"{sum(ledger.sent)} records were sent and acknowledged, {total} are there")
    expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")


@check("power cuts of the file system, ext4: everything acknowledged is there, 10 times", needs=("venv", "loop"),
       stage=FRESH, seconds=120, targets=("millrace",), quick=False)
def cuts_ext4(context):
    power_cuts(context, "ext4")


@check("power cuts of the file system, xfs: everything acknowledged is there, 10 times", needs=("venv", "loop"),
       stage=FRESH, seconds=120, targets=("millrace",), quick=False)
def cuts_xfs(context):
    power_cuts(context, "xfs")
