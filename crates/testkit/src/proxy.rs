//! Proxies: HTTP with CONNECT, and SOCKS 5.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The longest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// A proxy that connects clients to everything, until it is dropped.
pub struct ProxyServer {
    port: u16,
    scheme: &'static str,
    log: Log,
    task: JoinHandle<()>,
}

/// Where clients were connected to, as `host:port`.
type Log = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct Options {
    is_socks: bool,
    credentials: Option<(String, String)>,
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyServer {
    /// Starts an HTTP proxy that serves everyone, or only those with a user name and password.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn http(credentials: Option<(&str, &str)>) -> anyhow::Result<Self> {
        Self::start("http", false, credentials).await
    }

    /// Starts a SOCKS proxy that serves everyone, or only those with a user name and password.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn socks5(credentials: Option<(&str, &str)>) -> anyhow::Result<Self> {
        Self::start("socks5", true, credentials).await
    }

    async fn start(
        scheme: &'static str,
        is_socks: bool,
        credentials: Option<(&str, &str)>,
    ) -> anyhow::Result<Self> {
        let credentials =
            credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let options = Options { is_socks, credentials };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let log = Log::default();
        let records = Arc::clone(&log);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (options, log) = (options.clone(), Arc::clone(&records));
                // A connection that breaks is for the client to complain about.
                tokio::spawn(async move {
                    if options.is_socks {
                        socks(stream, &options, &log).await
                    } else {
                        http(stream, &options, &log).await
                    }
                });
            }
        });
        Ok(Self { port, scheme, log, task })
    }

    /// Returns the address, as it stands in a Secret.
    pub fn address(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Returns where clients were connected to so far, as `host:port`, oldest first.
    pub fn targets(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn connect(target: &str, log: &Log) -> anyhow::Result<TcpStream> {
    log.lock().unwrap_or_else(PoisonError::into_inner).push(target.to_owned());
    TcpStream::connect(target).await.with_context(|| format!("failed to connect to {target}"))
}

async fn http(mut client: TcpStream, options: &Options, log: &Log) -> anyhow::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            bail!("the head is too long");
        }
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    if let Some((user, password)) = &options.credentials {
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let given = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("proxy-authorization").then(|| value.trim())
        });
        if given != Some(expected.as_str()) {
            client
                .write_all(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
                )
                .await?;
            return Ok(());
        }
    }
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut server = if method == "CONNECT" {
        let server = connect(target, log).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        server
    } else {
        let authority = target
            .strip_prefix("http://")
            .and_then(|rest| rest.split('/').next())
            .context("expected an absolute URL")?;
        let mut server = connect(authority, log).await?;
        server.write_all(&head).await?;
        server
    };
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Source: RFC 1928 and RFC 1929.
async fn socks(mut client: TcpStream, options: &Options, log: &Log) -> anyhow::Result<()> {
    if client.read_u8().await? != 5 {
        bail!("expected version 5");
    }
    let mut methods = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut methods).await?;
    match &options.credentials {
        None => client.write_all(&[5, 0]).await?,
        Some((user, password)) => {
            if !methods.contains(&2) {
                client.write_all(&[5, 0xff]).await?;
                return Ok(());
            }
            client.write_all(&[5, 2]).await?;
            let _version = client.read_u8().await?;
            let given = (text(&mut client).await?, text(&mut client).await?);
            let is_right = (&given.0, &given.1) == (user, password);
            client.write_all(&[1, u8::from(!is_right)]).await?;
            if !is_right {
                return Ok(());
            }
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => text(&mut client).await?,
        other => bail!("address type {other} is not supported"),
    };
    let port = client.read_u16().await?;
    let mut server = connect(&format!("{host}:{port}"), log).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads a text with its length before it.
async fn text(client: &mut TcpStream) -> anyhow::Result<String> {
    let mut text = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut text).await?;
    Ok(String::from_utf8(text)?)
}
