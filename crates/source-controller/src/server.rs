//! Serves stored artifacts over HTTP.
//!
//! `GET` and `HEAD` of files, with ranges and conditions on time and tag, and listings of
//! directories, as the file server of Go gives them. Differences: links are followed inside of the
//! storage alone, files that are not complete yet are not there, `index.html` is a file like any
//! other, and several ranges at once are answered with the whole file.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::Metadata;
use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse as _, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, TokioBackend, TokioFile};
use tracing::debug;

use crate::storage::TEMPORARY;
use crate::tree::{Tree, children};

/// How long downloads may still take once the process is to end.
const GRACE: Duration = Duration::from_secs(5);

/// Everything that means something in a path or in HTML.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b':');

/// Serves the files below a directory until `shutdown`.
///
/// # Errors
///
/// When the directory does not exist, or the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    root: &Path,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = router(Tree::new(root)?);
    let shutdown = shutdown.shared();
    let ended = shutdown.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    let cut = async {
        ended.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = cut => {
            debug!("ended downloads that took too long");
            Ok(())
        }
    }
}

fn router(tree: Tree) -> Router {
    let listed = tree.clone();
    let list = service_fn(move |request: Request| {
        let tree = listed.clone();
        async move { Ok::<_, Infallible>(list(tree, request).await) }
    });
    let files = ServeDir::with_backend("", Stored { tree })
        .append_index_html_on_directories(false)
        .ignore_multi_range_requests(true)
        .fallback(list);
    Router::new().fallback_service(files).layer(from_fn(drop_conditional_ranges))
}

/// A range of what a file was at another time cannot be told from one of what it is: the whole file
/// is the answer that is always right.
async fn drop_conditional_ranges(mut request: Request, next: Next) -> Response {
    if request.headers_mut().remove(header::IF_RANGE).is_some() {
        request.headers_mut().remove(header::RANGE);
    }
    next.run(request).await
}

/// The files of the storage that are complete.
#[derive(Debug, Clone)]
struct Stored {
    tree: Tree,
}

impl Stored {
    async fn locate(self, path: PathBuf) -> io::Result<PathBuf> {
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let located = tokio::task::spawn_blocking(move || self.tree.locate(&path)).await;
        // What is outside of the storage is not there.
        located.map_err(io::Error::other)?.map_err(|_| io::ErrorKind::NotFound.into())
    }
}

impl Backend for Stored {
    type File = TokioFile;
    type Metadata = Metadata;
    type OpenFuture = BoxFuture<'static, io::Result<TokioFile>>;
    type MetadataFuture = BoxFuture<'static, io::Result<Metadata>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let located = self.clone().locate(path);
        async move { TokioBackend.open(located.await?).await }.boxed()
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let located = self.clone().locate(path);
        async move { TokioBackend.metadata(located.await?).await }.boxed()
    }
}

