//! Faults of a server that draws numbers for records.

use super::push::changed;
use crate::Mutant;
use crate::seam::effects::{around_decide, commits};
use fieldsync_schemas::record::Record;
use serde_json::value::to_raw_value;

/// The faults. One more, against the same chapter, stands with what comes again.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-number-is-drawn-at-every-change",
        "merge.sequence.once",
        "A record gets another number whenever it is changed.",
        |parts| {
            commits(parts, |_, commit| {
                for state in commit.states.iter_mut().filter(|state| state.version.get() > 1) {
                    *state = changed(state, draw_again);
                }
            })
        },
    ),
    Mutant::server(
        "numbers-begin-anew-with-each-batch",
        "merge.sequence.unique",
        "Numbers are counted within a batch.",
        |parts| {
            around_decide(parts, |batch, mut loaded, ground, decide| {
                loaded.drawn.clear();
                decide(batch, loaded, ground)
            })
        },
    ),
];

/// Gives a record another number, where it has one.
pub(super) fn draw_again(record: &mut Record) {
    if record.data.is_some() && record.type_name.as_str() == "sample" {
        let mut data = record.data_tree();
        let number = data.get("number").and_then(|number| number.as_str()).unwrap_or_default();
        data.insert("number".to_owned(), format!("{number}-{}", record.version).into());
        record.data = to_raw_value(&data).ok();
    }
}
