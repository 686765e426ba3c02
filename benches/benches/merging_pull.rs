//! A pull onto unsent work: three reference devices hold 10,000 records, one of them has an edit that waits on each, one on
//! every tenth, and somebody else has changed another member of all. They pull the same pages into their SQLite stores; one
//! stores them, the others merge as well.
//!
//! Measured is a sync until everything is pulled and stored: where something waits, until the first push is about to leave,
//! which then fails. Each round has copies of the stores. Processor time is that of both devices' process, to
//! hundredths of a second; the server is a process of its own.

use async_trait::async_trait;
use fieldsync_benches::hosted::Hosted;
use fieldsync_benches::records::{Ids, Numbers, TYPE};
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer, Caller};
use fieldsync_benches::{Outcome, device, process, rounds};
use fieldsync_client::transport::{HttpTransport, NetworkFailure, Transport, http_client};
use fieldsync_client::{Device, DeviceOptions};
use fieldsync_core::device::{Answer, Call};
use fieldsync_schemas::pull::{PullAnswer, RecordRef};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const RECORDS: usize = 10_000;
/// On how many of them an edit waits.
const EDITS: [usize; 3] = [0, RECORDS / 10, RECORDS];

fn main() -> Outcome {
    server::serve_if_asked()?;
    report::begin(&format!(
        "a pull of {RECORDS} records, stored in SQLite, that merges none, a tenth or each with an unsent edit"
    ));
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> Outcome {
    let server = BenchServer::start(DIR, Hosted::Merged)?;
    let mut numbers = Numbers::new(1, Ids::ByTime);
    let caller = Caller::log_in(server.base_url()).await?;
    caller.fill(RECORDS, &mut numbers).await?;
    let stores = [tempfile::tempdir_in(DIR)?, tempfile::tempdir_in(DIR)?, tempfile::tempdir_in(DIR)?];
    for (store, edits) in stores.iter().zip(EDITS) {
        let puller = Puller::open(server.base_url(), store.path())?;
        puller.pull(RECORDS).await?;
        for id in puller.device.list(&TYPE.parse()?)?.into_iter().take(edits) {
            let changes = json!({"outcome": format!("seen, {id}")}).as_object().cloned().unwrap_or_default();
            puller.device.edit(&RecordRef { type_name: TYPE.parse()?, id }, changes)?;
        }
    }
    let mut measured = [[vec![], vec![]], [vec![], vec![]], [vec![], vec![]]];
    for round in 0..rounds() {
        change_all(&caller, round, &mut numbers).await?;
        for ((store, waiting), [seconds, cpu]) in stores.iter().zip(EDITS).zip(&mut measured) {
            // A copy: the batch that is about to leave is frozen, and would come first in the next round.
            let copy = tempfile::tempdir_in(DIR)?;
            for file in std::fs::read_dir(store.path())? {
                let file = file?;
                if file.file_type()?.is_dir() {
                    // The folder of files of records, none of which has any.
                    continue;
                }
                std::fs::copy(file.path(), copy.path().join(file.file_name()))?;
            }
            let puller = Puller::open(server.base_url(), copy.path())?;
            let (took, processor) = puller.pull(RECORDS).await?;
            seconds.push(took.as_secs_f64() * 1000.0);
            cpu.push(processor.as_secs_f64() * 1000.0);
            if puller.device.outbox().len() != waiting || !puller.device.conflicts()?.is_empty() {
                return Err(format!("{} of {waiting} edits wait after the pull", puller.device.outbox().len()).into());
            }
        }
    }
    let names = ["a plain pull", "a tenth merged", "each merged"];
    for (name, [seconds, cpu]) in names.into_iter().zip(&measured) {
        report::line(name, "ms", seconds, Target::None, "");
        report::line("device's processor time", "ms", cpu, Target::None, "");
    }
    let [plain, tenth, each] = [0, 1, 2].map(|which| report::median(&measured[which][0]));
    report::line("a tenth merged, against plain", "times", &[tenth / plain], Target::None, "");
    report::line("each merged, against plain", "times", &[each / plain], Target::AtMost(1.5), "");
    Ok(())
}

/// Changes a member of every record, which the edits that wait do not touch.
async fn change_all(caller: &Caller, round: usize, numbers: &mut Numbers) -> Outcome {
    let mut mutations = Vec::with_capacity(RECORDS);
    let mut cursor = Value::Null;
    while mutations.len() < RECORDS {
        let body = json!({"replica": "bench", "feeds": {TYPE: cursor}}).to_string();
        let answer = caller.request("/pull", body).send().await?.error_for_status()?.bytes().await?;
        let answer: PullAnswer = serde_json::from_slice(&answer)?;
        let page = answer.feeds.into_iter().next().ok_or("the server has fewer records than were pushed")?;
        for raw in page.changes.iter().filter_map(|change| change.record.as_deref()) {
            let record: Record = serde_json::from_str(raw.get())?;
            mutations.push(
                json!({"mutation_id": numbers.id(), "op": "update", "type": TYPE, "id": record.id, "base": record.rev,
                    "version": record.version.get() + 1, "modified_at": "2026-11-20T09:00:00.000Z",
                    "patch": {"pulse": 50 + round}})
                .to_string(),
            );
        }
        cursor = json!(page.cursor);
    }
    caller.push(&mutations, &numbers.id()).await
}

/// A device whose pushes do not leave.
struct Puller {
    device: Device,
    transport: Arc<PullsAlone>,
}

impl Puller {
    fn open(base_url: &str, dir: &Path) -> Outcome<Self> {
        let options = device::options(base_url, dir)?;
        let http = HttpTransport::new(http_client()?, options.base_url.clone(), options.request_timeout);
        let transport = Arc::new(PullsAlone { http, push: Mutex::default() });
        let options = DeviceOptions { transport: Some(transport.clone()), ..options };
        Ok(Self { device: Device::open(options)?, transport })
    }

    /// Syncs until everything is pulled; how long that took, and how much processor time.
    async fn pull(&self, expected: usize) -> Outcome<(Duration, Duration)> {
        let began = Moment::now();
        let report = self.device.sync().await;
        let push = self.transport.push.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = push.unwrap_or_else(Moment::now);
        if report.counts.pulled != expected as u64 {
            return Err(
                format!("{} of {expected} records were pulled: {:?}", report.counts.pulled, report.outcome).into()
            );
        }
        Ok((ended.at - began.at, ended.cpu - began.cpu))
    }
}

/// An instant, and the processor time that this process had taken by then.
struct Moment {
    at: Instant,
    cpu: Duration,
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: process::cpu_time(std::process::id()).unwrap_or_default() }
    }
}

struct PullsAlone {
    http: HttpTransport,
    /// When the first push of a sync was about to leave.
    push: Mutex<Option<Moment>>,
}

#[async_trait]
impl Transport for PullsAlone {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        if call.kind == CallKind::Push {
            self.push.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Moment::now);
            return Err(NetworkFailure { doing: "pushing".to_owned(), reason: "the benchmark pulls alone".to_owned() });
        }
        self.http.send(call).await
    }
}
