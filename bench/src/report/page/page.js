// Puts the page together.
const data = JSON.parse(document.getElementById("data").textContent);
const { runs, comparison } = data;
const page = document.getElementById("page");

function card(title, content, wide, note) {
  if (!content) return null;
  return make("section", wide ? { class: "wide" } : {}, make("h2", {}, title), content, ...(note ? [make("p", { class: "soft" }, note)] : []));
}
function table(heads, rows) {
  return make("table", heads.length === 2 ? { class: "narrow" } : {},
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", head === "verdict" ? { class: "words" } : {}, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) =>
      cell instanceof Node ? cell : make("td", {}, cell))))));
}

function figures() {
  const value = (read) => runs.map((run) => read(run.result));
  const produce = (read) => (result) => (result.produce ? read(result.produce) : "–");
  const consume = (read) => (result) => (result.consume ? read(result.consume) : "–");
  const rows = [
    ["produced records/s", ...value(produce((p) => count(p.records_per_s)))],
    ["produced bytes/s", ...value(produce((p) => bytes(p.bytes_per_s)))],
    ["consumed bytes/s", ...value(consume((c) => bytes(c.bytes_per_s)))],
  ];
  const latency = (name, read) => {
    const known = runs.some((run) => read(run.result) && read(run.result).count > 0);
    if (!known) return;
    for (const [label, field] of [["p50", "p50"], ["p90", "p90"], ["p99", "p99"], ["p99.9", "p999"], ["p99.99", "p9999"], ["p99.999", "p99999"], ["max", "max"]]) {
      rows.push([`${name} ${label}`, ...value((result) => time(read(result) && read(result).count > 0 ? read(result)[field] : null))]);
    }
  };
  latency("latency", (result) => result.produce && result.produce.latency_us);
  latency("service", (result) => result.produce && result.produce.service_us);
  latency("end to end", (result) => result.end_to_end.latency_us);
  rows.push(
    ["broker CPU per GB", ...value((result) => plain(result.broker.cpu_s_per_gb, "s"))],
    ["broker CPU per request", ...value((result) => plain(result.broker.cpu_us_per_request, "µs"))],
    ["broker cores", ...value((result) => plain(result.broker.cores))],
    ["broker memory", ...value((result) => bytes(result.broker.rss_bytes))],
    ["client CPU per GB", ...value((result) => plain(result.client.cpu_s_per_gb, "s"))],
    ["client cores", ...value((result) => plain(result.client.cores))],
    ["client woke late, p99", ...value((result) => time(result.client.lag_us.p99))],
    ["disk bytes per produced byte", ...value((result) => plain(result.disk.written_per_produced_byte))],
    ["flushes/s", ...value((result) => count(result.disk.flushes_per_s))],
    ["errors", ...value((result) => count(result.errors))],
    ["late sends (by the client)", ...value((result) => `${count(result.late_sends)} (${count(result.late_sends_by_client)})`)],
    ["never sent", ...value((result) => count(result.skipped_sends))],
  );
  return table(["", ...runs.map((run) => run.label)], rows);
}

function about() {
  const list = make("div", {});
  for (const { label, result } of runs) {
    const work = result.workload;
    list.append(make("p", {}, make("b", {}, label), ` — acknowledged means ${result.target.durability.acknowledged}: ${result.target.durability.text}.`));
    list.append(make("p", { class: "soft" },
      `Client ${result.client.name}. ${work.producers} producers × ${work.in_flight} in flight, ${work.pace} loop` +
      (work.rate ? ` at ${count(work.rate)} records/s` : "") +
      `, records of ${work.record_size} bytes, batches up to ${bytes(work.batch_bytes)}, keys ${work.keys}, compression ${work.compression}, ` +
      `acks ${work.acks}, ${work.partitions} partitions, ${work.consumers} consumers` + (work.groups ? ` in each of ${work.groups} groups` : "") +
      `, ${trim(result.measured_s)} s measured after ${trim(work.warmup_s)} s of warm-up, seed ${work.seed}. ${result.tool}.`));
    if (result.remarks.length > 0) list.append(make("ul", {}, ...result.remarks.map((text) => make("li", {}, text))));
    list.append(make("p", {}, make("code", {}, result.command.join(" "))));
  }
  return list;
}

function verdicts() {
  if (!comparison) return null;
  const { a, b } = comparison;
  if (ordered(comparison).length === 0) return make("ul", {}, ...comparison.remarks.map((text) => make("li", {}, text)));
  const rows = ordered(comparison).map(([name, v]) => {
    const show = {
      us: time, bytes, "bytes/s": (value) => bytes(value) + "/s", "records/s": (value) => count(value) + "/s", "requests/s": (value) => count(value) + "/s",
    }[v.unit] || ((value) => plain(value, v.unit.replace(/^us/, "µs")));
    const words = make("td", { class: "words " + (v.better === "a" ? "good" : v.better === "b" ? "bad" : "soft") }, v.text);
    return [name, show(v.median_a), show(v.median_b), ratio(v.ratio), `${ratio(v.low)} – ${ratio(v.high)}`, words];
  });
  return make("div", {},
    table(["median of pairs", a.label, b.label, "ratio", "95 % interval", "verdict"], rows),
    make("ul", {}, ...comparison.remarks.map((text) => make("li", {}, text))));
}

