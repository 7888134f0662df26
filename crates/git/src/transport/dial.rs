//! Connections to a host, directly or through a proxy.
//!
//! Servers of ssh speak first, so no byte may be read beyond the answer of the proxy: the ready
//! clients of HTTP and SOCKS proxies read ahead.

use std::{io, sync::Arc};

use redact::RedactedUrl;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::basic;
use crate::{Error, Proxy, Remote};

/// The longest answer of an HTTP proxy, in bytes.
const MAX_ANSWER: usize = 16 << 10;

/// A connection of any kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the host of a remote repository.
pub(super) async fn dial(remote: &Remote, host: &str, port: u16) -> Result<Box<dyn Stream>, Error> {
    let failed =
        |source: io::Error| Error::Connect { url: remote.redacted_url(), source: source.into() };
    let Some(proxy) = &remote.proxy else {
        return Ok(Box::new(connect(host, port).await.map_err(failed)?));
    };
    let address = parse(proxy)?;
    let stream = through(remote, proxy, &address, host, port).await;
    stream.map_err(|source| Error::Connect {
        url: remote.redacted_url(),
        source: format!("proxy {}: {source}", RedactedUrl::from(&address)).into(),
    })
}

/// Parses the address of a proxy.
pub(super) fn parse(proxy: &Proxy) -> Result<Url, Error> {
    let invalid = |source: Box<dyn std::error::Error + Send + Sync>| Error::InvalidProxy {
        proxy: RedactedUrl::new(&proxy.address),
        source,
    };
    let address = Url::parse(&proxy.address).map_err(|err| invalid(err.into()))?;
    if !matches!(address.scheme(), "http" | "https" | "socks5" | "socks5h") || !address.has_host() {
        return Err(invalid("expected http://, https:// or socks5:// and a host".into()));
    }
    Ok(address)
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Requests are small and wait for an answer.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn through(
    remote: &Remote,
    proxy: &Proxy,
    address: &Url,
    host: &str,
    port: u16,
) -> io::Result<Box<dyn Stream>> {
    let name = match address.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    };
    let is_socks = address.scheme().starts_with("socks");
    let default = if is_socks { 1080 } else { 80 };
    let mut stream = connect(&name, address.port_or_known_default().unwrap_or(default)).await?;
    match address.scheme() {
        "https" => {
            let config = remote.tls.client_config().map_err(io::Error::other)?;
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            http(&mut stream, proxy, host, port).await?;
            Ok(Box::new(stream))
        }
        "http" => {
            http(&mut stream, proxy, host, port).await?;
            Ok(Box::new(stream))
        }
        _ => {
            socks(&mut stream, proxy, host, port).await?;
            Ok(Box::new(stream))
        }
    }
}

/// Asks an HTTP proxy for a connection.
async fn http(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let authorization = match &proxy.credentials {
        Some((username, password)) => {
            format!("Proxy-Authorization: {}\r\n", basic(username, password.expose_secret()))
        }
        None => String::new(),
    };
    let request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_ANSWER {
            return Err(io::Error::other("the answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    match line.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("answered {line:?}"))),
    }
}

/// Asks a SOCKS proxy for a connection; it looks up the host.
///
/// Source: RFC 1928 and RFC 1929.
async fn socks(stream: &mut TcpStream, proxy: &Proxy, host: &str, port: u16) -> io::Result<()> {
    const VERSION: u8 = 5;
    const NO_AUTHENTICATION: u8 = 0;
    const USERNAME_AND_PASSWORD: u8 = 2;
    let wants = if proxy.credentials.is_some() { USERNAME_AND_PASSWORD } else { NO_AUTHENTICATION };
    stream.write_all(&[VERSION, 1, wants]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [VERSION, wants] {
        return Err(io::Error::other("does not take these credentials, or speaks no SOCKS 5"));
    }
    if let Some((username, password)) = &proxy.credentials {
        let mut message = vec![1];
        push_text(&mut message, username)?;
        push_text(&mut message, password.expose_secret())?;
        stream.write_all(&message).await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        if answer[1] != 0 {
            return Err(io::Error::other("does not accept the user name and password"));
        }
    }
    let mut request = vec![VERSION, 1, 0, 3];
    push_text(&mut request, host)?;
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        let reasons = [
            "failed",
            "does not allow the connection",
            "finds no network",
            "finds no host",
            "was refused",
            "found nobody in time",
        ];
        let reason = reasons.get(usize::from(answer[1]) - 1).unwrap_or(&"failed");
        return Err(io::Error::other(*reason));
    }
    // The address that the proxy connects from: of no interest, but it has to be read.
    let length = match answer[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(stream.read_u8().await?),
    };
    let mut rest = vec![0; length + 2];
    stream.read_exact(&mut rest).await?;
    Ok(())
}

/// Appends a text with its length before it.
fn push_text(message: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length =
        u8::try_from(text.len()).map_err(|_| io::Error::other("takes no text that long"))?;
    message.push(length);
    message.extend_from_slice(text.as_bytes());
    Ok(())
}
