//! What keeps the schema of a CustomResourceDefinition from being structural.
//!
//! Source: `pkg/apiserver/schema/validation.go` and `pkg/apis/apiextensions/validation`,
//! apiextensions-apiserver 0.36.

use serde_json::{Map, Value};

use crate::validate::{self, FieldError};

/// Fields of `metadata` that a schema may restrict.
const RESTRICTABLE: [&str; 2] = ["name", "generateName"];
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Keywords that say what something is; they have no place below `allOf` and its like.
const NOT_IN_VALIDATION: [(&str, &str); 10] = [
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("nullable", "must be false to be structural"),
    ("type", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("title", "must be empty to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Field,
    Item,
}

/// Returns what is wrong, with paths relative to the schema.
pub(super) fn problems(schema: &Value) -> Vec<FieldError> {
    let mut problems = Vec::new();
    match schema {
        Value::Object(map) => {
            if let Some(kind) = map.get("type").filter(|kind| **kind != "object" && **kind != "") {
                problems.push(FieldError::invalid("type", kind, "must be object at the root"));
            }
            check(map, "", Level::Root, &mut problems);
            if problems.is_empty() {
                defaults(schema, "", &mut problems);
            }
        }
        _ => problems.push(FieldError::required("", "schemas are required")),
    }
    problems
}

/// Defaults have to be what their schema allows.
fn defaults(schema: &Value, path: &str, problems: &mut Vec<FieldError>) {
    let Value::Object(map) = schema else { return };
    if let Some(default) = map.get("default") {
        let path = join(path, "default");
        let errors = validate::custom(&super::Schema::part(schema), default, None);
        problems.extend(errors.into_iter().map(|error| error.below(&path)));
    }
    for (name, field) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        defaults(field, &join(path, &format!("properties[{name}]")), problems);
    }
    for name in ["additionalProperties", "items"] {
        if let Some(below) = map.get(name) {
            defaults(below, &join(path, name), problems);
        }
    }
}

fn check(map: &Map<String, Value>, path: &str, level: Level, problems: &mut Vec<FieldError>) {
    let flag = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or_default();
    let at = |name: &str| join(path, name);
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    let free = flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields");
    if kind.is_empty() && !free {
        let what = match level {
            Level::Root => "must not be empty at the root",
            Level::Field => "must not be empty for specified object fields",
            Level::Item => "must not be empty for specified array items",
        };
        problems.push(FieldError::required(&at("type"), what));
    } else if !kind.is_empty() && !TYPES.contains(&kind) {
        problems.push(FieldError::unsupported(&at("type"), &kind.into(), &TYPES.map(Value::from)));
    }
    if !kind.is_empty() && flag("x-kubernetes-int-or-string") {
        let what = "must be empty if x-kubernetes-int-or-string is true";
        problems.push(FieldError::invalid(&at("type"), &kind.into(), what));
    }
    if kind == "array" && !map.contains_key("items") {
        problems.push(FieldError::required(&at("items"), "must be specified"));
    }
    if map.contains_key("$ref") {
        problems.push(FieldError::forbidden(&at("$ref"), "$ref is not supported"));
    }
    if flag("x-kubernetes-embedded-resource") && kind != "object" {
        let what = "must be object if x-kubernetes-embedded-resource is true";
        problems.push(FieldError::invalid(&at("type"), &kind.into(), what));
    }
    if flag("x-kubernetes-embedded-resource")
        && !flag("x-kubernetes-preserve-unknown-fields")
        && !map.contains_key("properties")
    {
        let what = "must not be empty if x-kubernetes-embedded-resource is true without \
                    x-kubernetes-preserve-unknown-fields";
        problems.push(FieldError::required(&at("properties"), what));
    }
    if flag("uniqueItems") {
        let what =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        problems.push(FieldError::forbidden(&at("uniqueItems"), what));
    }
    let has_values =
        map.get("additionalProperties").is_some_and(|values| *values != Value::Bool(false));
    if has_values
        && map.get("properties").and_then(Value::as_object).is_some_and(|map| !map.is_empty())
    {
        let what = "additionalProperties and properties are mutual exclusive";
        problems.push(FieldError::forbidden(&at("additionalProperties"), what));
    }
    pattern(map, path, problems);
    list_type(map, path, kind, problems);
    if let Some(kind_of_map) = map.get("x-kubernetes-map-type") {
        if kind != "object" {
            let what = "must be object if x-kubernetes-map-type is specified";
            problems.push(FieldError::invalid(&at("type"), &kind.into(), what));
        }
        if *kind_of_map != "atomic" && *kind_of_map != "granular" {
            let choices = ["atomic".into(), "granular".into()];
            problems.push(FieldError::unsupported(
                &at("x-kubernetes-map-type"),
                kind_of_map,
                &choices,
            ));
        }
    }
    children(map, path, level, problems);
}

fn children(map: &Map<String, Value>, path: &str, level: Level, problems: &mut Vec<FieldError>) {
    for (name, field) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = join(path, &format!("properties[{name}]"));
        let Value::Object(field) = field else { continue };
        if level == Level::Root && name == "metadata" {
            metadata(field, &path, problems);
        }
        check(field, &path, Level::Field, problems);
    }
    if let Some(Value::Object(values)) = map.get("additionalProperties") {
        check(values, &join(path, "additionalProperties"), Level::Field, problems);
    }
    if let Some(Value::Object(items)) = map.get("items") {
        check(items, &join(path, "items"), Level::Item, problems);
    } else if map.get("items").is_some_and(Value::is_array) {
        let what = "items must be a schema object and not an array";
        problems.push(FieldError::forbidden(&join(path, "items"), what));
    }
    let int_or_string = map.get("x-kubernetes-int-or-string").is_some_and(|value| value == true);
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for (index, schema) in
            map.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            if let Value::Object(schema) = schema {
                let path = join(path, &format!("{keyword}[{index}]"));
                validation(schema, map, &path, int_or_string, problems);
            }
        }
    }
    if let Some(Value::Object(schema)) = map.get("not") {
        validation(schema, map, &join(path, "not"), false, problems);
    }
}

