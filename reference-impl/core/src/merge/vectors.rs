//! The published vectors, `fixtures/vectors/merge`, hold for the reference.

use super::{Overridden, Rules, Side, apply, difference, equal_data, merge, merge_files, reapply, same_files};
use crate::data::drop_null_members;
use fieldsync_schemas::record::{Attachment, Data};
use fieldsync_schemas::registry::MergeRules;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What three states become.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MergeCase {
    title: String,
    rules: MergeRules,
    base: Option<Data>,
    local: Option<Data>,
    server: Option<Data>,
    merged: Option<Data>,
    overridden: Vec<Loss>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loss {
    path: String,
    base: Option<Value>,
    lost: Option<Value>,
    kept: Option<Value>,
    lost_side: LostSide,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LostSide {
    Local,
    Server,
}

/// What becomes of local changes when the server adds to their base.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LateCase {
    title: String,
    rules: MergeRules,
    base: Data,
    local: Option<Data>,
    late: Data,
    merged: Option<Data>,
}

/// Which patch makes one state of another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchCase {
    title: String,
    base: Data,
    changed: Data,
    patch: Data,
}

/// What becomes of the files of a record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesCase {
    title: String,
    base: Vec<String>,
    local: Vec<String>,
    server: Vec<String>,
    merged: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors/merge")
}

fn cases<C: DeserializeOwned>(path: &Path, title: fn(&C) -> &str) -> Vec<C> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<C> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(!cases.is_empty(), "{} has no case", path.display());
    let titles: BTreeSet<_> = cases.iter().map(title).collect();
    assert_eq!(titles.len(), cases.len(), "{} has a title twice", path.display());
    cases
}

/// What is no fact of the merge is how a number is spelled: both are brought into one form.
fn canonical(data: &Option<Data>) -> Option<String> {
    fn spell(value: &mut Value) {
        match value {
            Value::Object(members) => members.values_mut().for_each(spell),
            Value::Array(items) => items.iter_mut().for_each(spell),
            Value::Number(number) => *value = number.as_f64().map(|double| double + 0.0).into(),
            _ => {}
        }
    }
    data.clone().map(|data| {
        let mut value = Value::Object(data);
        spell(&mut value);
        value.to_string()
    })
}

fn told(overridden: &[Overridden]) -> String {
    let value = |value: &Option<Value>| canonical(&value.clone().map(|value| Data::from_iter([("v".into(), value)])));
    let lines = overridden.iter().map(|one| {
        format!(
            "{:?} base {:?} lost {:?} kept {:?} {:?}",
            one.path,
            value(&one.base),
            value(&one.lost),
            value(&one.kept),
            one.lost_side
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn states_merge_as_published() {
    let mut topics = 0;
    for file in fs::read_dir(folder()).expect("the vectors are in the repository") {
        let path = file.expect("the folder can be read").path();
        if path.ends_with("patch.json") || path.ends_with("late-state.json") {
            continue;
        }
        topics += 1;
        for case in cases::<MergeCase>(&path, |case| &case.title) {
            let name = format!("{}: {}", path.display(), case.title);
            let rules = Rules::compile(&case.rules).expect(&name);
            let wanted: Vec<_> = case.overridden.into_iter().map(Overridden::from).collect();
            let merged = merge(case.base.as_ref(), case.local, case.server.clone(), &rules);
            assert_eq!(canonical(&merged.data), canonical(&case.merged), "{name}");
            assert_eq!(told(&merged.overridden), told(&wanted), "{name}");
            // Every result is at rest.
            let server = case.server.map(without_nulls);
            let again = merge(server.as_ref(), merged.data.clone(), server.clone(), &rules);
            assert_eq!((again.data, again.overridden), (merged.data, Vec::new()), "{name}, once more");
        }
    }
    assert!(topics > 0);
}

#[test]
fn late_states_come_under_the_changes() {
    for case in cases::<LateCase>(&folder().join("late-state.json"), |case| &case.title) {
        let rules = Rules::compile(&case.rules).expect(&case.title);
        let merged = reapply(&case.base, case.local, case.late, &rules);
        assert_eq!(canonical(&merged), canonical(&case.merged), "{}", case.title);
    }
}

#[test]
fn files_merge_as_published() {
    let files = |names: &[String]| -> Vec<Attachment> {
        let id = |name: &String| serde_json::from_value(Value::from(format!("sha256:{}", name.repeat(64)))).unwrap();
        let file = |name| Attachment { id: id(name), bytes: 1, media_type: "image/jpeg".to_owned(), state: None };
        names.iter().map(file).collect()
    };
    for case in cases::<FilesCase>(&folder().join("../attachments/files.json"), |case| &case.title) {
        let (server, wanted) = (files(&case.server), files(&case.merged));
        let merged = merge_files(&files(&case.base), &files(&case.local), &server);
        assert!(same_files(&merged, &wanted), "{}: {merged:?}", case.title);
        assert!(same_files(&merge_files(&server, &merged, &server), &wanted), "{}, once more", case.title);
    }
}

#[test]
fn patches_are_as_published() {
    for case in cases::<PatchCase>(&folder().join("patch.json"), |case| &case.title) {
        assert_eq!(
            Value::Object(difference(&case.base, &case.changed)),
            Value::Object(case.patch.clone()),
            "{}",
            case.title
        );
        let mut data = case.base;
        apply(&mut data, case.patch);
        assert!(equal_data(&data, &case.changed), "{}: {data:?}", case.title);
    }
}

fn without_nulls(data: Data) -> Data {
    let mut value = Value::Object(data);
    drop_null_members(&mut value);
    value.as_object().cloned().unwrap_or_default()
}

impl From<Loss> for Overridden {
    fn from(Loss { path, base, lost, kept, lost_side }: Loss) -> Self {
        let lost_side = match lost_side {
            LostSide::Local => Side::Local,
            LostSide::Server => Side::Server,
        };
        Self { path, base, lost, kept, lost_side }
    }
}
