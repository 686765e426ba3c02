//! The whole HTTP interface as one OpenAPI 3.1 document.
//!
//! A table says what can be asked, and which problems can come back; the schemas are generated from the same types as
//! the files beside the document. A schema that several messages share stands in it once.

use crate::catalog::Message;
use crate::problem::{PROBLEM_MEDIA_TYPE, ProblemCode};
use crate::{PROTOCOL_VERSION, control::Verb};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const MEDIA_TYPE: &str = "application/json";

/// One request that can be made.
struct Operation {
    method: &'static str,
    path: String,
    id: String,
    chapter: &'static str,
    summary: &'static str,
    description: &'static str,
    /// Whether the request names the protocol version.
    versioned: bool,
    /// Whether the request carries an access token.
    login: bool,
    body: Option<&'static str>,
    answer: Option<&'static str>,
    /// Whether the answer is a file, whose id stands in the path.
    file: bool,
    problems: Vec<ProblemCode>,
}

impl Operation {
    fn new(method: &'static str, path: &str, id: &str, chapter: &'static str, summary: &'static str) -> Self {
        use ProblemCode::{Internal, NotFound, RateLimited, Unavailable};
        Self {
            method,
            path: path.to_owned(),
            id: id.to_owned(),
            chapter,
            summary,
            description: "",
            versioned: false,
            login: false,
            body: None,
            answer: None,
            file: false,
            problems: vec![NotFound, RateLimited, Internal, Unavailable],
        }
    }

