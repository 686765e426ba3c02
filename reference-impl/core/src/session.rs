//! The session of a principal in a data set.
//!
//! Chapter: session.

use fieldsync_schemas::id::{Capability, Epoch, Principal, ScopeTag, SessionTag};
use fieldsync_schemas::registry::{Profile, Registry};
use fieldsync_schemas::session::{Limits, Role, Session};
use fieldsync_schemas::time::Timestamp;
use sha2::{Digest, Sha256};

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
    now: Timestamp,
) -> Session {
    let mut session = Session {
        tag: SessionTag::new("unset").expect("a constant that is a tag"),
        principal: principal.clone(),
        role: role.clone(),
        scope: ScopeTag::new("all").expect("a constant that is a tag"),
        epoch: epoch.clone(),
        server_time: Timestamp::from_millis(0),
        profile: profile.clone(),
        capabilities: capabilities.to_vec(),
        limits,
        registry: registry.clone(),
        backed_up_seq,
    };
    let text = serde_json::to_vec(&session).expect("a session is plain JSON");
    let tag: String = Sha256::digest(&text)[..9].iter().map(|byte| format!("{byte:02x}")).collect();
    session.tag = SessionTag::new(format!("s-{tag}")).expect("hexadecimal is visible ASCII");
    session.server_time = now;
    session
}
