//! Where the text of the specification comes from: the copy inside this program, or a folder.

use super::flaw::{ReadSpecError, ReadSpecErrorKind};
use crate::embedded::SPEC;
use std::collections::BTreeMap;
use std::path::Path;

/// The files of the specification, by their path below `src/`.
#[derive(Debug, Clone, Default)]
pub struct SpecFiles {
    /// What stands before a path in messages, such as `spec/src/`.
    pub(super) place: String,
    pub(crate) texts: BTreeMap<String, String>,
}

impl SpecFiles {
    /// The copy inside this program.
    pub fn embedded() -> Self {
        let of_this = |path: &str| path.ends_with(".md") && !path.contains('/');
        let texts =
            SPEC.iter().filter(|(path, _)| of_this(path)).map(|(path, text)| (path.clone(), text.clone())).collect();
        Self { place: "spec/src/".to_owned(), texts }
    }

    /// The mdBook in this folder, which has its chapters in `src/`.
    pub fn in_folder(folder: &Path) -> Result<Self, ReadSpecError> {
        let source = folder.join("src");
        let failed = |path: &Path, error: std::io::Error| ReadSpecError {
            place: folder.display().to_string(),
            kind: ReadSpecErrorKind::File { file: path.display().to_string(), source: error },
        };
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(&source).map_err(|error| failed(&source, error))? {
            let path = entry.map_err(|error| failed(&source, error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".md"))
            else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            texts.insert(name.to_owned(), text);
        }
        Ok(Self { place: format!("{}/", source.display()), texts })
    }

    /// These texts, by their path below `src/`.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let texts = texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        Self { place: "spec/src/".to_owned(), texts }
    }

    /// The path of a file as messages show it.
    pub(crate) fn shown(&self, path: &str) -> String {
        format!("{}{path}", self.place)
    }
}
