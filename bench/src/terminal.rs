//! The only place that writes to the terminal.

use std::io::{self, Write};

/// A line on standard output. A closed pipe is not an error: the result files say it all.
pub fn line(text: &str) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

/// A line on standard error.
pub fn complain(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}
