//! Goes through a document and decrypts its values.

use regex::bytes::Regex;
use sha2::{Digest as _, Sha512};

use crate::cipher::{Cipher, CipherError};
use crate::metadata::{Metadata, Rule};
use crate::tree::{Branch, Key, Value};

/// What the digest begins with when it covers only what was encrypted.
const MAC_ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Why a document could not be decrypted with its data key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A value could not be decrypted.
    #[error("Error walking tree: Could not decrypt value: {0}")]
    Value(#[from] CipherError),
    /// A value that should be encrypted is not even text.
    #[error("Error walking tree: Expected encrypted value as string, but got {0}")]
    NotEncrypted(&'static str),
}

/// Why a document is not what was encrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// The digest of the document cannot be decrypted.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// The document was changed.
    #[error("the document is not the one that was encrypted")]
    Mismatch,
}

/// Decrypts documents in place. Returns the digest of what they hold.
pub(crate) fn decrypt(
    branches: &mut [Branch],
    metadata: &Metadata,
    cipher: &Cipher<'_>,
) -> Result<String, TreeError> {
    let mut walker = Walker {
        rule: &metadata.rule,
        mac_only_encrypted: metadata.mac_only_encrypted,
        cipher,
        mac: Sha512::new(),
        path: Vec::new(),
        comments: Vec::new(),
    };
    if metadata.mac_only_encrypted {
        walker.mac.update(MAC_ONLY_ENCRYPTED);
    }
    for branch in branches {
        walker.branch(branch)?;
    }
    Ok(hex::encode_upper(walker.mac.finalize()))
}

/// Checks that a digest is the one that a document was encrypted with.
pub(crate) fn check_mac(
    digest: &str,
    metadata: &Metadata,
    cipher: &Cipher<'_>,
) -> Result<(), MacError> {
    match cipher.decrypt(&metadata.mac, &metadata.last_modified)? {
        Value::Text(mac) if mac == digest.as_bytes() => Ok(()),
        _ => Err(MacError::Mismatch),
    }
}

struct Walker<'a> {
    rule: &'a Rule,
    mac_only_encrypted: bool,
    cipher: &'a Cipher<'a>,
    mac: Sha512,
    /// The keys that lead to a value. Places in lists do not count.
    path: Vec<String>,
    /// For every level, the comments since the last value.
    comments: Vec<Vec<Vec<u8>>>,
}

impl Walker<'_> {
    fn branch(&mut self, branch: &mut Branch) -> Result<(), TreeError> {
        self.comments.push(Vec::new());
        for item in branch {
            match &mut item.key {
                Key::Comment(comment) => {
                    self.note(comment.text.clone());
                    if self.is_encrypted(true) {
                        // A comment that was never encrypted stays as it is.
                        match self.cipher.decrypt(&comment.text, &self.bound_to()) {
                            Ok(Value::Comment(plain)) => *comment = plain,
                            Ok(Value::Text(text)) => comment.text = text,
                            _ => {}
                        }
                    }
                }
                Key::Text(key) => {
                    self.path.push(key.clone());
                    self.value(&mut item.value)?;
                    self.path.pop();
                    self.settle();
                }
            }
        }
        self.comments.pop();
        Ok(())
    }

    fn list(&mut self, items: &mut [Value]) -> Result<(), TreeError> {
        self.comments.push(Vec::new());
        for item in items {
            let comment = if let Value::Comment(comment) = &*item {
                self.note(comment.text.clone());
                true
            } else {
                false
            };
            self.value(item)?;
            if !comment {
                self.settle();
            }
        }
        self.comments.pop();
        Ok(())
    }

    fn value(&mut self, value: &mut Value) -> Result<(), TreeError> {
        match value {
            Value::Null => return Ok(()),
            Value::Branch(branch) => return self.branch(branch),
            Value::List(items) => return self.list(items),
            Value::Comment(comment) => {
                if self.is_encrypted(true)
                    && let Ok(plain) = self.cipher.decrypt(&comment.text, &self.bound_to())
                {
                    *value = plain;
                }
                return Ok(());
            }
            _ => {}
        }
        let encrypted = self.is_encrypted(false);
        if encrypted {
            let Value::Text(text) = &*value else {
                return Err(TreeError::NotEncrypted(value.type_name()));
            };
            *value = self.cipher.decrypt(text, &self.bound_to())?;
        }
        if encrypted || !self.mac_only_encrypted {
            match &*value {
                Value::Text(bytes) | Value::Bytes(bytes) => self.mac.update(bytes),
                Value::Int(int) => self.mac.update(int.to_string()),
                Value::Float(float) => self.mac.update(float.to_string()),
                Value::Bool(true) => self.mac.update("True"),
                Value::Bool(false) => self.mac.update("False"),
                Value::Time(time) => self.mac.update(time),
                // SOPS adds comments in lists here and not where it encrypts, and then refuses its
                // own documents.
                Value::Comment(_) | Value::Null | Value::List(_) | Value::Branch(_) => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, comment: Vec<u8>) {
        if matches!(self.rule, Rule::UnencryptedCommentRegex(_) | Rule::EncryptedCommentRegex(_))
            && let Some(level) = self.comments.last_mut()
        {
            level.push(comment);
        }
    }

    /// Comments are about the one value that follows.
    fn settle(&mut self) {
        if let Some(level) = self.comments.last_mut() {
            level.clear();
        }
    }

    /// Returns what a value is bound to, so that it cannot be moved.
    fn bound_to(&self) -> String {
        format!("{}:", self.path.join(":"))
    }

    fn is_encrypted(&self, is_comment: bool) -> bool {
        let any_ends = |suffix: &str| self.path.iter().any(|key| key.ends_with(suffix));
        let any_matches =
            |regex: &Regex| self.path.iter().any(|key| regex.is_match(key.as_bytes()));
        match self.rule {
            Rule::UnencryptedSuffix(suffix) => !any_ends(suffix),
            Rule::EncryptedSuffix(suffix) => any_ends(suffix),
            Rule::UnencryptedRegex(regex) => !any_matches(regex),
            Rule::EncryptedRegex(regex) => any_matches(regex),
            Rule::UnencryptedCommentRegex(regex) => {
                !self.comments.iter().flatten().any(|comment| regex.is_match(comment))
            }
            Rule::EncryptedCommentRegex(regex) => {
                let comments = self.comments.iter().flatten();
                // The comment that says so is not encrypted itself.
                let own = usize::from(is_comment);
                let count = comments.clone().count().saturating_sub(own);
                comments.take(count).any(|comment| regex.is_match(comment))
            }
        }
    }
}
