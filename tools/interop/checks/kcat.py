"""kcat: metadata, produce, consume, query."""

import re

from check import check, expect
from client import run

NEEDS = ("kcat",)


def kcat(context, *arguments, **how):
    out, _ = run(["kcat", "-b", context.bootstrap, "-m", "10", *arguments], **how)
    return out


@check("kcat -L: metadata", needs=NEEDS)
def metadata(context):
    kcat(context, "-P", "-t", "kcat.metadata", stdin="x\n")
    out = kcat(context, "-L")
    expect(re.search(r"broker \d+ at 127\.0\.0\.1:\d+", out), f"it said: {out[:400]}")
    expect(re.search(r'topic "kcat\.metadata" with 1 partitions', out), f"it said: {out[:800]}")


@check("kcat -P and -C: keys and headers, to the end", needs=NEEDS)
def records(context):
    lines = [f"k{number}:value {number}" for number in range(500)]
    kcat(context, "-P", "-t", "kcat.records", "-K", ":", "-H", "colour=blue", stdin="\n".join(lines) + "\n")
    out = kcat(context, "-C", "-e", "-q", "-t", "kcat.records", "-o", "beginning", "-f", "%o %h %k:%s\n")
    wanted = [f"{at} colour=blue {line}" for at, line in enumerate(lines)]
    expect(out.splitlines() == wanted, f"{len(out.splitlines())} of 500 lines came back: {out[:200]}")
    out = kcat(context, "-C", "-e", "-q", "-t", "kcat.records", "-o", "-3", "-f", "%o\n")
    expect(out.split() == ["497", "498", "499"], f"the last three offsets are {out.split()}")


@check("kcat -Q: offsets by time", needs=NEEDS)
def query(context):
    kcat(context, "-P", "-t", "kcat.query", stdin="a\nb\nc\n")
    stamps = kcat(context, "-C", "-e", "-q", "-t", "kcat.query", "-f", "%T\n").split()
    cases = {"-2": "0", "-1": "3", stamps[0]: "0", str(int(stamps[-1]) + 60_000): "-1"}
    for time, offset in cases.items():
        out = kcat(context, "-Q", "-t", f"kcat.query:0:{time}")
        expect(re.search(rf"kcat\.query \[0\] offset {offset}\b", out), f"at {time}: {out.strip()}")


for codec in ("gzip", "snappy", "lz4", "zstd"):

    @check(f"kcat: {codec} there and back", needs=NEEDS)
    def round_trip(context, codec=codec):
        topic = f"kcat.{codec}"
        values = [f"{number} " + "abc" * 100 for number in range(1000)]
        kcat(context, "-P", "-t", topic, "-z", codec, "-X", "linger.ms=50", stdin="\n".join(values) + "\n")
        out = kcat(context, "-C", "-e", "-q", "-t", topic, "-o", "beginning")
        expect(out.splitlines() == values, f"{len(out.splitlines())} of 1000 lines came back")


@check("kcat -G: a group reads everything once", needs=NEEDS)
def group(context):
    kcat(context, "-P", "-t", "kcat.group", stdin="".join(f"{n}\n" for n in range(50)))
    out, _ = run(["timeout", "-s", "INT", "20", "kcat", "-b", context.bootstrap, "-q", "-c", "50",
                  "-X", "auto.offset.reset=earliest", "-G", "kcat-group", "kcat.group"], code=None)
    expect(sorted(map(int, out.split())) == list(range(50)), f"it read {len(out.split())} of 50")
