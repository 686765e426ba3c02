use crate::domain::domain_from_yaml;
use crate::sqlite::SqliteStore;
use fieldsync_core::cursor::Point;
use fieldsync_core::scope::{Label, Sight};
use fieldsync_core::store::{DataSetName, DataSetRow, Place, Rescope, RowKind, State, Store};
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{FeedName, RecordId, Rev};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Record;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const DOMAIN: &str = include_str!("../../../../../fixtures/domain/version-wins.yaml");
const USERS: [&str; 2] = ["amina", "baraka"];
const PLACES: [&str; 3] = ["north", "south", "hill"];
const RECORDS: usize = 4;
const FEEDS: [(&str, Sight); 2] = [("household", Sight::Scoped), (CONFLICT_TYPE, Sight::ScopedLog)];

/// Something that happens on the server, or a device that pulls.
#[derive(Debug, Clone)]
enum Deed {
    /// A household is at this place now, or at none.
    Put(usize, Option<usize>),
    Delete(usize),
    /// An override of a household is logged.
    Log(usize),
    /// A user sees these places, or everything.
    Scope(usize, Option<Vec<usize>>),
    Pull(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let place = || 0..PLACES.len();
    let user = || 0..USERS.len();
    let deed = prop_oneof![
        4 => (0..RECORDS, prop::option::weighted(0.9, place())).prop_map(|(record, at)| Deed::Put(record, at)),
        1 => (0..RECORDS).prop_map(Deed::Delete),
        2 => (0..RECORDS).prop_map(Deed::Log),
        3 => (user(), prop::option::weighted(0.8, prop::collection::vec(place(), 0..3)))
            .prop_map(|(user, places)| Deed::Scope(user, places)),
        2 => user().prop_map(Deed::Pull),
    ];
    prop::collection::vec(deed, 1..40)
}

/// What the server should have, and the devices.
#[derive(Default)]
struct World {
    /// Where each household is or was, and its state; none of a tombstone.
    households: BTreeMap<usize, (Label, Option<Rev>)>,
    /// The entries of the log: of which household, and their state.
    entries: BTreeMap<String, (usize, Rev)>,
    scopes: BTreeMap<usize, BTreeSet<usize>>,
    /// What the device of each user holds of each feed.
    held: BTreeMap<(usize, &'static str), Held>,
    revs: usize,
}

#[derive(Default)]
struct Held {
    records: BTreeMap<String, Rev>,
    /// Up to here the feed was walked.
    reached: Place,
}

impl World {
    fn rev(&mut self) -> Rev {
        self.revs += 1;
        format!("rev-{}", self.revs).parse().unwrap()
    }

    fn sees(&self, user: usize, label: &Label) -> bool {
        let place = |place: &RecordId| PLACES.iter().position(|known| *known == place.as_str()).unwrap();
        match (self.scopes.get(&user), label) {
            (None, _) => true,
            (Some(places), Label::At(at)) => places.contains(&place(at)),
            (Some(_), _) => false,
        }
    }

