//! Programs of this workspace as child processes.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Returns the path of a program of this workspace, next to the running one.
///
/// # Errors
///
/// When it has not been built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let running = std::env::current_exe().context("failed to find the running program")?;
    running
        .ancestors()
        .skip(1)
        .take(2) // tests run from `deps/` below the folder of the programs
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built: run `cargo build --bins`"))
}

/// Returns a figure of the kernel about the memory of a process in bytes, e.g. that of `VmRSS`.
///
/// # Errors
///
/// When the process has ended.
pub fn memory(id: u32, figure: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))
        .with_context(|| format!("process {id} has ended"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("process {id} has no {figure}"))? * 1024)
}

/// A running program, killed when its handle is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts a program of this workspace, with standard error and output going to `log`.
    ///
    /// # Errors
    ///
    /// When the program is not built or cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        args: impl IntoIterator<Item = S>,
        envs: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> anyhow::Result<Self> {
        Self::start_at(&program(name)?, args, envs, log)
    }

    /// Starts any program, with standard error going to `log`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_at<S: AsRef<OsStr>>(
        path: &Path,
        args: impl IntoIterator<Item = S>,
        envs: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let child = Command::new(path)
            .args(args)
            .envs(envs.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { child, name })
    }

    /// Takes the pipe that standard error was sent to, where the program was started with one.
    pub fn stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Returns the process id while the program runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills the program at once, as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("failed to kill {}", self.name))
    }

    /// Asks the program to end, and returns its exit status.
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait().await
    }

    /// Makes the program do nothing, or go on after that.
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub fn pause(&self, is_paused: bool) -> anyhow::Result<()> {
        self.signal(if is_paused { Signal::STOP } else { Signal::CONT })
    }

    /// Sends a signal, unless the program has ended.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            kill_process(pid, signal).with_context(|| format!("failed to signal {}", self.name))?;
        }
        Ok(())
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.with_context(|| format!("failed to wait for {}", self.name))
    }
}
