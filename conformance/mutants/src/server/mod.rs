//! Faults of a server, one file for each chapter of the specification.

mod conflicts;
mod cycles;
mod deletes;
mod discovery;
mod errors;
mod levels;
mod merge;
mod pull;
mod pull_cursors;
mod push;
mod records;
mod refetch;
mod registry;
mod scopes;
mod security;
mod session;
mod telemetry;
mod transport;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] = &[
    transport::MUTANTS,
    discovery::MUTANTS,
    session::MUTANTS,
    registry::MUTANTS,
    records::MUTANTS,
    push::MUTANTS,
    pull::MUTANTS,
    levels::MUTANTS,
    merge::MUTANTS,
    deletes::MUTANTS,
    scopes::MUTANTS,
    refetch::MUTANTS,
    conflicts::MUTANTS,
    cycles::MUTANTS,
    telemetry::MUTANTS,
    errors::MUTANTS,
    security::MUTANTS,
];
