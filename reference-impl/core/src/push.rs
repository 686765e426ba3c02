//! A push: one batch of one replica, each mutation with its own outcome.
//!
//! Chapter: push. A batch is read without looking at anything stored, so that many can be read side by side; then it
//! is decided against what it touches, one batch after another.

use crate::clock::Ids;
use crate::conflict::{self, Side};
use crate::data::{self, Checked};
use crate::policy::{Claim, Contest, PolicyTable, Ruling};
use crate::problem::Trouble;
use crate::store::{Commit, DataSetName, Decided, Hash, Loaded, ReplicaRow, State, Touched};
use fieldsync_schemas::conflict::Writer;
use fieldsync_schemas::id::{
    BatchToken, Epoch, FeedName, MutationId, Principal, ReplicaId, Rev, Seq, SessionTag, Version,
};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp, Outcome, OutcomeKind, PushAnswer, PushRequest, Refusal};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::{Registry, TypeEntry};
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How far a device's clock may be ahead of the server's before its times are clamped.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// How far a pushed version may be above the current one.
pub const VERSION_LEAP: u64 = 10_000;

/// A batch, read and checked as far as that goes without looking at anything stored.
#[derive(Debug)]
pub struct Batch {
    /// The replica that sends it.
    pub replica: ReplicaId,
    /// Its place in the replica's row of batches.
    pub seq: Seq,
    /// The token of the answer before.
    pub previous: Option<BatchToken>,
    /// The hash of the decoded body.
    pub body: Hash,
    /// The mutations, in order.
    pub mutations: Vec<ReadMutation>,
}

/// A mutation, read and checked.
#[derive(Debug)]
pub struct ReadMutation {
    /// Its id.
    pub mutation_id: MutationId,
    /// The hash of its content, base apart.
    pub content: Hash,
    /// What it asks for, or why it is refused whatever is stored.
    pub asked: Result<Asked, Refusal>,
}

/// What a mutation asks for.
#[derive(Debug)]
pub struct Asked {
    /// What it does.
    pub op: MutationOp,
    /// The record.
    pub record: RecordRef,
    /// The state it was made on.
    pub base: Option<Rev>,
    /// The version it claims.
    pub version: Version,
    /// When it was made, by the device's clock.
    pub modified_at: Timestamp,
    /// The whole record; none for a delete.
    pub data: Option<Box<RawValue>>,
    /// The hash of the record's content.
    pub content: Hash,
}

/// What a batch is decided with, besides what it touches.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The data set.
    pub data_set: &'a DataSetName,
    /// Its epoch.
    pub epoch: &'a Epoch,
    /// Who pushes.
    pub principal: &'a Principal,
    /// The tag of the principal's session.
    pub session: &'a SessionTag,
    /// The types.
    pub registry: &'a Registry,
    /// The merge policies.
    pub policies: &'a PolicyTable,
    /// Makes revs and tokens.
    pub ids: &'a dyn Ids,
    /// The data set's clock.
    pub now: Timestamp,
}

/// What becomes of a batch.
#[derive(Debug)]
pub enum Decision {
    /// It was answered before: this answer goes out once more, and nothing changes.
    Replay(Arc<str>),
    /// This is to be committed; its answer is the replica's.
    Commit(Commit),
}

/// Reads the body of a push.
pub fn read(body: &[u8], limits: &Limits, registry: &Registry) -> Result<Batch, Trouble> {
    let request: PushRequest<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Trouble::new(ProblemCode::Malformed, format!("the body is no push: {error}")))?;
    let count = request.mutations.len();
    if count == 0 {
        return Err(Trouble::new(ProblemCode::Malformed, "a batch has at least one mutation"));
    }
    if count > limits.batch_mutations as usize {
        let limit = limits.batch_mutations;
        return Err(Trouble::new(
            ProblemCode::BatchTooLarge,
            format!("the batch has {count} mutations; this server takes at most {limit}. Send it in halves, as a new replica"),
        )
        .with_limit("batch_mutations", u64::from(limit)));
    }
    let mut mutations = Vec::with_capacity(count);
    for (index, raw) in request.mutations.iter().enumerate() {
        mutations.push(read_mutation(raw, index, limits, registry)?);
    }
    Ok(Batch {
        replica: request.replica,
        seq: request.seq,
        previous: request.previous,
        body: Sha256::digest(body).into(),
        mutations,
    })
}

