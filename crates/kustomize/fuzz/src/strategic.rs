//! Strategic merge against a model of it: maps merge field by field, null removes a field, some lists
//! merge by a key or as sets and others are replaced, and `$patch` says otherwise.
//!
//! The model knows whole and consistent input only: every element of a keyed list has its key, once.
//! What kustomize makes of the rest is no rule that could be written down here.

use serde_json::{Map, Value, json};

use super::choices::Choices;

/// Merges a patch into an object by a build and by the model.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let object = whole(mapping(&mut choices, &DEPLOYMENT, false));
    let patch = whole(mapping(&mut choices, &DEPLOYMENT, true));
    let kustomization = json!({
        "resources": ["object.yaml"],
        "patches": [{ "path": "patch.yaml" }],
    });
    let files = [
        ("kustomization.yaml", kustomization.to_string()),
        ("object.yaml", object.to_string()),
        ("patch.yaml", patch.to_string()),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let built = super::build_one(&files);
    let model = match patch.get(DIRECTIVE).and_then(Value::as_str) {
        // What would be left of the object is nothing of the object.
        Some("replace") => Ok(Some(object.clone())),
        _ => merge(Some(&object), &patch, &DEPLOYMENT),
    };
    let model = model.map(|left| left.map(without_empty));
    match (built, model) {
        (Ok(built), Ok(expected)) => {
            assert_eq!(built, expected.unwrap_or_default(), "{object} {patch}");
        }
        (_, Err(Stop::Unclear)) | (Err(_), Err(Stop::Mismatch)) => {}
        (Ok(built), Err(Stop::Mismatch)) => panic!("{object} {patch}: built {built}"),
        (Err(error), Ok(_)) => panic!("{object} {patch}: {error}"),
    }
}

/// Returns an object as it is printed: empty annotations are left out.
fn without_empty(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, value| field != "annotations" || *value != json!({}));
    }
    object
}

