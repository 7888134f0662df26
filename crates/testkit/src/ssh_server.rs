//! A Git server over ssh.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use russh::{
    Channel, ChannelId,
    keys::{Algorithm, PrivateKey, PublicKey, ssh_key::LineEnding},
    server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};

/// Runs `git-upload-pack` in the repositories below a folder, until it is dropped.
pub struct SshServer {
    port: u16,
    host_key: PublicKey,
    log: Log,
    task: JoinHandle<()>,
}

/// How a server is to behave.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    root: PathBuf,
    host_key: PrivateKey,
    authorized: Vec<PublicKey>,
    only_oldest_protocol: bool,
    refusal: Option<String>,
}

/// The user names that logged in, and the commands that were run.
type Log = Arc<Mutex<Vec<String>>>;

/// A key pair of a user or host.
#[derive(Debug, Clone)]
pub struct Key(PrivateKey);

impl Key {
    /// Creates a key of the usual type.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn ed25519() -> anyhow::Result<Self> {
        Ok(Self(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?))
    }

    /// Returns an RSA key, always the same one: to make a new one takes long.
    ///
    /// # Errors
    ///
    /// When RSA keys are not supported.
    pub fn rsa() -> anyhow::Result<Self> {
        Ok(Self(PrivateKey::from_openssh(RSA)?))
    }

    /// Returns the private key in OpenSSH's format.
    ///
    /// # Errors
    ///
    /// When the key cannot be written.
    pub fn private(&self) -> anyhow::Result<String> {
        Ok(self.0.to_openssh(LineEnding::LF)?.to_string())
    }

    /// Returns the private key in OpenSSH's format, encrypted.
    ///
    /// # Errors
    ///
    /// When the key cannot be written.
    pub fn encrypted(&self, passphrase: &str) -> anyhow::Result<String> {
        let encrypted = self.0.encrypt(&mut rand::rng(), passphrase)?;
        Ok(encrypted.to_openssh(LineEnding::LF)?.to_string())
    }

    /// Returns the type and the public key, as they stand in files.
    ///
    /// # Errors
    ///
    /// When the key cannot be written.
    pub fn public(&self) -> anyhow::Result<String> {
        public(self.0.public_key())
    }
}

fn public(key: &PublicKey) -> anyhow::Result<String> {
    let text = key.to_openssh()?;
    let mut fields = text.split(' ');
    match (fields.next(), fields.next()) {
        (Some(kind), Some(key)) => Ok(format!("{kind} {key}")),
        _ => bail!("a public key has a type"),
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SshServer {
    /// Prepares a server of the repositories below a folder, with a host key of its own.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn builder(root: &Path) -> anyhow::Result<Builder> {
        Ok(Builder {
            root: root.to_owned(),
            host_key: Key::ed25519()?.0,
            authorized: Vec::new(),
            only_oldest_protocol: false,
            refusal: None,
        })
    }

    /// Returns the port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a repository, with the user `git` and the host `localhost`.
    pub fn url(&self, repository: &str) -> String {
        format!("ssh://git@localhost:{}/{repository}", self.port)
    }

    /// Returns the line of `known_hosts` that names the server.
    ///
    /// # Errors
    ///
    /// When the key cannot be written.
    pub fn known_hosts(&self) -> anyhow::Result<String> {
        Ok(format!("[localhost]:{} {}\n", self.port, public(&self.host_key)?))
    }

    /// Returns the users that logged in and the commands that were run so far, oldest first.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Builder {
    /// Lets the owner of a key in, under every user name.
    pub fn authorize(mut self, key: &Key) -> Self {
        self.authorized.push(key.0.public_key().clone());
        self
    }

    /// Shows another host key.
    pub fn host_key(mut self, key: &Key) -> Self {
        self.host_key = key.0.clone();
        self
    }

    /// Speaks the oldest version of the protocol, as servers do that know no other.
    pub fn only_oldest_protocol(mut self) -> Self {
        self.only_oldest_protocol = true;
        self
    }

    /// Runs nothing, and says why not.
    pub fn refuse(mut self, message: &str) -> Self {
        self.refusal = Some(message.to_owned());
        self
    }

    /// Starts the server on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(self) -> anyhow::Result<SshServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let host_key = self.host_key.public_key().clone();
        let log = Log::default();
        let config = Arc::new(server::Config {
            keys: vec![self.host_key.clone()],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..server::Config::default()
        });
        let (options, records) = (Arc::new(self), Arc::clone(&log));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let client = Client {
                    options: Arc::clone(&options),
                    log: Arc::clone(&records),
                    channels: HashMap::new(),
                    takes_new_protocol: false,
                };
                // A connection that breaks is for the client to complain about.
                tokio::spawn(serve(Arc::clone(&config), stream, client));
            }
        });
        Ok(SshServer { port, host_key, log, task })
    }
}

