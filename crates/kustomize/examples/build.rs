//! Builds a directory: `build DIR [--load-restrictor=LoadRestrictionsNone] [--reorder=none]`.
#![expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../tests/disk.rs"]
mod disk;

use std::path::PathBuf;
use std::process::ExitCode;

use kustomize::{LoadRestrictor, Options, Order, build, to_yaml};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let dir = arguments.iter().find(|argument| !argument.starts_with('-'));
    let dir = PathBuf::from(dir.map_or(".", String::as_str)).canonicalize().unwrap_or_default();
    let none = has("--load-restrictor=LoadRestrictionsNone");
    let options = Options {
        load_restrictor: if none { LoadRestrictor::None } else { LoadRestrictor::RootOnly },
        order: if has("--reorder=none") { Order::Fifo } else { Order::Legacy },
        managed_by_label: has("--enable-managedby-label"),
        openapi_replaces: true,
    };
    match build(&disk::Disk, &dir.to_string_lossy(), &options) {
        Ok(objects) => {
            print!("{}", to_yaml(&objects));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", disk::chain(&error));
            ExitCode::FAILURE
        }
    }
}
