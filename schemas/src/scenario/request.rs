//! A raw request, for what a device cannot express.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A raw request and the answer it must get, for what a device cannot express. `${name}` in any text stands for what
/// was saved under the name, or for an id made up at its first use; `${hash:a+b}` for the attachment id of the text
/// `${a}${b}`, `${x*8193}` for a long text, and in a body
/// `{$times: 50, item: ...}` for a list, in whose items `${#}` is the number from 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestStep {
    /// The account whose token is sent; `worker` where absent, `nobody` for none.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `GET` where there is no body, `POST` where there is one, or this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path below the base URL, such as `/push`; empty for the base URL itself.
    #[serde(default)]
    pub path: String,
    /// A URL in the place of the path, resolved against the root of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers besides those of every request; null leaves one of those out.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A body as text, sent byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A body that is this many bytes longer than the server's `body_bytes`. It is `body`, where there is one, with a
    /// member `pad` of the length that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversized_by: Option<u64>,
    /// Sends the body as gzip where the server announces that it reads gzip, plain elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gzip: Option<bool>,
    /// The answer it must get.
    pub expect: ExpectedAnswer,
    /// Saves members of the answer under a name, by JSON Pointer.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
}

/// The answer that a raw request must get.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// The HTTP status; 200 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status of a server that does not offer what is asked for and need not. The scenario ends well there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<u16>,
    /// Members that the JSON body must have. An object may have more; an array has exactly these items, or, where it is
    /// written as `{$some: ...}`, one such item at least. `{$not: ...}` is anything else; `$any`, `$absent`, `$string`, `$time` and `${name}` stand for
    /// values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Headers that the answer must have; `$any` for any value, null for absent.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
}
