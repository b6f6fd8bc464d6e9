"""Several log directories below a real broker: one fails, and takes only its partitions with it."""

import json
import time
from itertools import chain

from check import FRESH, check, expect
from loop_disk import LoopDisk
from target import BRISK, segments
from . import confluent, kafka_tools
from .disks import Filler, kept
from .rot import spoil, tools

LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
TOPICS = ("dir.a", "dir.b")


def described(context):
    """What kafka-log-dirs prints: by directory its error and its partitions."""
    out = kafka_tools.on(context, LOG_DIRS, "--describe")
    line = next(line for line in out.splitlines() if line.startswith("{"))
    dirs = json.loads(line)["brokers"][0]["logDirs"]
    return {each["logDir"]: (each["error"], {p["partition"] for p in each["partitions"]}) for each in dirs}


def send(filler, count):
    """Sends records, and says how many were acknowledged and with which errors the others were refused."""
    acked, refused = len(filler.acked), len(filler.refused)
    for _ in range(count):
        filler.send(1000)
    expect(filler.client.flush(25) == 0, f"{filler.topic}: records without an answer after 25 s")
    return len(filler.acked) - acked, {name for name, _ in filler.refused[refused:]}


def connect_again(filler):
    """After a restart: sends single records until the broker answers one. What a client that does not retry gives to
    a connection that is gone it refuses itself."""
    for _ in range(20):
        if send(filler, 1)[1] != {"_TRANSPORT"}:
            return
        time.sleep(0.1)
    expect(False, f"{filler.topic}: the client does not reach the broker again")


def spoiled(context, broker, first, second):
    """A rotten bit in the second directory: verify and repair find it there, and nothing in the first; all else is
    read afterwards. The answer is what was given up."""
    for each in (first, second):
        tools(context, "verify", "--deep", each, code=0)
    [log] = [file for file in segments(second) if file.parent.name == f"{TOPICS[1]}-0"]
    _, begin, end = spoil(log)
    tools(context, "verify", first, code=0)
    said = tools(context, "verify", second, code=1)
    expect(f"BAD   {TOPICS[1]}-0: offsets {begin}..: {log.name}" in said and "1 problem:" in said, f"verify said {said}")
    for flags in ((), ("--accept-loss",)):
        said = tools(context, "repair", first, *flags, code=0)
        expect("nothing is damaged" in said, f"repair of the first directory said {said}")
    said = tools(context, "repair", second, "--accept-loss", code=0)
    expect(f"offsets {begin} to {end} at" in said, f"repair said {said}")
    for each in (first, second):
        tools(context, "verify", "--deep", each, code=0)
    broker.start()
    whole = [offset for offset, _ in confluent.everything(context, TOPICS[0], 1)[0]]
    left = [offset for offset, _ in confluent.everything(context, TOPICS[1], 1)[0]]
    expect(whole == list(range(len(whole))), f"{TOPICS[0]} has holes")
    expect(left == list(chain(range(begin), range(end + 1, left[-1] + 1))), f"{TOPICS[1]} lacks more than was given up")
    expect(broker.stop() == 0, f"SIGTERM: another exit code than 0\n{broker.log_tail()}")
    return range(begin, end + 1)


@check("two log directories, the file system of one fails: the other goes on, and all is there after a restart",
       needs=("venv", "loop", "jars"), stage=FRESH, seconds=120, targets=("millrace",), quick=False)
def one_fails(context):
    with LoopDisk(context.work, "ext4", 256) as disk:
        broker = context.broker = context.fresh({**BRISK, "millrace.journal.bytes": "33554432"})
        first, second = broker.data, disk.path / "data"
        broker.overrides["log.dirs"] = f"{first},{second}"
        with broker:
            for topic in TOPICS:
                confluent.create(context, topic, 1)
            dirs = described(context)
            place = {topic: [d for d, (_, held) in dirs.items() if f"{topic}-0" in held] for topic in TOPICS}
            expect(place == {TOPICS[0]: [str(first)], TOPICS[1]: [str(second)]}, f"the topics are in {place}")
            expect(all(error is None for error, _ in dirs.values()), f"kafka-log-dirs said {dirs}")
            good, bad = (Filler(context, topic) for topic in TOPICS)
            for filler in (good, bad):
                expect(send(filler, 200) == (200, set()), f"{filler.topic}: {filler.refused[:1]}")

            disk.cut()
            acked, errors = send(bad, 20)
            expect(acked == 0 and errors == {"KAFKA_STORAGE_ERROR"}, f"{acked} acknowledged, refused with {errors}")
            expect(send(good, 200) == (200, set()), f"{good.topic}: {good.refused[:1]}")
            dirs = described(context)
            expect(dirs[str(first)][0] is None and "KafkaStorageException" in str(dirs[str(second)][0]),
                   f"kafka-log-dirs said {dirs}")
            confluent.create(context, "dir.c", 3)
            expect(send(Filler(context, "dir.c"), 20) == (20, set()), "a new topic is not served")
            held = described(context)[str(first)][1]
            expect({f"dir.c-{index}" for index in range(3)} <= held, f"in the directory that is left: {held}")
            kept(context, good.topic, good.acked)

            # Then the second directory is an empty one below the mount point: its partitions are not there.
            broker.kill()
            disk.unmount()
            broker.start()
            for filler in (good, bad):
                connect_again(filler)
            acked, errors = send(bad, 5)
            expect(acked == 0 and errors == {"KAFKA_STORAGE_ERROR"}, f"not mounted: {acked} acknowledged, {errors}")
            expect(send(good, 20) == (20, set()), f"{good.topic}: {good.refused[-1:]}")
            expect(broker.stop() == 0, f"SIGTERM: another exit code than 0\n{broker.log_tail()}")

            disk.mount()
            began = time.monotonic()
            broker.start()
            started_in = time.monotonic() - began
            for filler in (good, bad):
                connect_again(filler)
                kept(context, filler.topic, filler.acked)
                expect(send(filler, 50) == (50, set()), f"{filler.topic}: {filler.refused[-1:]}")
            expect(all(error is None for error, _ in described(context).values()), "a directory is offline")
            code = broker.stop()
            lost = spoiled(context, broker, first, second)
        disk.unmount()
    context.note(f"{len(good.acked)} and {len(bad.acked)} records, started again in {started_in:.2f} s; {len(lost)} "
                 "given up for a rotten bit")
    expect(code == 0, f"SIGTERM: exit code {code}\n{broker.log_tail()}")