/// What a field holds.
enum Shape {
    /// Fields that have names.
    Fields(&'static [(&'static str, &'static Shape)]),
    /// Text by text.
    Texts,
    /// A list that merges by a key.
    Keyed(&'static str, &'static Shape),
    /// A list of texts that merges as a set.
    Set,
    /// A list of texts that is replaced.
    List,
    Text,
}

static NAMED: Shape = Shape::Fields(&[("name", &Shape::Text), ("value", &Shape::Text)]);
static MOUNT: Shape = Shape::Fields(&[("mountPath", &Shape::Text), ("name", &Shape::Text)]);
static CONTAINER: Shape = Shape::Fields(&[
    ("name", &Shape::Text),
    ("image", &Shape::Text),
    ("args", &Shape::List),
    ("env", &Shape::Keyed("name", &NAMED)),
    ("volumeMounts", &Shape::Keyed("mountPath", &MOUNT)),
    ("securityContext", &Shape::Fields(&[("runAsUser", &Shape::Text)])),
]);
static POD: Shape = Shape::Fields(&[
    ("containers", &Shape::Keyed("name", &CONTAINER)),
    ("volumes", &Shape::Keyed("name", &NAMED)),
    ("nodeSelector", &Shape::Texts),
    ("schedulerName", &Shape::Text),
]);
static METADATA: Shape = Shape::Fields(&[
    ("labels", &Shape::Texts),
    ("annotations", &Shape::Texts),
    ("finalizers", &Shape::Set),
]);
static SPEC: Shape = Shape::Fields(&[
    ("template", &Shape::Fields(&[("spec", &POD)])),
    ("paused", &Shape::Text),
    ("other", &Shape::List),
]);
static DEPLOYMENT: Shape = Shape::Fields(&[("metadata", &METADATA), ("spec", &SPEC)]);

impl Shape {
    /// Returns what a field of this holds.
    fn field(&self, name: &str) -> &Self {
        let known = match self {
            Self::Fields(fields) => fields.iter().find(|(own, _)| *own == name),
            _ => None,
        };
        known.map_or(&Self::Text, |(_, shape)| shape)
    }
}

/// Gives an object what it is called.
fn whole(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    fields.insert("apiVersion".into(), "apps/v1".into());
    fields.insert("kind".into(), "Deployment".into());
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata["name"] = "web".into();
    metadata.as_object_mut().map(|metadata| metadata.remove(DIRECTIVE));
    Value::Object(fields)
}

const DIRECTIVE: &str = "$patch";
const TEXTS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn value(choices: &mut Choices<'_>, shape: &Shape, patch: bool) -> Value {
    if patch && choices.once_in(12) {
        return Value::Null;
    }
    if choices.once_in(40) {
        return json!({ "wrong": "kind" });
    }
    match shape {
        Shape::Fields(_) | Shape::Texts => mapping(choices, shape, patch),
        Shape::Text => choices.pick(&TEXTS).into(),
        Shape::List => choices.several(3, |choices| choices.pick(&TEXTS).to_owned()).into(),
        Shape::Set => {
            let mut texts = choices.several(3, |choices| choices.pick(&TEXTS).to_owned());
            texts.sort_unstable();
            texts.dedup();
            if choices.below(2) == 1 {
                texts.reverse();
            }
            texts.into()
        }
        Shape::Keyed(key, element) => {
            let mut items: Vec<Value> = Vec::new();
            for mut item in choices.several(3, |choices| mapping(choices, element, patch)) {
                item[key] = choices.pick(&TEXTS).into();
                if !items.iter().any(|own| own[key] == item[key]) {
                    items.push(item);
                }
            }
            if patch && choices.once_in(8) {
                let at = choices.below(items.len() + 1);
                items.insert(
                    at,
                    json!({ DIRECTIVE: choices.pick(&["replace", "delete", "merge"]) }),
                );
            }
            items.into()
        }
    }
}

fn mapping(choices: &mut Choices<'_>, shape: &Shape, patch: bool) -> Value {
    let mut fields = Map::new();
    match shape {
        Shape::Fields(known) => {
            for (name, shape) in *known {
                if choices.below(3) > 0 {
                    fields.insert((*name).into(), value(choices, shape, patch));
                }
            }
        }
        _ => {
            for key in choices.several(3, |choices| choices.pick(&TEXTS)) {
                let removed = patch && choices.once_in(4);
                let text = choices.pick(&TEXTS).into();
                fields.insert(key.into(), if removed { Value::Null } else { text });
            }
        }
    }
    if patch && choices.once_in(16) {
        let directive = choices.pick(&["replace", "delete", "merge"]);
        fields.insert(DIRECTIVE.into(), directive.into());
    }
    Value::Object(fields)
}

/// Why the model has no answer.
enum Stop {
    /// Values of different kinds do not merge.
    Mismatch,
    /// No rule says what comes out.
    Unclear,
}

/// Returns what a field becomes; `None` when it is removed.
fn merge(own: Option<&Value>, patch: &Value, shape: &Shape) -> Result<Option<Value>, Stop> {
    let Some(own) = own else { return added(patch, shape) };
    match (own, patch) {
        (_, Value::Null) => Ok(None),
        (Value::Object(own), Value::Object(fields)) => match directive(patch) {
            Some("delete") => Ok(None),
            Some("replace") => added(patch, shape),
            _ => {
                let mut merged = own.clone();
                for (key, value) in fields.iter().filter(|(key, _)| *key != DIRECTIVE) {
                    merged.remove(key);
                    let new = merge(own.get(key), value, shape.field(key))?;
                    merged.extend(new.map(|new| (key.clone(), new)));
                }
                Ok(Some(Value::Object(merged)))
            }
        },
        (Value::Array(own), Value::Array(items)) => match shape {
            Shape::Keyed(key, element) => merge_keyed(own, items, key, element),
            Shape::Set => {
                let others = own.iter().filter(|item| !items.contains(item));
                Ok(Some(items.iter().chain(others).cloned().collect()))
            }
            _ => Ok(Some(patch.clone())),
        },
        (Value::String(_), Value::String(_)) => Ok(Some(patch.clone())),
        _ => Err(Stop::Mismatch),
    }
}

fn directive(patch: &Value) -> Option<&str> {
    patch.get(DIRECTIVE).and_then(Value::as_str)
}

/// The elements of the patch come first, those that it does not name after them.
fn merge_keyed(
    own: &[Value],
    patch: &[Value],
    key: &str,
    element: &Shape,
) -> Result<Option<Value>, Stop> {
    // A directive for the list is taken for an element behind one that has a directive itself.
    let first = patch.iter().find(|item| item.get(DIRECTIVE).is_some());
    let is_first = first.is_none_or(|first| first.get(key).is_none());
    if !is_first && patch.iter().any(|item| item.get(key).is_none()) {
        return Err(Stop::Unclear);
    }
    let (patch, directives): (Vec<&Value>, Vec<&Value>) =
        patch.iter().partition(|item| item.get(key).is_some());
    // Elements that have the directive of the list are dropped with it.
    let of_list = directives.first().copied().and_then(directive);
    let patch: Vec<&Value> =
        patch.into_iter().filter(|item| of_list.is_none() || directive(item) != of_list).collect();
    let own = match of_list {
        Some("delete") => return Ok(None),
        Some("replace") => &[],
        _ => own,
    };
    let mut merged = Vec::new();
    for item in &patch {
        let same = own.iter().find(|own| own[key] == item[key]);
        match same.filter(|_| directive(item) == Some("replace")) {
            // An element that is replaced comes back as it was.
            Some(same) => merged.push(same.clone()),
            None => merged.extend(merge(same, item, element)?),
        }
    }
    let named = |own: &Value| patch.iter().any(|item| item[key] == own[key]);
    merged.extend(own.iter().filter(|own| !named(own)).cloned());
    Ok(Some(merged.into()))
}

/// Returns what is added of a patch: all but directives and what they or nulls remove.
fn added(patch: &Value, shape: &Shape) -> Result<Option<Value>, Stop> {
    match (patch, shape) {
        (Value::Null, _) => Ok(None),
        (Value::Object(_), _) if directive(patch) == Some("delete") => Ok(None),
        (Value::Object(fields), _) => {
            let mut new = Map::new();
            for (key, value) in fields.iter().filter(|(key, _)| *key != DIRECTIVE) {
                new.extend(added(value, shape.field(key))?.map(|value| (key.clone(), value)));
            }
            Ok(Some(new.into()))
        }
        (Value::Array(items), Shape::Keyed(key, element)) => {
            // A directive for a list that is not there.
            if items.iter().any(|item| item.get(key).is_none()) {
                return Err(Stop::Unclear);
            }
            let items: Result<Vec<_>, _> = items.iter().map(|item| added(item, element)).collect();
            Ok(Some(items?.into_iter().flatten().collect()))
        }
        _ => Ok(Some(patch.clone())),
    }
}
