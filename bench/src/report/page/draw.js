// Small tools: elements, numbers in words, axes.
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["var(--a)", "var(--b)", "var(--c)", "var(--d)"];
const colour = (index) => COLOURS[index % COLOURS.length];

function make(name, attributes, ...children) {
  const inSvg = ["svg", "g", "line", "path", "rect", "text", "circle", "title"].includes(name);
  const node = inSvg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}

function time(us) {
  if (us === null || us === undefined) return "–";
  if (us >= 1e6) return trim(us / 1e6) + " s";
  if (us >= 1e3) return trim(us / 1e3) + " ms";
  return trim(us) + " µs";
}
function trim(value) {
  if (value !== 0 && Math.abs(value) < 0.1) return String(Number(value.toPrecision(2)));
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (Math.abs(value) >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return trim(value) + " " + units[at];
}
function count(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1000 ? Math.round(value).toLocaleString("en") : trim(value);
}
// A ratio: as many digits behind the point in every row.
function ratio(value) {
  return value >= 100 ? trim(value) : value.toFixed(3);
}
function plain(value, unit) {
  return value === null || value === undefined ? "–" : trim(value) + (unit ? " " + unit : "");
}

// A chart area with linear or logarithmic scales.
class Plot {
  constructor(width, height, x, y) {
    this.width = width; this.height = height;
    this.box = { left: 62, right: width - 12, top: 8, bottom: height - 34 };
    this.x = x; this.y = y;
    this.svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  }
  place(scale, value, low, high) {
    const [from, to] = scale.log ? [Math.log(scale.from), Math.log(scale.to)] : [scale.from, scale.to];
    const at = scale.log ? Math.log(Math.max(value, scale.from)) : value;
    const share = to === from ? 0.5 : (at - from) / (to - from);
    return low + Math.min(Math.max(share, 0), 1) * (high - low);
  }
  px(value) { return this.place(this.x, value, this.box.left, this.box.right); }
  py(value) { return this.place(this.y, value, this.box.bottom, this.box.top); }
  axes(xTicks, yTicks, xName) {
    const { left, right, top, bottom } = this.box;
    for (const [value, label] of yTicks) {
      const y = this.py(value);
      this.svg.append(make("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
      this.svg.append(make("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, label));
    }
    for (const [value, label] of xTicks) {
      const x = this.px(value);
      this.svg.append(make("line", { class: "grid", x1: x, x2: x, y1: top, y2: bottom }));
      this.svg.append(make("text", { x, y: bottom + 15, "text-anchor": "middle" }, label));
    }
    this.svg.append(make("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
    this.svg.append(make("text", { x: right, y: this.height - 4, "text-anchor": "end" }, xName));
  }
  // Shades the stretches of seconds that were warm-up.
  warm(seconds) {
    const { top, bottom } = this.box;
    let before = 0, from = null;
    const shade = (to) => this.svg.append(make("rect", { class: "warm", x: this.px(from), y: top, width: this.px(to) - this.px(from), height: bottom - top }, make("title", {}, "warm-up")));
    for (const second of seconds) {
      if (second.warmup && from === null) from = before;
      if (!second.warmup && from !== null) { shade(before); from = null; }
      before = second.at_s;
    }
    if (from !== null) shade(before);
  }
  line(points, stroke, dashed) {
    if (points.length === 0) return;
    const path = points.map(([x, y], at) => `${at ? "L" : "M"}${this.px(x).toFixed(1)} ${this.py(y).toFixed(1)}`);
    this.svg.append(make("path", { class: "series" + (dashed ? " dash" : ""), d: path.join(""), style: `stroke:${stroke}` }));
    if (points.length === 1) {
      this.svg.append(make("circle", { cx: this.px(points[0][0]), cy: this.py(points[0][1]), r: 3, style: `fill:${stroke}` }));
    }
  }
}

function decades(from, to, name) {
  const ticks = [];
  for (let value = Math.pow(10, Math.floor(Math.log10(from))); value <= to * 1.0001; value *= 10) {
    if (value >= from * 0.999) ticks.push([value, name(value)]);
  }
  return ticks;
}
function linear(to, name, steps = 5) {
  if (to <= 0) return [[0, name(0)]];
  const rough = to / steps, power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((value) => value >= rough);
  const ticks = [];
  for (let value = 0; value <= to * 1.0001; value += step) ticks.push([value, name(value)]);
  return ticks;
}
