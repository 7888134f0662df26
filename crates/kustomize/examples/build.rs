//! Builds a directory: `build DIR [--load-restrictor=LoadRestrictionsNone] [--reorder=none]`.
#![expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::path::PathBuf;
use std::process::ExitCode;

use kustomize::{FileKind, LoadRestrictor, Options, Order, Tree, TreeError, build, to_yaml};

struct Disk;

fn error(path: &str, source: std::io::Error) -> TreeError {
    TreeError::Read { path: path.to_owned(), source: source.into() }
}

impl Tree for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        std::fs::read(format!("/{path}")).map_err(|source| error(path, source))
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let metadata = std::fs::metadata(format!("/{path}")).ok()?;
        Some(if metadata.is_dir() { FileKind::Directory } else { FileKind::File })
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let entries = std::fs::read_dir(format!("/{dir}")).map_err(|source| error(dir, source))?;
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

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
    };
    match build(&Disk, &dir.to_string_lossy(), &options) {
        Ok(objects) => {
            print!("{}", to_yaml(&objects));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
