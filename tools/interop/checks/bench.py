"""millrace-bench as others see its results: the page in a browser, the histogram log in HdrHistogram's own reader."""

import csv
import json
import re

import provision
import target as targets
from browser import Browser
from check import FRESH, check, expect
from client import SMALL_JVM, run
from loop_disk import LoopDisk

MILLRACE = ("millrace",)
# A short load with phases, consumers and latencies of all kinds.
LOAD = ["--warmup", "1s", "--record-size", "1KiB", "--partitions", "4", "--linger", "2ms", "--batch-size", "4KiB"]


def bench(*arguments, **options):
    return run([targets.Millrace.binary.with_name("millrace-bench"), *arguments], **{"seconds": 60, **options})[0]


# What a chart has drawn that is neither axis nor text: lines of series, cells, intervals.
DRAWN = """
[...document.querySelectorAll("section")].map((card) => ({
  title: card.querySelector("h2").textContent,
  charts: card.querySelectorAll("svg").length,
  drawn: [...card.querySelectorAll("svg path.series, svg rect:not(.warm), svg circle")].filter((shape) => {
    const box = shape.getBoundingClientRect();
    return box.width > 0 || box.height > 0;
  }).length,
  outside: [...card.querySelectorAll("svg *")].filter((shape) => {
    const box = shape.getBoundingClientRect(), whole = shape.closest("svg").getBoundingClientRect();
    return shape.tagName !== "title" && (box.left < whole.left - 2 || box.right > whole.right + 2
      || box.top < whole.top - 2 || box.bottom > whole.bottom + 2);
  }).length,
  rows: card.querySelectorAll("tbody tr").length,
  text: card.innerText,
}))
"""


def cards(context, browser, page, scheme):
    """The page's cards by title, after what holds of every page: no complaints, nothing loaded, no empty chart."""
    complaints, requests = browser.open(page, scheme)
    expect(not complaints, f"{page.name} in {scheme} complains: {complaints}")
    expect(not requests, f"{page.name} in {scheme} asks for {requests}")
    found = {card["title"]: card for card in browser.value(DRAWN)}
    for card in found.values():
        if card["charts"]:
            expect(card["drawn"] > 0, f"{card['title']}: nothing is drawn")
            expect(card["outside"] == 0, f"{card['title']}: {card['outside']} shapes stand outside of the chart")
        for word in ("NaN", "undefined", "Infinity", "null", "[object"):
            expect(word not in card["text"], f"{card['title']} says {word}: {card['text'][:300]}")
    picture = context.work / f"{page.parent.name}-{scheme}.png"
    browser.screenshot(picture)
    expect(picture.stat().st_size > 50_000, f"{picture} is {picture.stat().st_size} bytes of nothing")
    return found


def ground(browser):
    """How bright the page is, and the text on it: 0 black to 255 white."""
    channel = "(name) => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3"
    return [browser.value(f"({channel})('{name}')") for name in ("backgroundColor", "color")]


@check("bench: report.html of a run and of a comparison in Chromium", needs=("chromium",), stage=FRESH, seconds=150,
       targets=MILLRACE)
