//! Writes the files of a run's directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::csv;
use super::html::{Named, Page, page};
use crate::compare::Comparison;
use crate::session::{Measured, SessionError};
use crate::terminal;

fn failed(path: &Path, source: io::Error) -> SessionError {
    SessionError::Write { path: path.to_path_buf(), source }
}

/// Files that a result has: those of a run, of a side of a comparison, and of a comparison.
const FILES: [&str; 6] =
    ["report.html", "result.json", "seconds.csv", "latency.hlog", "pairs.csv", "knee.json"];
/// The sides of a comparison.
const SIDES: [&str; 2] = ["a", "b"];

/// Makes the directory for a result before there is one, and says if an older one is in it.
pub fn prepare(directory: &Path) -> Result<(), SessionError> {
    make(directory)?;
    let probe = directory.join(".millrace-bench");
    file(&probe, &[])?;
    fs::remove_file(&probe).map_err(|source| failed(&probe, source))?;
    if FILES.iter().any(|name| directory.join(name).exists()) {
        let text = "has an earlier result, which the new one will replace";
        terminal::line(&format!("{} {text}", directory.display()));
    }
    Ok(())
}

/// Makes a directory if needed.
fn make(directory: &Path) -> Result<(), SessionError> {
    if directory.exists() && !directory.is_dir() {
        let text = "it is there and not a directory";
        return Err(failed(directory, io::Error::new(io::ErrorKind::NotADirectory, text)));
    }
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))
}

/// Removes what an earlier result has left: a comparison has files that a run has not, and the other way round.
pub fn clear(directory: &Path) -> Result<(), SessionError> {
    let sides = SIDES.map(|side| directory.join(side));
    for place in sides.iter().map(PathBuf::as_path).chain([directory]) {
        for path in FILES.map(|name| place.join(name)) {
            match fs::remove_file(&path) {
                Err(error) if !is_absent(&error) => return Err(failed(&path, error)),
                _ => {}
            }
        }
    }
    for side in &sides {
        // What is not of a result stays, and so does its directory.
        fs::remove_dir(side).ok();
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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

/// Writes everything about a run, in place of what an earlier result has left.
pub fn run(directory: &Path, measured: &Measured) -> Result<(), SessionError> {
    clear(directory)?;
    figures(directory, measured)?;
    let label = label(&measured.result);
    let content = Page {
        title: format!("millrace-bench: {label}"),
        runs: vec![Named { label, result: &measured.result }],
        comparison: None,
    };
    html(&directory.join("report.html"), &content)
}

/// Writes everything about a comparison, in place of what an earlier result has left.
pub fn comparison(
    directory: &Path,
    comparison: &Comparison,
    (a, b): (&Measured, &Measured),
) -> Result<(), SessionError> {
    clear(directory)?;
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
