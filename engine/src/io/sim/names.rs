//! The names on a simulated disk, in the order of their bytes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::disk::Node;

/// What stands behind each path.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<OsString, Node>);

impl Names {
    /// Only the root.
    pub(super) fn new() -> Self {
        Self(BTreeMap::from([(OsString::from("/"), Node::Dir)]))
    }

    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.0.get(path.as_os_str()).copied()
    }

    pub(super) fn insert(&mut self, path: &Path, node: Node) {
        self.0.insert(path.as_os_str().to_owned(), node);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.0.remove(path.as_os_str());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.0.values()
    }

    /// Everything below a directory, each directory before what is in it.
    pub(super) fn below(&self, dir: &Path) -> impl Iterator<Item = (&Path, Node)> {
        let mut prefix = dir.as_os_str().to_owned();
        if dir != Path::new("/") {
            prefix.push("/");
        }
        let bounds = (Bound::Included(prefix.as_os_str()), Bound::Unbounded);
        let from = self.0.range::<OsStr, _>(bounds);
        let is_below =
            move |name: &OsStr| name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes());
        let all = from.take_while(move |(name, _)| is_below(name));
        all.map(|(name, node)| (Path::new(name), *node)).filter(move |(name, _)| *name != dir)
    }

    /// Forgets whatever has no directory.
    pub(super) fn prune(&mut self) {
        let all = self.clone();
        let is_dir = |up: &Path| all.get(up) == Some(Node::Dir);
        self.0.retain(|name, _| Path::new(name).ancestors().skip(1).all(is_dir));
    }

    /// Gives what stands at `from`, and everything below it, another name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path, node: Node) {
        let inside: Vec<(PathBuf, Node)> = match node {
            Node::Dir => self.below(from).map(|(name, node)| (name.to_owned(), node)).collect(),
            Node::File(_) => Vec::new(),
        };
        self.remove(from);
        self.insert(to, node);
        for (name, node) in inside {
            self.remove(&name);
            if let Ok(rest) = name.strip_prefix(from) {
                self.insert(&to.join(rest), node);
            }
        }
    }
}
