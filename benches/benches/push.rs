//! Push: how many records a second the server makes durable.
//!
//! Several devices push batches of 500 at once over HTTP on loopback, logged in, from another process on the same
//! machine. Every batch goes the whole way: token, grant, fence, limits, content hash, base check, outcome rows, feed
//! place, commit with `synchronous=FULL`. First the devices create records, then they update each on its rev, which
//! moves the state before into the history. Their ids are made as the reference device makes them, with the time in
//! front; ids that are random from the first digit on scatter every write over the whole index, and are measured, too.
//!
//! The bare loop does what cannot be left out, on one thread and without a server: it parses the batch, looks for the
//! record, and commits record and outcome to the same kind of database.

use fieldsync_benches::hosted::Hosted;
use fieldsync_benches::records::{self, Ids, Made, Numbers};
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer, Caller};
use fieldsync_benches::{Outcome, process, rounds};
use fieldsync_schemas::push::{OutcomeKind, PushAnswer, PushRequest};
use rusqlite::{Connection, OptionalExtension};
use std::time::{Duration, Instant};

const DEVICES: usize = 16;
const BATCHES: usize = 16;
const BATCH: usize = 500;
const RECORDS: usize = DEVICES * BATCHES * BATCH;
const DIR: &str = env!("CARGO_TARGET_TMPDIR");

