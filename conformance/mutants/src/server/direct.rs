//! Faults against the chapter `direct`.

use super::attachments::ends_well_instead_of;
use crate::Mutant;
use crate::seam::blobs::{BlobFault, faulty};
use crate::seam::wire;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use object_store::path::Path;
use object_store::signer::SignedUrlOptions;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Mutex;

const HELD: &str = "nothing panics while it holds this";
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-slot-is-not-signed",
        "direct.slot.signed",
        "The URL of a slot names the place in the storage, without a signature.",
        |parts| {
            wire::answers(parts, "/attachments", |body| {
                let url = body.pointer("/upload/url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
                if let Some((place, _)) = url.split_once('?') {
                    body["upload"]["url"] = json!(place);
                }
            })
        },
    ),
    Mutant::server(
        "a-signature-binds-no-bytes",
        "direct.slot.bound",
        "The URL of a slot is signed without the hash of the file.",
        |parts| faulty(parts, Unbound),
    ),
    Mutant::server(
        "an-end-is-believed",
        "direct.complete.verified",
        "The end of an upload is answered with stored, whether something is in the storage or not.",
        |parts| ends_well_instead_of(parts, StatusCode::CONFLICT),
    ),
    Mutant::server(
        "a-file-stays-where-it-came-in",
        "direct.key.not-final",
        "A URL is signed for the place from which the file is read ever after.",
        |parts| faulty(parts, InPlace::default()),
    ),
];

#[derive(Debug)]
struct Unbound;

impl BlobFault for Unbound {
    fn signs(&self, _: &mut Path, options: &mut SignedUrlOptions) {
        options.signed_headers.remove(CHECKSUM);
    }
}

/// Where each upload comes in: at the place of its file.
#[derive(Debug, Default)]
struct InPlace(Mutex<HashMap<Path, Path>>);

impl BlobFault for InPlace {
    fn place(&self, path: &Path) -> Path {
        self.0.lock().expect(HELD).get(path).unwrap_or(path).clone()
    }

    fn signs(&self, path: &mut Path, options: &mut SignedUrlOptions) {
        let checksum = options.signed_headers.get(CHECKSUM).and_then(|value| STANDARD.decode(value).ok());
        let hash: String = checksum.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        let last = Path::from_iter(["files", &hash[..2], &hash]);
        self.0.lock().expect(HELD).insert(path.clone(), last.clone());
        *path = last;
    }
}
