//! A sync with nothing new, over 30 types: its round trips, its bytes and its time; under `version-wins`, and under
//! `entity-queue` with telemetry.
//!
//! The device has synced before and holds its token and its connection; what is counted is its second sync. The bytes of
//! the messages are counted where the device hands them to HTTP, the bytes on the wire by a forwarder between device and
//! server; the difference is the heads of the request and the answer, the token among them.

use fieldsync_benches::hosted::Hosted;
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer};
use fieldsync_benches::{Outcome, device, rounds};
use fieldsync_client::{Answer, Call, Device, DeviceOptions, HttpTransport, NetworkFailure, Transport};
use fieldsync_core::device::{SyncOutcome, SyncReport};
use fieldsync_schemas::id::Capability;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TYPES: usize = 30;
const TELEMETRY: &str = "telemetry";
const SYNCS: usize = 40;
const DIR: &str = env!("CARGO_TARGET_TMPDIR");

fn main() -> Outcome {
    server::serve_if_asked()?;
    report::begin(&format!("sync with nothing new, {TYPES} types"));
    measure(Hosted::Versions(TYPES), &[])?;
    report::begin("the same under entity-queue, by a device that tells of its syncs");
    measure(Hosted::Queue, &[TELEMETRY])
}

fn measure(hosted: Hosted, capabilities: &[&str]) -> Outcome {
    let server = BenchServer::start(DIR, hosted)?;
    let capabilities: BTreeSet<Capability> = capabilities.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let counted = Arc::new(Counted::default());
        let base_url = forward(server.base_url(), counted.clone()).await?;
        let (one, other) = (tempfile::tempdir_in(DIR)?, tempfile::tempdir_in(DIR)?);
        let messages = Arc::new(Counted::default());
        let mut options = device::options(&base_url, one.path())?;
        options.capabilities = capabilities.clone();
        let http = HttpTransport::new(options.http.clone(), base_url.parse()?, options.request_timeout);
        options.transport = Some(Arc::new(CountingTransport { http, messages: messages.clone() }));
        let watched = Device::open(options)?;
        ok(watched.sync().await)?;
        let before = [&messages, &counted].map(|counted| counted.now());
        let requests = ok(watched.sync().await)?;
        report::line("round trips", "", &[requests as f64], Target::AtMost(1.0), "");
        let after = [&messages, &counted].map(|counted| counted.now());
        let lines = [("request plus answer", Target::AtMost(1023.0)), ("the same with heads", Target::None)];
        for ((what, target), (before, after)) in lines.into_iter().zip(before.into_iter().zip(after)) {
            let (asked, answered) = (after[0] - before[0], after[1] - before[1]);
            let note = format!("request {asked}, answer {answered}");
            report::line(what, "bytes", &[(asked + answered) as f64], target, &note);
        }

        // The time without the forwarder between.
        let options = device::options(server.base_url(), other.path())?;
        let direct = Device::open(DeviceOptions { capabilities, ..options })?;
        ok(direct.sync().await)?;
        let mut millis = Vec::new();
        for _ in 0..rounds() {
            let began = Instant::now();
            for _ in 0..SYNCS {
                ok(direct.sync().await)?;
            }
            millis.push(began.elapsed().as_secs_f64() * 1000.0 / SYNCS as f64);
        }
        report::line("time", "ms", &millis, Target::AtMost(5.0), &format!("mean of {SYNCS} syncs a round"));
        Ok(())
    })
}

fn ok(report: SyncReport) -> Outcome<u64> {
    match report.outcome {
        SyncOutcome::Ok => Ok(report.counts.requests),
        SyncOutcome::Failed(failure) => Err(failure.detail.into()),
    }
}

/// Bytes up and down.
#[derive(Default)]
struct Counted([AtomicU64; 2]);

impl Counted {
    fn now(&self) -> [u64; 2] {
        [0, 1].map(|direction| self.0[direction].load(Ordering::SeqCst))
    }
}

/// Counts the messages without their heads.
struct CountingTransport {
    http: HttpTransport,
    messages: Arc<Counted>,
}

#[async_trait::async_trait]
impl Transport for CountingTransport {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        self.messages.0[0].fetch_add(call.body.as_ref().map_or(0, String::len) as u64, Ordering::SeqCst);
        let answer = self.http.send(call).await?;
        self.messages.0[1].fetch_add(answer.body.len() as u64, Ordering::SeqCst);
        Ok(answer)
    }
}

/// Forwards connections to the server of this URL, counting; the URL to ask instead.
async fn forward(base_url: &str, counted: Arc<Counted>) -> Outcome<String> {
    let url: url::Url = base_url.parse()?;
    let server = format!("{}:{}", url.host_str().ok_or("no host")?, url.port().ok_or("no port")?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = format!("http://{}{}", listener.local_addr()?, url.path());
    tokio::spawn(async move {
        while let Ok((device, _)) = listener.accept().await {
            let (counted, server) = (counted.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(server).await else { return };
                let ((up, answer), (down, ask)) = (device.into_split(), server.into_split());
                let _ = tokio::join!(count(up, ask, &counted.0[0]), count(down, answer, &counted.0[1]));
            });
        }
    });
    Ok(own)
}

async fn count(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return to.shutdown().await;
        }
        // Counted before it goes on, so that whoever has the answer sees the whole count.
        counter.fetch_add(bytes as u64, Ordering::SeqCst);
        to.write_all(&buffer[..bytes]).await?;
    }
}
