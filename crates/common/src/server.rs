//! The endpoints of a process: metrics and health.

use std::io;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Answers `GET /metrics` until it is told to stop.
///
/// # Errors
///
/// When no more connections can be accepted.
pub async fn metrics(
    listener: TcpListener,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let answer = move || {
        let answer = match metrics.to_text() {
            Ok(text) => {
                let content_type = "text/plain; version=0.0.4; charset=utf-8";
                ([(header::CONTENT_TYPE, content_type)], text).into_response()
            }
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        std::future::ready(answer)
    };
    serve(listener, Router::new().route("/metrics", get(answer)), shutdown).await
}

/// Answers `GET /healthz` and `GET /readyz` until it is told to stop.
///
/// # Errors
///
/// When no more connections can be accepted.
pub async fn health(listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    async fn ok() -> Response {
        "ok".into_response()
    }
    let router = ["/healthz", "/healthz/ping", "/readyz", "/readyz/ping"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(ok)));
    serve(listener, router, shutdown).await
}

async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
