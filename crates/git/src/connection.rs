//! One conversation with a server: its references, and packs of its objects.

use std::{sync::Arc, time::Instant};

use gix::{
    ObjectId,
    bstr::{BString, ByteSlice as _},
    progress::Discard,
    protocol::{
        self, Handshake, LsRefsCommand,
        fetch::{
            Arguments, Context, Negotiate, Options, Response, Shallow, Tags,
            negotiate::{Action, Round, one_round},
        },
        handshake::Ref,
        ls_refs::RefPrefixes,
        transport::{Protocol, Service},
    },
};
use gix_transport::client::blocking_io::Transport;
use redact::RedactedUrl;
use tracing::debug;

use crate::{
    Commit, Error, Remote, RemoteRef,
    complaints::Complaints,
    operation::Operation,
    resolve::Source,
    store::{Inbox, Store},
    transport,
};

/// A conversation with the server of a remote repository.
pub(crate) struct Connection<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) operation: &'a Arc<Operation>,
    session: Option<Session>,
}

struct Session {
    transport: Box<dyn Transport + Send>,
    handshake: Handshake,
}

/// What to ask a server for.
pub(crate) struct Request<'a> {
    /// Objects to receive, with all that they need.
    pub(crate) wants: &'a [ObjectId],
    /// Whether commits come with all their ancestors.
    pub(crate) history: bool,
    /// Whether to leave out files and folders; for servers that [`Connection::can_filter`].
    pub(crate) commits_only: bool,
}

impl<'a> Connection<'a> {
    /// Connects to a server.
    pub(crate) fn new(remote: &'a Remote, operation: &'a Arc<Operation>) -> Result<Self, Error> {
        let mut connection = Self { remote, operation, session: None };
        connection.session()?;
        Ok(connection)
    }

    /// Returns whether the server is likely to send any commit by its hash.
    ///
    /// Servers of the current protocol do, as far as they have it; the others say so.
    pub(crate) fn can_want_any(&mut self) -> Result<bool, Error> {
        let handshake = &self.session()?.handshake;
        Ok(handshake.server_protocol_version == Protocol::V2
            || handshake.capabilities.contains("allow-reachable-sha1-in-want"))
    }

    /// Returns whether the server can leave out files and folders.
    pub(crate) fn can_filter(&mut self) -> Result<bool, Error> {
        let handshake = &self.session()?.handshake;
        Ok(handshake.server_protocol_version == Protocol::V2
            && handshake
                .capabilities
                .capability("fetch")
                .and_then(|fetch| fetch.supports("filter"))
                .unwrap_or(false))
    }

    /// Receives objects into a store of their own.
    pub(crate) fn fetch(&mut self, request: &Request<'_>) -> Result<Store, Error> {
        self.operation.check()?;
        let (operation, limits) = (self.operation, self.remote.options.limits);
        let inbox = Inbox::new(self.remote.options.scratch.as_deref())?;
        let agent = self.agent();
        let session = self.session()?;
        let version = session.handshake.server_protocol_version;
        // Servers without it, AWS CodeCommit among them, send all that there is.
        let history = request.history || !supports_depth(&session.handshake);
        let depth_one = std::num::NonZeroU32::MIN;
        let complaints = Complaints::default();
        let started = Instant::now();
        let outcome = protocol::fetch(
            &mut Wants { request, version },
            |pack, _, _| inbox.receive(pack, &limits, operation).map(|()| true),
            complaints.clone(),
            &operation.interrupt,
            Context {
                handshake: &mut session.handshake,
                transport: &mut session.transport,
                user_agent: agent,
                trace_packetlines: false,
            },
            Options {
                shallow_file: inbox.shallow_file(),
                shallow: &if history {
                    Shallow::NoChange
                } else {
                    Shallow::DepthAtRemote(depth_one)
                },
                tags: Tags::None,
                reject_shallow_remote: false,
            },
        );
        if outcome.is_err() || self.is_spent(version) {
            self.session = None;
        }
        outcome.map_err(|source| match (self.misunderstood(source), complaints.take()) {
            (Error::Protocol { url, .. }, Some(message)) => Error::Refused { url, message },
            (err, _) => err,
        })?;
        let elapsed_ms = started.elapsed().as_millis();
        debug!(url = %operation.url, history, elapsed_ms, "received objects");
        inbox.into_store()
    }

    /// With the older protocol, a connection that persists ends with the first pack.
    fn is_spent(&self, version: Protocol) -> bool {
        version != Protocol::V2
            && self.session.as_ref().is_some_and(|session| {
                session.transport.connection_persists_across_multiple_requests()
            })
    }

