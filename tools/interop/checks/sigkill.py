"""Stopping and killing: what was acknowledged is there again, once, in order.

`INTEROP_KILLS=200` kills so often under load, in place of 50 times.
"""

import os
import random
import threading
import time

from check import FRESH, check, expect
from target import BRISK
from . import confluent
from .files import every_segment
from .fleet import JavaProducer, Verifier
from .ledger import Ledger, value

TOPIC = "ledger"
PARTITIONS = 4
GROUP = "ledger-readers"
# What the broker's log says once it serves.
SERVES = " listening on "
# Apache Kafka takes seconds to start; the stand-in only has to prove the check itself.
CYCLES = {"millrace": 50, "kafka": 8}
MORE = max(int(os.environ.get("INTEROP_KILLS", "0")) - CYCLES["millrace"], 0)
PATIENT = {"log_level": 2, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
           "socket.timeout.ms": 10_000}


class Producer(threading.Thread):
    """One idempotent producer that lives through every kill, and numbers what it sends."""

    def __init__(self, bootstrap, ledger, seed):
        super().__init__(daemon=True)
        from confluent_kafka import Producer as Client
        self.client = Client({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all",
                              "message.timeout.ms": 600_000, "linger.ms": 2, "retry.backoff.ms": 20,
                              "retry.backoff.max.ms": 200, "queue.buffering.max.messages": 20_000,
                              "compression.type": "lz4", **PATIENT})
        self.ledger, self.random, self.done = ledger, random.Random(seed), threading.Event()

    def run(self):
        try:
            while not self.done.is_set():
                self.burst(10)
                self.client.poll(0.005)
        except Exception as error:
            self.ledger.problem(f"producer: {error}")

    def burst(self, count):
        for _ in range(count):
            partition = self.random.randrange(PARTITIONS)
            number = self.ledger.take(partition)
            padding = self.random.randbytes(self.random.choice((0, 100, 1000, 4000)))
            data = value(partition, number, padding)
            while True:
                try:
                    self.client.produce(TOPIC, data, partition=partition, on_delivery=(
                        lambda error, message, number=number: self.ledger.delivered(error, message, number)))
                    break
                except BufferError:
                    self.client.poll(0.1)

    def finish(self):
        """Stops sending, and waits until everything sent is acknowledged."""
        self.done.set()
        self.join(60)
        left = self.client.flush(90)
        expect(left == 0, f"{left} records are not acknowledged 90 s after the last kill")


class Reader(threading.Thread):
    """A member of a group, which notes what it saw and which of its commits were acknowledged."""

    def __init__(self, context, ledger):
        super().__init__(daemon=True)
        self.client = confluent.consumer(context, GROUP, **PATIENT, **{
            "session.timeout.ms": 6000, "auto.offset.reset": "error"})
        self.ledger, self.done, self.saw = ledger, threading.Event(), 0
        self.wanted = {}

    def run(self):
        self.client.subscribe([TOPIC], on_assign=self.begin)
        try:
            while not self.done.is_set():
                self.turn()
        except Exception as error:
            self.ledger.problem(f"consumer: {error!r}")
        finally:
            self.client.close()

    def begin(self, client, partitions):
        """Goes on at the commit; a commit that fell behind what was acknowledged is a loss."""
        from confluent_kafka import KafkaException
        try:
            found = client.committed(partitions, timeout=10)
        except KafkaException:
            found = partitions
        for each in found:
            known = self.ledger.commits.get(each.partition)
            if known is not None and 0 <= each.offset < known:
                self.ledger.problem(f"commit of {each.partition} was acknowledged at {known}, is {each.offset}")
            each.offset = each.offset if each.offset >= 0 else self.wanted.get(each.partition, 0)
        client.assign(found)

    def turn(self):
        from confluent_kafka import KafkaException, TopicPartition
        messages = self.client.consume(500, timeout=0.2)
        for message in messages:
            if message.error():
                if "OUT_OF_RANGE" in message.error().name() or message.error().fatal():
                    self.ledger.problem(f"consumer: {message.error()}")
                continue
            self.ledger.saw(message)
            self.saw += 1
            self.wanted[message.partition()] = message.offset() + 1
        if not messages or not self.wanted:
            return
        mine = {each.partition for each in self.client.assignment()}
        offsets = [TopicPartition(TOPIC, p, o) for p, o in self.wanted.items() if p in mine]
        try:
            done = self.client.commit(offsets=offsets, asynchronous=False) if offsets else []
        except KafkaException:
            return
        for each in done:
            if each.error is None:
                before = self.ledger.commits.get(each.partition, 0)
                self.ledger.commits[each.partition] = max(before, each.offset)

    def finish(self):
        self.done.set()
        self.join(30)
        expect(not self.is_alive(), "the consumer did not close within 30 s")


