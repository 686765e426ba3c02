//! Faults against the chapter `deletes`.

use crate::Mutant;
use crate::seam::effects::reactions;
use fieldsync_core::device::Write;

/// The faults.
pub const MUTANTS: &[Mutant] = &[Mutant::device(
    "tombstones-are-passed-over",
    "deletes.tombstone.hides",
    "The device stores what is put, and does nothing about a tombstone.",
    |parts| {
        reactions(parts, |reaction| {
            reaction.writes.retain(|write| !matches!(write, Write::Server(copy) if copy.record.deleted));
        })
    },
)];
