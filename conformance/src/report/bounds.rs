//! How much of a subject's words a report takes in. Events are bounded where they come into being and where they are
//! read, so that no renderer meets a string of ten megabytes.

use crate::tap::redact::{Limits, bounded, shortened};
use fieldsync_schemas::event::{Event, Exchange, Failure, ScenarioEnded, StepTaken};
use fieldsync_schemas::registry::Profile;

/// The longest name.
const NAME: usize = 200;
/// The longest line.
const LINE: usize = 500;
/// The longest text of several lines.
const TEXT: usize = 4000;
/// The longest list of names.
const NAMES: usize = 100;
/// The most steps or exchanges of a scenario.
const MOMENTS: usize = 1000;
/// The most failures of a scenario.
const FAILURES: usize = 50;
/// The bodies of exchanges, which were cut before.
const BODIES: Limits = Limits { values: 2 * Limits::BODY.values, ..Limits::BODY };
/// What was expected and what was got.
const VALUES: Limits = Limits { text: 2000, items: 100, values: 2000 };

/// Cuts what is long. What was cut before stays as it is.
pub fn bound(event: &mut Event) {
    match event {
        Event::Header(header) => {
            let subject = &mut header.subject;
            for text in [&mut header.suite, &mut header.protocol] {
                shorten(text, NAME);
            }
            shorten(&mut header.again, TEXT);
            shorten(&mut header.selection, NAME);
            subject.client.iter_mut().for_each(|client| shorten(client, LINE));
            shorten(&mut subject.name, LINE);
            names(&mut subject.capabilities);
            names(&mut subject.control);
            subject.profiles.truncate(NAMES);
            subject.profiles.iter_mut().for_each(profile);
        }
        Event::Blocked(blocked) => {
            shorten(&mut blocked.doing, LINE);
            shorten(&mut blocked.reason, TEXT);
        }
        Event::Scenario(ended) => scenario(ended),
        Event::Footer(footer) => {
            let verdicts = std::mem::take(&mut footer.verdicts);
            footer.verdicts =
                verdicts.into_iter().take(NAMES).map(|(name, count)| (short(name, NAME), count)).collect();
            if let Some(cleanup) = &mut footer.cleanup {
                let left = std::mem::take(&mut cleanup.left);
                cleanup.left = left.into_iter().take(NAMES).map(|(name, count)| (short(name, LINE), count)).collect();
            }
            if let Some(baseline) = &mut footer.baseline {
                shorten(&mut baseline.file, LINE);
                baseline.problems.truncate(NAMES);
                baseline.problems.iter_mut().for_each(|problem| shorten(&mut problem.problem, LINE));
            }
        }
    }
}

fn scenario(ended: &mut ScenarioEnded) {
    shorten(&mut ended.id, NAME);
    shorten(&mut ended.title, LINE);
    profile(&mut ended.profile);
    ended.covers.truncate(NAMES);
    names(&mut ended.needs);
    ended.roles.iter_mut().for_each(|roles| shorten(roles, NAME));
    ended.reason.iter_mut().for_each(|reason| shorten(reason, TEXT));
    if let Some(known) = &mut ended.known {
        for text in [&mut known.reason, &mut known.issue, &mut known.expires] {
            shorten(text, LINE);
        }
    }
    // The end of a log says why.
    ended.log.iter_mut().for_each(|log| *log = end_of(log, TEXT));
    ended.failures.truncate(FAILURES);
    ended.failures.iter_mut().for_each(failure);
    ended.steps.truncate(MOMENTS);
    ended.steps.iter_mut().for_each(step);
    ended.exchanges.truncate(MOMENTS);
    ended.exchanges.iter_mut().for_each(exchange);
}

fn failure(failure: &mut Failure) {
    shorten(&mut failure.what, LINE);
    failure.expected = shortened(&failure.expected, VALUES);
    failure.got = shortened(&failure.got, VALUES);
}

fn step(step: &mut StepTaken) {
    shorten(&mut step.actor, NAME);
    shorten(&mut step.what, LINE);
}

fn exchange(exchange: &mut Exchange) {
    shorten(&mut exchange.by, NAME);
    shorten(&mut exchange.request, LINE);
    exchange.fault.iter_mut().for_each(|fault| shorten(fault, LINE));
    exchange.sent = shortened(&exchange.sent, BODIES);
    exchange.answered = shortened(&exchange.answered, BODIES);
}

fn profile(profile: &mut Profile) {
    if let Profile::Other(name) = profile {
        shorten(name, NAME);
    }
}

fn names(all: &mut Vec<String>) {
    all.truncate(NAMES);
    all.iter_mut().for_each(|name| shorten(name, NAME));
}

/// A little more than the limit is left, so that a text that was cut before is not cut again.
fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        *text = bounded(text, most);
    }
}

fn short(mut text: String, most: usize) -> String {
    shorten(&mut text, most);
    text
}

fn end_of(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most + 1 {
        return text.to_owned();
    }
    format!("…{}", text.chars().skip(length - most).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;

    #[test]
    fn a_stream_of_long_texts_becomes_short_and_stays_as_it_is() {
        let mut events = runs::hostile(200_000);
        events.iter_mut().for_each(bound);
        let size: usize = events.iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
        assert!(size < 100_000, "{size}");
        let once = events.clone();
        events.iter_mut().for_each(bound);
        assert!(events == once, "what was cut is not cut again");
    }

    #[test]
    fn what_is_short_is_left_alone() {
        let mut events = runs::not_tested();
        events.iter_mut().for_each(bound);
        assert_eq!(events, runs::not_tested());
    }
}
