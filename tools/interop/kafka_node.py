#!/usr/bin/env python3
"""Runs Apache Kafka as one combined KRaft node from the jars: format the storage, start, stop.

As a program (for side-by-side measurements):
    kafka_node.py run --data DIR --port 9092 [--heap 1G] [--flush-each-append] [--override key=value]...
It prints `ready HOST:PORT pid PID` once the broker answers, and stops it on SIGTERM or SIGINT.
"""

import argparse
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import provision

HERE = Path(__file__).resolve().parent
# A fixed id, so that formatting the same directory twice is the same cluster.
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"


def java(*arguments, options=()):
    """The command line of a Java main class from the jars."""
    return ["java", *options, "-cp", f"{provision.JARS}/*", *map(str, arguments)]


def properties(data, port, controller_port, overrides):
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        **overrides,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def prepare(data, port, controller_port, overrides):
    """Writes `server.properties` beside the data directory and formats the storage if it is new."""
    data = Path(data)
    file = data.parent / f"{data.name}.properties"
    data.mkdir(parents=True, exist_ok=True)
    file.write_text(properties(data, port, controller_port, overrides))
    if not (data / "meta.properties").exists():
        subprocess.run(
            java("kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID,
                 "-c", file, options=["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]),
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
    return file


def command(file, heap="1G"):
    """The broker's own command line, with the virtual machine options of Kafka's start script."""
    options = [
        f"-Xmx{heap}", f"-Xms{heap}", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
        "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
    ]
    return java("kafka.Kafka", file, options=options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port} after {seconds} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--controller-port", type=int, default=0)
    parser.add_argument("--heap", default="1G")
    parser.add_argument("--flush-each-append", action="store_true",
                        help="log.flush.interval.messages=1: flush as each append arrives")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--taskset", metavar="CPUS", help="pin the broker to these cores")
    arguments = parser.parse_args()
    missing, _ = provision.provide(["jars"])
    if missing:
        sys.exit(f"cannot run Kafka: {missing['jars']}")
    overrides = dict(pair.split("=", 1) for pair in arguments.override)
    if arguments.flush_each_append:
        overrides["log.flush.interval.messages"] = "1"
    file = prepare(arguments.data, arguments.port, arguments.controller_port or free_port(),
                   overrides)
    line = command(file, arguments.heap)
    if arguments.taskset:
        line = ["taskset", "-c", arguments.taskset, *line]
    process = subprocess.Popen(line, stdout=sys.stderr)

    def stop(*_):
        process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        wait_for_port(arguments.port, process)
        print(f"ready 127.0.0.1:{arguments.port} pid {process.pid}", flush=True)
        sys.exit(process.wait())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
