//! What the device's user does: at any moment, with or without a network, and while a sync runs.
//!
//! Chapter: device. Every modification counts one version; modifications that have not left the device are one
//! mutation.

use super::outbox::{Entry, Progress, joined};
use super::store::{ServerCopy, ShownCopy, StoreError};
use super::{DeviceError, Step, Write};
use crate::data::{content_hash, drop_null_members};
use fieldsync_schemas::id::{GroupId, Version};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::record::{Attachment, Data};
use serde_json::Value;

/// A change that the device's user makes.
#[derive(Debug, Clone, PartialEq)]
pub enum LocalChange {
    /// Makes a record.
    Create {
        /// The record.
        record: RecordRef,
        /// What it says.
        data: Data,
        /// The group with which it goes, or does not.
        group: Option<GroupId>,
    },
    /// Sets members of a record; null clears.
    Edit {
        /// The record.
        record: RecordRef,
        /// The members.
        changes: Data,
    },
    /// Adds a file to a record. The device has its bytes.
    Attach {
        /// The record.
        record: RecordRef,
        /// The file.
        attachment: Attachment,
    },
    /// Deletes a record.
    Delete {
        /// The record.
        record: RecordRef,
    },
    /// Gives up the unsent and refused work on a record.
    Discard {
        /// The record.
        record: RecordRef,
    },
}

/// Why a change makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// A record of this id is there.
    #[error("{record} exists already; edit it instead")]
    Exists {
        /// The record.
        record: RecordRef,
    },
    /// Records of its type do not carry such a file.
    #[error("the file cannot be added to {record}: {why}")]
    FileRefused {
        /// The record.
        record: RecordRef,
        /// What its type says.
        why: String,
    },
    /// The device shows no such record.
    #[error("this device has no {record}, or it was deleted")]
    NotThere {
        /// The record.
        record: RecordRef,
    },
}

