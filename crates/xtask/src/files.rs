//! The set of generated files, and the repository that it is held against.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, bail};

/// Folders in which every file is generated: what is not in the set does not belong there.
const FOLDERS: [&str; 7] = [
    "charts/tidegate/crds",
    "charts/tidegate/templates",
    "config/crd",
    "config/install",
    "config/manager",
    "config/rbac",
    "docs/reference",
];

/// Generated files, by path from the root of the repository.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: BTreeMap<String, String>,
}

impl Files {
    /// Adds a file.
    pub(crate) fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.files.insert(path.into(), text.into());
    }

    /// Returns the texts of all files.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.values().map(String::as_str)
    }

    /// Writes the files that differ, and removes those that are no longer generated.
    pub(crate) fn write(&self, root: &Path) -> anyhow::Result<()> {
        for (path, text) in &self.files {
            let file = root.join(path);
            if fs::read_to_string(&file).is_ok_and(|old| old == *text) {
                continue;
            }
            let folder = file.parent().context("a file has a folder")?;
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&file, text))
                .with_context(|| format!("failed to write {path}"))?;
        }
        for path in self.strangers(root)? {
            fs::remove_file(root.join(&path))
                .with_context(|| format!("failed to remove {path}"))?;
        }
        Ok(())
    }

    /// Returns an error that names every file that writing would change.
    pub(crate) fn check(&self, root: &Path) -> anyhow::Result<()> {
        let mut stale: BTreeSet<String> = self.strangers(root)?;
        let differs = |(path, text): &(&String, &String)| {
            fs::read_to_string(root.join(path)).map_or(true, |old| old != **text)
        };
        stale.extend(self.files.iter().filter(differs).map(|(path, _)| path.clone()));
        if stale.is_empty() {
            return Ok(());
        }
        let list = stale.into_iter().collect::<Vec<_>>().join("\n  ");
        bail!("not up to date, run `make generate`:\n  {list}")
    }

    /// Returns the files in generated folders that are not in the set.
    fn strangers(&self, root: &Path) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut folders: Vec<String> = FOLDERS.map(str::to_owned).into();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(root.join(&folder)) else { continue };
            for entry in entries {
                let entry = entry.with_context(|| format!("failed to list {folder}"))?;
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() {
                    folders.push(path);
                } else if !self.files.contains_key(&path) {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }
}
