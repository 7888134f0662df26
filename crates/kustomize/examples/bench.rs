//! Measures builds: `bench ROUNDS [--against KUBECTL] DIR...` prints the shortest time that a build of
//! each directory takes; against `kubectl kustomize`, of whole processes (the example `build` has to
//! be there).
#![expect(clippy::disallowed_methods, reason = "reads the disk and the clock for the pure crate")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../tests/disk.rs"]
mod disk;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kustomize::{Options, Order, build, to_yaml};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = arguments.iter().position(|argument| argument == "--against");
    let oracle = flag.and_then(|at| arguments.drain(at..(at + 2).min(arguments.len())).nth(1));
    let rounds = arguments.first().and_then(|rounds| rounds.parse().ok());
    let (Some(rounds), [_, dirs @ ..]) = (rounds, arguments.as_slice()) else {
        eprintln!("bench ROUNDS [--against KUBECTL] DIR...");
        return ExitCode::FAILURE;
    };
    let mut totals = [Duration::ZERO; 2];
    for dir in dirs {
        let measured = match &oracle {
            None => inside(rounds, dir).map(|own| [own, Duration::ZERO]),
            Some(oracle) => against(rounds, oracle, dir),
        };
        match measured {
            Ok([own, other]) => {
                totals[0] += own;
                totals[1] += other;
                print([own, other], dir);
            }
            Err(error) => {
                eprintln!("{dir}: {}", disk::chain(&*error));
                return ExitCode::FAILURE;
            }
        }
    }
    print(totals, "all");
    ExitCode::SUCCESS
}

fn print([own, other]: [Duration; 2], dir: &str) {
    if other.is_zero() {
        println!("{own:>12.3?}  {dir}");
    } else {
        let ratio = other.as_secs_f64() / own.as_secs_f64();
        println!("{own:>12.3?} {other:>12.3?} {ratio:>6.1}x  {dir}");
    }
}

fn inside(rounds: u32, dir: &str) -> Result<Duration, Box<dyn Error>> {
    let options = Options { order: Order::Legacy, openapi_replaces: true, ..Options::default() };
    let path = PathBuf::from(dir).canonicalize()?;
    shortest(rounds, || {
        to_yaml(&build(&disk::Disk, &path.to_string_lossy(), &options)?);
        Ok(())
    })
}

fn against(rounds: u32, oracle: &str, dir: &str) -> Result<[Duration; 2], Box<dyn Error>> {
    let own = std::env::current_exe()?.with_file_name("build");
    let run = |mut command: Command| -> Result<(), Box<dyn Error>> {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        status.success().then_some(()).ok_or_else(|| format!("{command:?} failed").into())
    };
    let own = shortest(rounds, || {
        let mut command = Command::new(&own);
        command.arg(dir);
        run(command)
    })?;
    let other = shortest(rounds, || {
        let mut command = Command::new(oracle);
        command.args(["kustomize", dir]);
        run(command)
    })?;
    Ok([own, other])
}

fn shortest(
    rounds: u32,
    mut run: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}
