//! The cases of `testdata`.
#![expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::fs;
use std::path::{Path, PathBuf};

use kustomize::{LoadRestrictor, Options, Order, build, to_yaml};

use crate::disk::{Disk, chain};

#[test]
fn cases_build_as_kustomize_builds_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    assert!(cases.len() > 80, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let options = Options {
        load_restrictor: LoadRestrictor::RootOnly,
        order: Order::Legacy,
        managed_by_label: false,
        openapi_replaces: true,
    };
    let built = build(&Disk, case.canonicalize().unwrap().to_str().unwrap(), &options);
    if let Ok(part) = fs::read_to_string(case.join("expected-error")) {
        return match built {
            Err(error) if chain(&error).contains(part.trim()) => Ok(()),
            Err(error) => Err(format!("{name}: {} lacks {part:?}", chain(&error))),
            Ok(_) => Err(format!("{name}: was built")),
        };
    }
    let text = to_yaml(&built.map_err(|error| format!("{name}: {}", chain(&error)))?);
    let expected = fs::read_to_string(case.join("expected.yaml")).unwrap();
    if text == expected {
        return Ok(());
    }
    Err(format!("{name}: expected\n{expected}\nbuilt\n{text}"))
}
