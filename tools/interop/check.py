"""A named check: how it is declared, and how it is run in a process of its own with a time limit."""

import multiprocessing
import os
import signal
import time
import traceback
from dataclasses import dataclass, field
from typing import Callable

# Forked, so that a check that hangs or crashes takes nothing with it, and its processes can be ended with it.
fork = multiprocessing.get_context("fork")

FRESH, SHARED, STOPPED = "fresh", "shared", "stopped"


@dataclass(frozen=True)
class Check:
    """`stage` says which broker it meets: its own, the shared one, or the shared one's files after a clean stop."""

    name: str
    body: Callable
    needs: tuple = ()
    stage: str = SHARED
    seconds: int = 60
    targets: tuple = ("millrace", "kafka")
    quick: bool = True


CHECKS = []


def check(name, **options):
    """Declares a check; the function takes the context."""

    def declare(body):
        CHECKS.append(Check(name, body, **options))
        return body

    return declare


@dataclass
class Context:
    """What a check is given: the target, a working directory, and the shared broker if its stage has one."""

    target: type
    work: os.PathLike
    broker: object = None
    data: os.PathLike = None
    notes: list = field(default_factory=list)

    @property
    def bootstrap(self):
        return self.broker.bootstrap

    def fresh(self, overrides=None, name="data"):
        """A broker of the check's own, to be used in a `with` statement."""
        self.work.mkdir(parents=True, exist_ok=True)
        return self.target(self.work, name, overrides)

    def broker_lives(self):
        """Whether the broker's process runs; a check is not its parent, so it looks for itself."""
        try:
            with open(f"/proc/{self.broker.pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def note(self, text):
        """A figure or fact to print beside the result."""
        self.notes.append(text)


class Failed(AssertionError):
    """An expectation that was not met; its text is all that is printed."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


@dataclass
class Result:
    """`error` is None when the check passed."""

    name: str
    error: str | None
    seconds: float
    notes: list


def _child(one, context, pipe):
    os.setpgid(0, 0)
    error = None
    try:
        one.body(context)
    except Failed as failure:
        error = str(failure)
    except BaseException:
        error = traceback.format_exc(limit=-6)
    pipe.send((error, context.notes))
    pipe.close()
    # Client libraries leave threads behind; what they still do is of no interest.
    os._exit(0)


def run(one, context):
    """Runs a check in its own process group, and ends the whole group when it is over."""
    began = time.monotonic()
    receiving, sending = fork.Pipe(duplex=False)
    child = fork.Process(target=_child, args=(one, context, sending), daemon=True)
    child.start()
    sending.close()
    error, notes = f"no answer within {one.seconds} s", []
    try:
        if receiving.poll(one.seconds):
            error, notes = receiving.recv()
    except EOFError:
        child.join(5)
        error = f"the check's process died with {child.exitcode}"
    finally:
        _end_group(child.pid)
        child.join()
    return Result(one.name, error, time.monotonic() - began, notes)


def _end_group(group):
    """Ends the processes of one check: only those that it started, by the group that they share."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
