// The charts, each from the runs of the page.
function legend(entries) {
  return make("div", { class: "legend" }, ...entries.map(([name, stroke, dashed]) =>
    make("span", {}, make("i", { class: dashed ? "dashed" : "", style: `border-color:${stroke}` }), name)));
}

// Percentiles against latency; the axis runs to 1 in ever smaller steps.
function percentiles(runs, kind) {
  const curves = runs.map((run) => ({ run, points: run.result.curves[kind].filter(([q]) => q < 1) }))
    .filter((curve) => curve.points.length > 0);
  if (curves.length === 0) return null;
  const odds = (q) => 1 / Math.max(1 - q, 1e-9);
  const all = curves.flatMap((curve) => curve.points);
  const most = Math.max(10, ...all.map(([q]) => odds(q)));
  const low = Math.min(...all.map(([, us]) => Math.max(us, 1)));
  const high = Math.max(...curves.map((curve) => summary(curve.run, kind).max), low * 2);
  const floor10 = Math.pow(10, Math.floor(Math.log10(low))), top10 = Math.pow(10, Math.ceil(Math.log10(high)));
  const plot = new Plot(1100, 380, { log: true, from: 1, to: most }, { log: true, from: floor10, to: top10 });
  const names = { 1: "0", 10: "90 %", 100: "99 %", 1e3: "99.9 %", 1e4: "99.99 %", 1e5: "99.999 %", 1e6: "99.9999 %" };
  const ticks = [[1, "0"], [2, "50 %"]].concat(Object.keys(names).slice(1).map(Number)
    .filter((value) => value <= most * 1.001).map((value) => [value, names[value]]));
  plot.axes(ticks, decades(floor10, top10, time), "percentile");
  curves.forEach(({ run, points }) => {
    const last = points[points.length - 1];
    const line = points.map(([q, us]) => [odds(q), us]);
    if (last) line.push([most, summary(run, kind).max]);
    plot.line(line, colour(runs.indexOf(run)));
  });
  return make("div", {}, legend(curves.map(({ run }) => [run.label, colour(runs.indexOf(run))])), plot.svg);
}

function summary(run, kind) {
  const { produce, end_to_end } = run.result;
  if (kind === "end_to_end") return end_to_end.latency_us;
  return kind === "service" ? produce.service_us : produce.latency_us;
}

// From the lightest of a heat map to its strongest.
function scale() {
  return make("div", { class: "legend" }, make("span", {}, "few of the second's records ", make("i", { class: "scale" }), " most of them"));
}

// Latency over time: how many records fell where, each second.
function heat(run, field) {
  const seconds = run.result.seconds.filter((second) => second[field] && second[field].length > 0);
  if (seconds.length === 0) return null;
  const buckets = seconds.flatMap((second) => second[field].map(([bucket]) => bucket));
  const from = Math.floor(Math.min(...buckets) / 10) * 10, to = Math.ceil((Math.max(...buckets) + 1) / 10) * 10;
  const end = run.result.seconds[run.result.seconds.length - 1].at_s;
  const latency = (bucket) => Math.pow(10, bucket / 10);
  const plot = new Plot(540, 250, { from: 0, to: end }, { log: true, from: latency(from), to: latency(to) });
  const strongest = Math.max(...seconds.map((second) => {
    const records = second[field].map(([, records]) => records);
    return Math.max(...records) / records.reduce((total, some) => total + some, 0);
  }));
  plot.warm(run.result.seconds);
  let before = 0;
  for (const second of run.result.seconds) {
    const sum = (second[field] || []).reduce((total, [, records]) => total + records, 0);
    for (const [bucket, records] of second[field] || []) {
      const share = 0.12 + 0.88 * Math.pow(Math.min(records / sum / strongest, 1), 0.4);
      const x = plot.px(before), y = plot.py(latency(bucket + 1));
      const mix = `color-mix(in srgb, rgb(var(--heat1)) ${(share * 100).toFixed(0)}%, rgb(var(--heat0)))`;
      plot.svg.append(make("rect", {
        x, y, width: Math.max(plot.px(second.at_s) - x - 0.4, 0.6),
        height: Math.max(plot.py(latency(bucket)) - y, 1), style: `fill:${mix}`,
      }, make("title", {}, `${trim(second.at_s)} s: ${count(records)} of ${count(sum)} near ${time(latency(bucket))}`)));
    }
    before = second.at_s;
  }
  plot.axes(linear(end, (value) => trim(value)), decades(latency(from), latency(to), time), "seconds");
  return make("div", {}, scale(), plot.svg);
}

