//! What every page has: its style, its script, and the policy that lets nothing else in.

use base64::Engine;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The head of a page.
pub(super) struct Frame {
    pub title: String,
    pub policy: String,
    pub style: &'static str,
    pub script: &'static str,
}

impl Frame {
    pub(super) fn new(title: String) -> Self {
        let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        Self { title, policy, style: STYLE, script: SCRIPT }
    }
}
