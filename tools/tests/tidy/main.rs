//! The shape of the project, held by a test: layers, words with few places, sizes, documents.
//!
//! Reads the tree as text, so it is fast and needs nothing built. Each test prints every violation.

mod docs;
mod imports;
mod layers;
mod modules;
mod tokens;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use layers::{ENGINE, EXCEPTIONS, GUESTS, Layer, PURE, SERVER};
use modules::modules;
use tokens::Token;
use tree::Tree;
use words::BANS;

/// Longest file of Rust. Lines.
const LINES_MAX: usize = 600;
/// Files that are longer, with the reason. Split a file rather than add it.
const LONG_FILES: &[(&str, &str)] = &[];

/// The crates: folder, name in paths, and which of the others it may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("engine", "millrace_engine", &[]),
    ("server", "millrace", &["millrace-engine"]),
    ("bench", "millrace_bench", &["millrace-engine", "millrace"]),
    ("tools", "millrace_tools", &["millrace-engine"]),
    ("tools/fuzz", "millrace_fuzz", &["millrace-engine", "millrace"]),
];

static TREE: LazyLock<Tree> = LazyLock::new(Tree::read);

/// Fails with every violation, one a line.
fn verdict(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}:\n  {}\n", violations.join("\n  "));
}

#[test]
fn crates_depend_downwards() {
    let mut violations = Vec::new();
    for (home, _, allowed) in CRATES {
        let manifest = format!("{home}/Cargo.toml");
        let mut section = String::new();
        for line in TREE.text(&manifest).lines() {
            if line.starts_with('[') {
                section = line.to_owned();
            }
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let is_ours = CRATES.iter().any(|(_, other, _)| other.replace('_', "-") == name);
            if section == "[dependencies]" && is_ours && !allowed.contains(&name) {
                violations.push(format!("{manifest}: depends on {name}"));
            }
            // The benchmark measures the bare device too.
            let is_ring = name == "glommio" || name == "io-uring" && *home != "bench";
            if is_ring && *home != "engine" {
                violations.push(format!("{manifest}: {name} belongs to the engine only"));
            }
        }
    }
    verdict(&violations, "crates depend downwards: fuzz and bench > server > engine < tools");
}

/// Faults are planted, and bounds are small, only where a command line asks for it.
#[test]
fn no_release_has_plants() {
    let mut violations = Vec::new();
    for (home, ..) in CRATES {
        let manifest = format!("{home}/Cargo.toml");
        let mut section = String::new();
        for line in TREE.text(&manifest).lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with('[') {
                section = line.to_owned();
            }
            let is_named = line.contains("plants") || line.contains("\"small");
            let is_default = section == "[features]" && line.starts_with("default");
            if is_named && (section != "[features]" || is_default) {
                violations.push(format!("{manifest}: {line}"));
            }
        }
    }
    verdict(&violations, "no crate turns the features `plants` and `small` on");
}

#[test]
fn modules_import_downwards() {
    let modules = modules(&TREE);
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for source in &TREE.sources {
        let Some(module) = modules.get(&source.path) else { continue };
        let table: &[Layer] = match module.root.as_str() {
            "engine/src/lib.rs" => ENGINE,
            "server/src/lib.rs" => SERVER,
            _ => continue,
        };
        let Some(own) = module.names.first() else { continue };
        let Some(layer) = table.iter().find(|layer| layer.module == own) else {
            let file = &source.path;
            violations.push(format!("{file}: {own} has no row in tools/tests/tidy/layers.rs"));
            continue;
        };
        let crates = ["millrace_engine"];
        for import in imports::imports(&source.tokens, module.names.len(), &crates) {
            // The macro of the codec is exported at the crate's root.
            let target = if import.module == "message" { "codec" } else { import.module.as_str() };
            let allowed = if import.start == "crate" { layer.own } else { layer.engine };
            let is_itself = import.start == "crate" && target == own;
            if is_itself || allowed.contains(&target) {
                continue;
            }
            let excepted =
                EXCEPTIONS.iter().position(|e| e.file == source.path && e.module == target);
            match excepted {
                Some(index) => {
                    used.insert(index);
                }
                None => {
                    let (file, line, start) = (&source.path, import.line, &import.start);
                    violations
                        .push(format!("{file}:{line}: {own} may not import {start}::{target}"));
                }
            }
        }
    }
    for (index, exception) in EXCEPTIONS.iter().enumerate() {
        assert!(!exception.reason.is_empty());
        if !used.contains(&index) {
            let (file, module) = (exception.file, exception.module);
            violations.push(format!("{file}: no longer imports {module}: remove the exception"));
        }
    }
    verdict(&violations, "modules import downwards (tools/tests/tidy/layers.rs)");
}

