//! Every message, with its JSON Schema and an example.
//!
//! A schema comes in two forms. The *open* one is what a subject is held to: members that it does not name are allowed,
//! as the protocol allows them. The *closed* one is what this project holds itself to: a member that is not named is a
//! mistake. The committed files under `json/` are the open form.

use crate::{
    PROTOCOL_VERSION, adapter, attachment, baseline, config, conflict, control, digest, discovery, domain, event,
    login, problem, pull, push, record, scenario, session, telemetry,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// One message of the protocol, or one file format of the suite.
pub struct Message {
    /// Its name, and the name of its schema's file.
    pub name: &'static str,
    /// Its title, for people.
    pub title: &'static str,
    /// An example, as JSON.
    pub example: &'static str,
    generate: fn(&mut SchemaGenerator) -> Schema,
    refer: fn(&mut SchemaGenerator) -> Schema,
    round_trip: fn(&str) -> Result<Value, serde_json::Error>,
}

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) -> Result<Value, serde_json::Error> {
    let typed: T = serde_json::from_str(text)?;
    serde_json::from_str(&serde_json::to_string(&typed)?)
}

fn generate<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn refer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

macro_rules! messages {
    ($($name:literal, $type:ty, $title:literal;)*) => {
        /// Every message, in the order of the specification.
        pub const MESSAGES: &[Message] = &[$(Message {
            name: $name,
            title: $title,
            example: include_str!(concat!("../examples/", $name, ".json")),
            generate: generate::<$type>,
            refer: refer::<$type>,
            round_trip: round_trip::<$type>,
        }),*];
    };
}

messages! {
    "well-known", discovery::WellKnown, "Where the default data set is";
    "discovery", discovery::Discovery, "Discovery";
    "login-request", login::LoginRequest, "Login";
    "refresh-request", login::RefreshRequest, "Refresh";
    "token-answer", login::TokenAnswer, "Tokens";
    "session", session::Session, "Session";
    "record", record::Record, "Record";
    "push-request", push::PushRequest, "Push";
    "push-answer", push::PushAnswer, "Answer to a push";
    "pull-request", pull::PullRequest, "Pull";
    "pull-answer", pull::PullAnswer, "Answer to a pull";
    "digest-request", digest::DigestRequest, "Digest";
    "digest-answer", digest::DigestAnswer, "Answer to a digest";
    "bucket-request", digest::BucketRequest, "Bucket";
    "bucket-answer", digest::BucketAnswer, "Answer to a bucket";
    "slot-request", attachment::SlotRequest, "Slot for a file";
    "slot-answer", attachment::SlotAnswer, "Answer to a slot";
    "complete-request", attachment::CompleteRequest, "End of an upload";
    "complete-answer", attachment::CompleteAnswer, "Answer to the end of an upload";
    "conflict-entry", conflict::ConflictEntry, "Conflict entry";
    "sync-telemetry", telemetry::SyncTelemetry, "Telemetry of a sync";
    "problem", problem::Problem, "Problem";
    "domain", domain::Domain, "Domain file";
    "control-description", control::ControlDescription, "Control verbs";
    "control-new-data-set", control::NewDataSet, "Control: new_data_set";
    "control-new-data-set-answer", control::NewDataSetAnswer, "Answer to new_data_set";
    "control-accounts", control::Accounts, "Control: accounts";
    "control-clock", control::ClockShift, "Control: clock";
    "control-data-set", control::DataSetRef, "Control: horizon, hold_commit, release_commit, backup, restore, wipe";
    "control-scope", control::ScopeGrant, "Control: scope";
    "control-reference", control::ReferenceChange, "Control: reference";
    "control-refetch", control::RefetchRequest, "Control: refetch";
    "control-done", control::Done, "Answer to a control verb";
    "adapter-request", adapter::AdapterRequest, "A line to an adapter";
    "adapter-answer", adapter::AdapterAnswer, "A line from an adapter";
    "adapter-description", adapter::AdapterDescription, "Answer to hello";
    "adapter-sync-end", adapter::AdapterSyncEnd, "Answer to sync";
    "adapter-reading", adapter::AdapterReading, "Answer to read";
    "scenario", scenario::Scenario, "Scenario file";
    "baseline", baseline::Baseline, "Baseline file";
    "config", config::Config, "Configuration file";
    "event", event::Event, "One line of a report";
}

