//! Where fixtures come from: the folder embedded in the program, folders on disk, and both together.

use super::error::{LoadError, LoadErrorKind};
use super::{Case, parse};
use crate::embedded::SCENARIOS;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Fixtures, some of which could not be read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Those that could, in the order of their ids.
    pub cases: Vec<Case>,
    /// Why the others could not: the suite's own fault, and theirs alone.
    pub broken: Vec<LoadError>,
}

/// The fixtures embedded in the program.
pub fn embedded() -> Loaded {
    load(SCENARIOS.iter().map(|(path, text)| (format!("fixtures/scenarios/{path}"), text.as_str())))
}

/// Reads each of these files by itself.
fn load<'a>(files: impl Iterator<Item = (String, &'a str)>) -> Loaded {
    let mut loaded = Loaded::default();
    for (name, text) in files {
        let read = is_fixture(Path::new(&name), &name)
            .and_then(|is_one| if is_one { parse(&name, text) } else { Ok(Vec::new()) });
        match read {
            Ok(cases) => loaded.cases.extend(cases),
            Err(error) => loaded.broken.push(error),
        }
    }
    loaded.cases = in_order(loaded.cases);
    loaded
}

/// The fixtures below a folder, `<chapter>/<what-it-shows>.yaml`, in the order of their ids. Where the folder has a
/// folder `scenarios`, as the one of this project has, they are below that.
pub fn from_dir(folder: &Path) -> Result<Vec<Case>, LoadError> {
    let inner = folder.join("scenarios");
    let root = if inner.is_dir() { inner } else { folder.to_owned() };
    let mut cases = Vec::new();
    collect(&root, &mut cases)?;
    if cases.is_empty() {
        return Err(LoadError::of_file(root.display().to_string(), LoadErrorKind::Empty));
    }
    check_ids(&cases)?;
    Ok(in_order(cases))
}

fn collect(folder: &Path, cases: &mut Vec<Case>) -> Result<(), LoadError> {
    let unreadable = |path: &Path, error: std::io::Error| {
        LoadError::of_file(path.display().to_string(), LoadErrorKind::Unreadable(error.to_string()))
    };
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| unreadable(folder, error))?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        if path.is_dir() {
            collect(&path, cases)?;
        } else if is_fixture(&path, &name)? {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            cases.extend(parse(&name, &text)?);
        }
    }
    Ok(())
}

/// Notes may stand beside fixtures; a fixture that would be passed over because of its ending may not.
fn is_fixture(path: &Path, name: &str) -> Result<bool, LoadError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yaml") => Ok(true),
        Some("yml" | "YAML" | "YML" | "json") => Err(LoadError::of_file(name, LoadErrorKind::Misplaced)),
        _ => Ok(false),
    }
}

/// `base` with the files of `over` in place of those of the same id, and those that it lacks.
pub fn merge(base: Vec<Case>, over: Vec<Case>) -> Vec<Case> {
    let replaced: BTreeSet<String> = over.iter().map(|case| case.file_id().to_owned()).collect();
    let kept = base.into_iter().filter(|case| !replaced.contains(case.file_id()));
    in_order(kept.chain(over).collect())
}

fn check_ids(cases: &[Case]) -> Result<(), LoadError> {
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for case in cases {
        match files.insert(case.file_id(), &case.file) {
            Some(other) if other != case.file => {
                return Err(LoadError::of_file(&case.file, LoadErrorKind::SameId(other.to_owned())));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The id that the scenario of a file would have.
pub fn id_of(file: &str) -> String {
    let path = Path::new(file).with_extension("");
    let mut parts = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect::<Vec<_>>();
    parts.reverse();
    parts.join("/")
}

fn in_order(mut cases: Vec<Case>) -> Vec<Case> {
    cases.sort_by(|one, other| one.id.cmp(&other.id));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fixture_that_cannot_be_read_stops_no_other() {
        let good = "title: A thing that is so\ncovers: [push.retry.same-outcome]\nsteps:\n  - request: {expect: {status: 200}}\n";
        let files = [
            ("fixtures/scenarios/push/good.yaml", good),
            ("fixtures/scenarios/push/odd.yaml", "title: A thing that is so\nsteps: [\n"),
            ("fixtures/scenarios/push/notes.md", "Not a fixture."),
        ];
        let loaded = load(files.into_iter().map(|(name, text)| (name.to_owned(), text)));
        assert_eq!(loaded.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["push/good"]);
        let [broken] = &loaded.broken[..] else { panic!("{:?}", loaded.broken) };
        assert_eq!((id_of(&broken.file).as_str(), broken.line > 1), ("push/odd", true), "{broken}");
    }
}