impl Step<'_> {
    pub(super) fn change(&mut self, change: LocalChange) -> Result<(), DeviceError> {
        match change {
            LocalChange::Create { record, data, group } => {
                let (server, shown) = self.looked_up(&record)?;
                if matches!(shown, Some(ShownCopy::Data(_))) {
                    return Err(LocalError::Exists { record }.into());
                }
                self.modify(record, MutationOp::Create, Some(without_nulls(data)), Vec::new(), group, server);
            }
            LocalChange::Edit { record, changes } => {
                let (server, shown) = self.looked_up(&record)?;
                let Some(ShownCopy::Data(mut data)) = shown else {
                    return Err(LocalError::NotThere { record }.into());
                };
                let before = data.clone();
                data.extend(changes);
                let data = without_nulls(data);
                // To save again what was refused is to try it again; to save anything else as it was changes nothing.
                let is_refused = self.machine.state.quarantine.contains_key(&record);
                if is_refused || !is_same(&before, &data) {
                    let files = self.machine.state.files_of(&record, server.as_ref());
                    self.modify(record, MutationOp::Update, Some(data), files, None, server);
                }
            }
            LocalChange::Delete { record } => {
                let (server, shown) = self.looked_up(&record)?;
                let Some(ShownCopy::Data(_)) = shown else {
                    return Err(LocalError::NotThere { record }.into());
                };
                self.modify(record, MutationOp::Delete, None, Vec::new(), None, server);
            }
            LocalChange::Attach { record, attachment } => self.attach(record, attachment)?,
            LocalChange::Discard { record } => self.discard(&record),
        }
        Ok(())
    }

    /// The server's state of a record, and what is shown of it.
    pub(super) fn looked_up(&self, record: &RecordRef) -> Result<(Option<ServerCopy>, Option<ShownCopy>), StoreError> {
        let server = self.context.store.record(record)?;
        let shown = self.machine.state.shown(record, server.as_ref());
        Ok((server, shown))
    }

    /// Takes a modification into the outbox: into the mutation that has not left yet, or behind the one that has.
    pub(super) fn modify(
        &mut self,
        record: RecordRef,
        op: MutationOp,
        data: Option<Data>,
        attachments: Vec<Attachment>,
        group: Option<GroupId>,
        server: Option<ServerCopy>,
    ) {
        let data = data.map(|data| serde_json::value::to_raw_value(&data).expect("a tree is plain JSON"));
        let mut new = Mutation {
            mutation_id: self.new_mutation_id(),
            op,
            type_name: record.type_name.clone(),
            id: record.id.clone(),
            base: None,
            version: Some(Version::FIRST),
            modified_at: Some(self.context.now),
            data,
            patch: None,
            attachments,
            group,
            replaces: None,
            attachment: None,
            url: None,
        };
        let mut place = self.machine.state.outbox.next_place();
        let snapshot;
        if let Some(last) = self.machine.state.outbox.of(&record).last().cloned() {
            new.version = Some(last.version().next());
            new.base = last.mutation.base.clone();
            snapshot = last.snapshot.clone();
            if !last.has_left() {
                let Some(mut both) = joined(&last.mutation, &new) else {
                    self.write(Write::EntryGone(last.place));
                    return;
                };
                if last.progress == Progress::Deferred {
                    both.replaces = Some(last.mutation.mutation_id.clone());
                    both.mutation_id = new.mutation_id;
                }
                new = both;
                place = last.place;
            }
        } else if !self.begin_anew(&record, &mut new, server.as_ref()) {
            return;
        } else {
            let base = server.map(|copy| copy.record).filter(|server| new.base.as_ref() == Some(&server.rev));
            snapshot = base.and_then(|server| self.snapshot(&server));
        }
        self.write(Write::Entry(Box::new(Entry { place, progress: Progress::Unsent, mutation: new.into(), snapshot })));
    }

    /// The first modification of a record since it was settled or refused. Whether there is anything to push.
    fn begin_anew(&mut self, record: &RecordRef, new: &mut Mutation, server: Option<&ServerCopy>) -> bool {
        let refused = self.machine.state.quarantine.get(record).map(|one| one.mutation.clone());
        if let Some(refused) = &refused {
            self.write(Write::QuarantineGone(record.clone()));
            new.replaces = Some(refused.mutation_id.clone());
            // What it was to go with still waits for it.
            new.group = new.group.take().or_else(|| refused.group.clone());
        }
        match (refused, server) {
            // The server never accepted it, or no longer has it: it is made once more.
            (Some(refused), server) if refused.op == MutationOp::Create || server.is_none() => {
                if new.op == MutationOp::Delete {
                    return false;
                }
                new.op = MutationOp::Create;
                new.base = refused.base.clone().filter(|_| refused.op == MutationOp::Create);
                new.version = Some(refused.version.unwrap_or(Version::FIRST).next());
            }
            (_, Some(server)) => {
                new.base = Some(server.record.rev.clone());
                new.version = Some(server.record.version.next());
            }
            (_, None) => {}
        }
        true
    }

    /// What has left the device cannot be called back; all else on the record goes.
    fn discard(&mut self, record: &RecordRef) {
        let entries: Vec<Entry> = self.machine.state.outbox.of(record).cloned().collect();
        for entry in entries {
            if entry.has_left() {
                self.write(Write::Entry(Box::new(Entry { progress: Progress::Discarded, ..entry })));
            } else {
                self.write(Write::EntryGone(entry.place));
            }
        }
        if self.machine.state.quarantine.contains_key(record) {
            self.write(Write::QuarantineGone(record.clone()));
        }
    }
}

/// Whether two contents are equal.
fn is_same(one: &Data, other: &Data) -> bool {
    let raw = |data| serde_json::value::to_raw_value(data).expect("a tree is plain JSON");
    content_hash(Some(&raw(one)), &[]) == content_hash(Some(&raw(other)), &[])
}

/// A null member is stored as absent.
fn without_nulls(data: Data) -> Data {
    let mut tree = Value::Object(data);
    drop_null_members(&mut tree);
    match tree {
        Value::Object(data) => data,
        _ => unreachable!("an object stays one"),
    }
}
