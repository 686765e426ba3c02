//! The order in which a scenario is drawn, where it was left to chance.
//!
//! Devices that sync at once ask in any order, and an answer may come a moment before or after the next step is begun. Two
//! runs are to make one drawing, so of what was side by side the devices go in their order, an answer stands below its
//! request unless a step had to be taken first, and a step that waits for what a device does by itself stands above it.

use fieldsync_schemas::event::{ScenarioEnded, StepTaken};
use std::cmp::Reverse;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Step(usize),
    Begin(usize),
    End(usize),
}

/// Puts all that happened into an order that every run has.
pub(super) fn settle(ended: &mut ScenarioEnded) {
    let mut order = begun(ended);
    lift_waiting(&mut order, ended);
    sort_side_by_side(&mut order, ended);
    let order = with_ends(&order, ended);
    for (place, moment) in order.iter().enumerate() {
        let place = place as u64;
        match *moment {
            Moment::Step(index) => ended.steps[index].place = place,
            Moment::Begin(index) => ended.exchanges[index].began = place,
            Moment::End(index) => ended.exchanges[index].ended = Some(place),
        }
    }
    ended.exchanges.sort_by_key(|one| one.began);
}

/// Steps and beginnings of exchanges, as they came.
fn begun(ended: &ScenarioEnded) -> Vec<Moment> {
    let steps = ended.steps.iter().enumerate().map(|(index, step)| (step.place, Moment::Step(index)));
    let begins = ended.exchanges.iter().enumerate().map(|(index, one)| (one.began, Moment::Begin(index)));
    let mut all: Vec<(u64, Moment)> = steps.chain(begins).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, moment)| moment).collect()
}

fn waits(step: &StepTaken) -> bool {
    step.what.starts_with("asks:")
}

/// A device that syncs by itself asks before or after the step that waits for it, and may have ended before the step that
/// waits for its end.
fn lift_waiting(order: &mut Vec<Moment>, ended: &ScenarioEnded) {
    let mut before: Option<&StepTaken> = None;
    let mut at = 0;
    while at < order.len() {
        if let Moment::Step(index) = order[at] {
            let step = &ended.steps[index];
            let follows = before.is_some_and(|before| waits(before) && before.actor == step.actor);
            if waits(step) || (follows && step.what.starts_with("sync")) {
                let above = order[..at].iter().rposition(|moment| matches!(moment, Moment::Step(_)));
                let moment = order.remove(at);
                order.insert(above.map_or(0, |above| above + 1), moment);
            }
            before = Some(step);
        }
        at += 1;
    }
}

/// Between two steps, each device asks for itself.
fn sort_side_by_side(order: &mut [Moment], ended: &ScenarioEnded) {
    let mut names: Vec<&str> = Vec::new();
    for step in &ended.steps {
        if !names.contains(&step.actor.as_str()) {
            names.push(&step.actor);
        }
    }
    let lane = |index: usize| {
        let by = ended.exchanges[index].by.as_str();
        (names.iter().position(|name| *name == by).unwrap_or(names.len()), by.to_owned())
    };
    for part in order.split_mut(|moment| matches!(moment, Moment::Step(_))) {
        part.sort_by_cached_key(|moment| match moment {
            Moment::Begin(index) => lane(*index),
            _ => unreachable!("steps part the order, and ends are not in it yet"),
        });
    }
}

