"""What the binary says and refuses when it is started: the contract of its command line."""

import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import kafka_node
from check import FRESH, check, expect
from client import run
from . import wire

ONLY = {"stage": FRESH, "targets": ("millrace",), "seconds": 60}


def refused(context, *arguments, wanted):
    """The binary must end by itself with an error that matches every pattern; the answer is what it said."""
    context.work.mkdir(parents=True, exist_ok=True)
    line = [str(context.target.binary), *arguments]
    try:
        done = subprocess.run(line, cwd=context.work, stdin=subprocess.DEVNULL, text=True, timeout=10,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        expect(False, f"{arguments} was not refused: it still runs after 10 s")
    expect(done.returncode not in (0, 101) and done.returncode > 0,
           f"{arguments} ended with {done.returncode}: {done.stdout[-600:]}")
    for pattern in wanted:
        expect(re.search(pattern, done.stdout, re.I), f"{arguments}: no `{pattern}` in: {done.stdout[-900:]}")
    expect("panicked" not in done.stdout, f"{arguments}: {done.stdout[-900:]}")
    return done.stdout


def answers(port):
    with wire.Connection(port) as connection:
        return struct.unpack_from(">h", connection.ask(wire.API_VERSIONS, 0)) == (0,)


def log_has(broker, *patterns, seconds=5):
    """Waits until the log matches every pattern."""
    deadline = time.monotonic() + seconds
    while True:
        text = re.sub(r"\x1b\[[0-9;]*m", "", broker.log.read_text(errors="replace"))
        lacking = [pattern for pattern in patterns if not re.search(pattern, text, re.I)]
        if not lacking:
            return
        expect(time.monotonic() < deadline, f"no {lacking} in the log:\n{text[-2500:]}")
        time.sleep(0.05)


@check("start: --version and --help", **ONLY)
def version(context):
    out, _ = run([context.target.binary, "--version"])
    expect(re.fullmatch(r"millrace \d+\.\d+\.\d+\S*\n", out), f"--version said: {out!r}")
    out, _ = run([context.target.binary, "--help"])
    for word in ("SERVER_PROPERTIES", "--override", "9092", "millrace-data"):
        expect(word in out, f"--help does not name {word}")


@check("start: without a file it says where data lies, the address, the shards, what an acknowledgement means", **ONLY)
def bare(context):
    context.work.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        # As the broker itself binds: what a run before left in TIME_WAIT is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9092))
        except OSError:
            expect(False, "port 9092 is in use here, so the start without a file could not be run")
    broker = context.fresh()
    broker.port = 9092
    broker.command = lambda: [str(context.target.binary)]
    home = os.getcwd()
    os.chdir(context.work)
    try:
        with broker:
            expect(answers(9092), "it does not answer on 127.0.0.1:9092")
            log_has(broker, r"millrace-data", r"127\.0\.0\.1:9092", r"shards?", r"acknowledge")
            data = context.work / "millrace-data"
            expect((data / "meta.properties").exists(), f"there is no {data}/meta.properties")
            context.note(f"RSS {broker.rss_mib()} MiB")
    finally:
        os.chdir(home)


@check("start: Ctrl-C stops it cleanly, SIGTERM as well, and the next start says so", **ONLY)
def signals(context):
    broker = context.fresh()
    for number in (signal.SIGINT, signal.SIGTERM):
        with broker:
            broker.process.send_signal(number)
            expect(broker.process.wait(20) == 0, f"{number.name}: exit code {broker.process.returncode}")
            expect((broker.data / ".kafka_cleanshutdown").exists(), f"{number.name}: no mark of a clean stop")


@check("start: a log that cannot be written stops nothing", **ONLY)
def unwritable_log(context):
    broker = context.fresh()
    broker.log, broker.log_tail = Path("/dev/full"), lambda: "its log is /dev/full"
    with broker:
        with wire.Connection(broker.port) as connection:
            created = connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic("quiet"))
            expect(wire.created(created) == 0, "no topic is created")
            connection.send(b"\0\0\0\x01x")
            expect(connection.fate() == "closed", "a malformed frame, which is logged, does not end the connection")
        expect(answers(broker.port), "it does not answer any more")
        code = broker.stop()
    expect(code == 0, f"SIGTERM: exit code {code}")


