//! A device that comes back: all that was made on it without a network goes up in one sync.
//!
//! The reference device has 2,000 or 20,000 unsent records of 28 types in its SQLite store, in chains of four in which
//! each refers to the one before it, and pushes them in batches of 100. In a second store each chain is a group. What a
//! record costs must not grow with the number of those that wait behind it, so the ratio of both sizes is what counts.
//! Processor time is that of the device's process, to hundredths of a second; the server is a process of its own.

use fieldsync_benches::hosted::{Hosted, PARENT, REFERENCE_RECORDS};
use fieldsync_benches::records::{self, Ids, Numbers};
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer};
use fieldsync_benches::{Outcome, device, process, rounds};
use fieldsync_client::{Device, DeviceOptions};
use fieldsync_core::device::SyncOutcome;
use fieldsync_schemas::pull::RecordRef;
use serde_json::{Map, Value};
use std::time::Instant;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const FEW: usize = 2_000;
const MANY: usize = 20_000;
/// The mutations of a batch.
const BATCH: u32 = 100;
/// The records of a chain.
const CHAIN: usize = 4;

fn main() -> Outcome {
    server::serve_if_asked()?;
    report::begin(&format!("a device comes back: {FEW} or {MANY} unsent records, in batches of {BATCH}"));
    tokio::runtime::Runtime::new()?.block_on(async {
        for (name, grouped) in [("parents", false), ("groups", true)] {
            let (mut few, mut many) = (Measured::default(), Measured::default());
            for _ in 0..rounds() {
                measure(FEW, grouped, &mut few).await?;
                measure(MANY, grouped, &mut many).await?;
            }
            report::line(&format!("{name}: {MANY} records"), "s", &many.seconds, Target::None, "");
            report::line("device's processor time", "s", &many.cpu, Target::None, "");
            let ratio = report::median(&many.cpu) / report::median(&few.cpu) * FEW as f64 / MANY as f64;
            let what = "of it for a record, against few";
            report::line(what, "times", &[ratio], Target::AtMost(1.5), &format!("{FEW} records wait"));
        }
        Ok(())
    })
}

/// Seconds of each round.
#[derive(Default)]
struct Measured {
    seconds: Vec<f64>,
    cpu: Vec<f64>,
}

async fn measure(count: usize, grouped: bool, measured: &mut Measured) -> Outcome {
    let server = BenchServer::start(DIR, Hosted::Queue)?;
    let dir = tempfile::tempdir_in(DIR)?;
    let open = || {
        let options = device::options(server.base_url(), dir.path())?;
        Outcome::Ok(Device::open(DeviceOptions { batch_limit: Some(BATCH), ..options })?)
    };
    fill(&open()?, count, grouped)?;
    let device = open()?;
    let cpu = || process::cpu_time(std::process::id()).unwrap_or_default();
    let (began, cpu_before) = (Instant::now(), cpu());
    let report = device.sync().await;
    measured.seconds.push(began.elapsed().as_secs_f64());
    measured.cpu.push((cpu() - cpu_before).as_secs_f64());
    match report.outcome {
        SyncOutcome::Ok if report.counts.settled == count as u64 => Ok(()),
        outcome => Err(format!("{} of {count} records were settled: {outcome:?}", report.counts.settled).into()),
    }
}

/// Makes so many records: as many of each type, each chain from its first record on.
fn fill(device: &Device, count: usize, grouped: bool) -> Outcome {
    let mut numbers = Numbers::new(1, Ids::ByTime);
    let types = Hosted::Queue.written();
    for chain in 0..count / CHAIN {
        let first = chain % (types.len() / CHAIN) * CHAIN;
        let group = if grouped { Some(numbers.id().parse()?) } else { None };
        let mut parent = format!("place-{}", chain % REFERENCE_RECORDS);
        for (name, _) in &types[first..first + CHAIN] {
            let made = records::make(&mut numbers);
            let mut data: Map<String, Value> = serde_json::from_str(&made.data)?;
            data.insert(PARENT.to_owned(), parent.into());
            let record = RecordRef { type_name: name.parse()?, id: made.id.parse()? };
            device.create_in(group.clone(), record, data)?;
            parent = made.id;
        }
    }
    Ok(())
}
