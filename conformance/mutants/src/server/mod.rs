//! Faults of a server, one file for each chapter of the specification.

mod conflicts;
mod cycles;
mod deletes;
mod merge;
mod pull;
mod push;
mod records;

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
