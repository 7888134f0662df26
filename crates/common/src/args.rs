//! The flags that every controller has.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

use api::duration::Duration;
use clap::{ArgAction, ValueEnum};
use url::Url;

/// The flags that every controller has, with the names and defaults of Flux's.
///
/// A controller flattens them into its own; [`crate::process::main`] acts on those that are about
/// the process.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Address of the metrics endpoint; 0 switches it off
    #[arg(long, env = "METRICS_ADDR", default_value = ":8080", value_name = "ADDRESS")]
    pub metrics_addr: Listen,
    /// Address of the health endpoints; 0 switches them off
    #[arg(long, default_value = ":9440", value_name = "ADDRESS")]
    pub health_addr: Listen,
    /// Address to which events are posted
    #[arg(long, env = "EVENTS_ADDR", default_value = "", value_name = "URL")]
    pub events_addr: EventsAddress,
    /// Format of the log
    #[arg(long, value_enum, default_value_t = LogEncoding::Json, value_name = "FORMAT")]
    pub log_encoding: LogEncoding,
    /// What is logged
    #[arg(long, value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    pub log_level: LogLevel,
    /// Requests per second to the API server. Accepted and not enforced: the API server shares its
    /// capacity out by itself, by priority and fairness.
    #[arg(long, default_value_t = 50.0, value_name = "NUMBER")]
    pub kube_api_qps: f32,
    /// Burst of requests to the API server. Accepted and not enforced.
    #[arg(long, default_value_t = 300, value_name = "NUMBER")]
    pub kube_api_burst: u32,
    /// Works only while it is the leader among its replicas
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = bool)]
    pub enable_leader_election: bool,
    /// Hands the leadership over when the process ends, instead of letting it expire
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = bool)]
    pub leader_election_release_on_cancel: bool,
    /// How long others wait for a leader that does not renew
    #[arg(long, default_value = "35s", value_name = "DURATION")]
    pub leader_election_lease_duration: Duration,
    /// How long a leader tries to renew before it gives up
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub leader_election_renew_deadline: Duration,
    /// How long to wait between attempts to become or stay the leader
    #[arg(long, default_value = "5s", value_name = "DURATION")]
    pub leader_election_retry_period: Duration,
    /// Least time until a failed reconciliation is tried again
    #[arg(long, default_value = "750ms", value_name = "DURATION")]
    pub min_retry_delay: Duration,
    /// Most time until a failed reconciliation is tried again
    #[arg(long, default_value = "15m", value_name = "DURATION")]
    pub max_retry_delay: Duration,
    /// Features to switch on or off, e.g. A=true,B=false
    #[arg(long, default_value = "", value_name = "GATES")]
    pub feature_gates: String,
    /// Watches all namespaces, not only that of the controller
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, require_equals = true, value_parser = bool)]
    pub watch_all_namespaces: bool,
    /// Labels of the objects to reconcile, to share them out between several controllers
    #[arg(long, default_value = "", value_name = "SELECTOR")]
    pub watch_label_selector: String,
    /// Labels of the ConfigMaps and Secrets whose changes reconcile the objects that refer to them
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled", value_name = "SELECTOR")]
    pub watch_configs_label_selector: String,
    /// By how much an interval may vary, in percent
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100), value_name = "PERCENT")]
    pub interval_jitter_percentage: u8,
    /// How many access tokens are kept; 0 keeps none
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub token_cache_max_size: u32,
    /// How long an access token is kept at most
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    pub token_cache_max_duration: Duration,
    /// Namespace of the controller
    #[arg(long, env = "RUNTIME_NAMESPACE", default_value = "", hide = true)]
    pub runtime_namespace: String,
}

/// Which objects a controller looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The namespace; all when absent.
    pub namespace: Option<String>,
    /// The label selector; everything when absent.
    pub labels: Option<String>,
}

/// Flags that contradict each other, or the environment.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// There is no namespace to restrict the watch to.
    #[error("--watch-all-namespaces=false needs the environment variable RUNTIME_NAMESPACE")]
    NoNamespace,
}

impl Args {
    /// Returns which objects to look at.
    ///
    /// # Errors
    ///
    /// When only the own namespace is to be watched and it is not known.
    pub fn watched(&self) -> Result<Watched, ArgsError> {
        let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let namespace = match (self.watch_all_namespaces, set(&self.runtime_namespace)) {
            (true, _) => None,
            (false, None) => return Err(ArgsError::NoNamespace),
            (false, namespace) => namespace,
        };
        Ok(Watched { namespace, labels: set(&self.watch_label_selector) })
    }
}

