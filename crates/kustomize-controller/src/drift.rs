//! Wakes Kustomizations whose objects are not as they were left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::kustomize::{DRIFT_ANNOTATION, DRIFT_WATCH, Kustomization};
use apply::Moved;
use futures::channel::mpsc::UnboundedSender;
use futures::stream::{FuturesUnordered, StreamExt as _};
use kube::ResourceExt as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::context::Context;
use crate::source::ObjectRef;

/// How long nothing has to be wrong before the next correction comes at once again.
const CALM: Duration = Duration::from_mins(1);

/// The delay of the second correction in a row; it doubles with each, up to the longest. Somebody
/// who changes an object back each time must not keep the controller busy.
const LEAST_DELAY: Duration = Duration::from_secs(1);
const MOST_DELAY: Duration = Duration::from_mins(5);

/// When a Kustomization is woken, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wake {
    at: Instant,
    delay: Duration,
}

/// Wakes those that ask for it, and those whose last run has relied on a watch that was behind.
pub(crate) async fn observe_drift(
    cx: Arc<Context>,
    mut moved: UnboundedReceiver<Moved>,
    wake: UnboundedSender<ObjectRef>,
) {
    let mut wakes: HashMap<ObjectRef, Wake> = HashMap::new();
    let mut due = FuturesUnordered::new();
    loop {
        tokio::select! {
            moved = moved.recv() => {
                let Some(Moved { owner, was_trusted }) = moved else { return };
                let reference = ObjectRef::new(&owner.name).within(&owner.namespace);
                let Some(obj) = cx.store.get(&reference) else { continue };
                if !was_trusted && !is_asked_for(&obj) {
                    continue;
                }
                let now = Instant::now();
                wakes.retain(|_, wake| now < wake.at + wake.delay + CALM);
                let Some(next) = next(wakes.get(&reference), now) else { continue };
                debug!(%reference, was_trusted, "an object has changed");
                wakes.insert(reference.clone(), next);
                due.push(async move {
                    sleep(next.at.saturating_duration_since(now)).await;
                    reference
                });
            }
            Some(reference) = due.next() => {
                // The receiver is gone only when the controller ends.
                let _ = wake.unbounded_send(reference);
            }
        }
    }
}

fn is_asked_for(obj: &Kustomization) -> bool {
    obj.annotations().get(DRIFT_ANNOTATION).is_some_and(|value| value == DRIFT_WATCH)
}

/// Returns when to wake a Kustomization after the last time; `None` when that is still to come.
fn next(last: Option<&Wake>, now: Instant) -> Option<Wake> {
    match last {
        Some(last) if last.at > now => None,
        Some(last) if now < last.at + last.delay + CALM => {
            let delay = (last.delay * 2).clamp(LEAST_DELAY, MOST_DELAY);
            Some(Wake { at: now + delay, delay })
        }
        _ => Some(Wake { at: now, delay: Duration::ZERO }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrects_at_once_and_then_ever_more_slowly() {
        let now = Instant::now();
        let first = next(None, now).unwrap();
        assert_eq!(first, Wake { at: now, delay: Duration::ZERO });
        let second = next(Some(&first), now).unwrap();
        assert_eq!(second.at, now + LEAST_DELAY);
        assert_eq!(next(Some(&second), now), None);
        let third = next(Some(&second), second.at).unwrap();
        assert_eq!(third.delay, LEAST_DELAY * 2);
        let calm = third.at + third.delay + CALM;
        assert_eq!(next(Some(&third), calm).unwrap().at, calm);
    }
}
