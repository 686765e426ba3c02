//! Faults against the chapter `scopes`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::around_events;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Answer, Event, LocalChange};
use fieldsync_schemas::pull::{PullAnswer, RecordRef};
use fieldsync_schemas::scenario::CallKind;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "what-left-the-scope-stays",
        "scopes.remove.not-shown",
        "A change of the kind `remove` is passed over.",
        |parts| {
            device_wire::answers(parts, CallKind::Pull, |_, _, answer| {
                for page in answer["feeds"].as_array_mut().into_iter().flatten() {
                    if let Some(changes) = page["changes"].as_array_mut() {
                        changes.retain(|change| change["op"] != "remove");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "what-left-the-scope-takes-its-work-along",
        "scopes.remove.keeps-unsent-work",
        "Unsent work on a record that left the scope is thrown away with it.",
        removed_with_its_work,
    ),
];

fn removed_with_its_work(parts: DeviceParts) -> DeviceParts {
    around_events(parts, |machine, event, context, rules| {
        let mut writes = Vec::new();
        if let Event::Answered(answer) = &event {
            for record in removed(answer) {
                let discard = Event::Local(LocalChange::Discard { record });
                writes.extend(rules.handle(machine, discard, context)?.writes);
            }
        }
        let mut reaction = rules.handle(machine, event, context)?;
        writes.append(&mut reaction.writes);
        reaction.writes = writes;
        Ok(reaction)
    })
}

fn removed(answer: &Answer) -> Vec<RecordRef> {
    let pages = serde_json::from_slice::<PullAnswer>(&answer.body).map(|answer| answer.feeds).unwrap_or_default();
    pages.into_iter().flat_map(|page| page.changes).filter_map(|change| change.removed).collect()
}
