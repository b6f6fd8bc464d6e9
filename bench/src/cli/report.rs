//! `millrace-bench report`: renders saved results again, or several side by side.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::compare::Comparison;
use crate::report::html::{Named, Page};
use crate::report::save;
use crate::result::RunResult;
use crate::session::SessionError;
use crate::terminal;

/// Renders saved results as one page.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// result.json files, or directories with one; of a comparison, both sides are shown with the verdict.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The page to write.
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// Prints the results too.
    #[arg(long)]
    text: bool,
}

fn unreadable(path: &Path, why: impl std::fmt::Display) -> SessionError {
    SessionError::Flags(format!("{} cannot be read as a result: {why}", path.display()))
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, SessionError> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(path, error))
}

impl ReportArgs {
    /// Reads, renders and writes.
    pub fn execute(&self) -> Result<(), SessionError> {
        let mut runs: Vec<(String, RunResult)> = Vec::new();
        let mut comparison: Option<Comparison> = None;
        for file in &self.files {
            let path = if file.is_dir() { file.join("result.json") } else { file.clone() };
            let value: serde_json::Value = load(&path)?;
            if value.get("kind").and_then(serde_json::Value::as_str) != Some("comparison") {
                let result: RunResult = load(&path)?;
                runs.push((save::label(&result), result));
                continue;
            }
            let found: Comparison = load(&path)?;
            for (side, label) in [("a", &found.a.label), ("b", &found.b.label)] {
                let result = load(&path.with_file_name(side).join("result.json"))?;
                runs.push((label.clone(), result));
            }
            // A page has one verdict; of several comparisons only the runs are shown.
            comparison = (self.files.len() == 1).then_some(found);
        }
        let labels: Vec<String> = runs.iter().map(|run| run.0.clone()).collect();
        for (index, (label, _)) in runs.iter_mut().enumerate() {
            if labels.iter().filter(|other| *other == label).count() > 1 {
                *label = format!("{label} #{}", index + 1);
            }
        }
        if self.text {
            for (label, result) in &runs {
                terminal::line(label);
                crate::report::text::summary(result).iter().for_each(|line| terminal::line(line));
            }
            if let Some(comparison) = &comparison {
                comparison.lines().iter().for_each(|line| terminal::line(line));
            }
        }
        let names: Vec<&str> = runs.iter().map(|run| run.0.as_str()).collect();
        let content = Page {
            title: format!("millrace-bench: {}", names.join(" and ")),
            runs: runs
                .iter()
                .map(|(label, result)| Named { label: label.clone(), result })
                .collect(),
            comparison: comparison.as_ref(),
        };
        save::html(&self.out, &content)?;
        terminal::line(&format!("written: {}", self.out.display()));
        Ok(())
    }
}
