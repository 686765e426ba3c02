//! Faults against the chapter `records`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::{around_events, reactions};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::store::ShownCopy;
use fieldsync_core::device::{Event, LocalChange, Next};
use fieldsync_schemas::scenario::CallKind;
use serde_json::Value;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "edits-before-the-first-push-are-not-counted",
        "records.version.counted-up",
        "A record that was never pushed goes out as version 1, however often it was edited.",
        edits_before_the_first_push_are_not_counted,
    ),
    Mutant::device(
        "an-edit-writes-only-what-the-app-knows",
        "records.data.unknown-kept",
        "An edit pushes the edited members, and none that the app does not know.",
        an_edit_writes_only_what_the_app_knows,
    ),
    Mutant::device(
        "every-save-is-a-change",
        "records.version.unchanged-is-no-change",
        "A device pushes every save, also one that left the record as it was.",
        every_save_is_a_change,
    ),
];

/// Stands in the data of a save that changed nothing, until it is pushed.
const SAVED: &str = "saved-unchanged";

fn every_save_is_a_change(parts: DeviceParts) -> DeviceParts {
    let parts = device_wire::calls(parts, CallKind::Push, |body| {
        for mutation in body["mutations"].as_array_mut().into_iter().flatten() {
            if let Some(data) = mutation["data"].as_object_mut() {
                data.remove(SAVED);
            }
        }
    });
    around_events(parts, |machine, mut event, context, rules| {
        if let Event::Local(LocalChange::Edit { record, changes }) = &mut event
            && let Some(ShownCopy::Data(data)) = machine.state().shown(record, context.store.record(record)?.as_ref())
            && changes.iter().all(|(name, value)| data.get(name).unwrap_or(&Value::Null) == value)
        {
            changes.insert(SAVED.to_owned(), true.into());
        }
        rules.handle(machine, event, context)
    })
}

fn edits_before_the_first_push_are_not_counted(parts: DeviceParts) -> DeviceParts {
    reactions(parts, |reaction| {
        let Next::Send(call) = &mut reaction.next else { return };
        let (CallKind::Push, Some(body)) = (call.kind, &mut call.body) else { return };
        let mut push: Value = serde_json::from_str(body).expect("the device wrote it");
        for mutation in push["mutations"].as_array_mut().into_iter().flatten() {
            if mutation["base"].is_null() {
                mutation["version"] = 1.into();
            }
        }
        *body = push.to_string();
    })
}

fn an_edit_writes_only_what_the_app_knows(parts: DeviceParts) -> DeviceParts {
    around_events(parts, |machine, mut event, context, rules| {
        if let Event::Local(LocalChange::Edit { record, changes }) = &mut event
            && let Some(ShownCopy::Data(data)) = machine.state().shown(record, context.store.record(record)?.as_ref())
        {
            for name in data.keys() {
                changes.entry(name.clone()).or_insert(Value::Null);
            }
        }
        rules.handle(machine, event, context)
    })
}
