//! Changes objects as the fields of a kustomization ask, in the order of kustomize.

use serde_json::json;

use crate::error::Problem;
use crate::fields::visit;
use crate::generators::Context;
use crate::kustomization::{FieldSpec, Kustomization, Patch, Strings};
use crate::resource::Resources;
use crate::schema::builtin;
use crate::selector::Matcher;
use crate::{json6902, load, merge};

type Failure = (&'static str, Problem);

/// Runs the transformers of a kustomization.
pub(crate) fn run(
    context: &Context<'_>,
    file: &Kustomization,
    all: &mut Resources,
) -> Result<(), Failure> {
    for text in &file.patches_strategic_merge {
        let inline = text.contains('\n');
        let (path, inline) = if inline { ("", text.as_str()) } else { (text.as_str(), "") };
        let entry = Patch { path: path.into(), patch: inline.into(), ..Patch::default() };
        patch(context, &entry, all).map_err(|problem| ("patchesStrategicMerge", problem))?;
    }
    for entry in &file.patches {
        patch(context, entry, all).map_err(|problem| ("patches", problem))?;
    }
    namespace(&file.namespace, all).map_err(|problem| ("namespace", problem))?;
    rename(&file.name_prefix, &file.name_suffix, all);
    for label in file.labels.iter().filter(|label| !label.pairs.is_empty()) {
        if label.include_selectors || label.include_templates || !label.fields.is_empty() {
            return Err(("labels", later("includeSelectors, includeTemplates and fields")));
        }
        set_map("labels", &label.pairs, all);
    }
    if !file.common_labels.is_empty() {
        return Err(("commonLabels", later("commonLabels")));
    }
    if !file.common_annotations.is_empty() {
        return Err(("commonAnnotations", later("commonAnnotations")));
    }
    for entry in &file.patches_json6902 {
        patch(context, entry, all).map_err(|problem| ("patchesJson6902", problem))?;
    }
    if !file.replicas.is_empty() {
        return Err(("replicas", later("replicas")));
    }
    for image in file.images.iter().chain(&file.image_tags) {
        set_image(image, all).map_err(|problem| ("images", problem))?;
    }
    Ok(())
}

fn later(what: &str) -> Problem {
    Problem::Refused { what: what.to_owned(), instead: "use patches" }
}

fn patch(context: &Context<'_>, entry: &Patch, all: &mut Resources) -> Result<(), Problem> {
    let (text, shown) = match (entry.path.is_empty(), entry.patch.is_empty()) {
        (false, true) => {
            let bytes = load::file(context.tree, context.dir, &entry.path, context.options)?;
            (String::from_utf8_lossy(&bytes).into_owned(), entry.path.as_str())
        }
        (true, false) => (entry.patch.clone(), "an inline patch"),
        _ => return Err(Problem::rule("a patch needs exactly one of path and patch")),
    };
    let documents = goyaml::parse_values(&text, goyaml::Dialect::Kyaml)
        .map_err(|source| Problem::Yaml { path: shown.to_owned(), source })?;
    let matcher = entry.target.as_ref().map(Matcher::new).transpose()?;
    let first = documents.iter().find(|document| !document.is_null());
    if let Some(operations) = first.and_then(json6902::operations) {
        let matcher = matcher.ok_or_else(|| Problem::rule("a JSON patch needs a target"))?;
        for item in all.items_mut().iter_mut().filter(|item| matcher.selects(item)) {
            item.remember_id();
            json6902::apply(&mut item.value, &operations)?;
            if item.kind().is_empty() || item.name().is_empty() {
                return Err(Problem::rule("a JSON patch must leave kind and metadata.name"));
            }
        }
        return Ok(());
    }
    let patches = load::objects(&text, shown)?;
    if matcher.is_some() && patches.len() > 1 {
        return Err(Problem::rule("a patch with a target holds one document"));
    }
    for patch in &patches {
        let id = patch.id();
        let items = all.items_mut();
        let chosen: Vec<usize> = (0..items.len())
            .filter(|&at| match &matcher {
                Some(matcher) => matcher.selects(&items[at]),
                None => items[at].was(&id),
            })
            .collect();
        if matcher.is_none() && chosen.len() != 1 {
            let many = if chosen.is_empty() { "no object" } else { "more than one object" };
            return Err(Problem::rule(format!("{many} matches the patch of {id}")));
        }
        for at in chosen.into_iter().rev() {
            let item = &mut items[at];
            let (old, namespace) = (item.id(), item.namespace().to_owned());
            let mut merged = patch.value.clone();
            merged["apiVersion"] = json!(old.gvk.api_version());
            if entry.options.allow_name_change || entry.options.allow_kind_change {
                item.remember_id();
            }
            let Some(value) = merge::strategic(item.value.take(), &merged, builtin())? else {
                items.remove(at);
                continue;
            };
            item.value = value;
            if !entry.options.allow_kind_change {
                item.value["kind"] = json!(old.gvk.kind);
            }
            if !entry.options.allow_name_change {
                item.set_name(&old.name);
            }
            item.set_namespace(&namespace);
        }
    }
    Ok(())
}

fn namespace(namespace: &str, all: &mut Resources) -> Result<(), Problem> {
    if namespace.is_empty() {
        return Ok(());
    }
    let specs = [
        FieldSpec {
            version: "v1".into(),
            ..FieldSpec::new("", "Namespace", "metadata/name", true)
        },
        FieldSpec::new("apiregistration.k8s.io", "APIService", "spec/service/namespace", true),
        FieldSpec::new(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "spec/conversion/webhook/clientConfig/service/namespace",
            false,
        ),
    ];
    let mut seen = std::collections::HashSet::new();
    for item in all.items_mut() {
        item.remember_id();
        let gvk = item.gvk();
        if !gvk.is_cluster_scoped() {
            item.set_namespace(namespace);
        }
        for spec in specs.iter().filter(|spec| spec.selects(&gvk)) {
            visit(&mut item.value, spec, &mut |field| {
                *field = json!(namespace);
                Ok(())
            })?;
        }
        if matches!(item.kind(), "RoleBinding" | "ClusterRoleBinding") {
            let subjects = item.value.get_mut("subjects").and_then(|list| list.as_array_mut());
            for subject in subjects.into_iter().flatten() {
                if subject["name"] == "default" && subject.is_object() {
                    subject["namespace"] = json!(namespace);
                }
            }
        }
        if !seen.insert(item.id().key()) {
            return Err(Problem::Duplicate { id: item.id().to_string() });
        }
    }
    Ok(())
}

fn rename(prefix: &str, suffix: &str, all: &mut Resources) {
    const KEPT: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];
    if prefix.is_empty() && suffix.is_empty() {
        return;
    }
    for item in all.items_mut() {
        if KEPT.contains(&item.original_id().gvk.kind.as_str()) {
            continue;
        }
        item.remember_id();
        let name = format!("{prefix}{}{suffix}", item.name());
        item.set_name(&name);
        let own = [(prefix, &mut item.prefixes), (suffix, &mut item.suffixes)];
        for (part, list) in own.into_iter().filter(|(part, _)| !part.is_empty()) {
            list.push(part.to_owned());
        }
    }
}

