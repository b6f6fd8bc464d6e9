"""What a supervisor relies on: to be told, a clean stop in time, one broker for each directory, a watch over shards."""

import os
import signal
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path

from check import FRESH, check, expect
from target import BRISK
from . import wire
from .startup import answers, log_has, refused

ONLY = {"stage": FRESH, "targets": ("millrace",), "seconds": 60}
FREEZER = Path("/sys/fs/cgroup/freezer")
WATCHDOG_SECONDS = 2


class Supervisor:
    """A notification socket, and what came through it."""

    def __init__(self):
        # The checks' own folders have names too long for a socket.
        path = os.path.join(tempfile.mkdtemp(prefix="millrace-"), "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.told = []
        threading.Thread(target=self.listen, daemon=True).start()
        os.environ["NOTIFY_SOCKET"] = path
        os.environ["WATCHDOG_USEC"] = str(WATCHDOG_SECONDS * 1_000_000)

    def listen(self):
        while True:
            text = self.socket.recv(4096).decode()
            self.told += [(line, time.monotonic()) for line in text.split("\n") if line]

    def count(self, line):
        return sum(1 for told, _ in self.told if told == line)

    def wait(self, line, more_than=0, seconds=10):
        deadline = time.monotonic() + seconds
        while self.count(line) <= more_than:
            expect(time.monotonic() < deadline, f"no {line} within {seconds} s, only {self.told[-5:]}")
            time.sleep(0.01)


class FrozenThread:
    """A thread that the kernel lets run no further, until this ends."""

    def __init__(self, thread):
        self.group, self.thread = FREEZER / f"millrace-check-{os.getpid()}", thread

    def __enter__(self):
        self.group.mkdir()
        (self.group / "tasks").write_text(str(self.thread))
        (self.group / "freezer.state").write_text("FROZEN")
        return self

    def __exit__(self, *_):
        (self.group / "freezer.state").write_text("THAWED")
        for _ in range(100):
            try:
                for thread in (self.group / "tasks").read_text().split():
                    (FREEZER / "tasks").write_text(thread)
                self.group.rmdir()
                return
            except OSError:
                time.sleep(0.05)


def shard_threads(pid):
    """The thread of each shard, in order: of those of its name the first that was made."""
    threads = {}
    for task in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name)):
        name = (task / "comm").read_text().strip()
        if name.startswith("shard-"):
            threads.setdefault(name, int(task.name))
    return [threads[name] for name in sorted(threads)]


def restart(broker, seconds=10):
    """Starts it again; says how long it took to serve. The port of a killed process may accept for a moment."""
    began = time.monotonic()
    broker.start()
    while True:
        try:
            if answers(broker.port):
                return time.monotonic() - began
        except OSError:
            expect(time.monotonic() < began + seconds, f"it does not serve {seconds} s after it ended")


