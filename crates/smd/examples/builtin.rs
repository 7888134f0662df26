//! Writes the table of built-in kinds from the OpenAPI v3 documents of Kubernetes.
//!
//! ```console
//! $ dir() { go mod download -json "k8s.io/$1" | jq -r .Dir; }
//! $ cargo run -p smd --example builtin -- "$(dir kubernetes@v1.36.3)/api/openapi-spec/v3" \
//!       "$(dir api@v0.36.3)" "$(dir apimachinery@v0.36.3)" \
//!       "$(dir apiextensions-apiserver@v0.36.3)" "$(dir kube-aggregator@v0.36.3)" \
//!       > crates/smd/data/kubernetes.txt
//! ```
//!
//! Kept are the kinds that can be stored or posted, without lists and options, and the definitions
//! that they reach. The documents do not say which fields are pointers; that comes from the Go types.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a generator reads and prints"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

const HEADER: &str = "\
# Built-in kinds of Kubernetes v1.36.3, derived from its OpenAPI v3 documents
# (https://github.com/kubernetes/kubernetes, api/openapi-spec/v3), Apache-2.0.
# Made by examples/builtin.rs; do not edit. The form is described in src/schema/builtin.rs.";

const SCALARS: [&str; 3] = ["#meta.v1.Time", "#meta.v1.MicroTime", "#resource.Quantity"];
const PREFIXES: [&str; 7] = [
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apimachinery.pkg.api.",
    "io.k8s.apimachinery.pkg.util.",
    "io.k8s.apimachinery.pkg.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
    "io.k8s.api.",
];

const NO_OBJECTS: [&str; 7] = [
    "APIGroup",
    "APIResourceList",
    "APIVersions",
    "DeleteOptions",
    "Status",
    "WatchEvent",
    "APIGroupList",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: builtin OPENAPI-DIR MODULE-DIR...")?;
    let modules: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let document: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            schemas.insert(short(name).to_owned(), schema.clone());
        }
    }
    println!("{HEADER}");
    let mut wanted = BTreeSet::new();
    for (name, schema) in &schemas {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |field: &str| kind[field].as_str().unwrap_or_default();
            let is_list = schema["properties"]["items"].is_object();
            if !is_list && !NO_OBJECTS.contains(&text("kind")) {
                println!("kind {} {} {} {name}", text("group"), text("version"), text("kind"));
                wanted.insert(name.clone());
            }
        }
    }
    let mut done = BTreeMap::new();
    while let Some(name) = wanted.pop_first() {
        let mut compact = definition(&name, &schemas[&name]);
        note_zeros(&mut compact, &name, &modules)?;
        references(&compact, &mut |reference| {
            if !done.contains_key(reference) && reference != name {
                wanted.insert(reference.to_owned());
            }
        });
        done.insert(name, compact);
    }
    for (name, compact) in done {
        println!("def {name} {compact}");
    }
    Ok(())
}

/// Notes what Go does with fields that have the zero of their type: those with `omitempty` that are
/// no pointers are left out, those without it are always there.
fn note_zeros(compact: &mut Value, name: &str, modules: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let Some((package, kind)) = name.rsplit_once('.') else { return Ok(()) };
    let mut structures = BTreeMap::new();
    for module in modules {
        for parent in ["", "pkg/apis"] {
            let dir = module.join(parent).join(package.replace('.', "/"));
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let path = entry?.path();
                let file = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
                let is_go = path.extension().is_some_and(|extension| extension == "go");
                if is_go && file.starts_with("types") {
                    structures.extend(go_structures(&std::fs::read_to_string(&path)?));
                }
            }
        }
    }
    let Some(fields) = compact.get("fields").and_then(Value::as_object) else { return Ok(()) };
    let is_scalar = |name: &str| {
        let field = &fields[name];
        let kind = field["type"].as_str().or(field.as_str()).unwrap_or_default();
        matches!(kind, "string" | "bool" | "int32" | "int64" | "double")
    };
    let mut zeros = Zeros::default();
    go_zeros(kind, &structures, &mut zeros);
    zeros.omitted.retain(|name| fields.contains_key(name) && is_scalar(name));
    zeros.always.retain(|name| fields.get(name).is_some_and(|field| field["struct"] != true));
    for (key, names) in [("omit", zeros.omitted), ("always", zeros.always)] {
        if !names.is_empty() {
            compact[key] = names.into_iter().collect();
        }
    }
    Ok(())
}

/// A field of a Go structure: its type and what the `json` tag says.
type GoField = (String, String);

