//! How long to wait until the next attempt.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::{Lookup, ObjectRef};
use kube::runtime::utils::Backoff;

/// Returns an interval that is longer or shorter by at most a share of it, so that objects with the
/// same interval do not come up together.
///
/// `share` is between 0 and 1: with 0.05, `1m` becomes something from 57 to 63 seconds.
pub fn jittered(interval: Duration, share: f64) -> Duration {
    interval.mul_f64((1.0 + share * (2.0 * fastrand::f64() - 1.0)).max(0.0))
}

/// Counts failures in a row, by object, and doubles the delay with each.
pub struct Retries<K: Lookup<DynamicType: Eq + std::hash::Hash>> {
    least: Duration,
    most: Duration,
    failures: Mutex<HashMap<ObjectRef<K>, u32>>,
}

impl<K: Lookup<DynamicType: Eq + std::hash::Hash>> Retries<K> {
    /// Returns delays from `least` to `most`.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, failures: Mutex::default() }
    }

    /// Counts one more failure and returns how long to wait after it.
    pub fn failed(&self, obj: ObjectRef<K>) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(obj).or_default();
        let delay = self.least.saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX));
        *count = count.saturating_add(1);
        delay.min(self.most)
    }

    /// Ends a row of failures.
    pub fn succeeded(&self, obj: &ObjectRef<K>) {
        self.lock().remove(obj);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<K>, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The delay between attempts to watch: short at first, because a definition that is missing now may
/// be there in a moment, and never more than five seconds.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    attempts: u32,
    /// When the last attempt was due.
    due: Option<Instant>,
}

/// How long a watch has to go well before its failures are forgotten. A watch of a kind that is not
/// defined begins well each time, and fails at once.
const STABLE: Duration = Duration::from_secs(1);

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = Duration::from_millis(100).saturating_mul(1 << self.attempts.min(8));
        let delay = jittered(delay.min(Duration::from_secs(5)), 0.1);
        self.attempts += 1;
        self.due = Some(Instant::now() + delay);
        Some(delay)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        if self.due.is_none_or(|due| due.elapsed() > STABLE) {
            self.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use api::source::GitRepository;

    use super::*;

    #[test]
    fn keeps_the_interval_within_its_share() {
        let interval = Duration::from_secs(100);
        for _ in 0..1000 {
            let seconds = jittered(interval, 0.05).as_secs_f64();
            assert!((95.0..=105.0).contains(&seconds), "{seconds}");
        }
        assert_eq!(jittered(interval, 0.0), interval);
    }

    #[test]
    fn doubles_the_delay_until_it_succeeds() {
        let retries: Retries<GitRepository> =
            Retries::new(Duration::from_millis(750), Duration::from_mins(15));
        let obj = || ObjectRef::new("podinfo").within("default");
        let delays: Vec<_> = (0..3).map(|_| retries.failed(obj()).as_millis()).collect();
        assert_eq!(delays, [750, 1500, 3000]);
        for _ in 0..100 {
            assert!(retries.failed(obj()) <= Duration::from_mins(15));
        }
        assert_eq!(retries.failed(ObjectRef::new("other")).as_millis(), 750);
        retries.succeeded(&obj());
        assert_eq!(retries.failed(obj()).as_millis(), 750);
    }

    #[test]
    fn slows_down_a_watch_that_fails_right_after_it_began() {
        let mut backoff = WatchBackoff::default();
        let mut delay = Duration::ZERO;
        for _ in 0..10 {
            delay = backoff.next().unwrap();
            backoff.reset();
        }
        assert!(delay > Duration::from_secs(4), "{delay:?}");
    }
}
