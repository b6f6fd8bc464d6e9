//! What is told of a check, line by line, and what it comes to.

use std::io::{self, Write};

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Partitions looked at.
    pub partitions: usize,
    /// Segments looked at.
    pub segments: usize,
    /// Valid bytes in them.
    pub bytes: u64,
    /// Valid batches in them.
    pub batches: u64,
    /// Journal files that can be read.
    pub journals: usize,
    /// What is not as it should be.
    pub problems: Vec<String>,
    /// What is worth knowing and no loss.
    pub notes: Vec<String>,
}

impl Summary {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Prints lines as they come and keeps count.
pub struct Report<'a> {
    out: &'a mut dyn Write,
    pub(super) summary: Summary,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, summary: Summary::default() }
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Something is whole.
    pub(super) fn good(&mut self, place: &str, text: &str) -> io::Result<()> {
        self.line(&format!("good  {place}: {text}"))
    }

    /// Something is not as it should be.
    pub(super) fn bad(&mut self, place: &str, text: &str) -> io::Result<()> {
        self.summary.problems.push(format!("{place}: {text}"));
        self.line(&format!("BAD   {place}: {text}"))
    }

    /// Something is worth knowing and no loss.
    pub(super) fn note(&mut self, place: &str, text: &str) -> io::Result<()> {
        self.summary.notes.push(format!("{place}: {text}"));
        self.line(&format!("note  {place}: {text}"))
    }

    pub(super) fn journal(&mut self) {
        self.summary.journals += 1;
    }

    pub(super) fn finish(self) -> io::Result<Summary> {
        let Summary { partitions, segments, bytes, batches, journals, problems, .. } =
            &self.summary;
        let verdict = match problems.len() {
            0 => "all good".to_owned(),
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        writeln!(
            self.out,
            "{verdict}: {partitions} partitions, {segments} segments, {batches} batches, {bytes} bytes, \
             {journals} journal files"
        )?;
        Ok(self.summary)
    }
}
