"""The quick start of docs/quickstart, run as its reader runs it: an unchanged kafkajs on a broker with its defaults."""

import os
import signal
import subprocess
import time

import provision
from check import FRESH, check, expect
from client import tool
from .kafka_tools import TOPICS

RECEIVED = "received from orders-0 at offset {}: New Order Created"


def app(context, broker, wanted):
    """Runs app.js until it prints `wanted`, then ends it as Ctrl-C does; the answer is all it printed."""
    log = context.work / "app.log"
    environment = dict(os.environ, KAFKA_BROKERS=broker.bootstrap.replace("127.0.0.1", "localhost"),
                       NODE_PATH=str(provision.NODE_MODULES / "node_modules"))
    with open(log, "wb") as out:
        process = subprocess.Popen(["node", provision.QUICKSTART / "app.js"], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 40
    while wanted not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        code = process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "nothing, it hung"
    text = log.read_text()
    expect(wanted in text, f"app.js did not print `{wanted}`; it printed:\n{text[-2000:]}")
    expect(code == 0, f"app.js ended with {code} on Ctrl-C; it printed:\n{text[-2000:]}")
    return text


@check("quickstart: kafkajs app.js, topic made by kafka-topics", needs=("kafkajs", "jars"), stage=FRESH,
       seconds=150)
def made_beforehand(context):
    with context.fresh() as broker:
        tool(TOPICS, "--create", "--topic", "orders", "--bootstrap-server", broker.bootstrap)
        app(context, broker, RECEIVED.format(0))
        # The second run of the reader: the group goes on, so the first record is not printed again.
        text = app(context, broker, RECEIVED.format(1))
        expect(RECEIVED.format(0) not in text, "the group did not go on where it stopped")


@check("quickstart: kafkajs app.js, topic made by its first record", needs=("kafkajs",), stage=FRESH,
       seconds=90)
def made_by_itself(context):
    with context.fresh() as broker:
        app(context, broker, RECEIVED.format(0))
