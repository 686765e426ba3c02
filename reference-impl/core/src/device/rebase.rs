//! Rebasing: under `field-merge` the device merges what it has not pushed with what others wrote meanwhile.
//!
//! Chapter: merge. Every entry of the outbox keeps its *snapshot*, the state that it was made on. When another state of
//! the record comes, by a page or with `stale`, the entry is merged with it and stands on it from then on, as a new
//! mutation. What was overridden goes into the conflict log at once, and into the outbox, for all who may read the
//! record. All of that is stored together with what caused it. An entry whose outcome is not known is left alone: the
//! server may have it already.

use super::cycle::ATTEMPTS;
use super::outbox::{Entry, Progress, joined};
use super::store::StoreError;
use super::{Step, Write};
use crate::conflict;
use crate::data;
use crate::merge::{self, Merged, Overridden, Side};
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry, Writer};
use fieldsync_schemas::id::{MutationId, TypeName, Version};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::record::{Attachment, Data, Record};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

impl Step<'_> {
    /// The state that an edit is made on, where the device will need it.
    pub(super) fn snapshot(&self, server: &Arc<Record>) -> Option<Arc<Record>> {
        self.merge_rules(&server.type_name).map(|_| server.clone())
    }

    /// What goes over the wire for an entry: an update as the patch of its snapshot, with all its files. Nothing, where nothing was changed
    /// in the end; then it is settled.
    pub(super) fn as_pushed(&mut self, entry: &Entry) -> Option<Arc<Mutation>> {
        let is_merged =
            entry.mutation.op == MutationOp::Update && self.merge_rules(&entry.mutation.type_name).is_some();
        let base = entry.snapshot.as_deref().and_then(live).filter(|_| is_merged);
        let (Some(base), Some(changed)) = (base, local(&entry.mutation)) else { return Some(entry.mutation.clone()) };
        let patch = merge::difference(&base, &changed);
        let files_before = entry.snapshot.as_deref().map_or(&[][..], |snapshot| &snapshot.attachments);
        if patch.is_empty() && merge::same_files(files_before, &entry.mutation.attachments) {
            self.write(Write::EntryGone(entry.place));
            return None;
        }
        let patched = Mutation { data: None, patch: Some(raw(&patch)), ..Mutation::clone(&entry.mutation) };
        Some(patched.into())
    }

    /// A state of the server's has come: unsent work on the record is brought onto it.
    pub(super) fn meet(&mut self, current: &Arc<Record>) {
        let record = RecordRef { type_name: current.type_name.clone(), id: current.id.clone() };
        if let Some(entry) = self.first(&record).filter(|entry| !entry.has_left()) {
            self.rebase(entry, current);
        }
    }

    /// The server kept nothing of a mutation, because its record had moved on: it is joined with the edit that waits,
    /// merged, and goes again in this sync, but not for ever.
    pub(super) fn stale(&mut self, mut entry: Entry, told: Arc<Record>) -> Result<(), StoreError> {
        let record = entry.record();
        // A stored answer may be older than what was pulled since.
        let current = self.known_since(&told)?.map_or(told, |known| known.record);
        self.take_server_copy(current.clone())?;
        if entry.progress == Progress::Discarded {
            self.write(Write::EntryGone(entry.place));
            self.meet(&current);
            return Ok(());
        }
        while let Some(waiting) = self.second(&record) {
            self.write(Write::EntryGone(waiting.place));
            match joined(&entry.mutation, &waiting.mutation) {
                Some(both) => entry.mutation = both.into(),
                None => {
                    self.write(Write::EntryGone(entry.place));
                    return Ok(());
                }
            }
        }
        entry.progress = Progress::Deferred;
        if let Some(id) = self.rebase(entry, &current) {
            let times = self.run().merges.entry(record).or_default();
            *times += 1;
            if *times > ATTEMPTS {
                self.run().set_aside.insert(id);
            }
        }
        Ok(())
    }

    /// The server merged a mutation itself. The edit that waits was made on what was pushed, not on what came of it.
    pub(super) fn merged(&mut self, entry: Entry, merged: Arc<Record>) -> Result<(), StoreError> {
        self.count_settled(&entry);
        self.write(Write::EntryGone(entry.place));
        self.keep(entry.clone());
        if let Some(waiting) = self.first(&entry.record()) {
            let seen = self.as_accepted(&entry.mutation, merged.rev.clone(), entry.version());
            self.rebase(Entry { snapshot: Some(seen.into()), ..waiting }, &merged);
        }
        self.take_server_copy(merged)
    }

    /// Whether the server's state shows what a mutation did: then to do it again would change nothing.
    pub(super) fn has_taken(&self, server: &Record, entry: &Entry) -> Option<bool> {
        let rules = self.merge_rules(&server.type_name)?;
        let base = entry.snapshot.as_deref().and_then(live);
        let Merged { data, overridden } =
            (self.context.merge)(base.as_ref(), local(&entry.mutation), live(server), &rules);
        let is_taken = is_same(data.as_ref(), live(server).as_ref());
        let files = merged_files(entry, server, data.as_ref());
        Some(overridden.is_empty() && is_taken && merge::same_files(&files, &server.attachments))
    }

    /// Brings an entry onto a state of the server's. What is to be pushed after that, if anything is.
    fn rebase(&mut self, entry: Entry, current: &Arc<Record>) -> Option<MutationId> {
        let rules = self.merge_rules(&current.type_name)?;
        let record = entry.record();
        let (base, server) = (entry.snapshot.as_deref().and_then(live), live(current));
        let is_late = entry.mutation.base.as_ref() == Some(&current.rev);
        let Merged { data, overridden } = match (&base, &server) {
            // The server set or computed something after it had accepted the state that this was made on.
            (Some(base), Some(late)) if is_late => Merged {
                data: merge::reapply(base, local(&entry.mutation), late.clone(), &rules),
                overridden: Vec::new(),
            },
            _ => (self.context.merge)(base.as_ref(), local(&entry.mutation), server.clone(), &rules),
        };
        let files =
            if is_late { entry.mutation.attachments.clone() } else { merged_files(&entry, current, data.as_ref()) };
        let is_done = is_same(data.as_ref(), server.as_ref()) && merge::same_files(&files, &current.attachments);
        let mutation = if is_late {
            Mutation { data: data.as_ref().map(raw), ..Mutation::clone(&entry.mutation) }
        } else {
            Mutation { attachments: files, ..self.moved(&entry, current, data.as_ref()) }
        };
        for one in overridden {
            self.log_override(&record, &entry.mutation.mutation_id, &mutation.mutation_id, current, one);
        }
        if is_done {
            self.write(Write::EntryGone(entry.place));
            return None;
        }
        let id = mutation.mutation_id.clone();
        let progress = if is_late { entry.progress } else { Progress::Unsent };
        let (mutation, snapshot) = (mutation.into(), Some(current.clone()));
        self.write(Write::Entry(Box::new(Entry { place: entry.place, progress, mutation, snapshot })));
        Some(id)
    }

    /// The mutation that makes the merged record of the server's state, in the place of the one that was not pushed.
    fn moved(&self, entry: &Entry, current: &Record, data: Option<&Data>) -> Mutation {
        let before = entry.snapshot.as_ref().map_or(0, |snapshot| snapshot.version.get());
        let saved_since = entry.version().get().saturating_sub(before).max(1);
        Mutation {
            mutation_id: self.new_mutation_id(),
            replaces: Some(entry.mutation.mutation_id.clone()),
            op: match data {
                None => MutationOp::Delete,
                Some(_) if current.deleted => MutationOp::Create,
                Some(_) => MutationOp::Update,
            },
            base: Some(current.rev.clone()),
            version: Some(Version::new(current.version.get() + saved_since).unwrap_or(current.version.next())),
            data: data.map(raw),
            ..Mutation::clone(&entry.mutation)
        }
    }

    /// Puts an overridden value into the conflict log, and into the outbox.
    fn log_override(
        &mut self,
        record: &RecordRef,
        lost: &MutationId,
        merged: &MutationId,
        current: &Record,
        one: Overridden,
    ) {
        let replica = Some(self.replica().id);
        let mine = |id: &MutationId| Writer { replica: replica.clone(), mutation_id: Some(id.clone()), rev: None };
        let theirs = Writer { replica: current.replica.clone(), mutation_id: None, rev: Some(current.rev.clone()) };
        let (lost_by, kept_by) = match one.lost_side {
            Side::Local => (mine(lost), theirs),
            Side::Server => (theirs, mine(merged)),
        };
        let id = conflict::entry_id(record, &one.path, &lost_by);
        let Overridden { path, base, lost, kept, .. } = one;
        let time = self.context.now;
        let entry = ConflictEntry { record: record.clone(), path, base, lost, kept, lost_by, kept_by, time };
        let entry = to_raw_value(&entry).expect("an entry is plain JSON");
        self.write(Write::Conflict(id.clone(), entry.clone()));
        let type_name = TypeName::new(CONFLICT_TYPE).expect("a constant that is a type name");
        let mutation = Mutation {
            mutation_id: self.new_mutation_id(),
            op: MutationOp::Create,
            type_name,
            id,
            base: None,
            version: Some(Version::FIRST),
            modified_at: Some(time),
            data: Some(entry),
            patch: None,
            attachments: Vec::new(),
            group: None,
            replaces: None,
            attachment: None,
            url: None,
        };
        let place = self.machine.state.outbox.next_place();
        let entry = Entry { place, progress: Progress::Unsent, mutation: mutation.into(), snapshot: None };
        self.write(Write::Entry(Box::new(entry)));
    }
}