    fn session(&mut self) -> Result<&mut Session, Error> {
        if self.session.is_none() {
            let mut transport = transport::connect(self.remote, self.operation)?;
            let handshake = protocol::handshake(
                &mut transport,
                Service::UploadPack,
                |_| Ok(None),
                Vec::new(),
                &mut Discard,
            )
            .map_err(|source| self.misunderstood(source))?;
            self.session = Some(Session { transport, handshake });
        }
        Ok(self.session.as_mut().expect("set just now"))
    }

    fn agent(&self) -> protocol::command::Feature {
        ("agent", Some(self.remote.options.user_agent.clone()))
    }

    /// Prefers what the transport met, then what the server said, to what the layers between make
    /// of it.
    fn misunderstood(&self, source: gix::Error) -> Error {
        let url = self.operation.url.clone();
        if let Err(ended) = self.operation.check() {
            return ended;
        }
        if let Some(recorded) = self.operation.recorded() {
            return recorded;
        }
        match words_of_the_server(&source) {
            Some(message) => Error::Refused { url, message },
            None => Error::Protocol { url, source },
        }
    }
}

/// Returns whether a server can send commits without their ancestors.
fn supports_depth(handshake: &Handshake) -> bool {
    let capabilities = &handshake.capabilities;
    match handshake.server_protocol_version {
        Protocol::V2 => capabilities
            .capability("fetch")
            .and_then(|fetch| fetch.supports("shallow"))
            .unwrap_or(false),
        Protocol::V0 | Protocol::V1 => capabilities.contains("shallow"),
    }
}

/// Returns what the server said when it ended the conversation with an error of its own.
fn words_of_the_server(source: &gix::Error) -> Option<String> {
    if let Some(said) = source.downcast_any_ref::<gix_transport::packetline::read::Error>() {
        return Some(said.message.to_str_lossy().trim().to_owned());
    }
    // In place of a pack, the line is not recognized as an error and quoted as an unknown one.
    source.iter_errors().find_map(|err| {
        let text = err.to_string();
        let (_, said) = text.split_once("\"ERR ")?;
        Some(said.trim_end_matches('"').replace("\\n", " ").trim().to_owned())
    })
}

impl Source for Connection<'_> {
    fn url(&self) -> RedactedUrl {
        self.operation.url.clone()
    }

    fn list(&mut self, prefixes: &[&str]) -> Result<Vec<RemoteRef>, Error> {
        let agent = self.agent();
        let session = self.session()?;
        let refs = if let Some(refs) = &session.handshake.refs {
            refs.clone()
        } else {
            let mut wanted = RefPrefixes::new();
            wanted.extend(prefixes.iter().map(|&prefix| BString::from(prefix)));
            LsRefsCommand::new(Some(wanted), &session.handshake.capabilities, agent)
                .invoke_blocking(&mut session.transport, &mut Discard, false)
                .map_err(|source| self.misunderstood(source))?
        };
        debug!(url = %self.operation.url, count = refs.len(), "listed references");
        // Prefixes are a wish: older servers send everything.
        let wanted = |name: &str| {
            prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        Ok(refs.iter().filter_map(RemoteRef::new).filter(|found| wanted(&found.name)).collect())
    }

    fn commit_times(&mut self, ids: &[ObjectId]) -> Result<Vec<i64>, Error> {
        let mut wants = ids.to_vec();
        wants.sort_unstable();
        wants.dedup();
        let commits_only = self.can_filter()?;
        let store = self.fetch(&Request { wants: &wants, history: false, commits_only })?;
        ids.iter().map(|id| Ok(Commit::read(&store, *id)?.0.committer.seconds)).collect()
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        // A polite end; the server notices the closed connection, too.
        if let Some(session) = &mut self.session
            && session.handshake.server_protocol_version == Protocol::V2
        {
            let _ = protocol::indicate_end_of_interaction(&mut session.transport, false);
        }
    }
}

/// Asks for objects without having any.
struct Wants<'a> {
    request: &'a Request<'a>,
    version: Protocol,
}

impl Negotiate for Wants<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        if self.version == Protocol::V2 {
            arguments.add_feature("no-progress");
        }
        if self.request.commits_only {
            arguments.filter("tree:0");
        }
        for id in self.request.wants {
            arguments.want(id);
        }
        true
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        _arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        let round = Round {
            haves_sent: 0,
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

impl RemoteRef {
    fn new(found: &Ref) -> Option<Self> {
        let (name, id, peeled) = match found {
            Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, tag, Some(object)),
            Ref::Symbolic { full_ref_name, tag: Some(tag), object, .. } => {
                (full_ref_name, tag, Some(object))
            }
            Ref::Direct { full_ref_name, object }
            | Ref::Symbolic { full_ref_name, tag: None, object, .. } => {
                (full_ref_name, object, None)
            }
            Ref::Unborn { .. } => return None,
        };
        Some(Self { name: name.to_str_lossy().into_owned(), id: *id, peeled: peeled.copied() })
    }
}
