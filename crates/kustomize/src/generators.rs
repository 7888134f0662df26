//! Makes objects: `configMapGenerator`, `secretGenerator`, and generators that are objects.

mod config_map;
mod iam_policy;
mod key_values;
mod secret;

pub(crate) use iam_policy::IamPolicy;

use goyaml::{Mapping, Node, Scalar, Tag};

use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::{GeneratorArgs, GeneratorOptions};
use crate::node::{Create, lookup_create, set_field};
use crate::resource::{Behavior, Resource, Source};

/// Something that makes an object.
#[derive(Debug)]
pub(crate) enum Generator {
    ConfigMap(GeneratorArgs),
    Secret(GeneratorArgs),
    IamPolicy(IamPolicy),
}

impl Generator {
    /// Returns the name of the builtin plugin.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ConfigMap(_) => "ConfigMapGenerator",
            Self::Secret(_) => "SecretGenerator",
            Self::IamPolicy(_) => "IAMPolicyGenerator",
        }
    }

    /// Makes the object. `source` says what asked for it.
    pub(crate) fn run(&self, scope: &mut Scope<'_>, source: Source) -> Result<Resource, Problem> {
        match self {
            Self::ConfigMap(args) => config_map::make(scope, args, source),
            Self::Secret(args) => secret::make(scope, args, source),
            Self::IamPolicy(args) => args.make(scope, source),
        }
    }
}

/// Returns arguments with the options of the kustomization below their own.
pub(crate) fn with_global_options(
    args: &GeneratorArgs,
    global: Option<&GeneratorOptions>,
) -> GeneratorArgs {
    let mut args = args.clone();
    if let Some(global) = global {
        let own = args.options.get_or_insert_default();
        for (key, value) in &global.labels {
            own.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (key, value) in &global.annotations {
            own.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        own.disable_name_suffix_hash |= global.disable_name_suffix_hash;
        own.immutable |= global.immutable;
    }
    args
}

/// Returns an object with nothing but its name.
fn begin(kind: &str, args: &GeneratorArgs) -> Result<Mapping, Problem> {
    if args.name.is_empty() {
        return Err(Problem::rule(format!("the {kind} has no name; add one")));
    }
    let mut metadata = Mapping::new();
    set_field(&mut metadata, "name", Scalar::string(&args.name));
    if !args.namespace.is_empty() {
        set_field(&mut metadata, "namespace", Scalar::string(&args.namespace));
    }
    let mut object = Mapping::new();
    object.push("apiVersion", Scalar::tagged("v1", Tag::Str));
    object.push("kind", Scalar::tagged(kind, Tag::Str));
    object.push("metadata", metadata);
    Ok(object)
}

/// Sets an entry of a map that is made where it is missing.
fn set_entry(object: &mut Node, path: &[&str], key: &str, value: Scalar) -> Result<(), Problem> {
    if let Some(Node::Mapping(map)) = lookup_create(object, path, Create::Mapping)? {
        set_field(map, key, value);
    }
    Ok(())
}

/// Adds what the options ask for.
fn finish(object: Mapping, args: &GeneratorArgs, source: Source) -> Result<Resource, Problem> {
    let mut node = Node::from(object);
    let mut needs_hash = true;
    if let Some(options) = &args.options {
        for (field, map) in [("labels", &options.labels), ("annotations", &options.annotations)] {
            for (key, value) in map {
                let value = Scalar::tagged(value, Tag::Str);
                set_entry(&mut node, &["metadata", field], key, value)?;
            }
        }
        if options.immutable
            && let Node::Mapping(object) = &mut node
        {
            object.push("immutable", Scalar::tagged("true", Tag::Bool));
        }
        needs_hash = !options.disable_name_suffix_hash;
    }
    let mut made = Resource::new(node, source);
    made.memory.needs_hash = needs_hash;
    made.memory.behavior = Some(Behavior::parse(&args.behavior));
    Ok(made)
}

/// Encodes bytes, in lines when they are long.
fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    const LINE: usize = 70;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let mut lines = String::with_capacity(text.len() + text.len() / LINE + 1);
    for line in text.as_bytes().chunks(LINE) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_wrapped() {
        assert_eq!(encode(b"abc"), "YWJj");
        assert_eq!(encode(&[0; 48]).len(), 64);
        assert_eq!(encode(&[0; 51]).len(), 68);
        assert_eq!(encode(&[0; 52]).len(), 74);
        assert!(encode(&[0; 105]).ends_with("AA\n"));
    }

    #[test]
    fn own_options_win() {
        let options = |key: &str, value: &str, hash: bool| GeneratorOptions {
            labels: [(key.to_owned(), value.to_owned())].into(),
            disable_name_suffix_hash: !hash,
            ..GeneratorOptions::default()
        };
        let args = GeneratorArgs { options: Some(options("a", "own", true)), ..Default::default() };
        let merged = with_global_options(&args, Some(&options("a", "all", false))).options.unwrap();
        assert_eq!(merged, options("a", "own", false));
    }
}
