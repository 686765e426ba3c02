//! A message as a page: its members from its type, its example, where it is asked for and where the text shows it.

use super::frame::Frame;
use super::links::{World, chapter_page, message_page};
use crate::report::html::{Piece, pieces};
use askama::Template;
use fieldsync_schemas::catalog::{Form, Message};
use fieldsync_schemas::{PROTOCOL_VERSION, openapi};
use serde_json::{Map, Value};

#[derive(Template)]
#[template(path = "message.html")]
struct Page<'a> {
    frame: Frame,
    message: &'a Message,
    version: &'static str,
    operations: Vec<Operation>,
    sections: Vec<Section>,
    example: String,
    shown: Vec<(String, String)>,
}

/// A request that carries the message, or is answered with it.
struct Operation {
    method: String,
    path: String,
    part: &'static str,
}

/// The message itself, or a type that it is made of.
struct Section {
    name: String,
    id: String,
    about: String,
    /// The type in words, where it has no members.
    form: Vec<Word>,
    limits: String,
    members: Vec<Member>,
    values: Vec<Choice>,
}

struct Member {
    name: String,
    form: Vec<Word>,
    is_required: bool,
    limits: String,
    about: String,
}

/// One of several values or forms.
struct Choice {
    value: String,
    form: Vec<Word>,
    about: String,
    members: Vec<Member>,
}

/// A word of a type; one that names a type leads to it.
struct Word {
    text: String,
    section: Option<String>,
}

impl Word {
    fn plain(text: impl Into<String>) -> Vec<Self> {
        vec![Self { text: text.into(), section: None }]
    }
}

/// The page of a message.
pub(super) fn render(world: &World<'_>, message: &Message) -> Result<String, askama::Error> {
    let schema = message.schema(Form::Open);
    let mut sections = vec![section(message.title, "message", &schema)];
    let definitions = schema.get("$defs").and_then(Value::as_object);
    for (name, definition) in definitions.into_iter().flatten() {
        sections.push(section(name, &anchor(name), definition));
    }
    let examples = world.sources.spec.examples.iter().filter(|example| example.message == message.name);
    let shown = examples.map(|example| (stem(&example.file), example.line));
    let operations = operations(message.name);
    let asked = |method: &str, target: &str| {
        let path = target.strip_prefix("{base}").unwrap_or(target);
        openapi::messages_of(method, path)
            .is_some_and(|(body, answer)| body == Some(message.name) || answer == Some(message.name))
    };
    let exchanges = world.sources.spec.exchanges.iter();
    let exchanges = exchanges
        .filter(|block| block.exchanges.iter().any(|one| asked(&one.method, &one.target)))
        .map(|block| (stem(&block.file), block.line));
    let mut places: Vec<(String, u32)> = shown.chain(exchanges).collect();
    places.sort();
    let title = |chapter: &str| world.sources.spec.chapter(chapter).map_or(chapter.to_owned(), |one| one.title.clone());
    let page = Page {
        frame: Frame::new(world, &message_page(message.name), message.title),
        message,
        version: PROTOCOL_VERSION,
        operations,
        sections,
        example: serde_json::to_string_pretty(&message.example_value()).unwrap_or_default(),
        shown: places
            .iter()
            .map(|(chapter, line)| {
                (format!("{}#e-{line}", chapter_page(chapter)), format!("{}, line {line}", title(chapter)))
            })
            .collect(),
    };
    page.render()
}

/// The chapter of a file.
fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".md").unwrap_or(name).to_owned()
}

fn anchor(name: &str) -> String {
    format!("t-{name}")
}

fn operations(message: &str) -> Vec<Operation> {
    let document = openapi::document();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in methods.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()) {
            let Some((body, answer)) = openapi::messages_of(&method, path) else { continue };
            for (named, part) in [(body, "the request"), (answer, "the answer")] {
                if named == Some(message) {
                    found.push(Operation { method: method.clone(), path: path.clone(), part });
                }
            }
        }
    }
    found
}

fn section(name: &str, id: &str, schema: &Value) -> Section {
    let members = members(schema);
    let values = choices(schema);
    Section {
        name: name.to_owned(),
        id: id.to_owned(),
        about: text(schema, "description"),
        form: if members.is_empty() && values.is_empty() { form(schema) } else { Vec::new() },
        limits: limits(schema),
        members,
        values,
    }
}

