//! Writes the table of protobuf messages from the sources of two crates: `k8s-pb`, which knows the
//! numbers of fields, and `k8s-openapi`, which knows their names in JSON.
//!
//! ```console
//! $ cargo info k8s-pb@0.9.0 >/dev/null
//! $ src=~/.cargo/registry/src/index.crates.io-*
//! $ cargo run -p apiserver --example protobuf -- \
//!     $src/k8s-pb-0.9.0/src $src/k8s-openapi-0.29.0/src/v1_37 > crates/apiserver/data/protobuf.txt
//! ```

#![expect(clippy::print_stdout, reason = "a generator prints")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

const HEADER: &str = "\
# Protobuf messages of Kubernetes: name, then number:name:type of each field. Derived from the crates
# k8s-pb 0.9.0 and k8s-openapi 0.29.0 (Apache-2.0) by examples/protobuf.rs; do not edit. The form is
# described in src/protobuf.rs.";

/// Modules with kinds that clients send; each becomes a prefix of message names.
const GROUPS: [(&str, &str); 21] = [
    ("api/core/v1", "v1"),
    ("api/admissionregistration/v1", "admissionregistration.k8s.io/v1"),
    ("api/apps/v1", "apps/v1"),
    ("api/authentication/v1", "authentication.k8s.io/v1"),
    ("api/authorization/v1", "authorization.k8s.io/v1"),
    ("api/autoscaling/v1", "autoscaling/v1"),
    ("api/autoscaling/v2", "autoscaling/v2"),
    ("api/batch/v1", "batch/v1"),
    ("api/certificates/v1", "certificates.k8s.io/v1"),
    ("api/coordination/v1", "coordination.k8s.io/v1"),
    ("api/discovery/v1", "discovery.k8s.io/v1"),
    ("api/events/v1", "events.k8s.io/v1"),
    ("api/flowcontrol/v1", "flowcontrol.apiserver.k8s.io/v1"),
    ("api/networking/v1", "networking.k8s.io/v1"),
    ("api/node/v1", "node.k8s.io/v1"),
    ("api/policy/v1", "policy/v1"),
    ("api/rbac/v1", "rbac.authorization.k8s.io/v1"),
    ("api/scheduling/v1", "scheduling.k8s.io/v1"),
    ("api/storage/v1", "storage.k8s.io/v1"),
    ("apimachinery/pkg/apis/meta/v1", "meta"),
    ("apimachinery/pkg/runtime", "runtime"),
];

/// Messages outside of the groups above, by the end of their Rust path.
const OTHERS: [(&str, &str); 2] =
    [("resource::Quantity", "Quantity"), ("intstr::IntOrString", "IntOrString")];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(messages), Some(names)) = (arguments.next(), arguments.next()) else {
        return Err("usage: protobuf K8S_PB_SRC K8S_OPENAPI_SRC".into());
    };
    let (messages, names) = (Path::new(&messages), Path::new(&names));
    let all = json_names(names)?;
    let mut lines = BTreeMap::new();
    for (module, prefix) in GROUPS {
        let source = fs::read_to_string(messages.join(module).join("mod.rs"))?;
        for (message, fields) in parse(&source) {
            let own = names.join(module).join(format!("{}.rs", snake(&message)));
            let own = fs::read_to_string(own).map(|text| names_in(&text)).unwrap_or_default();
            let written: Vec<String> =
                fields.iter().filter_map(|field| field.write(prefix, &own, &all)).collect();
            lines.insert(format!("{prefix}.{message}"), written.join(" "));
        }
    }
    println!("{HEADER}");
    for name in reachable(&lines) {
        println!("{name} {}", lines[&name]);
    }
    Ok(())
}

struct Field {
    number: String,
    name: String,
    attribute: String,
    rust: String,
}

impl Field {
    fn write(
        &self,
        prefix: &str,
        own: &BTreeMap<String, String>,
        all: &BTreeMap<String, String>,
    ) -> Option<String> {
        let key = key(self.name.trim_start_matches("r#"));
        let known = own.get(&key);
        let name = known
            .or_else(|| all.get(&key))
            .cloned()
            .unwrap_or_else(|| camel(self.name.trim_start_matches("r#")));
        let repeated = if self.attribute.contains("repeated") { "*" } else { "" };
        let kind = match self.attribute.strip_prefix("btree_map = \"string, ") {
            Some(rest) => format!("%{}", self.scalar(rest.split('"').next()?, prefix)?),
            // What is embedded in Go has its fields beside the others in JSON.
            None if self.attribute.starts_with("message, optional")
                && known.is_none()
                && !own.is_empty() =>
            {
                format!("+{}", self.scalar(&self.attribute, prefix)?)
            }
            None => format!("{repeated}{}", self.scalar(&self.attribute, prefix)?),
        };
        Some(format!("{}:{name}:{kind}", self.number))
    }

