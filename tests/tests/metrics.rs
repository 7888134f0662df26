//! What dashboards read.

use std::collections::BTreeMap;

use e2e::{Toolkit, fleet};
use prometheus_parse::{Scrape, Value};

/// The names of what a controller exports, with how many series each has.
fn names(text: &str) -> anyhow::Result<BTreeMap<String, usize>> {
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    let mut names = BTreeMap::new();
    for sample in &scrape.samples {
        // The parser knows no type for the parts of a histogram.
        let is_part = sample.metric.ends_with("_sum") || sample.metric.ends_with("_count");
        let is_typed = !matches!(sample.value, Value::Untyped(_));
        assert!(is_part || is_typed, "{} has no type", sample.metric);
        *names.entry(sample.metric.clone()).or_default() += 1;
    }
    Ok(names)
}

#[tokio::test]
async fn have_the_names_that_dashboards_know() -> anyhow::Result<()> {
    let toolkit = Toolkit::start().await?;
    let (repository, server) = fleet(&toolkit.repositories()?).await?;
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
    repository.write("apps/a.yaml", config)?;
    let commit = repository.commit("Add a")?;
    let flags = ["--enable-leader-election"];
    let source = toolkit.source_controller(&flags)?;
    let kustomize = toolkit.kustomize_controller(&flags)?;
    toolkit.declare("fleet", &server.url("fleet")).await?;
    toolkit.until_applied("fleet", &commit).await?;

    for (controller, kind, queue) in [
        (&source, "GitRepository", "gitrepository"),
        (&kustomize, "Kustomization", "kustomization"),
    ] {
        let text = controller.metrics().await?;
        let names = names(&text)?;
        for name in [
            "gotk_reconcile_duration_seconds",
            "gotk_token_cached_items",
            "gotk_token_cache_evictions_total",
            "controller_runtime_reconcile_total",
            "controller_runtime_reconcile_errors_total",
            "controller_runtime_terminal_reconcile_errors_total",
            "controller_runtime_reconcile_panics_total",
            "controller_runtime_reconcile_time_seconds",
            "controller_runtime_max_concurrent_reconciles",
            "controller_runtime_active_workers",
            "workqueue_depth",
            "workqueue_adds_total",
            "workqueue_queue_duration_seconds",
            "workqueue_work_duration_seconds",
            "workqueue_unfinished_work_seconds",
            "workqueue_longest_running_processor_seconds",
            "workqueue_retries_total",
            "rest_client_requests_total",
            "leader_election_master_status",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_start_time_seconds",
            "process_open_fds",
        ] {
            assert!(names.contains_key(name), "{name} is missing from\n{text}");
        }
        let series = format!(
            "gotk_reconcile_duration_seconds_count{{kind=\"{kind}\",name=\"fleet\",namespace=\"default\"}}"
        );
        assert!(text.contains(&series), "{series} is missing from\n{text}");
        let series = format!("controller_runtime_reconcile_total{{controller=\"{queue}\",");
        assert!(text.contains(&series), "{series} is missing from\n{text}");
    }
    Ok(())
}
