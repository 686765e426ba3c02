//! Faults against the chapter `conflicts`.

use crate::Mutant;
use crate::seam::effects::reactions;
use fieldsync_core::device::Write;
use fieldsync_schemas::id::RecordId;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
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
)];
