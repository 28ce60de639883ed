//! The JSON schema of a configuration file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::form::{Form, KeyForm, ObjectForm};

/// The schema of configuration files: JSON Schema, draft 2020-12.
///
/// It says which keys there are, what may stand there, and what each does. Rules between keys are the reader's alone.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = BTreeMap::new();
    let root = object(super::section::form(), &mut definitions);
    let definitions: Map<String, Value> = definitions
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A configuration file of liveos",
        "$defs": definitions,
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
    }
    schema
}

/// The definitions by their names.
type Definitions = BTreeMap<&'static str, Value>;

fn object(form: &ObjectForm, definitions: &mut Definitions) -> Value {
    let mut properties = Map::new();
    let mut needed = Vec::new();
    for key in &form.keys {
        properties.insert(key.key.name.to_owned(), property(key, definitions));
        if key.key.is_needed {
            needed.push(key.key.name);
        }
    }
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    schema
}

fn property(key: &KeyForm, definitions: &mut Definitions) -> Value {
    let mut schema = value(&key.form, definitions);
    if !key.key.is_needed {
        schema = or_null(schema);
    }
    let mut about = key.key.about.to_owned();
    if let Some(why) = key.key.idle {
        about.push_str(&format!(" No effect on live media: {why}."));
    }
    if let Some(default) = key.key.default {
        about.push_str(&format!(" Default: {default}."));
    }
    schema["description"] = Value::String(about);
    schema
}

/// A key without a value is as good as none.
fn or_null(mut schema: Value) -> Value {
    match schema.get_mut("type") {
        Some(Value::String(name)) => {
            schema["type"] = json!([name, "null"]);
            schema
        }
        Some(Value::Array(names)) => {
            names.push(json!("null"));
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

fn value(form: &Form, definitions: &mut Definitions) -> Value {
    match form {
        Form::Text { pattern: None, .. } => json!({"type": ["string", "number", "boolean"]}),
        Form::Text {
            pattern: Some(pattern),
            ..
        } => json!({"type": "string", "pattern": pattern}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Integer { least, most } => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Form::Choice(words) => choice(words),
        Form::Permissions => json!({
            "anyOf": [
                {"type": "string", "pattern": "^(0o)?0?[0-7]{0,3}$"},
                {"type": "integer", "minimum": 0, "maximum": 777},
            ],
        }),
        Form::List(item) => json!({"type": "array", "items": value(item, definitions)}),
        Form::Map { .. } => json!({
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        }),
        Form::Object(form) => {
            if !definitions.contains_key(form.name) {
                // OK: the place is taken before what is in it is written.
                definitions.insert(form.name, Value::Null);
                let schema = object(form, definitions);
                definitions.insert(form.name, schema);
            }
            json!({"$ref": format!("#/$defs/{}", form.name)})
        }
        Form::Either(one, other) => {
            json!({"anyOf": [value(one, definitions), value(other, definitions)]})
        }
    }
}

/// The words, each with its meaning; the empty one is as good as none.
fn choice(words: &[(&'static str, &'static str)]) -> Value {
    let words = words
        .iter()
        .map(|(word, says)| json!({"const": word, "description": says}));
    let mut words: Vec<Value> = words.collect();
    words.push(json!({"const": ""}));
    json!({"oneOf": words})
}
