//! Deciding a batch: whether it is the replica's next one, and what becomes of each of its mutations.

use super::fence::fence;
use super::fields::{self, Pushed};
use super::merging::{self, Meeting};
use super::outcome::{empty, raw, rejected, settled, waiting};
use super::parents::{Kin, Missing};
use super::sequence;
use super::{Ask, Asked, Batch, CLOCK_TOLERANCE, Decision, Ground, ReadMutation, VERSION_LEAP, refuse};
use crate::attachment::{self, RecordFiles};
use crate::conflict::{self, Collision, Side};
use crate::data;
use crate::links;
use crate::partition;
use crate::policy::{Claim, Contest, Ruling};
use crate::problem::Trouble;
use crate::scope::{self, Known};
use crate::store::{Commit, Decided, Loaded, RecordLink, ReplicaRow, SequenceName, State};
use fieldsync_schemas::conflict::{CONFLICT_TYPE, Writer};
use fieldsync_schemas::id::{BatchToken, FeedName, MutationId, ReplicaId, Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind, PushAnswer, Refusal};
use fieldsync_schemas::record::{Attachment, Record};
use fieldsync_schemas::registry::{DeleteRule, TypeEntry};
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Decides a batch: whether it is meant for these data, whether it is the replica's next one, and what becomes of each
/// of its mutations.
pub fn decide(batch: &Batch, mut loaded: Loaded, ground: Ground<'_>) -> Result<Decision, Trouble> {
    ground.epochs.check(batch.epoch.as_ref())?;
    if let Some(answer) = fence(batch, loaded.replica.as_ref())? {
        return Ok(Decision::Replay(answer));
    }
    let unseen = scope::unseen(&loaded.scope, std::mem::take(&mut loaded.labels));
    let kin = Kin::new(std::mem::take(&mut loaded.parents), std::mem::take(&mut loaded.children), unseen);
    let mut court = Court {
        ground,
        replica: &batch.replica,
        limits: &batch.limits,
        known: scope::known(&loaded.states),
        drawn: std::mem::take(&mut loaded.drawn),
        loaded,
        kin,
        states: Vec::new(),
        decided: Vec::new(),
        files: Vec::new(),
        linked: Vec::new(),
        heard: HashMap::new(),
        seen: HashSet::new(),
        replaced: None,
    };
    let outcomes = court.hear_all(&batch.mutations);
    let Court { mut states, decided, files, linked, drawn, kin, known, .. } = court;
    scope::place(&mut states, known, ground.registry, ground.principal);
    let token = BatchToken::new(ground.ids.unique()).expect("ids are visible ASCII");
    let answer = PushAnswer::<Box<RawValue>> {
        token: token.clone(),
        replayed: false,
        epoch: ground.epochs.current().clone(),
        session: ground.session.clone(),
        accepted_seq: Some(ground.accepted_seq),
        outcomes,
    };
    let answer = Arc::from(serde_json::to_string(&answer).expect("an answer is plain JSON"));
    Ok(Decision::Commit(Commit {
        data_set: ground.data_set.clone(),
        principal: ground.principal.clone(),
        at: ground.now,
        states,
        links: kin.into_links(),
        decided,
        files,
        linked,
        drawn,
        accepted_seq: ground.accepted_seq,
        replica: ReplicaRow { replica: batch.replica.clone(), seq: batch.seq, token, body: batch.body, answer },
    }))
}

/// One batch being decided.
pub(super) struct Court<'a> {
    pub(super) ground: Ground<'a>,
    replica: &'a ReplicaId,
    limits: &'a Limits,
    pub(super) loaded: Loaded,
    /// Where the touched records are.
    known: Known,
    kin: Kin,
    states: Vec<State>,
    decided: Vec<Decided>,
    /// The files of the new states, of types that may carry some.
    files: Vec<RecordFiles>,
    /// The links that were taken.
    pub(super) linked: Vec<RecordLink>,
    /// The last number of each sequence.
    drawn: HashMap<SequenceName, u64>,
    /// Where in `decided` each mutation of this batch stands.
    heard: HashMap<&'a MutationId, usize>,
    seen: HashSet<&'a RecordRef>,
    /// While a group is heard: what was current before each of its changes.
    replaced: Option<Vec<(RecordRef, Option<State>)>>,
}

