//! Why a fixture could not be loaded: file, line, place in the document, and what to do.

use std::fmt;

/// Why a fixture could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct LoadError {
    /// The file or folder.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// The column, from 1; 0 where the file as a whole is meant.
    pub column: u32,
    /// The path within the document, such as `steps[2].tablet.create`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub kind: LoadErrorKind,
}

/// What is wrong with a fixture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadErrorKind {
    /// The file or folder cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// There is no fixture where fixtures were expected.
    #[error("holds no fixture: put them into <chapter>/<what-it-shows>.yaml below it")]
    Empty,
    /// The file is not where a fixture belongs.
    #[error("is not in the folder of a chapter, or does not end in .yaml: move it to <chapter>/<what-it-shows>.yaml")]
    Misplaced,
    /// Another file has the same id.
    #[error("has the id of {0}: give one of them another name")]
    SameId(String),
    /// It is no YAML.
    #[error("is no YAML: {0}")]
    Syntax(String),
    /// A plain scalar that YAML 1.1 reads as another value than YAML 1.2.
    #[error("`{text}` is read differently by different YAML versions: {remedy}")]
    Ambiguous {
        /// The scalar.
        text: String,
        /// What to write in its place.
        remedy: &'static str,
    },
    /// A feature of YAML that fixtures do without.
    #[error("{feature} are not used in fixtures: {remedy}")]
    Unsupported {
        /// The feature.
        feature: &'static str,
        /// What to write in its place.
        remedy: &'static str,
    },
    /// A key stands twice in one mapping.
    #[error("the key `{key}` stands in line {first} already: keep one of the two")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The line of the first.
        first: u32,
    },
    /// The document has not the form of a scenario.
    #[error("has not the form of a scenario: {0}")]
    Form(String),
    /// The document has the form of a scenario, but says something that makes no sense.
    #[error("{0}")]
    Nonsense(String),
}

impl LoadError {
    /// An error that concerns the file as a whole.
    pub(super) fn of_file(file: impl Into<String>, kind: LoadErrorKind) -> Self {
        Self { file: file.into(), line: 0, column: 0, path: String::new(), kind }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.kind)
    }
}