fn go_structures(source: &str) -> BTreeMap<String, Vec<GoField>> {
    let mut found = BTreeMap::new();
    let mut current: Option<(String, Vec<GoField>)> = None;
    for line in source.lines() {
        if let Some(name) =
            line.strip_prefix("type ").and_then(|line| line.strip_suffix(" struct {"))
        {
            current = Some((name.to_owned(), Vec::new()));
        } else if line == "}" {
            found.extend(current.take());
        } else if let Some((_, fields)) = &mut current
            && let Some((declared, tag)) = line.split_once("`json:\"")
        {
            let kind = declared.split_whitespace().last().unwrap_or_default();
            let tag = tag.split('"').next().unwrap_or_default();
            fields.push((kind.to_owned(), tag.to_owned()));
        }
    }
    found
}

#[derive(Default)]
struct Zeros {
    omitted: BTreeSet<String>,
    always: BTreeSet<String>,
}

fn go_zeros(kind: &str, structures: &BTreeMap<String, Vec<GoField>>, zeros: &mut Zeros) {
    for (kind, tag) in structures.get(kind).into_iter().flatten() {
        let mut parts = tag.split(',');
        let name = parts.next().unwrap_or_default();
        let options: Vec<&str> = parts.collect();
        if options.contains(&"inline") {
            go_zeros(kind, structures, zeros);
        } else if options.contains(&"omitempty") {
            // A time is a structure, which is not empty however zero it is.
            if ["metav1.Time", "metav1.MicroTime"].contains(&kind.as_str()) {
                zeros.always.insert(name.to_owned());
            } else if !kind.starts_with('*') {
                zeros.omitted.insert(name.to_owned());
            }
        } else if !options.contains(&"omitzero") {
            zeros.always.insert(name.to_owned());
        }
    }
}

fn references(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => {
            if let Some((_, name)) = text.split_once('#') {
                found(name);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(map) => map.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn definition(name: &str, schema: &Value) -> Value {
    match name {
        "resource.Quantity" => return "quantity".into(),
        "runtime.RawExtension" => return "raw".into(),
        _ => {}
    }
    let Some(properties) = schema["properties"].as_object() else { return type_of(schema).into() };
    let mut compact = Map::new();
    if schema["x-kubernetes-map-type"] == "atomic" {
        compact.insert("map".into(), "atomic".into());
    }
    if let Some(required) = schema.get("required") {
        compact.insert("required".into(), required.clone());
    }
    let fields: Map<String, Value> =
        properties.iter().map(|(name, schema)| (name.clone(), field(schema))).collect();
    compact.insert("fields".into(), fields.into());
    compact.into()
}

fn field(schema: &Value) -> Value {
    let mut compact = Map::new();
    let kind = type_of(schema);
    compact.insert("type".into(), kind.clone().into());
    for (from, to) in [
        ("x-kubernetes-list-type", "list"),
        ("x-kubernetes-list-map-keys", "keys"),
        ("x-kubernetes-map-type", "map"),
        ("x-kubernetes-patch-merge-key", "merge"),
        ("x-kubernetes-patch-strategy", "patch"),
    ] {
        if let Some(value) = schema.get(from) {
            compact.insert(to.into(), value.clone());
        }
    }
    match schema.get("default") {
        // The default of scalars that marshal themselves is no structure.
        Some(default) if *default == json!({}) => {
            let is_structure = kind.starts_with('#') && !SCALARS.contains(&&*kind);
            is_structure.then(|| compact.insert("struct".into(), true.into()));
        }
        Some(default) => {
            compact.insert("default".into(), default.clone());
        }
        None => {}
    }
    if compact.len() == 1 { kind.into() } else { compact.into() }
}

fn type_of(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        return format!("#{}", short(reference));
    }
    let format = schema["format"].as_str().unwrap_or_default();
    match (schema["type"].as_str().unwrap_or_default(), format) {
        ("array", _) => format!("[]{}", type_of(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("{{}}{}", type_of(&schema["additionalProperties"]))
        }
        ("object", _) => "object".into(),
        ("string", "byte") => "bytes".into(),
        ("string", "date-time") => "time".into(),
        ("string", _) => "string".into(),
        ("integer", "int32") => "int32".into(),
        ("integer", _) => "int64".into(),
        ("number", _) => "double".into(),
        ("boolean", _) => "bool".into(),
        (_, "int-or-string") => "int-or-string".into(),
        _ => "any".into(),
    }
}

/// Leaves out the part of a definition's name that says where its Go package is.
fn short(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}