/// What a state says; nothing, where it is a tombstone.
fn live(record: &Record) -> Option<Data> {
    (!record.deleted).then(|| record.data_tree())
}

/// What a mutation makes of its record; nothing, where it deletes it.
fn local(mutation: &Mutation) -> Option<Data> {
    mutation.data.as_deref().filter(|_| mutation.op != MutationOp::Delete).map(data::tree)
}

/// The files of the record that was merged of an entry and the server's state. Where one of the two deletes it, they
/// are those of the side that stayed.
fn merged_files(entry: &Entry, server: &Record, merged: Option<&Data>) -> Vec<Attachment> {
    let plain = |file: Attachment| Attachment { state: None, ..file };
    let files = match merged {
        None => Vec::new(),
        Some(_) if server.deleted => entry.mutation.attachments.clone(),
        Some(_) if entry.mutation.op == MutationOp::Delete => server.attachments.clone(),
        Some(_) => {
            let base = entry.snapshot.as_deref().map_or(&[][..], |snapshot| &snapshot.attachments);
            merge::merge_files(base, &entry.mutation.attachments, &server.attachments)
        }
    };
    files.into_iter().map(plain).collect()
}

fn raw(data: &Data) -> Box<RawValue> {
    to_raw_value(data).expect("a tree is plain JSON")
}

fn is_same(one: Option<&Data>, other: Option<&Data>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => merge::equal_data(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
