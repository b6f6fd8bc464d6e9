"""confluent-kafka (librdkafka): administration, idempotent producer, groups, times, codecs."""

import time

from check import Failed, check, expect

NEEDS = ("venv",)
# librdkafka prints every refused connection; what matters comes back as an error.
QUIET = {"log_level": 2}


def settle(futures, seconds=20):
    """Waits for the futures of an administration call; each error names what it was for."""
    for name, future in futures.items():
        try:
            future.result(seconds)
        except Exception as error:
            raise Failed(f"{name}: {error}") from None


def until(holds, text, seconds=10):
    """Waits for what a broker may take a moment to show everywhere."""
    deadline = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < deadline, text)
        time.sleep(0.1)


def admin(context):
    from confluent_kafka.admin import AdminClient
    return AdminClient({"bootstrap.servers": context.bootstrap, **QUIET})


def create(context, topic, partitions=1, config=None):
    from confluent_kafka.admin import NewTopic
    # The client is held by a name: its futures end with an error once it is collected.
    client = admin(context)
    settle(client.create_topics([NewTopic(topic, partitions, 1, config=config or {})]))


def produce(context, topic, records, **config):
    """Sends (partition, value) pairs; the answer is the delivered messages, and every one must be delivered."""
    from confluent_kafka import Producer
    delivered, failed = [], []
    producer = Producer({"bootstrap.servers": context.bootstrap, "enable.idempotence": True,
                         "linger.ms": 5, **QUIET, **config})
    for partition, value in records:
        producer.produce(topic, value, partition=partition, callback=lambda error, message: (
            failed.append(str(error)) if error else delivered.append(message)))
        producer.poll(0)
    expect(producer.flush(30) == 0, "records are still on their way after 30 s")
    expect(not failed, f"{len(failed)} records failed, first: {failed[:1]}")
    return delivered


