//! Commits and tags, with what is needed to verify them.

use gix::{
    ObjectId,
    bstr::{BStr, ByteSlice as _},
    objs::{CommitRef, CommitRefIter, Kind, TagRef},
};

use crate::{Error, store::Store};

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The hash, 40 hexadecimal digits.
    pub id: String,
    /// Who wrote the change.
    pub author: Person,
    /// Who made the commit.
    pub committer: Person,
    /// What the commit says of itself, in full.
    pub message: String,
    /// Its signature, if it has one.
    pub signature: Option<Signature>,
    /// The object as it is stored.
    pub raw: Vec<u8>,
}

/// An annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The hash of the tag object, 40 hexadecimal digits.
    pub id: String,
    /// The name that the object itself holds.
    pub name: String,
    /// Who made the tag.
    pub tagger: Option<Person>,
    /// What the tag says of itself, in full, without the signature.
    pub message: String,
    /// Its signature, if it has one.
    pub signature: Option<Signature>,
    /// The object as it is stored.
    pub raw: Vec<u8>,
}

/// A signature and the bytes it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The armor, from `-----BEGIN PGP SIGNATURE-----`, `-----BEGIN SSH SIGNATURE-----` or another
    /// such line to its end.
    pub armor: String,
    /// What was signed.
    pub payload: Vec<u8>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

impl Commit {
    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.trim_start().lines().next().unwrap_or_default()
    }

    /// Reads a commit; its tree comes with it.
    pub(crate) fn read(store: &Store, id: ObjectId) -> Result<(Self, ObjectId), Error> {
        let mut raw = Vec::new();
        let kind = store.read(&id, &mut raw)?;
        if kind != Kind::Commit {
            return Err(Error::NotACommit { reference: id.to_string(), kind: kind.to_string() });
        }
        Self::parse(id, raw).map_err(|source| Error::Object { id: id.to_string(), source })
    }

    /// Reads a commit from its bytes.
    pub(crate) fn parse(id: ObjectId, raw: Vec<u8>) -> gix::Result<(Self, ObjectId)> {
        let commit = CommitRef::from_bytes(&raw, id.kind())?;
        let signature = CommitRefIter::signature(&raw, id.kind())?.map(|(armor, data)| {
            let armor = armor.to_str_lossy().into_owned();
            Signature { armor, payload: data.to_bstring().into() }
        });
        let (tree, author, committer) =
            (commit.tree(), person(commit.author), person(commit.committer));
        let message = commit.message.to_str_lossy().into_owned();
        drop(commit);
        Ok((Self { id: id.to_string(), author, committer, message, signature, raw }, tree))
    }
}

impl Tag {
    /// Reads an annotated tag.
    pub(crate) fn read(store: &Store, id: ObjectId) -> Result<Self, Error> {
        let mut raw = Vec::new();
        let kind = store.read(&id, &mut raw)?;
        if kind != Kind::Tag {
            return Err(Error::NotACommit { reference: id.to_string(), kind: kind.to_string() });
        }
        Self::parse(id, raw).map_err(|source| Error::Object { id: id.to_string(), source })
    }

    fn parse(id: ObjectId, raw: Vec<u8>) -> gix::Result<Self> {
        let tag = TagRef::from_bytes(&raw, id.kind())?;
        let name = tag.name.to_str_lossy().into_owned();
        let tagger = tag.tagger.map(person);
        let end = start_of_signature(&raw);
        let body = raw.find(b"\n\n").map_or(raw.len(), |headers| headers + 2).min(end);
        let message = raw[body..end].to_str_lossy().into_owned();
        let signature = (end < raw.len()).then(|| Signature {
            armor: raw[end..].to_str_lossy().into_owned(),
            payload: raw[..end].to_owned(),
        });
        Ok(Self { id: id.to_string(), name, tagger, message, signature, raw })
    }
}

/// Returns where the signature of a tag starts, which is its end where there is none.
///
/// Source: `parse_signed_buffer`, git `gpg-interface.c`: the last line that opens a signature.
fn start_of_signature(raw: &[u8]) -> usize {
    const OPENINGS: [&str; 4] = [
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN PGP MESSAGE-----",
        "-----BEGIN SIGNED MESSAGE-----",
        "-----BEGIN SSH SIGNATURE-----",
    ];
    let (mut start, mut position) = (raw.len(), 0);
    for line in raw.lines_with_terminator() {
        if OPENINGS.iter().any(|opening| line.starts_with(opening.as_bytes())) {
            start = position;
        }
        position += line.len();
    }
    start
}

/// Reads a name, address and time; what cannot be read is left empty.
fn person(raw: &BStr) -> Person {
    let Ok(signature) = gix::actor::SignatureRef::from_bytes(raw.as_bytes()) else {
        return Person { name: String::new(), email: String::new(), seconds: 0 };
    };
    let signature = signature.trim();
    Person {
        name: signature.name.to_str_lossy().into_owned(),
        email: signature.email.to_str_lossy().into_owned(),
        seconds: signature.time().map_or(0, |time| time.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_signature_of_a_tag() {
        let quoted = b"message\n-----BEGIN PGP SIGNATURE-----\nquoted\n";
        let mut raw = quoted.to_vec();
        raw.extend_from_slice(b"-----BEGIN SSH SIGNATURE-----\nreal\n");
        assert_eq!(start_of_signature(&raw), quoted.len());
        assert_eq!(start_of_signature(b"none -----BEGIN SSH SIGNATURE-----\n"), 35);
    }
}
