"""Idempotent producers that live through every kill: Apache Kafka's Java client, and millrace-bench's verify."""

import json
import signal
import subprocess
import time

import kafka_node
import target as targets
from check import Failed, expect
from client import SMALL_JVM
from . import confluent

VERIFIABLE = "org.apache.kafka.tools.VerifiableProducer"
# The tool itself would give up at once.
STUBBORN = """\
enable.idempotence=true
retries=2147483647
delivery.timeout.ms=600000
request.timeout.ms=10000
retry.backoff.ms=20
retry.backoff.max.ms=200
reconnect.backoff.ms=20
reconnect.backoff.max.ms=200
batch.size=2048
linger.ms=2
"""


class Process:
    """A client in a process of its own; what it prints goes to a file."""

    def __init__(self, context, name, command):
        self.name, self.out, self.errors = name, context.work / f"{name}.out", context.work / f"{name}.err"
        with open(self.out, "wb") as out, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=errors)

    def lines(self):
        return self.out.read_text(errors="replace").splitlines()

    def end(self, sign, seconds=120):
        """Tells it to end, and waits until everything that it sent has an answer; the answer is its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"{self.name} did not come to an end within {seconds} s; {self.last()}") from None

    def last(self):
        return f"it said {self.lines()[-3:]} and {self.errors.read_text(errors='replace')[-800:]}"


class JavaProducer:
    """Kafka's VerifiableProducer: numbers, each acknowledged with partition and offset."""

    def __init__(self, context, topic, partitions):
        self.context, self.topic, self.partitions = context, topic, partitions
        file = context.work / "java.properties"
        file.write_text(STUBBORN)
        line = kafka_node.java(VERIFIABLE, "--bootstrap-server", context.bootstrap, "--topic", topic, "--acks", "-1",
                               "--throughput", "500", "--command-config", file, options=SMALL_JVM)
        self.client = Process(context, "java", line)

    def finish(self):
        """Ends it; it is an error of the check if anything that it sent was not acknowledged."""
        code = self.client.end(signal.SIGTERM)
        expect(code in (0, 143), f"java: exit code {code}; {self.client.last()}")
        events = [json.loads(line) for line in self.client.lines() if line.startswith("{")]
        failed = [event for event in events if event["name"] == "producer_send_error"]
        expect(not failed, f"java: {len(failed)} sends failed, the first: {failed[:1]}")
        self.acked = {int(event["value"]): (event["partition"], event["offset"])
                      for event in events if event["name"] == "producer_send_success"}

    def judge(self):
        """What is wrong with what is there, as texts."""
        found, problems = {}, []
        for partition, records in enumerate(confluent.everything(self.context, self.topic, self.partitions)):
            last = -1
            for offset, data in records:
                number = int(data)
                if number in found:
                    problems.append(f"java: doubled: {number} at {found[number]} and {partition}@{offset}")
                if number < last:
                    problems.append(f"java: out of order: {number} at {partition}@{offset} follows {last}")
                found[number], last = (partition, offset), number
        for number, at in self.acked.items():
            if found.get(number) != at:
                problems.append(f"java: {number} was acknowledged at {at}, is at {found.get(number, 'no place: lost')}")
        # It ends only when everything has been acknowledged.
        problems += [f"java: phantom: {number} at {at}" for number, at in found.items() if number not in self.acked]
        return problems


class Verifier:
    """`millrace-bench verify`, which judges for itself."""

    def __init__(self, context, topic, partitions):
        bench = targets.Millrace.binary.with_name("millrace-bench")
        book = context.work / "verify.json"
        self.client = Process(context, "verify", [
            bench, "verify", "--bootstrap", context.bootstrap, "--topic", topic, "--partitions", partitions,
            "--rate", "1k", "--duration", "24h", "--patience", "120s", "--ledger", book])
        # It makes its topic; the broker has to be there until it writes.
        confluent.until(book.exists, "verify did not begin", seconds=30)

    def finish(self):
        """Ends it: it reads everything back."""
        code = self.client.end(signal.SIGINT)
        said = self.client.lines()
        # 4: cut short, and nothing is wrong.
        expect(code == 4 and "nothing is wrong" in said, f"verify: exit code {code}; {self.client.last()}")
        [summary] = [line for line in said if "records acknowledged" in line and line.startswith("topic")]
        self.acked = int(summary.split(" partitions: ")[1].split()[0])
