//! The object storage refuses what one in the field refuses; otherwise no scenario about signed uploads would show
//! anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fieldsync_object_storage::{BUCKET, Keys, ObjectStorage};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{ObjectStoreExt, PutPayload};
use reqwest::{Method, StatusCode, Url};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const FILE: &str = "a file of a record";

struct Site {
    _storage: ObjectStorage,
    signer: AmazonS3,
    http: reqwest::Client,
}

impl Site {
    async fn new() -> Self {
        let keys = Keys { access: "tests".to_owned(), secret: "a secret of tests".to_owned() };
        let storage = ObjectStorage::start(&keys).await.unwrap();
        let signer = AmazonS3Builder::new()
            .with_endpoint(storage.endpoint())
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_region("us-east-1")
            .with_bucket_name(BUCKET)
            .with_access_key_id(keys.access)
            .with_secret_access_key(keys.secret)
            .build()
            .unwrap();
        Self { _storage: storage, signer, http: reqwest::Client::new() }
    }

    /// A URL for the bytes of the file at this key.
    async fn signed(&self, key: &str, life: Duration) -> Url {
        let options = SignedUrlOptions::new()
            .with_signed_header(CHECKSUM, HeaderValue::from_str(&hash(FILE)).unwrap())
            .with_signed_header(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
        self.signer.signed_url_opts(Method::PUT, &Path::from(key), life, &options).await.unwrap()
    }

    async fn put(&self, url: Url, checksum: &str, media_type: &str, body: &'static str) -> StatusCode {
        let request = self.http.put(url).header(CHECKSUM, checksum).header(CONTENT_TYPE, media_type).body(body);
        request.send().await.unwrap().status()
    }

    async fn kept(&self, key: &str) -> Option<Vec<u8>> {
        let found = self.signer.get(&Path::from(key)).await.ok()?;
        Some(found.bytes().await.unwrap().to_vec())
    }
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_was_signed_is_taken() {
    let site = Site::new().await;
    let url = site.signed("incoming/u1", HOUR).await;
    assert_eq!(site.put(url, &hash(FILE), "image/jpeg", FILE).await, StatusCode::OK);
    assert_eq!(site.kept("incoming/u1").await.as_deref(), Some(FILE.as_bytes()));
}

#[tokio::test]
async fn what_is_not_signed_is_refused() {
    let site = Site::new().await;
    let mut url = site.signed("incoming/u1", HOUR).await;
    url.set_query(None);
    assert_eq!(site.put(url.clone(), &hash(FILE), "image/jpeg", FILE).await, StatusCode::FORBIDDEN);
    assert_eq!(site.http.get(url).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(site.kept("incoming/u1").await, None);
}

#[tokio::test]
async fn what_was_signed_for_another_key_or_media_type_is_refused() {
    let site = Site::new().await;
    let url = site.signed("incoming/u1", HOUR).await;
    let mut elsewhere = url.clone();
    elsewhere.set_path(&url.path().replace("u1", "u2"));
    assert_eq!(site.put(elsewhere, &hash(FILE), "image/jpeg", FILE).await, StatusCode::FORBIDDEN);
    assert_eq!(site.put(url.clone(), &hash(FILE), "text/html", FILE).await, StatusCode::FORBIDDEN);
    let other = "another file, with its own checksum";
    assert_eq!(site.put(url, &hash(other), "image/jpeg", other).await, StatusCode::FORBIDDEN);
    assert_eq!(site.kept("incoming/u1").await, None);
    assert_eq!(site.kept("incoming/u2").await, None);
}

#[tokio::test]
async fn what_has_expired_is_refused() {
    let site = Site::new().await;
    let url = site.signed("incoming/u1", Duration::from_secs(1)).await;
    // It signs by the machine's clock, and counts whole seconds.
    let signed = Instant::now();
    while signed.elapsed() < Duration::from_millis(2100) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(site.put(url, &hash(FILE), "image/jpeg", FILE).await, StatusCode::FORBIDDEN);
    assert_eq!(site.kept("incoming/u1").await, None);
}

#[tokio::test]
async fn bytes_of_another_length_or_hash_are_refused() {
    let site = Site::new().await;
    for other in ["a file of a recor", "a file of a records", "a file of a dorcer"] {
        let url = site.signed("incoming/u1", HOUR).await;
        assert_eq!(site.put(url, &hash(FILE), "image/jpeg", other).await, StatusCode::BAD_REQUEST, "{other}");
    }
}

/// Why nobody may be given a URL for the place where a file stays: this storage puts bytes in their place before it
/// looks at their hash.
#[tokio::test]
async fn bytes_that_are_refused_may_be_in_the_place_of_others() {
    let site = Site::new().await;
    site.signer.put(&Path::from("incoming/u1"), PutPayload::from_static(FILE.as_bytes())).await.unwrap();
    let url = site.signed("incoming/u1", HOUR).await;
    let other = "a file of a dorcer";
    assert_eq!(site.put(url, &hash(FILE), "image/jpeg", other).await, StatusCode::BAD_REQUEST);
    assert_eq!(site.kept("incoming/u1").await.as_deref(), Some(other.as_bytes()));
}
