//! Groups: mutations of one batch that are taken all or none.
//!
//! Chapter: groups. Each is decided as if the others had been taken, so that records may refer to one another in a
//! circle. If one is not taken after all, everything goes back to where it was before the group.

use super::decide::{Court, Heard};
use super::outcome::waiting;
use super::{ReadMutation, Refusal, refuse};
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{Outcome, OutcomeKind};
use serde_json::value::RawValue;

impl<'a> Court<'a> {
    /// The outcomes of a group, in the order of its mutations.
    pub(super) fn hear_group(&mut self, group: &[&'a ReadMutation]) -> Vec<Box<RawValue>> {
        let before = self.mark();
        for record in group.iter().filter_map(|read| read.creates.as_ref()) {
            self.promise(record);
        }
        let heard: Vec<Heard> = group.iter().map(|read| self.consider(read)).collect();
        let Some(cause) = heard.iter().find(|heard| !is_taken(heard)).map(id_of) else {
            self.forget_mark();
            return group.iter().zip(heard).map(|(read, heard)| self.keep(read, heard)).collect();
        };
        self.go_back(before);
        let settle = |(read, heard): (&&'a ReadMutation, Heard)| match heard {
            Heard::Now(outcome) if is_taken_outcome(&outcome) => {
                let why = refuse(
                    ProblemCode::DependencyFailed,
                    format!("{cause}, of the same group, was not taken; this can follow it"),
                );
                let why = Refusal { cause: Some(cause.clone()), ..why };
                self.keep(read, Heard::Now(waiting(&read.mutation_id, OutcomeKind::Skipped, why)))
            }
            heard => self.keep(read, heard),
        };
        group.iter().zip(heard).map(settle).collect()
    }
}

fn is_taken(heard: &Heard) -> bool {
    match heard {
        Heard::Now(outcome) => is_taken_outcome(outcome),
        Heard::Before(raw) => is_taken_outcome(&stored(raw)),
    }
}

fn is_taken_outcome(outcome: &Outcome) -> bool {
    matches!(
        outcome.outcome,
        OutcomeKind::Applied | OutcomeKind::Merged | OutcomeKind::Duplicate | OutcomeKind::Superseded
    )
}

fn id_of(heard: &Heard) -> MutationId {
    match heard {
        Heard::Now(outcome) => outcome.mutation_id.clone(),
        Heard::Before(raw) => stored(raw).mutation_id,
    }
}

fn stored(raw: &RawValue) -> Outcome {
    serde_json::from_str(raw.get()).expect("the server wrote it")
}
