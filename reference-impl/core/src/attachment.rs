//! Files apart from the records that refer to them: who may have one, and how a record's publication follows it.
//!
//! Chapter: attachments. A file is named by the hash of its bytes, which is no secret. So it is open only to those who
//! had its bytes, and to those who may read a record that somebody entitled to the file put it into: knowing a hash
//! opens nothing.

use crate::store::{DataSetName, State, StoreError};
use async_trait::async_trait;
use fieldsync_schemas::attachment::UploadProtocol;
use fieldsync_schemas::id::{AttachmentId, Principal, UploadId};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::Refusal;
use fieldsync_schemas::record::{Attachment, AttachmentState, Record};
use fieldsync_schemas::registry::TypeEntry;
use fieldsync_schemas::time::Timestamp;
use std::collections::HashSet;
use std::time::Duration;

/// How long an upload can be gone on with after its slot was given.
pub const UPLOAD_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long a file is kept that no record refers to.
pub const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// Its name.
    pub id: UploadId,
    /// Whose it is; nobody else can go on with it.
    pub principal: Principal,
    /// The file that it is to become.
    pub attachment: Attachment,
    /// How its bytes travel.
    pub protocol: UploadProtocol,
    /// Until when it can be gone on with.
    pub expires_at: Timestamp,
}

/// What the server keeps of a file besides its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Blob {
    /// Its length.
    pub bytes: u64,
    /// Its media type, one that a policy takes.
    pub media_type: String,
}

/// The files that a record refers to, as they were published with it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordFiles {
    /// The record.
    pub record: RecordRef,
    /// Its files.
    pub attachments: Vec<Attachment>,
}

/// What a server keeps of files: uploads, whose each file is, and which records refer to it. The bytes are elsewhere.
#[async_trait]
pub trait AttachmentStore: Send + Sync {
    /// The file, where the principal uploaded it, or where a record that the principal may read refers to it and
    /// somebody entitled to it put it there.
    async fn open_to(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
    ) -> Result<Option<Blob>, StoreError>;

    /// Keeps an upload that begins.
    async fn put_upload(&self, data_set: &DataSetName, upload: &Upload) -> Result<(), StoreError>;

    /// The upload of this name.
    async fn upload(&self, data_set: &DataSetName, id: &UploadId) -> Result<Option<Upload>, StoreError>;

    /// The principal has the file: its bytes came, or were there already. The records into which the principal put it,
    /// and which wait for it, are published again, all in one transaction. The writer of batches calls this, so that no
    /// batch is decided meanwhile.
    async fn arrive(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
        blob: &Blob,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets the files of a data set that no record refers to and that were last offered before `before`, and condemns
    /// the bytes of those that no other data set has, either. The writer of batches calls this, so that no batch is
    /// decided meanwhile that believes them there. What comes back is all that is condemned.
    async fn collect(&self, data_set: &DataSetName, before: Timestamp) -> Result<Vec<AttachmentId>, StoreError>;

    /// The files whose bytes are condemned: they are to be deleted, and that may have been broken off. One that came
    /// again is not among them.
    async fn condemned(&self) -> Result<Vec<AttachmentId>, StoreError>;

    /// The bytes of these are deleted.
    async fn buried(&self, ids: &[AttachmentId]) -> Result<(), StoreError>;

    /// Forgets the uploads of a data set that expired before `now`, and names them.
    async fn expire(&self, data_set: &DataSetName, now: Timestamp) -> Result<Vec<UploadId>, StoreError>;
}

/// Whether records of this type carry such a file.
pub fn check(attachment: &Attachment, entry: &TypeEntry) -> Result<(), Refusal> {
    let refuse = |detail: String| Refusal { code: ProblemCode::AttachmentRefused, detail, pointer: None, cause: None };
    let Some(policy) = &entry.attachments else {
        return Err(refuse(format!("records of type {} carry no files", entry.name)));
    };
    if !policy.media_types.is_empty() && !policy.media_types.contains(&attachment.media_type) {
        let taken = policy.media_types.join(", ");
        return Err(refuse(format!("records of type {} carry {taken}", entry.name)));
    }
    if let Some(most) = policy.max_bytes.filter(|most| attachment.bytes > *most) {
        return Err(refuse(format!("a file of type {} has at most {most} bytes", entry.name)));
    }
    Ok(())
}

/// The files of a pushed state as they are published. One that the record had before stands as it stood; a new one is
/// there if it is open to whoever pushes.
pub fn published(pushed: &[Attachment], before: Option<&State>, open: &HashSet<AttachmentId>) -> Vec<Attachment> {
    if pushed.is_empty() {
        return Vec::new();
    }
    let before = before.map(|state| serde_json::from_str::<Record>(&state.json).expect("the server wrote it"));
    let before = before.map(|record| record.attachments).unwrap_or_default();
    let stands = |attachment: &Attachment| match before.iter().find(|known| known.id == attachment.id) {
        Some(known) => known.state.clone(),
        None if open.contains(&attachment.id) => Some(AttachmentState::Stored),
        None => Some(AttachmentState::Awaiting),
    };
    pushed.iter().map(|attachment| Attachment { state: stands(attachment), ..attachment.clone() }).collect()
}

/// The published record with this file standing so; nothing, where it does already, or the record has no such file.
pub fn with_file(json: &str, id: &AttachmentId, state: AttachmentState) -> Option<String> {
    let mut record: Record = serde_json::from_str(json).expect("the server wrote it");
    let mut changed = false;
    for attachment in record.attachments.iter_mut().filter(|attachment| attachment.id == *id) {
        changed |= attachment.state.as_ref() != Some(&state);
        attachment.state = Some(state.clone());
    }
    changed.then(|| serde_json::to_string(&record).expect("a record is plain JSON"))
}
