//! Faults against the chapter `pull`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::{around_events, reactions};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Event, Machine, Write};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "every-feed-is-asked-for-at-once",
        "pull.feeds.in-parts",
        "A device names all its feeds in each pull, however many a pull may name.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, body| {
                body["limits"].as_object_mut().map(|limits| limits.remove("pull_feeds"));
            })
        },
    ),
    Mutant::device(
        "the-first-part-of-the-feeds-is-all",
        "pull.feeds.in-parts",
        "A device names as many feeds as a pull may name, and never asks for the others.",
        |parts| {
            let named = Mutex::new(None);
            device_wire::calls(parts, CallKind::Pull, move |body| {
                let mut first = named.lock().expect("nothing panics while it holds this");
                let feeds = body["feeds"].as_object_mut().expect("a pull names feeds");
                let first: &BTreeSet<String> = first.get_or_insert_with(|| feeds.keys().cloned().collect());
                feeds.retain(|feed, _| first.contains(feed));
            })
        },
    ),
    Mutant::device(
        "every-page-is-stored",
        "pull.echo.discards-other",
        "The device stores a page wherever it begins.",
        |parts| {
            pull_answers(parts, |machine, answer| {
                for page in answer["feeds"].as_array_mut().into_iter().flatten() {
                    let feed = page["feed"].as_str().unwrap_or_default();
                    page["from"] = json!(machine.state().cursors.get(feed).cloned().flatten());
                }
            })
        },
    ),
    Mutant::device(
        "cursor-is-stored-first",
        "pull.page.stored-with-cursor",
        "The device stores the cursor of a page at once, and its records with the next step of the sync.",
        records_later,
    ),
    Mutant::device(
        "an-unknown-change-empties-its-page",
        "pull.change.unknown-op",
        "A device stores nothing of a page with a kind of change that it does not know, and goes on behind it.",
        |parts| {
            pull_answers(parts, |_, answer| {
                for page in answer["feeds"].as_array_mut().into_iter().flatten() {
                    let changes = page["changes"].as_array().cloned().unwrap_or_default();
                    if changes.iter().any(|change| !["put", "tombstone", "remove"].iter().any(|op| change["op"] == *op))
                    {
                        page["changes"] = json!([]);
                    }
                }
            })
        },
    ),
    Mutant::device(
        "new-feeds-are-passed-over",
        "pull.feeds.new-are-pulled",
        "The device does not look at the feeds that an answer names as new.",
        |parts| {
            pull_answers(parts, |_, answer| {
                answer.as_object_mut().expect("an answer is an object").remove("new_feeds");
            })
        },
    ),
    Mutant::device(
        "an-unknown-feed-ends-the-pull",
        "pull.feeds.unknown-is-left-out",
        "The device ends its sync where the server does not know one of its feeds.",
        |parts| {
            device_wire::answers(parts, CallKind::Pull, |_, _, body| {
                if body["code"] == "unknown-feed" {
                    body["retry"] = json!("never");
                }
            })
        },
    ),
];

/// Changes the answers to pulls before the device reads them.
fn pull_answers(parts: DeviceParts, change: fn(&Machine, &mut Value)) -> DeviceParts {
    around_events(parts, move |machine, mut event, context, rules| {
        if let Event::Answered(answer) = &mut event
            && let Ok(mut tree) = serde_json::from_slice::<Value>(&answer.body)
            && tree.get("feeds").is_some()
            && answer.status == 200
        {
            change(machine, &mut tree);
            answer.body = serde_json::to_vec(&tree).expect("a tree is plain JSON");
        }
        rules.handle(machine, event, context)
    })
}

fn records_later(parts: DeviceParts) -> DeviceParts {
    let waiting: Mutex<Vec<Write>> = Mutex::default();
    reactions(parts, move |reaction| {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writes = std::mem::take(&mut *waiting);
        let is_page = reaction.writes.iter().any(|write| matches!(write, Write::Cursor(..)));
        for write in std::mem::take(&mut reaction.writes) {
            match write {
                Write::Server(_) if is_page => waiting.push(write),
                _ => writes.push(write),
            }
        }
        reaction.writes = writes;
    })
}
