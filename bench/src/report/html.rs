//! Results as one self-contained page: styles, script and data in one file, nothing loaded from anywhere.

use serde::Serialize;

use crate::compare::Comparison;
use crate::result::RunResult;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: [&str; 3] =
    [include_str!("page/draw.js"), include_str!("page/charts.js"), include_str!("page/page.js")];

/// What the page shows.
#[derive(Serialize)]
pub struct Page<'p> {
    /// Heading.
    pub title: String,
    /// The runs, side by side.
    pub runs: Vec<Named<'p>>,
    /// What comparing them came to.
    pub comparison: Option<&'p Comparison>,
}

/// A run with the name it has on the page.
#[derive(Serialize)]
pub struct Named<'p> {
    /// Its name.
    pub label: String,
    /// Its result.
    pub result: &'p RunResult,
}

/// The page.
pub fn page(page: &Page<'_>) -> Result<String, serde_json::Error> {
    // In a script, `</` may end it, and `<!--` may begin a comment.
    let data = serde_json::to_string(page)?.replace('<', "\\u003c");
    let title = page.title.replace('&', "&amp;").replace('<', "&lt;");
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main id=\"page\"><noscript>This page draws its charts with JavaScript; the figures are in result.json.</noscript></main>\n<script id=\"data\" type=\"application/json\">{data}</script>\n<script>\n\"use strict\";\n{}\n</script>\n</body>\n</html>\n",
        SCRIPT.join("\n")
    ))
}
