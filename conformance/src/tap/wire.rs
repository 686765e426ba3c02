//! Every message against its schema, with the blame on whoever sent it.
//!
//! Only what a server really answered counts against it, and only what a device really sent against the device: canned
//! and altered answers are the scenario's, raw requests the suite's. All calls of the schema library are here.

use super::exchange::{Answer, Body, Caller, SeenExchange};
use fieldsync_schemas::catalog::{Form, MESSAGES, Message};
use fieldsync_schemas::event::Actor;
use fieldsync_schemas::id::{RuleId, TypeName};
use fieldsync_schemas::problem::PROBLEM_MEDIA_TYPE;
use fieldsync_schemas::registry::Registry;
use fieldsync_schemas::scenario::CallKind;
use fieldsync_schemas::session::Session;
use fieldsync_schemas::{REQUEST_ID_HEADER, VERSION_HEADER};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use jsonschema::{Draft, Validator};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{LazyLock, OnceLock};

/// How strictly each side's messages are examined: open for subjects, closed for the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forms {
    /// The requests of devices.
    pub device: Form,
    /// The answers of servers.
    pub server: Form,
}

impl Default for Forms {
    fn default() -> Self {
        Self { device: Form::Open, server: Form::Open }
    }
}

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq)]
pub struct WireFinding {
    /// The exchange, as an index into those that were examined.
    pub exchange: usize,
    /// Who sent the message: a device the request, a server the answer.
    pub side: Actor,
    /// The rule that it breaks.
    pub rule: RuleId,
    /// Where in the body, as a JSON Pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

const VALID_ANSWERS: &str = "transport.messages.valid-answers";
const VALID_REQUESTS: &str = "transport.messages.valid-requests";
const VERSION_ANSWERED: &str = "transport.version.answered";
const VERSION_SENT: &str = "transport.version.sent";
const REQUEST_ID_NAMED: &str = "errors.request-id.named";
const PROBLEM_FORM: &str = "errors.problem.form";
const TOKEN_STAYS_HERE: &str = "direct.device.token-stays-here";
const TYPES_IN_ORDER: &str = "registry.types.in-order";

/// The most errors of one body that are told.
const MOST_ERRORS: usize = 5;
/// The longest message of one error.
const LONGEST_MESSAGE: usize = 300;

/// What is wrong with the messages of these exchanges.
pub fn examine(exchanges: &[SeenExchange], forms: Forms) -> Vec<WireFinding> {
    let mut all = Vec::new();
    for (index, seen) in exchanges.iter().enumerate() {
        let found = seen.examined.clone().unwrap_or_else(|| examine_one(seen, forms));
        all.extend(found.into_iter().map(|finding| WireFinding { exchange: index, ..finding }));
    }
    all
}

/// What is wrong with the messages of one exchange, as number 0.
pub(super) fn examine_one(seen: &SeenExchange, forms: Forms) -> Vec<WireFinding> {
    let mut found = Vec::new();
    // What an object storage says is not the server's; what it is sent is a file, and nothing that opens the server.
    if seen.kind == CallKind::Store {
        if seen.caller == Caller::Device && seen.request_headers.contains_key(AUTHORIZATION) {
            let mut of_device = Findings { side: Actor::Device, found: &mut found };
            of_device.add(TOKEN_STAYS_HERE, "", "the request to the object storage carries the header Authorization");
        }
        return found;
    }
    // At the URL of an upload tus is spoken.
    if matches!(seen.kind, CallKind::Offset | CallKind::Upload) {
        return found;
    }
    if seen.caller == Caller::Device && !seen.copy {
        request(seen, forms.device, &mut Findings { side: Actor::Device, found: &mut found });
    }
    let mut of_server = Findings { side: Actor::Server, found: &mut found };
    if let Some(answer) = &seen.upstream {
        check_answer(seen, answer, forms.server, &mut of_server);
    }
    if let Some(trouble) = seen.trouble.as_ref().filter(|trouble| trouble.is_invalid_answer()) {
        of_server.add(VALID_ANSWERS, "", trouble.to_string());
    }
    found
}

struct Findings<'a> {
    side: Actor,
    found: &'a mut Vec<WireFinding>,
}

