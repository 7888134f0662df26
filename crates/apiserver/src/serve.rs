//! The API over TCP, with TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Layer;

use crate::auth::Authenticate;
use crate::body::Body;
use crate::server::{ApiServer, ApiService};
use crate::user::UserInfo;

/// How long a client may take for the TLS handshake, and for the head of a request.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often a connection is asked whether its client still listens.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Why the API could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others could reach the address, and the options do not allow that.
    #[error("{addr} is not a loopback address")]
    NotLoopback {
        /// Address that was asked for.
        addr: SocketAddr,
    },
    /// The address is taken, or not ours.
    #[error("failed to listen on {addr}")]
    Listen {
        /// Address that was asked for.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("failed to make a certificate for {addr}")]
    Certificate {
        /// Address to be certified.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The certificate was refused.
    #[error("failed to set TLS up")]
    Tls(#[from] rustls::Error),
}

/// An API that is being served; dropping it closes the listener and every connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let api = apiserver::ApiServer::new(apiserver::Options::default());
/// let served = api.serve(([127, 0, 0, 1], 0).into()).await?;
/// std::fs::write("kubeconfig", served.kubeconfig())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Served {
    /// Address the API listens on; the port is the one given by the system if 0 was asked for.
    pub addr: SocketAddr,
    /// Certificate of the authority that signed the server's, in PEM.
    pub ca: String,
    /// Bearer token of the administrator, valid as long as the [`ApiServer`] lives, or its folder.
    pub token: SecretString,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Returns a kubeconfig, as JSON (which is YAML), for the administrator. It holds the token:
    /// write it where only its user can read it.
    pub fn kubeconfig(&self) -> String {
        use base64::Engine;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tidegate",
            "clusters": [{
                "name": "tidegate",
                "cluster": {
                    "server": format!("https://{}", self.addr),
                    "certificate-authority-data": ca,
                },
            }],
            "users": [{"name": "admin", "user": {"token": self.token.expose_secret()}}],
            "contexts": [{
                "name": "tidegate",
                "context": {"cluster": "tidegate", "user": "admin", "namespace": "default"},
            }],
        });
        format!("{config:#}\n")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ApiServer {
    /// Serves the API on `addr` over TLS, HTTP/2 and HTTP/1.1, until the result is dropped.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or is not a loopback address and
    /// [`Options::remote`](crate::Options) is not set.
    pub async fn serve(&self, addr: SocketAddr) -> Result<Served, ServeError> {
        self.serve_with(addr, tower::layer::util::Identity::new()).await
    }

    /// Serves the API as [`ApiServer::serve`] does, with a layer of the caller around the
    /// service: to count requests, say, or to refuse some of them. It sees the request with its
    /// [`UserInfo`] among the extensions.
    ///
    /// # Errors
    ///
    /// As [`ApiServer::serve`].
    pub async fn serve_with<L>(&self, addr: SocketAddr, layer: L) -> Result<Served, ServeError>
    where
        L: Layer<ApiService>,
        L::Service: tower::Service<
                http::Request<hyper::body::Incoming>,
                Response = http::Response<Body>,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + Sync
            + 'static,
    {
        if !addr.ip().is_loopback() && !self.options().remote {
            return Err(ServeError::NotLoopback { addr });
        }
        let listen = |source| ServeError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let certificate = |source| ServeError::Certificate { addr, source };
        let authority = self.identity().authority().map_err(certificate)?;
        let config = authority.certify(addr).map_err(certificate)?.into_config()?;
        let ca = authority.pem().to_owned();
        let (tokens, admin) = (&self.cluster().tokens, UserInfo::admin());
        let token = match self.identity().token() {
            Some(token) => tokens.admit(token.clone(), admin),
            None => tokens.issue(admin),
        };
        let service = Authenticate::new(layer.layer(self.service()), self.cluster().clone());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(accept(listener, acceptor, service));
        Ok(Served { addr, ca, token, task })
    }
}

async fn accept<S>(listener: TcpListener, acceptor: TlsAcceptor, service: Authenticate<S>)
where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (acceptor, service) = (acceptor.clone(), service.clone());
                    connections.spawn(async move {
                        if let Err(error) = connection(stream, acceptor, service).await {
                            tracing::debug!(%peer, %error, "connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<S>(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    service: Authenticate<S>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<Body>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let service = TowerToHyperService::new(service);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
    builder.serve_connection(TokioIo::new(stream), service).await
}
