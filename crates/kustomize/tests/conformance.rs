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

/// How many outputs of the corpus beside the workspace are as expected, how many to the byte, and how
/// many errors. It may grow, and not shrink.
const REACHED: Counts = Counts { semantic: 495, bytes: 495, outputs: 495, refused: 41, errors: 41 };

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Counts {
    semantic: usize,
    bytes: usize,
    outputs: usize,
    refused: usize,
    errors: usize,
}

/// What came out of a case.
enum Outcome {
    Equal,
    /// An error that was expected.
    Refused,
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
    let mut suites: BTreeMap<String, Counts> = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for case in cases(&corpus) {
        let name = case.strip_prefix(&corpus).unwrap().to_str().unwrap().to_owned();
        let suite = name.split('/').next().unwrap().to_owned();
        let counts = suites.entry(suite).or_default();
        let (outcome, is_error) = run(&case);
        *if is_error { &mut counts.errors } else { &mut counts.outputs } += 1;
        match outcome {
            Outcome::Equal => {
                counts.semantic += 1;
                counts.bytes += 1;
            }
            Outcome::Refused => counts.refused += 1,
            Outcome::Similar => {
                counts.semantic += 1;
                failed.insert(name, "the documents are written in another way".to_owned());
            }
            Outcome::Failed(reason) => _ = failed.insert(name, reason),
        }
    }
    let mut all = Counts::default();
    for (suite, counts) in &suites {
        print(suite, counts);
        all.semantic += counts.semantic;
        all.bytes += counts.bytes;
        all.outputs += counts.outputs;
        all.refused += counts.refused;
        all.errors += counts.errors;
    }
    print("all", &all);
    let known = BTreeSet::from(KNOWN_FAILURES);
    let mut wrong: Vec<String> = failed
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()))
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    let passed = known.iter().filter(|name| !failed.contains_key(**name));
    wrong.extend(passed.map(|name| format!("{name}: passes; take it off the list")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    if std::env::var_os(CORPUS).is_none() {
        let lost = all.semantic < REACHED.semantic
            || all.bytes < REACHED.bytes
            || all.refused < REACHED.refused;
        assert!(!lost, "cases are gone: there were {REACHED:?}, now {all:?}");
    }
}

#[expect(clippy::print_stderr, reason = "the counts are the result")]
fn print(suite: &str, counts: &Counts) {
    let Counts { semantic, bytes, outputs, refused, errors } = counts;
    eprintln!(
        "{suite}: {semantic}/{outputs} as expected, {bytes} of them to the byte; {refused}/{errors} errors"
    );
}

/// Names another corpus than that beside the workspace.
const CORPUS: &str = "TIDEGATE_CONFORMANCE";

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os(CORPUS).map_or_else(
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

/// Builds a case. Says as well whether an error is expected.
fn run(case: &Path) -> (Outcome, bool) {
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
    let is_error = about["expect"] == "error";
    let outcome = match (result, is_error) {
        (Err(_), true) => Outcome::Refused,
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
    };
    (outcome, is_error)
}
