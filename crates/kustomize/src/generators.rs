//! Makes ConfigMaps and Secrets from literals, files and env files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::Problem;
use crate::kustomization::{GeneratorArgs, GeneratorOptions};
use crate::resource::{Behavior, Resource};
use crate::tree::Tree;
use crate::{Options, load};

/// Where the files of a kustomization come from.
pub(crate) struct Context<'a> {
    pub tree: &'a dyn Tree,
    pub dir: &'a str,
    pub options: &'a Options,
}

pub(crate) fn config_map(
    context: &Context<'_>,
    args: &GeneratorArgs,
    global: Option<&GeneratorOptions>,
) -> Result<Resource, Problem> {
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, value) in pairs(context, args)? {
        match String::from_utf8(value) {
            Ok(text) => data.insert(key, json!(text)),
            Err(error) => binary.insert(key, json!(encode(error.as_bytes()))),
        };
    }
    let mut object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {} });
    for (field, map) in [("data", data), ("binaryData", binary)] {
        if !map.is_empty() {
            object[field] = Value::Object(map);
        }
    }
    finish(object, args, global)
}

pub(crate) fn secret(
    context: &Context<'_>,
    args: &GeneratorArgs,
    global: Option<&GeneratorOptions>,
) -> Result<Resource, Problem> {
    let kind = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": kind });
    let pairs = pairs(context, args)?;
    if !pairs.is_empty() {
        object["data"] = pairs.iter().map(|(key, value)| (key.clone(), encode(value))).collect();
    }
    finish(object, args, global)
}

fn finish(
    object: Value,
    args: &GeneratorArgs,
    global: Option<&GeneratorOptions>,
) -> Result<Resource, Problem> {
    if args.name.is_empty() {
        return Err(Problem::rule("an entry has no name"));
    }
    let mut made = Resource::new(object);
    made.set_name(&args.name);
    made.set_namespace(&args.namespace);
    made.behavior = Behavior::parse(&args.behavior);
    made.needs_hash = true;
    for options in [global, args.options.as_ref()].into_iter().flatten() {
        for (field, map) in [("labels", &options.labels), ("annotations", &options.annotations)] {
            if !map.is_empty()
                && let Some(slot) = made.map_mut(field)
            {
                slot.extend(map.iter().map(|(key, value)| (key.clone(), json!(value))));
            }
        }
        made.needs_hash &= !options.disable_name_suffix_hash;
        if options.immutable {
            made.value["immutable"] = json!(true);
        }
    }
    Ok(made)
}

fn encode(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() < 70 {
        return text;
    }
    let mut lines = String::new();
    for (at, char) in text.chars().enumerate() {
        if at > 0 && at % 70 == 0 {
            lines.push('\n');
        }
        lines.push(char);
    }
    lines + "\n"
}

fn pairs(context: &Context<'_>, args: &GeneratorArgs) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let read = |path: &str| load::file(context.tree, context.dir, path, context.options);
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    for path in args.envs.iter().chain(Some(&args.env).filter(|env| !env.is_empty())) {
        let text = String::from_utf8(read(path)?)
            .map_err(|_| Problem::rule(format!("env file {path} is not UTF-8")))?;
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                pairs.push((key.to_owned(), value.into()));
            }
        }
    }
    for literal in &args.literals {
        let (key, value) =
            literal.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
                Problem::rule(format!("invalid literal {literal:?}, expected key=value"))
            })?;
        let bare =
            ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
        pairs.push((key.to_owned(), bare.unwrap_or(value).into()));
    }
    for source in &args.files {
        let base = source.rsplit('/').next().unwrap_or(source);
        let (key, path) = source.split_once('=').unwrap_or((base, source));
        if key.is_empty() || path.is_empty() || path.contains('=') {
            return Err(Problem::rule(format!("invalid file {source:?}, expected [key=]path")));
        }
        pairs.push((key.to_owned(), read(path)?));
    }
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    match pairs.windows(2).find(|two| two[0].0 == two[1].0) {
        Some(two) => Err(Problem::rule(format!("{} repeats the key {:?}", args.name, two[0].0))),
        None => Ok(pairs),
    }
}
