//! A real control plane: etcd, kube-apiserver and its controllers, a scheduler, and a node that
//! KWOK plays.
//!
//! `hack/control-plane/build` makes the programs. One control plane serves all tests of a run; see
//! [`mod@crate::cluster`]. A test that stops parts of it starts one of its own.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::await_condition,
};
use rand::RngExt as _;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::certificate::Authority;

/// How long a part may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long to wait before looking again at what nothing tells about.
const MOMENT: Duration = Duration::from_millis(20);

/// The parts, in the order in which they start.
const PARTS: [&str; 5] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// Takes programs from a directory. Those in `KUBEBUILDER_ASSETS` come first.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Returns the path of a program.
    ///
    /// # Errors
    ///
    /// When it is nowhere.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let mut places = assets.iter().chain([&self.0]).map(|place| place.join(name));
        places.find(|path| path.is_file()).with_context(|| {
            format!("{name} is not in {}: run hack/control-plane/build", self.0.display())
        })
    }
}

/// A running control plane. It ends when it is dropped, unless it is [detached](Self::detach).
pub struct ControlPlane {
    state: PathBuf,
    programs: Programs,
    etcd: u16,
    port: u16,
    token: String,
    authority: Authority,
    children: Vec<(&'static str, Child)>,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver alone. All state is in a directory, which must be empty.
    ///
    /// # Errors
    ///
    /// When a program is missing, or does not start in time.
    pub async fn start(programs: Programs, state: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(state)?;
        let is_empty = fs::read_dir(state)?.next().is_none();
        ensure!(is_empty, "{} is not empty", state.display());
        let (etcd, port) = (free_port()?, free_port()?);
        let authority = Authority::new()?;
        let token = prepare(state, port, &authority);
        let token = token.context("failed to prepare the control plane")?;
        let (state, children) = (state.to_owned(), Vec::new());
        let mut this = Self { state, programs, etcd, port, token, authority, children };
        this.start_etcd()?;
        this.start_api_server().await?;
        Ok(this)
    }

    /// Starts one for a test that changes all of it, if the run of the tests is for a real cluster.
    ///
    /// # Errors
    ///
    /// As [`ControlPlane::start`].
    pub async fn of_test(state: &Path) -> anyhow::Result<Option<Self>> {
        if !is_wanted()? {
            return Ok(None);
        }
        note_test()?;
        let programs = std::env::var_os("TIDEGATE_PROGRAMS");
        let programs = programs.context("TIDEGATE_PROGRAMS is not set: use `make e2e`")?;
        Ok(Some(Self::start(Programs::new(programs.into()), state).await?))
    }

    /// Starts the controllers, the scheduler and the node, so that workloads become ready.
    ///
    /// # Errors
    ///
    /// When a program is missing, or does not start in time.
    pub async fn start_workloads(&mut self) -> anyhow::Result<()> {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig().display());
        let alone = ["--leader-elect=false", "--secure-port=0"];
        let fast = ["--kube-api-qps=500", "--kube-api-burst=1000"];
        let own = [
            kubeconfig.clone(),
            self.file("--service-account-private-key-file", "service-account.key"),
            self.file("--root-ca-file", "ca.crt"),
            // Tests play the part of a storage provisioner, and count ConfigMaps.
            "--controllers=*,-persistentvolume-binder-controller,\
             -root-ca-certificate-publisher-controller"
                .to_owned(),
        ];
        let common = || alone.iter().chain(&fast).map(ToString::to_string);
        self.run("kube-controller-manager", common().chain(own))?;
        self.run("kube-scheduler", common().chain([kubeconfig.clone()]))?;
        let stages = format!("--config={}", self.programs.path("stages.yaml")?.display());
        let node = ["--manage-all-nodes=true", "--node-lease-duration-seconds=40"];
        self.run("kwok", node.map(str::to_owned).into_iter().chain([kubeconfig, stages]))?;

        let nodes: Api<Node> = Api::all(self.client().await?);
        let labels = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
        let node = json!({"metadata": {"name": "node", "labels": labels}});
        nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        let is_ready = |node: Option<&Node>| {
            let status = node.and_then(|node| node.status.as_ref());
            let conditions = status.and_then(|status| status.conditions.as_deref());
            let mut conditions = conditions.unwrap_or_default().iter();
            conditions.any(|it| it.type_ == "Ready" && it.status == "True")
        };
        let wait = timeout(PATIENCE, await_condition(nodes, "node", is_ready));
        wait.await.with_context(|| self.trouble("kwok", "the node does not become ready"))??;
        Ok(())
    }