@check("start: a data directory in use is refused, and its user does not notice", **ONLY)
def in_use(context):
    with context.fresh() as broker:
        out = refused(context, "--override", f"log.dirs={broker.data}", "--override",
                      f"listeners=PLAINTEXT://127.0.0.1:{kafka_node.free_port()}",
                      wanted=[re.escape(str(broker.data)), r"in use|another process|locked|already"])
        context.note(out.strip().splitlines()[-1][:160])
        expect(broker.alive() and answers(broker.port), "the first broker is gone")


@check("start: an address in use is refused", **ONLY)
def address(context):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        refused(context, "--override", f"listeners=PLAINTEXT://127.0.0.1:{port}", "--override",
                f"log.dirs={context.work / 'data'}", wanted=[rf"127\.0\.0\.1:{port}", r"in use"])


@check("start: mistyped settings are refused with the key and the value", **ONLY)
def mistyped(context):
    cases = [("log.segment.bytes", "much"), ("num.partitions", "0"), ("log.retention.hours", "1 week"),
             ("auto.create.topics.enable", "yes"), ("listeners", "PLAINTEXT//:9092"), ("compression.type", "brotli"),
             ("log.message.timestamp.type", "Never"), ("offsets.topic.num.partitions", "-1"),
             ("socket.request.max.bytes", "99999999999")]
    for key, value in cases:
        refused(context, "--override", f"{key}={value}", wanted=[re.escape(key), re.escape(value)])
    file = context.work / "bad.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in cases[:3]))
    refused(context, str(file), wanted=[re.escape(word) for case in cases[:3] for word in case])
    refused(context, "--override", "no-equals-sign", wanted=["no-equals-sign"])
    refused(context, "absent.properties", wanted=[r"absent\.properties"])


@check("start: unknown and unsupported settings are warned about by name", **ONLY)
def warned(context):
    overrides = {"log.segment.byte": "1048576", "zookeeper.connect": "localhost:2181",
                 "remote.log.storage.system.enable": "false"}
    with context.fresh(overrides) as broker:
        expect(answers(broker.port), "it does not answer")
        log_has(broker, r"WARN.*log\.segment\.byte\b", r"zookeeper\.connect")


@check("start: Apache Kafka's own sample server.properties", **ONLY)
def sample(context):
    context.work.mkdir(parents=True, exist_ok=True)
    broker, controller = context.fresh(), kafka_node.free_port()
    text = (kafka_node.HERE / "kafka-4.3-server.properties").read_text()
    # Only what would collide on this machine is changed: the ports and the directory.
    text = text.replace("9092", str(broker.port)).replace("9093", str(controller))
    text = text.replace("/tmp/kraft-combined-logs", str(broker.data))
    file = context.work / "server.properties"
    file.write_text(text)
    broker.command = lambda: [str(context.target.binary), str(file)]
    with broker:
        expect(answers(broker.port), "it does not answer")
        lines = (broker.data / "meta.properties").read_text().splitlines()
        expect("node.id=1" in lines, f"meta.properties: {lines}")


@check("start: a data directory that cannot be used is refused with its name", **ONLY)
def unusable(context):
    context.work.mkdir(parents=True, exist_ok=True)
    at = f"listeners=PLAINTEXT://127.0.0.1:{kafka_node.free_port()}"
    file = context.work / "a-file"
    file.write_text("")
    refused(context, "--override", at, "--override", f"log.dirs={file}/data", wanted=["a-file"])
    newer = context.work / "newer"
    newer.mkdir()
    (newer / "meta.properties").write_text(
        "version=9\ncluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=1\ndirectory.id=4L6g3nShT-eMCtK--X86sx\n")
    refused(context, "--override", at, "--override", f"log.dirs={newer}", wanted=["newer", r"version"])
    other = context.work / "other-node"
    other.mkdir()
    (other / "meta.properties").write_text(
        "version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\nnode.id=77\ndirectory.id=4L6g3nShT-eMCtK--X86sx\n")
    refused(context, "--override", at, "--override", f"log.dirs={other}", wanted=["other-node", "77"])
