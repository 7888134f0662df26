//! Removes artifacts that nobody needs any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use api::source::Artifact;

use super::Storage;

/// How many files of an object are looked at in one go; what is left is for the next one.
const MOST_FILES: usize = 1000;

/// How long one collection may take.
const BUDGET: Duration = Duration::from_secs(5);

/// How long artifacts stay that are not current.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Older ones are removed. Whoever was told of one has that long to download it.
    pub(crate) ttl: Duration,
    /// Of those that are left, the oldest are removed until there are so many, the current one
    /// included.
    pub(crate) records: usize,
}

/// A stored file.
struct Candidate {
    path: PathBuf,
    modified: SystemTime,
}

impl Storage {
    /// Removes the old artifacts of the object whose current one is given. Returns how many were
    /// removed.
    ///
    /// Source: `GetGarbageFiles`, fluxcd/pkg `artifact/storage/gc.go`.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or a file not be removed; the others are.
    pub(crate) fn collect(&self, current: &Artifact, now: SystemTime) -> io::Result<usize> {
        let started = Instant::now();
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let current = self.locate(&current.path).map_err(invalid)?;
        let Some(dir) = current.parent() else { return Ok(0) };
        let mut removed = 0;
        let mut result = Ok(());
        for path in garbage(candidates(dir)?, &current, self.retention, now) {
            if started.elapsed() > BUDGET {
                break;
            }
            match fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) => result = Err(error),
            }
        }
        self.lock().retain(|path, _| {
            self.locate(path).is_ok_and(|place| place.parent() != Some(dir) || place.exists())
        });
        result.map(|()| removed)
    }
}

/// Lists the artifacts in the directory of an object, and what a writer has left there.
fn candidates(dir: &Path) -> io::Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(candidates),
        Err(error) => return Err(error),
    };
    for entry in entries.take(MOST_FILES) {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let path = entry.path();
        // Locks are those of a Flux that had this storage before.
        if metadata.is_file() && path.extension().is_none_or(|extension| extension != "lock") {
            candidates.push(Candidate { path, modified: metadata.modified()? });
        }
    }
    Ok(candidates)
}

fn garbage(
    mut candidates: Vec<Candidate>,
    current: &Path,
    retention: Retention,
    now: SystemTime,
) -> Vec<PathBuf> {
    let is_expired = |candidate: &Candidate| {
        now.duration_since(candidate.modified).is_ok_and(|age| age > retention.ttl)
    };
    candidates.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    let mut left = candidates.len();
    let (expired, fresh): (Vec<_>, Vec<_>) =
        candidates.into_iter().filter(|it| it.path != current).partition(is_expired);
    left -= expired.len();
    let surplus = left.saturating_sub(retention.records);
    let oldest = fresh.into_iter().take(surplus);
    expired.into_iter().chain(oldest).map(|candidate| candidate.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[(&str, u64)], ttl: u64, records: usize) -> Vec<String> {
        let start = SystemTime::UNIX_EPOCH;
        let candidates = files.iter().map(|(name, age)| Candidate {
            path: PathBuf::from(name),
            modified: start + Duration::from_secs(1000 - age),
        });
        let retention = Retention { ttl: Duration::from_secs(ttl), records };
        let now = start + Duration::from_secs(1000);
        let garbage = garbage(candidates.collect(), Path::new("current"), retention, now);
        garbage.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn removes_what_is_older_than_the_ttl() {
        assert_eq!(names(&[("a", 61), ("current", 0), ("b", 60)], 60, 10), ["a"]);
    }

    #[test]
    fn removes_the_oldest_above_the_number_of_records() {
        let files = [("a", 4), ("b", 3), ("c", 2), ("current", 1)];
        assert_eq!(names(&files, 60, 2), ["a", "b"]);
        assert_eq!(names(&files, 60, 4), [""; 0]);
    }

    #[test]
    fn counts_what_has_expired_first() {
        let files = [("a", 90), ("b", 3), ("c", 2), ("current", 1)];
        assert_eq!(names(&files, 60, 2), ["a", "b"]);
        assert_eq!(names(&files, 60, 3), ["a"]);
    }

    #[test]
    fn never_removes_the_current_artifact() {
        let files = [("current", 900), ("a", 2), ("b", 1)];
        assert_eq!(names(&files, 60, 0), ["a", "b"]);
        assert_eq!(names(&files, 60, 1), ["a", "b"]);
    }
}
