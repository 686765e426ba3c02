//! Faults of a server, one file for each chapter of the specification.

mod attachments;
mod conflicts;
mod cycles;
mod deletes;
mod digest;
mod direct;
mod discovery;
mod epoch;
mod errors;
mod fields;
mod groups;
mod levels;
mod links;
mod merge;
mod on_stale;
mod parents;
mod partitions;
mod pull;
mod pull_cursors;
mod push;
mod records;
mod refetch;
mod registry;
mod scopes;
mod security;
mod sequences;
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
    epoch::MUTANTS,
    digest::MUTANTS,
    merge::MUTANTS,
    fields::MUTANTS,
    sequences::MUTANTS,
    on_stale::MUTANTS,
    deletes::MUTANTS,
    scopes::MUTANTS,
    refetch::MUTANTS,
    parents::MUTANTS,
    partitions::MUTANTS,
    groups::MUTANTS,
    conflicts::MUTANTS,
    cycles::MUTANTS,
    attachments::MUTANTS,
    direct::MUTANTS,
    links::MUTANTS,
    telemetry::MUTANTS,
    errors::MUTANTS,
    security::MUTANTS,
];