impl Findings<'_> {
    fn add(&mut self, rule: &str, pointer: &str, message: impl Into<String>) {
        let rule = RuleId::new(rule).expect("the rule ids of this module are well formed");
        self.found.push(WireFinding {
            exchange: 0,
            side: self.side,
            rule,
            pointer: pointer.to_owned(),
            message: message.into(),
        });
    }
}

fn request(seen: &SeenExchange, form: Form, findings: &mut Findings<'_>) {
    let name = match seen.kind {
        CallKind::Login => "login-request",
        CallKind::Refresh => "refresh-request",
        CallKind::Push => "push-request",
        CallKind::Pull => "pull-request",
        CallKind::Slot => "slot-request",
        CallKind::Complete => "complete-request",
        CallKind::Digest => "digest-request",
        CallKind::Bucket => "bucket-request",
        CallKind::Discovery | CallKind::Session => "",
        CallKind::Offset | CallKind::Upload | CallKind::Store | CallKind::Download | CallKind::Any => "",
    };
    // Discovery is how a device learns the versions, so it needs to name none.
    if seen.below_base && seen.kind != CallKind::Discovery && header(&seen.request_headers, VERSION_HEADER).is_none() {
        findings.add(VERSION_SENT, "", format!("the request has no header {VERSION_HEADER}"));
    }
    // What did not come whole is trouble, and no message.
    let came_whole = seen.trouble.as_ref().is_none_or(|trouble| trouble.blame() != Some(Actor::Device));
    if name.is_empty() || !came_whole {
        return;
    }
    let media_type = media_type(&seen.request_headers);
    if media_type != "application/json" {
        findings.add(VALID_REQUESTS, "", format!("the request's media type is {media_type:?}, not application/json"));
    }
    check_body(name, &seen.request_body, form, VALID_REQUESTS, findings);
}

fn check_answer(seen: &SeenExchange, answer: &Answer, form: Form, findings: &mut Findings<'_>) {
    if !seen.below_base && !is_well_known(seen) {
        return;
    }
    match (header(&answer.headers, VERSION_HEADER), header(&seen.request_headers, VERSION_HEADER)) {
        (None, _) => findings.add(VERSION_ANSWERED, "", format!("the answer has no header {VERSION_HEADER}")),
        // Discovery is answered whatever version the request names.
        (Some(answered), Some(sent))
            if answer.status.is_success() && answered != sent && seen.kind != CallKind::Discovery =>
        {
            findings.add(
                VERSION_ANSWERED,
                "",
                format!("the answer is in version {answered:?}, the request was in {sent:?}"),
            );
        }
        _ => {}
    }
    if header(&answer.headers, REQUEST_ID_HEADER).is_none() {
        findings.add(REQUEST_ID_NAMED, "", format!("the answer has no header {REQUEST_ID_HEADER}"));
    }
    if seen.method == Method::HEAD || answer.status == StatusCode::NOT_MODIFIED {
        return;
    }
    let media_type = media_type(&answer.headers);
    if answer.status.is_client_error() || answer.status.is_server_error() {
        if media_type != PROBLEM_MEDIA_TYPE {
            findings.add(
                PROBLEM_FORM,
                "",
                format!("the error's media type is {media_type:?}, not {PROBLEM_MEDIA_TYPE}"),
            );
        }
        let problem = check_body("problem", &answer.body, form, PROBLEM_FORM, findings);
        check_problem(problem, answer, findings);
        return;
    }
    if !answer.status.is_success() {
        findings.add(VALID_ANSWERS, "", format!("the status {} is neither a success nor an error", answer.status));
        return;
    }
    let name = match seen.kind {
        CallKind::Discovery => "discovery",
        CallKind::Login | CallKind::Refresh => "token-answer",
        CallKind::Session => "session",
        CallKind::Push => "push-answer",
        CallKind::Pull => "pull-answer",
        CallKind::Slot => "slot-answer",
        CallKind::Complete => "complete-answer",
        CallKind::Offset | CallKind::Upload | CallKind::Store | CallKind::Download => return,
        CallKind::Digest => "digest-answer",
        CallKind::Bucket => "bucket-answer",
        CallKind::Any if is_well_known(seen) => "well-known",
        CallKind::Any => return,
    };
    if media_type != "application/json" {
        findings.add(VALID_ANSWERS, "", format!("the answer's media type is {media_type:?}, not application/json"));
    }
    let message = check_body(name, &answer.body, form, VALID_ANSWERS, findings);
    if seen.kind == CallKind::Session
        && let Ok(session) = Session::deserialize(message)
    {
        check_order(&session.registry, findings);
    }
}

