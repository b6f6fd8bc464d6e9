//! The files of the project: found once, read once.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::tokens::{Token, tokens};

/// A file of text.
pub struct File {
    /// Its path from the project's root, with `/` between folders.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// A file of Rust.
pub struct Source {
    /// Its path from the project's root.
    pub path: String,
    /// What it says.
    pub text: String,
    /// The same as tokens, with their lines.
    pub tokens: Vec<(usize, Token)>,
}

/// All files that belong to the project.
pub struct Tree {
    /// Where it begins.
    pub root: PathBuf,
    /// Every file of text, Rust included.
    pub files: Vec<File>,
    /// Every file of Rust.
    pub sources: Vec<Source>,
}

impl Tree {
    /// Reads the tree that this test is part of.
    pub fn read() -> Self {
        let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the crate is");
        let root = Path::new(&manifest).parent().expect("the crate is in the root").to_owned();
        let ignored = fs::read_to_string(root.join(".gitignore")).expect("there is a .gitignore");
        let ignored: Vec<String> = ignored
            .lines()
            .map(|line| line.trim().trim_end_matches('/').to_owned())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .chain([".git".to_owned()])
            .collect();
        let mut tree = Self { root: root.clone(), files: Vec::new(), sources: Vec::new() };
        tree.walk(&root, &ignored);
        assert!(tree.sources.len() > 50, "the tree was not found at {}", root.display());
        tree
    }

    fn walk(&mut self, folder: &Path, ignored: &[String]) {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("a folder of the project can be read")
            .map(|entry| entry.expect("an entry can be read").path())
            .collect();
        entries.sort();
        for path in entries {
            let relative = self.relative(&path);
            let name = relative.rsplit('/').next().unwrap_or_default().to_owned();
            // `/name` is a path from the root, `name` stands anywhere.
            if ignored.iter().any(|i| *i == name || i.strip_prefix('/') == Some(&relative)) {
                continue;
            }
            if path.is_dir() {
                self.walk(&path, ignored);
            } else if let Ok(text) = fs::read_to_string(&path) {
                if relative.ends_with(".rs") {
                    let tokens = tokens(&text);
                    let (path, text) = (relative.clone(), text.clone());
                    self.sources.push(Source { path, text, tokens });
                }
                self.files.push(File { path: relative, text });
            }
        }
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).expect("it is below the root");
        relative.to_str().expect("our names are UTF-8").replace('\\', "/")
    }

    /// Whether there is a file or folder of this path from the root.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> &str {
        let found = self.files.iter().find(|file| file.path == path);
        &found.unwrap_or_else(|| panic!("{path} is missing")).text
    }

    /// Files whose names end so.
    pub fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}
