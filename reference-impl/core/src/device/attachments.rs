//! The files of records: each goes up after its record, and comes down after its news.
//!
//! Chapter: attachments. A phase of its own, so that data never waits for a photo. A file is taken in hand at most once
//! a sync; what goes wrong with one holds up no other. The bytes are the edge's: this half knows ids and offsets.

use super::call::{Answer, Transfer};
use super::cycle::{ATTEMPTS, Failure, Flow};
use super::local::LocalError;
use super::store::{FileTrouble, Progress, ServerCopy, ShownCopy, Upload};
use super::{DeviceError, Machine, Next, Step, Write};
use crate::attachment;
use crate::device::store::StoreError;
use fieldsync_schemas::attachment::{CompleteAnswer, CompleteRequest, SlotAnswer, SlotRequest, UploadProtocol};
use fieldsync_schemas::id::{AttachmentId, UploadId};
use fieldsync_schemas::problem::{Problem, ProblemCode};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::record::{Attachment, AttachmentState};
use fieldsync_schemas::registry::AttachmentOrder;
use fieldsync_schemas::scenario::{CallKind, FailureCause, FileStatus};
use std::collections::{BTreeSet, HashMap};

/// The most bytes of a file that one request carries, unless a device is set up otherwise.
pub const PIECE: u64 = 1 << 20;

/// What is known of files only while one sync runs.
#[derive(Default)]
pub(super) struct FilesRun {
    /// The upload in hand, and where it stands on the server, once that is known.
    upload: Option<(Key, Option<u64>)>,
    download: Option<AttachmentId>,
    /// What is not taken in hand again in this sync.
    done_uploads: BTreeSet<Key>,
    /// What does not go before its record.
    passed: BTreeSet<Key>,
    done_downloads: BTreeSet<AttachmentId>,
    /// How often an upload began anew, or lost its place.
    attempts: HashMap<Key, u32>,
}

/// One file of one record.
pub type Key = (RecordRef, AttachmentId);

impl Machine {
    /// The files of a record as this device shows it, each with where it stands; `is_here` says which it holds.
    pub fn files(
        &self,
        record: &RecordRef,
        server: Option<&ServerCopy>,
        is_here: impl Fn(&AttachmentId) -> bool,
    ) -> Vec<(Attachment, FileStatus)> {
        let files = self.state.files_of(record, server).into_iter();
        files
            .map(|file| (self.status_of(record, &file, is_here(&file.id)), file))
            .map(|(how, file)| (file, how))
            .collect()
    }

    /// Whether records of this type carry such a file, as far as the device knows.
    pub fn admits(&self, record: &RecordRef, file: &Attachment) -> Result<(), LocalError> {
        let entry = self.state.session.as_ref().and_then(|session| session.registry.entry(&record.type_name));
        let Some(entry) = entry else { return Ok(()) };
        attachment::check(file, entry)
            .map_err(|refusal| LocalError::FileRefused { record: record.clone(), why: refusal.detail })
    }

    fn status_of(&self, record: &RecordRef, file: &Attachment, is_here: bool) -> FileStatus {
        match self.state.uploads.get(&(record.clone(), file.id.clone())) {
            Some(Upload { trouble: Some(FileTrouble::Missing), .. }) => FileStatus::Missing,
            Some(Upload { trouble: Some(FileTrouble::Refused(_)), .. }) => FileStatus::Refused,
            Some(Upload { trouble: Some(FileTrouble::Server), .. }) => FileStatus::Failing,
            Some(_) => FileStatus::Pending,
            None if is_here => FileStatus::Synced,
            None if file.state == Some(AttachmentState::Stored) => FileStatus::Remote,
            None => FileStatus::Awaiting,
        }
    }
}

