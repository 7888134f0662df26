//! The API over TCP, with TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Layer;

use crate::auth::Authenticate;
use crate::body::Body;
use crate::server::{ApiServer, ApiService};
use crate::user::UserInfo;

/// Why the API could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
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
#[derive(Debug)]
pub struct Served {
    /// Address the API listens on; the port is the one given by the system if 0 was asked for.
    pub addr: SocketAddr,
    /// Certificate of the authority that signed the server's, in PEM.
    pub ca: String,
    /// Bearer token of the administrator.
    pub token: String,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Returns a kubeconfig, as JSON (which is YAML), for the administrator.
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
            "users": [{"name": "admin", "user": {"token": self.token}}],
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
    /// If the address cannot be listened on.
    pub async fn serve(&self, addr: SocketAddr) -> Result<Served, ServeError> {
        self.serve_with(addr, tower::layer::util::Identity::new()).await
    }

    /// Serves the API as [`ApiServer::serve`] does, with a layer of the caller around the
    /// service: to count requests, say, or to refuse some of them. It sees the request with its
    /// [`UserInfo`] among the extensions.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on.
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
        let listen = |source| ServeError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let (ca, config) = certify(addr)?;
        let tokens = self.tokens();
        let token = tokens.issue(UserInfo::admin());
        let service = Authenticate::new(layer.layer(self.service()), tokens);
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
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
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
    let stream = acceptor.accept(stream).await?;
    let service = TowerToHyperService::new(service);
    let builder = auto::Builder::new(TokioExecutor::new());
    builder.serve_connection(TokioIo::new(stream), service).await
}

/// Makes an authority and a certificate for the address.
fn certify(addr: SocketAddr) -> Result<(String, ServerConfig), ServeError> {
    let made = || -> Result<_, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "tidegate");
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_cert = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(
            ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned),
        );
        if !addr.ip().is_unspecified() && !addr.ip().is_loopback() {
            names.push(addr.ip().to_string());
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &issuer)?;
        Ok((authority_cert.pem(), cert.der().clone(), key.serialize_der()))
    };
    let (ca, cert, key) = made().map_err(|source| ServeError::Certificate { addr, source })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert], PrivateKeyDer::Pkcs8(key.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((ca, config))
}
