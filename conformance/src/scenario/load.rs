//! Where fixtures come from: the folder embedded in the program, folders on disk, and both together.

use super::error::{LoadError, LoadErrorKind};
use super::{Case, parse};
use include_dir::{Dir, include_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../fixtures/scenarios");

/// The fixtures embedded in the program, in the order of their ids.
pub fn embedded() -> Result<Vec<Case>, LoadError> {
    let mut cases = Vec::new();
    collect_embedded(&EMBEDDED, &mut cases)?;
    check_ids(&cases)?;
    Ok(in_order(cases))
}

fn collect_embedded(folder: &Dir<'_>, cases: &mut Vec<Case>) -> Result<(), LoadError> {
    for file in folder.files() {
        let name = Path::new("fixtures/scenarios").join(file.path()).display().to_string();
        if !is_fixture(file.path(), &name)? {
            continue;
        }
        let text = file.contents_utf8().ok_or_else(|| {
            LoadError::of_file(&name, LoadErrorKind::Unreadable("it is not UTF-8: save it so".to_owned()))
        })?;
        cases.extend(parse(&name, text)?);
    }
    folder.dirs().try_for_each(|inner| collect_embedded(inner, cases))
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

fn in_order(mut cases: Vec<Case>) -> Vec<Case> {
    cases.sort_by(|one, other| one.id.cmp(&other.id));
    cases
}
