//! Files through the server: one of 256 MiB up and down, next to a plain file over HTTP; the memory that it takes next to one
//! of 16 MiB; and 10,000 small ones.
//!
//! Server and device are processes of their own. Measured is a sync in which nothing but the file waits: the slot, the upload
//! and its end, or the download, each with the look at the hash, until it is on the disk of the other side. The plain file is
//! on the disk at its end, too, and nobody looks at it. Memory is the most that a process ever held.

use fieldsync_benches::files::{self, Content, Moved};
use fieldsync_benches::hosted::Hosted;
use fieldsync_benches::plain::{self, PlainServer};
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer};
use fieldsync_benches::{Outcome, process, rounds};

const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const MIB: u64 = 1 << 20;
const LARGE: u64 = 256 * MIB;
const LITTLE: u64 = 16 * MIB;
/// Small files, as photos on forms are.
const MANY: u64 = 10_000;
const SMALL: u64 = 4 << 10;
/// What buffers and the caches of two SQLite connections may take besides.
const FLAT: f64 = 16.0;

fn main() -> Outcome {
    server::serve_if_asked()?;
    plain::serve_if_asked()?;
    files::move_if_asked()?;
    report::begin(&format!("files through the server: {} MiB at once, and {MANY} of {SMALL} bytes", LARGE / MIB));
    let (mut little, mut large) = (Measured::default(), Measured::default());
    for _ in 0..rounds() {
        measure(LITTLE, &mut little)?;
        measure(LARGE, &mut large)?;
    }
    for (what, ours, plain) in [("upload", &large.up, &large.plain_up), ("download", &large.down, &large.plain_down)] {
        let rate = |seconds: &Vec<f64>| seconds.iter().map(|one| LARGE as f64 / 1e6 / one).collect::<Vec<f64>>();
        report::line(what, "MB/s", &rate(ours), Target::None, "");
        report::line(&format!("{what} of a plain file"), "MB/s", &rate(plain), Target::None, "");
        let ratios: Vec<f64> = plain.iter().zip(ours).map(|(plain, ours)| plain / ours).collect();
        report::line(&format!("{what} against the plain file"), "times", &ratios, Target::AtLeast(0.5), "");
    }
    for (who, little, large) in [
        ("the sender", &little.sender, &large.sender),
        ("the receiver", &little.receiver, &large.receiver),
        ("the server", &little.server, &large.server),
    ] {
        let (little, large) = (report::median(little), report::median(large));
        let note = format!("{little:.1} MB for {} MiB, {large:.1} MB for {}", LITTLE / MIB, LARGE / MIB);
        report::line(&format!("memory of {who}: growth"), "MB", &[large - little], Target::AtMost(FLAT), &note);
    }
    let server = BenchServer::start(DIR, Hosted::Files)?;
    let (one, other) = (tempfile::tempdir_in(DIR)?, tempfile::tempdir_in(DIR)?);
    let up = files::upload(server.base_url(), one.path(), MANY, SMALL)?;
    let note = "one round, with the push of their records";
    report::line(&format!("{MANY} small files, up"), "s", &[up.seconds], Target::AtMost(30.0), note);
    let down = files::download(server.base_url(), other.path())?;
    report::line(&format!("{MANY} small files, down"), "s", &[down.seconds], Target::AtMost(30.0), "one round");
    Ok(())
}

/// Seconds, and megabytes of memory.
#[derive(Default)]
struct Measured {
    up: Vec<f64>,
    down: Vec<f64>,
    plain_up: Vec<f64>,
    plain_down: Vec<f64>,
    sender: Vec<f64>,
    receiver: Vec<f64>,
    server: Vec<f64>,
}

fn measure(bytes: u64, measured: &mut Measured) -> Outcome {
    let server = BenchServer::start(DIR, Hosted::Files)?;
    let (one, other) = (tempfile::tempdir_in(DIR)?, tempfile::tempdir_in(DIR)?);
    let Moved { seconds, peak } = files::upload(server.base_url(), one.path(), 1, bytes)?;
    measured.up.push(seconds);
    measured.sender.push(peak);
    let Moved { seconds, peak } = files::download(server.base_url(), other.path())?;
    measured.down.push(seconds);
    measured.receiver.push(peak);
    measured.server.push(process::peak_memory(server.pid()).unwrap_or_default() as f64 / 1e6);
    let plain = PlainServer::start(DIR)?;
    let (up, down) = tokio::runtime::Runtime::new()?.block_on(plain.move_file(Content::new(0, bytes)))?;
    measured.plain_up.push(up);
    measured.plain_down.push(down);
    Ok(())
}
