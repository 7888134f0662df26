//! Which keys hosts are known by, in OpenSSH's format.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use russh::keys::{Algorithm, HashAlg, PublicKey};

/// The port that is meant where a line names none.
const PORT: u16 = 22;

/// The keys of hosts.
///
/// Lines that start with `@cert-authority` are passed over: host certificates are not supported.
///
/// Source: `golang.org/x/crypto/ssh/knownhosts`, sshd(8).
#[derive(Debug)]
pub(crate) struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    is_revoked: bool,
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Debug)]
enum Hosts {
    Patterns(Vec<Pattern>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Debug)]
struct Pattern {
    is_negated: bool,
    host: String,
    port: u16,
}

/// What is known of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the host's key.
    Known,
    /// There is no key for the host.
    UnknownHost,
    /// The host is known by other keys.
    Mismatch,
    /// The key must not be used any more, by any host.
    Revoked,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {reason}")]
pub struct KnownHostsError {
    /// The number of the line, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl KnownHosts {
    /// Parses a file.
    pub(crate) fn parse(text: &str) -> Result<Self, KnownHostsError> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = Line::parse(line)
                .map_err(|reason| KnownHostsError { number: index + 1, reason })?;
            lines.extend(parsed);
        }
        Ok(Self { lines })
    }

    /// Returns what is known of a key that a host shows.
    pub(crate) fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let is_same = |line: &&Line| line.key.key_data() == key.key_data();
        if self.lines.iter().filter(|line| line.is_revoked).any(|line| is_same(&line)) {
            return Verdict::Revoked;
        }
        let mut of_host = self.of_host(host, port).peekable();
        if of_host.peek().is_none() {
            return Verdict::UnknownHost;
        }
        if of_host.any(|line| is_same(&line)) { Verdict::Known } else { Verdict::Mismatch }
    }

    /// Returns the algorithms to offer to a host, so that it shows a key that is known.
    ///
    /// An RSA key is asked for with the newer signatures first. Empty if nothing is known.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for line in self.of_host(host, port) {
            let offered = match line.key.algorithm() {
                Algorithm::Rsa { .. } => [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
                    .map(|hash| Algorithm::Rsa { hash })
                    .to_vec(),
                algorithm => vec![algorithm],
            };
            for algorithm in offered {
                if !algorithms.contains(&algorithm) {
                    algorithms.push(algorithm);
                }
            }
        }
        algorithms
    }

    fn of_host(&self, host: &str, port: u16) -> impl Iterator<Item = &Line> {
        let host = host.to_ascii_lowercase();
        self.lines.iter().filter(move |line| !line.is_revoked && line.hosts.contain(&host, port))
    }
}

impl Line {
    /// Parses a line; one that has no meaning here is none.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let mut fields = line.split_ascii_whitespace().peekable();
        let marker = fields.next_if(|field| field.starts_with('@'));
        let is_revoked = match marker {
            None => false,
            Some("@revoked") => true,
            Some("@cert-authority") => return Ok(None),
            Some(other) => return Err(format!("unknown marker {other:?}")),
        };
        let (Some(hosts), Some(kind), Some(key)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err("expected hosts, a key type and a key".to_owned());
        };
        let hosts = Hosts::parse(hosts)?;
        let key = PublicKey::from_openssh(&format!("{kind} {key}"))
            .map_err(|err| format!("cannot read the key: {err}"))?;
        Ok(Some(Self { is_revoked, hosts, key }))
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return text
                .split(',')
                .map(Pattern::parse)
                .collect::<Result<_, _>>()
                .map(Self::Patterns);
        };
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
        let (salt, hash) = hashed
            .split_once('|')
            .and_then(|(salt, hash)| Some((decode(salt)?, decode(hash)?)))
            .ok_or_else(|| "cannot read the hashed host".to_owned())?;
        Ok(Self::Hashed { salt, hash })
    }

    fn contain(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let mut matching = patterns.iter().filter(|pattern| pattern.matches(host, port));
                // One negated pattern is enough to leave a host out.
                matching.clone().all(|pattern| !pattern.is_negated) && matching.next().is_some()
            }
            Self::Hashed { salt, hash } => {
                let name = if port == PORT { host.to_owned() } else { format!("[{host}]:{port}") };
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (is_negated, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("missing ] after the host")?;
                let port = match port.strip_prefix(':') {
                    Some(port) => port.parse().map_err(|_| "cannot read the port".to_owned())?,
                    None => PORT,
                };
                (host, port)
            }
            None => (text, PORT),
        };
        if host.is_empty() {
            return Err("missing host".to_owned());
        }
        Ok(Self { is_negated, host: host.to_ascii_lowercase(), port })
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        self.port == port && matches_wildcard(self.host.as_bytes(), host.as_bytes())
    }
}

