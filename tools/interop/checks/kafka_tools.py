"""Apache Kafka's own command line tools, each started as its script starts it."""

import json
import re

from check import check, expect
from client import tool

TOPICS = "org.apache.kafka.tools.TopicCommand"
PRODUCE = "org.apache.kafka.tools.ConsoleProducer"
CONSUME = "org.apache.kafka.tools.consumer.ConsoleConsumer"
PRODUCE_PERF = "org.apache.kafka.tools.ProducerPerformance"
CONSUME_PERF = "org.apache.kafka.tools.ConsumerPerformance"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
NEEDS = ("jars",)


def on(context, main, *arguments, **how):
    return tool(main, "--bootstrap-server", context.bootstrap, *arguments, **how)


def create(context, topic, partitions=1, *more):
    return on(context, TOPICS, "--create", "--topic", topic, "--partitions", partitions, *more)


def ends(context, topic, time="-1"):
    """The offsets that get-offsets prints, by partition."""
    out = on(context, OFFSETS, "--topic", topic, "--time", time)
    rows = [line.rsplit(":", 2) for line in out.split()]
    return {int(partition): int(offset) for _, partition, offset in rows if offset}


@check("kafka-topics: create, list and describe", needs=NEEDS)
def topics(context):
    out = create(context, "tools.topics", 3, "--replication-factor", 1,
                 "--config", "segment.bytes=2097152")
    expect("Created topic tools.topics" in out, f"create said: {out}")
    expect("tools.topics" in on(context, TOPICS, "--list").split(), "list does not name the topic")
    out = on(context, TOPICS, "--describe", "--topic", "tools.topics")
    expect(re.search(r"PartitionCount: 3\s+ReplicationFactor: 1", out), f"describe said: {out}")
    expect("segment.bytes=2097152" in out, f"describe does not show the topic's config: {out}")
    rows = re.findall(r"Partition: (\d+)\s+Leader: (\d+)\s+Replicas: (\d+)\s+Isr: (\d+)", out)
    expect(len(rows) == 3 and len({row[1:] for row in rows}) == 1, f"describe said: {out}")
    expect(re.search(r"TopicId: [\w-]{22}", out), f"describe shows no topic id: {out}")


@check("kafka-topics: alter partitions", needs=NEEDS)
def alter(context):
    create(context, "tools.alter", 2)
    on(context, TOPICS, "--alter", "--topic", "tools.alter", "--partitions", 5)
    out = on(context, TOPICS, "--describe", "--topic", "tools.alter")
    expect("PartitionCount: 5" in out, f"describe said: {out}")
    out = on(context, TOPICS, "--alter", "--topic", "tools.alter", "--partitions", 1, code=1)
    expect("5 partition" in out, f"fewer partitions were answered with: {out}")


@check("kafka-topics: what cannot be created is refused as Kafka refuses it", needs=NEEDS)
def refusals(context):
    create(context, "tools.twice")
    cases = [
        (("tools.twice", 1), "already exists"),
        (("tools/slash", 1), "is illegal|is invalid|Invalid"),
        (("t" * 250, 1), "249"),
        (("tools.factor", 1, "--replication-factor", 3), "eplication factor"),
        (("tools.config", 1, "--config", "segment.bytes=much"), "Invalid value much for configuration segment.bytes"),
    ]
    for arguments, wanted in cases:
        out = create_refused(context, *arguments)
        expect(re.search(wanted, out), f"creating {arguments[0][:40]} was answered with: {out}")


def create_refused(context, topic, partitions, *more):
    from client import run, kafka_node, SMALL_JVM
    line = kafka_node.java(TOPICS, "--bootstrap-server", context.bootstrap, "--create", "--topic", topic,
                           "--partitions", partitions, *more, options=SMALL_JVM)
    out, err = run(line, code=1)
    return out + err


@check("kafka-topics: delete", needs=NEEDS)
def delete(context):
    create(context, "tools.delete", 2)
    on(context, PRODUCE, "--topic", "tools.delete", stdin="gone\n")
    on(context, TOPICS, "--delete", "--topic", "tools.delete")
    expect("tools.delete" not in on(context, TOPICS, "--list").split(), "list still names the topic")
    create(context, "tools.delete", 1)
    expect(ends(context, "tools.delete") == {0: 0}, "the new topic of that name is not empty")