fn main() -> Outcome {
    server::serve_if_asked()?;
    report::begin(&format!(
        "push: durable, batches of {BATCH}, records of {} bytes, {DEVICES} devices at once, {RECORDS} records a round",
        records::RECORD_BYTES
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut creates, mut updates, mut scattered, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut create_cost, mut update_cost, mut own_cost) = (Vec::new(), Vec::new(), Vec::new());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / RECORDS as f64;
    for round in 0..rounds() as u64 {
        bare.push(bare_loop(round)?);
        let server = BenchServer::start(DIR, Hosted::Versions(1))?;
        let mut by_time = devices(round, Ids::ByTime);
        let measured = runtime.block_on(push_all(&server, &mut by_time, Change::Create))?;
        creates.push(RECORDS as f64 / measured.wall.as_secs_f64());
        create_cost.push(each(measured.server));
        own_cost.push(each(measured.own));
        let measured = runtime.block_on(push_all(&server, &mut by_time, Change::Update))?;
        updates.push(RECORDS as f64 / measured.wall.as_secs_f64());
        update_cost.push(each(measured.server));
        drop(server);
        let server = BenchServer::start(DIR, Hosted::Versions(1))?;
        let measured = runtime.block_on(push_all(&server, &mut devices(round, Ids::Random), Change::Create))?;
        scattered.push(RECORDS as f64 / measured.wall.as_secs_f64());
    }
    let ratio = |rates: &[f64]| format!("{:.2} of the bare loop", report::median(rates) / report::median(&bare));
    report::line("creates", "records/s", &creates, Target::AtLeast(80_000.0), &ratio(&creates));
    report::line("updates on the current rev", "records/s", &updates, Target::None, &ratio(&updates));
    report::line("creates, ids random throughout", "records/s", &scattered, Target::None, &ratio(&scattered));
    report::line("bare loop, one thread", "records/s", &bare, Target::None, "parse, look, two rows, durable commit");
    report::line("server's processor time, creates", "µs/record", &create_cost, Target::None, "");
    report::line("server's processor time, updates", "µs/record", &update_cost, Target::None, "");
    report::line("measuring side's processor time", "µs/record", &own_cost, Target::None, "");
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Create,
    Update,
}

struct Measured {
    wall: Duration,
    server: Duration,
    own: Duration,
}

/// One replica with its row of batches.
struct Device {
    replica: String,
    seq: u64,
    token: Option<String>,
    records: Vec<(Made, String)>,
    numbers: Numbers,
}

fn devices(seed: u64, ids: Ids) -> Vec<Device> {
    let mut devices = Vec::new();
    for index in 0..DEVICES {
        let mut numbers = Numbers::new(seed * 1000 + index as u64, ids);
        let records = (0..BATCHES * BATCH).map(|_| (records::make(&mut numbers), String::new())).collect();
        devices.push(Device { replica: numbers.id(), seq: 0, token: None, records, numbers });
    }
    devices
}

/// The mutations of every batch of a device, joined.
fn batches(device: &mut Device, change: Change) -> Vec<String> {
    let Device { records, numbers, .. } = device;
    let written = records.chunks(BATCH).map(|records| {
        let mutations: Vec<String> = records
            .iter()
            .map(|(record, rev)| match change {
                Change::Create => records::create(record, &numbers.id()),
                Change::Update => records::update(record, &numbers.id(), rev),
            })
            .collect();
        mutations.join(",")
    });
    written.collect()
}

async fn push_all(server: &BenchServer, devices: &mut Vec<Device>, change: Change) -> Outcome<Measured> {
    let caller = Caller::log_in(server.base_url()).await?;
    let ready: Vec<_> = devices.drain(..).map(|mut device| (batches(&mut device, change), device)).collect();
    let (server_before, own_before) = (server.cpu_time(), process::cpu_time(std::process::id()).unwrap_or_default());
    let began = Instant::now();
    let tasks: Vec<_> =
        ready.into_iter().map(|(batches, device)| tokio::spawn(push_row(caller.clone(), device, batches))).collect();
    let mut answered = Vec::new();
    for task in tasks {
        answered.push(task.await??);
    }
    let measured = Measured {
        wall: began.elapsed(),
        server: server.cpu_time() - server_before,
        own: process::cpu_time(std::process::id()).unwrap_or_default() - own_before,
    };
    for (mut device, answers) in answered {
        take_revs(&mut device, &answers)?;
        devices.push(device);
    }
    Ok(measured)
}

/// Pushes the batches of one device, one after another. The answers are read only as far as the next batch needs it.
async fn push_row(caller: Caller, mut device: Device, batches: Vec<String>) -> Outcome<(Device, Vec<Vec<u8>>)> {
    let mut answers = Vec::with_capacity(batches.len());
    for mutations in batches {
        device.seq += 1;
        let previous = device.token.as_ref().map_or("null".to_owned(), |token| format!("\"{token}\""));
        let body = format!(
            r#"{{"replica":"{}","seq":{},"previous":{previous},"mutations":[{mutations}]}}"#,
            device.replica, device.seq
        );
        let answer = caller.request("/push", body).send().await?.error_for_status()?.bytes().await?;
        device.token = Some(token(&answer).ok_or("an answer has no token")?.to_owned());
        answers.push(answer.to_vec());
    }
    Ok((device, answers))
}

fn token(answer: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(answer).ok()?.split_once(r#""token":""#)?.1;
    Some(rest.split_once('"')?.0)
}

/// Checks that everything was applied, and keeps the revs; nobody measures this.
fn take_revs(device: &mut Device, answers: &[Vec<u8>]) -> Outcome {
    let mut records = device.records.iter_mut();
    for answer in answers {
        for outcome in serde_json::from_slice::<PushAnswer>(answer)?.outcomes {
            if outcome.outcome != OutcomeKind::Applied {
                return Err(format!("a mutation was not applied: {outcome:?}").into());
            }
            let (_, rev) = records.next().ok_or("there are more outcomes than mutations")?;
            *rev = outcome.rev.ok_or("an applied mutation has no rev")?.to_string();
        }
    }
    Ok(())
}

/// What the work costs without a protocol around it.
fn bare_loop(seed: u64) -> Outcome<f64> {
    let dir = tempfile::tempdir_in(DIR)?;
    let mut connection = Connection::open(dir.path().join("bare.sqlite"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         CREATE TABLE records (place INTEGER PRIMARY KEY, type TEXT, id TEXT, rev TEXT, json TEXT);
         CREATE UNIQUE INDEX by_id ON records (type, id);
         CREATE TABLE outcomes (mutation_id TEXT PRIMARY KEY, outcome TEXT) WITHOUT ROWID;",
    )?;
    let mut device = Device {
        replica: "bare".to_owned(),
        seq: 0,
        token: None,
        records: devices(seed, Ids::ByTime).into_iter().take(DEVICES / 2).flat_map(|device| device.records).collect(),
        numbers: Numbers::new(seed, Ids::ByTime),
    };
    let count = device.records.len();
    let bodies: Vec<String> = batches(&mut device, Change::Create)
        .into_iter()
        .map(|mutations| format!(r#"{{"replica":"bare","seq":1,"previous":null,"mutations":[{mutations}]}}"#))
        .collect();
    let began = Instant::now();
    for body in &bodies {
        let request: PushRequest = serde_json::from_str(body)?;
        let transaction = connection.transaction()?;
        {
            let mut look = transaction.prepare_cached("SELECT rev FROM records WHERE type = ?1 AND id = ?2")?;
            let mut put =
                transaction.prepare_cached("INSERT INTO records (type, id, rev, json) VALUES (?1, ?2, ?3, ?4)")?;
            let mut settle = transaction.prepare_cached("INSERT INTO outcomes VALUES (?1, ?2)")?;
            for mutation in &request.mutations {
                let key = (mutation.type_name.as_str(), mutation.id.as_str());
                let known: Option<String> = look.query_row(key, |row| row.get(0)).optional()?;
                if known.is_some() {
                    return Err("a record stands twice in the benchmark".into());
                }
                let rev = device.numbers.id();
                put.execute((key.0, key.1, &rev, serde_json::to_string(mutation)?))?;
                settle.execute((mutation.mutation_id.as_str(), format!(r#"{{"outcome":"applied","rev":"{rev}"}}"#)))?;
            }
        }
        transaction.commit()?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
