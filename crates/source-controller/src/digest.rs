//! Digests of files: `<algorithm>:<checksum in hex>`.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// How a file is digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Only for storages that need it: collisions can be made.
    Sha1,
    /// The default.
    #[default]
    Sha256,
    /// SHA-2 with 384 bits.
    Sha384,
    /// SHA-2 with 512 bits.
    Sha512,
    /// The fastest.
    Blake3,
}

/// A text that names no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported algorithm '{0}', expected one of sha1, sha256, sha384, sha512, blake3")]
pub struct UnknownAlgorithm(String);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseDigestError {
    /// The parts are not there, or not of the length that the algorithm gives.
    #[error("invalid checksum digest format")]
    Format,
    /// The algorithm is none.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
}

/// The digest of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    algorithm: Algorithm,
    checksum: String,
}

/// Computes a digest.
pub(crate) enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512, Self::Blake3];

    /// Returns the name, as it stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// Returns the length of a checksum, in hex digits.
    const fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 | Self::Blake3 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Returns a hasher that has seen nothing.
    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Self::Sha1 => Hasher::Sha1(Sha1::new()),
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha384 => Hasher::Sha384(Sha384::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
            Self::Blake3 => Hasher::Blake3(Box::default()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text);
        found.ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

impl Digest {
    /// Digests everything that a reader gives, in the way of this digest.
    pub(crate) fn of_same_kind(&self, mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = self.algorithm.hasher();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.checksum)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let (algorithm, checksum) = text.split_once(':').ok_or(ParseDigestError::Format)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let is_hex = checksum.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || checksum.len() != algorithm.digits() {
            return Err(ParseDigestError::Format);
        }
        Ok(Self { algorithm, checksum: checksum.to_owned() })
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => _ = hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        let (algorithm, checksum) = match self {
            Self::Sha1(hasher) => (Algorithm::Sha1, hex::encode(hasher.finalize())),
            Self::Sha256(hasher) => (Algorithm::Sha256, hex::encode(hasher.finalize())),
            Self::Sha384(hasher) => (Algorithm::Sha384, hex::encode(hasher.finalize())),
            Self::Sha512(hasher) => (Algorithm::Sha512, hex::encode(hasher.finalize())),
            Self::Blake3(hasher) => (Algorithm::Blake3, hasher.finalize().to_hex().to_string()),
        };
        Digest { algorithm, checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_with_every_algorithm() {
        for expected in [
            "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ] {
            let digest: Digest = expected.parse().unwrap();
            assert_eq!(digest.of_same_kind(&b"abc"[..]).unwrap(), digest);
            assert_eq!(digest.to_string(), expected);
            assert_ne!(digest.of_same_kind(&b"abd"[..]).unwrap(), digest);
        }
    }

    #[test]
    fn refuses_what_is_no_digest() {
        let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
        for text in ["", sha1, "sha1:", "sha1:a9993e", &format!("sha256:{sha1}")] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError::Format), "{text}");
        }
        assert!(format!("sha1:{}", sha1.to_uppercase()).parse::<Digest>().is_err());
        let error = "md5:x".parse::<Digest>().unwrap_err().to_string();
        assert!(error.starts_with("unsupported algorithm 'md5'"), "{error}");
    }
}
