//! Controllers run on machines whose clocks are wrong.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use e2e::{Toolkit, fleet};

/// A library that moves the clock of a program which is loaded after it.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int (*original)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = original(id, now);
    if (id == CLOCK_REALTIME)
        now->tv_sec += atol(getenv("CLOCK_OFFSET"));
    return result;
}
"#;

const HOUR: i64 = 3600;

/// Returns an environment in which clocks are wrong by so many seconds.
fn offset(folder: &Path, seconds: i64) -> anyhow::Result<Vec<(&'static str, String)>> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, CLOCK)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    ensure!(compiler.status().context("there is no C compiler")?.success());
    let library = library.display().to_string();
    Ok(vec![("LD_PRELOAD", library), ("CLOCK_OFFSET", seconds.to_string())])
}

#[tokio::test]
async fn controllers_with_different_clocks_work_together() -> anyhow::Result<()> {
    let mut toolkit = Toolkit::start().await?;
    let scratch = tempfile::tempdir()?;
    let (repository, server) = fleet(&toolkit.repositories()?).await?;
    let commit = |value: &str| {
        let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: ";
        repository.write("apps/a.yaml", &format!("{config}{value}\n"))?;
        repository.commit("Change a")
    };
    let first_commit = commit("one")?;
    let flags = [
        "--enable-leader-election",
        "--leader-election-lease-duration=3s",
        "--leader-election-renew-deadline=2s",
        "--leader-election-retry-period=100ms",
    ];
    let leads = r#"leader_election_master_status{name="kustomize-controller-leader-election"}"#;
    toolkit.environment = offset(scratch.path(), HOUR)?;
    let _source = toolkit.source_controller(&[])?;
    toolkit.environment = offset(scratch.path(), -HOUR)?;
    let mut first = toolkit.kustomize_controller(&flags)?;
    toolkit.declare("fleet", &server.url("fleet")).await?;
    toolkit.until_applied("fleet", &first_commit).await?;

    // What the leader has written is two hours old by this one's clock.
    toolkit.environment = offset(scratch.path(), HOUR)?;
    let second = toolkit.kustomize_controller(&flags)?;
    assert!(second.metrics().await?.contains(&format!("{leads} 0")));
    let second_commit = commit("two")?;
    toolkit.request("fleet", "two").await?;
    toolkit.until_applied("fleet", &second_commit).await?;
    assert!(first.metrics().await?.contains(&format!("{leads} 1")));

    first.process.kill().await?;
    let third_commit = commit("three")?;
    toolkit.request("fleet", "three").await?;
    toolkit.until_applied("fleet", &third_commit).await?;
    assert!(second.metrics().await?.contains(&format!("{leads} 1")));
    Ok(())
}
