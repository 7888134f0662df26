//! Leader election against an API.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use common::election::{Election, Terms};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

const NAME: &str = "source-controller-leader-election";

fn terms(client: &Client) -> Terms {
    Terms {
        name: NAME.to_owned(),
        namespace: client.default_namespace().to_owned(),
        lease_duration: Duration::from_secs(2),
        renew_deadline: Duration::from_secs(1),
        retry_period: Duration::from_millis(100),
    }
}

fn leases(client: &Client) -> Api<Lease> {
    Api::default_namespaced(client.clone())
}

async fn spec(client: &Client) -> LeaseSpec {
    leases(client).get(NAME).await.unwrap().spec.unwrap()
}

#[tokio::test]
async fn lets_one_candidate_lead_at_a_time() {
    let cluster = testkit::cluster().await.unwrap();
    let mut first = Election::new(cluster.client.clone(), terms(&cluster.client));
    first.win().await;
    let held = spec(&cluster.client).await;
    assert_eq!(held.lease_duration_seconds, Some(2));
    assert_eq!(held.lease_transitions, Some(0));

    let mut second = Election::new(cluster.client.clone(), terms(&cluster.client));
    let waits = async {
        tokio::select! {
            () = second.win() => panic!("two lead"),
            () = first.keep() => panic!("the leadership was lost"),
        }
    };
    // Longer than the lease lasts: it is renewed meanwhile.
    assert!(timeout(Duration::from_secs(4), waits).await.is_err());

    first.release().await;
    timeout(SOON, second.win()).await.unwrap();
    let taken = spec(&cluster.client).await;
    assert_eq!(taken.lease_transitions, Some(1));
    assert_ne!(taken.holder_identity, held.holder_identity);
}

#[tokio::test]
async fn takes_over_from_a_leader_that_does_not_renew() {
    let cluster = testkit::cluster().await.unwrap();
    let now = MicroTime(Timestamp::now());
    let lease = Lease {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some("source-controller-7d9f_gone".to_owned()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        }),
    };
    leases(&cluster.client).create(&PostParams::default(), &lease).await.unwrap();
    let mut election = Election::new(cluster.client.clone(), terms(&cluster.client));
    timeout(SOON, election.win()).await.unwrap();
    assert_eq!(spec(&cluster.client).await.lease_transitions, Some(5));
}

#[tokio::test]
async fn notices_that_another_one_leads() {
    let cluster = testkit::cluster().await.unwrap();
    let mut election = Election::new(cluster.client.clone(), terms(&cluster.client));
    election.win().await;
    let mut lease = leases(&cluster.client).get(NAME).await.unwrap();
    let spec = lease.spec.as_mut().unwrap();
    spec.holder_identity = Some("usurper".to_owned());
    spec.lease_duration_seconds = Some(3600);
    leases(&cluster.client).replace(NAME, &PostParams::default(), &lease).await.unwrap();
    timeout(SOON, election.keep()).await.unwrap();
}
