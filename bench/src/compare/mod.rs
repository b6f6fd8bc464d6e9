//! Two targets in one run: pairs of runs in turn, and what their differences allow to be said.

pub mod figure;
pub mod stats;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::floor::Floor;
use crate::result::RunResult;
use figure::{FIGURES, Kind};

/// Version of the schema.
const SCHEMA: u32 = 1;

/// A comparison, as `result.json` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    pub schema: u32,
    /// `comparison`.
    pub kind: String,
    /// Why there are fewer pairs than were wanted; null for a whole comparison.
    #[serde(default)]
    pub partial: Option<String>,
    pub tool: String,
    pub command: Vec<String>,
    /// The first target; its whole result is in `a/result.json`.
    pub a: Side,
    /// The second; `b/result.json`.
    pub b: Side,
    /// Names of the figures, in the order they are shown.
    #[serde(default)]
    pub order: Vec<String>,
    /// Per figure.
    pub verdict: BTreeMap<String, Verdict>,
    pub pairs: usize,
    pub remarks: Vec<String>,
    pub floor: Option<Floor>,
}

/// One target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Side {
    pub label: String,
    /// What its acknowledgements mean.
    pub durability: String,
    /// Figures of each run, in order of the pairs.
    pub runs: Vec<Figures>,
}

/// What one figure allows to be said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub unit: String,
    pub median_a: f64,
    pub median_b: f64,
    /// a / b: geometric mean over the pairs.
    pub ratio: f64,
    /// Ends of the 95 % interval.
    pub low: f64,
    pub high: f64,
    pub pairs: usize,
    /// `a`, `b`, or null where the interval holds 1.
    pub better: Option<String>,
    /// The same in words.
    pub text: String,
}

/// The figures of a run by name.
pub type Figures = BTreeMap<String, f64>;

fn figures(result: &RunResult) -> Figures {
    FIGURES
        .iter()
        .filter_map(|figure| Some((figure.kind.name.to_owned(), (figure.read)(result)?)))
        .collect()
}

/// Compares runs that were made in pairs.
pub fn compare(
    labels: (&str, &str),
    pairs: &[(RunResult, RunResult)],
    mut remarks: Vec<String>,
) -> Comparison {
    let durability = |run: Option<&RunResult>| {
        run.map_or(String::new(), |run| run.target.durability.text.clone())
    };
    let first = pairs.first();
    let durabilities = (durability(first.map(|p| &p.0)), durability(first.map(|p| &p.1)));
    let limited = pairs.iter().filter(|(a, b)| a.client.was_the_limit || b.client.was_the_limit);
    let limited = limited.count();
    if limited > 0 {
        remarks.push(format!(
            "in {limited} of {} pairs the generator was the limit of a run: a target may be able to do more than is shown",
            pairs.len()
        ));
    }
    if pairs.len() < 2 {
        remarks.push("one pair allows no interval, and so no verdict".into());
    }
    let meanings: Vec<&str> = pairs
        .first()
        .map(|(a, b)| [a, b].map(|run| run.target.durability.acknowledged.as_str()).to_vec())
        .unwrap_or_default();
    if let [a, b] = meanings[..]
        && a != b
    {
        remarks.push(format!(
            "the targets do not promise the same: an acknowledgement of {} means {a}, of {} {b}",
            labels.0, labels.1
        ));
    }
    let kinds: Vec<Kind> = FIGURES.iter().map(|figure| figure.kind).collect();
    let figures: Vec<_> = pairs.iter().map(|(a, b)| (figures(a), figures(b))).collect();
    of_figures(labels, durabilities, &kinds, &figures, remarks)
}

