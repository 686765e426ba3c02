//! Faults against the chapter `partitions`.

use crate::Mutant;
use crate::seam::device_wire;
use crate::seam::effects::{around_events, reactions};
use fieldsync_core::device::Write;
use fieldsync_schemas::scenario::CallKind;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "what-leaves-a-feed-is-gone",
        "partitions.move.keeps-the-record",
        "A record that comes as `remove` is dropped, wherever it went.",
        |parts| {
            device_wire::answers(parts, CallKind::Pull, |_, _, answer| {
                for page in answer["feeds"].as_array_mut().into_iter().flatten() {
                    for change in page["changes"].as_array_mut().into_iter().flatten() {
                        drop(change.as_object_mut().map(|change| change.remove("to")));
                    }
                }
            })
        },
    ),
    Mutant::device(
        "each-feed-is-swept-alone",
        "partitions.resync.keeps-what-moved",
        "As soon as a feed was walked, what did not come goes, though other feeds of the type have more.",
        |parts| {
            around_events(parts, |machine, event, context, rules| {
                let mut reaction = rules.handle(machine, event, context)?;
                let walked =
                    machine.state().resyncs.iter().filter(|(feed, walk)| is_part(feed.as_str()) && walk.complete);
                let sweeps = walked.map(|(feed, walk)| Write::Sweep { feeds: [feed.clone()].into(), below: walk.mark });
                reaction.writes.extend(sweeps);
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "an-unknown-partition-keeps-its-records",
        "partitions.unknown.is-forgotten",
        "A partition that the server does not have is pulled no more, and what came by it stays.",
        |parts| {
            reactions(parts, |reaction| {
                for write in &mut reaction.writes {
                    if let Write::Sweep { feeds, .. } = write {
                        feeds.retain(|feed| !is_part(feed.as_str()));
                    }
                }
            })
        },
    ),
];

fn is_part(feed: &str) -> bool {
    feed.contains('/')
}
