//! Faults against the chapter `status`.

use crate::Mutant;
use crate::seam::{device_wire, effects};
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::outbox::Progress;
use fieldsync_core::device::store::{Reason, ServerCopy, ShownCopy};
use fieldsync_core::device::{Event, LocalChange, Next, Reaction};
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::scenario::{CallKind, ErrorCause, Status};
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::device(
        "what-waits-is-shown-as-synced",
        "status.pending.until-answered+2",
        "A device shows a record with a change that waits as synced.",
        |parts| instead(parts, Status::Pending, Status::Synced),
    ),
    Mutant::device(
        "what-is-on-its-way-is-shown-as-pending",
        "status.syncing.in-flight",
        "A device shows a record whose batch is on its way as pending.",
        |parts| instead(parts, Status::Syncing, Status::Pending),
    ),
    Mutant::device(
        "what-was-refused-is-shown-as-synced",
        "status.synced.after-settled",
        "A device shows a record whose change is in its quarantine as synced.",
        |parts| instead(parts, Status::Error(ErrorCause::Rejected), Status::Synced),
    ),
    Mutant::device(
        "every-failure-is-the-servers",
        "status.error.names-the-cause+2",
        "A device blames the server for whatever fails.",
        |parts| {
            effects::statuses(parts, |_, _, status| match status {
                Status::Error(ErrorCause::Network | ErrorCause::Credentials) => Status::Error(ErrorCause::Server),
                status => status,
            })
        },
    ),
    Mutant::device(
        "a-failed-push-waits-for-the-user",
        "status.error.retried",
        "A device whose push failed sends none any more, and its syncs fail without one.",
        |parts| {
            let gave_up = AtomicBool::new(false);
            effects::around_events(parts, move |machine, event, context, rules| {
                gave_up.fetch_or(machine.state().marks.last_failure.is_some(), Ordering::Relaxed);
                let mut reaction = rules.handle(machine, event, context)?;
                let pushes = matches!(&reaction.next, Next::Send(call) if call.kind == CallKind::Push);
                if pushes && gave_up.load(Ordering::Relaxed) {
                    let lost = rules.handle(machine, Event::Lost("it was not sent".to_owned()), context)?;
                    reaction.writes.extend(lost.writes);
                    reaction.next = lost.next;
                }
                Ok(reaction)
            })
        },
    ),
    Mutant::device(
        "every-refusal-has-one-reason",
        "status.rejected.shows-reason",
        "A device keeps a refused change without the code of the refusal.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |_, _, body| {
                for outcome in body["outcomes"].as_array_mut().into_iter().flatten() {
                    if outcome["outcome"] == "rejected" {
                        outcome["problem"]["code"] = json!("refused");
                    }
                }
            })
        },
    ),
    Mutant::device(
        "what-the-server-failed-over-looks-as-if-it-went-again",
        "status.quarantine.shown-as-rejected",
        "A device shows a change that it gave up, because the server failed over it, with the cause `server`.",
        |parts| {
            effects::statuses(parts, |machine, record, status| {
                let given_up = machine.state().quarantine.get(record);
                let refused = given_up.is_none_or(|one| matches!(one.reason, Reason::Refused(_)));
                if refused { status } else { Status::Error(ErrorCause::Server) }
            })
        },
    ),
    Mutant::device(
        "what-was-refused-is-sent-with-every-sync",
        "status.rejected.not-sent-again",
        "A device pushes what is in its quarantine again at the beginning of every sync.",
        |parts| {
            effects::around_events(parts, |machine, event, context, rules| {
                let mut writes = Vec::new();
                if matches!(event, Event::Begin) {
                    let refused: Vec<_> = machine.state().quarantine.keys().cloned().collect();
                    for record in refused {
                        let again = Event::Local(LocalChange::Edit { record, changes: Default::default() });
                        writes.extend(rules.handle(machine, again, context)?.writes);
                    }
                }
                let reaction = rules.handle(machine, event, context)?;
                writes.extend(reaction.writes);
                Ok(Reaction { writes, ..reaction })
            })
        },
    ),
    Mutant::device(
        "a-refused-update-goes-on-being-shown",
        "status.rejected.update-shows-the-servers",
        "A device goes on showing an update or a delete that was rejected.",
        |parts| {
            effects::shows(parts, |machine, record, _, shown| {
                let refused = machine.state().quarantine.get(record).map(|one| &*one.mutation);
                refused.filter(|refused| refused.op != MutationOp::Create).map(ShownCopy::after).or(shown)
            })
        },
    ),
    Mutant::device(
        "a-refused-create-is-no-longer-shown",
        "status.rejected.create-shows-its-own",
        "A device stops showing a record whose create was rejected.",
        |parts| {
            effects::shows(parts, |machine, record, server, shown| {
                let refused = machine.state().quarantine.get(record).map(|one| &one.mutation.op);
                if refused == Some(&MutationOp::Create) { server.map(ServerCopy::shown) } else { shown }
            })
        },
    ),
    Mutant::device(
        "discarded-work-is-only-hidden",
        "status.discard.gives-up",
        "A device hides discarded work and pushes it all the same.",
        |parts| {
            let discarded = Arc::new(Mutex::new(HashSet::new()));
            let hidden = discarded.clone();
            let parts = effects::shows(parts, move |_, record, server, shown| {
                let is_hidden = hidden.lock().unwrap_or_else(PoisonError::into_inner).contains(record);
                if is_hidden { server.map(ServerCopy::shown) } else { shown }
            });
            effects::around_events(parts, move |machine, event, context, rules| match event {
                Event::Local(LocalChange::Discard { record }) => {
                    discarded.lock().unwrap_or_else(PoisonError::into_inner).insert(record);
                    Ok(Reaction { writes: Vec::new(), next: Next::Idle })
                }
                event => rules.handle(machine, event, context),
            })
        },
    ),
    Mutant::device(
        "the-conflict-entry-comes-with-the-next-pull",
        "status.superseded.in-one-step",
        "A device takes the winner of a lost contest, and leaves the conflict entry to the next pull.",
        |parts| {
            device_wire::answers(parts, CallKind::Push, |_, _, body| {
                for outcome in body["outcomes"].as_array_mut().into_iter().flatten() {
                    if outcome["outcome"] == "superseded" {
                        outcome["conflicts"] = json!([]);
                    }
                }
            })
        },
    ),
    Mutant::device(
        "what-the-server-put-off-is-shown-as-synced",
        "status.outbox.empty-or-reasoned",
        "A device shows a record whose mutation was held or skipped as synced.",
        |parts| {
            effects::statuses(parts, |machine, record, status| {
                let first = machine.state().outbox.of(record).next();
                let is_put_off = first.is_some_and(|first| first.progress == Progress::Deferred);
                if is_put_off { Status::Synced } else { status }
            })
        },
    ),
];

/// Shows one status in the place of another.
fn instead(parts: DeviceParts, of: Status, shown: Status) -> DeviceParts {
    effects::statuses(parts, move |_, _, status| if status == of { shown } else { status })
}
