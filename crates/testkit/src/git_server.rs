//! A Git server over HTTP, which can also misbehave.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, Version, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::io::ReaderStream;

use crate::certificate::{Authority, Issued};

/// The most that a client may send in one request, in bytes.
const MAX_REQUEST: usize = 16 << 20;

/// Serves the repositories below a folder, as `git http-backend` does, until it is dropped.
pub struct GitServer {
    url: String,
    log: Log,
    task: JoinHandle<()>,
}

/// How a server is to behave.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    root: PathBuf,
    authorization: Option<String>,
    tls: Option<TlsAcceptor>,
    behavior: Behavior,
    only_oldest_protocol: bool,
    moved: Option<(String, String)>,
    without_depth: bool,
}

/// What a server answers.
#[derive(Debug, Clone)]
enum Behavior {
    Serve,
    Hang,
    HangInPack,
    Html,
    Status(u16),
    Redirect(String),
}

/// A request that a server got.
#[derive(Debug, Clone)]
pub struct Record {
    /// Method and path with the query, as in `GET /repo/info/refs?service=git-upload-pack`.
    pub line: String,
    /// The version of HTTP.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, where non-UTF-8 bytes are replaced.
    pub body: String,
}

type Log = Arc<Mutex<Vec<Record>>>;

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitServer {
    /// Prepares a server of the repositories below a folder; `<url>/repo` is `<root>/repo`.
    pub fn builder(root: &Path) -> Builder {
        Builder {
            root: root.to_owned(),
            authorization: None,
            tls: None,
            behavior: Behavior::Serve,
            only_oldest_protocol: false,
            moved: None,
            without_depth: false,
        }
    }

    /// Starts a server of the repositories below a folder that serves everyone over http.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start(root: &Path) -> anyhow::Result<Self> {
        Self::builder(root).start().await
    }

    /// Returns the URL of a repository, with the host `localhost`.
    pub fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.url)
    }

    /// Returns the requests so far, oldest first.
    pub fn requests(&self) -> Vec<Record> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Builder {
    /// Serves only those who give a user name and password.
    pub fn basic_auth(mut self, username: &str, password: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{username}:{password}"));
        self.authorization = Some(format!("Basic {credentials}"));
        self
    }

    /// Serves only those who give a token.
    pub fn bearer_auth(mut self, token: &str) -> Self {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// Serves over https, and, given an authority, only clients that it has issued a certificate
    /// to.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used.
    pub fn tls(mut self, issued: &Issued, clients: Option<&Authority>) -> anyhow::Result<Self> {
        let mut config = ServerConfig::clone(&*issued.server_config(clients)?);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self.tls = Some(TlsAcceptor::from(Arc::new(config)));
        Ok(self)
    }

    /// Speaks the oldest version of the protocol, as servers do that know no other.
    pub fn only_oldest_protocol(mut self) -> Self {
        self.only_oldest_protocol = true;
        self
    }

    /// Does not offer to send commits without their ancestors.
    pub fn without_depth(mut self) -> Self {
        self.without_depth = true;
        self
    }

    /// Accepts connections and never answers.
    pub fn hang(mut self) -> Self {
        self.behavior = Behavior::Hang;
        self
    }

    /// Sends the first few bytes of each pack and then nothing more.
    pub fn hang_in_pack(mut self) -> Self {
        self.behavior = Behavior::HangInPack;
        self
    }

    /// Answers with a page, as login pages and captive portals do.
    pub fn html(mut self) -> Self {
        self.behavior = Behavior::Html;
        self
    }

    /// Answers with a status and no content.
    pub fn status(mut self, status: u16) -> Self {
        self.behavior = Behavior::Status(status);
        self
    }

    /// Answers with redirects to another base URL.
    pub fn redirect(mut self, base_url: &str) -> Self {
        self.behavior = Behavior::Redirect(base_url.trim_end_matches('/').to_owned());
        self
    }

    /// Redirects from one path of the server to another.
    pub fn moved(mut self, from: &str, to: &str) -> Self {
        self.moved = Some((from.to_owned(), to.to_owned()));
        self
    }

    /// Starts the server on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(self) -> anyhow::Result<GitServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}", listener.local_addr()?.port());
        let log = Log::default();
        let acceptor = self.tls.clone();
        let router = Router::new().fallback(handle).with_state((Arc::new(self), Arc::clone(&log)));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                // A connection that breaks is for the client to complain about.
                tokio::spawn(async move { connection(stream, acceptor, router).await.ok() });
            }
        });
        Ok(GitServer { url, log, task })
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
) -> anyhow::Result<()> {
    match acceptor {
        Some(acceptor) => serve(acceptor.accept(stream).await?, router).await,
        None => serve(stream, router).await,
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    router: Router,
) -> anyhow::Result<()> {
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
        .map_err(anyhow::Error::from_boxed)
}

async fn handle(State((options, log)): State<(Arc<Builder>, Log)>, request: Request) -> Response {
    match answer(&options, &log, request).await {
        Ok(response) => response,
        Err(err) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{err:#}")).into_response(),
    }
}

async fn answer(options: &Builder, log: &Log, request: Request) -> anyhow::Result<Response> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST).await?;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Record {
        line: format!("{} {path}", head.method),
        version: head.version,
        headers: head.headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    match &options.behavior {
        Behavior::Hang => return std::future::pending().await,
        Behavior::Html => {
            let page = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            return Ok((page, "<html><body>Please log in</body></html>").into_response());
        }
        Behavior::Status(status) => return Ok(StatusCode::from_u16(*status)?.into_response()),
        Behavior::Redirect(base) => {
            let location = [(header::LOCATION, format!("{base}{path}"))];
            return Ok((StatusCode::MOVED_PERMANENTLY, location).into_response());
        }
        Behavior::Serve | Behavior::HangInPack => {}
    }
    if let Some(expected) = &options.authorization {
        let given = head.headers.get(header::AUTHORIZATION);
        if given.is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
            return Ok((StatusCode::UNAUTHORIZED, challenge).into_response());
        }
    }
    if let Some((from, to)) = &options.moved
        && let Some(rest) = path.strip_prefix(from)
    {
        let location = [(header::LOCATION, format!("{to}{rest}"))];
        return Ok((StatusCode::MOVED_PERMANENTLY, location).into_response());
    }
    backend(options, &head.method, &head.uri, &head.headers, &body).await
}

