//! Git repositories on disk, made with the `git` program.

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
    /// Creates a repository without commits.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or `git` is missing.
    pub fn empty(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        let repository = Self { path: path.to_owned() };
        repository.git(&["init", "--quiet", "--initial-branch=master"])?;
        Ok(repository)
    }

    /// Creates a repository with a Deployment, a Service and a HorizontalPodAutoscaler in
    /// `kustomize/`, committed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or `git` is missing.
    pub fn sample(path: &Path) -> anyhow::Result<Self> {
        let repository = Self::empty(path)?;
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
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.rev_parse("HEAD")
    }

    /// Commits everything in the working tree at a time, given as `@<seconds> <zone>` or in
    /// RFC 3339, and returns the commit's hash.
    ///
    /// # Errors
    ///
    /// When `git` fails.
    pub fn commit_at(&self, message: &str, time: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"])?;
        let args = ["commit", "--quiet", "--allow-empty", "--message", message];
        self.run(&args, &[("GIT_COMMITTER_DATE", time), ("GIT_AUTHOR_DATE", time)])?;
        self.rev_parse("HEAD")
    }

    /// Returns the hash that a revision such as `HEAD` or `v1.0.0^{commit}` names.
    ///
    /// # Errors
    ///
    /// When there is no such revision.
    pub fn rev_parse(&self, revision: &str) -> anyhow::Result<String> {
        Ok(self.git(&["rev-parse", "--verify", revision])?.trim().to_owned())
    }

    /// Switches to a branch, which is created at the current commit if there is none.
    ///
    /// # Errors
    ///
    /// When `git` fails.
    pub fn branch(&self, name: &str) -> anyhow::Result<()> {
        let known = self.rev_parse(&format!("refs/heads/{name}")).is_ok();
        let args: &[&str] = if known { &[name] } else { &["-b", name] };
        self.git(&[&["checkout", "--quiet"], args].concat()).map(drop)
    }

    /// Tags the current commit with a lightweight tag.
    ///
    /// # Errors
    ///
    /// When `git` fails.
    pub fn tag(&self, name: &str) -> anyhow::Result<()> {
        self.git(&["tag", name]).map(drop)
    }

    /// Tags the current commit with an annotated tag and returns the hash of the tag object.
    ///
    /// # Errors
    ///
    /// When `git` fails.
    pub fn annotated_tag(&self, name: &str, message: &str) -> anyhow::Result<String> {
        self.git(&["tag", "--annotate", "--message", message, name])?;
        self.rev_parse(&format!("refs/tags/{name}"))
    }

    /// Adds a submodule at a path, to be committed.
    ///
    /// # Errors
    ///
    /// When `git` fails, also because there is nothing at the URL.
    pub fn submodule(&self, url: &str, path: &str) -> anyhow::Result<()> {
        self.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, path])
            .map(drop)
    }

    /// Runs `git` in the repository, untouched by the configuration of the user, and returns what
    /// it prints.
    ///
    /// # Errors
    ///
    /// With what it prints to standard error when it fails.
    pub fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        self.run(args, &[])
    }

    fn run(&self, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.path)
            .args(["-c", "user.name=Demo", "-c", "user.email=demo@example.com"])
            .args(["-c", "commit.gpgsign=false"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs(envs.iter().copied())
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