@check("supervision: ready, alive and stopping are told", **ONLY)
def told(context):
    supervisor = Supervisor()
    with context.fresh(BRISK) as broker:
        supervisor.wait("READY=1")
        supervisor.wait("WATCHDOG=1", 2)
        expect(broker.stop() == 0, "the stop was not clean")
    supervisor.wait("STOPPING=1")
    expect([line for line, _ in supervisor.told if line != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"],
           f"it told {supervisor.told}")


@check("supervision: a stuck shard is told, and forgiven when it goes on", needs=("freezer",), **ONLY)
def stuck_is_told(context):
    supervisor = Supervisor()
    overrides = {**BRISK, "millrace.watchdog.ms": "2000"}
    with context.fresh(overrides) as broker:
        supervisor.wait("WATCHDOG=1")
        with FrozenThread(shard_threads(broker.pid)[1]):
            log_has(broker, "THE SHARD IS STUCK.*shard=1", seconds=8)
            quiet = supervisor.count("WATCHDOG=1")
            time.sleep(WATCHDOG_SECONDS + 0.5)
            expect(supervisor.count("WATCHDOG=1") == quiet, "it says that it lives although a shard does not")
        log_has(broker, "the shard turns again")
        supervisor.wait("WATCHDOG=1", quiet)
        expect(broker.stop() == 0, "the stop was not clean")


@check("supervision: a stuck shard ends the process if that is wanted", needs=("freezer",), **ONLY)
def stuck_ends(context):
    overrides = {**BRISK, "millrace.watchdog.ms": "2000", "millrace.watchdog.action": "abort"}
    with context.fresh(overrides) as broker:
        began = time.monotonic()
        with FrozenThread(shard_threads(broker.pid)[-1]):
            log_has(broker, "THE SHARD IS STUCK", "the process ends", seconds=8)
            seconds = time.monotonic() - began
        # A frozen thread dies when it is thawed.
        broker.process.wait(10)
        expect(broker.process.returncode == -signal.SIGABRT, f"it ended with {broker.process.returncode}")
        context.note(f"ended after {seconds:.1f} s")
        restart(broker)
        expect(broker.stop() == 0, "the stop was not clean")


@check("supervision: SIGTERM under load stops clean within seconds, and everything acknowledged is there", **ONLY)
def stop_under_load(context):
    topic, acked, errors = "stop.load", [], []
    with context.fresh({**BRISK, "num.partitions": "8"}) as broker:
        with wire.Connection(broker.port) as connection:
            wire.created(connection.ask(wire.CREATE_TOPICS, 4, wire.create_topic(topic, partitions=8)))
        time.sleep(0.3)

        def produce(partition):
            count = 0
            batch = wire.batch([os.urandom(20_000)])
            try:
                with wire.Connection(broker.port) as connection:
                    while True:
                        body = wire.produce_body(topic, batch, partition)
                        error, _ = wire.produced(connection.ask(wire.PRODUCE, 3, body))
                        if error:
                            errors.append(error)
                            return
                        count += 1
            except (ConnectionError, OSError):
                pass
            finally:
                acked.append((partition, count))

        threads = [threading.Thread(target=produce, args=(partition,)) for partition in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        began = time.monotonic()
        expect(broker.stop(20) == 0, "the stop was not clean")
        seconds = time.monotonic() - began
        for thread in threads:
            thread.join(5)
        context.note(f"{sum(count for _, count in acked)} batches of 20 kB, stopped in {seconds:.2f} s")
        expect(seconds < 5, f"the stop took {seconds:.1f} s")
        expect(not set(errors) - {6, 7, 56}, f"producers were told {set(errors)}")
        restart(broker)
        with wire.Connection(broker.port) as connection:
            for partition, count in acked:
                ask = end_of(topic, partition)
                end = wire.Reader(connection.ask(wire.LIST_OFFSETS, 1, ask))
                end.take("i")
                end.string()
                _, _, error, _, offset = end.take("iihqq")
                expect(error == 0 and offset >= count, f"partition {partition}: {offset} of {count}")


def end_of(topic, partition):
    """The body of ListOffsets v1 for the end of one partition."""
    ask = struct.pack(">iq", partition, -1)
    return struct.pack(">i", -1) + wire.array([wire.string(topic) + wire.array([ask])])


@check("supervision: a second broker on the directory is refused, and after a SIGKILL it is not", **ONLY)
def second(context):
    with context.fresh(BRISK) as broker:
        text = refused(context, "--override", f"log.dirs={broker.data}", "--override",
                       "listeners=PLAINTEXT://127.0.0.1:0", wanted=("in use by another broker",))
        expect("log.dirs" in text, "it does not say what to do")
        with wire.Connection(broker.port) as connection:
            connection.ask(wire.API_VERSIONS, 0)
        broker.kill()
        context.note(f"serving {restart(broker):.2f} s after a SIGKILL")
        expect(broker.stop() == 0, "the stop was not clean")
