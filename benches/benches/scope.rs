//! A village more: what a grant of 10,000 old records costs, in a data set of 100,000 and of 1,000,000.
//!
//! The storage alone is measured: the grant, which is one transaction, and the pages that bring its records. What is
//! looked for is that neither follows the size of the data set.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, rounds};
use fieldsync_core::cursor::Point;
use fieldsync_core::scope::{Label, Sight};
use fieldsync_core::store::{DataSetName, DataSetRow, Place, Rescope, State, Store};
use fieldsync_schemas::id::{FeedName, Principal, RecordId};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_server::{SqliteStore, domain_from_yaml};
use std::time::Instant;

const DIR: &str = env!("CARGO_TARGET_TMPDIR");
const DOMAIN: &str = include_str!("../../fixtures/domain/version-wins.yaml");
/// The records of a village.
const VILLAGE: usize = 10_000;
/// The records that are stored at once.
const BATCH: usize = 50_000;
const PAGE: u64 = 1000;

fn main() -> Outcome {
    report::begin("a grant of 10,000 records");
    tokio::runtime::Runtime::new()?.block_on(async {
        for size in [100_000, 1_000_000] {
            let dir = tempfile::tempdir_in(DIR)?;
            let store = SqliteStore::open(dir.path())?;
            let name = DataSetName("version_wins".to_owned());
            let row = DataSetRow::new(name.clone(), domain_from_yaml(DOMAIN)?, "e-1".parse()?);
            store.put_data_set(&row, Vec::new()).await?;
            for from in (0..size).step_by(BATCH) {
                let states = (from..from + BATCH)
                    .map(|number| household(number, size / VILLAGE))
                    .collect::<Outcome<Vec<State>>>()?;
                store.rescope(&name, states, Vec::new()).await?;
            }
            let (mut grants, mut pulls) = (Vec::new(), Vec::new());
            for round in 0..rounds() {
                let user = format!("nurse-{round}");
                store.rescope(&name, Vec::new(), vec![scope(&user, &[0])?]).await?;
                let began = Instant::now();
                store.rescope(&name, Vec::new(), vec![scope(&user, &[0, 7])?]).await?;
                grants.push(began.elapsed().as_secs_f64() * 1000.0);
                let began = Instant::now();
                let brought = brought(&store, &name, &user.parse()?).await?;
                pulls.push(began.elapsed().as_secs_f64() * 1000.0);
                assert_eq!(brought, 2 * VILLAGE, "both villages come from null");
            }
            report::line(&format!("the grant, of {size}"), "ms", &grants, Target::None, "one transaction");
            report::line(&format!("both villages, of {size}"), "ms", &pulls, Target::None, "20 pages from null");
        }
        Ok(())
    })
}

fn village(number: usize) -> Outcome<RecordId> {
    Ok(RecordId::new(format!("village-{number}"))?)
}

/// Households of all villages come mixed, as they do in the field.
fn household(number: usize, villages: usize) -> Outcome<State> {
    let village = village(number % villages)?;
    let data = serde_json::value::to_raw_value(&serde_json::json!({"village": village, "rooms": number % 9}))?;
    let record = RecordRef { type_name: "household".parse()?, id: format!("{number:012}").parse()? };
    let now = "2026-11-20T08:00:00Z".parse()?;
    let state = State::by_server(record, "household".parse()?, format!("r-{number}").parse()?, data, now);
    Ok(State { label: Some(Label::At(village)), ..state })
}

fn scope(user: &str, villages: &[usize]) -> Outcome<Rescope> {
    let places = villages.iter().map(|number| village(*number)).collect::<Outcome<Vec<RecordId>>>()?;
    Ok(Rescope { user: user.to_owned(), seen: places.iter().cloned().collect(), places: Some(places) })
}

/// How many records come from null.
async fn brought(store: &SqliteStore, name: &DataSetName, user: &Principal) -> Outcome<usize> {
    let feed: FeedName = "household".parse()?;
    let mut snapshot = store.snapshot(name, user).await?;
    let mut point = Point { place: Place(0), cleared: Place(u64::MAX) };
    let mut brought = 0;
    loop {
        let rows = snapshot.page(&feed, Sight::Scoped, point, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(brought) };
        point.place = last.place;
        brought += rows.len();
    }
}
