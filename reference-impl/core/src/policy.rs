//! The merge policies: pure functions of two whole states, without a clock.
//!
//! Chapter: merge. A policy says what becomes of a pushed state, given the record's current one.

use crate::store::Hash;
use fieldsync_schemas::id::{ReplicaId, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::registry::{DeleteRule, MergePolicy};
use fieldsync_schemas::time::Timestamp;
use std::collections::BTreeMap;

/// One of two states that meet.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its version.
    pub version: Version,
    /// When it was modified, as clamped.
    pub modified_at: Timestamp,
    /// Who wrote it; none where the server did.
    pub replica: Option<ReplicaId>,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The hash of its canonical content.
    pub content: Hash,
}

/// A pushed state and the state it meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Contest {
    /// What the mutation does.
    pub op: MutationOp,
    /// The pushed state.
    pub pushed: Claim,
    /// The record's current state; none where the id is unknown.
    pub current: Option<Claim>,
    /// Whether the mutation was made on the current state (a create: whether the id is unknown).
    pub base_is_current: bool,
    /// What the type says of a delete that meets an edit; `version-wins` does not ask.
    pub deletes: DeleteRule,
}

/// What becomes of a pushed state.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling {
    /// It becomes the current state, with this version.
    Apply(Version),
    /// The record has this content already.
    Duplicate,
    /// The current state stays and the pushed one is logged.
    Supersede,
    /// The device has to merge with the current state first; the server keeps nothing of the pushed one.
    Stale,
    /// It is refused for good.
    Reject(ProblemCode),
}

/// A merge policy.
pub type Policy = fn(&Contest) -> Ruling;

/// Which function each policy is.
#[derive(Debug, Clone)]
pub struct PolicyTable(BTreeMap<MergePolicy, Policy>);

impl PolicyTable {
    /// The policies as the specification has them.
    pub fn standard() -> Self {
        Self(BTreeMap::from([
            (MergePolicy::VersionWins, version_wins as Policy),
            (MergePolicy::FieldMerge, field_merge),
            (MergePolicy::ArrivalWins, arrival_wins),
            (MergePolicy::AppendOnly, append_only as Policy),
            (MergePolicy::ServerOnly, server_only as Policy),
        ]))
    }

    /// The same table with another function for one policy.
    pub fn with(mut self, policy: MergePolicy, function: Policy) -> Self {
        self.0.insert(policy, function);
        self
    }

    /// The function of a policy.
    pub fn get(&self, policy: &MergePolicy) -> Option<Policy> {
        self.0.get(policy).copied()
    }
}

/// Higher version; then later `modified_at`; then greater replica id in ASCII.
pub fn version_wins(contest: &Contest) -> Ruling {
    let Contest { op, pushed, current, base_is_current, .. } = contest;
    let Some(current) = current else { return Ruling::Apply(pushed.version) };
    if *base_is_current {
        return Ruling::Apply(pushed.version);
    }
    if pushed.content == current.content && pushed.deleted == current.deleted && pushed.version <= current.version {
        return Ruling::Duplicate;
    }
    // Whoever creates over a tombstone without naming it did not know that the record was deleted.
    if *op == MutationOp::Create && current.deleted {
        return Ruling::Supersede;
    }
    let rank = |claim: &Claim| (claim.version, claim.modified_at, claim.replica.clone());
    if rank(pushed) <= rank(current) {
        return Ruling::Supersede;
    }
    // After a tie two different states would carry one version, so the winner counts one further.
    Ruling::Apply(if pushed.version == current.version { current.version.next() } else { pushed.version })
}

/// What was not made on the current state goes back to its device, which merges.
pub fn field_merge(contest: &Contest) -> Ruling {
    let Contest { op, pushed, current, base_is_current, .. } = contest;
    let Some(current) = current else { return Ruling::Apply(pushed.version) };
    if *base_is_current {
        return Ruling::Apply(pushed.version);
    }
    let is_equal = match op {
        MutationOp::Create => !current.deleted && pushed.content == current.content,
        MutationOp::Delete => current.deleted,
        _ => false,
    };
    if is_equal && pushed.version <= current.version { Ruling::Duplicate } else { Ruling::Stale }
}

/// The last accepted write replaces; the state that it did not see is logged. Of a delete and an edit that meet, the
/// type says which one stays, whatever their order.
pub fn arrival_wins(contest: &Contest) -> Ruling {
    let Contest { op, pushed, current, base_is_current, deletes } = contest;
    let Some(current) = current else { return Ruling::Apply(pushed.version) };
    if *base_is_current {
        return Ruling::Apply(pushed.version);
    }
    if pushed.content == current.content && pushed.deleted == current.deleted && pushed.version <= current.version {
        return Ruling::Duplicate;
    }
    // Whoever creates over a tombstone without naming it did not know that the record was deleted.
    if *op == MutationOp::Create && current.deleted {
        return Ruling::Supersede;
    }
    match deletes {
        DeleteRule::DeleteWins if current.deleted && !pushed.deleted => Ruling::Supersede,
        DeleteRule::EditWins if pushed.deleted && !current.deleted => Ruling::Supersede,
        _ => Ruling::Apply(pushed.version.max(current.version.next())),
    }
}

/// The same id with the same content is a duplicate, with other content an error.
pub fn append_only(contest: &Contest) -> Ruling {
    match &contest.current {
        None if contest.op == MutationOp::Create => Ruling::Apply(contest.pushed.version),
        Some(current) if contest.op == MutationOp::Create && current.content == contest.pushed.content => {
            Ruling::Duplicate
        }
        _ => Ruling::Reject(ProblemCode::AppendOnly),
    }
}

/// Nothing is pushed.
pub fn server_only(_: &Contest) -> Ruling {
    Ruling::Reject(ProblemCode::ReadOnlyType)
}
