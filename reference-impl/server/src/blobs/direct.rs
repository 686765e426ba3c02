//! Files that go straight into an object storage, by URLs that the server signs.
//!
//! A signed URL leads to a place of its own upload, never to where a file stays: whoever has it can write there for as
//! long as the signature lasts, also after the file was verified, and a storage may put bytes in their place before it
//! looks at their hash. What is signed binds the bytes all the same: the storage refuses others than those of the hash.

use super::{BlobError, Blobs, Changed, failed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fieldsync_core::attachment::Upload;
use fieldsync_schemas::attachment::UploadOffer;
use fieldsync_schemas::id::AttachmentId;
use fieldsync_schemas::time::Timestamp;
use futures_util::stream::TryStreamExt;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::signer::SignedUrlOptions;
use object_store::{ObjectStore, ObjectStoreExt, RetryConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
/// The folder of what comes in.
const INCOMING: &str = "incoming";

/// A bucket of an object storage that speaks the protocol of S3, and the keys to it.
#[derive(Clone)]
pub struct Bucket {
    /// Where the server reaches the storage: scheme, host and port.
    pub endpoint: String,
    /// Where devices reach it, in the same form: URLs are signed for this host.
    pub address: String,
    /// The bucket's name.
    pub name: String,
    /// The region that signatures name.
    pub region: String,
    /// Names the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
}

impl Bucket {
    /// What reads and writes, and what signs.
    pub(super) fn open(&self) -> object_store::Result<Changed> {
        Ok((Arc::new(self.at(&self.endpoint)?), Arc::new(self.at(&self.address)?)))
    }

    fn at(&self, address: &str) -> object_store::Result<AmazonS3> {
        // Somebody waits for the answer, and asks again.
        let retry = RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
        AmazonS3Builder::new()
            .with_endpoint(address)
            .with_allow_http(address.starts_with("http://"))
            .with_virtual_hosted_style_request(false)
            .with_region(&self.region)
            .with_bucket_name(&self.name)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_retry(retry)
            .build()
    }
}

/// Where an upload comes in.
pub(super) fn incoming(upload: &str) -> Key {
    Key::from_iter([INCOMING, upload])
}

impl Blobs {
    /// Whether files can go straight into the object store.
    pub fn takes_direct(&self) -> bool {
        self.signer.is_some()
    }

    /// What a device is told of an upload that goes straight into the object store. The signature lasts for this long, by
    /// the machine's clock.
    pub(crate) async fn offer(&self, upload: &Upload, life: Duration) -> Result<UploadOffer, BlobError> {
        const DOING: &str = "sign an upload";
        let signer = self.signer.as_ref().ok_or_else(|| failed(DOING)("there is no object storage"))?;
        let file = &upload.attachment;
        let media_type = HeaderValue::from_str(&file.media_type).map_err(failed(DOING))?;
        let checksum = HeaderValue::from_str(&checksum(&file.id)).map_err(failed(DOING))?;
        let signed = HeaderMap::from_iter([(CONTENT_TYPE, media_type), (CHECKSUM, checksum)]);
        let options = signed.iter().fold(SignedUrlOptions::new(), |options, (name, value)| {
            options.with_signed_header(name.clone(), value.clone())
        });
        let key = incoming(upload.id.as_str());
        let url = signer.signed_url_opts(Method::PUT, &key, life, &options).await.map_err(failed(DOING))?;
        let headers: BTreeMap<String, String> = signed
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let (id, protocol, expires_at) = (upload.id.clone(), upload.protocol.clone(), upload.expires_at);
        Ok(UploadOffer { id, protocol, url: url.into(), headers, expires_at })
    }

    pub(super) async fn forget_direct(&self, upload: &str) -> Result<(), BlobError> {
        match self.files.delete(&incoming(upload)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete an upload")(error)),
        }
    }

    /// Deletes what came straight into the object store before this time, by the storage's clock, and was never ended.
    pub(crate) async fn forget_direct_before(&self, before: Timestamp) -> Result<(), BlobError> {
        const DOING: &str = "delete old uploads";
        if self.signer.is_none() {
            return Ok(());
        }
        let mut all = self.files.list(Some(&Key::from(INCOMING)));
        while let Some(found) = all.try_next().await.map_err(failed(DOING))? {
            if found.last_modified.timestamp_millis() < before.as_millis() {
                self.files.delete(&found.location).await.map_err(failed(DOING))?;
            }
        }
        Ok(())
    }
}

/// A hash as an object storage names it.
fn checksum(id: &AttachmentId) -> String {
    let hex = id.as_str().trim_start_matches("sha256:").as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    STANDARD.encode(hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{id_of, upload};
    use fieldsync_schemas::attachment::UploadProtocol;
    use object_store::PutPayload;
    use object_store::memory::InMemory;

    fn bucket() -> Bucket {
        Bucket {
            endpoint: "http://10.0.0.1:9000".to_owned(),
            address: "https://files.example.org".to_owned(),
            name: "clinic".to_owned(),
            region: "eu-central-1".to_owned(),
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_signed_url_leads_to_where_devices_reach_the_storage_and_binds_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_bucket(&bucket(), folder.path()).unwrap();
        let upload = upload("u-1", &id_of(b"hello"), 5, UploadProtocol::SignedPut);
        let offer = blobs.offer(&upload, Duration::from_secs(60)).await.unwrap();
        assert!(offer.url.starts_with("https://files.example.org/clinic/incoming/u-1?"), "{}", offer.url);
        assert!(offer.url.contains("X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-checksum-sha256"), "{}", offer.url);
        assert!(offer.url.contains("X-Amz-Expires=60"), "{}", offer.url);
        assert_eq!(offer.headers["x-amz-checksum-sha256"], "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    }

    #[tokio::test]
    async fn what_was_never_ended_goes_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let files: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (_, signer) = bucket().open().unwrap();
        let blobs = Blobs { signer: Some(signer), ..Blobs::over(files.clone(), folder.path()).unwrap() };
        let later = Timestamp::from_millis(Timestamp::now().as_millis() + 60_000);
        files.put(&incoming("u-1"), PutPayload::from_static(b"hello")).await.unwrap();
        files.put(&Key::from("files/ab/abc"), PutPayload::from_static(b"hello")).await.unwrap();
        blobs.forget_direct_before(Timestamp::from_millis(later.as_millis() - 120_000)).await.unwrap();
        assert!(files.head(&incoming("u-1")).await.is_ok());
        blobs.forget_direct_before(later).await.unwrap();
        assert!(files.head(&incoming("u-1")).await.is_err());
        assert!(files.head(&Key::from("files/ab/abc")).await.is_ok(), "what was verified stays");
    }
}
