//! Prometheus' text format, version 0.0.4: families of samples with labels.

use std::fmt::Display;

/// A text that grows by families.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// What kind of numbers a family has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It never falls.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of what is at most so large.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family whose samples are being written.
#[derive(Debug)]
pub(super) struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family; its samples must follow.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let text = &mut self.0;
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
        Family { text, name }
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Writes a sample.
    pub(super) fn put(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.put_as("", labels, value);
    }

    /// Writes a sample whose name has an ending: `_bucket`, `_sum`, `_count`.
    pub(super) fn put_as(
        &mut self,
        ending: &str,
        labels: &[(&str, &dyn Display)],
        value: impl Display,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(ending);
        for (index, (name, label)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let label = label.to_string();
            let label = label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            self.text.push_str(&format!("{name}=\"{label}\""));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.text.push_str(&format!("{end} {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_and_without_labels() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family(Kind::Gauge, "a_b", "Help.");
        family.put(&[], 1.5);
        family.put(&[("x", &"q\"\\\n"), ("y", &7)], 2);
        let mut family = exposition.family(Kind::Histogram, "h", "More.");
        family.put_as("_sum", &[("le", &"+Inf")], 3);
        assert_eq!(
            exposition.finish(),
            "# HELP a_b Help.\n# TYPE a_b gauge\na_b 1.5\na_b{x=\"q\\\"\\\\\\n\",y=\"7\"} 2\n\
             # HELP h More.\n# TYPE h histogram\nh_sum{le=\"+Inf\"} 3\n"
        );
    }
}
