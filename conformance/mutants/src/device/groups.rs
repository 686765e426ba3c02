//! Faults against the chapter `groups`.

use crate::Mutant;
use crate::seam::effects::around_events;
use fieldsync_core::device::{Event, LocalChange};

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "group-is-forgotten",
    "groups.device.in-one-batch",
    "The device keeps the records that were entered together one by one.",
    |parts| {
        around_events(parts, |machine, event, context, rules| {
            let event = match event {
                Event::Local(LocalChange::Create { record, data, .. }) => {
                    Event::Local(LocalChange::Create { record, data, group: None })
                }
                other => other,
            };
            rules.handle(machine, event, context)
        })
    },
)];
