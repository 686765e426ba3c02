//! The reference device, in a process of its own, for one sync. As with the server, the benchmark starts itself again.

use crate::server::{PASSWORD, USER};
use crate::{Outcome, process};
use fieldsync_client::transport::http_client;
use fieldsync_client::{Device, DeviceOptions, FolderFiles, SqliteStore};
use fieldsync_core::device::{Credentials, Password, SyncOutcome};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

const DIR: &str = "FIELDSYNC_BENCH_DEVICE";
const BASE_URL: &str = "FIELDSYNC_BENCH_BASE_URL";

/// A sync that went well.
#[derive(Debug, Clone, Copy)]
pub struct Synced {
    /// The changes that it pulled.
    pub pulled: u64,
    /// How long it took.
    pub seconds: f64,
    /// The processor time of the device's process, in seconds.
    pub cpu: f64,
    /// The most memory that the process held, in megabytes.
    pub peak: f64,
}

/// The settings of a device that logs in with its password and keeps its records and its files in this folder.
pub fn options(base_url: &str, dir: &Path) -> Outcome<DeviceOptions> {
    let password = Password { user: USER.to_owned(), password: PASSWORD.to_owned() };
    Ok(DeviceOptions {
        credentials: Credentials { token: None, password: Some(password) },
        store: Arc::new(SqliteStore::open(&dir.join("device.sqlite"))?),
        files: Arc::new(FolderFiles::open(&dir.join("files"))?),
        capabilities: ["attachments-proxied".parse()?].into(),
        ..DeviceOptions::new(base_url.parse()?, http_client()?)
    })
}

/// In the child: syncs once, prints what it took, and ends the process. In the benchmark itself: does nothing.
pub fn sync_if_asked() -> Outcome {
    let Some(dir) = std::env::var_os(DIR) else { return Ok(()) };
    let options = options(&std::env::var(BASE_URL)?, Path::new(&dir))?;
    let (pulled, seconds) = tokio::runtime::Runtime::new()?.block_on(async {
        let device = Device::open(options)?;
        let began = Instant::now();
        let report = device.sync().await;
        let seconds = began.elapsed().as_secs_f64();
        match report.outcome {
            SyncOutcome::Ok => Outcome::Ok((report.counts.pulled, seconds)),
            SyncOutcome::Failed(failure) => Err(failure.detail.into()),
        }
    })?;
    let cpu = process::cpu_time(std::process::id()).unwrap_or_default().as_secs_f64();
    let peak = process::peak_memory(std::process::id()).unwrap_or_default() as f64 / 1e6;
    println!("{pulled} {seconds} {cpu} {peak}");
    std::process::exit(0)
}

/// Syncs a device that keeps its records in this folder.
pub fn sync(base_url: &str, dir: &Path) -> Outcome<Synced> {
    let output = Command::new(std::env::current_exe()?).env(DIR, dir).env(BASE_URL, base_url).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [pulled, seconds, cpu, peak] = numbers[..] else {
        return Err(format!("the device failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    };
    Ok(Synced { pulled: pulled as u64, seconds, cpu, peak })
}