/// Checks what stands below `allOf` and its like: values only, and only of what is declared.
fn validation(
    schema: &Map<String, Value>,
    declared: &Map<String, Value>,
    path: &str,
    typed: bool,
    problems: &mut Vec<FieldError>,
) {
    for (keyword, what) in NOT_IN_VALIDATION {
        // `anyOf: [{type: integer}, {type: string}]` spells out what int-or-string means.
        if schema.contains_key(keyword) && !(typed && keyword == "type") {
            problems.push(FieldError::forbidden(&join(path, keyword), what));
        }
    }
    pattern(schema, path, problems);
    let fields = declared.get("properties").and_then(Value::as_object);
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = join(path, &format!("properties[{name}]"));
        let Value::Object(field) = field else { continue };
        match fields.and_then(|fields| fields.get(name)).and_then(Value::as_object) {
            Some(declared) => validation(field, declared, &path, false, problems),
            None => problems.push(FieldError::required(
                path.split('.').next_back().unwrap_or_default(),
                &format!("because it is defined in {path}"),
            )),
        }
    }
    if let (Some(Value::Object(items)), Some(Value::Object(declared))) =
        (schema.get("items"), declared.get("items"))
    {
        validation(items, declared, &join(path, "items"), false, problems);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for (index, nested) in
            schema.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            if let Value::Object(nested) = nested {
                let path = join(path, &format!("{keyword}[{index}]"));
                validation(nested, declared, &path, typed, problems);
            }
        }
    }
}

fn metadata(map: &Map<String, Value>, path: &str, problems: &mut Vec<FieldError>) {
    if map.get("type").is_some_and(|kind| kind != "object") {
        problems.push(FieldError::invalid(&join(path, "type"), &map["type"], "must be object"));
    }
    for name in
        map.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
    {
        if !RESTRICTABLE.contains(&name.as_str()) {
            let what = "must not specify anything other than name and generateName, but metadata is \
                        implicitly specified";
            problems.push(FieldError::forbidden(path, what));
            return;
        }
    }
}

