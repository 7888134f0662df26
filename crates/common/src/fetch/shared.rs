//! Unpacked artifacts that several users share.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::source::Artifact;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::FetchError;

/// How long an artifact is kept for the next user.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// How many bytes of artifacts are kept that nobody may be using.
const KEPT_BYTES: u64 = 256 << 20;

/// How many artifacts are kept that nobody may be using.
const KEPT: usize = 32;

/// The directory of an artifact, removed when its last user drops it. It must not be changed.
#[derive(Debug)]
pub struct Unpacked {
    dir: TempDir,
    size: u64,
}

impl Unpacked {
    pub(super) fn new(dir: TempDir, size: u64) -> Self {
        Self { dir, size }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Where an artifact is from, and what it is. The address counts too: who only knows the digest of
/// the artifact of another must not be given it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    url: String,
    digest: String,
}

struct Slot {
    unpacked: Arc<OnceCell<Arc<Unpacked>>>,
    used: Instant,
}

/// The artifacts that were unpacked last.
#[derive(Default)]
pub(super) struct Shared {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Shared {
    /// Returns an artifact that is there, or that `unpack` gives. Of several callers one unpacks;
    /// when it fails, the next one tries.
    pub(super) async fn get(
        &self,
        artifact: &Artifact,
        unpack: impl AsyncFnOnce() -> Result<Unpacked, FetchError>,
    ) -> Result<Arc<Unpacked>, FetchError> {
        let key = Key { url: artifact.url.clone(), digest: artifact.digest.clone() };
        let cell = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let empty = || Slot { unpacked: Arc::default(), used: Instant::now() };
            let slot = slots.entry(key.clone()).or_insert_with(empty);
            slot.used = Instant::now();
            slot.unpacked.clone()
        };
        let unpacked = cell.get_or_try_init(async || unpack().await.map(Arc::new)).await.cloned();
        drop(cell);
        self.tidy(&key, Instant::now());
        unpacked
    }

    /// Forgets what is old, what is too much, and a download that has failed. Users keep what they
    /// have.
    fn tidy(&self, key: &Key, now: Instant) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_waited_for = |slot: &Slot| Arc::strong_count(&slot.unpacked) > 1;
        if slots.get(key).is_some_and(|it| it.unpacked.get().is_none() && !is_waited_for(it)) {
            slots.remove(key);
        }
        let mut done: Vec<(Key, Instant, u64)> = slots
            .iter()
            .filter_map(|(key, slot)| Some((key.clone(), slot.used, slot.unpacked.get()?.size)))
            .collect();
        done.sort_by_key(|(_, used, _)| std::cmp::Reverse(*used));
        let (mut count, mut bytes) = (0, 0_u64);
        for (key, used, size) in done {
            count += 1;
            bytes = bytes.saturating_add(size);
            if count > KEPT || bytes > KEPT_BYTES || now.duration_since(used) > KEPT_FOR {
                slots.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn artifact(name: &str, digest: &str) -> Artifact {
        serde_json::from_value(serde_json::json!({
            "url": format!("http://example.com/{name}"), "digest": digest, "path": name,
            "revision": "main", "lastUpdateTime": "2024-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn unpacked(size: u64) -> Unpacked {
        Unpacked::new(tempfile::tempdir().unwrap(), size)
    }

    #[tokio::test]
    async fn unpacks_once_for_all_who_ask_at_the_same_time() {
        let (shared, count) = (Shared::default(), AtomicUsize::new(0));
        let artifact = artifact("a", "sha256:1");
        let get = || {
            shared.get(&artifact, async || {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(unpacked(1))
            })
        };
        let (one, two, three) = tokio::join!(get(), get(), get());
        let path = one.as_ref().unwrap().path().to_owned();
        assert!([two, three].iter().all(|it| it.as_ref().unwrap().path() == path));
        assert_eq!(count.into_inner(), 1);
    }

    #[tokio::test]
    async fn another_address_or_digest_is_another_artifact() {
        let shared = Shared::default();
        let one = shared.get(&artifact("a", "sha256:1"), async || Ok(unpacked(1))).await.unwrap();
        for other in [artifact("a", "sha256:2"), artifact("b", "sha256:1")] {
            let other = shared.get(&other, async || Ok(unpacked(1))).await.unwrap();
            assert_ne!(other.path(), one.path());
        }
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let shared = Shared::default();
        let artifact = artifact("a", "sha256:1");
        let failed = shared.get(&artifact, async || Err(FetchError::NotFound)).await;
        assert!(matches!(failed, Err(FetchError::NotFound)));
        assert!(shared.slots.lock().unwrap().is_empty());
        assert!(shared.get(&artifact, async || Ok(unpacked(1))).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_large_or_old_goes_with_its_last_user() {
        let shared = Shared::default();
        let large = artifact("large", "sha256:1");
        let kept = shared.get(&large, async || Ok(unpacked(KEPT_BYTES + 1))).await.unwrap();
        let path = kept.path().to_owned();
        assert!(path.exists());
        drop(kept);
        assert!(!path.exists());
        let small = artifact("small", "sha256:2");
        let path = shared.get(&small, async || Ok(unpacked(1))).await.unwrap().path().to_owned();
        assert!(path.exists());
        let key = Key { url: small.url.clone(), digest: small.digest.clone() };
        shared.tidy(&key, Instant::now() + KEPT_FOR * 2);
        assert!(!path.exists());
    }
}
