//! The fault of a device that pulls at the wrong moment.

use crate::seam::effects;
use fieldsync_conformance::subject::reference::DeviceParts;
use fieldsync_core::device::store::ServerCopy;
use fieldsync_core::device::{Answer, Call, Event, Machine, Next, Reaction, Write};
use fieldsync_schemas::pull::{PullAnswer, PullRequest};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::scenario::CallKind;
use std::sync::Mutex;

/// What happened in the sync that runs.
#[derive(Default)]
struct Sync {
    /// A batch was without an answer when it began.
    unanswered: bool,
    /// It pulled already.
    pulled: bool,
    /// The push that the pull goes before.
    push: Option<Call>,
}

/// A device that pulls before its first push: where a batch is without an answer, or where none is.
pub(super) fn pulls_first(parts: DeviceParts, where_unanswered: bool) -> DeviceParts {
    let sync = Mutex::new(Sync::default());
    effects::around_events(parts, move |machine, event, context, rules| {
        let mut sync = sync.lock().expect("nothing panics while it holds this");
        if matches!(event, Event::Begin) {
            *sync = Sync { unanswered: machine.state().batch.is_some(), ..Sync::default() };
        }
        if let (Event::Answered(answer), Some(push)) = (&event, sync.push.take()) {
            return Ok(Reaction { writes: records(answer), next: Next::Send(push) });
        }
        let mut reaction = rules.handle(machine, event, context)?;
        let Next::Send(call) = &mut reaction.next else { return Ok(reaction) };
        if call.kind == CallKind::Push && sync.unanswered == where_unanswered && !sync.pulled {
            sync.pulled = true;
            let pull = Call { kind: CallKind::Pull, path: "/pull".into(), body: Some(pull(machine)), ..call.clone() };
            sync.push = Some(std::mem::replace(call, pull));
        }
        Ok(reaction)
    })
}

fn pull(machine: &Machine) -> String {
    let state = machine.state();
    let types = state.session.iter().flat_map(|session| &session.registry.types);
    let feeds = types.map(|entry| entry.feed_name()).map(|feed| {
        let cursor = state.cursors.get(&feed).cloned().flatten();
        (feed, cursor)
    });
    let replica = state.replica.as_ref().expect("an opened device has a replica id").id.clone();
    let request = PullRequest { replica, epoch: None, limit: None, feeds: feeds.collect() };
    serde_json::to_string(&request).expect("a pull is plain JSON")
}

fn records(answer: &Answer) -> Vec<Write> {
    let Ok(answer) = serde_json::from_slice::<PullAnswer>(&answer.body) else { return Vec::new() };
    let mut writes = Vec::new();
    for page in answer.feeds {
        let records = page.changes.iter().filter_map(|change| change.record.as_ref());
        for record in records.filter_map(|raw| serde_json::from_str::<Record>(raw.get()).ok()) {
            writes.push(Write::Server(Box::new(ServerCopy {
                record: record.into(),
                feed: page.feed.clone(),
                mark: 0,
            })));
        }
    }
    writes
}
