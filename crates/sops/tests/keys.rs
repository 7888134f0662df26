//! The keys of the test data, and what happens without them.

use std::path::{Path, PathBuf};

use sops::age::{Identities, IdentityError};
use sops::pgp::{Keyring, KeyringError};
use sops::{DataKey, Format, Integrity, KeyError, KeyService, MasterKey, decrypt};

/// Some of the keys of the test data.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    age: Identities,
    pgp: Keyring,
}

impl Keys {
    /// Returns keys by the names of their files.
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut keys = Self::default();
        for name in names {
            let content = read(&format!("keys/{name}"));
            if Path::new(name).extension().is_some_and(|it| it == "asc") {
                keys.pgp.import(&content).unwrap();
            } else {
                keys.age.import(&String::from_utf8(content).unwrap()).unwrap();
            }
        }
        keys
    }

    /// Returns every key that there is.
    pub(crate) fn all() -> Self {
        let names = ["one.agekey", "two.agekey", "three.agekey", "ssh-ed25519.key"];
        Self::of(&[&names[..], &["ed25519.asc", "rsa.asc"]].concat())
    }
}

impl KeyService for Keys {
    fn decrypt(&self, key: &MasterKey) -> Result<DataKey, KeyError> {
        match key {
            MasterKey::Age { encrypted, .. } => self.age.decrypt(encrypted),
            MasterKey::Pgp { fingerprint, encrypted } => self.pgp.decrypt(fingerprint, encrypted),
            _ => Err(KeyError::new("no such service")),
        }
    }
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata")
}

#[expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
pub(crate) fn read(path: &str) -> Vec<u8> {
    std::fs::read(testdata().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn message(error: &dyn std::error::Error) -> String {
    let source = error.source().map(message);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn failure(document: &str, keys: &Keys) -> String {
    let format = Format::of_path(document);
    let content = read(&format!("documents/{document}"));
    message(&decrypt(&content, (format, format), Integrity::Ignored, keys).unwrap_err())
}

#[test]
fn two_groups_of_three_are_enough() {
    let content = read("documents/groups.yaml");
    let formats = (Format::Yaml, Format::Yaml);
    for names in [["one.agekey", "three.agekey"], ["one.agekey", "ed25519.asc"]] {
        let plain = decrypt(&content, formats, Integrity::Checked, &Keys::of(&names)).unwrap();
        assert_eq!(plain, read("plain/groups.yaml"));
    }
}

#[test]
fn says_which_groups_failed_and_why() {
    let message = failure("groups.yaml", &Keys::of(&["ed25519.asc"]));
    let expected = "\
cannot get sops data key: Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  age1suz52wrqee5slvn5c803jy2wrn8rj9lyqhh7yl2d3he7pc4nav7qw5cmal: FAILED
    - | failed to load age identities

Group 1: SUCCESS

Group 2: FAILED
  age1fztskat6rxnjgv9qdh4plelljau2mv589n4ftn7wmdcn493qjakqylqrkm: FAILED
    - | failed to load age identities

Recovery failed because the file was encrypted with a Shamir threshold of
2, but only 1 part(s) were successfully recovered, one for each successful
key group. In order for SOPS to recover the file, at least 2 groups have to
be successful. In order for a group to be successful, decryption has to
succeed with any of the keys in that key group.";
    assert_eq!(message, expected);
}

#[test]
fn another_key_does_not_do() {
    let age = failure("values.yaml", &Keys::of(&["two.agekey"]));
    assert!(age.contains("identity did not match any of the recipients"), "{age}");
    let pgp = failure("pgp-rsa.json", &Keys::of(&["ed25519.asc"]));
    assert!(pgp.contains("02C165B001CD8D0DD92190E74D546E53185EAA78: FAILED"), "{pgp}");
}

#[test]
fn refuses_what_are_no_keys() {
    let import = |text: &str| Identities::default().import(text).unwrap_err();
    assert_eq!(import("# comment\n\nsecret"), IdentityError::Unknown);
    assert_eq!(import("AGE-SECRET-KEY-1QQQQ"), IdentityError::Malformed);
    assert_eq!(import("AGE-SECRET-KEY-PQ-1QQQQ"), IdentityError::PostQuantum);
    assert_eq!(import("AGE-PLUGIN-YUBIKEY-1QQQQ"), IdentityError::Plugin);
    let nothing = "-----BEGIN OPENSSH PRIVATE KEY-----\nYQ==\n-----END OPENSSH PRIVATE KEY-----\n";
    assert_eq!(import(nothing), IdentityError::Malformed);
    assert_eq!(Keyring::default().import(b"secret"), Err(KeyringError::NoKey));
}

#[test]
fn keys_show_nothing_of_themselves() {
    let shown = format!("{:?}", Keys::of(&["one.agekey", "rsa.asc"]));
    assert_eq!(shown, "Keys { age: Identities { count: 1 }, pgp: Keyring { count: 1 } }");
}