/// One unreadable mutation must not hide the others: as long as its id can be read, it gets an outcome of its own.
fn read_mutation(raw: &RawValue, index: usize, limits: &Limits, registry: &Registry) -> Result<ReadMutation, Trouble> {
    #[derive(Deserialize)]
    struct OnlyId {
        mutation_id: MutationId,
    }
    match serde_json::from_str::<Mutation>(raw.get()) {
        Ok(mutation) => {
            let mutation_id = mutation.mutation_id.clone();
            let (content, asked) = examine(mutation, limits, registry);
            Ok(ReadMutation { mutation_id, content, asked })
        }
        Err(error) => {
            let Ok(OnlyId { mutation_id }) = serde_json::from_str(raw.get()) else {
                let mut trouble = Trouble::new(ProblemCode::Malformed, format!("a mutation cannot be read: {error}"));
                trouble.pointer = Some(format!("/mutations/{index}"));
                return Err(trouble);
            };
            let refusal = refuse(ProblemCode::Malformed, format!("the mutation cannot be read: {error}"));
            Ok(ReadMutation { mutation_id, content: Sha256::digest(raw.get()).into(), asked: Err(refusal) })
        }
    }
}

/// Checks a mutation as far as that goes without looking at anything stored, and hashes its content.
fn examine(mutation: Mutation, limits: &Limits, registry: &Registry) -> (Hash, Result<Asked, Refusal>) {
    let checked = mutation.data.as_deref().map(|data| data::check(data, limits)).transpose();
    let (cleaned, tree) = match checked {
        Ok(Some(Checked { text, tree })) => (Ok(Some(text)), Some(tree)),
        Ok(None) => (Ok(None), None),
        Err(refusal) => (Err(refusal), None),
    };
    let record_content = match &cleaned {
        Ok(_) => data::content_hash_of_tree(tree, &mutation.attachments),
        Err(_) => Sha256::digest(mutation.data.as_ref().map_or("", |data| data.get())).into(),
    };
    let mut hash = Sha256::new();
    for part in [mutation.op.as_str(), mutation.type_name.as_str(), mutation.id.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(mutation.version.map_or(0, Version::get).to_be_bytes());
    hash.update(mutation.modified_at.map_or(0, Timestamp::as_millis).to_be_bytes());
    hash.update(record_content);
    let content = hash.finalize().into();
    (content, ask(mutation, cleaned, record_content, registry))
}

fn ask(
    mutation: Mutation,
    cleaned: Result<Option<Box<RawValue>>, Refusal>,
    content: Hash,
    registry: &Registry,
) -> Result<Asked, Refusal> {
    let missing = |member: &str| refuse(ProblemCode::Malformed, format!("a {} needs {member}", mutation.op));
    let data = match mutation.op {
        MutationOp::Create | MutationOp::Update => Some(cleaned?.ok_or_else(|| missing("data"))?),
        MutationOp::Delete => None,
        MutationOp::Link => {
            return Err(refuse(
                ProblemCode::UnsupportedCapability,
                "this server does not claim the capability link".to_owned(),
            ));
        }
        MutationOp::Other(ref op) => {
            return Err(refuse(ProblemCode::Malformed, format!("there is no op {op:?}")));
        }
    };
    if mutation.group.is_some() {
        return Err(refuse(
            ProblemCode::UnsupportedCapability,
            "this server does not claim the capability groups".to_owned(),
        ));
    }
    if registry.entry(&mutation.type_name).is_none() {
        return Err(refuse(ProblemCode::UnknownType, format!("the registry has no type {}", mutation.type_name)));
    }
    Ok(Asked {
        version: mutation.version.ok_or_else(|| missing("version"))?,
        modified_at: mutation.modified_at.ok_or_else(|| missing("modified_at"))?,
        content,
        op: mutation.op,
        record: RecordRef { type_name: mutation.type_name, id: mutation.id },
        base: mutation.base,
        data,
    })
}

impl Batch {
    /// What has to be loaded before the batch can be decided.
    pub fn touched(&self, data_set: &DataSetName, principal: &Principal) -> Touched {
        let asked = || self.mutations.iter().filter_map(|read| read.asked.as_ref().ok());
        Touched {
            data_set: data_set.clone(),
            principal: principal.clone(),
            replica: self.replica.clone(),
            mutations: self.mutations.iter().map(|read| read.mutation_id.clone()).collect(),
            records: asked().map(|asked| asked.record.clone()).collect(),
            bases: asked().filter_map(|asked| asked.base.clone()).collect(),
        }
    }
}

/// Decides a batch: whether it is the replica's next one, and what becomes of each of its mutations.
pub fn decide(batch: &Batch, loaded: Loaded, ground: Ground<'_>) -> Result<Decision, Trouble> {
    if let Some(answer) = fence(batch, loaded.replica.as_ref())? {
        return Ok(Decision::Replay(answer));
    }
    let mut court = Court {
        ground,
        replica: &batch.replica,
        loaded,
        states: Vec::new(),
        decided: Vec::new(),
        heard: HashMap::new(),
        seen: HashSet::new(),
    };
    let outcomes = batch.mutations.iter().map(|read| court.hear(read)).collect();
    let Court { states, decided, .. } = court;
    let token = BatchToken::new(ground.ids.unique()).expect("ids are visible ASCII");
    let answer = PushAnswer::<Box<RawValue>> {
        token: token.clone(),
        replayed: false,
        epoch: ground.epoch.clone(),
        session: ground.session.clone(),
        outcomes,
    };
    let answer = Arc::from(serde_json::to_string(&answer).expect("an answer is plain JSON"));
    Ok(Decision::Commit(Commit {
        data_set: ground.data_set.clone(),
        principal: ground.principal.clone(),
        at: ground.now,
        states,
        decided,
        replica: ReplicaRow { replica: batch.replica.clone(), seq: batch.seq, token, body: batch.body, answer },
    }))
}

/// The stored answer, where the batch is the replica's last one; nothing, where it is the next; else trouble.
fn fence(batch: &Batch, known: Option<&ReplicaRow>) -> Result<Option<Arc<str>>, Trouble> {
    match known {
        None if batch.seq == Seq::FIRST && batch.previous.is_none() => Ok(None),
        None if batch.seq > Seq::FIRST => Err(Trouble::new(
            ProblemCode::OutcomeExpired,
            format!(
                "the server does not know the replica {}; resync, settle what is found, and begin as a new replica",
                batch.replica
            ),
        )),
        Some(row) if batch.seq == row.seq && batch.body == row.body => {
            let stored: PushAnswer<Box<RawValue>> = serde_json::from_str(&row.answer).expect("the server wrote it");
            let again = PushAnswer { replayed: true, ..stored };
            Ok(Some(Arc::from(serde_json::to_string(&again).expect("an answer is plain JSON"))))
        }
        Some(row) if batch.seq == row.seq.next() && batch.previous.as_ref() == Some(&row.token) => Ok(None),
        _ => Err(Trouble::new(
            ProblemCode::ReplicaFenced,
            format!(
                "batch {} is not what the server expects of replica {}: another device may use this id; take a new one and keep the outbox",
                batch.seq, batch.replica
            ),
        )),
    }
}

/// One batch being decided.
struct Court<'a> {
    ground: Ground<'a>,
    replica: &'a ReplicaId,
    loaded: Loaded,
    states: Vec<State>,
    decided: Vec<Decided>,
    /// Where in `decided` each mutation of this batch stands.
    heard: HashMap<&'a MutationId, usize>,
    seen: HashSet<&'a RecordRef>,
}