fn set_map(field: &str, pairs: &Strings, all: &mut Resources) {
    for item in all.items_mut() {
        if let Some(map) = item.map_mut(field) {
            map.extend(pairs.iter().map(|(key, value)| (key.clone(), json!(value))));
        }
    }
}

fn set_image(image: &crate::kustomization::Image, all: &mut Resources) -> Result<(), Problem> {
    let pattern = format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let pattern = regex::Regex::new(&pattern)
        .map_err(|_| Problem::rule(format!("name {:?} is no regular expression", image.name)))?;
    if !image.tag_suffix.is_empty() {
        return Err(later("tagSuffix"));
    }
    for item in all.items_mut().iter_mut().filter(|item| item.kind() != "CustomResourceDefinition")
    {
        containers(&mut item.value, &mut |text| {
            pattern.is_match(text).then(|| new_image(text, image))
        });
    }
    Ok(())
}

/// Replaces the image of every element of a list named `containers` or `initContainers`.
fn containers(node: &mut serde_json::Value, set: &mut dyn FnMut(&str) -> Option<String>) {
    match node {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| containers(item, set)),
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "containers" | "initContainers") {
                    for item in value.as_array_mut().into_iter().flatten() {
                        let image = item.get_mut("image");
                        if let Some(image) = image
                            && let Some(new) = image.as_str().and_then(&mut *set)
                        {
                            *image = json!(new);
                        }
                    }
                }
                containers(value, set);
            }
        }
        _ => {}
    }
}

fn new_image(text: &str, image: &crate::kustomization::Image) -> String {
    let after_host = text.find('/').map_or(0, |at| at + 1);
    let at = text[after_host..].find([':', '@']).map_or(text.len(), |at| after_host + at);
    let (name, rest) = text.split_at(at);
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    let tag = |tag: &str| if tag.is_empty() { String::new() } else { format!(":{tag}") };
    let digest = |text: &str| if text.is_empty() { String::new() } else { format!("@{text}") };
    if image.new_tag.is_empty() && image.digest.is_empty() {
        return format!("{name}{rest}");
    }
    format!("{name}{}{}", tag(&image.new_tag), digest(&image.digest))
}
