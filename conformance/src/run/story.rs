//! What happened in a scenario, in one order: the beginnings of its steps, and both ends of its exchanges.

use crate::replay::Names;
use crate::tap::{SeenExchange, redact};
use fieldsync_schemas::event::{Exchange, StepTaken};
use serde_json::Value;
use std::time::Instant;

/// How much of what passed on the wire is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Bodies, too.
    Whole,
    /// Who asked what, and how far it came.
    Outline,
}

enum Moment {
    Step(usize),
    Begin(usize),
    End(usize),
}

/// Tells the steps and the exchanges, each with its place. Made-up ids are told by their names, where those are known.
pub(super) fn tell(
    steps: Vec<(Instant, StepTaken)>,
    seen: &[SeenExchange],
    names: Option<&Names>,
    detail: Detail,
) -> (Vec<StepTaken>, Vec<Exchange>) {
    let mut moments: Vec<(Instant, Moment)> = Vec::new();
    moments.extend(steps.iter().enumerate().map(|(index, (time, _))| (*time, Moment::Step(index))));
    for (index, one) in seen.iter().enumerate() {
        moments.push((one.started, Moment::Begin(index)));
        moments.extend(one.ended.map(|time| (time, Moment::End(index))));
    }
    moments.sort_by_key(|(time, _)| *time);
    let mut steps: Vec<StepTaken> = steps.into_iter().map(|(_, step)| step).collect();
    let mut exchanges: Vec<Exchange> = seen.iter().map(|seen| exchange(seen, names, detail)).collect();
    for (place, (_, moment)) in moments.into_iter().enumerate() {
        let place = place as u64;
        match moment {
            Moment::Step(index) => steps[index].place = place,
            Moment::Begin(index) => exchanges[index].began = place,
            Moment::End(index) => exchanges[index].ended = Some(place),
        }
    }
    (steps, exchanges)
}

fn exchange(seen: &SeenExchange, names: Option<&Names>, detail: Detail) -> Exchange {
    let mut exchange = match detail {
        Detail::Whole => redact::exchange(seen),
        Detail::Outline => redact::outline(seen),
    };
    if let Some(names) = names {
        if let Value::String(request) = names.unfill(&Value::String(std::mem::take(&mut exchange.request))) {
            exchange.request = request;
        }
        exchange.sent = names.unfill(&exchange.sent);
        exchange.answered = names.unfill(&exchange.answered);
    }
    exchange
}
