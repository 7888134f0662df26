//! The client of the cluster that the global flags name.

use anyhow::Context as _;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::args::{Connection, Global};

/// Connects to the cluster that the flags, `KUBECONFIG` or the pod's own account name.
///
/// # Errors
///
/// When no kubeconfig can be read, or it does not lead to a usable configuration.
pub(crate) async fn connect(global: &Global) -> anyhow::Result<Client> {
    let config = config(&global.connection).await?;
    Client::try_from(config).context("failed to set up the connection to the cluster")
}

async fn config(connection: &Connection) -> anyhow::Result<Config> {
    let Connection {
        kubeconfig,
        context,
        cluster,
        user,
        as_user,
        as_groups,
        server,
        token,
        tls_server_name,
        insecure_skip_tls_verify,
    } = connection;
    let options = KubeConfigOptions {
        context: context.clone(),
        cluster: cluster.clone(),
        user: user.clone(),
    };
    let named = context.is_some() || cluster.is_some() || user.is_some();
    let mut config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("failed to read kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(|| format!("kubeconfig {} is not usable", path.display()))?
        }
        None if named => {
            Config::from_kubeconfig(&options).await.context("kubeconfig is not usable")?
        }
        None => Config::infer()
            .await
            .context("no cluster found: set --kubeconfig or KUBECONFIG, or try `tidegate local`")?,
    };
    if let Some(server) = server {
        config.cluster_url = server.parse().context("--server is not a URL")?;
    }
    if let Some(token) = token {
        config.auth_info.token = Some(token.clone().into());
    }
    if let Some(name) = tls_server_name {
        config.tls_server_name = Some(name.clone());
    }
    if *insecure_skip_tls_verify {
        config.accept_invalid_certs = true;
    }
    if let Some(user) = as_user {
        config.headers.push((
            "impersonate-user".parse().expect("a header name"),
            user.parse().context("--as is not a valid header value")?,
        ));
        for group in as_groups {
            config.headers.push((
                "impersonate-group".parse().expect("a header name"),
                group.parse().context("--as-group is not a valid header value")?,
            ));
        }
    }
    Ok(config)
}
