//! Generates what is derived from the types and the command lines: CRDs, install manifests, the
//! parts of the chart, and reference docs.

mod chart;
mod config;
mod fields;
mod files;
mod flags;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::files::Files;

/// Tasks of the repository.
#[derive(Debug, Parser)]
struct Root {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the generated files
    Generate(Generate),
}

#[derive(Debug, Args)]
struct Generate {
    /// Fail if a file is not up to date, instead of writing it
    #[arg(long)]
    check: bool,
}

fn main() -> anyhow::Result<()> {
    let Root { task: Task::Generate(Generate { check }) } = Root::parse();
    let files = generate()?;
    if check { files.check(&root()) } else { files.write(&root()) }
}

/// Returns every generated file.
fn generate() -> anyhow::Result<Files> {
    let mut files = Files::default();
    config::generate(&mut files);
    chart::generate(&mut files)?;
    flags::generate(&mut files);
    fields::generate(&mut files);
    Ok(files)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        generate().unwrap().check(&root()).unwrap();
    }
}
