//! Faults of a device, one file for each chapter of the specification.

mod attachments;
mod conflicts;
mod cycles;
mod cycles_order;
mod cycles_trouble;
mod deletes;
mod digest;
mod direct;
mod epoch;
mod errors;
mod groups;
mod levels;
mod links;
mod merge;
mod merge_items;
mod merging;
mod merging_habits;
mod parents;
mod partitions;
mod pull;
mod records;
mod refetch;
mod registry;
mod scopes;
mod session;
mod status;
mod telemetry;
mod transport;

use crate::Mutant;

/// The faults, chapter by chapter.
pub const MUTANTS: &[&[Mutant]] = &[
    transport::MUTANTS,
    session::MUTANTS,
    registry::MUTANTS,
    records::MUTANTS,
    pull::MUTANTS,
    levels::MUTANTS,
    merge::MUTANTS,
    merge_items::MUTANTS,
    epoch::MUTANTS,
    digest::MUTANTS,
    deletes::MUTANTS,
    scopes::MUTANTS,
    refetch::MUTANTS,
    parents::MUTANTS,
    partitions::MUTANTS,
    groups::MUTANTS,
    conflicts::MUTANTS,
    status::MUTANTS,
    cycles::MUTANTS,
    cycles_trouble::MUTANTS,
    attachments::MUTANTS,
    direct::MUTANTS,
    links::MUTANTS,
    merging::MUTANTS,
    merging_habits::MUTANTS,
    telemetry::MUTANTS,
    errors::MUTANTS,
];
