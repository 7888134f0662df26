//! The smart HTTP protocol.

use std::{
    any::Any,
    borrow::Cow,
    io::{self, BufRead, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use gix::protocol::transport::Protocol;
use gix_transport::client::blocking_io::{
    Transport,
    http::{self, GetResponse, Http, PostBodyDataKind, PostResponse},
};
use percent_encoding::percent_decode_str;
use redact::RedactedUrl;
use reqwest::{
    Client, Method, Request, Response, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
    },
    redirect::Policy,
};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{basic, dial};
use crate::{Auth, Error, Limit, Remote, operation::Operation};

/// How many redirects are followed, which is what Go's client does.
const MAX_REDIRECTS: usize = 10;

/// The longest request that is sent; requests list commits.
const MAX_REQUEST: usize = 16 << 20;

/// What the answers need beside packs: framing and messages.
const OVERHEAD: u64 = 64 << 20;

/// Returns a transport over HTTP.
pub(super) fn connect(
    remote: &Remote,
    operation: &Arc<Operation>,
) -> Result<Box<dyn Transport + Send>, Error> {
    let authorization = authorization(remote)?;
    let mut url = remote.url().clone();
    // Both fail only where there can be no user name.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let base = gix::url::parse(url.as_str())
        .map_err(|err| Error::InvalidUrl { url: remote.redacted_url(), reason: err.to_string() })?;
    let backend = Backend {
        client: client(remote)?,
        authorization,
        origin: url,
        redirected: None,
        user_agent: user_agent(remote)?,
        list_bytes: remote.options.limits.list_bytes,
        pack_bytes: remote.options.limits.pack_bytes,
        operation: Arc::clone(operation),
    };
    Ok(Box::new(http::Transport::new_http(backend, base, Protocol::V2, false)))
}

fn client(remote: &Remote) -> Result<Client, Error> {
    let url = remote.redacted_url();
    let tls = remote.tls.http_config().map_err(|source| Error::Tls { url: url.clone(), source })?;
    let mut builder =
        Client::builder().tls_backend_preconfigured(tls).redirect(Policy::none()).referer(false);
    if let Some(proxy) = &remote.proxy {
        let invalid = |source: reqwest::Error| Error::InvalidProxy {
            proxy: RedactedUrl::new(&proxy.address),
            source: Box::new(source.without_url()),
        };
        let mut address = dial::parse(proxy)?;
        if address.scheme() == "socks5" {
            // The proxy looks up the host, as with Go's client. There is nothing against the change.
            let _ = address.set_scheme("socks5h");
        }
        let mut through = reqwest::Proxy::all(address).map_err(invalid)?;
        if let Some((username, password)) = &proxy.credentials {
            through = through.basic_auth(username, password.expose_secret());
        }
        builder = builder.no_proxy().proxy(through);
    }
    builder.build().map_err(|source| Error::Connect { url, source: Box::new(source.without_url()) })
}

fn user_agent(remote: &Remote) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(&remote.options.user_agent).map_err(|_| Error::InvalidCredentials {
        url: remote.redacted_url(),
        reason: "the user agent has characters that HTTP does not allow",
    })
}