def judge(context, ledger):
    """Reads every partition from its beginning to its end and compares it with the ledger. How many records there are."""
    found = confluent.everything(context, TOPIC, PARTITIONS)
    return sum(ledger.judge(partition, records) for partition, records in enumerate(found))


def committed(context, ledger):
    from confluent_kafka import TopicPartition
    asker = confluent.consumer(context, GROUP)
    found = asker.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=20)
    asker.close()
    for each in found:
        known = ledger.commits.get(each.partition, 0)
        if each.offset < known:
            ledger.problem(f"commit of {each.partition} was acknowledged at {known}, is {each.offset}")


def kill_starting(broker, chance, usual):
    """Starts the broker and kills it at any moment of a usual start; whether it did not serve yet."""
    before = broker.log.read_text(errors="replace").count(SERVES)
    broker.launch()
    time.sleep(chance.uniform(0, usual))
    broker.kill()
    return broker.log.read_text(errors="replace").count(SERVES) == before


def live(broker, ledger, cycle, until):
    """Lets the broker live until a moment; most lives go on until something is acknowledged in them."""
    before = ledger.count()
    time.sleep(max(until - time.monotonic(), 0))
    # Some lives are cut before the clients are back.
    deadline = time.monotonic() + 60
    while (cycle % 4 or broker.name == "kafka") and ledger.count() == before and not ledger.problems:
        expect(time.monotonic() < deadline, f"cycle {cycle}: nothing acknowledged 60 s after the start")
        time.sleep(0.01)
    expect(broker.alive(), f"cycle {cycle}: the broker died by itself:\n{broker.log_tail()}")


def kill_and_start(broker, ledger, chance, cycles):
    """Kills 0.1 to 1.5 s after each start, and then once or twice while it starts; the answer is the longest start,
    in seconds, the records each life acknowledged, and how many kills hit a start."""
    longest, usual, lives, starting = 0, 0.1, [], 0
    served = time.monotonic()
    for cycle in range(cycles):
        before = ledger.count()
        # Early moments more often: then clients come back, and what was read anew is used.
        live(broker, ledger, cycle, served + chance.triangular(0.1, 1.5, 0.1))
        broker.kill()
        lives.append(ledger.count() - before)
        # Apache Kafka takes seconds for each start.
        if broker.name == "millrace":
            starting += sum(kill_starting(broker, chance, usual) for _ in range(chance.randint(1, 2)))
            # As many kills of starts as of lives at least, in the end.
            while cycle == cycles - 1 and starting < cycles:
                starting += kill_starting(broker, chance, usual)
        began = time.monotonic()
        broker.start()
        served = time.monotonic()
        usual = served - began
        longest = max(longest, usual)
    return longest, lives, starting


@check("SIGKILL: 100 times, half of them during starts, under three kinds of idempotent producers and a group; then "
       "every segment is dumped", needs=("venv", "jars"), stage=FRESH, seconds=420 + 5 * MORE, quick=False)
