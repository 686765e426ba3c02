//! What happened in a scenario, moment by moment: what every drawing of it goes through from top to bottom.

use fieldsync_schemas::event::{Exchange, ScenarioEnded, StepTaken};

/// Something that happened. An exchange has its place among those of the scenario.
pub(super) enum Moment<'a> {
    Step(&'a StepTaken),
    Asked(usize, &'a Exchange),
    Answered(usize, &'a Exchange),
}

/// What happened, in the order in which it did.
pub(super) fn moments(ended: &ScenarioEnded) -> Vec<Moment<'_>> {
    let mut moments: Vec<(u64, usize, Moment<'_>)> = Vec::new();
    moments.extend(ended.steps.iter().map(|step| (step.place, 0, Moment::Step(step))));
    for (index, one) in ended.exchanges.iter().enumerate() {
        moments.push((one.began, 2 * index + 1, Moment::Asked(index, one)));
        if one.ended.is_some() || one.status.is_some() {
            moments.push((one.ended.unwrap_or(one.began), 2 * index + 2, Moment::Answered(index, one)));
        }
    }
    moments.sort_by_key(|(place, order, _)| (*place, *order));
    moments.into_iter().map(|(_, _, moment)| moment).collect()
}

/// Where a step is taken.
pub(super) enum On<'a> {
    Device(&'a str),
    Tap,
    Server,
}

/// Where a step is taken, and what is done there.
pub(super) fn taken(step: &StepTaken) -> (On<'_>, String) {
    match step.actor.as_str() {
        "network" => (On::Tap, step.what.clone()),
        "release" => (On::Tap, format!("lets go what is held of {}", step.what)),
        "server" => (On::Server, step.what.clone()),
        name => (On::Device(name), step.what.clone()),
    }
}

/// The devices: those that act in the order in which they do, then those that are only seen to ask.
pub(super) fn devices(ended: &ScenarioEnded) -> Vec<&str> {
    let acting = ended.steps.iter().filter_map(|step| match taken(step).0 {
        On::Device(name) => Some(name),
        On::Tap | On::Server => None,
    });
    let mut devices: Vec<&str> = Vec::new();
    for name in acting.chain(ended.exchanges.iter().map(|one| one.by.as_str())) {
        if !devices.contains(&name) {
            devices.push(name);
        }
    }
    devices
}

/// How an exchange was answered, in a word.
pub(super) fn answer(exchange: &Exchange) -> String {
    exchange.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}
