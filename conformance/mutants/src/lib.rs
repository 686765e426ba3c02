//! The faults that the suite must catch: reference implementations with exactly one realistic mistake each.
//!
//! A [`Mutant`] names the rule that it breaks, says the mistake in one sentence, and is about ten lines at one of the
//! [`seam`]s: the wire, the storage trait, the policy table, clock and ids, or the core's effects. The reference itself
//! has no fault switches. [`matrix::run`] runs the scenarios of each mutant's rule until one of them fails at an
//! expectation of that very rule.
//!
//! To add one: write it into the file of its chapter, beside the others. `fieldsync mutants --rule ID` tells whether it is
//! caught.

pub mod device;
pub mod matrix;
pub mod null;
pub mod null_client;
pub mod seam;
pub mod server;

use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_server::Parts;

/// An implementation with one fault.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Its name: the fault as a fact.
    pub name: &'static str,
    /// The rule that it breaks, in the wording that it was made for.
    pub rule: &'static str,
    /// The fault, in one sentence.
    pub sentence: &'static str,
    /// How the fault is put in.
    pub fault: Fault,
}

/// How a fault is put into the reference.
#[derive(Clone, Copy)]
pub enum Fault {
    /// Into the server, by changing its parts.
    Server(fn(Parts) -> Parts),
    /// Into the device, by changing its parts.
    Device(fn(DeviceParts) -> DeviceParts),
}

impl Mutant {
    /// A server with one fault.
    pub const fn server(
        name: &'static str,
        rule: &'static str,
        sentence: &'static str,
        fault: fn(Parts) -> Parts,
    ) -> Self {
        Self { name, rule, sentence, fault: Fault::Server(fault) }
    }

    /// A device with one fault.
    pub const fn device(
        name: &'static str,
        rule: &'static str,
        sentence: &'static str,
        fault: fn(DeviceParts) -> DeviceParts,
    ) -> Self {
        Self { name, rule, sentence, fault: Fault::Device(fault) }
    }

    /// The rule's id, without the number of its wording.
    pub fn rule_id(&self) -> &'static str {
        self.rule.split_once('+').map_or(self.rule, |(id, _)| id)
    }
}

/// Every mutant, in the order of the specification's chapters.
pub fn all() -> Vec<Mutant> {
    [server::MUTANTS, device::MUTANTS].concat().into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_taken_once_and_is_a_fact() {
        let mut names = BTreeSet::new();
        for mutant in super::all() {
            assert!(names.insert(mutant.name), "{} stands twice", mutant.name);
            assert!(mutant.sentence.ends_with('.'), "{}: a sentence ends with a full stop", mutant.name);
        }
    }
}
