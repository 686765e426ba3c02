use super::super::SqliteStore;
use super::*;
use crate::domain::domain_from_yaml;
use fieldsync_core::cursor::Point;
use fieldsync_core::data::content_hash;
use fieldsync_core::scope::Sight;
use fieldsync_core::store::{Assignment, Place, Rescope, Store};
use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::session::RefetchOrder;
use serde_json::json;

const DOMAIN: &str = include_str!("../../../../../fixtures/domain/version-wins.yaml");

fn epoch(name: &str) -> Epoch {
    name.parse().unwrap()
}

fn state(id: &str) -> State {
    let record = json!({"type": "observation", "id": id, "rev": format!("rev-{id}"), "version": 1,
        "modified_at": "2026-11-20T08:00:00Z", "accepted_at": "2026-11-20T08:00:00Z", "data": {"temp": 38}});
    let record: Record = serde_json::from_str(&record.to_string()).unwrap();
    State::published(FeedName::new("observation").unwrap(), content_hash(record.data.as_deref(), &[]), record)
}

async fn ids(store: &SqliteStore, name: &DataSetName) -> Vec<String> {
    let mut snapshot = store.snapshot(name, &"amina".parse().unwrap()).await.unwrap();
    let begin = Point { place: Place(0), cleared: Place(0) };
    let rows = snapshot.page(&FeedName::new("observation").unwrap(), Sight::Everything, begin, 100).await.unwrap();
    rows.iter().map(|row| serde_json::from_str::<Record>(&row.json).unwrap().rev.to_string()).collect()
}

#[tokio::test]
async fn a_machine_that_is_lost_comes_back_once_in_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let (lost, found, file) = (folder.path().join("lost"), folder.path().join("found"), folder.path().join("b.sqlite"));
    let domain = domain_from_yaml(DOMAIN).unwrap();
    let name = DataSetName("version_wins".to_owned());
    let row = DataSetRow::new(name.clone(), domain, epoch("e-1"));
    let store = SqliteStore::open(&lost).unwrap();
    store.put_data_set(&row, vec![state("fever"), state("cough")]).await.unwrap();
    store.put_account("amina", "a hash").await.unwrap();
    let secret = store.secret("cursors").await.unwrap();

    back_up(&lost, &file).unwrap();
    assert!(back_up(&lost, &file).is_err(), "a backup is never written over");
    assert!(restore(&found, &lost.join(FILE)).is_err(), "a database is no backup");
    assert_eq!(restore(&found, &file).unwrap(), Restored::Now);

    let store = SqliteStore::open(&found).unwrap();
    assert_eq!(ids(&store, &name).await, ["rev-fever", "rev-cough"]);
    let restored = store.data_sets().await.unwrap().remove(0);
    let epochs = &restored.epochs;
    assert_eq!(*epochs, row.epochs.then(epochs.current().clone(), EpochCause::Restored));
    assert_ne!(*epochs.current(), epoch("e-1"));
    assert_eq!(store.account("amina").await.unwrap().as_deref(), Some("a hash"));
    assert_eq!(store.secret("cursors").await.unwrap(), secret);

    store.wipe(&name, &epoch("e-3"), vec![state("later")]).await.unwrap();
    drop(store);
    assert_eq!(restore(&found, &file).unwrap(), Restored::Before);
    assert_eq!(ids(&SqliteStore::open(&found).unwrap(), &name).await, ["rev-later"], "what came after it is kept");
}

fn place(name: &str) -> RecordId {
    name.parse().unwrap()
}

fn only(places: &[&str]) -> Rescope {
    let places: Vec<RecordId> = places.iter().map(|name| place(name)).collect();
    Rescope { user: "amina".to_owned(), seen: places.iter().cloned().collect(), places: Some(places) }
}

#[tokio::test]
async fn a_scope_is_not_lost_with_the_machine_and_the_latest_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (live, found, file) = (folder.path().join("live"), folder.path().join("found"), folder.path().join("b.sqlite"));
    let name = DataSetName("version_wins".to_owned());
    let store = SqliteStore::open(&live).unwrap();
    // Another data set before it, so that the keys differ from those on the new machine.
    for other in ["elsewhere", &name.0] {
        let row = DataSetRow::new(DataSetName(other.to_owned()), domain_from_yaml(DOMAIN).unwrap(), epoch("e-1"));
        store.put_data_set(&row, vec![]).await.unwrap();
    }
    let order: RefetchOrder = serde_json::from_value(json!({"id": "f-1", "types": ["household"]})).unwrap();
    store.rescope(&name, vec![], vec![only(&["north"])]).await.unwrap();
    store.put_refetch(&name, "amina", &order).await.unwrap();
    back_up(&live, &file).unwrap();
    store.rescope(&name, vec![], vec![only(&["south"])]).await.unwrap();
    drop(store);

    let there = SqliteStore::open(&found).unwrap();
    let row = DataSetRow::new(name.clone(), domain_from_yaml(DOMAIN).unwrap(), epoch("e-1"));
    there.put_data_set(&row, vec![]).await.unwrap();
    drop(there);
    for (dir, counts) in [(found, "north"), (live, "south")] {
        restore(&dir, &file).unwrap();
        let store = SqliteStore::open(&dir).unwrap();
        let given = store.assignment(&name, "amina").await.unwrap();
        assert_eq!(given, Assignment { places: Some(vec![place(counts)]), refetch: vec![order.clone()] });
        let connection = connect(&dir.join(FILE)).unwrap();
        let seen = super::super::scope::labels(&connection, rows::data_set(&connection, &name).unwrap(), "amina");
        assert_eq!(seen.unwrap().into_iter().collect::<Vec<_>>(), [counts]);
    }
}
