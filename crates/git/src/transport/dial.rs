//! Connections to a host, directly or through a proxy.

use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::connect::{
        HttpConnector,
        proxy::{SocksV5, Tunnel},
    },
    rt::TokioIo,
};
use redact::RedactedUrl;
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tower::ServiceExt as _;

use crate::{Error, Proxy, Remote, transport::basic};

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Connects to the host of a remote repository.
pub(super) async fn dial(remote: &Remote, host: &str, port: u16) -> Result<Box<dyn Stream>, Error> {
    let failed = |source: Source| Error::Connect { url: remote.redacted_url(), source };
    let Some(proxy) = &remote.proxy else {
        let stream =
            TcpStream::connect((host, port)).await.map_err(|source| failed(source.into()))?;
        // Requests are small and wait for an answer.
        stream.set_nodelay(true).map_err(|source| failed(source.into()))?;
        return Ok(Box::new(stream));
    };
    let target = if host.contains(':') {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    };
    let target: Uri =
        target.parse().map_err(|source: http::uri::InvalidUri| failed(source.into()))?;
    let address: Uri = proxy.address.parse().map_err(|err| invalid(proxy, err))?;
    match address.scheme_str() {
        Some("socks5" | "socks5h") => {
            let mut connector = SocksV5::new(address, plain());
            if let Some((username, password)) = &proxy.credentials {
                connector =
                    connector.with_auth(username.clone(), password.expose_secret().to_owned());
            }
            let stream = connector.oneshot(target).await.map_err(|err| failed(err.into()))?;
            Ok(Box::new(stream.into_inner()))
        }
        Some("http") => {
            let connector = with_auth(Tunnel::new(address, plain()), proxy)?;
            let stream = connector.oneshot(target).await.map_err(|err| failed(err.into()))?;
            Ok(Box::new(stream.into_inner()))
        }
        Some("https") => {
            let tls = remote
                .tls
                .client_config()
                .map_err(|source| Error::Tls { url: remote.redacted_url(), source })?;
            let https = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_only()
                .enable_http1()
                .wrap_connector(plain());
            let connector = with_auth(Tunnel::new(address, https), proxy)?;
            let stream = connector.oneshot(target).await.map_err(|err| failed(err.into()))?;
            Ok(Box::new(TokioIo::new(stream)))
        }
        _ => Err(invalid(proxy, "expected http://, https:// or socks5://")),
    }
}

/// Returns what connects to the proxy itself.
fn plain() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector
}

fn with_auth<C>(tunnel: Tunnel<C>, proxy: &Proxy) -> Result<Tunnel<C>, Error> {
    let Some((username, password)) = &proxy.credentials else { return Ok(tunnel) };
    let header = HeaderValue::from_str(&basic(username, password.expose_secret()))
        .map_err(|err| invalid(proxy, err))?;
    Ok(tunnel.with_auth(header))
}

fn invalid(proxy: &Proxy, source: impl Into<Source>) -> Error {
    Error::InvalidProxy { proxy: RedactedUrl::new(&proxy.address), source: source.into() }
}
