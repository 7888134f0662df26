//! The kustomization that a Flux Kustomization makes of a directory: its spec merged into the root
//! file, or a file written where there is none.

use serde_json::{Map, Value, json};

use crate::decode::Decode as _;
use crate::kustomization::Kustomization;
use crate::tree::{FileKind, MemoryTree, OverlayTree, Tree, TreeError, resolve};

/// What the spec of a Kustomization says about the build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `spec.targetNamespace`.
    pub target_namespace: Option<String>,
    /// `spec.namePrefix`.
    pub name_prefix: Option<String>,
    /// `spec.nameSuffix`.
    pub name_suffix: Option<String>,
    /// `spec.patches`.
    pub patches: Vec<Patch>,
    /// `spec.images`.
    pub images: Vec<Image>,
    /// `spec.components`.
    pub components: Vec<String>,
    /// `spec.ignoreMissingComponents`.
    pub ignore_missing_components: bool,
    /// `spec.buildMetadata`.
    pub build_metadata: Vec<String>,
}

/// An entry of `spec.patches`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// The patch, strategic merge or JSON 6902.
    pub patch: String,
    /// What it applies to.
    pub target: Option<PatchTarget>,
}

/// What a patch applies to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatchTarget {
    /// API group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Label selector.
    pub label_selector: Option<String>,
    /// Annotation selector.
    pub annotation_selector: Option<String>,
}

/// An entry of `spec.images`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// The name to replace.
    pub name: String,
    /// The new name.
    pub new_name: Option<String>,
    /// The new tag.
    pub new_tag: Option<String>,
    /// The new digest.
    pub digest: Option<String>,
}

/// Why the kustomization could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A file or directory could not be had.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file is no YAML.
    #[error("failed to decode Kubernetes YAML from {path}")]
    Yaml {
        /// The file.
        path: String,
        /// Where, and what was expected.
        #[source]
        source: goyaml::Error,
    },
    /// A file holds something that is no Kubernetes object.
    #[error("failed to decode Kubernetes YAML from {path}: {reason}")]
    Object {
        /// The file.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// A component is not in the tree.
    #[error("component path '{0}' must be local and relative")]
    RemoteComponent(String),
}

/// The names that a kustomization may have.
pub(crate) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Lays over a tree the kustomization of a directory with the spec merged in.
///
/// # Errors
///
/// When the directory or a file in it cannot be read, or a component is remote.
pub fn generate<'a>(
    tree: &'a dyn Tree,
    dir: &str,
    overrides: &Overrides,
) -> Result<OverlayTree<'a>, GenerateError> {
    let dir = resolve("", dir)?;
    let found = NAMES
        .iter()
        .map(|name| join(&dir, name))
        .find(|path| tree.kind(path) == Some(FileKind::File));
    let (path, mut file) = match found {
        Some(path) => {
            let mut file = read(tree, &path)?;
            if file.get("resources").and_then(Value::as_array).is_none_or(Vec::is_empty) {
                file.insert("buildMetadata".into(), json!(["originAnnotations"]));
            }
            (path, file)
        }
        None => (join(&dir, NAMES[0]), scan(tree, &dir)?),
    };
    merge(tree, &dir, &mut file, overrides)?;
    let mut above = MemoryTree::default();
    above.insert(path, goyaml::to_string(&Value::Object(file)));
    Ok(OverlayTree::new(tree, above))
}

fn read(tree: &dyn Tree, path: &str) -> Result<Map<String, Value>, GenerateError> {
    let text = String::from_utf8_lossy(&tree.read(path)?).into_owned();
    let documents = goyaml::parse_documents(&text)
        .map_err(|source| GenerateError::Yaml { path: path.to_owned(), source })?;
    match documents.into_iter().next() {
        None | Some(Value::Null) => Ok(Map::new()),
        // Flux reads leniently: fields that kustomize does not know are dropped.
        Some(Value::Object(file)) => match Kustomization::normalize(Value::Object(file)) {
            Value::Object(file) => Ok(file),
            _ => Ok(Map::new()),
        },
        Some(_) => Err(GenerateError::Object {
            path: path.to_owned(),
            reason: "a kustomization is a mapping".to_owned(),
        }),
    }
}

/// Makes a kustomization that names every manifest below a directory.
fn scan(tree: &dyn Tree, dir: &str) -> Result<Map<String, Value>, GenerateError> {
    let mut resources = Vec::new();
    walk(tree, dir, ".", &mut resources)?;
    let mut file = Map::new();
    file.insert("apiVersion".into(), json!("kustomize.config.k8s.io/v1beta1"));
    file.insert("kind".into(), json!("Kustomization"));
    if resources.is_empty() {
        file.insert("namespace".into(), json!("_placeholder"));
    } else {
        file.insert("resources".into(), json!(resources));
    }
    Ok(file)
}

