//! What is handed on for the verification of commits and tags.

use crate::world::World;
use git::{Reference, Signature};
use russh::keys::{HashAlg, PrivateKey, ssh_key::LineEnding, ssh_key::SshSig};
use testkit::{git_server::GitServer, repository::Repository, ssh_server::Key};

fn private_key() -> PrivateKey {
    PrivateKey::from_openssh(Key::ed25519().unwrap().private().unwrap()).unwrap()
}

/// Signs as `git` does with an SSH key.
fn sign(key: &PrivateKey, payload: &str) -> String {
    let signature = key.sign("git", HashAlg::Sha512, payload.as_bytes()).unwrap();
    signature.to_pem(LineEnding::LF).unwrap()
}

fn is_signed_by(key: &PrivateKey, signature: &Signature) -> bool {
    let parsed = SshSig::from_pem(&signature.armor).unwrap();
    key.public_key().verify("git", &signature.payload, &parsed).is_ok()
}

fn store(repository: &Repository, kind: &str, content: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let path = file.path().to_str().unwrap();
    repository.git(&["hash-object", "-t", kind, "-w", path]).unwrap().trim().to_owned()
}

/// Stores a commit with a signature in its header.
fn signed_commit(repository: &Repository, key: &PrivateKey) -> String {
    let unsigned = repository.git(&["cat-file", "commit", "HEAD"]).unwrap();
    let (headers, message) = unsigned.split_once("\n\n").unwrap();
    let armor = sign(key, &unsigned);
    let header = armor.trim_end().replace('\n', "\n ");
    store(repository, "commit", &format!("{headers}\ngpgsig {header}\n\n{message}"))
}

/// Stores a tag of a commit with a signature at its end.
fn signed_tag(repository: &Repository, key: &PrivateKey, commit: &str) -> String {
    let unsigned = format!(
        "object {commit}\ntype commit\ntag v1.0.0\ntagger Demo <demo@example.com> 1700000000 +0000\n\nRelease\n"
    );
    let armor = sign(key, &unsigned);
    store(repository, "tag", &format!("{unsigned}{}\n", armor.trim_end()))
}

#[tokio::test]
async fn hands_on_what_was_signed() {
    let world = World::new();
    let repository = world.repository("fleet");
    let (author, releaser) = (private_key(), private_key());
    let commit = signed_commit(&repository, &author);
    let tag = signed_tag(&repository, &releaser, &commit);
    repository.git(&["update-ref", "refs/heads/master", &commit]).unwrap();
    repository.git(&["update-ref", "refs/tags/v1.0.0", &tag]).unwrap();
    let server = GitServer::start(&world.root()).await.unwrap();

    for reference in [Reference::tag("v1.0.0"), Reference::semver("*")] {
        let (checkout, _) = world.checkout(&server.url("fleet"), reference).await.unwrap();

        assert_eq!(checkout.commit.id, commit);
        let signature = checkout.commit.signature.unwrap();
        assert!(signature.armor.starts_with("-----BEGIN SSH SIGNATURE-----"));
        assert!(is_signed_by(&author, &signature));
        assert!(!is_signed_by(&releaser, &signature));

        let tag = checkout.tag.unwrap();
        assert_eq!(tag.message, "Release\n");
        let signature = tag.signature.unwrap();
        assert!(is_signed_by(&releaser, &signature));
        assert!(!is_signed_by(&author, &signature));
    }

    let (checkout, _) =
        world.checkout(&server.url("fleet"), Reference::branch("master")).await.unwrap();
    assert!(is_signed_by(&author, &checkout.commit.signature.unwrap()));
    assert_eq!(checkout.tag, None, "a branch has no tag, also where there is one at its commit");
}
