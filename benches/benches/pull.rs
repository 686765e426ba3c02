//! Pull: how many records a second the server hands out.
//!
//! Devices that are logged in pull all records from null, page after page, at once, over HTTP on loopback, from another
//! process on the same machine. Measured is the whole way from the request to the decompressed body: token, grant,
//! snapshot, the rows, the page with its signed cursor, compression, HTTP; and on the measuring side the reading and
//! decompression of every byte, but no parsing: it looks for the next cursor at the end of the page. A first walk, which
//! is not measured, parses every page and counts the records.
//!
//! The bare loop reads the same rows from the server's database, joins them to pages and compresses these, on one
//! thread.

use fieldsync_benches::hosted::Hosted;
use fieldsync_benches::records::{self, Ids, Numbers, TYPE};
use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{self, BenchServer, Caller};
use fieldsync_benches::{Outcome, process, rounds};
use fieldsync_schemas::pull::PullAnswer;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use rusqlite::Connection;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::time::Instant;

const RECORDS: usize = 100_000;
const PAGE: usize = 2000;
const DEVICES: usize = 4;
const DIR: &str = env!("CARGO_TARGET_TMPDIR");

#[derive(Clone, Copy, PartialEq)]
enum Coding {
    Plain,
    Gzip,
    Zstd,
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Coding::Plain => "identity",
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
        }
    }
}

