//! The client of the cluster that the global flags name.

use anyhow::Context as _;
use http::{HeaderName, HeaderValue};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::args::{Connection, Global};

/// The cluster that the flags lead to.
pub(crate) struct Cluster {
    /// A client of its API.
    pub(crate) client: Client,
    /// The namespace to work in.
    pub(crate) namespace: String,
}

/// Connects to the cluster that the flags, `KUBECONFIG` or the pod's own account name.
///
/// # Errors
///
/// When no kubeconfig can be read, or it does not lead to a usable configuration.
pub(crate) async fn connect(global: &Global) -> anyhow::Result<Cluster> {
    let config = config(&global.connection).await?;
    let namespace = global.namespace(Some(&config.default_namespace));
    let client =
        Client::try_from(config).context("failed to set up the connection to the cluster")?;
    Ok(Cluster { client, namespace })
}

async fn config(connection: &Connection) -> anyhow::Result<Config> {
    let Connection { kubeconfig, context, cluster, user, .. } = connection;
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
    amend(&mut config, connection)?;
    impersonate(&mut config, connection)?;
    Ok(config)
}

/// Lets flags win over the kubeconfig.
fn amend(config: &mut Config, connection: &Connection) -> anyhow::Result<()> {
    if let Some(server) = &connection.server {
        config.cluster_url = server.parse().context("--server is not a URL")?;
    }
    if let Some(token) = &connection.token {
        config.auth_info.token = Some(token.clone());
    }
    if let Some(path) = &connection.client_certificate {
        config.auth_info.client_certificate = Some(path.clone());
        config.auth_info.client_certificate_data = None;
    }
    if let Some(path) = &connection.client_key {
        config.auth_info.client_key = Some(path.clone());
        config.auth_info.client_key_data = None;
    }
    if let Some(path) = &connection.certificate_authority {
        config.root_cert = None;
        config.root_cert_file = Some(path.clone());
    }
    if let Some(name) = &connection.tls_server_name {
        config.tls_server_name = Some(name.clone());
    }
    config.accept_invalid_certs |= connection.insecure_skip_tls_verify;
    config.disable_compression |= connection.disable_compression;
    Ok(())
}

/// Adds the headers of impersonation; the client leaves those that the kubeconfig asks for out.
fn impersonate(config: &mut Config, connection: &Connection) -> anyhow::Result<()> {
    let own = &config.auth_info;
    let from_flags = connection.as_user.is_some();
    let user = connection.as_user.clone().or_else(|| own.impersonate.clone());
    let Some(user) = user else { return Ok(()) };
    let (uid, groups, extra) = if from_flags {
        let extra = connection.as_user_extra.clone();
        (connection.as_uid.clone(), connection.as_groups.clone(), extra)
    } else {
        let extra = own.impersonate_user_extra.iter().flatten();
        let extra = extra
            .flat_map(|(key, values)| values.iter().map(move |value| (key.clone(), value.clone())));
        let groups = own.impersonate_groups.clone().unwrap_or_default();
        (own.impersonate_uid.clone(), groups, extra.collect())
    };
    let mut headers = vec![("impersonate-user".to_owned(), user)];
    headers.extend(uid.map(|uid| ("impersonate-uid".to_owned(), uid)));
    headers.extend(groups.into_iter().map(|group| ("impersonate-group".to_owned(), group)));
    headers
        .extend(extra.into_iter().map(|(key, value)| (format!("impersonate-extra-{key}"), value)));
    for (name, value) in headers {
        let value = HeaderValue::try_from(value)
            .with_context(|| format!("the value of {name} cannot be sent"))?;
        let name = HeaderName::try_from(name).context("the key of an extra cannot be sent")?;
        config.headers.push((name, value));
    }
    Ok(())
}
