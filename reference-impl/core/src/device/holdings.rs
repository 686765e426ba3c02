//! Which files a device holds: what it still has to offer, what is to come down, and what has to go.
//!
//! Chapter: attachments. Whatever the server says of a record passes here, so that a file is wanted, offered once more or
//! given up together with the state that is the reason.

use super::store::{Progress, Resync, ServerCopy, ShownCopy, StoreError, Upload};
use super::{Next, Step, Write};
use fieldsync_schemas::id::{AttachmentId, FeedName, TypeName};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::{Attachment, AttachmentState, Record};
use std::collections::{BTreeMap, BTreeSet};

impl Step<'_> {
    /// Puts the server's state of a record. Its files are looked after, where its type has any.
    pub(super) fn put_server(&mut self, copy: ServerCopy) -> Result<(), StoreError> {
        let Record { type_name, id, .. } = &*copy.record;
        if self.carries_files(type_name) {
            let record = RecordRef { type_name: type_name.clone(), id: id.clone() };
            self.loosen(&record, &copy.record.attachments)?;
            self.offer_again(&record, &copy.record);
            self.want(&copy.record);
        }
        self.write(Write::Server(Box::new(copy)));
        Ok(())
    }

    /// The server no longer shows a record. A file that was added here and has not gone up goes up all the same.
    pub(super) fn drop_server(&mut self, record: RecordRef) -> Result<(), StoreError> {
        if self.carries_files(&record.type_name) {
            self.loosen(&record, &[])?;
            self.forget_sent(&record, &[]);
            if self.first(&record).is_none() && !self.machine.state.quarantine.contains_key(&record) {
                let left: Vec<Upload> = self.machine.state.uploads_of(&record).cloned().collect();
                for upload in left {
                    self.write(Write::Upload(Box::new(Upload { is_left: true, ..upload })));
                }
            }
        }
        self.write(Write::ServerGone(record));
        Ok(())
    }

    pub(super) fn carries_files(&self, type_name: &TypeName) -> bool {
        let entry = self.machine.state.session.as_ref().and_then(|session| session.registry.entry(type_name));
        entry.is_some_and(|entry| entry.attachments.is_some())
    }

    /// Files that the server's state had and no longer has may have to go.
    pub(super) fn loosen(&mut self, record: &RecordRef, now: &[Attachment]) -> Result<(), StoreError> {
        let before = self.context.store.record(record)?;
        let before = before.map(|copy| copy.record.attachments.clone()).unwrap_or_default();
        let gone = before.into_iter().map(|file| file.id).filter(|id| !now.iter().any(|file| file.id == *id));
        let gone: Vec<AttachmentId> = gone.filter(|id| !self.machine.state.loose.contains(id)).collect();
        for id in gone {
            self.write(Write::Loose(id));
        }
        Ok(())
    }

    /// A sweep takes records away without naming them.
    pub(super) fn loosen_swept(&mut self, due: &BTreeMap<FeedName, Resync>) -> Result<(), StoreError> {
        let types = self.machine.state.session.iter().flat_map(|session| &session.registry.types);
        let types = types.filter(|entry| entry.attachments.is_some()).map(|entry| entry.name.clone());
        for type_name in types.collect::<Vec<_>>() {
            for server in self.context.store.records(&type_name)? {
                if due.get(&server.feed).is_some_and(|resync| server.mark < resync.mark) {
                    let record = RecordRef { type_name: type_name.clone(), id: server.record.id.clone() };
                    self.loosen(&record, &[])?;
                    self.forget_sent(&record, &[]);
                }
            }
        }
        Ok(())
    }

    /// The server waits for a file that went up from here, as it says, or for its link: it lost it, or has given up what it
    /// knew of it.
    fn offer_again(&mut self, record: &RecordRef, told: &Record) {
        self.forget_sent(record, &told.attachments);
        let lacks_link = |file: &&Attachment| {
            let sent = self.machine.state.sent.get(record).and_then(|files| files.get(&file.id));
            sent.is_some_and(|sent| self.lacks_link(sent, told))
        };
        let is_awaited = |file: &&Attachment| file.state == Some(AttachmentState::Awaiting) || lacks_link(file);
        for file in told.attachments.iter().filter(is_awaited).collect::<Vec<_>>() {
            let key = (record.clone(), file.id.clone());
            if let Some(back) = self.machine.state.uploads.get(&key).filter(|upload| upload.is_left).cloned() {
                self.write(Write::Upload(Box::new(Upload { is_left: false, ..back })));
            }
            if let Some(sent) = self.machine.state.sent.get(record).and_then(|files| files.get(&file.id)).cloned() {
                self.write(Write::Upload(Box::new(Upload { progress: Progress::Waiting, trouble: None, ..sent })));
            }
        }
    }

    /// What went up once is not asked for any more.
    fn forget_sent(&mut self, record: &RecordRef, now: &[Attachment]) {
        if self.first(record).is_some() {
            return;
        }
        let sent = self.machine.state.sent.get(record).into_iter().flat_map(|files| files.values());
        let gone = sent.filter(|sent| !now.iter().any(|file| file.id == sent.attachment.id)).map(Upload::key);
        for key in gone.collect::<Vec<_>>() {
            if self.machine.state.links.contains_key(&key) {
                self.write(Write::LinkGone(key.clone()));
            }
            self.write(Write::UploadGone(key));
        }
    }

    /// Files that the server has are wanted.
    fn want(&mut self, told: &Record) {
        for file in &told.attachments {
            if file.state == Some(AttachmentState::Stored) && !self.machine.state.wanted.contains_key(&file.id) {
                self.write(Write::Wanted(Box::new(file.clone())));
            }
        }
    }

    /// What no record carries any more leaves the device. Reads what is stored.
    pub(super) fn let_go(&mut self) -> Result<Option<Next>, StoreError> {
        if self.machine.state.loose.is_empty() {
            return Ok(None);
        }
        let held = self.held_files()?;
        let kept: Vec<AttachmentId> = self.machine.state.loose.intersection(&held).cloned().collect();
        for id in kept {
            self.write(Write::LooseGone(id));
        }
        let gone: Vec<AttachmentId> = self.machine.state.loose.iter().cloned().collect();
        Ok((!gone.is_empty()).then_some(Next::LetGo(gone)))
    }

    /// They are gone.
    pub(super) fn went(&mut self, gone: Vec<AttachmentId>) {
        for id in gone {
            if self.machine.state.wanted.contains_key(&id) {
                self.write(Write::WantedGone(id.clone()));
            }
            self.write(Write::LooseGone(id));
        }
    }

    /// The files that a record on this device carries, or that have yet to go up.
    fn held_files(&self) -> Result<BTreeSet<AttachmentId>, StoreError> {
        let state = &self.machine.state;
        let mut held: BTreeSet<AttachmentId> = state.uploads.keys().map(|(_, id)| id.clone()).collect();
        let types = state.session.iter().flat_map(|session| &session.registry.types);
        for entry in types.filter(|entry| entry.attachments.is_some()) {
            for server in self.context.store.records(&entry.name)? {
                held.extend(self.carried(&server).into_iter().map(|file| file.id));
            }
        }
        Ok(held)
    }

    /// The files of a record that is here: by the server's state, and by what was made here of it. Work on what the server
    /// no longer shows keeps what was added here, which is among the uploads.
    fn carried(&self, server: &ServerCopy) -> Vec<Attachment> {
        let record = RecordRef { type_name: server.record.type_name.clone(), id: server.record.id.clone() };
        let mut carried = server.record.attachments.clone();
        if matches!(self.machine.state.shown(&record, Some(server)), Some(ShownCopy::Data(_))) {
            carried.extend(self.machine.state.files_of(&record, Some(server)));
        }
        carried
    }
}
