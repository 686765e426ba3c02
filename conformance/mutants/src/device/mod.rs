//! Faults of a device, one file for each chapter of the specification.

mod conflicts;
mod cycles;
mod cycles_order;
mod deletes;
mod pull;
mod status;
mod transport;
mod session;
mod registry;
mod levels;
mod errors;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] = &[transport::MUTANTS, session::MUTANTS, registry::MUTANTS, levels::MUTANTS, errors::MUTANTS, pull::MUTANTS, deletes::MUTANTS, conflicts::MUTANTS, cycles::MUTANTS, status::MUTANTS];