impl Step<'_> {
    /// A file that the user adds to a record. Its bytes are kept already.
    pub(super) fn attach(&mut self, record: RecordRef, attachment: Attachment) -> Result<(), DeviceError> {
        let (server, shown) = self.looked_up(&record)?;
        let Some(ShownCopy::Data(data)) = shown else {
            return Err(LocalError::NotThere { record }.into());
        };
        self.machine.admits(&record, &attachment)?;
        let mut files = self.machine.state.files_of(&record, server.as_ref());
        if !files.iter().any(|file| file.id == attachment.id) {
            files.push(attachment.clone());
            self.modify(record.clone(), MutationOp::Update, Some(data), files, None, server);
        }
        let upload = Upload { record, attachment, progress: Progress::Waiting, trouble: None, is_left: false };
        self.write(Write::Upload(Box::new(upload)));
        Ok(())
    }

    /// The phase before the push: the files that go before their records. Whatever becomes of them, the records follow.
    pub(super) fn media(&mut self) -> Result<Flow, DeviceError> {
        let mut waiting = self.machine.state.uploads.values();
        if self.machine.is_metered() || !waiting.any(|upload| self.goes_first(upload)) {
            return Ok(Flow::Over);
        }
        if !self.writes.is_empty() {
            return Ok(Flow::Do(Next::Proceed));
        }
        Ok(self.next_upload(true)?.map_or(Flow::Over, Flow::Do))
    }

    fn goes_first(&self, upload: &Upload) -> bool {
        let entry = self.session().registry.entry(&upload.record.type_name);
        let policy = entry.and_then(|entry| entry.attachments.as_ref());
        policy.is_some_and(|policy| policy.order == AttachmentOrder::MediaFirst)
    }

    /// The file in hand waits for the next sync, because this one could not go on with it. Whether there was one.
    pub(super) fn pass_over_file(&mut self) -> bool {
        let Some((key, _)) = self.run().files.upload.take() else { return false };
        self.forget_call();
        self.run().files.done_uploads.insert(key);
        true
    }

    /// The phase after everything else.
    pub(super) fn attachments(&mut self) -> Result<Flow, DeviceError> {
        // What records say is looked up in the store, which has not seen this event's writes.
        if !self.writes.is_empty() {
            return Ok(Flow::Do(Next::Proceed));
        }
        if let Some(next) = self.let_go()? {
            return Ok(Flow::Do(next));
        }
        if self.machine.is_metered() {
            return Ok(Flow::Over);
        }
        if let Some(next) = self.next_upload(false)? {
            return Ok(Flow::Do(next));
        }
        if !self.machine.state.loose.is_empty() {
            return Ok(Flow::Do(Next::Proceed));
        }
        let done = &self.machine.run.get_or_insert_default().files.done_downloads;
        let next = self.machine.state.wanted.values().find(|file| !done.contains(&file.id)).cloned();
        let Some(file) = next else { return Ok(Flow::Over) };
        self.run().files.download = Some(file.id.clone());
        let path = format!("/attachments/{}", file.id);
        Ok(Flow::Do(self.send_transfer(CallKind::Download, path, Transfer::Fetch(file))))
    }

    fn next_upload(&mut self, before_its_record: bool) -> Result<Option<Next>, StoreError> {
        loop {
            let run = self.machine.run.get_or_insert_default();
            let (done, passed) = (std::mem::take(&mut run.files.done_uploads), std::mem::take(&mut run.files.passed));
            let is_next = |upload: &&Upload| {
                let key = upload.key();
                !done.contains(&key) && (!before_its_record || self.goes_first(upload) && !passed.contains(&key))
            };
            let waiting = self.machine.state.uploads.values().find(is_next).cloned();
            (self.run().files.done_uploads, self.run().files.passed) = (done, passed);
            let Some(upload) = waiting else { return Ok(None) };
            let key = upload.key();
            let (server, shown) = self.looked_up(&upload.record)?;
            let is_there = matches!(shown, Some(ShownCopy::Data(_)));
            let files = self.machine.state.files_of(&upload.record, server.as_ref());
            let is_refused = matches!(upload.trouble, Some(FileTrouble::Refused(_)));
            let is_wanted = upload.is_left || is_there && files.iter().any(|file| file.id == key.1);
            if before_its_record {
                if is_wanted && !is_refused && !self.machine.state.quarantine.contains_key(&upload.record) {
                    return Ok(Some(self.go_on_with(&upload)));
                }
                self.run().files.passed.insert(key);
                continue;
            }
            // The record goes first.
            let record_went = self.machine.state.outbox.of(&upload.record).next().is_none()
                && !self.machine.state.quarantine.contains_key(&upload.record);
            if !is_wanted && record_went {
                // Its record was deleted, or has lost it.
                self.write(Write::UploadGone(key));
                if !is_there {
                    self.write(Write::Loose(upload.attachment.id));
                }
                continue;
            }
            if is_refused || !is_wanted || !record_went {
                self.run().files.done_uploads.insert(key);
                continue;
            }
            return Ok(Some(self.go_on_with(&upload)));
        }
    }

    fn go_on_with(&mut self, upload: &Upload) -> Next {
        let key = upload.key();
        let offset =
            self.run().files.upload.take().filter(|(in_hand, _)| *in_hand == key).and_then(|(_, offset)| offset);
        self.run().files.upload = Some((key, offset));
        let file = &upload.attachment;
        match &upload.progress {
            Progress::Waiting | Progress::Sent => {
                let request = SlotRequest {
                    type_name: upload.record.type_name.clone(),
                    id: file.id.clone(),
                    bytes: file.bytes,
                    media_type: file.media_type.clone(),
                };
                let body = serde_json::to_string(&request).expect("a slot request is plain JSON");
                self.send(CallKind::Slot, "/attachments", Some(body))
            }
            Progress::Uploading { url, upload: id } => match offset {
                None => self.send_transfer(CallKind::Offset, url.clone(), Transfer::Ask),
                Some(offset) if offset < file.bytes => {
                    let append = Transfer::Append {
                        id: file.id.clone(),
                        offset,
                        most: self.machine.settings.piece.unwrap_or(PIECE),
                    };
                    self.send_transfer(CallKind::Upload, url.clone(), append)
                }
                Some(_) => self.end_upload(file.id.clone(), id.clone()),
            },
            Progress::Storing { url, upload: id, headers, begun: false } => {
                let put = Transfer::Put { id: file.id.clone(), bytes: file.bytes, headers: headers.clone() };
                let (url, upload_id, headers) = (url.clone(), id.clone(), headers.clone());
                // Written down before the first byte leaves: nobody knows afterwards how far it came.
                let progress = Progress::Storing { url: url.clone(), upload: upload_id, headers, begun: true };
                self.put_upload(Upload { progress, ..upload.clone() }, None);
                self.send_to_storage(url, put)
            }
            Progress::Storing { upload: id, begun: true, .. } => self.end_upload(file.id.clone(), id.clone()),
        }
    }

    fn end_upload(&mut self, id: AttachmentId, upload: UploadId) -> Next {
        let body = serde_json::to_string(&CompleteRequest { id, upload });
        let body = body.expect("the end of an upload is plain JSON");
        self.send(CallKind::Complete, "/attachments/complete", Some(body))
    }

    /// The upload that the last call was about; nothing, where it is gone meanwhile.
    fn in_hand(&mut self) -> Option<Upload> {
        let (key, _) = self.run().files.upload.clone()?;
        self.machine.state.uploads.get(&key).cloned()
    }

    fn put_upload(&mut self, upload: Upload, offset: Option<u64>) {
        self.run().files.upload = Some((upload.key(), offset));
        if self.machine.state.uploads.get(&upload.key()) != Some(&upload) {
            self.write(Write::Upload(Box::new(upload)));
        }
    }

    /// The server has the file. It is remembered, so that it is offered again if the server should wait for it once more.
    fn went_up(&mut self, upload: Upload, url: Option<String>) {
        if upload.is_left {
            self.write(Write::UploadGone(upload.key()));
            self.write(Write::Loose(upload.attachment.id));
        } else {
            self.link(&upload, url);
            self.write(Write::Upload(Box::new(Upload { progress: Progress::Sent, trouble: None, ..upload })));
        }
    }

    fn set_upload_aside(&mut self, upload: Upload, trouble: FileTrouble) {
        self.run().files.done_uploads.insert(upload.key());
        self.put_upload(Upload { trouble: Some(trouble), ..upload }, None);
    }

    /// The upload begins anew, or asks again where it stands; but not for ever.
    fn begin_again(&mut self, upload: Upload, progress: Progress) {
        let attempts = self.run().files.attempts.entry(upload.key()).or_default();
        *attempts += 1;
        if *attempts > ATTEMPTS {
            self.set_upload_aside(Upload { progress: Progress::Waiting, ..upload }, FileTrouble::Server);
        } else {
            self.put_upload(Upload { progress, ..upload }, None);
        }
    }

    pub(super) fn on_slot(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let message = match self.understood::<SlotAnswer>(CallKind::Slot, answer) {
            Ok(message) => message,
            Err(next) => return Ok(next),
        };
        let Some(upload) = self.in_hand() else { return self.go_on() };
        match message {
            Ok(SlotAnswer { have: true, url, .. }) => self.went_up(upload, url),
            Ok(SlotAnswer { upload: Some(offer), .. }) => {
                let progress = match offer.protocol {
                    UploadProtocol::SignedPut => {
                        let (url, headers) = (offer.url, offer.headers);
                        Progress::Storing { url, upload: offer.id, headers, begun: false }
                    }
                    _ => Progress::Uploading { url: offer.url, upload: offer.id },
                };
                // Nothing of it is there yet.
                self.put_upload(Upload { progress, trouble: None, ..upload }, Some(0));
            }
            Ok(_) => self.begin_again(upload, Progress::Waiting),
            Err(problem) => self.set_upload_aside(upload, trouble(problem.code)),
        }
        self.go_on()
    }

    /// The answer to a question for the offset, or to some bytes.
    pub(super) fn on_offset(&mut self, kind: CallKind, answer: &Answer) -> Result<Next, DeviceError> {
        let Some(upload) = self.in_hand() else { return self.go_on() };
        match (answer.status, answer.upload_offset) {
            (200..=299, Some(offset)) => {
                self.run().sends = 0;
                self.put_upload(Upload { trouble: None, ..upload }, Some(offset));
            }
            (409, _) => self.begin_again(upload.clone(), upload.progress),
            // It is gone, or what came of it is another file.
            (403 | 404 | 410 | 422, _) => self.begin_again(upload, Progress::Waiting),
            (401, _) => {
                let problem = serde_json::from_slice::<Problem>(&answer.body).unwrap_or_else(|_| unauthenticated());
                return Ok(self.token_refused(&problem));
            }
            (429 | 500..=599, _) => {
                let detail = format!("the server failed over an upload with status {}", answer.status);
                return Ok(self.failing(kind, answer, answer.retry_after, Failure::new(FailureCause::Server, detail)));
            }
            (400..=499, _) => self.set_upload_aside(upload, FileTrouble::Server),
            (status, _) => {
                let detail = format!("status {status} is no answer of an upload");
                return Ok(self.fail(Failure::new(FailureCause::Network, detail)));
            }
        }
        self.go_on()
    }

    /// The answer of an object storage, of which nothing but the status is read.
    pub(super) fn on_stored(&mut self, answer: &Answer) -> Next {
        let Some(upload) = self.in_hand() else { return Next::Proceed };
        match answer.status {
            200..=299 => self.put_upload(Upload { trouble: None, ..upload }, None),
            // Expired, most likely.
            400..=499 if answer.status != 429 => self.begin_again(upload, Progress::Waiting),
            _ => return self.file_fails(),
        }
        Next::Proceed
    }

    pub(super) fn on_complete(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let message = match self.understood::<CompleteAnswer>(CallKind::Complete, answer) {
            Ok(message) => message,
            Err(next) => return Ok(next),
        };
        let Some(upload) = self.in_hand() else { return self.go_on() };
        match message {
            Ok(CompleteAnswer { url, .. }) => self.went_up(upload, url),
            Err(problem) if problem.code == ProblemCode::UploadIncomplete => {
                let progress = match upload.progress.clone() {
                    // It is known now how far it came: a request of this kind is whole or nothing.
                    Progress::Storing { url, upload, headers, .. } => {
                        Progress::Storing { url, upload, headers, begun: false }
                    }
                    grown => grown,
                };
                self.begin_again(upload, progress);
            }
            Err(_) if matches!(answer.status, 410 | 422) => self.begin_again(upload, Progress::Waiting),
            Err(problem) => self.set_upload_aside(upload, trouble(problem.code)),
        }
        self.go_on()
    }

    pub(super) fn on_download(&mut self, answer: &Answer) -> Result<Next, DeviceError> {
        let Some(id) = self.run().files.download.take() else { return self.go_on() };
        match answer.fetched {
            Some(true) => self.write(Write::WantedGone(id)),
            // Other bytes than its id says were thrown away; the next sync fetches it anew.
            Some(false) => _ = self.run().files.done_downloads.insert(id),
            None if answer.status == 401 => {
                self.run().files.download = Some(id);
                let problem = serde_json::from_slice::<Problem>(&answer.body).unwrap_or_else(|_| unauthenticated());
                return Ok(self.token_refused(&problem));
            }
            // It was taken off its record meanwhile; if it comes back, the record says so again.
            None if matches!(answer.status, 404 | 410) => self.write(Write::WantedGone(id)),
            None => _ = self.run().files.done_downloads.insert(id),
        }
        self.go_on()
    }

    /// The device no longer has the bytes of the file in hand.
    pub(super) fn file_is_missing(&mut self) -> Result<Next, DeviceError> {
        self.forget_call();
        if let Some(upload) = self.in_hand() {
            self.set_upload_aside(upload, FileTrouble::Missing);
        }
        self.go_on()
    }

    /// The server fails again and again: over this file, as far as one sync can tell.
    pub(super) fn file_fails(&mut self) -> Next {
        if let Some(upload) = self.in_hand() {
            self.set_upload_aside(upload, FileTrouble::Server);
        }
        Next::Proceed
    }
}

/// Only one code says that the file itself is not wanted.
fn trouble(code: ProblemCode) -> FileTrouble {
    match code {
        ProblemCode::AttachmentRefused => FileTrouble::Refused(code),
        _ => FileTrouble::Server,
    }
}

/// What is taken for the problem of an answer that has no body.
fn unauthenticated() -> Problem {
    let trouble = crate::problem::Trouble::new(ProblemCode::Unauthenticated, "the token was refused");
    trouble.into_problem("unknown".parse().expect("a constant that is a request id"))
}
