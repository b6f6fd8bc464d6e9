"""A pair of log directories that Apache Kafka 4.3.1 has written, and millrace on them."""

import subprocess

from check import FRESH, check, expect
from target import BRISK, Kafka
from . import confluent
from .kafka_tools import GROUPS, on
from .rot import tools

TOPICS, PARTITIONS, RECORDS = ("pair.a", "pair.b"), 2, 500
GROUP = "pair-readers"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
# What a new cluster of Kafka 4.3 uses, and millrace has not built yet.
NOT_BUILT = {"group.version", "transaction.version", "eligible.leader.replicas.version", "share.version",
             "streams.version"}


def value(topic, number):
    return f"{topic} {number}".encode()


def send(context, topic, numbers):
    confluent.produce(context, topic, [(number % PARTITIONS, value(topic, number)) for number in numbers])


def kept(context, count):
    """Every record is there, in order, at its offset."""
    for topic in TOPICS:
        for partition, found in enumerate(confluent.everything(context, topic, PARTITIONS)):
            wanted = [value(topic, number) for number in range(partition, count, PARTITIONS)]
            expect(found == list(enumerate(wanted)), f"{topic}-{partition}: {len(found)} records, not {len(wanted)}")


def committed(context):
    out = on(context, GROUPS, "--describe", "--group", GROUP, "--offsets")
    rows = [line.split() for line in out.splitlines() if line.startswith(GROUP)]
    return {(row[1], int(row[2])): int(row[3]) for row in rows}


def written_by_kafka(context, kafka):
    """Topics in both directories, and a group with commits; a clean stop."""
    context.broker = kafka
    with kafka:
        for topic in TOPICS:
            confluent.create(context, topic, PARTITIONS)
            send(context, topic, range(RECORDS))
        reader = confluent.consumer(context, GROUP)
        reader.subscribe(list(TOPICS))
        confluent.read(reader, RECORDS)
        reader.commit(asynchronous=False)
        reader.close()
        kept(context, RECORDS)
        commits = committed(context)
        kafka.stop()
    return commits


def refused(broker):
    """What millrace says when it does not start."""
    done = subprocess.run(broker.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30)
    expect(done.returncode not in (0, None), f"it started and stopped: {done.stdout[-800:]}")
    return done.stdout


def without_features(context, kafka, said):
    """Does what the refusal says: Kafka takes the features back that it names."""
    named = said.split("is finalized at ")[1].split(", which this version")[0]
    found = {each.split("=")[0] for each in named.split(", ")}
    expect(found <= NOT_BUILT, f"not supported are {found}")
    context.broker = kafka
    with kafka:
        for feature in sorted(found):
            on(context, FEATURES, "downgrade", "--feature", f"{feature}=0")
        kafka.stop()
    return found


@check("two log directories that Apache Kafka 4.3.1 has written: millrace names features that it lacks, and serves both "
       "without them", needs=("venv", "jars"), stage=FRESH, seconds=180, targets=("millrace",), quick=False)
def pair(context):
    broker = context.fresh(BRISK, name="first")
    dirs = [broker.data, broker.data.with_name("second")]
    broker.overrides["log.dirs"] = ",".join(map(str, dirs))
    kafka = Kafka(context.work, "first", {
        "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "log.segment.bytes": "1048576",
        "log.dirs": broker.overrides["log.dirs"]})
    commits = written_by_kafka(context, kafka)
    held = [sorted(path.name for path in each.glob("pair.*-*")) for each in dirs]
    expect(all(held) and sum(map(len, held)) == len(TOPICS) * PARTITIONS, f"Kafka put the partitions at {held}")
    for each in dirs:
        tools(context, "verify", "--deep", each, code=0)
    said = refused(broker)
    expect("is finalized at " in said and "kafka-features.sh downgrade" in said, f"it said {said[-800:]}")
    features = without_features(context, kafka, said)

    context.broker = broker
    with broker:
        kept(context, RECORDS)
        found = committed(context)
        expect(found == commits, f"commits were {commits}, are {found}")
        for topic in TOPICS:
            send(context, topic, range(RECORDS, 2 * RECORDS))
        broker.kill()
        broker.start()
        kept(context, 2 * RECORDS)
        expect(committed(context) == commits, "commits are others after a kill")
        code = broker.stop()
    expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")
    expect([sorted(path.name for path in each.glob("pair.*-*")) for each in dirs] == held, "partitions have moved")
    for each in dirs:
        tools(context, "verify", "--deep", each, code=0)
    context.note(f"{held[0]} and {held[1]}, {len(commits)} commits; without {', '.join(sorted(features))}")
