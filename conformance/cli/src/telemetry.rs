//! `fieldsync telemetry`: what the devices of a data set tell of their syncs, for those who look after the users.
//!
//! A device's clock may be years off, and a phone that could not tell for a week tells everything at once. So the order is
//! that in which the server took it in, in which the feed gives it.

use crate::command_error::CommandError;
use crate::output;
use crate::remote::RemoteArgs;
use clap::Args;
use fieldsync_conformance::report::text::{Text, Tone};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::id::{Principal, ReplicaId};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::telemetry::{SyncEndWord, SyncTelemetry, TELEMETRY_FEED};
use fieldsync_schemas::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What is told of a failure is cut off here; `--all` tells it whole.
const WIDTH: usize = 80;

/// The arguments of `telemetry`.
#[derive(Debug, Args)]
pub struct TelemetryArgs {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Also list every sync, in the order in which they were told.
    #[arg(long)]
    pub all: bool,
    /// A user who ought to tell: listed as silent where nothing came. Once for each.
    #[arg(long, value_name = "NAME")]
    pub expect: Vec<Principal>,
}

/// Pulls the feed and lists it by user and device, those who are worst off first.
pub fn run(args: TelemetryArgs) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let pulled = runtime.block_on(args.remote.pulled(TELEMETRY_FEED)).map_err(CommandError::usage)?;
    output::print(&listed(pulled.iter().filter_map(told).collect(), &args.expect, args.all).plain())?;
    Ok(ExitStatus::Conformant)
}

/// One sync, as it was told.
struct Told {
    /// The replica under which the device tells: each device has its own.
    by: Option<ReplicaId>,
    accepted_at: Timestamp,
    sync: SyncTelemetry,
}

/// A device may tell what this program does not know.
fn told(record: &Record) -> Option<Told> {
    let sync = serde_json::from_str(record.data.as_ref()?.get()).ok()?;
    Some(Told { by: record.replica.clone(), accepted_at: record.accepted_at, sync })
}

/// What is known of the syncs of one device.
struct OfDevice {
    user: Principal,
    syncs: Vec<Told>,
}

impl OfDevice {
    /// The last sync that went well.
    fn last_good(&self) -> Option<&Told> {
        self.syncs.iter().rfind(|one| one.sync.outcome == SyncEndWord::Ok)
    }

    /// The syncs that did not since, the last one at the end.
    fn bad_since(&self) -> &[Told] {
        let good = self.syncs.iter().rposition(|one| one.sync.outcome == SyncEndWord::Ok);
        &self.syncs[good.map_or(0, |place| place + 1)..]
    }

    /// The app and the device, as they were last told.
    fn names(&self) -> String {
        let last = self.syncs.last().map(|one| [&one.sync.app, &one.sync.device]);
        let names: Vec<&str> = last.into_iter().flatten().flatten().map(String::as_str).collect();
        names.join(", ")
    }
}

/// A few lines a device, the one that has failed most since its last good sync first, the silent users at the end.
fn listed(told: Vec<Told>, expected: &[Principal], all: bool) -> Text {
    let mut devices: BTreeMap<(Principal, Option<ReplicaId>), Vec<Told>> = BTreeMap::new();
    for one in told {
        devices.entry((one.sync.user.clone(), one.by.clone())).or_default().push(one);
    }
    let mut devices: Vec<OfDevice> = devices.into_iter().map(|((user, _), syncs)| OfDevice { user, syncs }).collect();
    devices.sort_by_key(|device| (Reverse(device.bad_since().len()), device.user.clone()));
    let mut text = Text::default();
    let columns =
        |user: &str, syncs: &str, good: &str, failed: &str| format!("{user:<24} {syncs:>6}  {good:<24}  {failed:>6}");
    text.line(Tone::Strong, columns("user", "syncs", "last good sync", "failed"));
    for device in &devices {
        let (good, bad) = (device.last_good(), device.bad_since());
        let good = good.map_or_else(|| "never".to_owned(), |one| one.accepted_at.to_string());
        let (syncs, failed) = (device.syncs.len().to_string(), bad.len().to_string());
        text.line(Tone::Plain, columns(device.user.as_str(), &syncs, &good, &failed));
        let names = device.names();
        if !names.is_empty() {
            text.wrapped(Tone::Faint, "  with  ", &names, WIDTH);
        }
        if let Some(last) = bad.last() {
            text.wrapped(Tone::Bad, "  last  ", &trouble(&last.sync), WIDTH);
        }
        for one in device.syncs.iter().filter(|_| all) {
            tell(&mut text, one);
        }
    }
    for user in expected.iter().filter(|user| devices.iter().all(|device| device.user != **user)) {
        text.line(Tone::Bad, columns(user.as_str(), "0", "never", "0"));
        text.line(Tone::Bad, "  silent: no device of theirs has told of a sync");
    }
    text
}