def consumer(context, group, **config):
    from confluent_kafka import Consumer
    return Consumer({"bootstrap.servers": context.bootstrap, "group.id": group,
                     "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "session.timeout.ms": 10000, "heartbeat.interval.ms": 500, **QUIET, **config})


def read(reader, count, seconds=30):
    """Polls until `count` records are there, or fails."""
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < count:
        expect(time.monotonic() < deadline, f"{len(messages)} of {count} records after {seconds} s")
        message = reader.poll(0.5)
        if message is None:
            continue
        expect(not message.error(), f"consumer: {message.error()}")
        messages.append(message)
    return messages


def everything(context, topic, partitions, seconds=90):
    """Reads every partition from its beginning to its end; the answer is (offset, value) pairs by partition."""
    from confluent_kafka import TopicPartition
    reader = consumer(context, f"{topic}-judge", **{"enable.partition.eof": True})
    reader.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    found, at_end, deadline = [[] for _ in range(partitions)], set(), time.monotonic() + seconds
    while len(at_end) < partitions:
        expect(time.monotonic() < deadline, f"reading {topic} took more than {seconds} s")
        for message in reader.consume(1000, timeout=0.5):
            if not message.error():
                found[message.partition()].append((message.offset(), message.value()))
            elif message.error().name() == "_PARTITION_EOF":
                at_end.add(message.partition())
            else:
                expect(message.error().retriable(), f"reading back: {message.error()}")
    reader.close()
    return found


@check("confluent-kafka: administration", needs=NEEDS)
def administration(context):
    from confluent_kafka import TopicCollection
    from confluent_kafka.admin import ConfigResource, NewPartitions, OffsetSpec, ResourceType
    from confluent_kafka import TopicPartition
    client = admin(context)
    create(context, "confluent.admin", 2, {"retention.ms": "86400000"})
    settle(client.create_partitions([NewPartitions("confluent.admin", 4)]))
    until(lambda: len(client.list_topics("confluent.admin", timeout=10).topics["confluent.admin"].partitions) == 4,
          "the topic has no 4 partitions after 10 s")
    resource = ConfigResource(ResourceType.TOPIC, "confluent.admin")
    values = client.describe_configs([resource])[resource].result(20)
    expect(values["retention.ms"].value == "86400000", f"retention.ms is {values['retention.ms'].value}")
    topic = client.describe_topics(TopicCollection(["confluent.admin"]))["confluent.admin"].result(20)
    expect(topic.topic_id is not None and len(topic.partitions) == 4, "describe_topics lacks something")
    cluster = client.describe_cluster().result(20)
    expect(cluster.cluster_id and len(cluster.nodes) == 1, f"cluster {cluster.cluster_id}, {cluster.nodes}")
    at = TopicPartition("confluent.admin", 3)
    found = client.list_offsets({at: OffsetSpec.latest()})[at].result(20)
    expect(found.offset == 0, f"latest offset of an empty partition is {found.offset}")
    settle(client.delete_topics(["confluent.admin"]))
    until(lambda: "confluent.admin" not in client.list_topics(timeout=10).topics,
          "the topic is still there 10 s after its deletion")


@check("confluent-kafka: idempotent producer, offsets in order, read back", needs=NEEDS)
def idempotent(context):
    create(context, "confluent.idempotent", 3)
    records = [(number % 3, f"{number:06}") for number in range(30_000)]
    delivered = produce(context, "confluent.idempotent", records)
    expect(len(delivered) == 30_000, f"{len(delivered)} of 30000 were acknowledged")
    reader = consumer(context, "confluent-idempotent")
    reader.subscribe(["confluent.idempotent"])
    values = {0: [], 1: [], 2: []}
    for message in read(reader, 30_000):
        expect(message.offset() == len(values[message.partition()]), "an offset is missing or doubled")
        values[message.partition()].append(message.value().decode())
    reader.close()
    for partition, got in values.items():
        expect(got == [v for p, v in records if p == partition], f"partition {partition} is not in order")


@check("confluent-kafka: acks=0, acks=1 and a record as large as allowed, one larger refused", needs=NEEDS)
def acks(context):
    from confluent_kafka import Producer
    create(context, "confluent.acks", 1)
    for level in (0, 1):
        produce(context, "confluent.acks", [(0, b"x")] * 50,
                **{"enable.idempotence": False, "acks": level})
    produce(context, "confluent.acks", [(0, b"y" * 1_000_000)], **{"message.max.bytes": 1_048_588})
    errors = []
    producer = Producer({"bootstrap.servers": context.bootstrap, "message.max.bytes": 4_000_000,
                         **QUIET})
    producer.produce("confluent.acks", b"z" * 2_000_000, callback=lambda error, _: errors.append(error))
    producer.flush(20)
    expect(errors and errors[0] and errors[0].name() == "MSG_SIZE_TOO_LARGE", f"2 MB was answered with {errors}")
    reader = consumer(context, "confluent-acks")
    reader.subscribe(["confluent.acks"])
    sizes = [len(message.value()) for message in read(reader, 101)]
    reader.close()
    expect(sizes == [1] * 100 + [1_000_000], f"sizes read back: {sizes[-3:]}")


@check("confluent-kafka: a second member joins, shares, leaves; nothing is lost", needs=NEEDS, seconds=90)
def rebalance(context):
    create(context, "confluent.rebalance", 4)
    first, second = (consumer(context, "confluent-rebalance") for _ in range(2))
    first.subscribe(["confluent.rebalance"])
    await_assignment(4, first)
    second.subscribe(["confluent.rebalance"])
    await_assignment(2, first, second)
    shared = {p.partition for c in (first, second) for p in c.assignment()}
    expect(shared == {0, 1, 2, 3}, f"together they own {sorted(shared)}")
    produce(context, "confluent.rebalance", [(n % 4, str(n)) for n in range(400)])
    got = [int(m.value()) for c in (first, second) for m in read(c, 200)]
    expect(sorted(got) == list(range(400)), f"together they read {len(set(got))} of 400 records")
    for member in (first, second):
        member.commit(asynchronous=False)
    second.close()
    await_assignment(4, first)
    produce(context, "confluent.rebalance", [(n % 4, str(n)) for n in range(400, 440)])
    got = sorted(int(m.value()) for m in read(first, 40))
    first.close()
    expect(got == list(range(400, 440)), f"after the second left: {got[:5]}...")


def await_assignment(each, *members, seconds=30):
    deadline = time.monotonic() + seconds
    while any(len(member.assignment()) != each for member in members):
        counts = [len(member.assignment()) for member in members]
        expect(time.monotonic() < deadline, f"assignments are {counts}, not {each} each")
        for member in members:
            message = member.poll(0.1)
            expect(message is None or not message.error(), f"consumer: {message and message.error()}")


@check("confluent-kafka: cooperative-sticky and static membership", needs=NEEDS, seconds=90)
def cooperative(context):
    create(context, "confluent.cooperative", 4)
    style = {"partition.assignment.strategy": "cooperative-sticky"}
    first = consumer(context, "confluent-cooperative", **style, **{"group.instance.id": "one"})
    second = consumer(context, "confluent-cooperative", **style, **{"group.instance.id": "two"})
    first.subscribe(["confluent.cooperative"])
    await_assignment(4, first)
    second.subscribe(["confluent.cooperative"])
    await_assignment(2, first, second)
    owned = {p.partition for p in second.assignment()}
    # A static member comes back within its session: it keeps its partitions, and nobody rebalances.
    second.close()
    second = consumer(context, "confluent-cooperative", **style, **{"group.instance.id": "two"})
    second.subscribe(["confluent.cooperative"])
    await_assignment(2, first, second)
    again = {p.partition for p in second.assignment()}
    first.close()
    second.close()
    expect(again == owned, f"it owned {sorted(owned)} and came back to {sorted(again)}")


@check("confluent-kafka: commit, close, resume", needs=NEEDS)
def resume(context):
    from confluent_kafka import TopicPartition
    create(context, "confluent.resume", 1)
    produce(context, "confluent.resume", [(0, str(n)) for n in range(100)])
    reader = consumer(context, "confluent-resume")
    reader.subscribe(["confluent.resume"])
    read(reader, 40)
    at = TopicPartition("confluent.resume", 0, 37, metadata="a note")
    reader.commit(offsets=[at], asynchronous=False)
    reader.close()
    reader = consumer(context, "confluent-resume")
    found = reader.committed([TopicPartition("confluent.resume", 0)], timeout=10)[0]
    expect((found.offset, found.metadata) == (37, "a note"), f"committed: {found}")
    reader.subscribe(["confluent.resume"])
    messages = read(reader, 63)
    reader.close()
    expect(messages[0].offset() == 37, f"it went on at {messages[0].offset()}, not 37")


@check("confluent-kafka: offsets_for_times and watermarks", needs=NEEDS)
def times(context):
    from confluent_kafka import Producer, TopicPartition
    create(context, "confluent.times", 1)
    producer = Producer({"bootstrap.servers": context.bootstrap})
    start = int(time.time() * 1000) - 100_000
    for number in range(100):
        producer.produce("confluent.times", str(number), partition=0, timestamp=start + number * 1000)
        if number % 10 == 9:
            expect(producer.flush(20) == 0, "flush")
    reader = consumer(context, "confluent-times")
    for stamp, offset in ((start, 0), (start + 49_500, 50), (start + 50_000, 50), (start + 99_001, -1)):
        found = reader.offsets_for_times([TopicPartition("confluent.times", 0, stamp)], timeout=10)[0]
        expect(found.offset == offset, f"at {stamp - start} ms: {found.offset}, not {offset}")
    marks = reader.get_watermark_offsets(TopicPartition("confluent.times", 0), timeout=10)
    reader.close()
    expect(marks == (0, 100), f"watermarks are {marks}")


@check("confluent-kafka: an offset out of range is told, and reset as configured", needs=NEEDS)
def out_of_range(context):
    from confluent_kafka import KafkaError, TopicPartition
    create(context, "confluent.range", 1)
    produce(context, "confluent.range", [(0, "only")])
    reader = consumer(context, "confluent-range", **{"auto.offset.reset": "error"})
    reader.assign([TopicPartition("confluent.range", 0, 1000)])
    deadline, error = time.monotonic() + 15, None
    while error is None and time.monotonic() < deadline:
        message = reader.poll(0.5)
        error = message and message.error()
    reader.close()
    codes = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
    expect(error and error.code() in codes, f"reading at 1000 gave {error}")


for codec in ("gzip", "snappy", "lz4", "zstd"):

    @check(f"confluent-kafka: {codec} there and back", needs=NEEDS)
    def round_trip(context, codec=codec):
        topic = f"confluent.{codec}"
        create(context, topic, 1)
        records = [(0, f"{number} " + "abc" * 50) for number in range(2000)]
        produce(context, topic, records, **{"compression.type": codec, "linger.ms": 50})
        reader = consumer(context, topic)
        reader.subscribe([topic])
        values = [message.value().decode() for message in read(reader, 2000)]
        reader.close()
        expect(values == [value for _, value in records], "what came back is not what was sent")


@check("confluent-kafka: group administration", needs=NEEDS)
def group_admin(context):
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    create(context, "confluent.groups", 1)
    produce(context, "confluent.groups", [(0, str(n)) for n in range(10)])
    reader = consumer(context, "confluent-groups")
    reader.subscribe(["confluent.groups"])
    read(reader, 10)
    reader.commit(asynchronous=False)
    client = admin(context)
    described = client.describe_consumer_groups(["confluent-groups"])["confluent-groups"].result(20)
    expect(described.state.name == "STABLE" and len(described.members) == 1,
           f"state {described.state}, {len(described.members)} members")
    reader.close()
    listed = client.list_consumer_groups().result(20)
    expect("confluent-groups" in [group.group_id for group in listed.valid], "it is not listed")
    wanted = ConsumerGroupTopicPartitions("confluent-groups", [TopicPartition("confluent.groups", 0, 3)])
    client.alter_consumer_group_offsets([wanted])["confluent-groups"].result(20)
    asked = ConsumerGroupTopicPartitions("confluent-groups")
    found = client.list_consumer_group_offsets([asked])["confluent-groups"].result(20)
    expect(found.topic_partitions[0].offset == 3, f"offsets: {found.topic_partitions}")
    settle(client.delete_consumer_groups(["confluent-groups"]))
