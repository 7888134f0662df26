//! Time and memory of processes, and throughput within one.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kustomize::{Options, Order, build, to_yaml};
use wait4::Wait4 as _;

use crate::disk;

/// The argument that makes this program measure a build within itself.
pub(crate) const INSIDE: &str = "--inside";

/// How many seconds kubectl has for a build.
const LIMIT: &str = "60";

/// How often a build is repeated.
#[derive(Clone, Copy)]
pub(crate) enum Rounds {
    /// For one build that stands for itself.
    Many,
    /// For one of many builds that are summed up.
    Few,
}

impl Rounds {
    /// What takes long is not repeated as often.
    fn left_after(self, first: Duration) -> usize {
        match self {
            _ if first > Duration::from_secs(4) => 0,
            Self::Few => 0,
            Self::Many if first > Duration::from_secs(1) => 2,
            Self::Many => 8,
        }
    }
}

/// What a process took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Median, from start to end.
    pub time: Duration,
    /// Median of the time that processors spent, which other load of the machine hardly changes.
    pub cpu: Duration,
    /// The most memory that was resident in any round, in bytes.
    pub memory: u64,
}

/// What a build took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub own: Usage,
    /// Nothing where there is no kubectl, or where it did not come to an end.
    pub kubectl: Option<Usage>,
    /// The median within a process that has built before.
    pub inside: Duration,
    pub objects: u64,
    /// Bytes of output.
    pub bytes: u64,
}

impl Figures {
    /// Adds another build: times are summed, of memory the most is kept.
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |own: Usage, other: Usage| Usage {
            time: own.time + other.time,
            cpu: own.cpu + other.cpu,
            memory: own.memory.max(other.memory),
        };
        self.own = sum(self.own, other.own);
        self.kubectl = match (self.kubectl, other.kubectl) {
            (Some(all), Some(other)) => Some(sum(all, other)),
            (None, other) => other,
            (all, None) => all,
        };
        self.inside += other.inside;
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// The programs that are compared.
pub(crate) struct Programs {
    /// This program.
    bench: PathBuf,
    own: PathBuf,
    pub kubectl: Option<PathBuf>,
}

impl Programs {
    pub(crate) fn find() -> Result<Self, Box<dyn Error>> {
        let bench = std::env::current_exe()?;
        let own = bench.with_file_name("build");
        if !own.is_file() {
            return Err("the example `build` is not built".into());
        }
        let kubectl = std::env::var_os("KUBECTL").filter(|path| !path.is_empty());
        let kubectl = kubectl.map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
        let version = Command::new(&kubectl).args(["version", "--client"]).output();
        let kubectl = version.is_ok_and(|output| output.status.success()).then_some(kubectl);
        Ok(Self { bench, own, kubectl })
    }

    pub(crate) fn measure(
        &self,
        dir: &Path,
        rounds: Rounds,
        flags: &[String],
    ) -> Result<Figures, Box<dyn Error>> {
        let own = usage(rounds, || {
            let mut command = Command::new(&self.own);
            command.arg(dir).args(flags);
            command
        })?;
        let kubectl = self.kubectl.as_ref().and_then(|kubectl| {
            let measured = usage(rounds, || {
                let mut command = Command::new("timeout");
                command.arg(LIMIT).arg(kubectl).arg("kustomize").arg(dir).args(flags);
                command
            });
            measured.inspect_err(|error| eprintln!("{error} within {LIMIT} seconds")).ok()
        });
        // In a process of its own: what this one uses would count as memory of those it starts.
        let output = Command::new(&self.bench).arg(INSIDE).arg(dir).output()?;
        let numbers = String::from_utf8(output.stdout)?;
        let mut numbers = numbers.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().ok_or("a build within the process failed");
        Ok(Figures {
            own,
            kubectl,
            inside: Duration::from_nanos(next()??),
            objects: next()??,
            bytes: next()??,
        })
    }
}

fn usage(rounds: Rounds, command: impl Fn() -> Command) -> Result<Usage, Box<dyn Error>> {
    let (mut times, mut cpu, mut memory) = (Vec::new(), Vec::new(), 0);
    let mut left = 1;
    while left > 0 {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let used = command.spawn()?.wait4()?;
        times.push(start.elapsed());
        if !used.status.success() {
            return Err(format!("{command:?} failed").into());
        }
        cpu.push(used.rusage.utime + used.rusage.stime);
        memory = memory.max(used.rusage.maxrss);
        left = if times.len() == 1 { rounds.left_after(times[0]) } else { left - 1 };
    }
    Ok(Usage { time: median(times), cpu: median(cpu), memory })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Builds a directory several times and prints nanoseconds, objects and bytes of output.
pub(crate) fn inside(dir: &str) -> Result<(), Box<dyn Error>> {
    let options = Options { order: Order::Legacy, openapi_replaces: true, ..Options::default() };
    let path = Path::new(dir).canonicalize()?;
    let (mut times, mut objects, mut bytes) = (Vec::new(), 0, 0);
    while times.len() < 5 && times.iter().sum::<Duration>() < Duration::from_secs(4) {
        let start = Instant::now();
        let built = build(&disk::Disk, &path.to_string_lossy(), &options)?;
        bytes = to_yaml(&built).len();
        times.push(start.elapsed());
        objects = built.len();
    }
    println!("{} {objects} {bytes}", median(times).as_nanos());
    Ok(())
}
