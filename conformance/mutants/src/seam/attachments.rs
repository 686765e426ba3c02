//! The storage of files: what is kept of them besides their bytes, changed on its way.

use async_trait::async_trait;
use fieldsync_core::attachment::{AttachmentStore, Blob, Upload};
use fieldsync_core::store::{DataSetName, StoreError};
use fieldsync_schemas::id::{AttachmentId, Principal, UploadId};
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::Parts;
use std::sync::Arc;

/// What happens to what passes between the edge and the storage of files. Each member does nothing by default.
pub trait AttachmentFault: Send + Sync + 'static {
    /// After it was asked whether a file is open to somebody.
    fn found(&self, _id: &AttachmentId, _blob: &mut Option<Blob>) {}
    /// After an upload was looked up.
    fn upload(&self, _upload: &mut Option<Upload>) {}
    /// Before a file arrives.
    fn arrives(&self, _id: &AttachmentId, _blob: &Blob) {}
    /// Before files are collected that were last offered before this time.
    fn collects(&self, _before: &mut Timestamp) {}
}

/// The same server over a faulty storage of files.
pub fn faulty(mut parts: Parts, fault: impl AttachmentFault) -> Parts {
    parts.attachments = Arc::new(Faulty { inner: parts.attachments.clone(), fault });
    parts
}

struct Faulty<F> {
    inner: Arc<dyn AttachmentStore>,
    fault: F,
}

#[async_trait]
impl<F: AttachmentFault> AttachmentStore for Faulty<F> {
    async fn open_to(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
    ) -> Result<Option<Blob>, StoreError> {
        let mut blob = self.inner.open_to(data_set, principal, id).await?;
        self.fault.found(id, &mut blob);
        Ok(blob)
    }

    async fn put_upload(&self, data_set: &DataSetName, upload: &Upload) -> Result<(), StoreError> {
        self.inner.put_upload(data_set, upload).await
    }

    async fn upload(&self, data_set: &DataSetName, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        let mut upload = self.inner.upload(data_set, id).await?;
        self.fault.upload(&mut upload);
        Ok(upload)
    }

    async fn arrive(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
        blob: &Blob,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.fault.arrives(id, blob);
        self.inner.arrive(data_set, principal, id, blob, now).await
    }

    async fn collect(&self, data_set: &DataSetName, mut before: Timestamp) -> Result<Vec<AttachmentId>, StoreError> {
        self.fault.collects(&mut before);
        self.inner.collect(data_set, before).await
    }

    async fn condemned(&self) -> Result<Vec<AttachmentId>, StoreError> {
        self.inner.condemned().await
    }

    async fn buried(&self, ids: &[AttachmentId]) -> Result<(), StoreError> {
        self.inner.buried(ids).await
    }

    async fn expire(&self, data_set: &DataSetName, now: Timestamp) -> Result<Vec<UploadId>, StoreError> {
        self.inner.expire(data_set, now).await
    }
}
