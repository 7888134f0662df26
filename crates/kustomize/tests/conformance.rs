//! The conformance corpus, where it is on the machine: `TIDEGATE_CONFORMANCE`, else
//! `../shared/conformance` beside the workspace.
#![expect(clippy::disallowed_methods, reason = "reads the corpus for the pure crate")]
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use crate::disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kustomize::{LoadRestrictor, Options, Order, build, to_yaml};
use serde_json::Value;

/// Cases that are known to fail. A case that passes has to be taken off, so that the list shrinks.
const KNOWN_FAILURES: [&str; 0] = [];

/// What came out of a case.
enum Outcome {
    Equal,
    /// The same documents, written in another way.
    Similar,
    Failed(String),
}

#[test]
fn builds_what_the_oracle_builds() {
    let Some(corpus) = corpus() else {
        eprintln!("skipped: no conformance corpus; set TIDEGATE_CONFORMANCE");
        return;
    };
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for case in cases(&corpus) {
        let name = case.strip_prefix(&corpus).unwrap().to_str().unwrap().to_owned();
        let suite = name.split('/').next().unwrap().to_owned();
        let [semantic, bytes, all] = counts.entry(suite).or_default();
        *all += 1;
        match run(&case) {
            Outcome::Equal => {
                *semantic += 1;
                *bytes += 1;
            }
            Outcome::Similar => {
                *semantic += 1;
                failed.insert(name, "the documents are written in another way".to_owned());
            }
            Outcome::Failed(reason) => _ = failed.insert(name, reason),
        }
    }
    for (suite, [semantic, bytes, all]) in &counts {
        eprintln!("{suite}: {semantic}/{all} as expected, {bytes} of them to the byte");
    }
    let known = BTreeSet::from(KNOWN_FAILURES);
    let mut wrong: Vec<String> = failed
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()))
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    let passed = known.iter().filter(|name| !failed.contains_key(**name));
    wrong.extend(passed.map(|name| format!("{name}: passes; take it off the list")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("TIDEGATE_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    Some(root.join("kustomize")).filter(|corpus| corpus.is_dir())
}

/// Returns the directories of the cases, sorted.
fn cases(corpus: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let suites = list(corpus).into_iter().filter(|path| path.is_dir());
    suites.flat_map(|suite| list(&suite)).filter(|case| case.join("case.yaml").is_file()).collect()
}

fn run(case: &Path) -> Outcome {
    let about = fs::read_to_string(case.join("case.yaml")).unwrap();
    let about = goyaml::parse_documents(&about).unwrap().remove(0);
    let flags: Vec<&str> =
        about["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let options = Options {
        load_restrictor: if flags.contains(&"--load-restrictor=LoadRestrictionsNone") {
            LoadRestrictor::None
        } else {
            LoadRestrictor::RootOnly
        },
        order: if flags.contains(&"--reorder=none") { Order::Fifo } else { Order::Legacy },
        managed_by_label: flags.contains(&"--enable-managedby-label"),
        openapi_replaces: true,
    };
    let dir = case.join("input").join(about["build"].as_str().unwrap());
    let dir = dir.canonicalize().unwrap_or(dir);
    let result = build(&disk::Disk, dir.to_str().unwrap(), &options);
    match (result, about["expect"] == "error") {
        (Err(_), true) => Outcome::Equal,
        (Ok(_), true) => Outcome::Failed("was built, expected an error".to_owned()),
        (Err(error), false) => Outcome::Failed(disk::chain(&error)),
        (Ok(objects), false) => {
            let expected = fs::read_to_string(case.join("expected.yaml")).unwrap();
            if to_yaml(&objects) == expected {
                Outcome::Equal
            } else if objects == goyaml::parse_documents(&expected).unwrap() {
                Outcome::Similar
            } else {
                Outcome::Failed("other objects".to_owned())
            }
        }
    }
}
