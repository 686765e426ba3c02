//! Faults against the chapter `refetch`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::around_events;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::{Event, LocalChange, Write};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::scenario::CallKind;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "an-order-is-passed-over",
        "refetch.order.walks-from-null",
        "Refetch orders are not looked at.",
        |parts| {
            device_wire::answers(parts, CallKind::Session, |_, _, session| {
                session.as_object_mut().map(|members| members.remove("refetch"));
            })
        },
    ),
    Mutant::device(
        "an-order-is-carried-out-in-each-sync",
        "refetch.order.once",
        "For as long as the session lists an order, each sync carries it out.",
        in_each_sync,
    ),
    Mutant::device(
        "the-refetch-empties-the-outbox",
        "refetch.order.spares-unsent-work",
        "An order is carried out on an empty store: what waits and what was refused go, too.",
        empties_the_outbox,
    ),
];

/// The device asks for its session in each sync, and finds an order that it does not know.
fn in_each_sync(parts: DeviceParts) -> DeviceParts {
    let number = Arc::new(AtomicU64::new(0));
    let orders = number.clone();
    let parts = device_wire::answers(parts, CallKind::Session, move |_, _, session| {
        for order in session["refetch"].as_array_mut().into_iter().flatten() {
            order["id"] = json!(format!("f-{}", orders.load(Ordering::Relaxed)));
        }
    });
    device_wire::answers(parts, CallKind::Pull, move |_, _, answer| {
        answer["session"] = json!(format!("s-{}", number.fetch_add(1, Ordering::Relaxed)));
    })
}

fn empties_the_outbox(parts: DeviceParts) -> DeviceParts {
    around_events(parts, |machine, event, context, rules| {
        let before = machine.state().marks.refetched.clone();
        let mut reaction = rules.handle(machine, event, context)?;
        let begins = reaction.writes.iter().any(|write| matches!(write, Write::Resync(_, Some(_))));
        if begins && machine.state().marks.refetched != before {
            let waits = machine.state().outbox.iter().map(|entry| entry.record());
            let records: BTreeSet<RecordRef> = waits.chain(machine.state().quarantine.keys().cloned()).collect();
            for record in records {
                let discard = Event::Local(LocalChange::Discard { record });
                reaction.writes.extend(rules.handle(machine, discard, context)?.writes);
            }
        }
        Ok(reaction)
    })
}