/// Answers what is no file: lists a directory, or says that there is none.
async fn list(tree: Tree, request: Request) -> Response {
    let path = request.uri().path();
    let Some(dir) = decode(path) else { return StatusCode::NOT_FOUND.into_response() };
    let read = move || {
        let dir = tree.locate(&dir)?;
        if dir.is_dir() { children(&dir) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    let Ok(Ok(children)) = tokio::task::spawn_blocking(read).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !path.ends_with('/') {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Ok(location) = HeaderValue::from_str(&format!("{name}/")) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let headers = HeaderMap::from_iter([(header::LOCATION, location)]);
        return (StatusCode::MOVED_PERMANENTLY, headers).into_response();
    }
    let mut page = "<!doctype html>\n<pre>\n".to_owned();
    for child in children {
        let name = child.name.to_string_lossy();
        if name.starts_with(TEMPORARY) {
            continue;
        }
        let slash = if child.kind.is_dir() { "/" } else { "" };
        let link = utf8_percent_encode(&name, ESCAPED);
        let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Writing to a string does not fail.
        let _ = writeln!(page, "<a href=\"./{link}{slash}\">{shown}{slash}</a>");
    }
    page.push_str("</pre>\n");
    let mut response = Html(page).into_response();
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Returns the path of a request; `None` when it goes up.
fn decode(path: &str) -> Option<PathBuf> {
    let path = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
    let path = PathBuf::from(path.into_owned());
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    path.components().all(is_plain).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    use axum::body::to_bytes;
    use tower::ServiceExt as _;

    const FILE: &str = "/gitrepository/apps/podinfo/sha256:1.tar.gz";

    struct Fixture {
        _dir: tempfile::TempDir,
        router: Router,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let object = root.join("gitrepository/apps/podinfo");
        fs::create_dir_all(&object).unwrap();
        fs::write(object.join("sha256:1.tar.gz"), "0123456789").unwrap();
        fs::write(object.join(".tmp-abc"), "half").unwrap();
        fs::write(object.join("<i>"), "x").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        symlink(dir.path().join("secret"), root.join("out")).unwrap();
        symlink(dir.path(), root.join("up")).unwrap();
        symlink("sha256:1.tar.gz", object.join("latest.tar.gz")).unwrap();
        let router = router(Tree::new(&root).unwrap());
        Fixture { _dir: dir, router }
    }

    impl Fixture {
        async fn send(
            &self,
            method: Method,
            path: &str,
            headers: &[(header::HeaderName, &str)],
        ) -> (StatusCode, HeaderMap, String) {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
        }

        async fn get(&self, path: &str) -> (StatusCode, String) {
            let (status, _, body) = self.send(Method::GET, path, &[]).await;
            (status, body)
        }
    }

    #[tokio::test]
    async fn serves_files_whole_and_in_part() {
        let fixture = fixture();
        let (status, headers, body) = fixture.send(Method::GET, FILE, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "0123456789"));
        assert_eq!(headers[header::CONTENT_LENGTH], "10");
        assert_eq!(headers[header::CONTENT_TYPE], "application/gzip");
        let (status, headers, body) = fixture.send(Method::HEAD, FILE, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
        assert_eq!(headers[header::CONTENT_LENGTH], "10");
        for (range, status, part) in [
            ("bytes=2-4", StatusCode::PARTIAL_CONTENT, "234"),
            ("bytes=7-", StatusCode::PARTIAL_CONTENT, "789"),
            ("bytes=-2", StatusCode::PARTIAL_CONTENT, "89"),
            ("bytes=20-", StatusCode::RANGE_NOT_SATISFIABLE, ""),
            ("bytes=0-1,4-5", StatusCode::OK, "0123456789"),
        ] {
            let found = fixture.send(Method::GET, FILE, &[(header::RANGE, range)]).await;
            assert_eq!((found.0, found.2.as_str()), (status, part), "{range}");
        }
        let escaped = FILE.replace(':', "%3A");
        assert_eq!(fixture.get(&escaped).await.0, StatusCode::OK);
        let latest = "/gitrepository/apps/podinfo/latest.tar.gz";
        assert_eq!(fixture.get(latest).await, (StatusCode::OK, "0123456789".to_owned()));
    }

    #[tokio::test]
    async fn answers_conditions() {
        let fixture = fixture();
        let (_, headers, _) = fixture.send(Method::GET, FILE, &[]).await;
        let modified = headers[header::LAST_MODIFIED].to_str().unwrap();
        let tag = headers[header::ETAG].to_str().unwrap();
        let range = (header::RANGE, "bytes=2-4");
        for (sent, expected) in [
            (vec![(header::IF_MODIFIED_SINCE, modified)], StatusCode::NOT_MODIFIED),
            (vec![(header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT")], StatusCode::OK),
            (vec![(header::IF_NONE_MATCH, tag)], StatusCode::NOT_MODIFIED),
            (vec![(header::IF_NONE_MATCH, "\"other\"")], StatusCode::OK),
            (vec![range.clone(), (header::IF_RANGE, "\"other\"")], StatusCode::OK),
            (vec![range], StatusCode::PARTIAL_CONTENT),
        ] {
            let (status, ..) = fixture.send(Method::GET, FILE, &sent).await;
            assert_eq!(status, expected, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn lists_directories() {
        let fixture = fixture();
        // The readiness probe.
        assert_eq!(fixture.get("/").await.0, StatusCode::OK);
        let (status, body) = fixture.get("/gitrepository/apps/podinfo/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("<a href=\"./sha256:1.tar.gz\">sha256:1.tar.gz</a>"), "{body}");
        assert!(body.contains("<a href=\"./%3Ci%3E\">&lt;i&gt;</a>"), "{body}");
        assert!(!body.contains(".tmp-"), "{body}");
        let (status, headers, _) = fixture.send(Method::GET, "/gitrepository/apps", &[]).await;
        assert_eq!(status, StatusCode::MOVED_PERMANENTLY);
        assert_eq!(headers[header::LOCATION], "apps/");
        let (status, _, body) = fixture.send(Method::HEAD, "/gitrepository/", &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    }

    #[tokio::test]
    async fn does_not_serve_what_is_not_stored() {
        let fixture = fixture();
        for path in [
            "/missing",
            "/gitrepository/apps/podinfo/.tmp-abc",
            "/gitrepository/apps/podinfo/sha256:1.tar.gz/x",
            "/../secret",
            "/%2e%2e/secret",
            "/gitrepository/..%2f..%2fsecret",
            "/..%2fsecret",
            "/out",
            "/up/secret",
            "/up/",
            "/%00",
            "/%ff",
            "/etc/passwd",
            "//etc/passwd",
        ] {
            let (status, body) = fixture.get(path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        }
        for method in [Method::PUT, Method::POST, Method::DELETE] {
            let (status, ..) = fixture.send(method, FILE, &[]).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        }
    }

    #[tokio::test]
    async fn finishes_a_download_when_it_is_to_end() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let dir = tempfile::tempdir().unwrap();
        let size = 8 << 20;
        fs::write(dir.path().join("large"), vec![b'x'; size]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let root = dir.path().to_owned();
        let server =
            tokio::spawn(async move { serve(listener, &root, async { _ = stopped.await }).await });
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).await.unwrap();
        drop(stop);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() > size);
        server.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}
