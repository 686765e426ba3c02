//! Faults against the chapter `telemetry`.

use crate::Mutant;
use crate::seam::effects::around_decide;
use crate::seam::storage::{StorageFault, faulty};
use crate::seam::wire;
use fieldsync_core::push::{Batch, Ground, ReadMutation};
use fieldsync_core::scope::Sight;
use fieldsync_schemas::id::{FeedName, Principal};
use fieldsync_schemas::telemetry::{SyncTelemetry, TELEMETRY_TYPE};
use fieldsync_server::Parts;
use serde_json::json;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "telemetry-asks-nothing-of-a-device",
        "telemetry.type.listed",
        "The telemetry is listed as a type that every device pulls.",
        |parts| {
            wire::answers(parts, "/session", |body| {
                for entry in body["registry"]["types"].as_array_mut().into_iter().flatten() {
                    if entry["name"] == TELEMETRY_TYPE {
                        entry["requires"] = json!([]);
                    }
                }
            })
        },
    ),
    Mutant::server(
        "telemetry-is-of-whoever-it-says",
        "telemetry.user.own",
        "Whose sync it was is believed as it is written.",
        of_whoever_it_says,
    ),
    Mutant::server(
        "telemetry-is-everybodys",
        "telemetry.feed.own-or-admin",
        "The telemetry comes to everybody who asks for it.",
        |parts| faulty(parts, Everybodys),
    ),
];

fn of_whoever_it_says(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| match claimed(batch) {
        Some(user) => decide(batch, loaded, Ground { principal: &user, ..ground }),
        None => decide(batch, loaded, ground),
    })
}

fn claimed(batch: &Batch) -> Option<Principal> {
    let asked = batch.mutations.iter().filter_map(ReadMutation::change);
    let telemetry = asked.filter(|asked| asked.record.type_name.as_str() == TELEMETRY_TYPE);
    let read = telemetry.filter_map(|asked| serde_json::from_str::<SyncTelemetry>(asked.data.as_ref()?.get()).ok());
    read.map(|telemetry| telemetry.user).next()
}

struct Everybodys;

impl StorageFault for Everybodys {
    fn sight(&self, _: &FeedName, sight: &mut Sight) {
        if *sight == Sight::Own {
            *sight = Sight::Everything;
        }
    }
}
