//! Writes the files of a run's directory.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::csv;
use super::html::{Named, Page, page};
use crate::compare::Comparison;
use crate::session::{Measured, SessionError};

fn failed(path: &Path, source: io::Error) -> SessionError {
    SessionError::Write { path: path.to_path_buf(), source }
}

/// Makes a directory if needed.
pub fn make(directory: &Path) -> Result<(), SessionError> {
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))
}

/// Writes one file.
pub fn file(path: &Path, bytes: &[u8]) -> Result<(), SessionError> {
    fs::write(path, bytes).map_err(|source| failed(path, source))
}

/// Writes a value as JSON.
pub fn json(path: &Path, value: &impl Serialize) -> Result<(), SessionError> {
    let bytes =
        serde_json::to_vec_pretty(value).map_err(|error| failed(path, io::Error::other(error)))?;
    file(path, &bytes)
}

/// Writes a page.
pub fn html(path: &Path, content: &Page<'_>) -> Result<(), SessionError> {
    let text = page(content).map_err(|error| failed(path, io::Error::other(error)))?;
    file(path, text.as_bytes())
}

/// Writes everything about a run but its page.
pub fn figures(directory: &Path, measured: &Measured) -> Result<(), SessionError> {
    make(directory)?;
    let Measured { result, outcome, .. } = measured;
    json(&directory.join("result.json"), result)?;
    file(&directory.join("seconds.csv"), csv::seconds(result).as_bytes())?;
    let path = directory.join("latency.hlog");
    let mut log = Vec::new();
    let written = outcome.recorder.log.write(&mut log, outcome.start_unix_ns);
    written.map_err(|source| failed(&path, source))?;
    file(&path, &log)
}

/// Writes everything about a run.
pub fn run(directory: &Path, measured: &Measured) -> Result<(), SessionError> {
    figures(directory, measured)?;
    let label = label(&measured.result);
    let content = Page {
        title: format!("millrace-bench: {label}"),
        runs: vec![Named { label, result: &measured.result }],
        comparison: None,
    };
    html(&directory.join("report.html"), &content)
}

/// Writes everything about a comparison.
pub fn comparison(
    directory: &Path,
    comparison: &Comparison,
    (a, b): (&Measured, &Measured),
) -> Result<(), SessionError> {
    make(directory)?;
    figures(&directory.join("a"), a)?;
    figures(&directory.join("b"), b)?;
    json(&directory.join("result.json"), comparison)?;
    file(&directory.join("pairs.csv"), comparison.csv().as_bytes())?;
    let content = Page {
        title: format!("millrace-bench: {} and {}", comparison.a.label, comparison.b.label),
        runs: vec![
            Named { label: comparison.a.label.clone(), result: &a.result },
            Named { label: comparison.b.label.clone(), result: &b.result },
        ],
        comparison: Some(comparison),
    };
    html(&directory.join("report.html"), &content)
}

/// A short name of a run.
pub fn label(result: &crate::result::RunResult) -> String {
    let kind = result.target.kind.as_deref().unwrap_or("broker");
    format!("{kind} at {}", result.target.bootstrap)
}