    /// What a user is to hold.
    fn seen(&self, user: usize, feed: &str) -> BTreeMap<String, Rev> {
        let households = self.households.iter().filter(|(_, (label, _))| self.sees(user, label));
        if feed == CONFLICT_TYPE {
            let is_seen = |of: &usize| self.sees(user, &self.households[of].0);
            let entries = self.entries.iter().filter(|(_, (of, _))| is_seen(of));
            return entries.map(|(id, (_, rev))| (id.clone(), rev.clone())).collect();
        }
        households.filter_map(|(number, (_, rev))| Some((format!("h-{number}"), rev.clone()?))).collect()
    }
}

fn state(type_name: &str, id: &str, rev: &Rev, deleted: bool, label: &Label) -> State {
    let record = json!({"type": type_name, "id": id, "rev": rev, "version": 1, "modified_at": "2026-11-20T08:00:00Z",
        "accepted_at": "2026-11-20T08:00:00Z", "deleted": deleted, "data": if deleted { json!(null) } else { json!({}) }});
    let record: Record = serde_json::from_str(&record.to_string()).unwrap();
    let state = State::published(type_name.parse().unwrap(), [0; 32], record);
    State { deleted, label: Some(label.clone()), ..state }
}

async fn act(deed: Deed, world: &mut World, store: &SqliteStore, name: &DataSetName) {
    match deed {
        Deed::Put(number, at) => {
            let label = at.map_or(Label::Nowhere, |at| Label::At(PLACES[at].parse().unwrap()));
            let rev = world.rev();
            let put = state("household", &format!("h-{number}"), &rev, false, &label);
            store.rescope(name, vec![put], Vec::new()).await.unwrap();
            world.households.insert(number, (label, Some(rev)));
        }
        Deed::Delete(number) => {
            let rev = world.rev();
            let Some((label, held)) = world.households.get_mut(&number) else { return };
            *held = None;
            let tombstone = state("household", &format!("h-{number}"), &rev, true, label);
            store.rescope(name, vec![tombstone], Vec::new()).await.unwrap();
        }
        Deed::Log(number) => {
            let rev = world.rev();
            let Some((label, _)) = world.households.get(&number) else { return };
            let id = format!("c-{rev}");
            let about =
                RecordRef { type_name: "household".parse().unwrap(), id: format!("h-{number}").parse().unwrap() };
            let entry = State { about: Some(about), ..state(CONFLICT_TYPE, &id, &rev, false, label) };
            store.rescope(name, vec![entry], Vec::new()).await.unwrap();
            world.entries.insert(id, (number, rev));
        }
        Deed::Scope(user, places) => {
            let ids = |places: &[usize]| {
                places.iter().map(|place| PLACES[*place].parse().unwrap()).collect::<Vec<RecordId>>()
            };
            let given = places.as_deref().map(ids);
            let seen = given.iter().flatten().cloned().collect();
            let change = Rescope { user: USERS[user].to_owned(), places: given, seen };
            store.rescope(name, Vec::new(), vec![change]).await.unwrap();
            match places {
                Some(places) => world.scopes.insert(user, places.into_iter().collect()),
                None => world.scopes.remove(&user),
            };
        }
        Deed::Pull(user) => pull(user, world, store, name).await,
    }
}

/// Walks both feeds to their ends, in pages of two.
async fn pull(user: usize, world: &mut World, store: &SqliteStore, name: &DataSetName) {
    for (feed, sight) in FEEDS {
        let Held { records, reached } = world.held.entry((user, feed)).or_default();
        let mut told = BTreeSet::new();
        let mut snapshot = store.snapshot(name, &USERS[user].parse().unwrap()).await.unwrap();
        let sight = if snapshot.is_scoped() { sight } else { Sight::Everything };
        loop {
            let after = Point { place: *reached, cleared: Place(0) };
            let rows = snapshot.page(&feed.parse::<FeedName>().unwrap(), sight, after, 2).await.unwrap();
            let Some(last) = rows.last() else { break };
            *reached = last.place;
            for row in rows {
                let id: serde_json::Value = serde_json::from_str(&row.json).unwrap();
                let id = id["id"].as_str().unwrap().to_owned();
                assert!(told.insert(id.clone()), "{id} comes twice in one walk of {feed}");
                match row.kind {
                    RowKind::Put => records.insert(id, serde_json::from_str::<Record>(&row.json).unwrap().rev),
                    RowKind::Tombstone | RowKind::Remove => records.remove(&id),
                };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever pulls whenever they like holds in the end what they are to see, and nothing else; and so does who begins.
    #[test]
    fn whoever_follows_a_feed_holds_what_is_seen(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(folder.path()).unwrap();
            let name = DataSetName("d".to_owned());
            let row = DataSetRow::new(name.clone(), domain_from_yaml(DOMAIN).unwrap(), "e-1".parse().unwrap());
            store.put_data_set(&row, Vec::new()).await.unwrap();
            let mut world = World::default();
            for deed in deeds {
                act(deed, &mut world, &store, &name).await;
            }
            for _ in ["one that followed", "one that begins"] {
                for (user, name_of_user) in USERS.iter().enumerate() {
                    pull(user, &mut world, &store, &name).await;
                    for (feed, _) in FEEDS {
                        assert_eq!(world.held[&(user, feed)].records, world.seen(user, feed), "{feed} of {name_of_user}");
                    }
                }
                world.held.clear();
            }
        });
    }
}
