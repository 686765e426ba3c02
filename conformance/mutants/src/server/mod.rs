//! Faults of a server, one file for each chapter of the specification.

mod conflicts;
mod cycles;
mod deletes;
mod merge;
mod pull;
mod push;
mod records;
mod transport;
mod discovery;
mod session;
mod registry;
mod levels;
mod errors;
mod security;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] = &[transport::MUTANTS, discovery::MUTANTS, session::MUTANTS, registry::MUTANTS, levels::MUTANTS, errors::MUTANTS, security::MUTANTS, 
    push::MUTANTS,
    records::MUTANTS,
    pull::MUTANTS,
    merge::MUTANTS,
    deletes::MUTANTS,
    conflicts::MUTANTS,
    cycles::MUTANTS,
];