    fn scalar(&self, kind: &str, prefix: &str) -> Option<String> {
        Some(match kind.split([',', ' ']).next()? {
            "string" => "s".to_owned(),
            "bool" => "b".to_owned(),
            "double" => "d".to_owned(),
            "bytes" => "y".to_owned(),
            kind if kind.starts_with("int") => "i".to_owned(),
            "message" => self.message(prefix)?,
            _ => return None,
        })
    }

    fn message(&self, prefix: &str) -> Option<String> {
        let end = self.rust.trim_end_matches([',', '>', ' ']);
        let path = end.rsplit(['<', ' ']).next()?;
        if let Some((_, name)) = OTHERS.iter().find(|(path_end, _)| path.ends_with(path_end)) {
            return Some((*name).to_owned());
        }
        let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
        if module.is_empty() {
            return Some(format!("{prefix}.{name}"));
        }
        let module: Vec<&str> = module.split("::").filter(|part| *part != "super").collect();
        let module = module.join("/");
        let (_, prefix) = GROUPS.iter().find(|(known, _)| known.ends_with(&module))?;
        Some(format!("{prefix}.{name}"))
    }
}

fn parse(source: &str) -> Vec<(String, Vec<Field>)> {
    let mut found: Vec<(String, Vec<Field>)> = Vec::new();
    let (mut attribute, mut open) = (String::new(), false);
    // A type that is too long for its line goes on below.
    let joined = source
        .replace("<\n", "<")
        .replace(":\n", ": ")
        .replace("::String,\n        ", "::String, ");
    for line in joined.lines() {
        let trimmed = line.trim();
        if let Some(name) = line.strip_prefix("pub struct ") {
            found
                .push((name.trim_end_matches(" {").trim_end_matches(" {}").to_owned(), Vec::new()));
        } else if trimmed.starts_with("#[prost(") || open {
            attribute = if open { attribute + " " + trimmed } else { trimmed.to_owned() };
            open = !attribute.ends_with(")]");
        } else if let (Some(field), Some((_, fields))) =
            (trimmed.strip_prefix("pub "), found.last_mut())
            && let Some((name, rust)) = field.split_once(": ")
            && let Some(number) = attribute.split("tag = \"").nth(1)
        {
            fields.push(Field {
                number: number.split('"').next().unwrap_or_default().to_owned(),
                name: name.to_owned(),
                attribute: attribute.trim_start_matches("#[prost(").to_owned(),
                rust: rust.to_owned(),
            });
            attribute.clear();
        }
    }
    found
}

/// Returns the names of fields in JSON by their names in Rust, of all files.
fn json_names(dir: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut names = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                names.extend(names_in(&fs::read_to_string(path)?));
            }
        }
    }
    Ok(names)
}

fn names_in(source: &str) -> BTreeMap<String, String> {
    source
        .lines()
        .filter_map(|line| {
            let (json, rust) = line.trim().split_once(" => Field::Key_")?;
            Some((key(rust.trim_end_matches(',')), json.trim_matches('"').to_owned()))
        })
        .collect()
}

/// Returns the messages that the kinds of the groups consist of.
fn reachable(lines: &BTreeMap<String, String>) -> BTreeSet<String> {
    let is_kind =
        |name: &&String| !name.ends_with("List") && (name.contains('/') || name.starts_with("v1."));
    let mut queue: Vec<String> = lines.keys().filter(is_kind).cloned().collect();
    queue.push("meta.DeleteOptions".to_owned());
    let mut found = BTreeSet::new();
    while let Some(name) = queue.pop() {
        let Some(fields) = lines.get(&name) else { continue };
        if found.insert(name) {
            let kinds = fields.split(' ').filter_map(|field| field.rsplit(':').next());
            queue.extend(kinds.map(|kind| kind.trim_start_matches(['*', '%', '+']).to_owned()));
        }
    }
    found
}

/// Returns what the names of a field in both crates have in common.
fn key(name: &str) -> String {
    name.replace('_', "")
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.extend(letters);
    }
    text
}