    fn told(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    fn versioned(mut self) -> Self {
        self.versioned = true;
        self.fails(&[ProblemCode::UnsupportedVersion])
    }

    fn login(mut self) -> Self {
        self.login = true;
        self.versioned().fails(&[ProblemCode::Unauthenticated, ProblemCode::Forbidden])
    }

    fn takes(mut self, message: &'static str) -> Self {
        use ProblemCode::{Malformed, TooLarge, UnsupportedEncoding, UnsupportedMediaType};
        self.body = Some(message);
        self.fails(&[Malformed, TooLarge, UnsupportedMediaType, UnsupportedEncoding])
    }

    fn gives(mut self, message: &'static str) -> Self {
        self.answer = Some(message);
        self
    }

    fn gives_file(mut self) -> Self {
        self.file = true;
        self.fails(&[ProblemCode::RangeNotSatisfiable])
    }

    fn fails(mut self, codes: &[ProblemCode]) -> Self {
        self.problems.extend_from_slice(codes);
        self
    }
}

/// The messages of a request and of its answer, by the method and by the path below the base URL, such as `/push`.
/// Nothing where there is no such request; a message is absent where the body is.
pub fn messages_of(method: &str, path: &str) -> Option<(Option<&'static str>, Option<&'static str>)> {
    let path = if path.is_empty() { "/" } else { path };
    let operation = operations().into_iter().find(|one| one.method.eq_ignore_ascii_case(method) && one.path == path)?;
    Some((operation.body, operation.answer))
}

fn operations() -> Vec<Operation> {
    use ProblemCode::{
        BatchTooLarge, CursorExpired, EpochMismatch, InvalidCursor, OutcomeExpired, ReplicaFenced, Unauthenticated,
        UnknownFeed,
    };
    let mut operations = vec![
        Operation::new("get", "/.well-known/fieldsync", "well_known", "discovery", "Where the default data set is")
            .gives("well-known"),
        Operation::new("get", "/", "discover", "discovery", "What the data set is, before anybody logs in")
            .told("This is `GET {base}` itself. A request may name any `Fieldsync-Version`, or none.")
            .gives("discovery"),
        Operation::new("post", "/login", "login", "session", "From a password to tokens")
            .told("Offered under the capability `password-login`.")
            .versioned()
            .takes("login-request")
            .gives("token-answer")
            .fails(&[Unauthenticated]),
        Operation::new("post", "/refresh", "refresh", "session", "From a refresh token to newer tokens")
            .told("Offered under the capability `token-refresh`.")
            .versioned()
            .takes("refresh-request")
            .gives("token-answer")
            .fails(&[Unauthenticated]),
        Operation::new("get", "/session", "session", "session", "Who is logged in, limits, registry")
            .login()
            .gives("session"),
        Operation::new("post", "/push", "push", "push", "What a device did, each mutation with its own outcome")
            .told("What is wrong with one mutation is no problem but its outcome.")
            .login()
            .takes("push-request")
            .gives("push-answer")
            .fails(&[BatchTooLarge, ReplicaFenced, OutcomeExpired, EpochMismatch]),
        Operation::new("post", "/pull", "pull", "pull", "What changed since the last pull, of all feeds")
            .login()
            .takes("pull-request")
            .gives("pull-answer")
            .fails(&[InvalidCursor, UnknownFeed, CursorExpired, EpochMismatch]),
        Operation::new("post", "/digest", "digest", "digest", "What feeds have, in short")
            .told("Offered under the capability `digest`.")
            .login()
            .takes("digest-request")
            .gives("digest-answer")
            .fails(&[InvalidCursor, UnknownFeed, CursorExpired, EpochMismatch]),
        Operation::new("post", "/bucket", "bucket", "digest", "The live records of one bucket of a feed")
            .told("Offered under the capability `digest`.")
            .login()
            .takes("bucket-request")
            .gives("bucket-answer")
            .fails(&[UnknownFeed, EpochMismatch]),
        Operation::new("post", "/attachments", "slot", "attachments", "A slot for a file")
            .told("Offered under the capability `attachments-proxied`.")
            .login()
            .takes("slot-request")
            .gives("slot-answer")
            .fails(&[ProblemCode::UnknownType, ProblemCode::AttachmentRefused]),
        Operation::new("post", "/attachments/complete", "complete", "attachments", "The end of an upload")
            .told("The bytes went to the upload's URL before, by the protocol that the slot named.")
            .login()
            .takes("complete-request")
            .gives("complete-answer")
            .fails(&[ProblemCode::UploadGone, ProblemCode::UploadIncomplete, ProblemCode::AttachmentMismatch]),
        Operation::new("get", "/attachments/{id}", "download", "attachments", "The bytes of a file")
            .login()
            .gives_file(),
        Operation::new("get", "/control", "control", "control", "The control verbs that this server offers")
            .told("A server that runs for tests may offer control, without a login and at a URL of its own choice.")
            .gives("control-description"),
    ];
    operations.extend(Verb::KNOWN.iter().map(control));
    operations
}

/// The request for one control verb.
fn control(verb: &Verb) -> Operation {
    let begun = |summary| {
        let (path, id) = (format!("/control/{verb}"), format!("control_{verb}"));
        Operation::new("post", &path, &id, "control", summary).told("A server offers each verb, or does not.")
    };
    let of_data_set = |summary| begun(summary).takes("control-data-set").gives("control-done");
    match verb {
        Verb::NewDataSet => begun("Makes a data set with its reference records and nothing else")
            .takes("control-new-data-set")
            .gives("control-new-data-set-answer"),
        Verb::Accounts => {
            begun("Makes accounts, or gives them a new password").takes("control-accounts").gives("control-done")
        }
        Verb::Clock => begun("Sets how far a data set's clock is ahead of the machine's")
            .takes("control-clock")
            .gives("control-done"),
        Verb::Horizon => of_data_set("Purges every tombstone of a data set"),
        Verb::HoldCommit => of_data_set("Holds the next commit of a data set"),
        Verb::Backup => of_data_set("Makes a backup of a data set"),
        Verb::Restore => of_data_set("Puts the last backup in the place of a data set's data"),
        Verb::Wipe => of_data_set("Empties a data set on purpose"),
        Verb::ReleaseCommit => of_data_set("Lets the held commit go"),
        Verb::Scope => begun("Gives a principal a scope").takes("control-scope").gives("control-done"),
        Verb::Reference => {
            begun("Changes a reference record, as the server does").takes("control-reference").gives("control-done")
        }
        Verb::Refetch => begun("Orders a principal's devices to pull once more from the beginning")
            .takes("control-refetch")
            .gives("control-done"),
        Verb::Kill => begun("Ends the server's process at once")
            .told("Where the verb is offered, the process ends without an answer."),
        Verb::Other(_) => unreachable!("only known verbs are listed"),
    }
}

/// The status of the problems of each code, and what such a problem says: the table of the chapter on errors.
fn status(code: &ProblemCode) -> (u16, &'static str) {
    match code {
        ProblemCode::Malformed => (400, "the request is no valid message"),
        ProblemCode::UnsupportedVersion => (400, "the protocol version is missing or not spoken here"),
        ProblemCode::InvalidCursor => (400, "a cursor is not one of this feed, principal and epoch"),
        ProblemCode::UnknownFeed => (400, "there is no such feed"),
        ProblemCode::Unauthenticated => (401, "there is no valid token, or user and password do not match"),
        ProblemCode::Forbidden => (403, "the principal has no grant here, or the role does not allow it"),
        ProblemCode::NotFound => (404, "there is nothing of this kind here"),
        ProblemCode::ReplicaFenced => (409, "the replica is known with another batch, or is not where it says"),
        ProblemCode::EpochMismatch => (409, "the data are of another epoch than the request"),
        ProblemCode::OutcomeExpired => (409, "the answer to an earlier batch is no longer known"),
        ProblemCode::CursorExpired => (410, "a tombstone after a cursor was purged"),
        ProblemCode::UploadIncomplete => (409, "the upload lacks bytes"),
        ProblemCode::UploadGone => (410, "there is no such upload, or it has expired"),
        ProblemCode::RangeNotSatisfiable => (416, "the range begins behind the end of the file"),
        ProblemCode::UnknownType => (422, "there is no such type"),
        ProblemCode::AttachmentRefused => (422, "the type's records do not carry such a file"),
        ProblemCode::AttachmentMismatch => (422, "the bytes that came are not those of the attachment id"),
        ProblemCode::TooLarge => (413, "the body is above `body_bytes`"),
        ProblemCode::BatchTooLarge => (413, "the batch is above `batch_mutations`"),
        ProblemCode::UnsupportedMediaType => (415, "the body's media type is not `application/json`"),
        ProblemCode::UnsupportedEncoding => (415, "the body's coding is not announced"),
        ProblemCode::RateLimited => (429, "too many requests"),
        ProblemCode::Internal => (500, "the server failed"),
        ProblemCode::Unavailable => (503, "the server cannot serve now"),
        other => unreachable!("no operation fails with {other}"),
    }
}

/// The path of the document's file, below `schemas/json/`.
pub fn path() -> String {
    format!("{PROTOCOL_VERSION}/openapi.json")
}

/// The document as the text of its file: pretty JSON and a newline.
pub fn file() -> String {
    serde_json::to_string_pretty(&document()).expect("a document is plain JSON") + "\n"
}

/// The document.
pub fn document() -> Value {
    let mut writer = Writer {
        generator: SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into())
            .into_generator(),
        examples: Map::new(),
    };
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let item = paths.entry(operation.path.clone()).or_default();
        if let Some(servers) = servers(&operation) {
            item.insert("servers".to_owned(), servers);
        }
        item.insert(operation.method.to_owned(), writer.operation(&operation));
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": DRAFT,
        "info": {
            "title": "Fieldsync",
            "version": PROTOCOL_VERSION,
            "summary": "A sync protocol for offline-first apps",
            "description": "The HTTP interface of one data set, and around it. What the messages mean, and what a \
                server and a device must do, is in the specification. Devices ignore members that they do not know, \
                and go by `retry` where they do not know the `code` of a problem.",
            "license": {"name": "MIT or Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{
            "url": "{base}",
            "description": "A data set. A device is configured with its base URL.",
            "variables": {"base": {"default": "http://127.0.0.1:8080/clinic", "description": "The base URL."}},
        }],
        "tags": [
            {"name": "discovery", "description": "What a data set is, before anybody logs in."},
            {"name": "session", "description": "Tokens, and who is logged in."},
            {"name": "push", "description": "From the device to the server."},
            {"name": "pull", "description": "From the server to the device."},
            {"name": "attachments", "description": "Files, apart from the records that refer to them."},
            {"name": "control", "description": "What a test may ask of a server that runs for tests."},
        ],
        "paths": paths,
        "components": {
            "schemas": writer.generator.take_definitions(true),
            "examples": writer.examples,
            "parameters": {
                "Fieldsync-Version": {
                    "name": "Fieldsync-Version",
                    "in": "header",
                    "required": true,
                    "description": "The protocol version of the request.",
                    "schema": {"type": "string", "const": PROTOCOL_VERSION},
                },
                "Content-Encoding": {
                    "name": "Content-Encoding",
                    "in": "header",
                    "description": "The coding of the body: one that the discovery lists in `encodings`.",
                    "schema": {"type": "string"},
                },
                "id": {
                    "name": "id",
                    "in": "path",
                    "required": true,
                    "description": "The file's id.",
                    "schema": {"type": "string"},
                },
                "Range": {
                    "name": "Range",
                    "in": "header",
                    "description": "The bytes that are wanted, such as `bytes=17-`; all without it.",
                    "schema": {"type": "string"},
                },
                "If-None-Match": {
                    "name": "If-None-Match",
                    "in": "header",
                    "description": "The `ETag` of the session that the device knows.",
                    "schema": {"type": "string"},
                },
            },
            "headers": {
                "Fieldsync-Version": {
                    "required": true,
                    "description": "The protocol version of the answer.",
                    "schema": {"type": "string"},
                },
                "Fieldsync-Request-Id": {
                    "required": true,
                    "description": "The name of the request; a problem's `request_id`.",
                    "schema": {"type": "string"},
                },
                "ETag": {
                    "required": true,
                    "description": "The session's tag, in double quotes.",
                    "schema": {"type": "string"},
                },
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, from a login or from somebody whom the server trusts.",
                },
            },
        },
    })
}