async fn serve(
    config: Arc<server::Config>,
    stream: TcpStream,
    client: Client,
) -> Result<(), russh::Error> {
    server::run_stream(config, stream, client).await?.await
}

/// One connection.
struct Client {
    options: Arc<Builder>,
    log: Log,
    channels: HashMap<ChannelId, Channel<Msg>>,
    takes_new_protocol: bool,
}

impl Client {
    fn note(&self, line: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let is_known = self
            .options
            .authorized
            .iter()
            .any(|authorized| authorized.key_data() == key.public_key.key_data());
        if is_known {
            self.note(&format!("user {user}"));
            return Ok(Auth::Accept);
        }
        Ok(Auth::reject())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        _channel: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.takes_new_protocol |= name == "GIT_PROTOCOL" && value == "version=2";
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        self.note(&command);
        let Some(channel) = self.channels.remove(&channel) else { return Ok(()) };
        let id = channel.id();
        session.channel_success(id)?;
        let handle = session.handle();
        let options = Arc::clone(&self.options);
        let new_protocol = self.takes_new_protocol && !options.only_oldest_protocol;
        tokio::spawn(async move {
            let status = run(&options, &command, new_protocol, channel).await;
            // The client may be gone by now.
            let _ = handle.exit_status_request(id, status.map_or(1, u32::from)).await;
            let _ = handle.eof(id).await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }
}

/// Runs the one command that there is, and returns its exit status.
async fn run(
    options: &Builder,
    command: &str,
    new_protocol: bool,
    channel: Channel<Msg>,
) -> anyhow::Result<u8> {
    let (mut read, write) = channel.split();
    if let Some(message) = &options.refusal {
        write.make_writer_ext(Some(1)).write_all(message.as_bytes()).await?;
        return Ok(1);
    }
    let path = command
        .strip_prefix("git-upload-pack '")
        .and_then(|path| path.strip_suffix('\''))
        .context("expected git-upload-pack and a path")?;
    let mut command = Command::new("git");
    command
        .arg("upload-pack")
        .arg(options.root.join(path.trim_start_matches('/')))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if new_protocol {
        command.env("GIT_PROTOCOL", "version=2");
    }
    let mut child = command.spawn().context("failed to run git upload-pack")?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let mut stdout = child.stdout.take().context("standard output is a pipe")?;
    let mut stderr = child.stderr.take().context("standard error is a pipe")?;
    let input = tokio::spawn(async move {
        let mut reader = read.make_reader();
        tokio::io::copy(&mut reader, &mut stdin).await
    });
    let (mut output, mut messages) = (write.make_writer(), write.make_writer_ext(Some(1)));
    tokio::try_join!(
        tokio::io::copy(&mut stdout, &mut output),
        tokio::io::copy(&mut stderr, &mut messages)
    )?;
    input.abort();
    let status = child.wait().await?;
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

/// Opens nothing but servers of tests.
const RSA: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn
NhAAAAAwEAAQAAAQEAsvd+Ia5e09HdBi5JTt23OgXgtcrBrdeWaI7W9WnEz3l6jOQQVq6A
XlAJJXW/8TUvyJwziyYD8I689P88sx2tihiK/pastquXWudgNwJu4im9/nAqw1ieN9Ev1s
i46P0IszVgy28rwz7YZyCVltawLx3ISGwPnUrXZq+CtkIKyLljG30qbmw9DzOTQVStTOTf
JN3eBWhhGUlWGrs6zBUui70hBbvhlLoR9GX9tKrdx6wvomnZm8Ts0Udw8FNxUkvF9O3Rz3
u6RNi+9FzvLuEODb45aCy9vWeDbKKQ+tRqs7iS6WO8a0eB0BUKK8w7JV/JncyJIj/fH1eH
4qd/8LEkewAAA7iTrVu+k61bvgAAAAdzc2gtcnNhAAABAQCy934hrl7T0d0GLklO3bc6Be
C1ysGt15Zojtb1acTPeXqM5BBWroBeUAkldb/xNS/InDOLJgPwjrz0/zyzHa2KGIr+lqy2
q5da52A3Am7iKb3+cCrDWJ430S/WyLjo/QizNWDLbyvDPthnIJWW1rAvHchIbA+dStdmr4
K2QgrIuWMbfSpubD0PM5NBVK1M5N8k3d4FaGEZSVYauzrMFS6LvSEFu+GUuhH0Zf20qt3H
rC+iadmbxOzRR3DwU3FSS8X07dHPe7pE2L70XO8u4Q4NvjloLL29Z4NsopD61GqzuJLpY7
xrR4HQFQorzDslX8mdzIkiP98fV4fip3/wsSR7AAAAAwEAAQAAAP8UCk1qzXEmRwR5Agsz
dEsQNEL1bb7tDeHJ04o+m5luTNbBmsg5l1DIlC3HWWgk78+/Ub5z1niad2FcDeNo1enuN3
wDsNumQ5CvR+Qo73Il4TFlTH99YG8B0RWKTO+9J0MneNKzSmpGyBgeHt1MBr5eiEyPz4nw
ExwLuPDqInsSqX9hA5LPPOVbM9mUnShPLsU4Ikq0mxiCZzw4D9KOLUL+56G145I2Cs1qfL
mKE2C0j7oLqyH8J4AduvuZgR5mld8tgmRSFUEhBuoN6Zx8xTwmq1/Vw2gTsxxXHYviFaPj
tEJFZBZEH5fsEvSyx/zMcJoXZchyj5FTSh93D37lt7EAAACAAlGvuD3DdAoVRQkP79VrcN
vOMeAbnY8b9IozudzecYMi/LkeL40tRusWcj1dAaAhbmtXWTbOYoMAQr20PADAWzEDqbRS
eRbHIu55JqEd22b7nvRBwpLYNZX/1Fy4WVgtUmEAEhW9lNck8gfxL2CBUOdLeHrtFjGdHw
h4nxw73dMAAACBAPWP4spRxuNhsx80cpG2OxK1eW++5drY5DxDHrsrbxKPbSD9W0zJf7JZ
w8xffp5LI7zVj/nSxF2U0l2gud0oxMlBn05qpRWhvOx1mrgKZ05khmgHW+0ib/DV1u/rFE
DH1rXCcQzJQb8hi1LQT8goBuLtU7Lur+0VaXkJtd0H0QZVAAAAgQC6kvEgMyr1Hb0fqXxC
+NW88D8fVk6308CvE3hoQWZBJH/6ia5wLe/Vjx31j4NQU2bSlreJk9WG3h3dwlGs0t3bGB
bSTryrrIClHhKYx8OrhlnS063p2IfB3DfNub53jIc8oSUR834Vn6WYpUayRu0jbvzvZhLJ
YYfShu8CirEvjwAAAAABAgME
-----END OPENSSH PRIVATE KEY-----
";