// Lines over time; `series` gives [name, value of a second, dashed].
function overTime(runs, series, name, log, wide) {
  const lines = [];
  runs.forEach((run, index) => series.forEach(([label, value, dashed], at) => {
    const points = [];
    let before = 0;
    for (const second of run.result.seconds) {
      const length = second.at_s - before;
      before = second.at_s;
      const read = length > 0.2 ? value(second, length) : null;
      if (read !== null && read !== undefined && !(log && read <= 0)) points.push([second.at_s, read]);
    }
    const stroke = runs.length === 1 ? colour(at) : colour(index);
    const title = runs.length === 1 ? label : series.length === 1 ? run.label : `${run.label}: ${label}`;
    if (points.length > 0) lines.push({ title, points, stroke, dashed });
  }));
  if (lines.length === 0) return null;
  const all = lines.flatMap((line) => line.points);
  const end = Math.max(...all.map(([x]) => x)), high = Math.max(...all.map(([, y]) => y), 1e-9);
  const low = Math.min(...all.map(([, y]) => y));
  const scale = log
    ? { log: true, from: Math.pow(10, Math.floor(Math.log10(low))), to: Math.pow(10, Math.ceil(Math.log10(high * 1.001))) }
    : { from: 0, to: high * 1.08 };
  const plot = new Plot(wide ? 1100 : 540, 250, { from: 0, to: end }, scale);
  plot.axes(linear(end, (value) => trim(value)), log ? decades(scale.from, scale.to, name) : linear(high, name), "seconds");
  plot.warm(runs[0].result.seconds);
  lines.forEach((line) => plot.line(line.points, line.stroke, line.dashed));
  return make("div", {}, legend(lines.map((line) => [line.title, line.stroke, line.dashed])), plot.svg);
}

// The verdicts in the order they are to be shown.
function ordered(comparison) {
  return comparison.order.filter((name) => comparison.verdict[name]).map((name) => [name, comparison.verdict[name]]);
}

// Ratios with their intervals, around 1.
function forest(comparison) {
  const rows = ordered(comparison);
  if (rows.length === 0) return null;
  const low = Math.min(0.5, ...rows.map(([, v]) => Math.max(v.low, 0.01)));
  const high = Math.max(2, ...rows.map(([, v]) => Math.min(v.high, 100)));
  const height = 46 + rows.length * 24;
  const plot = new Plot(1100, height, { log: true, from: low * 0.95, to: high * 1.05 }, { from: 0, to: 1 });
  plot.box.left = 260;
  const ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].filter((value) => value >= low && value <= high);
  plot.axes(ticks.map((value) => [value, "×" + value]), [], `${comparison.a.label} / ${comparison.b.label}`);
  rows.forEach(([name, verdict], index) => {
    const y = plot.box.top + 14 + index * 24;
    const stroke = verdict.better === "a" ? "var(--a)" : verdict.better === "b" ? "var(--b)" : "var(--soft)";
    plot.svg.append(make("text", { x: 250, y: y + 4, "text-anchor": "end" }, name));
    plot.svg.append(make("line", { x1: plot.px(verdict.low), x2: plot.px(verdict.high), y1: y, y2: y, style: `stroke:${stroke};stroke-width:3` }));
    plot.svg.append(make("circle", { cx: plot.px(verdict.ratio), cy: y, r: 5, style: `fill:${stroke}` }));
  });
  const x = plot.px(1);
  plot.svg.append(make("line", { x1: x, x2: x, y1: plot.box.top, y2: plot.box.bottom, style: "stroke:var(--soft)" }));
  const ahead = (side) => `${comparison[side].label} is ahead`;
  return make("div", {}, legend([[ahead("a"), "var(--a)"], [ahead("b"), "var(--b)"], ["no verdict", "var(--soft)"]]), plot.svg);
}