/// Runs `git http-backend` for one request, by the rules of CGI.
async fn backend(
    options: &Builder,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    request: &[u8],
) -> anyhow::Result<Response> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_PROJECT_ROOT", &options.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(encoding) = text("content-encoding") {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    if let Some(protocol) = text("git-protocol").filter(|_| !options.only_oldest_protocol) {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn().context("failed to run git http-backend")?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let body = request.to_vec();
    tokio::spawn(async move { stdin.write_all(&body).await });

    let mut stdout = BufReader::new(child.stdout.take().context("standard output is a pipe")?);

    let mut response = Response::builder();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            bail!("git http-backend ended without an answer");
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            Some(("Status", status)) => {
                let code: u16 = status.split(' ').next().unwrap_or_default().parse()?;
                response = response.status(code);
            }
            Some((name, value)) => response = response.header(name, value),
            None => break,
        }
    }
    if options.without_depth && method == Method::GET {
        let mut offer = String::new();
        stdout.read_to_string(&mut offer).await?;
        // Another word of the same length, since the length stands before the line.
        return Ok(response.body(Body::from(offer.replace("shallow", "unknown")))?);
    }
    let is_fetch = is_fetch(method, request);
    let (mut pipe, output) = tokio::io::duplex(64 << 10);
    let hangs = is_fetch && matches!(options.behavior, Behavior::HangInPack);
    tokio::spawn(async move {
        if hangs {
            tokio::io::copy(&mut (&mut stdout).take(128), &mut pipe).await?;
            std::future::pending::<()>().await;
        }
        tokio::io::copy(&mut stdout, &mut pipe).await?;
        child.wait().await
    });
    Ok(response.body(Body::from_stream(ReaderStream::new(output)))?)
}

/// Returns whether a request asks for a pack, in either version of the protocol.
fn is_fetch(method: &Method, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    method == Method::POST && (body.contains("command=fetch") || body.contains("want "))
}
