#!/usr/bin/env python3
"""Runs real clients against the broker; the last line is `N passed, M failed`."""

import argparse
import importlib
import os
import re
import resource
import shutil
import signal
import site
import sys
import time
from pathlib import Path

import check
import provision
import target as targets
from check import FRESH, SHARED, STOPPED, Context, Result
from provision import say


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=sorted(targets.TARGETS), default="millrace")
    parser.add_argument("--binary", default=str(provision.ROOT / "target/release/millrace"),
                        help="the millrace binary")
    parser.add_argument("--only", action="append", default=[], metavar="REGEX",
                        help="run the checks whose name matches (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="leave out the long checks; says which")
    parser.add_argument("--list", action="store_true", help="list the checks and stop")
    parser.add_argument("--keep", action="store_true", help="keep the data directories and logs")
    return parser.parse_args()


class Run:
    """One pass over the chosen checks, stage by stage."""

    def __init__(self, arguments, chosen):
        self.target = targets.TARGETS[arguments.target]
        self.chosen = chosen
        self.work = provision.CACHE / "run" / f"{arguments.target}-{os.getpid()}"
        self.results = []
        self.missing, self.unsupported = {}, {}
        self.not_run = []
        self.shared = None

    def report(self, result):
        self.results.append(result)
        verdict = "ok  " if result.error is None else "FAIL"
        notes = f"  [{'; '.join(result.notes)}]" if result.notes else ""
        say(f"{verdict} {result.name} ({result.seconds:.1f} s){notes}")
        if result.error is not None:
            say("     " + result.error.strip().replace("\n", "\n     "))

    def one(self, each):
        if cannot := [self.unsupported[need] for need in each.needs if need in self.unsupported]:
            self.not_run.append(each.name)
            say(f"NOT RUN {each.name}: {'; '.join(cannot)}")
            return
        lacking = [f"{need}: {self.missing[need]}" for need in each.needs if need in self.missing]
        if lacking:
            self.report(Result(each.name, "could not run, " + "; ".join(lacking), 0, []))
            return
        slug = re.sub(r"[^a-z0-9]+", "-", each.name.lower()).strip("-")
        context = Context(self.target, self.work / slug)
        if each.stage != FRESH:
            context.broker, context.data = self.shared, self.shared.data
        self.report(check.run(each, context))

    def stage(self, stage):
        return [each for each in self.chosen if each.stage == stage]

    def revive(self, after):
        """The shared broker must outlive every check; one that died is a failure of its own."""
        if self.shared.alive():
            return
        code = self.shared.process.returncode
        self.report(Result(f"broker outlives: {after}",
                           f"it ended with {code}:\n{self.shared.log_tail()}", 0, []))
        self.shared.start()

    def with_shared(self):
        try:
            self.shared = self.target(self.work, "shared", targets.BRISK)
            self.shared.start()
            for each in self.stage(SHARED):
                self.one(each)
                self.revive(each.name)
            began = time.monotonic()
            code = self.shared.stop()
            # A JVM that ends by SIGTERM says 143.
            error = None if code in (0, 143) else f"exit code {code}:\n{self.shared.log_tail()}"
            self.report(Result("broker: SIGTERM stops it cleanly", error,
                               time.monotonic() - began, []))
            for each in self.stage(STOPPED):
                self.one(each)
        finally:
            if self.shared is not None:
                self.shared.kill()

    def all(self):
        for each in self.stage(FRESH):
            self.one(each)
        if self.stage(SHARED) or self.stage(STOPPED):
            try:
                self.with_shared()
            except (check.Failed, OSError) as error:
                self.report(Result("broker: starts, lives and stops for the shared checks", str(error), 0, []))
                done = {result.name for result in self.results}
                for each in self.stage(SHARED) + self.stage(STOPPED):
                    if each.name not in done:
                        self.report(Result(each.name, "could not run, the broker is not up", 0, []))


def choose(arguments):
    chosen = []
    for each in check.CHECKS:
        if arguments.only and not any(re.search(only, each.name) for only in arguments.only):
            continue
        if arguments.target not in each.targets:
            say(f"not for target {arguments.target}: {each.name}")
        elif arguments.quick and not each.quick and not arguments.only:
            say(f"left out by --quick: {each.name}")
        else:
            chosen.append(each)
    return chosen


def raise_file_limit():
    """Two thousand connections need as many descriptors, here and in the broker, which inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main():
    arguments = options()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    importlib.import_module("checks")
    if arguments.list:
        for each in check.CHECKS:
            say(f"{each.stage:8} {each.name}")
        return 0
    targets.Millrace.binary = Path(arguments.binary).resolve()
    chosen = choose(arguments)
    run = Run(arguments, chosen)
    needed = {need for each in chosen for need in each.needs}
    if arguments.target == "kafka":
        needed.add("jars")
    if needed:
        say("== what the clients need")
        run.missing, run.unsupported = provision.provide(needed)
    # The same interpreter made the environment, so its packages may be imported here.
    for packages in provision.VENV.glob("lib/python*/site-packages"):
        site.addsitedir(str(packages))
    say(f"== {len(chosen)} checks against {arguments.target}")
    if arguments.target == "millrace" and not targets.Millrace.binary.exists():
        say(f"there is no {arguments.binary}: build it with `cargo build --release`")
    run.all()
    failed = [result for result in run.results if result.error is not None]
    if failed:
        # Once more at the end, where whoever sees only the end of a long log looks for it.
        for result in failed:
            say(f"failed: {result.name}\n     " + result.error.strip()[-1500:].replace("\n", "\n     "))
    if run.not_run:
        say("not run on this machine: " + "; ".join(run.not_run))
    if not arguments.keep and not failed:
        shutil.rmtree(run.work, ignore_errors=True)
    else:
        say(f"logs and data directories: {run.work}")
    say(f"{len(run.results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not run.results else 0


if __name__ == "__main__":
    sys.exit(main())