impl<'a> Court<'a> {
    /// The outcome of one mutation, as JSON; a new one is kept.
    fn hear(&mut self, read: &'a ReadMutation) -> Box<RawValue> {
        let earlier = self.heard.get(&read.mutation_id).map(|index| &self.decided[*index]);
        if let Some(known) = earlier.or_else(|| self.loaded.decided.get(&read.mutation_id)) {
            if known.content == read.content {
                return RawValue::from_string(known.outcome.to_string()).expect("the server wrote it");
            }
            let refusal = refuse(
                ProblemCode::MutationIdReused,
                "the mutation id was used with other content; send this under a new id".to_owned(),
            );
            return raw(&rejected(&read.mutation_id, refusal));
        }
        let outcome = match &read.asked {
            Ok(asked) => {
                self.judge(&read.mutation_id, asked).unwrap_or_else(|refusal| rejected(&read.mutation_id, refusal))
            }
            Err(refusal) => rejected(&read.mutation_id, refusal.clone()),
        };
        let outcome = raw(&outcome);
        let decided = Decided {
            mutation_id: read.mutation_id.clone(),
            feed: self.feed_of(read),
            content: read.content,
            outcome: Arc::from(outcome.get()),
        };
        self.heard.insert(&read.mutation_id, self.decided.len());
        self.decided.push(decided);
        outcome
    }