@check("kafka-console-producer and -consumer: keys, headers, from the beginning", needs=NEEDS)
def console(context):
    create(context, "tools.console", 1)
    lines = [f"h1:a{number},h2:b\tkey{number}\tvalue {number} \u00fc" for number in range(20)]
    on(context, PRODUCE, "--topic", "tools.console", "--reader-property", "parse.key=true",
       "--reader-property", "parse.headers=true", stdin="\n".join(lines) + "\n")
    out = on(context, CONSUME, "--topic", "tools.console", "--from-beginning", "--max-messages", 20,
             "--timeout-ms", 20000, "--formatter-property", "print.key=true",
             "--formatter-property", "print.headers=true", "--formatter-property", "print.offset=true")
    wanted = [f"Offset:{at}\t{line}" for at, line in enumerate(lines)]
    expect(out.splitlines() == wanted, f"sent {wanted[:2]}..., got {out.splitlines()[:2]}...")


@check("kafka-console-consumer: a group goes on where it stopped", needs=NEEDS)
def group(context):
    create(context, "tools.group", 1)
    on(context, PRODUCE, "--topic", "tools.group", stdin="".join(f"{n}\n" for n in range(10)))
    reader = ("--topic", "tools.group", "--group", "tools-resume", "--timeout-ms", 20000)
    first = on(context, CONSUME, *reader, "--from-beginning", "--max-messages", 4).split()
    expect(first == list("0123"), f"first run read {first}")
    rest = on(context, CONSUME, *reader, "--max-messages", 6).split()
    expect(rest == list("456789"), f"second run read {rest}")


@check("kafka-consumer-groups: list, describe with lag, reset, delete", needs=NEEDS)
def groups(context):
    create(context, "tools.lag", 1)
    on(context, PRODUCE, "--topic", "tools.lag", stdin="".join(f"{n}\n" for n in range(10)))
    on(context, CONSUME, "--topic", "tools.lag", "--group", "tools-lag", "--from-beginning",
       "--max-messages", 4, "--timeout-ms", 20000)
    expect("tools-lag" in on(context, GROUPS, "--list").split(), "list does not name the group")

    def row():
        out = on(context, GROUPS, "--describe", "--group", "tools-lag")
        found = re.search(r"tools-lag\s+tools\.lag\s+0\s+(\d+)\s+(\d+)\s+(\d+)", out)
        expect(found, f"describe said: {out}")
        return tuple(map(int, found.groups()))

    expect(row() == (4, 10, 6), f"current offset, end offset and lag are {row()}, not 4, 10, 6")
    out = on(context, GROUPS, "--describe", "--group", "tools-lag", "--state")
    expect("Empty" in out, f"the state is: {out}")
    on(context, GROUPS, "--reset-offsets", "--group", "tools-lag", "--topic", "tools.lag",
       "--to-earliest", "--execute")
    expect(row() == (0, 10, 10), f"after the reset: {row()}")
    on(context, GROUPS, "--delete-offsets", "--group", "tools-lag", "--topic", "tools.lag")
    out = on(context, GROUPS, "--delete", "--group", "tools-lag")
    expect("tools-lag" in out, f"delete said: {out}")
    expect("tools-lag" not in on(context, GROUPS, "--list").split(), "the group is still listed")


@check("kafka-producer-perf-test, kafka-consumer-perf-test and kafka-get-offsets", needs=NEEDS, seconds=90)
def perf(context):
    count = 50_000
    create(context, "tools.perf", 6, "--config", "segment.bytes=4194304")
    out = tool(PRODUCE_PERF, "--bootstrap-server", context.bootstrap, "--topic", "tools.perf",
               "--num-records", count, "--record-size", 1024, "--throughput", -1,
               "--command-property", "acks=all", "batch.size=131072", "linger.ms=5")
    found = re.search(rf"^{count} records sent, .*\(([\d.]+) MB/sec\)", out, re.M)
    expect(found, f"producer-perf-test said: {out}")
    context.note(f"produce {found[1]} MB/s")
    expect(sum(ends(context, "tools.perf").values()) == count, f"ends: {ends(context, 'tools.perf')}")
    expect(set(ends(context, "tools.perf", "-2").values()) == {0}, "earliest is not 0 everywhere")
    expect(len(ends(context, "tools.perf", "max-timestamp")) == 6, "max-timestamp lacks partitions")
    out = on(context, CONSUME_PERF, "--topic", "tools.perf", "--num-records", count,
             "--timeout", 20000, "--hide-header")
    fields = out.strip().splitlines()[-1].split(", ")
    expect(int(fields[4]) >= count, f"consumer-perf-test said: {out}")
    context.note(f"consume {fields[3]} MB/s")