function floor() {
  const known = runs.map((run) => run.result.floor).find((value) => value);
  if (!known) return null;
  const latency = (s) => `p50 ${time(s.p50)}, p99 ${time(s.p99)}`;
  return table(["this machine", known.file_system + " at " + known.directory], [
    ["direct 1 MiB writes, no flush", bytes(known.disk_sequential_bytes_per_s) + "/s"],
    ["direct 4 KiB write and flush", latency(known.disk_flush_4k_us)],
    ["direct 128 KiB write and flush", latency(known.disk_flush_128k_us)],
    ["loopback round trip", latency(known.loopback_round_trip_us)],
    ["loopback, one connection", bytes(known.loopback_bytes_per_s) + "/s"],
    ["CRC-32C, one core", bytes(known.crc32c_bytes_per_s) + "/s"],
    ["memory copy, one core", bytes(known.copy_bytes_per_s) + "/s"],
  ]);
}

function phases() {
  const run = runs.find(({ result }) => result.phases.length > 0);
  if (!run) return null;
  return table(["phase", "records", "p50", "p99", "p99.9", "max"], run.result.phases.map((phase) => [
    `${trim(phase.from_s)} – ${trim(phase.to_s)} s`, count(phase.acked_records),
    time(phase.latency_us.p50), time(phase.latency_us.p99), time(phase.latency_us.p999), time(phase.latency_us.max)]));
}

function stages({ result }) {
  const known = result.stages;
  if (!known) return null;
  const names = known.by_stage.map((stage) => stage.stage);
  const row = (name, us) => [name, time(us.p50), time(us.p99), time(us.p999), time(us.mean)];
  return make("div", {},
    make("p", {}, make("b", {}, known.p999.text[0].toUpperCase() + known.p999.text.slice(1) + ".")),
    table([`${count(known.requests)} requests`, "p50", "p99", "p99.9", "mean"], [
      ...known.by_stage.map((stage) => row(stage.stage, stage.us)), row("received to answered", known.total_us)]),
    make("h2", { class: "below" }, "The slowest"),
    table(["at", "total", ...names, "client", "bytes", "partitions", "shard"], known.slowest.slice(0, 10).map((slow) => [
      `${trim(slow.at_s)} s`, time(slow.total_us), ...names.map((name) => time(slow.by_stage_us[name])),
      slow.client_id, count(slow.bytes), count(slow.partitions), String(slow.shard)])));
}

function fetchStages({ result }) {
  const known = result.fetch_stages;
  if (!known) return null;
  const row = (name, requests, us) => [name, count(requests), time(us.p50), time(us.p99), time(us.p999), time(us.mean)];
  const of = (stage, name) => row(name, stage.requests, stage.us);
  return table(["stage", "requests", "p50", "p99", "p99.9", "mean"], [
    ...known.by_stage.map((stage) => of(stage, stage.stage)),
    row("received to answered", known.requests, known.total_us),
    ...(known.waited ? [of(known.waited, "waited for data")] : [])]);
}

const started = new Date(runs[0].result.started_unix_ms).toISOString().replace("T", " ").slice(0, 19);
page.append(make("h1", {}, data.title), make("p", { class: "soft" }, `${started} UTC`));
const closed = runs.some((run) => run.result.workload.pace === "closed");
const cards = make("div", { class: "cards" });
const add = (...parts) => cards.append(...parts.filter((part) => part));
add(
  card("Verdict", verdicts(), true, comparison ? "Ratios are geometric means over the pairs. A verdict is given only where the 95 % interval leaves 1 out." : null),
  comparison ? card("Ratios with their intervals", forest(comparison), true) : null,
  card(closed ? "Latency from the send to the acknowledgement (closed loop: waiting to be sent is not in it)" : "Latency from the due time to the acknowledgement", percentiles(runs, "produce"), true, "Both axes are logarithmic; the right end is the highest latency seen."),
  card("Latency from the due time to a consumer", percentiles(runs, "end_to_end"), true),
);
for (const run of runs) {
  const name = runs.length > 1 ? `: ${run.label}` : "";
  add(card(`Acknowledgement latency over time${name}`, heat(run, "produce_heat")),
    card(`End-to-end latency over time${name}`, heat(run, "end_to_end_heat")),
    card(`Inside the broker: which stage took the time${name}`, stages(run), true,
      "Each stage is named by what it ends with: taken up by the shard, checked and in memory, its write begun, on the disk, answer handed to the socket."),
    card(`Inside the broker: fetch requests${name}`, fetchStages(run), true,
      "Taken up, read from memory or with some records from the disk, answer handed to the socket. Waiting for data, as the consumer asked to, is in none of them."));
}
const several = phases();
add(
  card("Throughput", overTime(runs, [
    ["produced", (second, length) => (second.produced_bytes > 0 ? second.produced_bytes / length : null)],
    ["consumed", (second, length) => (second.consumed_bytes > 0 ? second.consumed_bytes / length : null), true],
  ], (value) => bytes(value) + "/s")),
  card("CPU cores", overTime(runs, [
    ["broker", (second, length) => (second.broker_cpu_s === null ? null : second.broker_cpu_s / length)],
    ["client", (second, length) => second.client_cpu_s / length, true],
  ], (value) => trim(value))),
  card("Highest latency, and p50, each second", overTime(runs, [
    ["highest", (second) => second.produce_latency_us.max || second.end_to_end_latency_us.max],
    ["p50", (second) => second.produce_latency_us.p50 || second.end_to_end_latency_us.p50, true],
  ], time, true, !several), !several),
  card("Phases", several),
  card("Figures", figures(), true),
  card("The floor", floor(), true, "What the machine can do without a broker."),
  card("What was run", about(), true),
);
page.append(cards);