    fn feed_of(&self, read: &ReadMutation) -> Option<FeedName> {
        let asked = read.asked.as_ref().ok()?;
        self.ground.registry.entry(&asked.record.type_name).map(TypeEntry::feed_name)
    }

    fn judge(&mut self, mutation_id: &MutationId, asked: &'a Asked) -> Result<Outcome, Refusal> {
        if !self.seen.insert(&asked.record) {
            return Err(refuse(
                ProblemCode::RecordTwice,
                format!(
                    "the batch has another mutation of {}; send this one under a new mutation id, in a later batch",
                    asked.record
                ),
            ));
        }
        let entry = self.ground.registry.entry(&asked.record.type_name).expect("the type was checked when it was read");
        let policy =
            self.ground.policies.get(&entry.merge.policy).expect("the domain was checked against the policies");
        // The batch has no further mutation of this record.
        let current = self.loaded.states.remove(&asked.record);
        let base_is_current = match &current {
            None => asked.base.is_none(),
            Some(state) => asked.base.as_ref() == Some(&state.rev),
        };
        let latest = self.ground.now.plus(CLOCK_TOLERANCE);
        let contest = Contest {
            op: asked.op.clone(),
            pushed: Claim {
                version: asked.version,
                modified_at: asked.modified_at.min(latest),
                replica: Some(self.replica.clone()),
                deleted: asked.op == MutationOp::Delete,
                content: asked.content,
            },
            current: current.as_ref().map(claim),
            base_is_current,
        };
        let ruling = policy(&contest);
        if let Ruling::Reject(code) = ruling {
            return Err(refuse(code, format!("records of type {} are not changed this way", entry.name)));
        }
        if current.is_none() && asked.op != MutationOp::Create {
            return Err(refuse(ProblemCode::UnknownRecord, format!("the server never had {}", asked.record)));
        }
        let replaces_its_base = base_is_current && matches!(ruling, Ruling::Apply(_));
        check_version(asked, current.as_ref(), replaces_its_base)?;
        match (ruling, current) {
            (Ruling::Apply(version), current) => {
                let state = self.state(asked, entry, version, contest.pushed.modified_at);
                let overridden = current.filter(|before| {
                    !base_is_current && (before.content != state.content || before.deleted != state.deleted)
                });
                let conflicts =
                    overridden.map(|lost| self.log(asked, Side::of(&lost), Side::of(&state))).into_iter().collect();
                let outcome = Outcome { conflicts, ..settled(mutation_id, OutcomeKind::Applied, &state) };
                self.states.push(state);
                Ok(outcome)
            }
            (Ruling::Duplicate, Some(current)) => Ok(settled(mutation_id, OutcomeKind::Duplicate, &current)),
            (Ruling::Supersede, Some(current)) => {
                let lost = Side {
                    data: asked.data.as_deref().map(|data| Value::Object(data::tree(data))),
                    writer: Writer {
                        replica: Some(self.replica.clone()),
                        mutation_id: Some(mutation_id.clone()),
                        rev: None,
                    },
                };
                let conflict = self.log(asked, lost, Side::of(&current));
                let winner = RawValue::from_string(current.json.to_string()).expect("the server wrote it");
                Ok(Outcome {
                    record: Some(winner),
                    conflicts: vec![conflict],
                    ..empty(mutation_id, OutcomeKind::Superseded)
                })
            }
            (Ruling::Duplicate | Ruling::Supersede | Ruling::Reject(_), _) => {
                unreachable!("a policy sets a pushed state against a current one")
            }
        }
    }