/// Where a path stands that is not below the base URL.
fn servers(operation: &Operation) -> Option<Value> {
    let description = match operation.path.as_str() {
        "/.well-known/fieldsync" => "The host.",
        _ if operation.chapter == "control" => "The host. Control is at a URL of the server's own choice.",
        _ => return None,
    };
    Some(json!([{
        "url": "{host}",
        "description": description,
        "variables": {"host": {"default": "http://127.0.0.1:8080", "description": "The host's URL."}},
    }]))
}

/// Writes operations, and keeps the schemas and examples that they name.
struct Writer {
    generator: SchemaGenerator,
    examples: Map<String, Value>,
}

impl Writer {
    fn operation(&mut self, operation: &Operation) -> Value {
        let mut written = json!({
            "operationId": operation.id,
            "tags": [operation.chapter],
            "summary": operation.summary,
            "security": if operation.login { json!([{"bearer": []}]) } else { json!([]) },
            "responses": self.responses(operation),
        });
        let is_session = operation.answer == Some("session");
        let parameters: Vec<Value> = [
            ("Fieldsync-Version", operation.versioned),
            ("Content-Encoding", operation.body.is_some()),
            ("If-None-Match", is_session),
            ("id", operation.file),
            ("Range", operation.file),
        ]
        .into_iter()
        .filter(|(_, named)| *named)
        .map(|(name, _)| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect();
        if !parameters.is_empty() {
            written["parameters"] = Value::Array(parameters);
        }
        if !operation.description.is_empty() {
            written["description"] = json!(operation.description);
        }
        if let Some(body) = operation.body {
            written["requestBody"] = json!({"required": true, "content": self.content(MEDIA_TYPE, body, true)});
        }
        written
    }

    fn responses(&mut self, operation: &Operation) -> Value {
        let mut responses = Map::new();
        if let Some(answer) = operation.answer {
            let is_session = answer == "session";
            let content = self.content(MEDIA_TYPE, answer, true);
            let description = named(answer).title;
            let answer = json!({"description": description, "headers": headers(is_session), "content": content});
            responses.insert("200".to_owned(), answer);
            if is_session {
                let unchanged = json!({"description": "The session is the known one", "headers": headers(true)});
                responses.insert("304".to_owned(), unchanged);
            }
        }
        if operation.file {
            let content = json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
            for (status, description) in [("200", "The file"), ("206", "The bytes that were asked for")] {
                let answer = json!({"description": description, "headers": headers(false), "content": content});
                responses.insert(status.to_owned(), answer);
            }
        }
        let mut by_status: BTreeMap<u16, BTreeSet<&ProblemCode>> = BTreeMap::new();
        for code in &operation.problems {
            by_status.entry(status(code).0).or_default().insert(code);
        }
        let example = named("problem").example_value();
        for (status_code, codes) in by_status {
            let fits = codes.iter().any(|code| example["code"] == code.as_str());
            let lines: Vec<String> = codes.iter().map(|code| format!("- `{code}`: {}", status(code).1)).collect();
            let problem = json!({
                "description": lines.join("\n"),
                "headers": headers(false),
                "content": self.content(PROBLEM_MEDIA_TYPE, "problem", fits),
            });
            responses.insert(status_code.to_string(), problem);
        }
        Value::Object(responses)
    }

    fn content(&mut self, media_type: &str, message: &str, with_example: bool) -> Value {
        let message = named(message);
        let mut content = json!({"schema": message.refer(&mut self.generator)});
        if with_example {
            let example = json!({"summary": message.title, "value": message.example_value()});
            self.examples.insert(message.name.to_owned(), example);
            content["examples"] = json!({message.name: {"$ref": format!("#/components/examples/{}", message.name)}});
        }
        json!({media_type: content})
    }
}

fn headers(with_tag: bool) -> Value {
    let names = ["Fieldsync-Version", "Fieldsync-Request-Id"].into_iter().chain(with_tag.then_some("ETag"));
    names.map(|name| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect()
}

fn named(message: &str) -> &'static Message {
    Message::named(message).expect("every name in this module is a message")
}

#[cfg(test)]
mod tests;