fn tell(text: &mut Text, told: &Told) {
    let sync = &told.sync;
    let (pushed, pulled): (u64, u64) = (sync.pushed.values().sum(), sync.pulled.values().sum());
    let counts = format!("{pushed} pushed, {pulled} pulled, {} given up", sync.given_up);
    let bytes = format!("{} requests, {} B sent, {} B received", sync.requests, sync.bytes_sent, sync.bytes_received);
    let outcome = if sync.outcome == SyncEndWord::Ok { "ok".to_owned() } else { trouble(sync) };
    text.wrapped(Tone::Plain, &format!("  {}  ", told.accepted_at), &format!("{outcome}; {counts}; {bytes}"), WIDTH);
}

/// Why a sync did not go well.
fn trouble(sync: &SyncTelemetry) -> String {
    let cause = sync.cause.map(|cause| serde_json::to_value(cause).unwrap_or_default());
    let cause = cause.as_ref().and_then(|cause| cause.as_str()).unwrap_or_default();
    match (&sync.outcome, &sync.detail) {
        (SyncEndWord::Failed, Some(detail)) => format!("{cause}: {detail}"),
        (SyncEndWord::Failed, None) => cause.to_owned(),
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sync(user: &str, by: &str, minute: u32, outcome: &str) -> Told {
        let mut sync = json!({"user": user, "outcome": outcome, "started_at": "2020-01-01T00:00:00Z",
            "app": "visits 3.1", "device": by});
        if outcome == "failed" {
            sync["cause"] = json!("network");
            sync["detail"] = json!("cut\u{1b}[2J off");
        }
        Told {
            by: by.parse().ok(),
            accepted_at: format!("2026-12-01T08:{minute:02}:00Z").parse().unwrap(),
            sync: serde_json::from_value(sync).unwrap(),
        }
    }

    #[test]
    fn who_fails_stands_first_each_device_for_itself() {
        let told = vec![
            sync("amina", "tablet", 1, "failed"),
            sync("juma", "old-phone", 2, "ok"),
            sync("juma", "new-phone", 3, "failed"),
            sync("juma", "new-phone", 4, "failed"),
            sync("amina", "tablet", 5, "ok"),
        ];
        let expected: Vec<Principal> = ["amina", "asha"].map(|name| name.parse().unwrap()).into();
        let text = listed(told, &expected, false).plain();
        let wanted = "\
user                      syncs  last good sync            failed
juma                          2  never                          2
  with  visits 3.1, new-phone
  last  network: cut\\u{1b}[2J off
amina                         2  2026-12-01T08:05:00.000Z       0
  with  visits 3.1, tablet
juma                          1  2026-12-01T08:02:00.000Z       0
  with  visits 3.1, old-phone
asha                          0  never                          0
  silent: no device of theirs has told of a sync
";
        assert_eq!(text, wanted);
    }

    #[test]
    fn all_tells_every_sync_within_eighty_columns() {
        let text =
            listed(vec![sync("amina", "tablet", 1, "killed"), sync("amina", "tablet", 2, "ok")], &[], true).plain();
        assert!(text.contains("  2026-12-01T08:01:00.000Z  killed; 0 pushed"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