def page(context):
    with context.fresh(name="a") as one, context.fresh(name="b") as other:
        single, compared = context.work / "run", context.work / "compare"
        bench("run", "--bootstrap", one.bootstrap, *LOAD, "--step", "1k:2s", "--step", "3k:2s", "--out", single)
        bench("compare", one.bootstrap, other.bootstrap, *LOAD, "--rate", "1k", "--duration", "2s", "--pairs", "2",
              "--settle", "0s", "--out", compared)
    with Browser() as browser:
        for scheme in ("light", "dark"):
            found = cards(context, browser, single / "report.html", scheme)
            for title, least in [("Latency from the due time to the acknowledgement", 1),
                                 ("Latency from the due time to a consumer", 1),
                                 ("Acknowledgement latency over time", 10), ("End-to-end latency over time", 10),
                                 ("Throughput", 2), ("CPU cores", 2), ("Highest latency, and p50, each second", 2)]:
                expect(title in found, f"the page lacks {title!r}: {list(found)}")
                drawn = found[title]["drawn"]
                expect(drawn >= least, f"{title}: {drawn} shapes, not {least}")
            expect(found["Phases"]["rows"] == 2, f"phases: {found['Phases']['text']}")
            back, ink = ground(browser)
            expect((back > 200 and ink < 80) if scheme == "light" else (back < 60 and ink > 180),
                   f"{scheme}: ground {back:.0f}, text {ink:.0f}")
            found = cards(context, browser, compared / "report.html", scheme)
            expect(found["Latency from the due time to the acknowledgement"]["drawn"] == 2, "not both curves")
            expect(found["Verdict"]["rows"] >= 8, f"the verdict: {found['Verdict']['text']}")
            expect(found["Ratios with their intervals"]["drawn"] == found["Verdict"]["rows"], "not all ratios")
            maps = [title for title in found if title.startswith("Acknowledgement latency over time: ")]
            expect(len(maps) == 2, f"heat maps: {maps}")
        complaints, _ = browser.open(compared / "report.html", "light", width=420)
        wide = browser.value("document.documentElement.scrollWidth")
        expect(not complaints and wide <= 420, f"on a narrow screen it is {wide} wide: {complaints}")


def distribution(log, tag, out):
    """What HdrHistogram's own processor makes of one tag of a log: percentile to milliseconds, count and maximum."""
    run(["java", *SMALL_JVM, "-cp", f"{provision.JARS}/*", "org.HdrHistogram.HistogramLogProcessor", "-i", log,
         "-o", out, "-csv", "-tag", tag, "-outputValueUnitRatio", "1000"])
    rows = {}
    with open(f"{out}.hgrm") as file:
        for row in csv.reader(line for line in file if line[:1].isdigit()):
            rows[float(row[1])] = (float(row[0]), int(row[2]))
    return rows


@check("bench: latency.hlog in HdrHistogram's own HistogramLogProcessor", needs=("jars",), stage=FRESH, seconds=90,
       targets=MILLRACE)
def hlog(context):
    with context.fresh() as broker:
        out = context.work / "run"
        # Without a warm-up, so that the seconds of the log are those of the result.
        bench("run", "--bootstrap", broker.bootstrap, *LOAD, "--warmup", "0s", "--rate", "2k", "--duration", "3s",
              "--out", out)
    result = json.loads((out / "result.json").read_text())
    for tag, wanted in [("produce", result["produce"]["latency_us"]), ("end_to_end", result["end_to_end"]["latency_us"])]:
        rows = distribution(out / "latency.hlog", tag, context.work / tag)
        expect(rows, f"{tag}: the processor found nothing")
        total = max(count for _, count in rows.values())
        expect(total == wanted["count"], f"{tag}: {total} values in the log, {wanted['count']} in result.json")
        for percentile, figure in [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p999"), (1.0, "max")]:
            # The processor steps over percentiles; the first step at or behind one holds the value there or above.
            at = min(step for step in rows if step >= percentile)
            before = max((step for step in rows if step <= percentile), default=at)
            low, high = rows[before][0] * 0.998, rows[at][0] * 1.002
            expect(low <= wanted[figure] <= high,
                   f"{tag} {figure}: {wanted[figure]} us in result.json, {low:.1f} to {high:.1f} us in the log")
        context.note(f"{tag}: {total} values, p50 {wanted['p50']} us, max {wanted['max']} us")


@check("bench: scenario disk-full ends the writing, and what was acknowledged is there", needs=("loop",), stage=FRESH,
       seconds=90, targets=MILLRACE, quick=False)
def disk_full(context):
    with LoopDisk(context.work, "ext4", 256) as disk:
        told = bench("scenario", "disk-full", "--patience", "3s", "--millrace",
                     "--millrace-set", "millrace.journal.bytes=16777216", "--data-dir", disk.path / "data",
                     seconds=80, code=4)
    for words in ("writing ended early", "KAFKA_STORAGE_ERROR", "nothing is wrong"):
        expect(words in told, f"it does not say `{words}`:\n{told}")
    acknowledged = int(re.search(r"(\d+) records acknowledged", told)[1])
    expect(acknowledged > 1000, f"only {acknowledged} records were acknowledged:\n{told}")
    context.note(f"{acknowledged} records acknowledged before the disk was full")
