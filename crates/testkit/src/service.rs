//! A service of someone else, of which a test says what it answers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request as Incoming;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use http::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Most bytes of a request.
const MAX_REQUEST: usize = 1 << 20;

/// A request that a service has got.
#[derive(Debug, Clone)]
pub struct Request {
    /// E.g. `POST /v1/x?y=z`.
    pub line: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// What it says.
    pub body: String,
}

/// A server that answers with JSON, and remembers what it was asked. It ends when it is dropped.
#[derive(Debug)]
pub struct Service {
    /// Where it is, e.g. `http://127.0.0.1:1234`.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: JoinHandle<()>,
}

impl Request {
    /// Returns a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Service {
    /// Starts a service that answers as a function says.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(
        answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (log, answer) = (requests.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |incoming: Incoming| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (head, body) = incoming.into_parts();
                let body = to_bytes(body, MAX_REQUEST).await.unwrap_or_else(|_| Bytes::new());
                let request = Request {
                    line: format!("{} {}", head.method, head.uri),
                    headers: head.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                let (status, body) = answer(&request);
                log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
                (status, axum::Json(body)).into_response()
            }
        });
        let server = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, requests, server })
    }

    /// Returns the requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}