/// Compares figures that were measured in pairs, however that was done.
pub fn of_figures(
    labels: (&str, &str),
    durabilities: (String, String),
    kinds: &[Kind],
    pairs: &[(Figures, Figures)],
    remarks: Vec<String>,
) -> Comparison {
    let (a, b): (Vec<Figures>, Vec<Figures>) = pairs.iter().cloned().unzip();
    let verdict = kinds
        .iter()
        .filter_map(|kind| Some((kind.name.to_owned(), judge(kind, labels, pairs)?)))
        .collect();
    Comparison {
        schema: SCHEMA,
        kind: "comparison".into(),
        partial: None,
        tool: concat!("millrace-bench ", env!("CARGO_PKG_VERSION")).into(),
        command: std::env::args().collect(),
        a: Side { label: labels.0.to_owned(), durability: durabilities.0, runs: a },
        b: Side { label: labels.1.to_owned(), durability: durabilities.1, runs: b },
        order: kinds.iter().map(|kind| kind.name.to_owned()).collect(),
        verdict,
        pairs: pairs.len(),
        remarks,
        floor: None,
    }
}

fn judge(kind: &Kind, labels: (&str, &str), pairs: &[(Figures, Figures)]) -> Option<Verdict> {
    let both = |(a, b): &(Figures, Figures)| Some((*a.get(kind.name)?, *b.get(kind.name)?));
    let values: Vec<(f64, f64)> = pairs.iter().filter_map(both).collect();
    let stats::Ratio { ratio, low, high } = stats::ratio(&values)?;
    let (a, b): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
    let more = if low > 1.0 {
        Some(true)
    } else if high < 1.0 {
        Some(false)
    } else {
        None
    };
    let better = more.map(|more| if more == kind.more_is_better { "a" } else { "b" });
    let text = match (more, better) {
        (Some(more), Some(better)) => {
            let (factor, word) = if more { (ratio, "more") } else { (1.0 / ratio, "less") };
            let winner = if better == "a" { labels.0 } else { labels.1 };
            format!(
                "{} has {factor:.2} times {word} than {}: {winner} is ahead",
                labels.0, labels.1
            )
        }
        _ => "no verdict: the interval holds 1".into(),
    };
    Some(Verdict {
        unit: kind.unit.into(),
        median_a: stats::median(&a)?,
        median_b: stats::median(&b)?,
        ratio,
        low,
        high,
        pairs: values.len(),
        better: better.map(str::to_owned),
        text,
    })
}

impl Comparison {
    /// It ended before all pairs that were `wanted`.
    pub fn cut_short(&mut self, wanted: usize, why: String) {
        let pairs = self.pairs;
        self.remarks.insert(0, format!("ended early, after {pairs} of {wanted} pairs: {why}"));
        self.partial = Some(why);
    }

    /// Every run's figures, one line per pair.
    pub fn csv(&self) -> String {
        let names = &self.order;
        let heads = |side: &'static str| names.iter().map(move |name| format!("{side}.{name}"));
        let head: Vec<String> =
            std::iter::once("pair".to_owned()).chain(heads("a")).chain(heads("b")).collect();
        let mut out = head.join(",") + "\n";
        for (index, (a, b)) in self.a.runs.iter().zip(&self.b.runs).enumerate() {
            let mut fields = vec![(index + 1).to_string()];
            for run in [a, b] {
                let value = |name: &String| run.get(name).map(f64::to_string).unwrap_or_default();
                fields.extend(names.iter().map(value));
            }
            out += &(fields.join(",") + "\n");
        }
        out
    }

    /// The comparison as lines for the terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("A = {}: {}", self.a.label, self.a.durability),
            format!("B = {}: {}", self.b.label, self.b.durability),
            format!(
                "{:<32} {:>14} {:>14} {:>8} {:>19}",
                format!("median of {} pairs", self.pairs),
                "A",
                "B",
                "A / B",
                "95 % interval"
            ),
        ];
        for name in &self.order {
            let Some(verdict) = self.verdict.get(name) else { continue };
            lines.push(format!(
                "{:<32} {:>14} {:>14} {:>8.3} {:>8.3} to {:<8.3} {}",
                name,
                number(verdict.median_a),
                number(verdict.median_b),
                verdict.ratio,
                verdict.low,
                verdict.high,
                verdict.text
            ));
        }
        lines.extend(self.remarks.iter().map(|remark| format!("note: {remark}")));
        lines
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