/// A type stands after the types that it refers to, other than those of its own cycle.
fn check_order(registry: &Registry, findings: &mut Findings<'_>) {
    let place = |name: &TypeName| registry.types.iter().position(|entry| entry.name == *name);
    for (index, entry) in registry.types.iter().enumerate() {
        for parent in entry.parents.iter().map(|parent| &parent.type_name) {
            let in_cycle = registry.cycles.iter().any(|cycle| cycle.contains(&entry.name) && cycle.contains(parent));
            if *parent != entry.name && !in_cycle && place(parent).is_none_or(|place| place > index) {
                let message = format!("{} refers to {parent}, which does not stand before it", entry.name);
                findings.add(TYPES_IN_ORDER, &format!("/registry/types/{index}"), message);
            }
        }
    }
}

/// A problem says again what the answer's head says.
fn check_problem(problem: &Value, answer: &Answer, findings: &mut Findings<'_>) {
    let named = problem.get("request_id").and_then(Value::as_str);
    if let (Some(named), Some(in_header)) = (named, header(&answer.headers, REQUEST_ID_HEADER))
        && named != in_header
    {
        let message = format!("the problem names request {named:?}, the header {REQUEST_ID_HEADER} {in_header:?}");
        findings.add(REQUEST_ID_NAMED, "/request_id", message);
    }
    if let Some(status) = problem.get("status").and_then(Value::as_u64)
        && status != u64::from(answer.status.as_u16())
    {
        findings.add(
            PROBLEM_FORM,
            "/status",
            format!("the problem says status {status}, the answer is {}", answer.status),
        );
    }
}

/// Checks a body against a message; the answer is the body, or null where it is no JSON.
fn check_body<'a>(name: &str, body: &'a Body, form: Form, rule: &str, findings: &mut Findings<'_>) -> &'a Value {
    if let Some(reason) = &body.undecoded {
        findings.add(rule, "", format!("the body cannot be decoded: {reason}"));
        return &Value::Null;
    }
    let value = match body.json() {
        Ok(value) => value,
        Err(error) => {
            findings.add(rule, "", format!("the body is no JSON: {error}"));
            return &Value::Null;
        }
    };
    let validator = validator(name, form);
    if !validator.is_valid(value) {
        for error in validator.iter_errors(value).take(MOST_ERRORS) {
            // Values stay out of the message: one of them might be a token.
            let message: String = error.masked_with("the value").to_string().chars().take(LONGEST_MESSAGE).collect();
            findings.add(rule, error.instance_path().as_str(), format!("{name}: {message}"));
        }
    }
    value
}

/// The compiled schema of a message, compiled at its first use.
fn validator(name: &str, form: Form) -> &'static Validator {
    static COMPILED: LazyLock<Vec<[OnceLock<Validator>; 2]>> =
        LazyLock::new(|| MESSAGES.iter().map(|_| [const { OnceLock::new() }; 2]).collect());
    let index =
        MESSAGES.iter().position(|message| message.name == name).expect("every name in this module is a message");
    COMPILED[index][usize::from(form == Form::Closed)].get_or_init(|| compiled(&MESSAGES[index], form))
}

fn compiled(message: &Message, form: Form) -> Validator {
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options
        .build(&message.schema(form))
        .unwrap_or_else(|error| panic!("the schema of {} is unusable: {error}", message.name))
}

fn is_well_known(seen: &SeenExchange) -> bool {
    seen.method == Method::GET && seen.path == "/.well-known/fieldsync"
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The media type without its parameters, in lower case; empty where there is none.
fn media_type(headers: &HeaderMap) -> String {
    let whole = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