/// Returns whether a text is as a pattern with `*` for anything and `?` for one character says.
fn matches_wildcard(pattern: &[u8], text: &[u8]) -> bool {
    // After a mismatch, the last `*` takes one character more.
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut retry {
                Some((star, taken)) => {
                    *taken += 1;
                    (p, t) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn verdict(hosts: &str, host: &str, port: u16) -> Verdict {
        let known = KnownHosts::parse(&format!("{hosts} {ED25519} a comment")).unwrap();
        known.check(host, port, &key(ED25519))
    }

    #[test]
    fn knows_hosts_by_name_pattern_and_port() {
        for (hosts, host, port, expected) in [
            ("github.com", "github.com", 22, true),
            ("github.com", "GitHub.com", 22, true),
            ("GitHub.com", "github.com", 22, true),
            ("github.com", "github.com", 443, false),
            ("github.com", "xgithub.com", 22, false),
            ("gitlab.com,github.com", "github.com", 22, true),
            ("[ssh.github.com]:443", "ssh.github.com", 443, true),
            ("[ssh.github.com]:443", "ssh.github.com", 22, false),
            ("[ssh.github.com]", "ssh.github.com", 22, true),
            ("192.0.2.1", "192.0.2.1", 22, true),
            ("[2001:db8::1]:2222", "2001:db8::1", 2222, true),
            ("2001:db8::1", "2001:db8::1", 22, true),
            ("*.example.com", "git.example.com", 22, true),
            ("*.example.com", "example.com", 22, false),
            ("git?.example.com", "git1.example.com", 22, true),
            ("git?.example.com", "git12.example.com", 22, false),
            ("*.example.com,!bad.example.com", "good.example.com", 22, true),
            ("*.example.com,!bad.example.com", "bad.example.com", 22, false),
            ("!bad.example.com", "good.example.com", 22, false),
            ("*a*b*c", "xaxbxcxc", 22, true),
            ("*a*b*c", "xaxbxcxd", 22, false),
        ] {
            let expected = if expected { Verdict::Known } else { Verdict::UnknownHost };
            assert_eq!(verdict(hosts, host, port), expected, "{hosts} {host}:{port}");
        }
    }

    #[test]
    fn knows_hashed_hosts() {
        // Made with `ssh-keygen -H` from `github.com` and `[git.example.com]:2222`.
        let plain = "|1|T80F85iqA5lGIPXMMwSw1Fj7IVA=|/fjD4pLdAoD4Se/E2urpMuBXDGk=";
        let with_port = "|1|Dx5vJ1Bhm2tirBFOWa6PD79+ijQ=|MeY6eccK/ti3/kBH3nxX02bvNnE=";
        assert_eq!(verdict(plain, "github.com", 22), Verdict::Known);
        assert_eq!(verdict(plain, "gitlab.com", 22), Verdict::UnknownHost);
        assert_eq!(verdict(with_port, "git.example.com", 2222), Verdict::Known);
        assert_eq!(verdict(with_port, "git.example.com", 22), Verdict::UnknownHost);
    }

    #[test]
    fn tells_wrong_keys_from_unknown_hosts() {
        let known = KnownHosts::parse(&format!(
            "# a comment\n\ngithub.com {ED25519}\ngithub.com {RSA}\n@revoked * {ECDSA}\n@cert-authority * {RSA}\n"
        ))
        .unwrap();
        assert_eq!(known.check("github.com", 22, &key(RSA)), Verdict::Known);
        assert_eq!(known.check("github.com", 22, &key(ECDSA)), Verdict::Revoked);
        assert_eq!(known.check("gitlab.com", 22, &key(RSA)), Verdict::UnknownHost);
        let known = KnownHosts::parse(&format!("github.com {ED25519}")).unwrap();
        assert_eq!(known.check("github.com", 22, &key(RSA)), Verdict::Mismatch);
    }

    #[test]
    fn offers_the_algorithms_of_known_keys() {
        let known = KnownHosts::parse(&format!(
            "github.com {RSA}\ngithub.com {ECDSA}\ngitlab.com {ED25519}"
        ))
        .unwrap();
        let names: Vec<String> =
            known.algorithms("github.com", 22).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa", "ecdsa-sha2-nistp256"]);
        assert!(known.algorithms("example.com", 22).is_empty());
    }

    #[test]
    fn says_which_line_is_wrong() {
        for (text, expected) in [
            ("\ngithub.com", "line 2: expected hosts, a key type and a key"),
            ("@unknown github.com ssh-ed25519 AAAA", "line 1: unknown marker \"@unknown\""),
            ("[github.com ssh-ed25519 AAAA", "line 1: missing ] after the host"),
            ("[github.com]:x ssh-ed25519 AAAA", "line 1: cannot read the port"),
            ("|1|x ssh-ed25519 AAAA", "line 1: cannot read the hashed host"),
        ] {
            assert_eq!(KnownHosts::parse(text).unwrap_err().to_string(), expected);
        }
        let error = KnownHosts::parse("github.com ssh-ed25519 AAAA").unwrap_err();
        assert!(error.to_string().starts_with("line 1: cannot read the key: "), "{error}");
    }
}