/// How strict a schema is about members that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Members that it does not name are allowed.
    Open,
    /// Members that it does not name are an error.
    Closed,
}

impl Message {
    /// The message of this name.
    pub fn named(name: &str) -> Option<&'static Message> {
        MESSAGES.iter().find(|message| message.name == name)
    }

    /// The path of its schema's file, below `schemas/json/`.
    pub fn path(&self) -> String {
        format!("{PROTOCOL_VERSION}/{}.json", self.name)
    }

    /// Its JSON Schema.
    pub fn schema(&self, form: Form) -> Value {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = (self.generate)(&mut generator).to_value();
        let definitions = generator.take_definitions(true);
        let body = schema.as_object_mut().expect("a message is an object");
        body.remove("title");
        if !definitions.is_empty() {
            body.insert("$defs".to_owned(), Value::Object(definitions));
        }
        if form == Form::Closed {
            let definitions = schema.get("$defs").cloned().unwrap_or_default();
            draw_in(&mut schema, &definitions);
            close(&mut schema);
        }
        let Value::Object(body) = schema else { unreachable!("a message is an object") };
        let mut whole = Map::new();
        whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        whole.insert("$id".to_owned(), json!(format!("https://fieldsync.dev/schemas/{}", self.path())));
        whole.insert("title".to_owned(), json!(self.title));
        whole.extend(body);
        whole.insert("examples".to_owned(), json!([self.example_value()]));
        Value::Object(whole)
    }

    /// A reference to its schema, which the generator keeps among its definitions.
    pub(crate) fn refer(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.refer)(generator)
    }

    /// Its schema as the text of its file: pretty JSON and a newline.
    pub fn schema_file(&self) -> String {
        let text = serde_json::to_string_pretty(&self.schema(Form::Open)).expect("a schema is plain JSON");
        text + "\n"
    }

    /// Its example as a tree.
    pub fn example_value(&self) -> Value {
        serde_json::from_str(self.example).unwrap_or_else(|error| panic!("example {} is not JSON: {error}", self.name))
    }

    /// Reads a message of this kind into its type and writes it again.
    pub fn round_trip(&self, text: &str) -> Result<Value, serde_json::Error> {
        (self.round_trip)(text)
    }
}

/// Puts a definition that stands beside further members (a tagged variant) into their place: a closed object names all
/// its members at once.
fn draw_in(schema: &mut Value, definitions: &Value) {
    match schema {
        Value::Object(body) => {
            let beside = body.contains_key("properties");
            let name = body.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
            if let Some(drawn) = name.filter(|_| beside).and_then(|name| definitions.get(name)).cloned() {
                body.remove("$ref");
                for (list, empty) in [("properties", json!({})), ("required", json!([]))] {
                    match (body.entry(list).or_insert(empty), drawn.get(list)) {
                        (Value::Object(own), Some(Value::Object(more))) => own.extend(more.clone()),
                        (Value::Array(own), Some(Value::Array(more))) => own.extend(more.clone()),
                        _ => {}
                    }
                }
            }
            body.values_mut().for_each(|part| draw_in(part, definitions));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| draw_in(item, definitions)),
        _ => {}
    }
}

/// Forbids, in every object with named members, those that are not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(body) => {
            if body.contains_key("properties") && !body.contains_key("additionalProperties") {
                body.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            for (key, part) in body.iter_mut() {
                if !matches!(key.as_str(), "default" | "const" | "enum" | "examples") {
                    close(part);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_survives_its_type() {
        for message in MESSAGES {
            let again = message.round_trip(message.example).unwrap_or_else(|error| panic!("{}: {error}", message.name));
            assert_eq!(again, message.example_value(), "{}", message.name);
        }
    }

    #[test]
    fn closed_schemas_close_nested_objects() {
        let schema = Message::named("pull-answer").unwrap().schema(Form::Closed);
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["$defs"]["Page"]["additionalProperties"], json!(false));
        assert_eq!(schema["$defs"]["Record"]["properties"]["data"]["additionalProperties"], json!(true));
    }
}
