//! First sync: the reference device pulls 100,000 records into its SQLite store.
//!
//! Server and device are processes of their own. Measured is the time of one `sync` of a new device, login and session
//! included, until every record is committed on its disk. The memory is the most that each process ever held, for
//! 10,000 and for 100,000 records: it must not grow with the number of records. (The server's counts from its start, so
//! each size has a server that was filled by an earlier process.)
//!
//! The same number of records is spread over 30 types under `entity-queue`, with reference types and parents, too.

use fieldsync_benches::device::{self, Synced};
use fieldsync_benches::hosted::{Hosted, REFERENCE_RECORDS};
use fieldsync_benches::records::Ids;
use fieldsync_benches::records::Numbers;
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer, Caller};
use fieldsync_benches::{Outcome, process, rounds};

const RECORDS: usize = 100_000;
const FEW: usize = 10_000;
const DIR: &str = env!("CARGO_TARGET_TMPDIR");
/// What the caches of two SQLite connections may take besides.
const FLAT: f64 = 16.0;

fn main() -> Outcome {
    server::serve_if_asked()?;
    device::sync_if_asked()?;
    report::begin(&format!("first sync: {RECORDS} records, stored by the reference device in SQLite"));
    let (mut few, mut all, mut queue) = (Measured::default(), Measured::default(), Measured::default());
    measure(Hosted::Versions(1), FEW, &mut few)?;
    measure(Hosted::Versions(1), RECORDS, &mut all)?;
    measure(Hosted::Queue, RECORDS, &mut queue)?;
    report::line("first sync", "s", &all.seconds, Target::AtMost(2.0), "");
    report::line("device's processor time", "s", &all.device_cpu, Target::None, "");
    report::line("server's processor time", "s", &all.server_cpu, Target::None, "");
    for (who, few, all) in [("device", &few.device, &all.device), ("server", &few.server, &all.server)] {
        let (few, all) = (report::median(few), report::median(all));
        let note = format!("{few:.1} MB for {FEW} records, {all:.1} MB for {RECORDS}");
        report::line(&format!("{who}'s memory: growth"), "MB", &[all - few], Target::AtMost(FLAT), &note);
    }
    let note = "entity-queue, with two reference types and chains of parents";
    report::line("first sync, 30 types", "s", &queue.seconds, Target::AtMost(3.0), note);
    report::line("device's processor time", "s", &queue.device_cpu, Target::None, "");
    report::line("server's processor time", "s", &queue.server_cpu, Target::None, "");
    Ok(())
}

#[derive(Default)]
struct Measured {
    seconds: Vec<f64>,
    device_cpu: Vec<f64>,
    server_cpu: Vec<f64>,
    device: Vec<f64>,
    server: Vec<f64>,
}

fn measure(hosted: Hosted, records: usize, measured: &mut Measured) -> Outcome {
    let mut server = BenchServer::start(DIR, hosted)?;
    let mut numbers = Numbers::new(1, Ids::ByTime);
    let expected = records + if hosted == Hosted::Queue { 2 * REFERENCE_RECORDS } else { 0 };
    tokio::runtime::Runtime::new()?.block_on(async {
        let caller = Caller::log_in(server.base_url()).await?;
        match hosted {
            Hosted::Versions(_) | Hosted::Merged | Hosted::Files => caller.fill(records, &mut numbers).await,
            Hosted::Queue => caller.fill_all(hosted, records, &mut numbers).await,
        }
    })?;
    for _ in 0..rounds() {
        server = server.restart()?;
        let before = server.cpu_time();
        let dir = tempfile::tempdir_in(DIR)?;
        let Synced { pulled, seconds, cpu, peak } = device::sync(server.base_url(), dir.path())?;
        if pulled != expected as u64 {
            return Err(format!("the device pulled {pulled} of {expected} records").into());
        }
        measured.seconds.push(seconds);
        measured.device_cpu.push(cpu);
        measured.device.push(peak);
        measured.server_cpu.push((server.cpu_time() - before).as_secs_f64());
        measured.server.push(process::peak_memory(server.pid()).unwrap_or_default() as f64 / 1e6);
    }
    Ok(())
}
