//! Leader election by a Lease, as client-go does it: a replica of ours and one of another
//! implementation can stand for the same office.
//!
//! Source: the algorithm of k8s.io/client-go `tools/leaderelection`. Clocks are not compared: a
//! lease has expired when it has not changed for its duration, by the clock of whoever looks.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::delay::jittered;

/// Returns the name of the Lease of a controller: `<controller>-leader-election`, and where only
/// the objects with some labels are reconciled, that and eight hexadecimal digits of the selector's
/// digest.
pub fn lease_name(controller: &str, labels: Option<&str>) -> String {
    match labels {
        None => format!("{controller}-leader-election"),
        Some(labels) => {
            let digest = hex::encode(Sha256::digest(labels));
            format!("{controller}-leader-election-{}", &digest[..8])
        }
    }
}

/// How an office is held.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Name of the Lease.
    pub name: String,
    /// Namespace of the Lease.
    pub namespace: String,
    /// How long others wait for a leader that does not renew.
    pub lease_duration: Duration,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// How long to wait between attempts.
    pub retry_period: Duration,
}

/// A candidate, and then the leader.
pub struct Election {
    api: Api<Lease>,
    terms: Terms,
    identity: String,
    observed: Option<(Lease, Instant)>,
}

impl Election {
    /// Returns a candidate under a name of its own.
    pub fn new(client: Client, terms: Terms) -> Self {
        let host = crate::process::hostname();
        let identity = format!("{host}_{}", uuid::Uuid::new_v4());
        let api = Api::namespaced(client, &terms.namespace);
        Self { api, terms, identity, observed: None }
    }

    /// Returns once this is the leader.
    pub async fn win(&mut self) {
        info!(lease = self.terms.name, namespace = self.terms.namespace, "attempting to lead");
        loop {
            match self.acquire().await {
                Ok(true) => {
                    info!(lease = self.terms.name, identity = self.identity, "leading");
                    return;
                }
                Ok(false) => {}
                Err(error) => warn!(%error, lease = self.terms.name, "failed to acquire the lease"),
            }
            sleep(jittered(self.terms.retry_period, 0.2)).await;
        }
    }

    /// Renews the lease; returns when it could not be renewed in time. From then on another one may
    /// lead.
    pub async fn keep(&mut self) {
        loop {
            sleep(self.terms.retry_period).await;
            if timeout(self.terms.renew_deadline, self.renew()).await.is_err() {
                warn!(lease = self.terms.name, "failed to renew the lease in time");
                return;
            }
        }
    }

    /// Gives the lease back, so that another one need not wait until it expires.
    pub async fn release(mut self) {
        let held = self.observed.take().filter(|(lease, _)| holder(lease) == self.identity);
        let Some((mut lease, _)) = held else { return };
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(now.clone());
        spec.acquire_time = Some(now);
        let params = PostParams::default();
        let replaced = self.api.replace(&self.terms.name, &params, &lease);
        match timeout(self.terms.retry_period, replaced).await {
            Ok(Ok(_)) => info!(lease = self.terms.name, "released the lease"),
            Ok(Err(error)) => warn!(%error, "failed to release the lease"),
            Err(_) => warn!("failed to release the lease in time"),
        }
    }

    /// Tries until it succeeds.
    async fn renew(&mut self) {
        loop {
            match self.acquire().await {
                Ok(true) => return,
                Ok(false) => debug!(lease = self.terms.name, "the lease is held by another one"),
                Err(error) => debug!(%error, "failed to renew the lease"),
            }
            sleep(self.terms.retry_period).await;
        }
    }

    /// Takes or renews the lease; returns whether this holds it now.
    async fn acquire(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.terms.name).await? else {
            let metadata = ObjectMeta {
                name: Some(self.terms.name.clone()),
                namespace: Some(self.terms.namespace.clone()),
                ..ObjectMeta::default()
            };
            let lease = Lease { metadata, spec: Some(self.claim(None)) };
            return self.settle(self.api.create(&PostParams::default(), &lease).await);
        };
        let is_news = self
            .observed
            .as_ref()
            .is_none_or(|(seen, _)| seen.resource_version() != lease.resource_version());
        if is_news {
            self.observed = Some((lease.clone(), Instant::now()));
        }
        let since = self.observed.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        let holder = holder(&lease);
        if !holder.is_empty() && holder != self.identity {
            // What the holder has promised, not what we would.
            let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
            let duration = seconds.and_then(|it| u64::try_from(it).ok()).map(Duration::from_secs);
            if since.elapsed() < duration.unwrap_or(self.terms.lease_duration) {
                return Ok(false);
            }
        }
        let claimed = Lease { spec: Some(self.claim(lease.spec.as_ref())), ..lease };
        // Its version makes the write fail when somebody else was faster.
        self.settle(self.api.replace(&self.terms.name, &PostParams::default(), &claimed).await)
    }

    fn settle(&mut self, written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
        match written {
            Ok(lease) => {
                self.observed = Some((lease, Instant::now()));
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn claim(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mut spec = before.cloned().unwrap_or_default();
        let is_held = spec.holder_identity.as_ref() == Some(&self.identity);
        if !is_held {
            let transitions = before.map(|before| before.lease_transitions.unwrap_or_default() + 1);
            spec.lease_transitions = Some(transitions.unwrap_or_default());
            spec.acquire_time = Some(now.clone());
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.renew_time = Some(now);
        let seconds = self.terms.lease_duration.as_secs();
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        spec
    }
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_lease_of_a_shard_after_its_labels() {
        assert_eq!(lease_name("source-controller", None), "source-controller-leader-election");
        // printf 'sharding.fluxcd.io/key=a' | sha256sum
        let name = lease_name("source-controller", Some("sharding.fluxcd.io/key=a"));
        assert_eq!(name, "source-controller-leader-election-49d8d10c");
    }
}