    /// Returns the path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// Returns the address of the API.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns a client of the administrator.
    ///
    /// # Errors
    ///
    /// When the kubeconfig is gone.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::try_from(config(&self.kubeconfig()).await?)?)
    }

    /// Starts etcd.
    ///
    /// # Errors
    ///
    /// When the program is missing.
    pub fn start_etcd(&mut self) -> anyhow::Result<()> {
        let (clients, peers) = (url(self.etcd), url(0));
        self.run(
            "etcd",
            [
                format!("--data-dir={}", self.state.join("etcd").display()),
                format!("--listen-client-urls={clients}"),
                format!("--advertise-client-urls={clients}"),
                format!("--listen-peer-urls={peers}"),
                format!("--initial-advertise-peer-urls={peers}"),
                format!("--initial-cluster=default={peers}"),
                "--log-level=warn".to_owned(),
                "--unsafe-no-fsync".to_owned(),
            ],
        )
    }

    /// Starts kube-apiserver, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When the program is missing, or is not ready in time.
    pub async fn start_api_server(&mut self) -> anyhow::Result<()> {
        let args = [
            format!("--etcd-servers={}", url(self.etcd)),
            format!("--secure-port={}", self.port),
            self.file("--tls-cert-file", "server.crt"),
            self.file("--tls-private-key-file", "server.key"),
            self.file("--client-ca-file", "ca.crt"),
            self.file("--token-auth-file", "tokens.csv"),
            self.file("--service-account-key-file", "service-account.pub"),
            self.file("--service-account-signing-key-file", "service-account.key"),
        ];
        let fixed = [
            "--bind-address=127.0.0.1",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            // No Service leads to a server on the loopback interface.
            "--endpoint-reconciler-type=none",
        ];
        self.run("kube-apiserver", args.into_iter().chain(fixed.map(str::to_owned)))?;
        let client = self.client().await?;
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(&client).await {
            let ended = self.child("kube-apiserver")?.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!(self.trouble("kube-apiserver", "the API server does not become ready"));
            }
            sleep(MOMENT).await;
        }
        Ok(())
    }

    /// Kills a part at once, as `kill -9` does.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill(&mut self, part: &str) -> anyhow::Result<()> {
        let child = self.child(part)?;
        child.kill()?;
        child.wait()?;
        self.children.retain(|(name, _)| *name != part);
        Ok(())
    }

    /// Makes a part neither answer nor end, or go on after that.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn pause(&mut self, part: &str, is_paused: bool) -> anyhow::Result<()> {
        let signal = if is_paused { Signal::STOP } else { Signal::CONT };
        let id = self.child(part)?.id().cast_signed();
        kill_process(Pid::from_raw(id).context("a process has an id")?, signal)?;
        Ok(())
    }

    /// Gives the API server another certificate of the same authority, which counts from its next
    /// start.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn renew_certificate(&self) -> anyhow::Result<()> {
        issue(&self.state, &self.authority)
    }

    /// Makes etcd forget all revisions but the current one. The API server, which remembers some
    /// itself, answers to earlier ones with 410 from its next start.
    ///
    /// # Errors
    ///
    /// When etcd does not answer as expected.
    pub async fn compact(&self) -> anyhow::Result<()> {
        let address = (Ipv4Addr::LOCALHOST, self.etcd);
        // Any range tells the current revision.
        let answer = post(address, "/v3/kv/range", &json!({ "key": "AA==" })).await?;
        let revision = &answer["header"]["revision"];
        ensure!(revision.is_string(), "etcd tells no revision: {answer}");
        let compaction = json!({ "revision": revision, "physical": true });
        let answer = post(address, "/v3/kv/compaction", &compaction).await?;
        ensure!(answer["header"].is_object(), "etcd does not compact: {answer}");
        Ok(())
    }

    /// Lets the control plane run on until [`stop`] is called for its directory.
    pub fn detach(mut self) {
        self.children.clear();
    }

    fn child(&mut self, part: &str) -> anyhow::Result<&mut Child> {
        let found = self.children.iter_mut().find(|(name, _)| *name == part);
        Ok(&mut found.with_context(|| format!("{part} does not run"))?.1)
    }

    fn file(&self, flag: &str, name: &str) -> String {
        format!("{flag}={}", self.state.join(name).display())
    }

    fn run(
        &mut self,
        part: &'static str,
        args: impl IntoIterator<Item = String>,
    ) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(log(&self.state, part))?;
        let child = Command::new(self.programs.path(part)?)
            .args(args)
            .current_dir(&self.state)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {part}"))?;
        fs::write(pid_file(&self.state, part), child.id().to_string())?;
        self.children.push((part, child));
        Ok(())
    }

    fn trouble(&self, part: &str, what: &str) -> String {
        let text = fs::read_to_string(log(&self.state, part)).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("{what}:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

/// Ends the control plane of a directory, and removes the directory. Returns whether one ran.
///
/// # Errors
///
/// When it cannot be ended.
pub async fn stop(state: &Path) -> anyhow::Result<bool> {
    let mut has_run = false;
    for part in PARTS.into_iter().rev() {
        let Some(pid) = running(state, part) else { continue };
        has_run = true;
        kill_process(pid, Signal::TERM).with_context(|| format!("failed to end {part}"))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while running(state, part).is_some() {
            if Instant::now() > deadline {
                // The API server waits for its watches to end. It may just have ended.
                let _ = kill_process(pid, Signal::KILL);
            }
            sleep(MOMENT).await;
        }
    }
    if state.join("kubeconfig").exists() {
        fs::remove_dir_all(state).context("failed to remove the state of the control plane")?;
    }
    Ok(has_run)
}

/// Returns whether the control plane of a directory runs.
pub fn is_up(state: &Path) -> bool {
    PARTS.iter().any(|part| running(state, part).is_some())
}

/// Returns the process of a part, if it runs. Another program may have its number by now.
fn running(state: &Path, part: &str) -> Option<Pid> {
    let id = fs::read_to_string(pid_file(state, part)).ok()?;
    let pid = Pid::from_raw(id.parse().ok()?)?;
    test_kill_process(pid).ok()?;
    // What has ended and waits for its parent has no program any more.
    let program = fs::read_link(format!("/proc/{id}/exe")).ok()?;
    (program.file_name()? == part).then_some(pid)
}

/// Returns whether the run of the tests is for a real cluster.
pub(crate) fn is_wanted() -> anyhow::Result<bool> {
    match std::env::var("TIDEGATE_CLUSTER").as_deref() {
        Ok("real") => Ok(true),
        Ok("embedded") | Err(_) => Ok(false),
        Ok(other) => bail!("TIDEGATE_CLUSTER is {other}, not embedded or real"),
    }
}

/// Returns the kubeconfig of the cluster that tests share.
pub(crate) fn shared() -> anyhow::Result<PathBuf> {
    let kubeconfig = std::env::var_os("TIDEGATE_KUBECONFIG").map(PathBuf::from);
    kubeconfig.context("TIDEGATE_KUBECONFIG is not set: use `make e2e`")
}

/// Notes that the running test uses a real cluster, next to the kubeconfig; `make e2e` counts.
pub(crate) fn note_test() -> anyhow::Result<()> {
    let folder = shared()?.with_file_name("tests");
    fs::create_dir_all(&folder)?;
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    fs::write(folder.join(test), "")?;
    Ok(())
}

/// Returns how to connect as the user of a kubeconfig.
///
/// # Errors
///
/// When the file is missing or not valid.
pub async fn config(kubeconfig: &Path) -> anyhow::Result<Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// Sends JSON to the gateway of etcd, and returns its answer.
async fn post(address: (Ipv4Addr, u16), path: &str, body: &Value) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(address).await?;
    let body = body.to_string();
    // The answer to HTTP/1.0 ends with the connection.
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").context("etcd does not answer")?;
    Ok(serde_json::from_str(body)?)
}

async fn is_ready(client: &Client) -> bool {
    let request = http::Request::get("/readyz").body(Vec::new());
    let Ok(request) = request else { return false };
    timeout(Duration::from_secs(2), client.request_text(request)).await.is_ok_and(|it| it.is_ok())
}

/// Writes what the parts know each other by, and the kubeconfig. Returns the administrator's token.
fn prepare(state: &Path, port: u16, authority: &Authority) -> anyhow::Result<String> {
    issue(state, authority)?;
    let accounts = rcgen::KeyPair::generate()?;
    let token: [u8; 32] = rand::rng().random();
    let token = hex::encode(token);
    for (name, text) in [
        ("ca.crt", authority.pem()),
        ("service-account.key", accounts.serialize_pem()),
        ("service-account.pub", accounts.public_key_pem()),
        ("tokens.csv", format!("{token},admin,admin,system:masters\n")),
        ("kubeconfig", kubeconfig(port, &authority.pem(), &token).to_string()),
    ] {
        fs::write(state.join(name), text)?;
    }
    Ok(token)
}

/// Writes a certificate of the API server.
fn issue(state: &Path, authority: &Authority) -> anyhow::Result<()> {
    let server = authority.issue("127.0.0.1")?;
    fs::write(state.join("server.crt"), server.pem())?;
    Ok(fs::write(state.join("server.key"), server.key_pem())?)
}

/// Returns a kubeconfig; JSON is YAML.
fn kubeconfig(port: u16, authority: &str, token: &str) -> Value {
    let name = "control-plane";
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": BASE64_STANDARD.encode(authority),
        }}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    })
}

fn log(state: &Path, part: &str) -> PathBuf {
    state.join(format!("{part}.log"))
}

fn pid_file(state: &Path, part: &str) -> PathBuf {
    state.join(format!("{part}.pid"))
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Returns a port that nobody listens on, and that is given to nobody who connects: a part that
/// starts again gets it again.
fn free_port() -> anyhow::Result<u16> {
    let mut candidates = std::iter::repeat_with(|| rand::rng().random_range(20_000..30_000));
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.by_ref().take(1000).find(free).context("no port is free")
}
