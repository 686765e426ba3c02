//! Files that are attached: bytes that no two of them share, made as they are read; and the reference device, in a process
//! of its own, that sends them or gets them.

use crate::device::options;
use crate::records::TYPE;
use crate::{Outcome, process};
use fieldsync_client::Device;
use fieldsync_core::device::SyncOutcome;
use fieldsync_schemas::pull::RecordRef;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const DIR: &str = "FIELDSYNC_BENCH_FILES";
const BASE_URL: &str = "FIELDSYNC_BENCH_FILES_BASE_URL";
/// How many files, and how long each is; nothing, where they are downloaded.
const SENT: &str = "FIELDSYNC_BENCH_FILES_SENT";
/// The bytes of a file that are made at once.
const BLOCK: usize = 64 << 10;

/// The bytes of one file.
pub struct Content {
    block: Vec<u8>,
    number: u64,
    made: u64,
    left: u64,
}

impl Content {
    /// So many bytes, of the file with this number.
    pub fn new(number: u64, bytes: u64) -> Self {
        let mut state = number + 1;
        let block = (0..BLOCK).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        });
        Self { block: block.collect(), number, made: 0, left: bytes }
    }
}

impl Read for Content {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Blocks differ by where they stand, and in the file that they are of.
        self.block[..8].copy_from_slice(&self.made.to_le_bytes());
        self.block[8..16].copy_from_slice(&self.number.to_le_bytes());
        let read = into.len().min(BLOCK).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        into[..read].copy_from_slice(&self.block[..read]);
        (self.left, self.made) = (self.left - read as u64, self.made + 1);
        Ok(read)
    }
}

/// A sync in which files went or came.
#[derive(Debug, Clone, Copy)]
pub struct Moved {
    /// How long it took.
    pub seconds: f64,
    /// The most memory that the device's process held, in megabytes; of one that sends, also while the files were added.
    pub peak: f64,
}

/// In the child: sends files or gets them, prints what it took, and ends the process. In the benchmark itself: does
/// nothing.
pub fn move_if_asked() -> Outcome {
    let Some(dir) = std::env::var_os(DIR) else { return Ok(()) };
    let sent = std::env::var(SENT).ok();
    let is_metered = sent.is_none();
    let options = options(&std::env::var(BASE_URL)?, Path::new(&dir))?;
    let seconds = tokio::runtime::Runtime::new()?.block_on(async {
        let device = Device::open(fieldsync_client::DeviceOptions { metered: is_metered, ..options })?;
        // Login, session and records are none of it.
        synced(&device).await?;
        match sent.as_deref().and_then(|sent| sent.split_once('x')) {
            Some((count, bytes)) => attach(&device, count.parse()?, bytes.parse()?)?,
            None => device.set_metered(false)?,
        }
        let began = Instant::now();
        synced(&device).await?;
        let seconds = began.elapsed().as_secs_f64();
        all_are_here(&device)?;
        Outcome::Ok(seconds)
    })?;
    let peak = process::peak_memory(std::process::id()).unwrap_or_default() as f64 / 1e6;
    println!("{seconds} {peak}");
    std::process::exit(0)
}

async fn synced(device: &Device) -> Outcome {
    match device.sync().await.outcome {
        SyncOutcome::Ok => Ok(()),
        SyncOutcome::Failed(failure) => Err(failure.detail.into()),
    }
}

fn attach(device: &Device, count: u64, bytes: u64) -> Outcome {
    for number in 0..count {
        let id = device.create(TYPE.parse()?, None, Default::default())?;
        device.attach(&RecordRef { type_name: TYPE.parse()?, id }, "image/jpeg", Content::new(number, bytes))?;
    }
    Ok(())
}

fn all_are_here(device: &Device) -> Outcome {
    let type_name = TYPE.parse()?;
    for id in device.list(&type_name)? {
        let files = device.files(&RecordRef { type_name: type_name.clone(), id: id.clone() })?;
        let [file] = &files[..] else { return Err(format!("{id} has {} files", files.len()).into()) };
        if file.status != fieldsync_schemas::scenario::FileStatus::Synced {
            return Err(format!("the file of {id} is {:?}", file.status).into());
        }
    }
    Ok(())
}

/// A new device in this folder adds so many files, each of so many bytes, and sends them.
pub fn upload(base_url: &str, dir: &Path, count: u64, bytes: u64) -> Outcome<Moved> {
    moved(Command::new(std::env::current_exe()?).env(SENT, format!("{count}x{bytes}")), base_url, dir)
}

/// A new device in this folder gets all files.
pub fn download(base_url: &str, dir: &Path) -> Outcome<Moved> {
    moved(&mut Command::new(std::env::current_exe()?), base_url, dir)
}

fn moved(command: &mut Command, base_url: &str, dir: &Path) -> Outcome<Moved> {
    let output = command.env(DIR, dir).env(BASE_URL, base_url).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [seconds, peak] = numbers[..] else {
        return Err(format!("the device failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    };
    Ok(Moved { seconds, peak })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_long_as_it_is_to_be_and_no_other_file() {
        let whole = |number| {
            let mut bytes = Vec::new();
            Content::new(number, 3 * BLOCK as u64 + 1).read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(whole(0).len(), 3 * BLOCK + 1);
        assert_eq!(whole(0), whole(0));
        assert_ne!(whole(0), whole(1));
    }
}
