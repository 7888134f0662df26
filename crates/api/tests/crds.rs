//! The generated CRDs against those that Flux publishes, and objects against the types.
#![expect(clippy::disallowed_methods, reason = "reads the reference files for the pure crate")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::path::PathBuf;

use api::{
    kustomize::Kustomization,
    source::{ExternalArtifact, GitRepository},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// Returns our definition of a kind.
fn crd(kind: &str) -> Value {
    let crds = api::crds();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap()
}

/// Returns the definition that Flux publishes, without descriptions, where the folder with the
/// reference lies beside the repository.
fn reference(name: &str) -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let file = root.join("shared/reference/crds").join(format!("{name}.yaml"));
    if !file.exists() {
        println!("skipped: {} is not there", file.display());
        return None;
    }
    let text = std::fs::read_to_string(file).unwrap();
    Some(goyaml::parse_documents(&text).unwrap().remove(0))
}

/// Brings a definition into a form in which equal meaning is equality: without descriptions, and
/// with the sets among its lists sorted. The order of printer columns and rules stays.
fn normalize(value: &mut Value, is_properties: bool) {
    match value {
        Value::Object(map) => {
            if !is_properties {
                map.remove("description");
            }
            for (key, value) in map.iter_mut() {
                if matches!(key.as_str(), "required" | "enum") && !is_properties {
                    sort(value);
                }
                normalize(value, key == "properties" && !is_properties);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(item, false)),
        _ => {}
    }
}

fn sort(value: &mut Value) {
    if let Value::Array(items) = value {
        items.sort_by_key(Value::to_string);
    }
}

/// Returns every difference as a line: its path, and what each side has there.
fn differences(path: &str, ours: &Value, theirs: &Value, lines: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let extra = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(extra) {
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}/{key}"), &of(a), &of(b), lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{index}"), a, b, lines);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ if ours == theirs => {}
        _ => lines.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

fn equals_the_reference(kind: &str) {
    let mut ours = crd(kind);
    let name = ours["metadata"]["name"].as_str().unwrap().to_owned();
    let Some(mut theirs) = reference(&name) else { return };
    normalize(&mut ours, false);
    normalize(&mut theirs, false);
    let mut lines = Vec::new();
    differences("", &ours, &theirs, &mut lines);
    assert!(lines.is_empty(), "{name} differs:\n{}", lines.join("\n"));
}

#[test]
fn git_repositories_are_defined_as_by_flux() {
    equals_the_reference("GitRepository");
}

#[test]
fn external_artifacts_are_defined_as_by_flux() {
    equals_the_reference("ExternalArtifact");
}

#[test]
fn kustomizations_are_defined_as_by_flux() {
    equals_the_reference("Kustomization");
}

#[test]
fn the_comparison_sees_what_a_client_would() {
    let theirs = crd("Kustomization");
    let changed = |pointer: &str, value: Value| {
        let mut ours = theirs.clone();
        *ours.pointer_mut(pointer).unwrap() = value;
        let mut lines = Vec::new();
        differences("", &ours, &theirs, &mut lines);
        lines.len()
    };
    let version = "/spec/versions/0";
    let spec = format!("{version}/schema/openAPIV3Schema/properties/spec");
    assert_eq!(changed("/spec/names/shortNames", json!([])), 1);
    assert_eq!(changed(&format!("{version}/subresources"), json!({})), 1);
    assert_eq!(changed(&format!("{version}/additionalPrinterColumns/0/name"), json!("Old")), 1);
    assert_eq!(changed(&format!("{spec}/required"), json!(["interval"])), 1);
    assert_eq!(changed(&format!("{spec}/properties/prune/type"), json!("string")), 1);
    assert_eq!(changed(&format!("{spec}/properties/force/default"), json!(true)), 1);
}

#[test]
fn every_field_has_a_description() {
    fn check(path: &str, schema: &Value, missing: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if property["description"].as_str().is_none_or(str::is_empty) {
                missing.push(path.clone());
            }
            check(&path, property, missing);
            check(&format!("{path}[]"), &property["items"], missing);
        }
    }
    let mut missing = Vec::new();
    for kind in ["GitRepository", "ExternalArtifact", "Kustomization"] {
        let schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        check(kind, &schema, &mut missing);
        missing.retain(|path| path != &format!("{kind}.metadata"));
        // The API refuses a definition that describes it.
        assert_eq!(schema["properties"]["metadata"], json!({"type": "object"}));
    }
    assert!(missing.is_empty(), "without description: {missing:#?}");
}

/// Returns a value that a schema accepts, with every field; `pick` chooses among enums.
fn sample(schema: &Value, pick: usize) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[pick % values.len()].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            if let Some(properties) = schema["properties"].as_object() {
                let fields = properties.iter();
                return fields.map(|(key, field)| (key.clone(), sample(field, pick))).collect();
            }
            json!({ "key": sample(&schema["additionalProperties"], pick) })
        }
        Some("array") => {
            json!([sample(&schema["items"], pick), sample(&schema["items"], pick + 1)])
        }
        Some("boolean") => json!(pick.is_multiple_of(2)),
        Some("integer") => json!(pick + 1),
        Some("string") => json!(text(schema, pick)),
        other => panic!("no sample for {other:?} in {schema}"),
    }
}

fn text(schema: &Value, pick: usize) -> String {
    if schema["format"] == "date-time" {
        return "2026-01-02T03:04:05Z".to_owned();
    }
    match schema["pattern"].as_str() {
        None => format!("text-{pick}"),
        Some(pattern) if pattern.contains("(ms|s|m") => "1m30s".to_owned(),
        Some(pattern) if pattern.contains("://") => "https://example.com/fleet".to_owned(),
        Some(pattern) if pattern.contains(":[a-zA-Z0-9=_-]+") => "sha256:e3b0c442".to_owned(),
        Some(pattern) if pattern.starts_with("^[A-Za-z]") => "Succeeded".to_owned(),
        Some(pattern) if pattern.contains("[-A-Za-z0-9_.]*") => "Ready".to_owned(),
        Some(pattern) => panic!("no sample for the pattern {pattern}"),
    }
}

fn survives<T: Serialize + DeserializeOwned>(kind: &str) {
    let crd = crd(kind);
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    for pick in 0..4 {
        let mut status = sample(&schema["status"], pick);
        if kind == "Kustomization" {
            // The schema says only that it is text.
            for outcome in status["history"].as_array_mut().unwrap() {
                outcome["lastReconciledDuration"] = json!("1.5s");
            }
        }
        let object = json!({
            "apiVersion": format!("{}/v1", crd["spec"]["group"].as_str().unwrap()),
            "kind": kind,
            "metadata": { "name": "fleet", "namespace": "flux-system", "generation": 3 },
            "spec": sample(&schema["spec"], pick),
            "status": status,
        });
        let typed: T = serde_json::from_value(object.clone()).unwrap();
        let mut lines = Vec::new();
        differences("", &serde_json::to_value(typed).unwrap(), &object, &mut lines);
        assert!(lines.is_empty(), "{kind} is changed by reading it:\n{}", lines.join("\n"));
    }
}

#[test]
fn reading_and_writing_a_git_repository_keeps_every_field() {
    survives::<GitRepository>("GitRepository");
}

#[test]
fn reading_and_writing_an_external_artifact_keeps_every_field() {
    survives::<ExternalArtifact>("ExternalArtifact");
}

#[test]
fn reading_and_writing_a_kustomization_keeps_every_field() {
    survives::<Kustomization>("Kustomization");
}
