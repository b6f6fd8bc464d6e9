#!/usr/bin/env python3
"""Everything that proves millrace, step by step: format, lints, tests, release build, real clients.

    tools/test                     all of it
    tools/test --only unit         one step: fmt, clippy, unit, simulate, build or interop
    tools/test --only 'kcat|rdk'   the real-client checks whose name matches
    tools/test --quick             without the long checks of the real clients
    tools/test --target kafka      the real clients against Apache Kafka, which proves the suite itself

Every step runs, also after one that failed. The last line is `N passed, M failed`, over all steps and checks.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import provision

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBRDKAFKA = ["--features", "millrace-bench/librdkafka"]
RDKAFKA = "tools/interop/rdkafka/Cargo.toml"
# A whole simulated broker with small bounds, in which faults can be planted.
SIMULATED = ["--locked", "-p", "millrace-tools", "--features", "small,plants"]
SIMULATE = ["cargo", "run", "--quiet", "--profile", "sim", *SIMULATED, "--", "simulate"]
UNIT = ["cargo", "test", "--workspace", "--locked", "--no-fail-fast", *LIBRDKAFKA]
RELEASE = ["cargo", "build", "--release", "--locked", "-p", "millrace", "-p", "millrace-bench", "-p", "millrace-tools"]
STEPS = {
    "fmt": [["cargo", "fmt", "--all", "--check"], ["cargo", "fmt", "--check", "--manifest-path", RDKAFKA]],
    "clippy": [
        ["cargo", "clippy", "--workspace", "--all-targets", "--locked", *LIBRDKAFKA, "--", "-D", "warnings"],
        ["cargo", "clippy", *SIMULATED, "--all-targets", "--", "-D", "warnings"],
    ],
    "unit": [UNIT],
    "simulate": [
        ["cargo", "build", "--profile", "sim", *SIMULATED],
        [*SIMULATE, "--cuts", "50000", "--cycles", "2", "--steps", "200"],
        [*SIMULATE, "--faults", "1000"],
        [*SIMULATE, "--plants"],
    ],
    "build": [RELEASE],
    "interop": [[sys.executable, str(HERE / "run.py")]],
}
# What a step prints about its own tests: cargo's harness and run.py.
COUNTED = re.compile(r"^(?:test result: \w+\. )?(\d+) passed[;,] (\d+) failed")


def without_librdkafka(command):
    """The command as it is where librdkafka cannot be built."""
    at = command.index(LIBRDKAFKA[0])
    return command[:at] + command[at + len(LIBRDKAFKA):]


def say(text):
    print(text, flush=True)


class Step:
    """One step: what it ran, what came of it, and how long it took."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.seconds = name, 0, 0, 0.0

    def run(self, commands):
        began = time.monotonic()
        for command in commands:
            if LIBRDKAFKA[0] in command:
                command = self.librdkafka(command)
            say(f"\n==== {self.name}: {' '.join(command)}")
            self.one(command)
        self.seconds = time.monotonic() - began

    def librdkafka(self, command):
        """The command, without the client that needs a compiler where there is none: said plainly, and a failure."""
        try:
            provision.compiler()
            return command
        except provision.Missing as error:
            say(f"NOT RUN {self.name} of millrace-bench --client librdkafka: {error}")
            self.failed += 1
            return without_librdkafka(command)

    def one(self, command):
        passed, failed = 0, 0
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                if found := COUNTED.match(line):
                    passed += int(found[1])
                    failed += int(found[2])
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        # A step that counts nothing, or that fails without saying at what, counts as one itself.
        if code and not failed:
            failed = 1
        if not code and not passed:
            passed = 1
        self.passed += passed
        self.failed += failed


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--target", choices=["millrace", "kafka"], default="millrace")
    return parser.parse_args()


def plan(arguments):
    """The names of the steps to run, and the interop command's further arguments."""
    extra = ["--target", arguments.target] + (["--quick"] if arguments.quick else [])
    chosen = [name for name in STEPS if name in arguments.only]
    patterns = [only for only in arguments.only if only not in STEPS]
    for pattern in patterns:
        extra += ["--only", pattern]
    if arguments.target == "kafka":
        return ["interop"], extra
    if patterns and "interop" not in chosen:
        chosen.append("interop")
    if not arguments.only:
        chosen = list(STEPS)
    if "interop" in chosen and "build" not in chosen:
        chosen.insert(chosen.index("interop"), "build")
    return chosen, extra


def main():
    arguments = options()
    chosen, extra = plan(arguments)
    if not shutil.which("cargo"):
        os.environ["PATH"] += os.pathsep + str(Path.home() / ".cargo/bin")
    done = []
    for name in chosen:
        step = Step(name)
        done.append(step)
        commands = [list(command) for command in STEPS[name]]
        if name == "interop":
            commands[0] += extra
        step.run(commands)
    say("\n==== summary")
    for step in done:
        verdict = "FAIL" if step.failed else "ok  "
        say(f"{verdict} {step.name:8} {step.passed:5} passed {step.failed:3} failed {step.seconds:7.1f} s")
    passed, failed = (sum(getattr(step, kind) for step in done) for kind in ("passed", "failed"))
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
