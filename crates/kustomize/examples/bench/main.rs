//! Measures builds: `bench [DIR...]`.
//!
//! Without directories it makes trees of many objects, patches and levels, and builds the cases of
//! `CORPUS` too (the suite of real repositories that the conformance tests read). Beside each stands
//! `kubectl kustomize` (`KUBECTL`), if there is one. Whole processes are measured, start to end, with
//! the example `build` for ours; throughput is that of the library within a process.
#![expect(clippy::disallowed_methods, reason = "reads the disk and the clock for the pure crate")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../../tests/disk.rs"]
mod disk;
mod measure;
mod table;
mod trees;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use measure::{Programs, Rounds};
use table::Table;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [flag, dir] if flag == measure::INSIDE => measure::inside(dir),
        dirs => run(dirs),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", disk::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(dirs: &[String]) -> Result<(), Box<dyn Error>> {
    let programs = Programs::find()?;
    if !dirs.is_empty() {
        let mut table = Table::new(&programs, "directory");
        for dir in dirs {
            table.row(dir, &programs.measure(Path::new(dir), Rounds::Many, &[])?);
        }
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    for (title, trees) in trees::series() {
        let mut table = Table::new(&programs, title);
        for tree in trees {
            let dir = root.path().join(tree.name());
            let dir = tree.write(&dir)?;
            table.row(&tree.name(), &programs.measure(&dir, Rounds::Many, &[])?);
        }
    }
    let Some(cases) = corpus()? else {
        println!("\nno corpus: set CORPUS for builds of real repositories");
        return Ok(());
    };
    let mut table = Table::new(&programs, "real repositories");
    let mut all = measure::Figures::default();
    for (dir, flags) in &cases {
        all.add(&programs.measure(dir, Rounds::Few, flags)?);
    }
    table.row(&format!("all {}", cases.len()), &all);
    Ok(())
}

/// A directory to build, and more arguments.
type Case = (PathBuf, Vec<String>);

/// Returns the cases that build.
fn corpus() -> Result<Option<Vec<Case>>, Box<dyn Error>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var_os("CORPUS").map_or(beside, PathBuf::from);
    let suite = root.join("kustomize/realworld");
    if !suite.is_dir() {
        return Ok(None);
    }
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(suite)? {
        let case = entry?.path();
        let about = std::fs::read_to_string(case.join("case.yaml"))?;
        let about = goyaml::parse_documents(&about)?.into_iter().next().unwrap_or_default();
        if about["expect"] == "error" {
            continue;
        }
        let flags = about["flags"].as_array().into_iter().flatten();
        let flags = flags.filter_map(|flag| flag.as_str().map(str::to_owned)).collect();
        let dir = about["build"].as_str().unwrap_or_default();
        cases.push((case.join("input").join(dir), flags));
    }
    cases.sort();
    Ok(Some(cases))
}
