"""The broker under test: millrace, or Apache Kafka 4.3.1 as the stand-in that the suite itself is proved against."""

import os
import signal
import subprocess
from pathlib import Path

import kafka_node
from check import Failed

# Overrides that let a run be short; the quick start checks run without any.
# Two shards on any machine, so that requests go from one to the other.
BRISK = {"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "millrace.shards": "2"}


class Broker:
    """One broker process on one data directory; it can be killed and started again."""

    def __init__(self, work, name, overrides=None):
        self.work = Path(work)
        self.data = self.work / name
        self.log = self.work / f"{name}.log"
        self.port = kafka_node.free_port()
        self.overrides = dict(overrides or {})
        # Words in front of the command line: what the process is started through.
        self.prefix = []
        self.process = None
        self.work.mkdir(parents=True, exist_ok=True)

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        raise NotImplementedError

    def launch(self):
        """Starts the process and does not wait; the log goes on in one file."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        """Starts the process and waits until its port accepts."""
        self.launch()
        try:
            kafka_node.wait_for_port(self.port, self.process)
        except RuntimeError as error:
            self.kill()
            raise Failed(f"{error}; its log ends:\n{self.log_tail()}") from None
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=60):
        """SIGTERM; the answer is the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed(f"SIGTERM did not stop the broker within {seconds} s") from None
        return self.process.returncode

    def kill(self):
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def log_tail(self, lines=15):
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def rss_mib(self, field="VmRSS"):
        """Resident memory of the process, in MiB; `VmHWM` is the most that it ever was."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) // 1024
        return 0

    def descriptors(self):
        """How many files and sockets the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop(20)
        finally:
            self.kill()


class Millrace(Broker):
    """The binary, configured by overrides only, as a user would do it."""

    name = "millrace"
    binary = None

    def command(self):
        overrides = {"listeners": f"PLAINTEXT://127.0.0.1:{self.port}", "log.dirs": str(self.data),
                     **self.overrides}
        line = [str(self.binary)]
        for key, value in overrides.items():
            line += ["--override", f"{key}={value}"]
        return line


class Kafka(Broker):
    """Apache Kafka from the jars, combined controller and broker."""

    name = "kafka"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.controller_port = kafka_node.free_port()

    def command(self):
        file = kafka_node.prepare(self.data, self.port, self.controller_port, self.overrides)
        return kafka_node.command(file, heap="512m")


TARGETS = {"millrace": Millrace, "kafka": Kafka}


def segments(data, suffixes=(".log",)):
    """Every segment file below a data directory, in order."""
    found = [path for path in Path(data).glob("*/*") if path.suffix in suffixes]
    return sorted(path for path in found if not path.parent.name.endswith("-delete"))

