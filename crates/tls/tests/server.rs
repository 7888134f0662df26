//! A TLS server.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::ServerName;
use testkit::certificate::{Authority, Issued};
use tls::Options;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Answers every HTTP request with `hello`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(issued: &Issued, clients: Option<&Authority>) -> Self {
        let acceptor = TlsAcceptor::from(issued.server_config(clients).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // Refused connections are what some tests are about.
                tokio::spawn(async move { answer(acceptor, stream).await.ok() });
            }
        });
        Self { address, task }
    }
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let _ = stream.read(&mut [0; 1024]).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await?;
    stream.shutdown().await
}

/// Makes a handshake and exchanges a few bytes.
pub(crate) async fn connect(server: &Server, name: &str, options: &Options) -> std::io::Result<()> {
    let connector = TlsConnector::from(Arc::new(options.client_config().unwrap()));
    let stream = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    assert!(answer.ends_with(b"hello"));
    Ok(())
}
