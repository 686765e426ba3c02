//! What is wrong with the text of the specification, and where.

use std::fmt;

/// One mistake in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The file, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Flaw {
    pub(crate) fn new(file: &str, line: u32, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, problem: problem.into() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Why the specification could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the specification in {place}: {kind}")]
pub struct ReadSpecError {
    /// The folder.
    pub place: String,
    /// What went wrong.
    #[source]
    pub kind: ReadSpecErrorKind,
}

/// What went wrong while the specification was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadSpecErrorKind {
    /// A file or folder could not be read.
    #[error("{file}: {source}")]
    File {
        /// The file or folder.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The text has mistakes.
    #[error("{} in its text\n{}", counted(.0.len()), listed(.0))]
    Flawed(Vec<Flaw>),
}

fn counted(flaws: usize) -> String {
    if flaws == 1 { "one mistake".to_owned() } else { format!("{flaws} mistakes") }
}

fn listed(flaws: &[Flaw]) -> String {
    flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("\n")
}
