//! A village more: what a grant of 10,000 old records costs, in a data set of 100,000 and of 1,000,000.
//!
//! Measured is what an administrator and a nurse wait for: the grant, and the pull of the village's records over HTTP by a
//! device whose cursor is from before the grant, until no feed says `more`. What is looked for is that the cost follows the
//! village and not the data set, so the two sizes are compared in one run, and their ratio has the target. One nurse has had a
//! village from the first day. Another saw everything before she had one: the server knows what left her, record by record.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::server::{Caller, PASSWORD};
use fieldsync_benches::{Outcome, rounds};
use fieldsync_core::scope::Label;
use fieldsync_core::store::{DataSetName, DataSetRow, Rescope, State, Store};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::pull::{ChangeOp, PullAnswer, RecordRef};
use fieldsync_schemas::session::{Limits, Role};
use fieldsync_server::{Parts, PasswordCost, Server, Settings, SqliteStore, add_user, domain_from_yaml};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const DOMAIN: &str = include_str!("../../fixtures/domain/version-wins.yaml");
const DATA_SET: &str = "version_wins";
/// The records of a village.
const VILLAGE: usize = 10_000;
/// The records that are stored at once.
const BATCH: usize = 50_000;
const SIZES: [usize; 2] = [100_000, 1_000_000];

fn main() -> Outcome {
    report::begin(&format!("a grant of {VILLAGE} old records, pulled over HTTP from a cursor of before"));
    tokio::runtime::Runtime::new()?.block_on(async {
        for before in [Before::OneVillage, Before::Everything] {
            let who = before.as_str();
            let mut both = Vec::new();
            for size in SIZES {
                let (grants, pulls) = measure(size, before).await?;
                report::line(&format!("the grant, of {size}"), "ms", &grants, Target::None, who);
                report::line(&format!("the pull, of {size}"), "ms", &pulls, Target::None, who);
                both.push(grants.iter().zip(pulls).map(|(grant, pull)| grant + pull).collect::<Vec<f64>>());
            }
            let ratio = report::median(&both[1]) / report::median(&both[0]);
            report::line("grant and pull, ten times the data", "times", &[ratio], Target::AtMost(1.5), who);
        }
        Ok(())
    })
}

/// What the nurse saw before the villages were given out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// One village, from the first day.
    OneVillage,
    /// Everything: nobody had named places for her.
    Everything,
}

impl Before {
    fn as_str(self) -> &'static str {
        match self {
            Self::OneVillage => "to one who had a village from the first day",
            Self::Everything => "to one who saw everything before",
        }
    }
}

/// What the grants and the pulls took, in milliseconds.
async fn measure(size: usize, before: Before) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let dir = tempfile::tempdir_in(DIR)?;
    let store = Arc::new(SqliteStore::open(dir.path())?);
    let name = DataSetName(DATA_SET.to_owned());
    let domain = domain()?;
    store.put_data_set(&DataSetRow::new(name.clone(), domain.clone(), "e-1".parse()?), Vec::new()).await?;
    let places = (0..size / VILLAGE).map(place).collect::<Outcome<Vec<State>>>()?;
    store.rescope(&name, places, Vec::new()).await?;
    for round in 0..rounds() {
        let grants = [(name.clone(), Role::ReadWrite)];
        add_user(&*store, &nurse(round), PASSWORD, PasswordCost::default(), &grants).await?;
        if before == Before::Everything {
            continue;
        }
        let own = vec![village(0)?];
        let scope = Rescope { user: nurse(round), places: Some(own.clone()), seen: own.into_iter().collect() };
        store.rescope(&name, Vec::new(), vec![scope]).await?;
    }
    for from in (0..size).step_by(BATCH) {
        let states = (from..from + BATCH).map(|number| household(number, size / VILLAGE));
        store.rescope(&name, states.collect::<Outcome<Vec<State>>>()?, Vec::new()).await?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let settings = Settings { control: true, ..Settings::new(vec![domain]) };
    let running = Server::start(settings, Parts::standard(store)?, listener).await?;
    let base_url = format!("{}/{DATA_SET}", running.base_url());
    let control = format!("{}/control/scope", running.base_url());
    let (mut grants, mut pulls) = (Vec::new(), Vec::new());
    for round in 0..rounds() {
        if before == Before::Everything {
            give(&control, &nurse(round), &[0]).await?;
        }
        let caller = Caller::log_in_as(&base_url, &nurse(round)).await?;
        let (cursor, first) = pull(&caller, Value::Null).await?;
        let began = Instant::now();
        give(&control, &nurse(round), &[0, 7]).await?;
        grants.push(began.elapsed().as_secs_f64() * 1000.0);
        let began = Instant::now();
        let (_, brought) = pull(&caller, cursor).await?;
        pulls.push(began.elapsed().as_secs_f64() * 1000.0);
        if (first, brought) != (VILLAGE, VILLAGE) {
            return Err(format!("{first} records came before the grant and {brought} after it").into());
        }
    }
    running.stop().await;
    Ok((grants, pulls))
}

fn domain() -> Outcome<Domain> {
    let limits = Limits { page_changes: 2000, ..Limits::default() };
    Ok(Domain { limits: Some(limits), ..domain_from_yaml(DOMAIN)? })
}

fn nurse(round: usize) -> String {
    format!("nurse-{round}")
}

fn village(number: usize) -> Outcome<RecordId> {
    Ok(RecordId::new(format!("village-{number}"))?)
}

fn place(number: usize) -> Outcome<State> {
    let data = serde_json::value::to_raw_value(&json!({"name": number}))?;
    let record = RecordRef { type_name: "place".parse()?, id: village(number)? };
    let now = "2026-11-20T08:00:00Z".parse()?;
    Ok(State::by_server(record, "place".parse()?, format!("p-{number}").parse()?, data, now))
}

/// Households of all villages come mixed, as they do in the field.
fn household(number: usize, villages: usize) -> Outcome<State> {
    let village = village(number % villages)?;
    let data = serde_json::value::to_raw_value(&json!({"village": village, "rooms": number % 9}))?;
    let record = RecordRef { type_name: "household".parse()?, id: format!("{number:012}").parse()? };
    let now = "2026-11-20T08:00:00Z".parse()?;
    let state = State::by_server(record, "household".parse()?, format!("r-{number}").parse()?, data, now);
    Ok(State { label: Some(Label::At(village)), ..state })
}

async fn give(control: &str, user: &str, villages: &[usize]) -> Outcome {
    let places = villages.iter().map(|number| village(*number)).collect::<Outcome<Vec<RecordId>>>()?;
    let body = json!({"data_set": DATA_SET, "user": user, "places": places}).to_string();
    let request = reqwest::Client::new().post(control).header("content-type", "application/json").body(body);
    request.send().await?.error_for_status()?;
    Ok(())
}

/// Pulls the feed of the households to its end: the cursor there, and how many came.
async fn pull(caller: &Caller, from: Value) -> Outcome<(Value, usize)> {
    let (mut cursor, mut brought) = (from, 0);
    loop {
        let body = json!({"replica": "bench", "feeds": {"household": cursor}}).to_string();
        let answer = caller.request("/pull", body).send().await?.error_for_status()?.bytes().await?;
        let answer: PullAnswer = serde_json::from_slice(&answer)?;
        let Some(page) = answer.feeds.into_iter().next() else { return Ok((cursor, brought)) };
        brought += page.changes.iter().filter(|change| change.op == ChangeOp::Put).count();
        cursor = json!(page.cursor);
        if !page.more {
            return Ok((cursor, brought));
        }
    }
}