#[test]
fn crates_import_the_modules_that_are_meant_for_them() {
    let modules = modules(&TREE);
    let mut violations = Vec::new();
    for source in &TREE.sources {
        let Some(module) = modules.get(&source.path) else { continue };
        let Some(guest) = GUESTS.iter().find(|guest| guest.home == module.home) else { continue };
        for import in
            imports::imports(&source.tokens, module.names.len(), &["millrace_engine", "millrace"])
        {
            let allowed = match import.start.as_str() {
                "millrace_engine" => guest.engine,
                "millrace" => guest.server,
                _ => continue,
            };
            if !allowed.contains(&import.module.as_str()) {
                let (file, line) = (&source.path, import.line);
                let (start, target, home) = (&import.start, &import.module, guest.home);
                violations.push(format!("{file}:{line}: {home} may not import {start}::{target}"));
            }
        }
    }
    verdict(&violations, "crates on top see what is meant for them (tools/tests/tidy/layers.rs)");
}

#[test]
fn pure_modules_do_not_wait() {
    let modules = modules(&TREE);
    let mut violations = Vec::new();
    for source in &TREE.sources {
        let Some(module) = modules.get(&source.path) else { continue };
        let name = module.names.first().map(String::as_str).unwrap_or_default();
        if module.root != "engine/src/lib.rs" || !PURE.contains(&name) {
            continue;
        }
        for (line, token) in &source.tokens {
            if token.is("async") || token.is("await") {
                violations.push(format!("{}:{line}: {name} does not wait", source.path));
            }
        }
    }
    verdict(&violations, "what decides does not wait: jobs do");
}

#[test]
fn words_stand_where_they_may() {
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for (ban, rule) in BANS.iter().enumerate() {
        for source in &TREE.sources {
            let path = source.path.as_str();
            if !rule.scope.is_empty() && !rule.scope.iter().any(|scope| path.starts_with(scope)) {
                continue;
            }
            for (line, window) in occurrences(&source.tokens, rule.words) {
                match rule.except.iter().position(|(except, _)| path.starts_with(except)) {
                    Some(index) => {
                        used.insert((ban, index));
                    }
                    None => {
                        let instead = rule.instead;
                        violations.push(format!("{path}:{line}: `{window}`: {instead}"));
                    }
                }
            }
        }
        for (index, (except, _)) in rule.except.iter().enumerate() {
            let words = rule.words.concat();
            // Folders may be free of it for a while; a named file that is free of it needs no exception.
            if except.ends_with(".rs") && !used.contains(&(ban, index)) {
                violations.push(format!("{except}: has no `{words}`: remove the exception"));
            }
        }
    }
    verdict(&violations, "words with few places (tools/tests/tidy/words.rs)");
}

/// Where `words` stand in a row: lines, and the words.
fn occurrences(tokens: &[(usize, Token)], words: &[&str]) -> Vec<(usize, String)> {
    let matches = |token: &Token, word: &str| match token {
        Token::Word(own) => own == word,
        Token::Path => word == "::",
        Token::Sign(sign) => word.len() == sign.len_utf8() && word.starts_with(*sign),
        Token::Text(_) => false,
    };
    tokens
        .windows(words.len())
        .filter(|window| window.iter().zip(words).all(|((_, token), word)| matches(token, word)))
        .filter_map(|window| window.first().map(|(line, _)| (*line, words.concat())))
        .collect()
}

#[test]
fn wire_structs_stay_in_the_server() {
    let mut violations = Vec::new();
    for source in TREE.sources.iter().filter(|s| s.path.starts_with("engine/src/")) {
        for pair in source.tokens.windows(2) {
            let [(_, word), (line, Token::Word(name))] = pair else { continue };
            if word.is("struct") && (name.ends_with("Request") || name.ends_with("Response")) {
                violations.push(format!("{}:{line}: {name} is a message of the wire", source.path));
            }
        }
    }
    verdict(&violations, "the engine knows record batches and stored records, nothing of the wire");
}

#[test]
fn files_are_of_a_readable_size_and_say_what_they_are() {
    let mut violations = Vec::new();
    for source in &TREE.sources {
        let lines = source.text.lines().count();
        let is_long = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if (lines > LINES_MAX) != is_long {
            violations.push(format!("{}: {lines} lines, at most {LINES_MAX}", source.path));
        }
        if !source.text.starts_with("//! ") {
            violations.push(format!("{}: does not begin with a `//!` sentence", source.path));
        }
    }
    assert!(LONG_FILES.iter().all(|(_, reason)| !reason.is_empty()));
    verdict(&violations, "one noun, one file: split it");
}

#[test]
fn every_file_of_rust_is_part_of_a_crate() {
    let modules = modules(&TREE);
    let dead = TREE.sources.iter().filter(|source| !modules.contains_key(&source.path));
    let dead: Vec<_> = dead.map(|source| source.path.clone()).collect();
    verdict(&dead, "files that no `mod` leads to");
}

#[test]
fn the_code_map_is_true() {
    verdict(&docs::code_map(&TREE), "docs/ARCHITECTURE.md and the tree differ");
}

#[test]
fn documents_have_one_title_and_links_that_lead_somewhere() {
    verdict(&docs::titles(&TREE), "documents have exactly one `# Title`, first of all");
    verdict(&docs::links(&TREE), "links in documents lead somewhere");
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    verdict(&docs::unfinished(&TREE), "what is left to do has the number of an issue: TODO(#12)");
}

#[test]
fn nothing_of_one_machine_is_in_the_tree() {
    verdict(&docs::machine(&TREE), "paths of one machine, or hosts of registries");
}