@check("kafka-producer-perf-test: every codec, read back by the console consumer", needs=NEEDS, seconds=90)
def codecs(context):
    create(context, "tools.codecs", 1)
    for number, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        values = [f"{codec} {line} {'x' * 100}" for line in range(200)]
        on(context, PRODUCE, "--topic", "tools.codecs", "--compression-codec", codec,
           stdin="\n".join(values) + "\n")
        out = on(context, CONSUME, "--topic", "tools.codecs", "--partition", 0, "--offset",
                 200 * number, "--max-messages", 200, "--timeout-ms", 20000)
        expect(out.splitlines() == values, f"{codec}: {len(out.splitlines())} lines came back")


@check("kafka-verifiable-producer and -consumer", needs=NEEDS, seconds=90)
def verifiable(context):
    create(context, "tools.verifiable", 3)
    out = on(context, "org.apache.kafka.tools.VerifiableProducer", "--topic", "tools.verifiable",
             "--max-messages", 2000)
    events = [json.loads(line) for line in out.splitlines()]
    acked = sorted(int(e["value"]) for e in events if e["name"] == "producer_send_success")
    expect(acked == list(range(2000)), f"{len(acked)} of 2000 were acknowledged")
    out = on(context, "org.apache.kafka.tools.VerifiableConsumer", "--topic", "tools.verifiable",
             "--group-id", "tools-verifiable", "--max-messages", 2000, "--verbose")
    events = [json.loads(line) for line in out.splitlines()]
    read = sorted(int(e["value"]) for e in events if e["name"] == "record_data")
    expect(read == acked, f"{len(read)} records were read, {len(set(read))} different ones")
    commits = [e for e in events if e["name"] == "offsets_committed"]
    expect(commits and all(e["success"] for e in commits), "a commit failed, or none was made")


@check("kafka-broker-api-versions", needs=NEEDS)
def api_versions(context):
    out = on(context, "org.apache.kafka.tools.BrokerApiVersionsCommand")
    expect(f"{context.bootstrap} (id: " in out, f"it said: {out[:300]}")
    for api, newest in {"Produce": 13, "Fetch": 18, "Metadata": 13, "JoinGroup": 9, "ApiVersions": 4}.items():
        found = re.search(rf"\b{api}\(\d+\): 0? ?(?:to )?.*?\[usable: (\d+)\]", out)
        expect(found and int(found[1]) == newest, f"{api}: {re.findall(rf'{api}.*', out)}")
    for api in ("ListOffsets", "OffsetCommit", "OffsetFetch", "FindCoordinator", "Heartbeat", "LeaveGroup",
                "SyncGroup", "DescribeGroups", "ListGroups", "CreateTopics", "DeleteTopics",
                "InitProducerId", "OffsetForLeaderEpoch", "DescribeConfigs", "CreatePartitions",
                "DeleteGroups", "OffsetDelete", "DescribeCluster", "DescribeTopicPartitions"):
        found = re.search(rf"\b{api}\(\d+\): (.*?)[,\n]", out)
        expect(found and "UNSUPPORTED" not in found[1], f"{api} is not announced")


@check("kafka-configs: describe a topic's and the broker's configuration", needs=NEEDS)
def configs(context):
    create(context, "tools.configs", 1, "--config", "max.message.bytes=65536")
    out = on(context, "kafka.admin.ConfigCommand", "--describe", "--all", "--entity-type", "topics",
             "--entity-name", "tools.configs")
    expect("max.message.bytes=65536" in out and "cleanup.policy=delete" in out, f"it said: {out[:500]}")
    out = on(context, "org.apache.kafka.tools.BrokerApiVersionsCommand")
    node = re.search(r"\(id: (\d+)", out)[1]
    out = on(context, "kafka.admin.ConfigCommand", "--describe", "--all", "--entity-type", "brokers",
             "--entity-name", node)
    expect("log.segment.bytes=" in out, f"the broker's configuration: {out[:500]}")
