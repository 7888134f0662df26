//! The real kubectl, against a cluster of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use apiserver::{ApiServer, Options, Served, workloads};
use kube::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// The oldest minor version whose requests the tests describe.
const OLDEST: u64 = 33;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A served cluster with simulated workloads, and kubectl for it.
pub(crate) struct Kubectl {
    program: OsString,
    home: TempDir,
    simulation: JoinHandle<()>,
    /// Keeps the API up.
    pub(crate) served: Served,
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        self.simulation.abort();
    }
}

/// What a command printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns kubectl and a cluster for it, or `None` after saying why the test is skipped.
///
/// The program is the one that `TIDEGATE_KUBECTL` names, else that of `PATH`.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what they leave out")]
pub(crate) async fn kubectl() -> Option<Kubectl> {
    let given = std::env::var_os("TIDEGATE_KUBECTL");
    let program = given.clone().unwrap_or_else(|| "kubectl".into());
    match minor_version(&program) {
        Ok(minor) if minor >= OLDEST => {}
        Ok(minor) => {
            eprintln!("skipped: kubectl is 1.{minor}, older than 1.{OLDEST}");
            return None;
        }
        Err(error) => {
            assert!(given.is_none(), "TIDEGATE_KUBECTL cannot be run: {error}");
            eprintln!("skipped: no kubectl in PATH, and TIDEGATE_KUBECTL is not set");
            return None;
        }
    }
    let api = ApiServer::new(Options::default());
    let served = api.serve(([127, 0, 0, 1], 0).into()).await.expect("a port is free");
    let home = tempfile::tempdir().expect("there is room for files");
    std::fs::write(home.path().join("kubeconfig"), served.kubeconfig()).expect("just made");
    let simulation = tokio::spawn(workloads::run(Client::new(api.service(), "default")));
    Some(Kubectl { program, home, simulation, served })
}

fn minor_version(program: &OsString) -> Result<u64, String> {
    let output = Blocking::new(program)
        .args(["version", "--client", "--output=json"])
        .output()
        .map_err(|error| error.to_string())?;
    let version: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    minor.trim_end_matches('+').parse().map_err(|_| format!("unknown version {version}"))
}

impl Kubectl {
    /// Runs kubectl with these arguments, split at spaces.
    pub(crate) async fn run(&self, arguments: &str) -> Output {
        self.run_with(arguments, &[]).await
    }

    /// Runs kubectl with these arguments and environment.
    pub(crate) async fn run_with(&self, arguments: &str, env: &[(&str, &str)]) -> Output {
        let output = self.command(arguments).envs(env.iter().copied()).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| unreachable!("kubectl {arguments} does not end"));
        let output = output.expect("kubectl runs: its version was asked for");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Output {
            success: output.status.success(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Returns a command that was not started yet.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments.split_whitespace())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs kubectl, which has to succeed, and returns what it printed.
    pub(crate) async fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments).await;
        assert!(output.success, "kubectl {arguments}: {output:#?}");
        output.stdout
    }

    /// Writes a file that commands can name.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).expect("the directory exists");
        path
    }
}