/// What was found about a mutation.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
pub(super) enum Heard {
    /// It was decided before, or its id was: this is the outcome, as JSON.
    Before(Box<RawValue>),
    /// It is decided now.
    Now(Outcome),
}

/// Where a batch stood before a group.
pub(super) struct Mark {
    states: usize,
    files: usize,
    kin: Kin,
    drawn: HashMap<SequenceName, u64>,
}

impl<'a> Court<'a> {
    /// The outcomes of all mutations, in their order. A group is heard where its first mutation stands.
    fn hear_all(&mut self, mutations: &'a [ReadMutation]) -> Vec<Box<RawValue>> {
        let mut outcomes: Vec<Option<Box<RawValue>>> = mutations.iter().map(|_| None).collect();
        for (index, read) in mutations.iter().enumerate() {
            if outcomes[index].is_some() {
                continue;
            }
            if read.group.is_none() {
                let heard = self.consider(read);
                outcomes[index] = Some(self.keep(read, heard));
                continue;
            }
            let group = || mutations.iter().enumerate().filter(|(_, other)| other.group == read.group);
            let members: Vec<&ReadMutation> = group().map(|(_, member)| member).collect();
            for ((place, _), outcome) in group().zip(self.hear_group(&members)) {
                outcomes[place] = Some(outcome);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// What becomes of one mutation; nothing is kept of it yet but its state.
    pub(super) fn consider(&mut self, read: &'a ReadMutation) -> Heard {
        let earlier = self.heard.get(&read.mutation_id).map(|index| &self.decided[*index]);
        if let Some(known) = earlier.or_else(|| self.loaded.decided.get(&read.mutation_id)) {
            if known.content == read.content {
                return Heard::Before(RawValue::from_string(known.outcome.to_string()).expect("the server wrote it"));
            }
            let refusal = refuse(
                ProblemCode::MutationIdReused,
                "the mutation id was used with other content; send this under a new id".to_owned(),
            );
            return Heard::Before(raw(&rejected(&read.mutation_id, refusal)));
        }
        let heard = match &read.asked {
            Ok(Ask::Change(asked)) => self.judge(&read.mutation_id, asked),
            Ok(Ask::Link(asked)) => self.link(&read.mutation_id, asked),
            Err(refusal) => Err(refusal.clone()),
        };
        Heard::Now(heard.unwrap_or_else(|refusal| rejected(&read.mutation_id, refusal)))
    }

    /// The outcome of a mutation, as JSON; a new one is kept.
    pub(super) fn keep(&mut self, read: &'a ReadMutation, heard: Heard) -> Box<RawValue> {
        let outcome = match heard {
            Heard::Before(outcome) => return outcome,
            Heard::Now(outcome) => outcome,
        };
        // What the device sends again is decided anew.
        let goes_again = matches!(outcome.outcome, OutcomeKind::Stale | OutcomeKind::Held | OutcomeKind::Skipped);
        if let Some(record) = &read.creates
            && (goes_again || outcome.outcome == OutcomeKind::Rejected)
        {
            self.kin.not_taken(record.clone(), read.mutation_id.clone());
        }
        let outcome = raw(&outcome);
        if goes_again {
            return outcome;
        }
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

    /// A mutation of a group creates this record: to the others it is there.
    pub(super) fn promise(&mut self, record: &RecordRef) {
        self.kin.promise(record);
    }

    pub(super) fn mark(&mut self) -> Mark {
        self.replaced = Some(Vec::new());
        let (kin, drawn) = (self.kin.clone(), self.drawn.clone());
        Mark { states: self.states.len(), files: self.files.len(), kin, drawn }
    }

    /// The group was taken.
    pub(super) fn forget_mark(&mut self) {
        self.replaced = None;
    }

    /// The group was not taken: everything is as it was before.
    pub(super) fn go_back(&mut self, mark: Mark) {
        self.states.truncate(mark.states);
        self.files.truncate(mark.files);
        self.kin = mark.kin;
        self.drawn = mark.drawn;
        for (record, before) in self.replaced.take().unwrap_or_default().into_iter().rev() {
            match before {
                Some(state) => self.loaded.states.insert(record, state),
                None => self.loaded.states.remove(&record),
            };
        }
    }

    fn feed_of(&self, read: &ReadMutation) -> Option<FeedName> {
        self.ground.registry.entry(&read.record()?.type_name).map(TypeEntry::feed_name)
    }

    /// A batch has one mutation of each record.
    pub(super) fn first_of(&mut self, record: &'a RecordRef) -> Result<(), Refusal> {
        if self.seen.insert(record) {
            return Ok(());
        }
        let detail = format!(
            "the batch has another mutation of {record}; send this one under a new mutation id, in a later batch"
        );
        Err(refuse(ProblemCode::RecordTwice, detail))
    }

    fn judge(&mut self, mutation_id: &MutationId, asked: &'a Asked) -> Result<Outcome, Refusal> {
        self.first_of(&asked.record)?;
        let entry = self.ground.registry.entry(&asked.record.type_name).expect("the type was checked when it was read");
        let policy =
            self.ground.policies.get(&entry.merge.policy).expect("the domain was checked against the policies");
        let current = self.loaded.states.get(&asked.record).cloned();
        scope::admits(&self.loaded.scope, &asked.op, &asked.record, current.as_ref())?;
        let base_is_current = match &current {
            None => asked.base.is_none(),
            Some(state) => asked.base.as_ref() == Some(&state.rev),
        };
        let pushed = fields::pushed(asked, entry, current.as_ref(), base_is_current, self.limits)?;
        let pushed = self.with_urls(entry, asked, pushed);
        let latest = self.ground.now.plus(CLOCK_TOLERANCE);
        let contest = Contest {
            op: asked.op.clone(),
            pushed: Claim {
                version: asked.version,
                modified_at: asked.modified_at.min(latest),
                replica: Some(self.replica.clone()),
                deleted: asked.op == MutationOp::Delete,
                content: pushed.content,
            },
            current: current.as_ref().map(claim),
            base_is_current,
            deletes: entry.merge.deletes.unwrap_or(DeleteRule::DeleteWins),
        };
        let ruling = match policy(&contest) {
            // Whoever finds an override first writes its entry.
            Ruling::Reject(_) if is_known_entry(&contest, entry) => Ruling::Duplicate,
            ruling => ruling,
        };
        let met = match (&ruling, &current) {
            (Ruling::Stale, Some(current)) => merging::meet(asked, entry, current, &self.loaded.bases, self.limits)?,
            _ => None,
        };
        let (ruling, pushed, meeting) = match met {
            Some((merged, meeting)) => (Ruling::Apply(meeting.version), merged, Some(meeting)),
            None => (ruling, pushed, None),
        };
        if let Some(meeting) =
            meeting.as_ref().filter(|_| current.as_ref().is_some_and(|it| it.content == pushed.content))
        {
            return Ok(self.merged(mutation_id, asked, meeting, current.as_ref(), None));
        }
        if let Ruling::Reject(code) = ruling {
            return Err(refuse(code, format!("records of type {} are not changed this way", entry.name)));
        }
        if current.is_none() && asked.op != MutationOp::Create {
            return Err(scope::unknown(&asked.record));
        }
        let replaces_its_base = base_is_current && matches!(ruling, Ruling::Apply(_));
        check_version(asked, current.as_ref(), replaces_its_base)?;
        let mut along = Vec::new();
        if matches!(ruling, Ruling::Apply(_)) && asked.op == MutationOp::Delete {
            along = self.kin.taken_along(self.ground.registry, &asked.record)?;
        } else if matches!(ruling, Ruling::Apply(_)) {
            let references = meeting.as_ref().map_or(&asked.references, |meeting| &meeting.references);
            match self.kin.check(entry, &asked.record, references, current.as_ref()) {
                Ok(()) => {}
                Err(Missing::Refused(refusal)) => return Err(refusal),
                Err(Missing::Held(refusal)) => return Ok(waiting(mutation_id, OutcomeKind::Held, refusal)),
                Err(Missing::Skipped(refusal)) => return Ok(waiting(mutation_id, OutcomeKind::Skipped, refusal)),
            }
        }
        match (ruling, current) {
            (Ruling::Apply(version), current) => {
                let modified_at = contest.pushed.modified_at;
                let files = attachment::published(&asked.attachments, current.as_ref(), &self.loaded.open);
                let is_made = asked.op != MutationOp::Delete && current.as_ref().is_none_or(|before| before.deleted);
                let pushed = if is_made { self.numbered(entry, asked, pushed) } else { pushed };
                let state = self.state(asked, pushed, entry, version, modified_at, files.clone());
                scope::admits_state(&self.loaded.scope, &state, entry, &self.known, self.ground.principal)?;
                let mut conflicts: Vec<_> =
                    along.iter().filter_map(|child| self.take_along(child, modified_at)).collect();
                self.carries(entry, &asked.record, files);
                if let Some(meeting) = &meeting {
                    let outcome = self.merged(mutation_id, asked, meeting, current.as_ref(), Some(&state));
                    self.accept(entry, current.as_ref(), state);
                    return Ok(Outcome { conflicts: [conflicts, outcome.conflicts].concat(), ..outcome });
                }
                let overridden = current.as_ref().filter(|before| {
                    !base_is_current && (before.content != state.content || before.deleted != state.deleted)
                });
                conflicts.extend(overridden.map(|lost| self.log(asked, Side::of(lost), Side::of(&state))));
                let outcome = Outcome { conflicts, ..settled(mutation_id, OutcomeKind::Applied, &state) };
                self.accept(entry, current.as_ref(), state);
                Ok(outcome)
            }
            (Ruling::Duplicate, Some(current)) => Ok(settled(mutation_id, OutcomeKind::Duplicate, &current)),
            (Ruling::Supersede, Some(current)) => {
                let lost = Side {
                    data: pushed.data.as_deref().map(|data| Value::Object(data::tree(data))),
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
            (Ruling::Stale, Some(current)) => {
                let record = RawValue::from_string(current.json.to_string()).expect("the server wrote it");
                Ok(Outcome { record: Some(record), ..empty(mutation_id, OutcomeKind::Stale) })
            }
            (Ruling::Duplicate | Ruling::Supersede | Ruling::Stale | Ruling::Reject(_), _) => {
                unreachable!("a policy sets a pushed state against a current one")
            }
        }
    }

    /// The pushed state as it becomes the record's. A tombstone stays in the feed that its record was in.
    fn state(
        &self,
        asked: &Asked,
        pushed: Pushed<'_>,
        entry: &TypeEntry,
        version: Version,
        modified_at: Timestamp,
        attachments: Vec<Attachment>,
    ) -> State {
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
            data: pushed.data.map(Cow::into_owned),
            attachments,
        };
        let before = self.loaded.states.get(&asked.record).filter(|_| record.deleted);
        let feed = before.map_or_else(|| partition::feed(entry, record.data.as_deref()), |state| state.feed.clone());
        State::published(feed, pushed.content, record)
    }

    /// Where the record's files are that have a link already, in the place of their ids.
    fn with_urls<'p>(&self, entry: &TypeEntry, asked: &Asked, pushed: Pushed<'p>) -> Pushed<'p> {
        let (Some(data), Some(known)) = (&pushed.data, self.loaded.links.get(&asked.record)) else { return pushed };
        let mut tree = data::tree(data);
        match links::write(entry, &mut tree, &asked.attachments, known) {
            true => Pushed::of(tree, &asked.attachments),
            false => pushed,
        }
    }

    /// A record that is made gets its numbers.
    fn numbered<'p>(&mut self, entry: &TypeEntry, asked: &Asked, pushed: Pushed<'p>) -> Pushed<'p> {
        let (Some(data), true) = (&pushed.data, sequence::sequences(entry).next().is_some()) else { return pushed };
        let mut tree = data::tree(data);
        sequence::draw(entry, &mut self.drawn, &mut tree);
        Pushed::of(tree, &asked.attachments)
    }

    /// What the server's own merge came to: the state that it made, or that was there, and an entry for each value that
    /// it overrode.
    fn merged(
        &mut self,
        mutation_id: &MutationId,
        asked: &Asked,
        meeting: &Meeting,
        current: Option<&State>,
        made: Option<&State>,
    ) -> Outcome {
        let pushed = Writer { replica: Some(self.replica.clone()), mutation_id: Some(mutation_id.clone()), rev: None };
        let conflicts = meeting.collisions(&pushed, current, made).map(|one| self.enter(&asked.record, one)).collect();
        let record = made.or(current).and_then(|state| RawValue::from_string(state.json.to_string()).ok());
        Outcome { record, conflicts, ..empty(mutation_id, OutcomeKind::Merged) }
    }

    /// A new state of a record. Where others refer to its type, or it to others, the rest of the batch sees it.
    fn accept(&mut self, entry: &TypeEntry, before: Option<&State>, state: State) {
        if self.ground.registry.has_kin(entry) {
            self.kin.became(entry, before, &state);
            let before = self.loaded.states.insert(state.record.clone(), state.clone());
            if let Some(replaced) = &mut self.replaced {
                replaced.push((state.record.clone(), before));
            }
        }
        self.states.push(state);
    }

    /// Which files a new state has.
    fn carries(&mut self, entry: &TypeEntry, record: &RecordRef, attachments: Vec<Attachment>) {
        if entry.attachments.is_some() {
            self.files.push(RecordFiles { record: record.clone(), attachments });
        }
    }

    /// Deletes a record with the one that it refers to. Nobody has said that of this record, so what it was is logged.
    fn take_along(&mut self, child: &RecordRef, modified_at: Timestamp) -> Option<Box<RawValue>> {
        let before = self.loaded.states.get(child).cloned()?;
        let entry = self.ground.registry.entry(&child.type_name)?;
        let state = State::published(
            before.feed.clone(),
            data::content_hash(None, &[]),
            Record {
                type_name: child.type_name.clone(),
                id: child.id.clone(),
                rev: self.rev(),
                version: before.version.next(),
                modified_at,
                claimed_at: None,
                accepted_at: self.ground.now,
                replica: Some(self.replica.clone()),
                deleted: true,
                data: None,
                attachments: Vec::new(),
            },
        );
        let logged = self.enter(child, Collision::whole(None, Side::of(&before), Side::of(&state)));
        self.accept(entry, Some(&before), state);
        self.carries(entry, child, Vec::new());
        Some(logged)
    }

    fn rev(&self) -> Rev {
        Rev::new(self.ground.ids.unique()).expect("ids are visible ASCII")
    }

    /// Writes the entry for a value that is overridden, and gives it back as it is published.
    fn log(&mut self, asked: &Asked, lost: Side, kept: Side) -> Box<RawValue> {
        let base = asked.base.as_ref().and_then(|rev| self.loaded.bases.get(rev)).and_then(conflict::data_of);
        self.enter(&asked.record, Collision::whole(base, lost, kept))
    }

    fn enter(&mut self, record: &RecordRef, collision: Collision) -> Box<RawValue> {
        let state = conflict::entry(record, collision, self.rev(), self.ground.now);
        let published = RawValue::from_string(state.json.to_string()).expect("the server wrote it");
        self.states.push(state);
        published
    }
}

/// Whether a create brings a conflict entry that is there already.
fn is_known_entry(contest: &Contest, entry: &TypeEntry) -> bool {
    entry.name.as_str() == CONFLICT_TYPE && contest.op == MutationOp::Create && contest.current.is_some()
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
