//! Puts the artifacts of other GitRepositories into a checkout.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use api::reason::{CIRCULAR_INCLUDE, NO_ARTIFACT, NOT_FOUND};
use api::source::{Artifact, GROUP, GitRepository};
use common::stop::{Notice, Stop};
use flate2::read::GzDecoder;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use tar::EntryType;

use super::context::Context;
use crate::archive::Limits;
use crate::tree::{Tree, inside};

impl Context {
    /// Returns the artifacts that a GitRepository includes, in the order of its spec.
    pub(crate) fn includes(&self, obj: &GitRepository) -> Result<Vec<Artifact>, Stop> {
        let namespace = obj.namespace().unwrap_or_default();
        let wait = |reason, message: String| {
            Stop::wait(reason, message, self.settings.requeue_dependency, Notice::Silent)
        };
        if let Some(way) = self.way_back(obj) {
            let message = format!("the repository includes itself: {}", way.join(" -> "));
            return Err(wait(CIRCULAR_INCLUDE, message));
        }
        let includes = obj.spec.include.iter().flatten();
        let artifacts = includes.map(|include| {
            let name = &include.repository.name;
            let reference = ObjectRef::new(name).within(&namespace);
            let Some(other) = self.store.get(&reference) else {
                let message = format!(
                    "could not get resource for include '{name}': GitRepository.{GROUP} \"{name}\" \
                     not found"
                );
                return Err(wait(NOT_FOUND, message));
            };
            let artifact = other.status.as_ref().and_then(|status| status.artifact.clone());
            artifact.ok_or_else(|| {
                wait(NO_ARTIFACT, format!("no artifact available for include '{name}'"))
            })
        });
        artifacts.collect()
    }

    /// Returns the names of the repositories on the way from one back to itself. Each would become
    /// a part of the next, and grow without end.
    fn way_back(&self, obj: &GitRepository) -> Option<Vec<String>> {
        let namespace = obj.namespace().unwrap_or_default();
        let start = obj.name_any();
        let includes = |name: &str| -> Vec<String> {
            let reference = ObjectRef::new(name).within(&namespace);
            let other = if name == start { None } else { self.store.get(&reference) };
            let spec = other.as_ref().map_or(&obj.spec, |other| &other.spec);
            if other.is_none() && name != start {
                return Vec::new();
            }
            spec.include.iter().flatten().map(|include| include.repository.name.clone()).collect()
        };
        let mut seen = HashSet::from([start.clone()]);
        let mut ways = vec![vec![start.clone()]];
        while let Some(way) = ways.pop() {
            for name in includes(way.last()?) {
                let longer = || way.iter().cloned().chain([name.clone()]).collect();
                if name == start {
                    return Some(longer());
                }
                if seen.insert(name.clone()) {
                    ways.push(longer());
                }
            }
        }
        None
    }
}

/// Why an artifact could not be included.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IncludeError {
    /// The path to put it at is none, or not free.
    #[error("path calculation for include '{name}' failed")]
    IllegalPath {
        /// The included repository.
        name: String,
        #[source]
        source: io::Error,
    },
    /// The artifact cannot be read, or does not have the path.
    #[error("failed to copy '{name}' include from {from} to {to}")]
    Copy {
        /// The included repository.
        name: String,
        /// The path in it.
        from: String,
        /// The path to put it at.
        to: String,
        #[source]
        source: io::Error,
    },
}

/// Moves what is at a path of an archive to a place, where at most a file or an empty directory is.
///
/// `scratch` is an empty directory on the same file system.
pub(crate) fn copy(
    archive: impl Read,
    from: &Path,
    to: &Path,
    scratch: &Path,
    limits: Limits,
) -> io::Result<()> {
    unpack(archive, scratch, limits)?;
    fs::rename(Tree::new(scratch)?.locate(from)?, to)
}

/// Unpacks an archive that this controller has packed.
fn unpack(archive: impl Read, dir: &Path, limits: Limits) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let mut left = limits.bytes;
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count as u64 >= limits.entries {
            return Err(io::Error::other(format!("more than {} entries", limits.entries)));
        }
        let to = dir.join(inside(&entry.path()?));
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&to)?,
            EntryType::Regular => {
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent)?;
                }
                let mode = entry.header().mode()?;
                left = left
                    .checked_sub(entry.size())
                    .ok_or_else(|| io::Error::other(format!("more than {} bytes", limits.bytes)))?;
                let mut file = fs::File::create(&to)?;
                io::copy(&mut entry, &mut file)?;
                if mode & 0o111 != 0 {
                    use std::os::unix::fs::PermissionsExt as _;
                    file.set_permissions(fs::Permissions::from_mode(0o700))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
