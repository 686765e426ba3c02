//! Recorded traffic as a run: a rule that traffic can show takes the place of a scenario.

use super::{Options, footer, header, millis};
use crate::har::Traffic;
use crate::judge::passive::{self, Looked};
use crate::judge::verdict::{binds, verdict};
use crate::report::bounds;
use crate::spec::Spec;
use crate::tap::{SeenExchange, redact};
use fieldsync_schemas::discovery::Discovery;
use fieldsync_schemas::event::{Actor, Event, ScenarioEnded, SubjectDescription, Verdict};
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::scenario::CallKind;
use fieldsync_schemas::session::Session;
use std::time::Instant;

/// Judges the traffic of data sets by the rules of these sides that traffic alone can show to be broken.
pub fn judge_recorded(name: &str, traffic: &[Traffic], spec: &Spec, judged: &[Actor]) -> Vec<Event> {
    let started = Instant::now();
    // It proves no conformance: most rules need somebody who acts.
    let options = Options { judged: judged.to_vec(), filtered: true, ..Options::default() };
    let profiles: Vec<Profile> = traffic.iter().filter_map(|of| profile(&of.exchanges)).collect();
    let looked: Vec<Vec<Looked>> = traffic.iter().map(|of| passive::examine(&of.exchanges)).collect();
    let ended: Vec<ScenarioEnded> = passive::rules()
        .enumerate()
        .filter(|(_, rule)| binds(spec, rule, judged))
        .map(|(index, rule)| {
            let of: Vec<_> =
                traffic.iter().zip(&looked).map(|(of, looked)| (&of.exchanges[..], &looked[index])).collect();
            ended(rule, &of, profiles.first(), spec)
        })
        .collect();
    let subject = SubjectDescription {
        judged: judged.to_vec(),
        name: name.to_owned(),
        client: None,
        profiles,
        capabilities: Vec::new(),
        control: Vec::new(),
    };
    let mut events = vec![Event::Header(header(subject, &options, ended.len() as u64))];
    let footer = footer(ended.iter(), spec, judged, millis(started));
    events.extend(ended.into_iter().map(|one| Event::Scenario(Box::new(one))));
    events.push(Event::Footer(footer));
    events.iter_mut().for_each(bounds::bound);
    events
}

/// The profile of a data set, as discovery or session says it.
fn profile(exchanges: &[SeenExchange]) -> Option<Profile> {
    exchanges.iter().find_map(|seen| {
        let body = &seen.upstream.as_ref()?.body.bytes;
        match seen.kind {
            CallKind::Discovery => Some(serde_json::from_slice::<Discovery>(body).ok()?.profile),
            CallKind::Session => Some(serde_json::from_slice::<Session>(body).ok()?.profile),
            _ => None,
        }
    })
}

/// One rule over all data sets, with the exchanges that break it.
fn ended(rule: &str, of: &[(&[SeenExchange], &Looked)], profile: Option<&Profile>, spec: &Spec) -> ScenarioEnded {
    let known = spec.rule(rule).expect("every rule that is looked at stands in the specification");
    let checks = of.iter().map(|(_, looked)| looked.count).sum();
    let mut failures = Vec::new();
    let mut exchanges = Vec::new();
    for (seen, looked) in of {
        for failure in &looked.failures {
            let mut failure = failure.clone();
            if let Some(index) = failure.exchange {
                failure.exchange = Some(exchanges.len() as u64);
                exchanges.push(redact::exchange(&seen[index as usize]));
            }
            failures.push(failure);
        }
    }
    let shows_nothing = checks == 0 && failures.is_empty();
    ScenarioEnded {
        id: rule.replacen('.', "/", 1),
        title: known.sentence.clone(),
        // Where nothing in the traffic says it, the rules that are looked at are those of every profile.
        profile: profile.cloned().unwrap_or(Profile::VersionWins),
        roles: None,
        covers: vec![known.id.clone()],
        needs: Vec::new(),
        verdict: if shows_nothing { Verdict::NotTested } else { verdict(&failures, spec) },
        known: None,
        blame: None,
        reason: shows_nothing.then(|| "nothing in this traffic shows it".to_owned()),
        failures,
        steps: Vec::new(),
        exchanges,
        log: None,
        checks,
        millis: 0,
    }
}
