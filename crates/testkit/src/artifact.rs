//! An HTTP server of artifacts, as source-controller runs one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Serves archives from memory until it is dropped.
pub struct ArtifactServer {
    url: String,
    files: Files,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ArtifactServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ArtifactServer {
    /// Starts a server on a free port of the loopback interface.
    pub async fn start() -> anyhow::Result<Self> {
        let files = Files::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/{*path}", get(serve)).with_state(files.clone());
        let task = tokio::spawn(async move {
            // Ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, files, task })
    }

    /// Packs files under a revision, and returns the artifact as the status of a source holds it.
    pub fn publish(&self, revision: &str, files: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_bytes())?;
        }
        Ok(self.publish_bytes(revision, archive.into_inner()?.finish()?))
    }

    /// Serves bytes as they are, and returns the artifact that claims them to be an archive.
    pub fn publish_bytes(&self, revision: &str, bytes: Vec<u8>) -> Value {
        let digest = hex::encode(Sha256::digest(&bytes));
        let path = format!("gitrepository/test/{digest}.tar.gz");
        let size = bytes.len();
        self.lock().insert(path.clone(), bytes);
        json!({
            "path": path,
            "url": format!("{}/{path}", self.url),
            "revision": revision,
            "digest": format!("sha256:{digest}"),
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "size": size,
        })
    }

    /// Stops serving an artifact; its URL answers with 404.
    pub fn withdraw(&self, artifact: &Value) {
        self.lock().remove(artifact["path"].as_str().unwrap_or_default());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(
    State(files): State<Files>,
    Path(path): Path<String>,
) -> Result<Vec<u8>, StatusCode> {
    let files = files.lock().unwrap_or_else(PoisonError::into_inner);
    files.get(&path).cloned().ok_or(StatusCode::NOT_FOUND)
}
