//! Types of the fields of built-in kinds, with the errors of Go's JSON decoder.

use serde_json::Value;

use crate::quantity::Quantity;
use crate::schema::{Kind, Link, Node, Schema, Target, Values};

/// Returns the first field of an object of a built-in kind, or of the metadata of any, whose value
/// is of another type, as the decoder words it: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas
/// of type int32`.
pub fn type_error(schema: &Schema, object: &Value) -> Option<String> {
    let node = schema.node()?;
    if schema.is_builtin() {
        let place = Place { structure: short(node.name), path: String::new() };
        return check(node, object, &place);
    }
    let meta = node.fields.get("metadata").and_then(Link::node)?;
    check(meta, object.get("metadata")?, &Place { structure: "ObjectMeta", path: String::new() })
}

/// Where the decoder is: the innermost structure, and the fields that lead there.
struct Place<'a> {
    structure: &'a str,
    path: String,
}

fn check(node: &Node, value: &Value, place: &Place<'_>) -> Option<String> {
    let refuse = |actual: &str| {
        let kind = go_type(node);
        let Place { structure, path } = place;
        let target = if path.is_empty() {
            format!("Go value of type {kind}")
        } else {
            format!("Go struct field {structure}.{path} of type {kind}")
        };
        Some(format!("json: cannot unmarshal {actual} into {target}"))
    };
    let actual = match value {
        Value::Null => return None,
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match (node.kind, value) {
        (Kind::Object, Value::Object(map)) => {
            map.iter().find_map(|(name, value)| match (node.fields.get(name), &node.values) {
                (Some(link), _) => {
                    let structure =
                        if node.name.is_empty() { place.structure } else { short(node.name) };
                    let path = join(&place.path, name);
                    check(link.node()?, value, &Place { structure, path })
                }
                (None, Values::Of(link)) => {
                    let (structure, path) = (place.structure, place.path.clone());
                    check(link.node()?, value, &Place { structure, path })
                }
                _ => None,
            })
        }
        (Kind::Array, Value::Array(items)) => {
            let below = node.items.as_ref()?.node()?;
            items.iter().find_map(|item| {
                let (structure, path) = (place.structure, place.path.clone());
                check(below, item, &Place { structure, path })
            })
        }
        (Kind::String, Value::String(text)) => string(node, text),
        (Kind::Integer, Value::Number(number)) => {
            let fits = match node.format.as_deref() {
                Some("int32") => {
                    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
                }
                _ => number.is_i64(),
            };
            if fits { None } else { refuse(&format!("number {number}")) }
        }
        (Kind::Any | Kind::Raw, _)
        | (Kind::Number | Kind::IntOrString | Kind::Quantity, Value::Number(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::IntOrString, Value::String(_)) => None,
        (Kind::Quantity, Value::String(text)) => Quantity::parse(text).is_none().then(|| {
            "quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                .to_owned()
        }),
        // Quantities and the like decode themselves, from text.
        (Kind::Quantity | Kind::IntOrString, _) => {
            Some(format!("json: cannot unmarshal {actual} into Go value of type string"))
        }
        _ => refuse(actual),
    }
}

fn string(node: &Node, text: &str) -> Option<String> {
    match node.format.as_deref() {
        Some("byte") => {
            let body = text.trim_end_matches(['=', '\n', '\r']);
            let good =
                |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'\n' | b'\r');
            let bad = body.bytes().position(|c| !good(c));
            let length = text.bytes().filter(|c| !matches!(c, b'\n' | b'\r')).count();
            let bad = bad.or_else(|| (length % 4 != 0).then_some(text.len()));
            bad.map(|place| format!("illegal base64 data at input byte {place}"))
        }
        Some("date-time") if !super::format::matches("date-time", text) => {
            let shown = crate::value::quote(text);
            let layout = "2006-01-02T15:04:05Z07:00";
            Some(format!("parsing time {shown} as \"{layout}\": cannot parse {shown} as \"2006\""))
        }
        _ => None,
    }
}

fn go_type(node: &Node) -> String {
    let of_link = |link: &Link| match &link.target {
        Target::Named(name) => qualified(name),
        Target::Inline(node) => go_type(node),
    };
    match node.kind {
        Kind::Object if !node.name.is_empty() => qualified(node.name),
        Kind::Object => match &node.values {
            Values::Of(link) => format!("map[string]{}", of_link(link)),
            _ => "map[string]interface {}".to_owned(),
        },
        Kind::Array => {
            let items = node.items.as_ref().map_or_else(String::new, |link| of_link(link));
            format!("[]{items}")
        }
        Kind::String if node.format.as_deref() == Some("byte") => "[]uint8".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Integer => node.format.clone().unwrap_or_else(|| "int64".to_owned()),
        Kind::Number => "float64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Any | Kind::IntOrString | Kind::Quantity | Kind::Raw => "interface {}".to_owned(),
    }
}

/// Returns `v1.Container` of `core.v1.Container`.
fn qualified(name: &str) -> String {
    let mut parts = name.rsplitn(3, '.');
    let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{version}.{kind}")
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_errors_as_the_decoder_does() {
        let deployment = Schema::builtin("apps", "v1", "Deployment").unwrap();
        let container =
            |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let cases = [
            (
                json!({"spec": {"replicas": "3"}}),
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of \
                 type int32",
            ),
            (
                json!({"spec": {"replicas": 1.5}}),
                "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas \
                 of type int32",
            ),
            (
                json!({"metadata": {"labels": {"a": 1}}}),
                "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of \
                 type string",
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": {}}}}}),
                "json: cannot unmarshal object into Go struct field \
                 PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                container(json!({"env": [{"name": "A", "value": true}]})),
                "json: cannot unmarshal bool into Go struct field \
                 EnvVar.spec.template.spec.containers.env.value of type string",
            ),
            (
                container(json!({"resources": {"limits": {"cpu": "1 core"}}})),
                "quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                json!({"spec": []}),
                "json: cannot unmarshal array into Go struct field Deployment.spec of type \
                 v1.DeploymentSpec",
            ),
        ];
        for (object, message) in cases {
            assert_eq!(type_error(&deployment, &object).as_deref(), Some(message));
        }
    }

    #[test]
    fn takes_what_decodes() {
        let deployment = Schema::builtin("apps", "v1", "Deployment").unwrap();
        let object = json!({
            "metadata": {"creationTimestamp": null, "labels": {}},
            "spec": {"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                "template": {"spec": {"containers": [{
                    "resources": {"limits": {"cpu": 1, "memory": "1.5Gi"}}, "unknown": [1],
                }]}}},
        });
        assert_eq!(type_error(&deployment, &object), None);
        let secret = Schema::builtin("", "v1", "Secret").unwrap();
        assert_eq!(type_error(&secret, &json!({"data": {"a": "YWI=", "b": "YWJj\nYQ==\n"}})), None);
        assert_eq!(
            type_error(&secret, &json!({"data": {"a": "a b="}})).as_deref(),
            Some("illegal base64 data at input byte 1")
        );
    }
}