/// Reads the value of a boolean flag as Go does: `true`, `T`, `1`, …
///
/// # Errors
///
/// When it is none of them.
pub fn bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// An address to listen on, as Go writes it: without a host, every interface is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen(Option<String>);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an address, expected e.g. \":8080\" or \"127.0.0.1:8080\"")]
pub struct ParseListenError(String);

impl Listen {
    /// The address of nothing.
    pub const OFF: Self = Self(None);

    /// Returns whether there is nothing to listen on.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the host as it was written; empty when every interface is meant, or none.
    pub fn host(&self) -> &str {
        let address = self.0.as_deref().unwrap_or_default();
        address.rsplit_once(':').map_or("", |(host, _)| host)
    }

    /// Starts to listen; `None` when it is switched off.
    ///
    /// # Errors
    ///
    /// When the address is taken, or is no address of this machine.
    pub async fn bind(&self) -> std::io::Result<Option<tokio::net::TcpListener>> {
        let Some(address) = &self.0 else { return Ok(None) };
        let listener = match address.strip_prefix(':') {
            None => tokio::net::TcpListener::bind(address).await?,
            Some(port) => {
                let port = port.parse().map_err(std::io::Error::other)?;
                let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
                match tokio::net::TcpListener::bind(every).await {
                    Ok(listener) => listener,
                    // Without IPv6 on the machine.
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                        return Err(error);
                    }
                    Err(_) => tokio::net::TcpListener::bind(("0.0.0.0", port)).await?,
                }
            }
        };
        Ok(Some(listener))
    }
}

impl FromStr for Listen {
    type Err = ParseListenError;

    fn from_str(text: &str) -> Result<Self, ParseListenError> {
        if text.is_empty() || text == "0" {
            return Ok(Self::OFF);
        }
        let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(Self(Some(text.to_owned()))),
            _ => Err(ParseListenError(text.to_owned())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("0"))
    }
}

/// The address of a notification controller; empty when there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsAddress(pub Option<Url>);

impl FromStr for EventsAddress {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, url::ParseError> {
        if text.is_empty() { Ok(Self(None)) } else { Url::parse(text).map(|url| Self(Some(url))) }
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogEncoding {
    /// An object a line
    Json,
    /// Text for people
    Console,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything
    Trace,
    /// Steps
    Debug,
    /// Changes
    Info,
    /// Failures
    Error,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Controller {
        #[command(flatten)]
        common: Args,
    }

    fn parse(flags: &[&str]) -> Result<Args, clap::Error> {
        let flags = std::iter::once(&"controller").chain(flags);
        Controller::try_parse_from(flags).map(|controller| controller.common)
    }

    #[test]
    fn reads_flags_as_the_manifests_of_flux_have_them() {
        let args = parse(&[
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
        ])
        .unwrap();
        assert!(args.enable_leader_election);
        assert_eq!(args.watched().unwrap(), Watched { namespace: None, labels: None });
        assert!(args.events_addr.0.is_some());
    }

    #[test]
    fn needs_a_namespace_to_restrict_the_watch() {
        assert!(parse(&["--watch-all-namespaces=false"]).unwrap().watched().is_err());
        let args = ["--watch-all-namespaces=F", "--runtime-namespace=apps"];
        let watched = parse(&args).unwrap().watched().unwrap();
        assert_eq!(watched.namespace.as_deref(), Some("apps"));
    }

    #[test]
    fn refuses_values_that_mean_nothing() {
        for flag in [
            "--metrics-addr=localhost",
            "--health-addr=:http",
            "--log-level=loud",
            "--interval-jitter-percentage=100",
            "--enable-leader-election=maybe",
            "--events-addr=nowhere",
            "--min-retry-delay=5",
        ] {
            assert!(parse(&[flag]).is_err(), "{flag}");
        }
    }

    #[tokio::test]
    async fn listens_on_every_interface_or_on_none() {
        assert!("0".parse::<Listen>().unwrap().bind().await.unwrap().is_none());
        let listener = ":0".parse::<Listen>().unwrap().bind().await.unwrap().unwrap();
        assert!(listener.local_addr().unwrap().ip().is_unspecified());
    }
}
