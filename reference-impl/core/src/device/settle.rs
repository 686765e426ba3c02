//! Settling: what an outcome does to the outbox, to the record, and to the edit that waits behind it.
//!
//! Chapter: push.

use super::outbox::{Entry, Progress, joined};
use super::store::{FrozenBatch, Quarantined, Reason, ServerCopy, StoreError};
use super::{Step, Write, cycle};
use crate::data;
use fieldsync_schemas::id::{MutationId, Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp, Outcome, OutcomeKind, PushAnswer};
use fieldsync_schemas::record::Record;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

impl Step<'_> {
    /// Settles a batch. Outcomes are matched by mutation id; what has none stays as it is.
    pub(super) fn outcomes(&mut self, batch: &FrozenBatch, answer: &PushAnswer) -> Result<(), StoreError> {
        let mut outcomes: HashMap<&MutationId, &Outcome> = HashMap::new();
        for outcome in &answer.outcomes {
            outcomes.entry(&outcome.mutation_id).or_insert(outcome);
        }
        for id in &batch.mutations {
            let Some(entry) = self.machine.state.outbox.get(id).cloned() else {
                self.link_outcome(id, outcomes.get(id).copied());
                continue;
            };
            let settled = match outcomes.get(id) {
                Some(outcome) => self.outcome(entry, outcome)?,
                None => false,
            };
            if !settled {
                self.run().set_aside.insert(id.clone());
            }
        }
        Ok(())
    }

    /// What becomes of one mutation. Whether the outcome was one that this device understands.
    fn outcome(&mut self, entry: Entry, outcome: &Outcome) -> Result<bool, StoreError> {
        let record = entry.record();
        let told = outcome.record.as_deref().and_then(record_of).filter(|told| is_of(told, &record));
        for conflict in &outcome.conflicts {
            self.log(conflict);
        }
        match (&outcome.outcome, told) {
            (OutcomeKind::Merged, Some(merged)) => self.merged(entry, merged.into())?,
            (OutcomeKind::Applied | OutcomeKind::Merged | OutcomeKind::Duplicate, told) => {
                let (Some(rev), Some(version)) = (outcome.rev.clone(), outcome.version) else { return Ok(false) };
                let told = told.unwrap_or_else(|| self.as_accepted(&entry.mutation, rev, version));
                self.accepted(entry, told.into())?;
            }
            (OutcomeKind::Superseded, Some(winner)) => self.superseded(entry, winner.into())?,
            (OutcomeKind::Stale, Some(current)) if self.merge_rules(&record.type_name).is_some() => {
                self.stale(entry, current.into())?;
            }
            (OutcomeKind::Stale, Some(current)) => {
                self.take_server_copy(current.into())?;
                self.deferred(entry);
            }
            (OutcomeKind::Held | OutcomeKind::Skipped, _) => self.deferred(entry),
            (OutcomeKind::Rejected, _) => {
                let Some(refusal) = outcome.problem.clone() else { return Ok(false) };
                if refusal.code == ProblemCode::UnknownRecord && self.lost_by_restore(&entry)? {
                    return Ok(true);
                }
                let is_wanted = entry.progress != Progress::Discarded && self.second(&record).is_none();
                if Self::asks_for_new_id(&refusal.code) && is_wanted {
                    let mutation = Mutation { mutation_id: self.new_mutation_id(), ..Mutation::clone(&entry.mutation) };
                    self.renew(Entry { progress: Progress::Unsent, mutation: mutation.into(), ..entry });
                } else {
                    self.refused(entry, Reason::Refused(refusal));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The mutation is the record's state now; the edit that waits was made on it.
    pub(super) fn accepted(&mut self, entry: Entry, accepted: Arc<Record>) -> Result<(), StoreError> {
        let record = entry.record();
        self.count_settled(&entry);
        self.write(Write::EntryGone(entry.place));
        self.keep(entry.clone());
        let Some(waiting) = self.first(&record) else { return self.take_server_copy(accepted) };
        // What the user saved since counts on from the outcome, which may be further than what was pushed.
        let saved_since = waiting.version().get().saturating_sub(entry.version().get()).max(1);
        let version = Version::new(accepted.version.get() + saved_since).unwrap_or_else(|_| accepted.version.next());
        // What was acknowledged once is sent again as it was, as far as the version allows.
        let is_again = waiting.progress == Progress::Unknown && waiting.version() > accepted.version;
        let version = if is_again { waiting.version() } else { version };
        let base = Some(accepted.rev.clone());
        let mutation = Mutation { base, version: Some(version), ..Mutation::clone(&waiting.mutation) };
        let snapshot = self.snapshot(&accepted);
        self.write(Write::Entry(Box::new(Entry { mutation: mutation.into(), snapshot, ..waiting })));
        match self.known_since(&accepted)? {
            Some(newer) => self.meet(&newer.record),
            None => self.take_server_copy(accepted)?,
        }
        Ok(())
    }

    /// Another state won. The edit that waits keeps its base, so that the policy ranks it, too.
    fn superseded(&mut self, entry: Entry, winner: Arc<Record>) -> Result<(), StoreError> {
        let record = entry.record();
        self.count_settled(&entry);
        self.write(Write::EntryGone(entry.place));
        self.keep(entry.clone());
        // What changes that which the server never took is a create still.
        if let Some(waiting) = self.first(&record)
            && entry.mutation.op == MutationOp::Create
            && waiting.mutation.op == MutationOp::Update
        {
            let mutation = Mutation { op: MutationOp::Create, ..Mutation::clone(&waiting.mutation) };
            self.write(Write::Entry(Box::new(Entry { mutation: mutation.into(), ..waiting })));
        }
        self.take_server_copy(winner)
    }

    /// The server kept nothing of it: it goes again in the next sync, joined with the edit that waits.
    fn deferred(&mut self, entry: Entry) {
        if entry.progress == Progress::Discarded {
            self.write(Write::EntryGone(entry.place));
        } else if self.second(&entry.record()).is_none() {
            self.run().set_aside.insert(entry.mutation.mutation_id.clone());
            self.write(Write::Entry(Box::new(Entry { progress: Progress::Deferred, ..entry })));
        } else if let Some(id) = self.join_waiting(&entry) {
            self.run().set_aside.insert(id);
        }
    }

    /// It is refused: the edit that waits takes it up, or it is given up.
    pub(super) fn refused(&mut self, entry: Entry, reason: Reason) {
        if entry.progress == Progress::Discarded {
            self.write(Write::EntryGone(entry.place));
        } else if self.second(&entry.record()).is_some() {
            self.join_waiting(&entry);
        } else {
            self.quarantine(entry, reason);
        }
    }

    /// What was given up while it was on its way does not go again; what waits behind it stands on its base.
    pub(super) fn drop_discarded(&mut self) {
        let discarded = self.machine.state.outbox.iter().filter(|entry| entry.progress == Progress::Discarded);
        for place in discarded.map(|entry| entry.place).collect::<Vec<_>>() {
            self.write(Write::EntryGone(place));
        }
    }

    /// The same, for a mutation that may have left the outbox meanwhile.
    pub(super) fn give_up(&mut self, id: &MutationId, reason: Reason) {
        if let Some(entry) = self.machine.state.outbox.get(id).cloned() {
            self.refused(entry, reason);
        }
    }

    /// Makes one mutation of a refused one and the edit behind it, on the old base, under a new id.
    fn join_waiting(&mut self, entry: &Entry) -> Option<MutationId> {
        let waiting = self.second(&entry.record())?;
        self.write(Write::EntryGone(waiting.place));
        let Some(both) = joined(&entry.mutation, &waiting.mutation) else {
            self.write(Write::EntryGone(entry.place));
            return None;
        };
        let replaces = Some(entry.mutation.mutation_id.clone());
        let mutation = Arc::new(Mutation { mutation_id: self.new_mutation_id(), replaces, ..both });
        let id = mutation.mutation_id.clone();
        let snapshot = entry.snapshot.clone();
        self.renew(Entry { place: entry.place, progress: Progress::Unsent, mutation, snapshot });
        Some(id)
    }

    /// Stores a mutation that was made anew. It goes in this sync, but not for ever.
    pub(super) fn renew(&mut self, entry: Entry) {
        let times = self.run().renewals.entry(entry.record()).or_default();
        *times += 1;
        if *times > cycle::ATTEMPTS {
            self.run().set_aside.insert(entry.mutation.mutation_id.clone());
        }
        self.write(Write::Entry(Box::new(entry)));
    }

    /// Keeps the mutation with its reason.
    pub(super) fn quarantine(&mut self, entry: Entry, reason: Reason) {
        self.run().counts.given_up += 1;
        self.run().tally.given_up += 1;
        self.write(Write::EntryGone(entry.place));
        self.write(Write::Quarantine(Box::new(Quarantined { mutation: entry.mutation, reason })));
    }

    /// The server no longer has the record: all unsettled work on it becomes one mutation in quarantine.
    pub(super) fn gone(&mut self, record: &RecordRef) {
        let Some(mut first) = self.first(record) else { return };
        if first.progress == Progress::Discarded {
            self.write(Write::EntryGone(first.place));
            return self.gone(record);
        }
        if let Some(second) = self.second(record) {
            self.write(Write::EntryGone(second.place));
            match joined(&first.mutation, &second.mutation) {
                Some(both) => first.mutation = both.into(),
                None => first.mutation = second.mutation,
            }
        }
        self.quarantine(first, Reason::Gone);
    }

    /// After the resync: mutations whose outcome the server forgot are settled where it shows what they did.
    pub(super) fn settle_forgotten(&mut self) -> Result<(), StoreError> {
        let forgotten = self.machine.state.marks.forgotten.clone();
        self.mark(|marks| marks.forgotten.clear());
        for id in forgotten {
            let Some(entry) = self.machine.state.outbox.get(&id).cloned() else { continue };
            match self.context.store.record(&entry.record())? {
                Some(server)
                    if self
                        .has_taken(&server.record, &entry)
                        .unwrap_or_else(|| shows(&server.record, &entry.mutation)) =>
                {
                    self.accepted(entry, server.record)?;
                }
                None if entry.mutation.op == MutationOp::Delete => {
                    self.count_settled(&entry);
                    self.write(Write::EntryGone(entry.place));
                }
                _ => self.refused(entry, Reason::OutcomeUnknown),
            }
        }
        Ok(())
    }

    pub(super) fn count_settled(&mut self, entry: &Entry) {
        let run = self.run();
        run.counts.settled += 1;
        *run.tally.pushed.entry(entry.mutation.type_name.clone()).or_default() += 1;
    }

    /// The server's state of a record that this device holds, where that is not older than this one.
    pub(super) fn known_since(&self, record: &Record) -> Result<Option<ServerCopy>, StoreError> {
        let name = RecordRef { type_name: record.type_name.clone(), id: record.id.clone() };
        let known = self.context.store.record(&name)?;
        let epoch_mark = self.machine.state.marks.epoch_mark;
        Ok(known.filter(|known| known.mark >= epoch_mark && known.record.version >= record.version))
    }

    /// Puts the server's state of a record, unless a later one was pulled already: a stored answer may be old.
    pub(super) fn take_server_copy(&mut self, record: Arc<Record>) -> Result<(), StoreError> {
        if self.known_since(&record)?.is_some() {
            return Ok(());
        }
        let name = RecordRef { type_name: record.type_name.clone(), id: record.id.clone() };
        let known = self.context.store.record(&name)?;
        let feed = known.map_or_else(|| self.feed_of_record(&record), |known| known.feed);
        let mark = self.machine.state.marks.mark;
        self.put_server(ServerCopy { record, feed, mark })
    }

    /// The accepted state that an outcome speaks of. When the server accepted it comes with the next pull.
    pub(super) fn as_accepted(&self, mutation: &Mutation, rev: Rev, version: Version) -> Record {
        let modified_at = mutation.modified_at.unwrap_or(self.context.now);
        Record {
            type_name: mutation.type_name.clone(),
            id: mutation.id.clone(),
            rev,
            version,
            modified_at,
            claimed_at: None,
            accepted_at: modified_at,
            replica: self.machine.state.replica.as_ref().map(|replica| replica.id.clone()),
            deleted: mutation.op == MutationOp::Delete,
            data: mutation.data.clone(),
            attachments: mutation.attachments.clone(),
        }
    }

    /// Puts an entry that came with an outcome into the conflict log.
    fn log(&mut self, conflict: &RawValue) {
        if let Some(Record { id, data: Some(data), .. }) = record_of(conflict) {
            self.write(Write::Conflict(id, data));
        }
    }

    /// The mutation of a record that goes first.
    pub(super) fn first(&self, record: &RecordRef) -> Option<Entry> {
        self.machine.state.outbox.of(record).next().cloned()
    }

    /// The edit that waits behind it.
    pub(super) fn second(&self, record: &RecordRef) -> Option<Entry> {
        self.machine.state.outbox.of(record).nth(1).cloned()
    }
}

/// Reads a record that came spliced into an answer.
pub(super) fn record_of(raw: &RawValue) -> Option<Record> {
    serde_json::from_str(raw.get()).ok()
}

fn is_of(told: &Record, record: &RecordRef) -> bool {
    told.type_name == record.type_name && told.id == record.id
}

/// Whether the server's state is what the mutation made of the record.
fn shows(server: &Record, mutation: &Mutation) -> bool {
    if mutation.op == MutationOp::Delete || server.deleted {
        return server.deleted && mutation.op == MutationOp::Delete;
    }
    let pushed = data::content_hash(mutation.data.as_deref(), &mutation.attachments);
    data::content_hash(server.data.as_deref(), &server.attachments) == pushed
}