    /// The pushed state as it becomes the record's.
    fn state(&self, asked: &Asked, entry: &TypeEntry, version: Version, modified_at: Timestamp) -> State {
        let record = Record {
            type_name: asked.record.type_name.clone(),
            id: asked.record.id.clone(),
            rev: self.rev(),
            version,
            modified_at,
            claimed_at: (modified_at != asked.modified_at).then_some(asked.modified_at),
            accepted_at: self.ground.now,
            replica: Some(self.replica.clone()),
            deleted: asked.op == MutationOp::Delete,
            data: asked.data.clone(),
            attachments: Vec::new(),
        };
        State::published(entry.feed_name(), asked.content, record)
    }

    fn rev(&self) -> Rev {
        Rev::new(self.ground.ids.unique()).expect("ids are visible ASCII")
    }

    /// Writes the entry for a value that is overridden, and gives it back as it is published.
    fn log(&mut self, asked: &Asked, lost: Side, kept: Side) -> Box<RawValue> {
        let base = asked.base.as_ref().and_then(|rev| self.loaded.bases.get(rev)).and_then(conflict::data_of);
        let state = conflict::entry(&asked.record, base, lost, kept, self.rev(), self.ground.now);
        let published = RawValue::from_string(state.json.to_string()).expect("the server wrote it");
        self.states.push(state);
        published
    }
}

fn check_version(asked: &Asked, current: Option<&State>, replaces_its_base: bool) -> Result<(), Refusal> {
    let current = current.map_or(0, |state| state.version.get());
    let pushed = asked.version.get();
    if pushed > current + VERSION_LEAP {
        return Err(refuse(
            ProblemCode::InvalidVersion,
            format!("version {pushed} is more than {VERSION_LEAP} above the current one, {current}"),
        ));
    }
    if replaces_its_base && pushed <= current {
        return Err(refuse(
            ProblemCode::InvalidVersion,
            format!("version {pushed} is not above its base's, {current}"),
        ));
    }
    Ok(())
}

fn claim(state: &State) -> Claim {
    Claim {
        version: state.version,
        modified_at: state.modified_at,
        replica: state.replica.clone(),
        deleted: state.deleted,
        content: state.content,
    }
}

fn refuse(code: ProblemCode, mut detail: String) -> Refusal {
    // What cannot be read is quoted, and may be as long as the body.
    detail.truncate(detail.floor_char_boundary(500));
    Refusal { code, detail, pointer: None, cause: None }
}

fn empty(mutation_id: &MutationId, outcome: OutcomeKind) -> Outcome {
    Outcome {
        mutation_id: mutation_id.clone(),
        outcome,
        rev: None,
        version: None,
        record: None,
        conflicts: Vec::new(),
        problem: None,
    }
}

fn settled(mutation_id: &MutationId, outcome: OutcomeKind, state: &State) -> Outcome {
    Outcome { rev: Some(state.rev.clone()), version: Some(state.version), ..empty(mutation_id, outcome) }
}

fn rejected(mutation_id: &MutationId, refusal: Refusal) -> Outcome {
    Outcome { problem: Some(refusal), ..empty(mutation_id, OutcomeKind::Rejected) }
}

fn raw(outcome: &Outcome) -> Box<RawValue> {
    serde_json::value::to_raw_value(outcome).expect("an outcome is plain JSON")
}
