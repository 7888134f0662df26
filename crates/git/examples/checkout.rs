//! Checks a reference out of a remote repository, and says how long it took.
//!
//! ```console
//! cargo run --release -p git --example checkout -- https://github.com/stefanprodan/podinfo /tmp/podinfo semver='>=6'
//! ```
//!
//! For ssh, `identity=FILE` and `known_hosts=FILE` come along; `proxy=URL` goes through a proxy.

#![expect(clippy::print_stdout, reason = "an example")]

use std::{path::Path, time::Instant};

use anyhow::{Context as _, bail};
use git::{Auth, CheckoutOptions, Proxy, Reference, Remote, SshAuth};
use secrecy::SecretString;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(into)) = (args.next(), args.next()) else {
        bail!("expected a URL, a folder, and branch=, tag=, semver=, name= or commit=");
    };
    let mut remote = Remote::new(&url)?;
    let (mut reference, mut options) = (Reference::default(), CheckoutOptions::default());
    let mut ssh: Option<SshAuth> = None;
    for arg in args {
        let (key, value) = arg.split_once('=').with_context(|| format!("{arg}: missing ="))?;
        let value = value.to_owned();
        let empty = || SshAuth {
            identity: SecretString::default(),
            passphrase: None,
            known_hosts: String::new(),
        };
        match key {
            "branch" => reference.branch = Some(value),
            "tag" => reference.tag = Some(value),
            "semver" => reference.semver = Some(value),
            "name" => reference.name = Some(value),
            "commit" => reference.commit = Some(value),
            "sparse" => options.sparse.push(value),
            "submodules" => options.submodules = value.parse()?,
            "proxy" => remote.proxy = Some(Proxy { address: value, credentials: None }),
            "identity" => {
                ssh.get_or_insert_with(empty).identity = std::fs::read_to_string(value)?.into();
            }
            "known_hosts" => {
                ssh.get_or_insert_with(empty).known_hosts = std::fs::read_to_string(value)?;
            }
            _ => bail!("unknown argument {key}"),
        }
    }
    if let Some(ssh) = ssh {
        remote.auth = Auth::Ssh(ssh);
    }
    let started = Instant::now();
    let checkout = remote.checkout(&reference, &options, Path::new(&into)).await?;
    println!("{} ({})", checkout.revision, checkout.commit.subject());
    println!("{} files in {} ms", checkout.files, started.elapsed().as_millis());
    Ok(())
}
