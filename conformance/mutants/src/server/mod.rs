//! Faults of a server, one file for each chapter of the specification.

mod push;
mod records;
mod pull;
mod merge;
mod deletes;
mod conflicts;
mod cycles;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] = &[
    push::MUTANTS,
    records::MUTANTS,
    pull::MUTANTS,
    merge::MUTANTS,
    deletes::MUTANTS,
    conflicts::MUTANTS,
    cycles::MUTANTS,
];
