//! Faults against the chapter `conflicts`.

use crate::Mutant;
use crate::seam::device_wire::calls;
use crate::seam::effects::reactions;
use fieldsync_core::device::Write;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::scenario::CallKind;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "entry-is-shown-twice",
        "conflicts.device.once",
        "The device keeps the entries of outcomes apart from those of the feed, and shows both.",
        |parts| {
            reactions(parts, |reaction| {
                let is_page = reaction.writes.iter().any(|write| matches!(write, Write::Cursor(..)));
                for write in &mut reaction.writes {
                    if let Write::Conflict(id, _) = write
                        && is_page
                    {
                        *id = RecordId::new(format!("{id}-feed")).expect("an id with a few letters more is one");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "an-entry-gets-a-new-id-each-time",
        "conflicts.entry.id",
        "A device gives each conflict entry that it writes an id that was never used.",
        |parts| {
            calls(parts, CallKind::Push, |body| {
                let mutations = body["mutations"].as_array_mut().into_iter().flatten();
                for mutation in mutations.filter(|mutation| mutation["type"] == CONFLICT_TYPE) {
                    mutation["id"] = mutation["mutation_id"].clone();
                }
            })
        },
    ),
];
