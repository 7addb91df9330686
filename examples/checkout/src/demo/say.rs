//! What the demo says: on standard output, or on standard error where that belongs to a machine.

use std::fmt::Display;
use std::io::Write;

use owo_colors::OwoColorize;

/// How wide the first column is.
const LABEL: usize = 11;

/// The narrator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    /// Standard output belongs to a machine.
    pub(super) aside: bool,
}

impl Say {
    pub(super) fn title(self, text: &str) {
        self.line(&format!("{}", text.bold()));
    }

    /// What comes next.
    pub(super) fn chapter(self, text: &str) {
        self.line("");
        self.line(&format!("{}", text.bold().cyan()));
    }

    /// One fact.
    pub(super) fn fact(self, label: &str, text: impl Display) {
        self.line(&format!("  {:LABEL$} {text}", label.dimmed()));
    }

    pub(super) fn good(self, text: &str) {
        self.line(&format!("  {}", text.green()));
    }

    pub(super) fn line(self, text: &str) {
        // Who does not listen to the story misses nothing.
        let _ = match self.aside {
            true => writeln!(anstream::stderr(), "{text}"),
            false => writeln!(anstream::stdout(), "{text}"),
        };
    }
}
