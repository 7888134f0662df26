//! Where artifacts are said to be.

use std::net::SocketAddr;

use common::args::Listen;

/// What the addresses of artifacts begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised(String);

impl Advertised {
    /// Returns the address that clients can reach the bound one under.
    ///
    /// Source: `GetAdvertisedAddress`, fluxcd/pkg `artifact/config/options.go`.
    pub(crate) fn of(listen: &Listen, bound: SocketAddr, hostname: &str) -> Self {
        let host = match listen.host() {
            "" => "localhost",
            "0.0.0.0" | "[::]" => hostname,
            host => host,
        };
        Self(format!("{host}:{}", bound.port()))
    }

    /// Returns the address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        let has_scheme = self.0.starts_with("http://") || self.0.starts_with("https://");
        let scheme = if has_scheme { "" } else { "http://" };
        format!("{scheme}{}/{}", self.0, path.trim_start_matches('/'))
    }
}

impl From<String> for Advertised {
    fn from(address: String) -> Self {
        Self(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertises_what_can_be_reached() {
        for (flag, host) in [
            (":9090", "localhost:4321"),
            ("0.0.0.0:9090", "pod-1:4321"),
            ("[::]:9090", "pod-1:4321"),
            ("10.0.0.1:9090", "10.0.0.1:4321"),
            ("[fd00::1]:9090", "[fd00::1]:4321"),
            ("127.0.0.1:0", "127.0.0.1:4321"),
        ] {
            let bound = SocketAddr::from(([127, 0, 0, 1], 4321));
            let advertised = Advertised::of(&flag.parse().unwrap(), bound, "pod-1");
            assert_eq!(advertised.url("gitrepository/a"), format!("http://{host}/gitrepository/a"));
        }
    }

    #[test]
    fn takes_a_given_address_with_or_without_scheme() {
        let url = |address: &str| Advertised::from(address.to_owned()).url("/a/b");
        let service = "source-controller.flux-system.svc.cluster.local.";
        assert_eq!(url(service), format!("http://{service}/a/b"));
        assert_eq!(url("https://artifacts.example.com"), "https://artifacts.example.com/a/b");
    }
}