fn text(schema: &Value, member: &str) -> String {
    // What speaks of the types in Rust is not for readers of the protocol.
    let whole = schema.get(member).and_then(Value::as_str).unwrap_or_default();
    whole.split("\n\n").filter(|part| !part.contains("[`")).collect::<Vec<_>>().join(" ")
}

fn members(schema: &Value) -> Vec<Member> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, member)| Member {
            name: name.clone(),
            form: form(member),
            is_required: required.contains(&name.as_str()),
            limits: limits(member),
            about: text(member, "description"),
        })
        .collect()
}

/// The values of an enumeration, or the forms of a message that has several.
fn choices(schema: &Value) -> Vec<Choice> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let plain =
            |value: &Value| Choice { value: told(value), form: Vec::new(), about: String::new(), members: Vec::new() };
        return values.iter().map(plain).collect();
    }
    let forms = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    forms
        .into_iter()
        .flatten()
        .map(|one| Choice {
            value: one.get("const").map(told).unwrap_or_default(),
            form: if one.get("const").is_some() || one.get("properties").is_some() && one.get("$ref").is_none() {
                Vec::new()
            } else {
                form(one)
            },
            about: text(one, "description"),
            members: members(one),
        })
        .collect()
}

/// A value as it stands in JSON, without the quotes of a text.
fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A type in words.
fn form(schema: &Value) -> Vec<Word> {
    let Some(body) = schema.as_object() else { return Word::plain("any JSON") };
    if let Some(name) = body.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/")) {
        return vec![Word { text: name.to_owned(), section: Some(anchor(name)) }];
    }
    if let Some(constant) = body.get("const") {
        return Word::plain(told(constant));
    }
    if let Some(forms) = body.get("anyOf").or_else(|| body.get("oneOf")).and_then(Value::as_array) {
        return joined(forms.iter().map(form), " or ");
    }
    let names: Vec<&str> = match body.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return Word::plain("any JSON"),
    };
    joined(names.into_iter().map(|name| of_kind(name, body)), " or ")
}

fn of_kind(kind: &str, body: &Map<String, Value>) -> Vec<Word> {
    match (kind, body.get("items"), body.get("additionalProperties"), body.get("patternProperties")) {
        ("array", Some(items), ..) => prefixed("list of ", form(items)),
        ("object", _, Some(values @ Value::Object(_)), _) => prefixed("map to ", form(values)),
        ("object", _, _, Some(Value::Object(patterns))) => match patterns.values().next() {
            Some(values) => prefixed("map to ", form(values)),
            None => Word::plain(kind),
        },
        ("string", ..) if body.get("format").and_then(Value::as_str) == Some("date-time") => Word::plain("time"),
        ("string", ..) if body.contains_key("enum") => {
            let values = body["enum"].as_array().into_iter().flatten();
            joined(values.map(|value| Word::plain(told(value))), " or ")
        }
        _ => Word::plain(kind),
    }
}

fn prefixed(before: &str, words: Vec<Word>) -> Vec<Word> {
    let mut all = Word::plain(before);
    all.extend(words);
    all
}

fn joined(parts: impl Iterator<Item = Vec<Word>>, between: &str) -> Vec<Word> {
    let mut all = Vec::new();
    for part in parts {
        if !all.is_empty() {
            all.extend(Word::plain(between));
        }
        all.extend(part);
    }
    all
}

/// What a schema says of sizes, in words.
fn limits(schema: &Value) -> String {
    let number = |name: &str| schema.get(name).filter(|value| value.is_number()).map(Value::to_string);
    let between = |least: Option<String>, most: Option<String>, of: &str| match (least, most) {
        (None, None) => None,
        (Some(least), None) => Some(format!("at least {least}{of}")),
        (None, Some(most)) => Some(format!("at most {most}{of}")),
        (Some(least), Some(most)) if least == most => Some(format!("{least}{of}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{of}")),
    };
    let least = number("minimum").filter(|least| least != "0" || number("maximum").is_some());
    let mut parts = Vec::new();
    parts.extend(between(least, number("maximum"), ""));
    parts.extend(between(number("minLength"), number("maxLength"), " characters"));
    parts.extend(between(number("minItems"), number("maxItems"), " items"));
    parts.extend(schema.get("pattern").and_then(Value::as_str).map(|pattern| format!("`{pattern}`")));
    let default = schema.get("default").filter(|value| !value.is_null());
    parts.extend(default.map(|value| format!("`{value}` where absent")));
    parts.join("; ")
}

/// A text in which code stands between backticks.
fn coded(text: &str) -> Vec<Piece<'_>> {
    pieces(text)
}
