//! A Git repository with a small application in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// A Git repository on disk, on branch `master`.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Creates a repository with a Deployment, a Service and a HorizontalPodAutoscaler in
    /// `kustomize/`, committed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or `git` is missing.
    pub fn sample(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        let repository = Self { path: path.to_owned() };
        repository.git(&["init", "--quiet", "--initial-branch=master"])?;
        repository.write("kustomize/kustomization.yaml", KUSTOMIZATION)?;
        repository.write("kustomize/deployment.yaml", DEPLOYMENT)?;
        repository.write("kustomize/service.yaml", SERVICE)?;
        repository.write("kustomize/hpa.yaml", HPA)?;
        repository.commit("Add podinfo")?;
        Ok(repository)
    }

    /// Returns the folder of the working tree.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of the working tree.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(file);
        let folder = path.parent().context("a file has a folder")?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// Replaces text in a file of the working tree.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or does not hold the text.
    pub fn replace(&self, file: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let path = self.path.join(file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        if !text.contains(from) {
            bail!("{file} does not hold {from:?}");
        }
        self.write(file, &text.replace(from, to))
    }

    /// Removes a file of the working tree.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self, file: &str) -> anyhow::Result<()> {
        let path = self.path.join(file);
        std::fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))
    }

    /// Commits everything in the working tree and returns the commit's hash.
    ///
    /// # Errors
    ///
    /// When `git` fails.
    pub fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Runs `git` in the repository, untouched by the configuration of the user, and returns what
    /// it prints.
    ///
    /// # Errors
    ///
    /// With what it prints to standard error when it fails.
    pub fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.path)
            .args(["-c", "user.name=Demo", "-c", "user.email=demo@example.com"])
            .args(["-c", "commit.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .context("failed to run git")?;
        if !output.status.success() {
            bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

const KUSTOMIZATION: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - deployment.yaml
  - service.yaml
  - hpa.yaml
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
spec:
  selector:
    matchLabels:
      app: podinfo
  template:
    metadata:
      labels:
        app: podinfo
    spec:
      containers:
        - name: podinfod
          image: ghcr.io/stefanprodan/podinfo:6.9.0
          ports:
            - name: http
              containerPort: 9898
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: podinfo
spec:
  selector:
    app: podinfo
  ports:
    - name: http
      port: 9898
      targetPort: http
";

const HPA: &str = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: podinfo
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: podinfo
  minReplicas: 2
  maxReplicas: 4
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 99
";
