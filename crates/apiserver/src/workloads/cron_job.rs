//! CronJobs: a Job whenever it is time, in UTC.

mod schedule;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job};
use kube::api::{Api, ListParams};
use kube::runtime::controller::Action;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use self::schedule::Schedule;
use super::event::Recorder;
use super::{beside, delete, ensure, is_owned_by, owner, write_status};
use crate::clock;

const COMPONENT: &str = "cronjob-controller";

pub(super) fn drive(client: Client) -> BoxFuture<'static, ()> {
    let controller = super::controller::<CronJob>(&client)
        .owns(Api::<Job>::all(client.clone()), watcher::Config::default());
    super::drive(client, controller, reconcile)
}

async fn reconcile(obj: Arc<CronJob>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let Some(spec) = obj.spec.as_ref().filter(|_| obj.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let api: Api<Job> = beside(&client, &*obj);
    let mut jobs = api.list(&ListParams::default()).await?.items;
    jobs.retain(|job| is_owned_by(job, &*obj));
    jobs.sort_by_key(|job| job.metadata.creation_timestamp.clone().map(|time| time.0));
    forget(&api, spec, &jobs).await?;
    let (done, mut active): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| end(job).is_some());
    let schedule = Schedule::parse(&spec.schedule).filter(|_| spec.suspend != Some(true));
    let last = obj.status.as_ref().and_then(|status| status.last_schedule_time.clone());
    let mut last = last.map(|time| time.0);
    let now = Timestamp::now();
    if let Some(due) = schedule.and_then(|schedule| due(schedule, &obj, last, now)) {
        let policy = spec.concurrency_policy.as_deref().unwrap_or("Allow");
        if policy == "Replace" {
            for job in active.drain(..) {
                delete(&api, &job.name_any()).await?;
            }
        }
        if policy != "Forbid" || active.is_empty() {
            active.extend(ensure(&api, &job(&obj, spec, due)).await?);
            last = Some(due);
            if let Some(job) = active.last() {
                let message = format!("Created job {}", job.name_any());
                Recorder::new(&client, COMPONENT, &*obj).normal("SuccessfulCreate", &message).await;
            }
        }
    }
    let succeeded = done.iter().filter_map(|job| job.status.as_ref()?.completion_time.clone());
    let status = json!({
        "active": active.iter().map(|job| job.object_ref(&())).collect::<Vec<_>>(),
        "lastScheduleTime": last.map(clock::format),
        "lastSuccessfulTime": succeeded.map(|time| time.0).max().map(clock::format),
    });
    write_status(&client, &*obj, &status).await?;
    let next = schedule.and_then(|schedule| schedule.next(now));
    Ok(next.map_or_else(Action::await_change, |next| {
        let left = next.as_second() - now.as_second();
        // A moment later, so that it is surely time.
        Action::requeue(Duration::from_secs(u64::try_from(left).unwrap_or_default() + 1))
    }))
}

/// Returns the latest time that has come since the last run, or since the CronJob was made.
fn due(
    schedule: Schedule,
    cron_job: &CronJob,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    // Two months of minutes: no cluster in memory is that old.
    const MOST_MISSED: usize = 100_000;
    let made = cron_job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let since = last.or(made)?;
    let times = std::iter::successors(schedule.next(since), |time| schedule.next(*time));
    times.take(MOST_MISSED).take_while(|time| *time <= now).last()
}

fn job(cron_job: &CronJob, spec: &CronJobSpec, due: Timestamp) -> Value {
    let meta = spec.job_template.metadata.clone().unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    let key = "batch.kubernetes.io/cronjob-scheduled-timestamp";
    annotations.insert(key.to_owned(), clock::format(due));
    json!({
        "metadata": {
            "name": format!("{}-{}", cron_job.name_any(), due.as_second() / 60),
            "labels": meta.labels,
            "annotations": annotations,
            "ownerReferences": [owner(cron_job)],
        },
        "spec": spec.job_template.spec,
    })
}

/// Returns `Complete` or `Failed` for a job that has ended.
fn end(job: &Job) -> Option<&str> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let mut ended = conditions.iter().filter(|condition| condition.status == "True");
    let ended = ended.find(|one| matches!(one.type_.as_str(), "Complete" | "Failed"))?;
    Some(&ended.type_)
}

/// Deletes the oldest of the jobs that have ended, beyond those to be kept.
async fn forget(api: &Api<Job>, spec: &CronJobSpec, jobs: &[Job]) -> Result<(), kube::Error> {
    for (kind, limit, default) in [
        ("Complete", spec.successful_jobs_history_limit, 3),
        ("Failed", spec.failed_jobs_history_limit, 1),
    ] {
        let kept = usize::try_from(limit.unwrap_or(default)).unwrap_or_default();
        let ended: Vec<&Job> = jobs.iter().filter(|job| end(job) == Some(kind)).collect();
        for job in &ended[..ended.len().saturating_sub(kept)] {
            delete(api, &job.name_any()).await?;
        }
    }
    Ok(())
}
