"""What lies on the disk after a clean stop, judged by Apache Kafka's own kafka-dump-log."""

import re
import struct

from check import STOPPED, check, expect
from client import SMALL_JVM, kafka_node, run
from target import segments

DUMP = "org.apache.kafka.tools.DumpLogSegments"
NEEDS = ("jars",)
# The tool calls every segment that does not begin at offset 0 non-consecutive, "-1 is followed by" its first offset.
BAD = re.compile(r"isvalid: false|invalid bytes|Mismatches in|^ +\d+ is followed by|out of order|Exception|"
                 r"not found in log file|Could not|Indexed offset", re.I)


def dump(files, *arguments, seconds=110):
    """Dumps the files in one run of the tool; fails on any complaint, and answers what it printed."""
    joined = ",".join(str(file) for file in files)
    line = kafka_node.java(DUMP, *arguments, "--files", joined, options=SMALL_JVM)
    out, err = run(line, seconds=seconds)
    bad = [text for text in (out + err).splitlines() if BAD.search(text) and not text.startswith("|")]
    expect(not bad, f"dump-log complains: {bad[:5]}")
    expect(out.count("Dumping ") == len(files), f"{out.count('Dumping ')} of {len(files)} files were dumped")
    return out


def every_segment(data):
    """Deep iteration over every segment below a data directory; the answer is the number of files and records."""
    files = segments(data)
    expect(files, f"there is no segment below {data}")
    out = dump(files, "--deep-iteration")
    return len(files), sum(map(int, re.findall(r"^baseOffset: .* count: (\d+) ", out, re.M)))


@check("kafka-dump-log --deep-iteration: every segment", needs=NEEDS, stage=STOPPED, seconds=120)
def deep(context):
    files, records = every_segment(context.data)
    context.note(f"{files} segments, {records} records")
    expect(records > 0, "no record in any of them")


@check("kafka-dump-log: offset and time indexes agree with their segments", needs=NEEDS, stage=STOPPED,
       seconds=120)
def indexes(context):
    files = segments(context.data, (".index", ".timeindex"))
    expect(any(file.suffix == ".index" and file.stat().st_size for file in files), "there is no offset index")
    dump(files, "--verify-index-only")
    context.note(f"{len(files)} indexes")


@check("kafka-dump-log: producer snapshots", needs=NEEDS, stage=STOPPED)
def snapshots(context):
    files = segments(context.data, (".snapshot",))
    expect(files, "there is no producer snapshot")
    out = dump(files)
    context.note(f"{len(files)} snapshots, {out.count('producerId: ')} producers")


@check("kafka-dump-log --offsets-decoder: __consumer_offsets", needs=NEEDS, stage=STOPPED)
def offsets(context):
    files = [file for file in segments(context.data) if file.parent.name.startswith("__consumer_offsets-")]
    expect(files, "there is no __consumer_offsets")
    out = dump(files, "--offsets-decoder")
    for kind in ("offset_commit|OFFSET_COMMIT", "group_metadata|GROUP_METADATA"):
        expect(re.search(kind, out) or '"type"' in out, f"no record of kind {kind} was decoded")
    keys = {int(number) for number in re.findall(r'key: \{"type":"?(\d+)', out)}
    context.note(f"{out.count('payload: ')} payloads, key types {sorted(keys)}")
    expect("payload: " in out or keys, f"nothing was decoded: {out[-600:]}")


@check("kafka-dump-log --cluster-metadata-decoder: __cluster_metadata-0", needs=NEEDS, stage=STOPPED)
def metadata(context):
    files = [file for file in segments(context.data) if file.parent.name == "__cluster_metadata-0"]
    expect(files, "there is no __cluster_metadata-0")
    out = dump(files, "--cluster-metadata-decoder")
    kinds = set(re.findall(r'payload: \{"type":"([A-Z_]+)"', out))
    context.note(", ".join(sorted(kinds)))
    expect({"TOPIC_RECORD", "PARTITION_RECORD", "FEATURE_LEVEL_RECORD"} <= kinds, f"kinds: {sorted(kinds)}")


@check("segments end at their last byte, and no foreign directory is there", stage=STOPPED)
def tails(context):
    for file in segments(context.data):
        size, at = file.stat().st_size, 0
        with open(file, "rb") as log:
            while at < size:
                log.seek(at)
                header = log.read(17)
                expect(len(header) == 17, f"{file}: {size - at} stray bytes at {at}")
                length, magic = struct.unpack_from(">i4xb", header, 8)
                expect(length > 0 and magic == 2, f"{file}: no batch at {at} (length {length}, magic {magic})")
                at += 12 + length
        expect(at == size, f"{file}: the last batch ends at {at}, the file at {size}")
    strange = [entry.name for entry in context.data.iterdir()
               if entry.is_dir() and not re.fullmatch(r".+-\d+(\.[0-9a-f]{32}-(delete|stray|future))?", entry.name)]
    expect(not strange, f"Kafka would not start with these directories: {strange}")
    lines = (context.data / "meta.properties").read_text().splitlines()
    keys = {line.split("=", 1)[0] for line in lines if "=" in line}
    expect({"version", "cluster.id", "node.id", "directory.id"} <= keys, f"meta.properties has {sorted(keys)}")