fn main() -> Outcome {
    server::serve_if_asked()?;
    let server = BenchServer::start(DIR, Hosted::Versions(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let caller = runtime.block_on(async {
        let caller = Caller::log_in(server.base_url()).await?;
        caller.fill(RECORDS, &mut Numbers::new(1, Ids::ByTime)).await?;
        Outcome::Ok(caller)
    })?;
    let (records, bytes) = runtime.block_on(verify(&caller))?;
    report::begin(&format!(
        "pull: {records} records of {} bytes from null, pages of {PAGE}, {DEVICES} devices at once",
        bytes / records - records::CHANGE_BYTES
    ));
    for (coding, target) in [
        (Coding::Zstd, Target::AtLeast(500_000.0)),
        (Coding::Gzip, Target::AtLeast(250_000.0)),
        (Coding::Plain, Target::None),
    ] {
        let (mut rates, mut bare, mut cost, mut own, mut sent) = (vec![], vec![], vec![], vec![], 0);
        for _ in 0..rounds() {
            bare.push(bare_loop(&server, coding)?);
            let (server_before, own_before) = (server.cpu_time(), own_time());
            let began = Instant::now();
            let walks: Vec<_> = (0..DEVICES).map(|_| runtime.spawn(walk(caller.clone(), coding))).collect();
            for walked in walks {
                let (wire, decoded) = runtime.block_on(walked)??;
                if decoded < bytes {
                    return Err(format!("a walk brought {decoded} bytes of {bytes}").into());
                }
                sent = wire;
            }
            let all = (records * DEVICES) as f64;
            rates.push(all / began.elapsed().as_secs_f64());
            cost.push((server.cpu_time() - server_before).as_secs_f64() * 1e6 / all);
            own.push((own_time() - own_before).as_secs_f64() * 1e6 / all);
        }
        let name = coding.name();
        let ratio = report::median(&rates) / report::median(&bare);
        let note = format!("{ratio:.2} of the bare loop; {} bytes a record on the wire", sent / records);
        report::line(name, "records/s", &rates, target, &note);
        report::line(&format!("{name}: bare loop, one thread"), "records/s", &bare, Target::None, "");
        report::line(&format!("{name}: server's processor time"), "µs/record", &cost, Target::None, "");
        report::line(&format!("{name}: measuring side's"), "µs/record", &own, Target::None, "");
    }
    Ok(())
}

fn own_time() -> std::time::Duration {
    process::cpu_time(std::process::id()).unwrap_or_default()
}

fn question(cursor: Option<&str>) -> String {
    let cursor = cursor.map_or("null".to_owned(), |cursor| format!("\"{cursor}\""));
    format!(r#"{{"replica":"bench","limit":{PAGE},"feeds":{{"{TYPE}":{cursor}}}}}"#)
}

/// Pulls everything once and reads it; the records and the bytes of all pages, decompressed.
async fn verify(caller: &Caller) -> Outcome<(usize, usize)> {
    let (mut cursor, mut ids, mut bytes) = (None::<String>, HashSet::new(), 0);
    loop {
        let body =
            caller.request("/pull", question(cursor.as_deref())).send().await?.error_for_status()?.bytes().await?;
        let answer: PullAnswer = serde_json::from_slice(&body)?;
        let page = answer.feeds.first().ok_or("a pull from null has a page")?;
        bytes += body.len();
        for change in &page.changes {
            let record = change.record.as_ref().ok_or("a put has its record")?;
            let record: fieldsync_schemas::record::Record = serde_json::from_str(record.get())?;
            ids.insert(record.id);
        }
        if !page.more {
            return if ids.len() == RECORDS { Ok((ids.len(), bytes)) } else { Err("records are missing".into()) };
        }
        cursor = Some(page.cursor.to_string());
    }
}

/// Pulls everything; the bytes on the wire and the decompressed ones.
async fn walk(caller: Caller, coding: Coding) -> Outcome<(usize, usize)> {
    let (mut cursor, mut wire, mut decoded) = (None::<String>, 0, 0);
    let mut page = Vec::new();
    loop {
        let request = caller.request("/pull", question(cursor.as_deref())).header(ACCEPT_ENCODING, coding.name());
        let answer = request.send().await?.error_for_status()?;
        let answered =
            answer.headers().get(CONTENT_ENCODING).map_or("identity", |coding| coding.to_str().unwrap_or(""));
        if answered != coding.name() {
            return Err(format!("asked for {}, got {answered}", coding.name()).into());
        }
        let body = answer.bytes().await?;
        page.clear();
        match coding {
            Coding::Plain => page.extend_from_slice(&body),
            Coding::Gzip => drop(GzDecoder::new(&*body).read_to_end(&mut page)?),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(&*body)?.read_to_end(&mut page)?),
        }
        wire += body.len();
        decoded += page.len();
        let end = String::from_utf8_lossy(&page[page.len().saturating_sub(300)..]);
        let (_, after) = end.rsplit_once(r#""cursor":""#).ok_or("a page has no cursor at its end")?;
        let (next, rest) = after.split_once('"').ok_or("a cursor does not end")?;
        if rest.starts_with(r#","more":false"#) {
            return Ok((wire, decoded));
        }
        cursor = Some(next.to_owned());
    }
}

/// Rows, joined and compressed.
fn bare_loop(server: &BenchServer, coding: Coding) -> Outcome<f64> {
    let connection = Connection::open(server.database())?;
    let mut statement = connection.prepare("SELECT json FROM rows WHERE place > 0 ORDER BY place")?;
    let began = Instant::now();
    let (mut page, mut count, mut bytes) = (Vec::new(), 0, 0);
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        page.extend_from_slice(br#"{"op":"put","record":"#);
        page.extend_from_slice(row.get_ref(0)?.as_bytes()?);
        page.extend_from_slice(b"},");
        count += 1;
        if count % PAGE == 0 {
            bytes += compressed(&page, coding)?;
            page.clear();
        }
    }
    bytes += compressed(&page, coding)?;
    if bytes == 0 {
        return Err("the server's database is empty".into());
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

fn compressed(page: &[u8], coding: Coding) -> Outcome<usize> {
    Ok(match coding {
        Coding::Plain => page.len(),
        Coding::Zstd => zstd::stream::encode_all(page, 1)?.len(),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 4), Compression::new(1));
            encoder.write_all(page)?;
            encoder.finish()?.len()
        }
    })
}
