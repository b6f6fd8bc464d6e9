//! Which operations of the simulated disk go wrong, and how.

/// What is done to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpKind {
    /// Opening or creating a file.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Flushing a file.
    Sync,
    /// Reserving space.
    Allocate,
    /// Setting a length.
    Truncate,
    /// Creating a directory.
    CreateDir,
    /// Listing a directory.
    ListDir,
    /// Removing a file or a tree.
    Remove,
    /// Renaming.
    Rename,
    /// Flushing a directory.
    SyncDir,
}

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO. A write may have reached the disk in part; of what a failed flush was to make durable, a
    /// part never will be, even by a later flush that succeeds.
    Io,
    /// ENOSPC. A write may have reached the disk in part.
    NoSpace,
    /// A write ends early and cannot go on: a first part of it, by sectors, is there, and no more. Other
    /// operations are not hit.
    ShortWrite,
    /// It takes this much longer. Nanoseconds; `u64::MAX` is for ever.
    Stall(u64),
    /// A read returns one wrong bit, and no error.
    FlipBit,
}

/// Which operation a fault hits. Each rule hits once, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The operation with this number, counted from 0 over the whole simulation.
    Number(u64, Fault),
    /// The next of this kind whose path contains the text.
    Next(OpKind, String, Fault),
    /// Every operation whose path contains the text, as long as the rule stands; without space those that
    /// reserve some.
    Every(String, Fault),
}

/// The rules that have not hit yet.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    /// What was hit.
    pub hits: Vec<String>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for an operation, if there is one.
    pub(super) fn take(&mut self, number: u64, kind: OpKind, path: &str) -> Option<Fault> {
        let hit = |rule: &Rule| match rule {
            Rule::Number(at, Fault::ShortWrite) => *at == number && kind == OpKind::Write,
            Rule::Number(at, _) => *at == number,
            Rule::Next(of, text, _) => *of == kind && path.contains(text.as_str()),
            Rule::Every(text, fault) => {
                let is_reserving = matches!(kind, OpKind::Allocate | OpKind::CreateDir);
                (is_reserving || *fault != Fault::NoSpace) && path.contains(text.as_str())
            }
        };
        let at = self.rules.iter().position(hit)?;
        if let Some(Rule::Every(_, fault)) = self.rules.get(at) {
            return Some(*fault);
        }
        let (Rule::Number(_, fault) | Rule::Next(_, _, fault) | Rule::Every(_, fault)) =
            self.rules.remove(at);
        self.hits.push(format!("{fault:?} at operation {number}: {kind:?} of {path}"));
        Some(fault)
    }
}