fn pattern(map: &Map<String, Value>, path: &str, problems: &mut Vec<FieldError>) {
    if let Some(Value::String(pattern)) = map.get("pattern")
        && let Err(error) = regex::Regex::new(pattern)
    {
        let error = error.to_string();
        let error = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let what =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {error}");
        problems.push(FieldError::invalid(&join(path, "pattern"), &pattern.as_str().into(), &what));
    }
}

fn list_type(map: &Map<String, Value>, path: &str, kind: &str, problems: &mut Vec<FieldError>) {
    let keys = map.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let Some(list) = map.get("x-kubernetes-list-type") else {
        if keys.is_some() {
            let what = "must be map if x-kubernetes-list-map-keys is non-empty";
            problems.push(FieldError::required(&join(path, "x-kubernetes-list-type"), what));
        }
        return;
    };
    if kind != "array" {
        let what = "must be array if x-kubernetes-list-type is specified";
        problems.push(FieldError::invalid(&join(path, "type"), &kind.into(), what));
        return;
    }
    let items = map.get("items");
    let of_items = |name: &str| items.and_then(|items| items.get(name));
    match list.as_str() {
        Some("atomic") => {}
        Some("set") => {
            if of_items("nullable").is_some_and(|value| value == true) {
                let what = "cannot be nullable when x-kubernetes-list-type is set";
                problems.push(FieldError::forbidden(&join(path, "items.nullable"), what));
            }
            let atomic = |name: &str| of_items(name).is_some_and(|value| value == "atomic");
            let scalar =
                !matches!(of_items("type").and_then(Value::as_str), Some("object" | "array"));
            if !scalar && !atomic("x-kubernetes-map-type") && !atomic("x-kubernetes-list-type") {
                let what = "must be atomic as item of a list with x-kubernetes-list-type=set";
                let kind = of_items("type").cloned().unwrap_or_default();
                problems.push(FieldError::invalid(&join(path, "items.type"), &kind, what));
            }
        }
        Some("map") => {
            map_keys(map, path, keys, problems);
            let kind = of_items("type").and_then(Value::as_str).unwrap_or_default();
            if kind != "object" {
                let what = "must be object if parent array's x-kubernetes-list-type is map";
                problems.push(FieldError::invalid(&join(path, "items.type"), &kind.into(), what));
            }
        }
        _ => {
            let choices = ["atomic".into(), "map".into(), "set".into()];
            problems.push(FieldError::unsupported(
                &join(path, "x-kubernetes-list-type"),
                list,
                &choices,
            ));
        }
    }
}

fn map_keys(
    map: &Map<String, Value>,
    path: &str,
    keys: Option<&Vec<Value>>,
    problems: &mut Vec<FieldError>,
) {
    let at = join(path, "x-kubernetes-list-map-keys");
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
        let what = "must not be empty if x-kubernetes-list-type is map";
        problems.push(FieldError::required(&at, what));
        return;
    };
    let items = map.get("items");
    for (index, key) in keys.iter().enumerate() {
        let name = key.as_str().unwrap_or_default();
        if keys[..index].contains(key) {
            problems.push(FieldError::duplicate(&format!("{at}[{index}]"), key));
        }
        let field = items.and_then(|items| items.get("properties")?.get(name));
        match field.map(|field| field.get("type").and_then(Value::as_str)) {
            None => {
                let what = "entries must all be names of item properties";
                problems.push(FieldError::invalid(&format!("{at}[{index}]"), key, what));
            }
            Some(Some("array" | "object")) => {
                let path = join(path, &format!("items.properties[{name}].type"));
                let what = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                problems.push(FieldError::invalid(&path, key, what));
            }
            Some(_) => {}
        }
        let required = items
            .and_then(|items| items.get("required")?.as_array())
            .is_some_and(|required| required.contains(key));
        if let Some(field) = field
            && !required
            && field.get("default").is_none()
        {
            let path = join(path, &format!("items.properties[{name}].default"));
            let what = "this property is in x-kubernetes-list-map-keys, so it must have a default or \
                        be a required property";
            problems.push(FieldError::required(&path, what));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
