//! Controllers that are measured: two binaries in a directory, which have the flags of the contract.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use e2e::{Process, free_port};
use tempfile::TempDir;

const NAMES: [&str; 2] = ["source-controller", "kustomize-controller"];

/// A set of controllers under a name.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    /// What results are shown as.
    pub(crate) label: String,
    /// Where the binaries are.
    pub(crate) dir: PathBuf,
}

/// Controllers that run, until they are dropped.
pub(crate) struct Running {
    scratch: TempDir,
    processes: Vec<(&'static str, Process)>,
}

impl Set {
    /// Makes sure that the binaries are there.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for name in NAMES {
            let path = self.dir.join(name);
            if !path.is_file() {
                bail!("{}: there is no {}; build it first", self.label, path.display());
            }
        }
        Ok(())
    }

    /// Starts the controllers for the objects of one namespace.
    pub(crate) fn start(
        &self,
        kubeconfig: &Path,
        namespace: &str,
        concurrency: usize,
    ) -> anyhow::Result<Running> {
        let scratch = tempfile::tempdir().context("failed to create a scratch directory")?;
        let storage = scratch.path().join("storage");
        std::fs::create_dir(&storage)?;
        let port = free_port()?;
        let mut processes = Vec::new();
        for name in NAMES {
            let mut args = vec![
                "--watch-all-namespaces=false".to_owned(),
                "--events-addr=".to_owned(),
                "--log-level=error".to_owned(),
                format!("--concurrent={concurrency}"),
                format!("--metrics-addr=127.0.0.1:{}", free_port()?),
                format!("--health-addr=127.0.0.1:{}", free_port()?),
            ];
            if name == "source-controller" {
                args.push(format!("--storage-path={}", storage.display()));
                args.push(format!("--storage-addr=127.0.0.1:{port}"));
                args.push(format!("--storage-adv-addr=127.0.0.1:{port}"));
            }
            let kubeconfig = kubeconfig.display().to_string();
            let envs = [("KUBECONFIG", kubeconfig.as_str()), ("RUNTIME_NAMESPACE", namespace)];
            let log = std::fs::File::create(scratch.path().join(format!("{name}.log")))?;
            let process = Process::start_at(&self.dir.join(name), args, &envs, log)?;
            processes.push((name, process));
        }
        Ok(Running { scratch, processes })
    }
}

impl Running {
    /// Returns the names and process ids of the controllers.
    pub(crate) fn ids(&self) -> Vec<(&'static str, u32)> {
        let ids = self.processes.iter();
        ids.filter_map(|(name, process)| Some((*name, process.id()?))).collect()
    }

    /// Returns the last that the controllers have logged, for an error.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for name in NAMES {
            let path = self.scratch.path().join(format!("{name}.log"));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            logs += &lines[lines.len().saturating_sub(10)..].join("\n");
        }
        logs
    }
}
