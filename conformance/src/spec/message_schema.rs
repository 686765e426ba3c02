//! A value held against the schema of a message: every call of the `jsonschema` crate for examples is here.

use fieldsync_schemas::catalog::{Form, Message};
use serde_json::{Value, json};
use std::fmt;

/// One mistake in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as a JSON Pointer; empty for the whole value.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.place.is_empty() { "/" } else { &self.place };
        write!(f, "{place}: {}", self.problem)
    }
}

/// What is wrong with a value that should be this message: the place in it, and the mistake.
pub fn mistakes(message: &Message, form: Form, value: &Value) -> Vec<String> {
    held_against(message, &message.schema(form), value).iter().map(Mistake::to_string).collect()
}

/// What is wrong with a value that should be this message, whole and with no further members.
pub fn whole_mistakes(message: &Message, value: &Value) -> Vec<Mistake> {
    held_against(message, &message.schema(Form::Closed), value)
}

/// What is wrong with what a document shows of this message. Members may be left out, and a text with `$` in it, such as
/// `${fever}`, may stand for any value.
pub fn mistakes_in_part(message: &Message, value: &Value) -> Vec<Mistake> {
    let mut schema = message.schema(Form::Closed);
    ask_for_nothing(&mut schema);
    let stands_for = |mistake: &Mistake| {
        value.pointer(&mistake.place).and_then(Value::as_str).is_some_and(|text| text.contains('$'))
    };
    held_against(message, &schema, value).into_iter().filter(|mistake| !stands_for(mistake)).collect()
}

fn held_against(message: &Message, schema: &Value, value: &Value) -> Vec<Mistake> {
    // Without the formats, a time would be any text.
    let validator = match jsonschema::draft202012::options().should_validate_formats(true).build(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let problem = format!("the schema {} is no schema: {error}", message.name);
            return vec![Mistake { place: String::new(), problem }];
        }
    };
    let told = |error: jsonschema::ValidationError<'_>| Mistake {
        place: error.instance_path().to_string(),
        problem: error.to_string(),
    };
    validator.iter_errors(value).map(told).collect()
}

/// Removes what names members that have to be there, and says otherwise that a value may be null: a mistake within one
/// of several forms is told of the whole, and not of its place.
fn ask_for_nothing(schema: &mut Value) {
    match schema {
        Value::Object(body) => {
            if let Some(Value::Array(forms)) = body.get("anyOf")
                && let [form, null] = forms.as_slice()
                && null["type"] == "null"
            {
                let form = form.clone();
                body.remove("anyOf");
                body.insert("if".to_owned(), json!({"type": "null"}));
                body.insert("else".to_owned(), form);
            }
            if body.contains_key("properties") {
                body.remove("required");
            }
            body.values_mut().for_each(ask_for_nothing);
        }
        Value::Array(items) => items.iter_mut().for_each(ask_for_nothing),
        _ => {}
    }
}
