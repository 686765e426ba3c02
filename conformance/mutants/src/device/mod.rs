//! Faults of a device, one file for each chapter of the specification.

mod conflicts;
mod cycles;
mod deletes;
mod pull;
mod status;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] =
    &[pull::MUTANTS, deletes::MUTANTS, conflicts::MUTANTS, cycles::MUTANTS, status::MUTANTS];