/// The order with the end of each exchange: below its beginning, or below the last step that let it go on.
fn with_ends(order: &[Moment], ended: &ScenarioEnded) -> Vec<Moment> {
    let mut ends: Vec<(usize, usize)> = Vec::new();
    for (at, moment) in order.iter().enumerate() {
        let Moment::Begin(index) = *moment else { continue };
        let one = &ended.exchanges[index];
        let Some(end) = one.ended else { continue };
        let lets_go = |step: &StepTaken| {
            let is_outside = ["release", "server", "network"].contains(&step.actor.as_str());
            let ends_it = step.actor == one.by && !waits(step) && !step.what.starts_with("sync");
            (one.began..end).contains(&step.place) && (is_outside || ends_it)
        };
        let last = order.iter().rposition(|other| matches!(other, Moment::Step(step) if lets_go(&ended.steps[*step])));
        ends.push((last.filter(|last| *last > at).unwrap_or(at), index));
    }
    let mut all = order.to_vec();
    ends.sort_by_key(|(below, index)| (Reverse(*below), Reverse(*index)));
    for (below, index) in ends {
        all.insert(below + 1, Moment::End(index));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;
    use fieldsync_schemas::event::{Course, Event, Exchange};

    /// A scenario of moments: `tablet: sync: ok` is a step, `tablet> 1` the beginning of an exchange, `< 1` its end.
    fn ended(moments: &[&str]) -> ScenarioEnded {
        let Event::Scenario(mut ended) = runs::passed("push/x") else { panic!() };
        let mut numbers = Vec::new();
        for (place, moment) in moments.iter().enumerate() {
            let place = place as u64;
            if let Some((by, number)) = moment.split_once("> ") {
                numbers.push(number);
                ended.exchanges.push(Exchange {
                    by: by.to_owned(),
                    request: number.to_owned(),
                    sent: serde_json::Value::Null,
                    status: Some(200),
                    answered: serde_json::Value::Null,
                    fault: None,
                    course: Course::Whole,
                    began: place,
                    ended: None,
                });
            } else if let Some(number) = moment.strip_prefix("< ") {
                let index = numbers.iter().position(|known| known == &number).unwrap();
                ended.exchanges[index].ended = Some(place);
            } else {
                let (actor, what) = moment.split_once(": ").unwrap();
                ended.steps.push(StepTaken { place, line: 1, actor: actor.to_owned(), what: what.to_owned() });
            }
        }
        *ended
    }

    fn settled(moments: &[&str]) -> Vec<String> {
        let mut ended = ended(moments);
        settle(&mut ended);
        let mut told: Vec<(u64, String)> =
            ended.steps.iter().map(|step| (step.place, format!("{}: {}", step.actor, step.what))).collect();
        for one in &ended.exchanges {
            told.push((one.began, format!("{}> {}", one.by, one.request)));
            told.extend(one.ended.map(|place| (place, format!("< {}", one.request))));
        }
        told.sort();
        told.into_iter().map(|(_, told)| told).collect()
    }

    #[test]
    fn what_was_in_order_stays_so() {
        let moments =
            ["tablet: sync: ok", "tablet> 1", "< 1", "tablet> 2", "< 2", "phone: sync: ok", "phone> 3", "< 3"];
        assert_eq!(settled(&moments), moments);
    }

    #[test]
    fn devices_that_sync_at_once_go_in_their_order() {
        let settled_so =
            ["tablet: sync: ok", "phone: sync: ok", "tablet> 1", "< 1", "tablet> 3", "< 3", "phone> 2", "< 2"];
        for moments in [
            ["tablet: sync: ok", "phone: sync: ok", "tablet> 1", "phone> 2", "< 1", "tablet> 3", "< 2", "< 3"],
            ["tablet: sync: ok", "phone: sync: ok", "phone> 2", "tablet> 1", "< 2", "< 1", "tablet> 3", "< 3"],
        ] {
            assert_eq!(settled(&moments), settled_so);
        }
    }

    #[test]
    fn an_answer_that_was_held_stands_below_what_let_it_go() {
        let settled_so = [
            "tablet: sync: begins",
            "tablet> 1",
            "phone: sync: ok",
            "phone> 2",
            "< 2",
            "release: tablet",
            "< 1",
            "phone: reads",
        ];
        for last in [["< 1", "phone: reads"], ["phone: reads", "< 1"]] {
            let begin = ["tablet: sync: begins", "tablet> 1", "phone: sync: ok", "phone> 2", "< 2", "release: tablet"];
            assert_eq!(settled(&[&begin[..], &last].concat()), settled_so);
        }
    }

    #[test]
    fn a_step_that_waits_stands_above_what_it_waits_for() {
        let settled_so =
            ["tablet: create", "tablet: asks: push", "tablet: sync: ok", "tablet> 1", "< 1", "tablet> 2", "< 2"];
        for moments in [
            ["tablet: create", "tablet> 1", "tablet: asks: push", "< 1", "tablet> 2", "tablet: sync: ok", "< 2"],
            ["tablet: create", "tablet: asks: push", "tablet> 1", "tablet: sync: ok", "< 1", "tablet> 2", "< 2"],
        ] {
            assert_eq!(settled(&moments), settled_so);
        }
    }
}
