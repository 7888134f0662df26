//! Writes the table of default roles and bindings from those of a new cluster.
//!
//! ```console
//! $ kubectl get clusterroles,clusterrolebindings,roles,rolebindings --all-namespaces --output json |
//!       cargo run -p apiserver --example roles > crates/apiserver/data/roles.txt
//! ```
//!
//! Kept is what the API server itself creates when it starts, without what all of it has.

#![expect(clippy::print_stdout, reason = "a generator prints")]

use std::error::Error;

use serde_json::{Value, json};

const HEADER: &str = "\
# Default roles and bindings of Kubernetes v1.36.3, Apache-2.0.
# Made by examples/roles.rs; do not edit. One object a line, without common metadata.";

fn main() -> Result<(), Box<dyn Error>> {
    let list: Value = serde_json::from_reader(std::io::stdin())?;
    let mut lines = Vec::new();
    for object in list["items"].as_array().ok_or("not a list")? {
        let meta = &object["metadata"];
        let mut labels = meta["labels"].as_object().cloned().unwrap_or_default();
        if labels.shift_remove("kubernetes.io/bootstrapping").is_none() {
            continue;
        }
        let mut kept = json!({"kind": object["kind"], "name": meta["name"]});
        if !meta["namespace"].is_null() {
            kept["namespace"] = meta["namespace"].clone();
        }
        if !labels.is_empty() {
            kept["labels"] = labels.into();
        }
        let fields: &[&str] = match object.get("aggregationRule") {
            // Its rules are gathered from others.
            Some(_) => &["aggregationRule"],
            None => &["rules", "roleRef", "subjects"],
        };
        for field in fields {
            if let Some(value) = object.get(field) {
                kept[field] = value.clone();
            }
        }
        lines.push(kept.to_string());
    }
    println!("{HEADER}\n{}", lines.join("\n"));
    Ok(())
}
