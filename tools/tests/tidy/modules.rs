//! The tree of modules: which file is which module of which crate.

use std::collections::BTreeMap;

use crate::tokens::Token;
use crate::tree::{Source, Tree};

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Folder of its crate, such as `engine`.
    pub home: String,
    /// The crate's root file.
    pub root: String,
    /// Names of the modules down to it; empty for a crate's root.
    pub names: Vec<String>,
}

/// The module of every file that is reachable from the root of a crate, by path.
pub fn modules(tree: &Tree) -> BTreeMap<String, Module> {
    let mut found = BTreeMap::new();
    for manifest in tree.ending("Cargo.toml") {
        let home = manifest.path.strip_suffix("Cargo.toml").unwrap_or_default();
        let home = home.trim_end_matches('/');
        for root in roots(tree, home, &manifest.text) {
            let module = Module { home: home.to_owned(), root: root.clone(), names: Vec::new() };
            visit(tree, &root, module, &mut found);
        }
    }
    found
}

/// Files that cargo compiles by itself.
fn roots(tree: &Tree, home: &str, manifest: &str) -> Vec<String> {
    let in_home =
        |name: &str| if home.is_empty() { name.to_owned() } else { format!("{home}/{name}") };
    let mut roots: Vec<String> = ["src/lib.rs", "src/main.rs", "build.rs"].map(in_home).into();
    for line in manifest.lines().filter_map(|line| line.trim().strip_prefix("path")) {
        let path = line.trim_start_matches([' ', '=', '"']).trim_end_matches('"');
        roots.push(in_home(path));
    }
    for folder in ["src/bin", "tests", "benches", "examples"].map(in_home) {
        for source in &tree.sources {
            let Some(name) = source.path.strip_prefix(&format!("{folder}/")) else { continue };
            let is_root = match name.split_once('/') {
                None => true,
                Some((_, rest)) => rest == "main.rs",
            };
            if is_root {
                roots.push(source.path.clone());
            }
        }
    }
    roots.retain(|root| tree.sources.iter().any(|source| source.path == *root));
    roots.sort();
    roots.dedup();
    roots
}

fn visit(tree: &Tree, path: &str, module: Module, found: &mut BTreeMap<String, Module>) {
    let Some(source) = tree.sources.iter().find(|source| source.path == path) else {
        // rustc says so better.
        return;
    };
    if found.insert(path.to_owned(), module.clone()).is_some() {
        return;
    }
    for child in declared(source) {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.trim_end_matches(".rs");
        let is_front = module.names.is_empty() || stem == "mod";
        let own = if is_front { folder.to_owned() } else { format!("{folder}/{stem}") };
        let inline: String = child.inline.iter().map(|name| format!("/{name}")).collect();
        let candidates = match &child.path {
            Some(path) if child.inline.is_empty() => vec![format!("{folder}/{path}")],
            Some(path) => vec![format!("{own}{inline}/{path}")],
            None => vec![
                format!("{own}{inline}/{}.rs", child.name),
                format!("{own}{inline}/{}/mod.rs", child.name),
            ],
        };
        let mut names = module.names.clone();
        names.extend(child.inline.iter().cloned());
        names.push(child.name.clone());
        for candidate in candidates {
            visit(tree, &candidate, Module { names: names.clone(), ..module.clone() }, found);
        }
    }
}

/// `mod name;`
struct Declared {
    name: String,
    /// Inline modules around it.
    inline: Vec<String>,
    /// From a `path` attribute.
    path: Option<String>,
}

fn declared(source: &Source) -> Vec<Declared> {
    let mut out = Vec::new();
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut path = None;
    let tokens: Vec<&Token> = source.tokens.iter().map(|(_, token)| token).collect();
    for (at, token) in tokens.iter().enumerate() {
        let behind = |n: usize| tokens.get(at + n).copied();
        match token {
            Token::Sign('{') => {
                let back = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
                let name = match (back(2), back(1)) {
                    (Some(word), Some(Token::Word(name))) if word.is("mod") => Some(name.clone()),
                    _ => None,
                };
                braces.push(name);
            }
            Token::Sign('}') => {
                braces.pop();
            }
            Token::Word(word) if word == "path" && behind(1) == Some(&Token::Sign('=')) => {
                if let Some(Token::Text(text)) = behind(2) {
                    path = Some(text.clone());
                }
            }
            Token::Word(word) if word == "mod" => {
                if let (Some(Token::Word(name)), Some(Token::Sign(';'))) = (behind(1), behind(2)) {
                    let inline = braces.iter().flatten().cloned().collect();
                    out.push(Declared { name: name.clone(), inline, path: path.take() });
                }
            }
            Token::Sign(';') => path = None,
            _ => {}
        }
    }
    out
}
