//! Devices whose processes end where it hurts: at every write of their store, and in a storm of kills and cuts.

mod mortal_device;

use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::{Case, parse, storm};
use fieldsync_conformance::spec::Spec;
use fieldsync_conformance::subject::reference::{DeviceParts, EmbeddedServer};
use fieldsync_core::device::store::{ServerCopy, ShownCopy};
use fieldsync_core::device::{Context, DeviceError, Event, Machine, Reaction, Rules};
use fieldsync_core::merge::{self, Merged, merge};
use fieldsync_schemas::event::{Event as Told, ScenarioEnded, Verdict};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::Status;
use mortal_device::MortalDevices;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// More writes than a device makes in the run below.
const MOST_WRITES: u64 = 40;

/// A run of each profile, with everything that a device stores in it: creates, edits, deletes, lost answers, lost contests
/// or merges and their entries, refusals, pages. With it, the least number of writes of either device.
const RUNS: [(&str, &str, u64, u64); 3] = [
    ("version-wins", include_str!("every_write/version-wins.yaml"), 25, 10),
    ("field-merge", include_str!("every_write/field-merge.yaml"), 20, 8),
    ("entity-queue", include_str!("every_write/entity-queue.yaml"), 20, 8),
];

/// Runs all cases; what did not pass, in words.
async fn run_all(cases: &[Case], devices: Arc<MortalDevices>, repeat: u64) -> Vec<String> {
    let embedded = EmbeddedServer::start().await.expect("the reference starts");
    let server = Arc::new(embedded.connect().await.expect("the reference answers"));
    let spec = Arc::new(Spec::embedded().expect("the specification is sound"));
    let options = Options { jobs: 4, timeout: Duration::from_secs(30), repeat: repeat as u32, ..Options::default() };
    let cases: Vec<&Case> = cases.iter().collect();
    let events = run::run(&cases, &spec, server, devices, &options, &mut |_| {}).await;
    let ended: Vec<&ScenarioEnded> = events
        .iter()
        .filter_map(|event| match event {
            Told::Scenario(ended) => Some(&**ended),
            _ => None,
        })
        .collect();
    let runs: usize = cases.iter().map(|case| profiles_of(case)).sum();
    assert_eq!(ended.len(), runs * repeat as usize, "everything has run");
    ended.into_iter().filter(|ended| ended.verdict != Verdict::Pass).map(told).collect()
}

/// Under how many profiles a scenario runs: the one that it names, or each of the reference's.
fn profiles_of(case: &Case) -> usize {
    if case.scenario.profile.named().is_empty() { 3 } else { 1 }
}

fn told(ended: &ScenarioEnded) -> String {
    let failures: Vec<String> = ended
        .failures
        .iter()
        .map(|one| format!("{}, line {}: {}: expected {}, got {}", one.rule, one.line, one.what, one.expected, one.got))
        .collect();
    let log = ended.log.as_deref().unwrap_or_default();
    format!(
        "{} ({log}): {:?} {} {}",
        ended.id,
        ended.verdict,
        ended.reason.as_deref().unwrap_or(""),
        failures.join("; ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_ends_at_any_write_comes_to_rest() {
    for (profile, run, least_of_tablet, least_of_phone) in RUNS {
        let cases = parse(&format!("fixtures/scenarios/storm/every-write-{profile}.yaml"), run).expect("it loads");
        for (device, least) in [("tablet", least_of_tablet), ("phone", least_of_phone)] {
            let devices = Arc::new(MortalDevices::ending_at_every_write_of(device));
            let failed = run_all(&cases, devices.clone(), 2 * MOST_WRITES).await;
            assert!(failed.is_empty(), "{}", failed.join("\n"));
            let struck = devices.ended_at();
            println!("{profile}: {device} ended at each of {} writes", struck.len());
            assert_eq!(struck, (1..=struck.len() as u64).collect(), "no write is passed over");
            assert!(
                (least..MOST_WRITES).contains(&(struck.len() as u64)),
                "{} writes: none is left over",
                struck.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_kills_and_cuts_end_in_one_state() {
    let mut cases: Vec<Case> = (0..20).map(|seed| storm::storm(seed, 10).expect("a fixture that loads")).collect();
    cases.extend((0..10).map(|seed| storm::storm_of_merges(seed, 10).expect("a fixture that loads")));
    let kills: usize = cases.iter().map(|case| case.source.matches("kill:").count() * profiles_of(case)).sum();
    let devices = Arc::new(MortalDevices::default());
    let failed = run_all(&cases, devices.clone(), 1).await;
    assert!(failed.is_empty(), "the id of a scenario is its seed:\n{}", failed.join("\n"));
    // A cut shows in the sync that fails by it; a kill shows here.
    assert_eq!(devices.kills(), kills);
}

/// Merges, and now and then forgets what that overrode.
fn forgetful(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &merge::Rules) -> Merged {
    static OVERRIDES: AtomicUsize = AtomicUsize::new(0);
    let mut merged = merge(base, local, server, rules);
    merged.overridden.retain(|_| !OVERRIDES.fetch_add(1, Ordering::Relaxed).is_multiple_of(3));
    merged
}

struct Forgetful(Arc<dyn Rules>);

impl Rules for Forgetful {
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        self.0.handle(machine, event, &Context { merge: forgetful, ..*context })
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        self.0.status(machine, record)
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        self.0.shown(machine, record, server)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_shows_an_override_that_was_not_logged() {
    let cases: Vec<Case> = (0..3).map(|seed| storm::storm_of_merges(seed, 10).expect("a fixture that loads")).collect();
    let devices = MortalDevices::with(|parts| DeviceParts { rules: Arc::new(Forgetful(parts.rules)), ..parts });
    let failed = run_all(&cases, Arc::new(devices), 1).await;
    assert!(failed.iter().any(|told| told.contains("conflicts.device.each-override")), "{}", failed.join("\n"));
}
