//! Decrypts files before a build.

use std::collections::{HashMap, HashSet};

use kustomize::{FileKind, MemoryTree, Tree, TreeError};
use serde_json::Value;
use sops::{DecryptError, Format, Integrity, KeyService};
use url::Url;

/// How many bytes decrypted files may have together; they are kept in memory.
const MAX_TOTAL: usize = 128 << 20;

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Why a file could not be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Nothing is at the path.
    #[error("lstat {0}: no such file or directory")]
    NotFound(String),
    /// There is something else than a file.
    #[error("cannot decrypt irregular file as it has file mode type bits set")]
    Irregular,
    /// The file is too big.
    #[error("cannot decrypt file with size ({size} bytes) exceeding limit ({})", sops::MAX_SIZE)]
    TooBig {
        /// How big it is.
        size: usize,
    },
    /// All files together are too big.
    #[error("cannot decrypt more than {MAX_TOTAL} bytes of files")]
    TooMuch,
    /// The file could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A directory that is built on has no kustomization.
    #[error("no kustomization file found")]
    NoKustomization,
    /// It has more than one.
    #[error("found multiple kustomization files")]
    Ambiguous,
    /// The kustomization is no YAML.
    #[error("failed to unmarshal kustomization file from '{path}'")]
    Kustomization {
        /// The file.
        path: String,
        /// Where, and what was expected.
        #[source]
        source: goyaml::Error,
    },
    /// The content could not be decrypted.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
}

/// Returns decrypted files by their paths.
///
/// Source: `DecryptSources`, kustomize-controller 1.9.4, `internal/decryptor/decryptor.go`.
pub(super) fn decrypt(
    tree: &dyn Tree,
    dir: &str,
    keys: &dyn KeyService,
) -> Result<MemoryTree, SourcesError> {
    let mut walk =
        Walk { tree, keys, plain: MemoryTree::default(), known: HashMap::new(), total: 0 };
    let mut visited = HashSet::new();
    // In the order in which they are named, depth first.
    let mut open = vec![join("", dir)];
    while let Some(dir) = open.pop() {
        let Ok(real) = tree.real_path(&dir) else { continue };
        if tree.kind(&dir) != Some(FileKind::Directory) || !visited.insert(real) {
            continue;
        }
        let file = kustomization(tree, &dir)?;
        walk.files(&dir, &file)?;
        let below = texts(&file["resources"]).chain(texts(&file["components"]));
        let below: Vec<_> = below.map(|path| join(&dir, path)).collect();
        open.extend(below.into_iter().rev());
    }
    Ok(walk.plain)
}

/// Returns the format of a file or key, by the end of its name.
pub(super) fn format_of(path: &str) -> Format {
    if path.ends_with(".dockerconfigjson") { Format::Json } else { Format::of_path(path) }
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    keys: &'a dyn KeyService,
    plain: MemoryTree,
    /// The files that were looked at, and what was in those that were encrypted.
    known: HashMap<String, Option<Vec<u8>>>,
    total: usize,
}

