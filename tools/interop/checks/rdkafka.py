"""The Rust application in ../rdkafka: the rdkafka crate, unchanged."""

import provision
from check import check, expect
from client import run


@check("rdkafka: a Rust application creates, produces with 3 codecs, consumes in a group", needs=("rdkafka",),
       seconds=120)
def application(context):
    out, _ = run([provision.RDKAFKA_BINARY, context.bootstrap, "rdkafka.records"], seconds=110)
    expect(out.count("there and back") == 3, f"it said: {out}")
