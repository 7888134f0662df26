//! The kubeconfig of the local API, on disk while the API is served.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The context of every kubeconfig of a local API.
const CONTEXT: &str = "tidegate";

/// A kubeconfig that is removed when it is dropped, because nobody answers its address any more.
#[derive(Debug)]
pub(super) struct Kubeconfig {
    path: PathBuf,
    text: String,
}

impl Kubeconfig {
    /// Writes the file, readable by its owner alone: it holds a token.
    ///
    /// It appears all at once, so whoever waits for it can read it. One of an earlier run is
    /// replaced.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another kubeconfig is in its place.
    pub(super) fn write(path: PathBuf, text: &str) -> anyhow::Result<Self> {
        match fs::read_to_string(&path) {
            Ok(old) if !is_ours(&old) => bail!(
                "{} is there already and leads elsewhere, choose another --write-kubeconfig",
                path.display()
            ),
            _ => {}
        }
        replace(&path, text)
            .with_context(|| format!("failed to write kubeconfig {}", path.display()))?;
        Ok(Self { path, text: text.to_owned() })
    }

    /// Returns where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        // Another process may have written its own meanwhile.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            // A file that stays leads nowhere, and the next run replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns whether a kubeconfig leads to a local API, also to one that is gone.
fn is_ours(text: &str) -> bool {
    let config: Value = serde_json::from_str(text).unwrap_or_default();
    config["current-context"] == CONTEXT
        && config["clusters"].as_array().is_some_and(|clusters| clusters.len() == 1)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const OURS: &str = r#"{"current-context": "tidegate", "clusters": [{}]}"#;

    #[test]
    fn is_for_its_owner_alone_and_goes_with_the_api() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        fs::write(&path, OURS).unwrap();
        let kubeconfig = Kubeconfig::write(path.clone(), "token").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "token");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(kubeconfig);
        assert!(!path.exists());
    }

    #[test]
    fn leaves_the_file_of_another_process_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        let kubeconfig = Kubeconfig::write(path.clone(), "token").unwrap();
        fs::write(&path, OURS).unwrap();
        drop(kubeconfig);
        assert!(path.exists());
    }

    #[test]
    fn does_not_replace_the_kubeconfig_of_a_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        fs::write(&path, "apiVersion: v1\nkind: Config\ncurrent-context: production\n").unwrap();
        assert!(Kubeconfig::write(path.clone(), "token").is_err());
        assert!(fs::read_to_string(&path).unwrap().contains("production"));
    }
}
