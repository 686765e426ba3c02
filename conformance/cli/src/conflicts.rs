//! `fieldsync conflicts`: what was overridden in a data set, record by record, for those who settle it.

use crate::command_error::CommandError;
use crate::output;
use crate::remote::RemoteArgs;
use clap::Args;
use fieldsync_conformance::report::text::{Text, Tone};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::conflict::{CONFLICT_FEED, ConflictEntry, Writer};
use fieldsync_schemas::id::{RecordId, TypeName};
use fieldsync_schemas::record::Record;
use serde_json::Value;

/// No line is longer.
const WIDTH: usize = 80;

/// The arguments of `conflicts`.
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Only what was overridden in this record; once for each.
    #[arg(long, value_name = "ID")]
    pub record: Vec<RecordId>,
    /// Only what was overridden in records of this type; once for each.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<TypeName>,
}

/// Pulls the conflict log and lists it by record, in the order in which they were first overridden.
pub fn run(args: ConflictsArgs) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let pulled = runtime.block_on(args.remote.pulled(CONFLICT_FEED)).map_err(CommandError::usage)?;
    let entries = pulled.iter().filter_map(entry).filter(|entry| {
        (args.record.is_empty() || args.record.contains(&entry.record.id))
            && (args.types.is_empty() || args.types.contains(&entry.record.type_name))
    });
    output::print(&listed(entries.collect()).plain())?;
    Ok(ExitStatus::Conformant)
}

/// A device may write what this program does not know.
fn entry(record: &Record) -> Option<ConflictEntry> {
    serde_json::from_str(record.data.as_ref()?.get()).ok()
}

fn listed(mut entries: Vec<ConflictEntry>) -> Text {
    let mut text = Text::default();
    if entries.is_empty() {
        text.line(Tone::Plain, "nothing was overridden");
    }
    entries.sort_by_key(|entry| entry.time);
    while let Some(last) = entries.iter().map(|entry| entry.record.clone()).next() {
        // Its whole story, where it stands for the first time.
        let of_record;
        (of_record, entries) = entries.into_iter().partition(|entry| entry.record == last);
        text.wrapped(Tone::Strong, "", &format!("{} {}", last.type_name, last.id), WIDTH);
        for entry in &of_record {
            tell(&mut text, entry);
        }
    }
    text
}

fn tell(text: &mut Text, entry: &ConflictEntry) {
    let path = if entry.path.is_empty() { "the whole record" } else { &entry.path };
    text.folded(Tone::Plain, "  ", &format!("{}  {path}", entry.time), WIDTH);
    let values = [
        ("base", &entry.base, None),
        ("lost", &entry.lost, Some(&entry.lost_by)),
        ("kept", &entry.kept, Some(&entry.kept_by)),
    ];
    for (label, value, writer) in values {
        let shown = match (value, writer) {
            (Some(value), _) => shown(value),
            (None, Some(_)) => "(deleted)".to_owned(),
            (None, None) => continue,
        };
        text.folded(Tone::Plain, &format!("    {label}  "), &shown, WIDTH);
        if let Some(writer) = writer {
            text.folded(Tone::Faint, "      by  ", &named(writer), WIDTH);
        }
    }
}

fn shown(value: &Value) -> String {
    serde_json::to_string(value).expect("a tree is plain JSON")
}

fn named(writer: &Writer) -> String {
    match (&writer.replica, &writer.mutation_id, &writer.rev) {
        (None, ..) => "the server".to_owned(),
        (Some(replica), Some(mutation), _) => format!("{replica}, mutation {mutation}"),
        (Some(replica), None, Some(rev)) => format!("{replica}, rev {rev}"),
        (Some(replica), None, None) => replica.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn overridden(id: &str, minute: u32, change: Value) -> ConflictEntry {
        let mut entry = json!({"record": {"type": "household", "id": id}, "path": "", "lost": {"rooms": 2},
            "kept": {"rooms": 3}, "lost_by": {"replica": "tablet-7", "mutation_id": "m-1"},
            "kept_by": {"replica": "phone-2", "rev": "e1.7"}, "time": format!("2026-12-01T08:{minute:02}:00Z")});
        for (name, value) in change.as_object().unwrap() {
            entry[name] = value.clone();
        }
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn each_record_tells_its_story_in_order() {
        let told = listed(vec![
            overridden("hut", 9, json!({"path": "/rooms", "base": 1, "lost": 2, "kept": 3})),
            overridden("farm", 5, json!({"lost": null, "kept_by": {}})),
            overridden("hut", 4, json!({})),
        ]);
        let expected = "\
household hut
  2026-12-01T08:04:00.000Z  the whole record
    lost  {\"rooms\":2}
      by  tablet-7, mutation m-1
    kept  {\"rooms\":3}
      by  phone-2, rev e1.7
  2026-12-01T08:09:00.000Z  /rooms
    base  1
    lost  2
      by  tablet-7, mutation m-1
    kept  3
      by  phone-2, rev e1.7
household farm
  2026-12-01T08:05:00.000Z  the whole record
    lost  (deleted)
      by  tablet-7, mutation m-1
    kept  {\"rooms\":3}
      by  the server
";
        assert_eq!(told.plain(), expected);
        assert_eq!(listed(Vec::new()).plain(), "nothing was overridden\n");
    }

    #[test]
    fn what_the_server_says_is_text_within_eighty_columns() {
        let long = "x".repeat(300);
        let told =
            listed(vec![overridden("hut", 1, json!({"path": "/\u{1b}[2J", "lost": {"note": long, "\u{202e}": 1}}))]);
        let told = told.plain();
        assert!(!told.contains('\u{1b}') && !told.contains('\u{202e}'), "{told}");
        assert!(told.contains("/\\u{1b}[2J"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    }
}
