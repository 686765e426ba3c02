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

#[cfg(test)]
mod tests {
    use crate::run::{Options, run};
    use crate::scenario::{Case, parse};
    use crate::spec::Spec;
    use crate::subject::reference::{EmbeddedServer, ReferenceDevices};
    use fieldsync_schemas::event::{Course, Event, ScenarioEnded, Verdict};
    use serde_json::Value;
    use std::sync::Arc;
    use std::time::Duration;

    const BEGIN: &str = "title: What happened is told in its order\ncovers: [push.retry.same-outcome]\n\
        profile: version-wins\ndevices: [tablet]\nsteps:\n\
        \x20 - tablet: {create: {observation: fever, data: {temp: 38.1}}}\n";

    /// The scenario that goes on with these steps, against the reference.
    async fn ended(steps: &str, timeout: Duration) -> ScenarioEnded {
        let cases = parse("fixtures/scenarios/push/told.yaml", &format!("{BEGIN}{steps}")).unwrap();
        let cases: Vec<&Case> = cases.iter().collect();
        let embedded = EmbeddedServer::start().await.unwrap();
        let server = embedded.connect().await.unwrap_or_else(|blocked| panic!("{}", blocked.reason));
        let spec = Arc::new(Spec::embedded().unwrap());
        let options = Options { timeout, ..Options::default() };
        let devices = Arc::new(ReferenceDevices::default());
        let events = run(&cases, &spec, Arc::new(server), devices, &options, &mut |_| {}).await;
        let ended = events.into_iter().find_map(|event| match event {
            Event::Scenario(ended) => Some(*ended),
            _ => None,
        });
        ended.unwrap()
    }

    /// All that happened, in the order of the places.
    fn told(ended: &ScenarioEnded) -> Vec<String> {
        let mut told: Vec<(u64, String)> = Vec::new();
        told.extend(ended.steps.iter().map(|step| (step.place, format!("{}: {}", step.actor, step.what))));
        for one in &ended.exchanges {
            told.push((one.began, one.request.clone()));
            told.extend(one.ended.map(|place| (place, format!("{:?} {}", one.course, one.status.unwrap_or(0)))));
        }
        told.sort();
        told.into_iter().map(|(_, told)| told).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scenario_that_passed_is_told_in_outline() {
        let ended = ended("  - tablet: {sync: ok}\n", Duration::from_secs(30)).await;
        assert_eq!(ended.verdict, Verdict::Pass, "{ended:?}");
        let told = told(&ended);
        assert_eq!(told[..2], ["tablet: create: {observation: fever, data: {temp: 38.1}}", "tablet: sync: ok"]);
        let push = told.iter().position(|one| one == "POST /push").unwrap();
        assert_eq!(told[push + 1], "Whole 200");
        assert!(ended.exchanges.iter().all(|one| one.sent.is_null() && one.answered.is_null()), "{ended:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scenario_that_failed_is_told_whole_and_up_to_there() {
        let steps = "  - tablet: {sync: ok}\n  - tablet: {reads: {fever: {temp: 39}}}\n  - tablet: {sync: ok}\n";
        let ended = ended(steps, Duration::from_secs(30)).await;
        assert_eq!(ended.verdict, Verdict::Fail, "{ended:?}");
        assert_eq!(told(&ended).last().unwrap(), "tablet: reads: {fever: {temp: 39}}");
        assert_eq!(ended.steps.last().unwrap().line, ended.failures[0].line);
        let push = ended.exchanges.iter().find(|one| one.request == "POST /push").unwrap();
        assert_eq!(push.sent.pointer("/mutations/0/id"), Some(&Value::from("${fever}")), "{push:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scenario_without_end_is_told_as_far_as_it_came() {
        let steps = "  - network: {hold: push, of: tablet, at: request}\n  - tablet: {sync: ok}\n";
        let ended = ended(steps, Duration::from_secs(2)).await;
        assert_eq!(ended.verdict, Verdict::Fail, "{ended:?}");
        let push = ended.exchanges.iter().find(|one| one.request == "POST /push").unwrap();
        assert_eq!((push.course, push.ended), (Course::UnderWay, None));
        assert_eq!(ended.steps.last().unwrap().what, "sync: ok");
    }
}
