//! Where artifacts are served, and where that is said to be.

use std::net::SocketAddr;

/// An address to listen on, as the flag has it: `:9090`, `0.0.0.0:9090`, `[::1]:0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    host: String,
    port: u16,
}

/// An address that cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid storage address {0:?}, expected HOST:PORT")]
pub(crate) struct InvalidAddress(String);

/// What the addresses of artifacts begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised(String);

impl std::str::FromStr for Listen {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or_else(invalid)?,
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl Listen {
    /// Returns what to bind; an empty host means every interface.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        match self.host.as_str() {
            "" => ("::", self.port),
            host => (host, self.port),
        }
    }

    /// Returns the address that clients can reach the bound one under.
    ///
    /// Source: `GetAdvertisedAddress`, fluxcd/pkg `artifact/config/options.go`.
    pub(crate) fn advertised(&self, bound: SocketAddr, hostname: &str) -> Advertised {
        let host = match self.host.as_str() {
            "" => "localhost",
            "0.0.0.0" | "::" => hostname,
            host => host,
        };
        let port = bound.port();
        Advertised(if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        })
    }
}

impl From<String> for Advertised {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl Advertised {
    /// Returns the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = ["http://", "https://"].into_iter().find(|it| self.0.starts_with(it));
        let scheme = if scheme.is_some() { "" } else { "http://" };
        format!("{scheme}{}/{}", self.0, path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advertised(flag: &str) -> String {
        let listen: Listen = flag.parse().unwrap();
        let bound = SocketAddr::from(([127, 0, 0, 1], if listen.port == 0 { 4321 } else { 9090 }));
        listen.advertised(bound, "pod-1").url("gitrepository/a/b/c.tar.gz")
    }

    #[test]
    fn advertises_what_can_be_reached() {
        for (flag, host) in [
            (":9090", "localhost:9090"),
            ("0.0.0.0:9090", "pod-1:9090"),
            ("[::]:9090", "pod-1:9090"),
            ("10.0.0.1:9090", "10.0.0.1:9090"),
            ("[fd00::1]:9090", "[fd00::1]:9090"),
            ("127.0.0.1:0", "127.0.0.1:4321"),
        ] {
            assert_eq!(advertised(flag), format!("http://{host}/gitrepository/a/b/c.tar.gz"));
        }
    }

    #[test]
    fn takes_a_given_address_with_or_without_scheme() {
        let url = |address: &str| Advertised::from(address.to_owned()).url("/a/b");
        assert_eq!(
            url("source-controller.flux-system.svc.cluster.local."),
            "http://source-controller.flux-system.svc.cluster.local./a/b"
        );
        assert_eq!(url("https://artifacts.example.com"), "https://artifacts.example.com/a/b");
    }

    #[test]
    fn refuses_what_is_no_address() {
        for flag in ["", "9090", "localhost", ":http", "fd00::1:9090", "[::1:9090", ":70000"] {
            assert!(flag.parse::<Listen>().is_err(), "{flag}");
        }
    }
}