def kills(context):
    seed = int(os.environ.get("MILLRACE_SEED", time.time_ns() % 1_000_000))
    context.note(f"MILLRACE_SEED={seed}")
    chance, ledger = random.Random(seed), Ledger(PARTITIONS)
    broker = context.broker = context.fresh({**BRISK, "log.segment.bytes": "1048576"})
    with broker:
        confluent.create(context, TOPIC, PARTITIONS)
        confluent.create(context, "java", PARTITIONS)
        producer, reader = Producer(broker.bootstrap, ledger, seed), Reader(context, ledger)
        java, verifier = JavaProducer(context, "java", PARTITIONS), Verifier(context, "verify", PARTITIONS)
        producer.start()
        reader.start()
        began = time.monotonic()
        longest, lives, starting = kill_and_start(broker, ledger, chance, CYCLES[broker.name] + MORE)
        took = time.monotonic() - began
        time.sleep(1)
        producer.finish()
        java.finish()
        verifier.finish()
        time.sleep(1)
        reader.finish()
        total = judge(context, ledger)
        committed(context, ledger)
        ledger.problems += java.judge()[:10]
        code = broker.stop()
    context.note(f"{len(lives)} kills and {starting} more during starts in {took:.0f} s; {total} records of "
                 f"librdkafka, {len(java.acked)} of Java, {verifier.acked} of verify; {min(lives)} to {max(lives)} acknowledged in a life, "
                 f"{reader.saw} seen on the way, commits at {sorted(ledger.commits.values())}, "
                 f"longest start {longest:.2f} s")
    expect(not ledger.problems, "; ".join(ledger.problems))
    expect(total == sum(ledger.sent), f"{sum(ledger.sent)} records were sent and acknowledged, {total} are there")
    # A test in which nothing happened between the kills proves nothing.
    busy = sum(life > 0 for life in lives)
    expect(busy >= len(lives) * 2 // 3, f"only {busy} of {len(lives)} lives acknowledged anything")
    expect(starting >= len(lives) or broker.name == "kafka", f"only {starting} kills hit a start")
    expect(len(java.acked) >= len(lives) and verifier.acked >= len(lives), "a client has done nothing")
    expect(len(ledger.commits) == PARTITIONS and reader.saw, f"commits: {ledger.commits}")
    expect(code in (0, 143), f"SIGTERM after it all: exit code {code}\n{broker.log_tail()}")
    files, records = every_segment(broker.data)
    context.note(f"dump-log: {files} segments, {records} records")


@check("restart: topics, configuration, records, groups and commits are kept", needs=("venv",), stage=FRESH,
       seconds=120)
def kept(context):
    from confluent_kafka import TopicCollection, TopicPartition
    from confluent_kafka.admin import ConfigResource, ResourceType
    broker = context.broker = context.fresh(BRISK)
    resource = ConfigResource(ResourceType.TOPIC, "kept")
    with broker:
        confluent.create(context, "kept", 3, {"retention.ms": "86400000"})
        confluent.create(context, "deleted", 1)
        confluent.produce(context, "kept", [(n % 3, str(n)) for n in range(3000)])
        client = confluent.admin(context)
        confluent.settle(client.delete_topics(["deleted"]))
        reader = confluent.consumer(context, "kept-group")
        reader.subscribe(["kept"])
        confluent.read(reader, 3000)
        reader.commit(asynchronous=False)
        reader.close()
        before = client.describe_topics(TopicCollection(["kept"]))["kept"].result(20)
        cluster = client.describe_cluster().result(20).cluster_id
        for way in ("stop", "kill"):
            getattr(broker, way)()
            broker.start()
            client = confluent.admin(context)
            confluent.until(lambda: "kept" in client.list_topics(timeout=10).topics, f"{way}: the topic is gone")
            after = client.describe_topics(TopicCollection(["kept"]))["kept"].result(20)
            expect(str(after.topic_id) == str(before.topic_id), f"{way}: the topic id changed")
            expect(client.describe_cluster().result(20).cluster_id == cluster, f"{way}: the cluster id changed")
            expect("deleted" not in client.list_topics(timeout=10).topics, f"{way}: a deleted topic is back")
            values = client.describe_configs([resource])[resource].result(20)
            expect(values["retention.ms"].value == "86400000", f"{way}: the topic's configuration is gone")
            reader = confluent.consumer(context, "kept-group")
            found = reader.committed([TopicPartition("kept", p) for p in range(3)], timeout=20)
            expect([each.offset for each in found] == [1000] * 3, f"{way}: commits are {found}")
            reader.assign([TopicPartition("kept", p, 0) for p in range(3)])
            numbers = sorted(int(message.value()) for message in confluent.read(reader, 3000))
            reader.close()
            expect(numbers == list(range(3000)), f"{way}: the records are not those sent")
            listed = [group.group_id for group in client.list_consumer_groups().result(20).valid]
            expect("kept-group" in listed, f"{way}: the group is gone")
