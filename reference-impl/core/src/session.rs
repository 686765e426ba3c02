//! The session of a principal in a data set.
//!
//! Chapter: session.

use crate::store::Assignment;
use fieldsync_schemas::id::{Capability, Epoch, Principal, RecordId, ScopeTag, SessionTag};
use fieldsync_schemas::registry::{Profile, Registry};
use fieldsync_schemas::session::{Limits, Role, SCOPE_OF_ALL, Session};
use fieldsync_schemas::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Builds a session; its tag is a hash of everything in it but the time.
#[expect(clippy::too_many_arguments, reason = "each is one member of the session")]
pub fn session(
    principal: &Principal,
    role: &Role,
    epoch: &Epoch,
    profile: &Profile,
    capabilities: &[Capability],
    limits: Limits,
    registry: &Registry,
    backed_up_seq: Option<u64>,
    assignment: &Assignment,
    now: Timestamp,
) -> Session {
    let mut session = Session {
        tag: SessionTag::new("unset").expect("a constant that is a tag"),
        principal: principal.clone(),
        role: role.clone(),
        scope: scope_tag(assignment),
        epoch: epoch.clone(),
        server_time: Timestamp::from_millis(0),
        profile: profile.clone(),
        capabilities: capabilities.to_vec(),
        limits,
        registry: registry.clone(),
        backed_up_seq,
        refetch: assignment.refetch.clone(),
    };
    let text = serde_json::to_vec(&session).expect("a session is plain JSON");
    session.tag = SessionTag::new(format!("s-{}", print(&text))).expect("hexadecimal is visible ASCII");
    session.server_time = now;
    session
}

/// The tag of a scope: the same for the same places, in whatever order they were given.
fn scope_tag(assignment: &Assignment) -> ScopeTag {
    let tag = match &assignment.places {
        None => SCOPE_OF_ALL.to_owned(),
        Some(places) => {
            let places: BTreeSet<&RecordId> = places.iter().collect();
            format!("p-{}", print(&serde_json::to_vec(&places).expect("ids are plain JSON")))
        }
    };
    ScopeTag::new(tag).expect("hexadecimal is visible ASCII")
}

fn print(text: &[u8]) -> String {
    Sha256::digest(text)[..9].iter().map(|byte| format!("{byte:02x}")).collect()
}
