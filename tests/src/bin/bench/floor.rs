//! Bare clients that make only the necessary requests: how fast the API lets anyone be.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    meter::Meter,
    report::Phase,
    workload::{self, Workload},
};

/// What a bare client does for a Kustomization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// The applies, and one write of the status.
    Writes,
    /// A dry run of every object first, as a controller has to that checks a set before it writes.
    Validated,
}

impl Floor {
    /// Returns what results are shown as.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Writes => "floor",
            Self::Validated => "validating-floor",
        }
    }

    /// Measures the phases that need requests at all.
    pub(crate) async fn measure(
        self,
        workload: &Workload<'_>,
        concurrency: usize,
        api: Option<u32>,
    ) -> anyhow::Result<Vec<Phase>> {
        let mut phases = Vec::new();
        // What holds the status has to exist; the controllers of a set do not see the namespace.
        self.all(workload, concurrency, async |at| {
            let object = json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": format!("app-{at}")},
                "spec": {
                    "interval": "60m", "prune": true, "suspend": true,
                    "sourceRef": {"kind": "GitRepository", "name": "source-0"},
                },
            });
            workload::create(&workload.client, &workload.namespace, &object).await
        })
        .await?;
        for (name, version) in [("create", 1), ("upgrade", 2), ("no change", 2)] {
            let meter = Meter::start(&workload.client, api.map(|id| ("api", id))).await?;
            let times = self
                .all(workload, concurrency, async |at| {
                    let is_write = name != "no change";
                    let is_upgrade = name == "upgrade";
                    self.apply(workload, at, version, is_write, is_upgrade).await
                })
                .await?;
            phases.push(Phase::of(name, times, meter.stop().await?));
        }
        let meter = Meter::start(&workload.client, api.map(|id| ("api", id))).await?;
        let times = self
            .all(workload, concurrency, async |at| {
                for object in workload::objects(&format!("app-{at}"), 2) {
                    let api = workload::dynamic(&workload.client, &workload.namespace, &object)?;
                    api.delete(&format!("app-{at}"), &DeleteParams::default()).await?;
                }
                let api: Api<api::kustomize::Kustomization> =
                    Api::namespaced(workload.client.clone(), &workload.namespace);
                api.delete(&format!("app-{at}"), &DeleteParams::default()).await?;
                Ok(())
            })
            .await?;
        phases.push(Phase::of("delete", times, meter.stop().await?));
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> =
            Api::all(workload.client.clone());
        namespaces.delete(&workload.namespace, &DeleteParams::default()).await?;
        Ok(phases)
    }

    /// Does something for every Kustomization, so many at a time, and returns when each was done.
    async fn all(
        self,
        workload: &Workload<'_>,
        concurrency: usize,
        work: impl AsyncFn(usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Duration>> {
        let start = Instant::now();
        let work = &work;
        stream::iter(0..workload.kustomizations)
            .map(|at| async move { work(at).await.map(|()| start.elapsed()) })
            .buffer_unordered(concurrency)
            .try_collect()
            .await
    }

    async fn apply(
        self,
        workload: &Workload<'_>,
        at: usize,
        version: usize,
        is_write: bool,
        is_upgrade: bool,
    ) -> anyhow::Result<()> {
        let name = format!("app-{at}");
        let objects = workload::objects(&name, version);
        let apply = async |object: &Value, params: &PatchParams| -> anyhow::Result<()> {
            let api = workload::dynamic(&workload.client, &workload.namespace, object)?;
            api.patch(&name, params, &Patch::Apply(object)).await?;
            Ok(())
        };
        let params = PatchParams::apply("bench").force();
        if self == Self::Validated {
            for object in &objects {
                apply(object, &params.clone().dry_run()).await?;
            }
        }
        if is_write {
            // An upgrade changes one object.
            for object in objects.iter().filter(|it| !is_upgrade || it["kind"] == "Deployment") {
                apply(object, &params).await?;
            }
        }
        let status = json!({"status": {"lastAttemptedRevision": format!("main@sha1:{version}"),
            "lastHandledReconcileAt": format!("{is_write}{is_upgrade}")}});
        let api: Api<api::kustomize::Kustomization> =
            Api::namespaced(workload.client.clone(), &workload.namespace);
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }
}
