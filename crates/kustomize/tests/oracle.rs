//! Generated trees, built by `kubectl kustomize` and here: `KUBECTL=… cargo test -p kustomize --test
//! integration oracle:: -- --ignored`. It takes minutes, as every tree is a process.
#![expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use kustomize::{LoadRestrictor, Options, Order, build, to_yaml};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::disk::{Disk, chain};
use crate::fuzz::bodies::{choices::Choices, tree};

fn written(files: &std::collections::BTreeMap<String, String>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn ours(dir: &Path) -> Result<String, String> {
    let options = Options {
        load_restrictor: LoadRestrictor::RootOnly,
        order: Order::Legacy,
        managed_by_label: false,
        openapi_replaces: true,
    };
    let dir = dir.canonicalize().unwrap();
    let built = build(&Disk, dir.to_str().unwrap(), &options);
    built.map(|objects| to_yaml(&objects)).map_err(|error| chain(&error))
}

fn theirs(kubectl: &str, dir: &Path) -> Result<String, String> {
    let output = Command::new(kubectl).arg("kustomize").arg(dir).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("CASES").map_or(1_000, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    #[ignore = "needs kubectl"]
    fn builds_what_kubectl_builds(bytes in vec(any::<u8>(), 0..1_200)) {
        let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".into());
        let files = tree::files(&mut Choices::new(&bytes));
        let dir = written(&files);
        let root = dir.path().join(tree::ROOT);
        let (ours, theirs) = (ours(&root), theirs(&kubectl, &root));
        let equal = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !equal {
            let mut text = String::new();
            for (path, content) in files {
                if !tree::FIXED.iter().any(|(fixed, _)| path.ends_with(fixed)) {
                    text = format!("{text}=== {path}\n{content}");
                }
            }
            let show = |result: Result<String, String>| result.unwrap_or_else(|error| error);
            prop_assert!(false, "{text}=== ours\n{}\n=== theirs\n{}", show(ours), show(theirs));
        }
    }
}