/// Returns the header that identifies the client.
fn authorization(remote: &Remote) -> Result<Option<HeaderValue>, Error> {
    let invalid = |reason| Error::InvalidCredentials { url: remote.redacted_url(), reason };
    let text = match &remote.auth {
        Auth::Basic { username, password } => basic(username, password.expose_secret()),
        Auth::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        Auth::Ssh(_) => return Err(invalid("a private key is for ssh")),
        Auth::None => {
            let decode = |text: &str| {
                percent_decode_str(text)
                    .decode_utf8()
                    .map(Cow::into_owned)
                    .map_err(|_| invalid("the user name or password of the URL is not UTF-8"))
            };
            match (remote.url().username(), remote.url().password()) {
                ("", None) => return Ok(None),
                (username, password) => {
                    basic(&decode(username)?, &decode(password.unwrap_or_default())?)
                }
            }
        }
    };
    let mut header = HeaderValue::from_str(&text)
        .map_err(|_| invalid("the token has characters that HTTP does not allow"))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// Sends the requests of the transport, within the bounds of the operation.
struct Backend {
    client: Client,
    authorization: Option<HeaderValue>,
    /// Where the credentials are for.
    origin: Url,
    /// The base URL that the server has sent us to.
    redirected: Option<String>,
    user_agent: HeaderValue,
    list_bytes: u64,
    pack_bytes: u64,
    operation: Arc<Operation>,
}

impl Http for Backend {
    type Headers = Headers;
    type ResponseBody = Body;
    type PostBody = PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Headers, Body>> {
        let headers = parse_headers(headers);
        let exchange = self
            .advertisement(url, base_url, &headers)
            .map_err(|err| gix::Error::from_error(self.operation.fail(err)))?;
        Ok(GetResponse { headers: Headers::new(&exchange), body: Body::new(&exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Headers, Body, PostBody>> {
        let headers = parse_headers(headers);
        let request = self
            .parse(url)
            .map(|url| self.request(Method::POST, url, &headers))
            .map_err(|err| gix::Error::from_error(self.operation.fail(err)))?;
        let exchange = self.exchange(State::Waiting { request, body: Vec::new() }, RESULT);
        Ok(PostResponse {
            post_body: PostBody(Arc::clone(&exchange)),
            headers: Headers::new(&exchange),
            body: Body::new(&exchange),
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result<()> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";

impl Backend {
    /// Gets the first answer of a server, which may be elsewhere.
    fn advertisement(
        &mut self,
        url: &str,
        base_url: &str,
        headers: &HeaderMap,
    ) -> Result<Shared, Error> {
        let tail = url.strip_prefix(base_url).unwrap_or(url).trim_start_matches('/');
        let first = self.parse(url)?;
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(Method::GET, url.clone(), headers);
            let response = send(&self.client, request, &self.operation)?;
            if !response.status().is_redirection() {
                if url != first {
                    let base = url.as_str().strip_suffix(tail).unwrap_or(url.as_str());
                    self.redirected = Some(base.trim_end_matches('/').to_owned());
                }
                let response = check(response, ADVERTISEMENT, &self.operation)?;
                return Ok(self.exchange(State::Answered(response), ADVERTISEMENT));
            }
            url = self.follow(&url, &response, tail)?;
        }
        Err(self.refuse(&url, "there are too many redirects"))
    }

    /// Returns where a redirect leads, if it may be followed.
    fn follow(&self, from: &Url, response: &Response, tail: &str) -> Result<Url, Error> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(to) = location.and_then(|location| from.join(location).ok()) else {
            return Err(self.refuse(from, "it leads nowhere"));
        };
        match (from.scheme(), to.scheme()) {
            ("http" | "https", "https") | ("http", "http") => {}
            ("https", "http") => return Err(self.refuse(&to, "it leads from https to http")),
            _ => return Err(self.refuse(&to, "it does not lead to https or http")),
        }
        if to.query() != from.query() || !to.as_str().ends_with(tail) {
            return Err(self.refuse(&to, "it does not lead to a repository"));
        }
        Ok(to)
    }

    fn refuse(&self, to: &Url, reason: &'static str) -> Error {
        Error::Redirect { from: self.operation.url.clone(), to: RedactedUrl::from(to), reason }
    }

    fn request(&self, method: Method, url: Url, headers: &HeaderMap) -> Request {
        let may_know = knows_the_credentials(&self.origin, &url);
        let mut request = Request::new(method, url);
        let all = request.headers_mut();
        all.clone_from(headers);
        all.insert(USER_AGENT, self.user_agent.clone());
        if let Some(authorization) = self.authorization.clone().filter(|_| may_know) {
            all.insert(AUTHORIZATION, authorization);
        }
        request
    }

    fn exchange(&self, state: State, content_type: &'static str) -> Shared {
        Arc::new(Mutex::new(Exchange {
            state,
            content_type,
            client: self.client.clone(),
            operation: Arc::clone(&self.operation),
            received: 0,
            limit: Limit::ListBytes(self.list_bytes),
            list_bytes: self.list_bytes,
            pack_bytes: self.pack_bytes,
        }))
    }

    fn parse(&self, url: &str) -> Result<Url, Error> {
        Url::parse(url).map_err(|err| Error::InvalidUrl {
            url: self.operation.url.clone(),
            reason: err.to_string(),
        })
    }
}

/// Returns whether a server may see what identifies the client to the original one.
///
/// It has to be the same, except that https may take the place of http.
fn knows_the_credentials(origin: &Url, url: &Url) -> bool {
    let same_place = origin.host() == url.host();
    let (from, to) = (origin.port_or_known_default(), url.port_or_known_default());
    match (origin.scheme(), url.scheme()) {
        (one, other) if one == other => same_place && from == to,
        ("http", "https") => same_place && (from == to || (from, to) == (Some(80), Some(443))),
        _ => false,
    }
}

fn parse_headers(headers: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    headers
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.as_ref().split_once(':')?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        })
        .collect()
}

fn send(client: &Client, request: Request, operation: &Operation) -> Result<Response, Error> {
    operation.wait(client.execute(request))?.map_err(|source| Error::Connect {
        url: operation.url.clone(),
        source: Box::new(source.without_url()),
    })
}

/// Returns an answer only if it is one of Git.
fn check(response: Response, expected: &str, operation: &Operation) -> Result<Response, Error> {
    let url = operation.url.clone();
    match response.status() {
        StatusCode::OK => {}
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            return Err(Error::Authentication { url, status: status.as_u16() });
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Error::RepositoryNotFound { url }),
        status => return Err(Error::Status { url, status: status.as_u16() }),
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(expected)) {
        return Ok(response);
    }
    let content_type = media_type.unwrap_or("something without a media type").to_owned();
    Err(Error::NotGit { url, content_type })
}

/// A request and its answer: the three parts that the transport sees share it.
struct Exchange {
    state: State,
    content_type: &'static str,
    client: Client,
    operation: Arc<Operation>,
    received: u64,
    limit: Limit,
    list_bytes: u64,
    pack_bytes: u64,
}

type Shared = Arc<Mutex<Exchange>>;

enum State {
    /// The body is being written.
    Waiting { request: Request, body: Vec<u8> },
    /// The body of the answer is being read.
    Answered(Response),
    /// Nothing comes any more.
    Over,
}

impl Exchange {
    /// Sends the request, unless it has been sent.
    fn answered(&mut self) -> io::Result<()> {
        let (mut request, body) = match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting { request, body } => (request, body),
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let is_list = body.get(4..).is_some_and(|body| body.starts_with(b"command=ls-refs"));
        self.limit = if is_list {
            Limit::ListBytes(self.list_bytes)
        } else {
            Limit::PackBytes(self.pack_bytes)
        };
        *request.body_mut() = Some(body.into());
        let response = send(&self.client, request, &self.operation)
            .and_then(|response| check(response, self.content_type, &self.operation))
            .map_err(|err| self.operation.fail(err))?;
        self.state = State::Answered(response);
        Ok(())
    }

    /// Returns the next part of the answer, which is empty at its end.
    fn chunk(&mut self) -> io::Result<Bytes> {
        self.answered()?;
        let State::Answered(response) = &mut self.state else { return Ok(Bytes::new()) };
        let chunk = self
            .operation
            .wait(response.chunk())
            .and_then(|chunk| {
                chunk.map_err(|source| Error::Broken {
                    url: self.operation.url.clone(),
                    source: Box::new(source.without_url()),
                })
            })
            .map_err(|err| self.operation.fail(err))?;
        let Some(chunk) = chunk else {
            self.state = State::Over;
            return Ok(Bytes::new());
        };
        self.received += chunk.len() as u64;
        let most = match self.limit {
            Limit::PackBytes(bytes) => bytes.saturating_add(OVERHEAD),
            _ => self.list_bytes,
        };
        if self.received > most {
            let url = self.operation.url.clone();
            return Err(self.operation.fail(Error::TooBig { url, limit: self.limit }));
        }
        Ok(chunk)
    }
}

fn lock(exchange: &Shared) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the body of a request, which is sent when the answer is looked at.
struct PostBody(Shared);

impl Write for PostBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State::Waiting { body, .. } = &mut lock(&self.0).state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        if body.len() + bytes.len() > MAX_REQUEST {
            return Err(io::Error::other("the request is too long"));
        }
        body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The one header that the transport looks at.
struct Headers {
    exchange: Option<Shared>,
    line: Vec<u8>,
    position: usize,
}

impl Headers {
    fn new(exchange: &Shared) -> Self {
        Self { exchange: Some(Arc::clone(exchange)), line: Vec::new(), position: 0 }
    }
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(exchange) = self.exchange.take() {
            let mut exchange = lock(&exchange);
            exchange.answered()?;
            self.line = format!("content-type: {}\n", exchange.content_type).into_bytes();
        }
        Ok(&self.line[self.position..])
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

/// The body of an answer.
struct Body {
    exchange: Shared,
    chunk: Bytes,
}

impl Body {
    fn new(exchange: &Shared) -> Self {
        Self { exchange: Arc::clone(exchange), chunk: Bytes::new() }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = lock(&self.exchange).chunk()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        self.chunk = self.chunk.slice(count..);
    }
}
