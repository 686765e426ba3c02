//! A value held against the schema of a message: every call of the `jsonschema` crate for examples is here.

use fieldsync_schemas::catalog::{Form, Message};
use serde_json::Value;

/// What is wrong with a value that should be this message: the place in it, and the mistake.
pub fn mistakes(message: &Message, form: Form, value: &Value) -> Vec<String> {
    let schema = message.schema(form);
    // Without the formats, a time would be any text.
    let validator = match jsonschema::draft202012::options().should_validate_formats(true).build(&schema) {
        Ok(validator) => validator,
        Err(error) => return vec![format!("the schema {} is no schema: {error}", message.name)],
    };
    validator
        .iter_errors(value)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/".to_owned() } else { place };
            format!("{place}: {error}")
        })
        .collect()
}
