//! Rules for documents and for text of every kind.

use std::collections::BTreeSet;

use crate::tree::{File, Tree};

/// Where the code map is.
const MAP: &str = "docs/ARCHITECTURE.md";

/// Folders of modules that the code map lacks, and paths in it that are not there.
pub fn code_map(tree: &Tree) -> Vec<String> {
    let map = tree.text(MAP);
    let mut violations = Vec::new();
    let mut named = BTreeSet::new();
    for (line, span) in spans(map) {
        let looks_like_path = ["engine/", "server/", "bench/", "tools/", "docs/"]
            .iter()
            .any(|start| span.starts_with(start));
        if !looks_like_path || span.contains([' ', '*', '<', '{']) {
            continue;
        }
        let path = span.split(':').next().unwrap_or_default().trim_end_matches('/');
        named.insert(path.to_owned());
        if !tree.has(path) {
            violations.push(format!("{MAP}:{line}: there is no {path}"));
        }
    }
    let folders: BTreeSet<_> = tree
        .sources
        .iter()
        .filter_map(|source| source.path.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| folder.contains("/src/") && !folder.ends_with("/tests"))
        .collect();
    for folder in folders {
        let front = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
        let is_module = front.iter().any(|path| tree.has(path));
        if is_module && !named.contains(folder) && !front.iter().any(|path| named.contains(path)) {
            violations.push(format!("{MAP}: the code map lacks {folder}/"));
        }
    }
    violations
}

/// Inline code of a document, with lines.
fn spans(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    for (line, content) in prose(text) {
        out.extend(content.split('`').skip(1).step_by(2).map(|span| (line, span)));
    }
    out
}

/// Lines that are not in a fenced block, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (!is_fence && !is_fenced).then_some((index + 1, line))
    })
}

/// Documents without exactly one title, which stands first.
pub fn titles(tree: &Tree) -> Vec<String> {
    let wrong = |file: &&File| {
        let titles = prose(&file.text).filter(|(_, line)| line.starts_with("# ")).count();
        titles != 1 || !file.text.starts_with("# ")
    };
    tree.ending(".md").filter(wrong).map(|file| file.path.clone()).collect()
}

/// Links to files that are not there.
pub fn links(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.ending(".md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, content) in prose(&file.text) {
            for link in content.split("](").skip(1) {
                let target = link.split([')', '#', ' ']).next().unwrap_or_default();
                if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let path = if folder.is_empty() {
                    target.to_owned()
                } else {
                    format!("{folder}/{target}")
                };
                if !tree.has(&path) {
                    violations.push(format!("{}:{line}: {target} is not there", file.path));
                }
            }
        }
    }
    violations
}

/// Notes of what is left to do that name no issue.
pub fn unfinished(tree: &Tree) -> Vec<String> {
    // Put together here so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut violations = Vec::new();
    each_line(tree, |file, line, content| {
        for mark in &marks {
            for (at, _) in content.match_indices(mark.as_str()) {
                let after = content.get(at + mark.len()..).unwrap_or_default();
                let before = content.get(..at).unwrap_or_default();
                let is_word = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                let number = after.trim_start_matches(['(', ' ']).strip_prefix('#');
                let has_issue = number.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
                if is_word && !has_issue {
                    violations.push(format!("{file}:{line}: {mark} without an issue"));
                }
            }
        }
    });
    violations
}

/// Paths of one machine and hosts of package registries.
pub fn machine(tree: &Tree) -> Vec<String> {
    let marks = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
        ["/tm", "p/w/"],
        ["crates", ".io/"],
        ["registry.", "npmjs"],
        ["py", "pi.org"],
        ["python", "hosted"],
        ["repo.", "maven"],
        ["repo1.", "maven"],
    ]
    .map(|parts| parts.concat());
    // Cargo names the index of the public registry in every lock file.
    let index = ["registry+https://github.com/rust-lang/", "crates", ".io-index"].concat();
    let mut violations = Vec::new();
    each_line(tree, |file, line, content| {
        let rest = content.replace(&index, "");
        for mark in marks.iter().filter(|mark| rest.contains(mark.as_str())) {
            violations.push(format!("{file}:{line}: {mark}"));
        }
    });
    violations
}

fn each_line(tree: &Tree, mut each: impl FnMut(&str, usize, &str)) {
    // The licence is somebody else's text.
    for file in tree.files.iter().filter(|file| file.path != "LICENSE") {
        for (index, content) in file.text.lines().enumerate() {
            each(&file.path, index + 1, content);
        }
    }
}