fn walk(
    tree: &dyn Tree,
    dir: &str,
    shown: &str,
    resources: &mut Vec<String>,
) -> Result<(), GenerateError> {
    for name in tree.list(dir)? {
        let (path, shown) = (join(dir, &name), format!("{shown}/{name}"));
        match tree.kind(&path) {
            Some(FileKind::Directory) => {
                let own = NAMES.iter().any(|name| tree.kind(&join(&path, name)).is_some());
                if own {
                    resources.push(shown);
                } else {
                    walk(tree, &path, &shown, resources)?;
                }
            }
            Some(FileKind::File) if has_yaml_extension(&name) => {
                check_objects(tree, &path)?;
                resources.push(shown);
            }
            _ => {}
        }
    }
    Ok(())
}

fn has_yaml_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| matches!(extension, "yaml" | "yml"))
}

fn check_objects(tree: &dyn Tree, path: &str) -> Result<(), GenerateError> {
    let text = String::from_utf8_lossy(&tree.read(path)?).into_owned();
    let documents = goyaml::parse_values(&text, goyaml::Dialect::Kyaml)
        .map_err(|source| GenerateError::Yaml { path: path.to_owned(), source })?;
    for (index, object) in documents.iter().enumerate().filter(|(_, object)| !object.is_null()) {
        let kind = object["kind"].as_str().unwrap_or_default();
        let named = object["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
        if kind.is_empty() || !(named || kind.ends_with("List")) {
            let field = if kind.is_empty() { "kind" } else { "metadata.name" };
            let reason = format!("missing {field} in object {}", index + 1);
            return Err(GenerateError::Object { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

fn merge(
    tree: &dyn Tree,
    dir: &str,
    file: &mut Map<String, Value>,
    overrides: &Overrides,
) -> Result<(), GenerateError> {
    let scalars = [
        ("namespace", &overrides.target_namespace),
        ("namePrefix", &overrides.name_prefix),
        ("nameSuffix", &overrides.name_suffix),
    ];
    for (field, value) in scalars {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            file.insert(field.into(), json!(value));
        }
    }
    for patch in &overrides.patches {
        list(file, "patches").push(patch_entry(patch));
    }
    for component in &overrides.components {
        if is_remote(component) {
            return Err(GenerateError::RemoteComponent(component.clone()));
        }
        let there = tree.kind(&resolve(dir, component)?) == Some(FileKind::Directory);
        if there || !overrides.ignore_missing_components {
            list(file, "components").push(json!(component));
        }
    }
    for image in &overrides.images {
        merge_image(list(file, "images"), image);
    }
    if !overrides.build_metadata.is_empty() {
        file.insert("buildMetadata".into(), json!(overrides.build_metadata));
    }
    Ok(())
}

/// Returns a list field, made where it is missing; anything else there is replaced.
fn list<'a>(file: &'a mut Map<String, Value>, field: &str) -> &'a mut Vec<Value> {
    let slot = file.entry(field).or_insert_with(|| json!([]));
    if !slot.is_array() {
        *slot = json!([]);
    }
    slot.as_array_mut().expect("the slot was just made a list")
}

fn patch_entry(patch: &Patch) -> Value {
    let mut entry = json!({ "patch": patch.patch });
    if let Some(target) = &patch.target {
        let fields = [
            ("group", &target.group),
            ("version", &target.version),
            ("kind", &target.kind),
            ("name", &target.name),
            ("namespace", &target.namespace),
            ("labelSelector", &target.label_selector),
            ("annotationSelector", &target.annotation_selector),
        ];
        entry["target"] = fields
            .into_iter()
            .filter_map(|(field, value)| Some((field.to_owned(), json!(value.as_ref()?))))
            .collect::<Map<_, _>>()
            .into();
    }
    entry
}

fn merge_image(entries: &mut Vec<Value>, image: &Image) {
    let set = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let at = entries.iter().position(|entry| entry["name"] == json!(image.name));
    let mut entry = match at.and_then(|at| entries[at].as_object().cloned()) {
        Some(entry) => entry,
        None => Map::from_iter([("name".to_owned(), json!(image.name))]),
    };
    if let Some(name) = set(&image.new_name) {
        entry.insert("newName".into(), json!(name));
    }
    if set(&image.new_tag).is_some() || set(&image.digest).is_some() {
        for (field, value) in [("newTag", set(&image.new_tag)), ("digest", set(&image.digest))] {
            match value {
                Some(value) => entry.insert(field.into(), json!(value)),
                None => entry.shift_remove(field),
            };
        }
    }
    match at {
        Some(at) => entries[at] = Value::Object(entry),
        None => entries.push(Value::Object(entry)),
    }
}

fn is_remote(path: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "/",
        "git::",
        "gh:",
        "ssh://",
        "https://",
        "http://",
        "git@",
        "github.com:",
        "github.com/",
    ];
    PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || path.starts_with("file://")
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}
