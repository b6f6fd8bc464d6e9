"""Running a client program and reading what it printed."""

import shlex
import subprocess

import kafka_node
from check import Failed, expect

# A tool lives for a second: a small, quickly compiled virtual machine serves it best.
SMALL_JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
             f"-Dlog4j2.configurationFile={kafka_node.HERE / 'log4j2.properties'}"]


def run(command, stdin=None, seconds=40, code=0, env=None):
    """Runs a program; its stdout and stderr are the answer. `code` is the exit code expected (None: any)."""
    command = [str(part) for part in command]
    shown = shlex.join(command if command[0] != "java" else ["java", *_after_classpath(command)])
    try:
        fed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(command, **fed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=seconds, errors="replace", env=env)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"`{shown}` did not end within {seconds} s; stdout: {_end(error.stdout)}; "
                     f"stderr: {_end(error.stderr)}") from None
    expect(code is None or done.returncode == code,
           f"`{shown}` ended with {done.returncode}; stdout: {_end(done.stdout)}; "
           f"stderr: {_end(done.stderr)}")
    return done.stdout, done.stderr


def _after_classpath(command):
    return command[command.index("-cp") + 2:]


def _end(text):
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return (text or "(nothing)").strip()[-1500:]


def tool(main, *arguments, options=SMALL_JVM, **how):
    """Runs one of Kafka's own tools by its main class; its stdout is the answer."""
    out, _ = run(kafka_node.java(main, *arguments, options=options), **how)
    return out