impl Walk<'_> {
    /// Decrypts the files that a kustomization names.
    fn files(&mut self, dir: &str, file: &Value) -> Result<(), SourcesError> {
        for generator in items(&file["secretGenerator"]) {
            for source in texts(&generator["files"]) {
                let (key, path) = source.split_once('=').unwrap_or((source, source));
                self.file(dir, path, format_of(key))?;
            }
            for path in texts(&generator["envs"]) {
                let format = match format_of(path) {
                    Format::Binary => Format::Dotenv,
                    format => format,
                };
                self.file(dir, path, format)?;
            }
        }
        for patch in items(&file["patches"]) {
            let path = patch["path"].as_str().unwrap_or_default();
            if !path.is_empty() && !is_remote(path) {
                self.file(dir, path, format_of(path))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &str, path: &str, format: Format) -> Result<(), SourcesError> {
        let path = join(dir, path);
        match self.tree.kind(&path) {
            Some(FileKind::File) => {}
            Some(FileKind::Directory) => return Err(SourcesError::Irregular),
            None => return Err(SourcesError::NotFound(path)),
        }
        let real = self.tree.real_path(&path)?;
        if !self.known.contains_key(&real) {
            let plain = self.read(&path, format)?;
            self.known.insert(real.clone(), plain);
        }
        // A build reads it under the name that it was given.
        if let Some(Some(plain)) = self.known.get(&real) {
            self.total = self.total.saturating_add(plain.len());
            if self.total > MAX_TOTAL {
                return Err(SourcesError::TooMuch);
            }
            self.plain.insert(real, plain.clone());
            self.plain.insert(path, plain.clone());
        }
        Ok(())
    }

    /// Returns what is encrypted in a file, `None` if nothing is.
    fn read(&self, path: &str, format: Format) -> Result<Option<Vec<u8>>, SourcesError> {
        let content = self.tree.read(path)?;
        if content.len() > sops::MAX_SIZE {
            return Err(SourcesError::TooBig { size: content.len() });
        }
        if !format.is_encrypted(&content) {
            return Ok(None);
        }
        Ok(Some(sops::decrypt(&content, (format, format), Integrity::Ignored, self.keys)?))
    }
}

/// Reads the one kustomization of a directory. What is wrong with its fields is told by the build.
fn kustomization(tree: &dyn Tree, dir: &str) -> Result<Value, SourcesError> {
    let paths = NAMES.iter().map(|name| join(dir, name));
    let mut found = paths.filter(|path| tree.kind(path) == Some(FileKind::File));
    let path = found.next().ok_or(SourcesError::NoKustomization)?;
    if found.next().is_some() {
        return Err(SourcesError::Ambiguous);
    }
    let content = tree.read(&path)?;
    let documents = goyaml::parse_documents(&String::from_utf8_lossy(&content));
    let documents = documents.map_err(|source| SourcesError::Kustomization { path, source })?;
    Ok(documents.into_iter().next().unwrap_or_default())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

/// Resolves a path in a directory; it cannot leave the tree.
fn join(dir: &str, path: &str) -> String {
    let dir = if path.starts_with('/') { "" } else { dir };
    let mut names = Vec::new();
    for name in dir.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => _ = names.pop(),
            name => names.push(name),
        }
    }
    names.join("/")
}

fn is_remote(path: &str) -> bool {
    Url::parse(path).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sops::{DataKey, KeyError, MasterKey};

    struct NoKeys;

    impl KeyService for NoKeys {
        fn decrypt(&self, _: &MasterKey) -> Result<DataKey, KeyError> {
            Err(KeyError::new("no keys"))
        }
    }

    fn decrypted(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let tree: MemoryTree = files.iter().copied().collect();
        let plain = decrypt(&tree, "app", &NoKeys);
        let plain = plain.map_err(|error| common::stop::chain(&error))?;
        Ok(plain.list("").unwrap_or_default())
    }

    #[test]
    fn leaves_plain_files_and_missing_directories_alone() {
        let kustomization = "\
secretGenerator:
- name: a
  files: [x.txt, key=sub/y.yaml]
  envs: [../z.env]
patches:
- path: https://example.com/patch.yaml
- patch: '{}'
resources: [missing, ../file.yaml, https://example.com/base, ../base]
";
        let files = [
            ("app/kustomization.yaml", kustomization),
            ("app/x.txt", "x"),
            ("app/sub/y.yaml", "a: b"),
            ("z.env", "A=1"),
            ("file.yaml", "a: b"),
            ("base/Kustomization", "components: [../app]"),
        ];
        assert_eq!(decrypted(&files), Ok(vec![]));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let encrypted = "{\"sops\": {\"mac\": \"ENC[x]\"}}";
        let big = format!("{}{encrypted}", " ".repeat(sops::MAX_SIZE));
        for (kustomization, file, expected) in [
            ("secretGenerator: [{files: [x]}]", None, "lstat app/x: no such file or directory"),
            (
                "secretGenerator: [{envs: [../app]}]",
                None,
                "cannot decrypt irregular file as it has file mode type bits set",
            ),
            (
                "secretGenerator: [{files: [x]}]",
                Some(big.as_str()),
                "cannot decrypt file with size (5242907 bytes) exceeding limit (5242880)",
            ),
            (
                "patches: [{path: x}]",
                Some(encrypted),
                "failed to load encrypted binary data: No keys found in file",
            ),
            ("resources: [../empty]", None, "no kustomization file found"),
            ("resources: [../two]", None, "found multiple kustomization files"),
        ] {
            let mut files = vec![
                ("app/kustomization.yaml", kustomization),
                ("empty/x", ""),
                ("two/kustomization.yaml", ""),
                ("two/Kustomization", ""),
            ];
            files.extend(file.map(|content| ("app/x", content)));
            assert_eq!(decrypted(&files), Err(expected.to_owned()), "{kustomization}");
        }
    }

    #[test]
    fn goes_in_circles_once() {
        let files = [
            ("app/kustomization.yaml", "resources: [../a]"),
            ("a/kustomization.yaml", "resources: [../app, .]"),
        ];
        assert_eq!(decrypted(&files), Ok(vec![]));
    }
}
