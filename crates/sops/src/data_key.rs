//! The key that the values of a document are encrypted with.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};

use crate::metadata::{MasterKey, Metadata};
use crate::shamir::{self, ShamirError};

/// A data key, or a share of one.
pub type DataKey = SecretSlice<u8>;

/// Something that decrypts data keys, such as an age identity or a cloud service.
pub trait KeyService {
    /// Decrypts the data key that a master key protects. May block.
    ///
    /// # Errors
    ///
    /// When the key is not there, or refuses.
    fn decrypt(&self, key: &MasterKey) -> Result<DataKey, KeyError>;
}

/// Why a master key does not decrypt a data key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    /// Too few of the master keys could be used.
    #[error(transparent)]
    Failed(#[from] GroupsError),
    /// The shares make no key.
    #[error("could not get data key from shamir parts")]
    Shamir(#[from] ShamirError),
}

/// What happened to the groups of master keys of a document.
///
/// The message has many lines: one for every key, and why it could not be used.
///
/// Source: `usererrors.go`, SOPS 3.13.
#[derive(Debug)]
pub struct GroupsError {
    threshold: usize,
    /// For each group, why each of its keys failed; `None` if one did not.
    groups: Vec<Option<Vec<(String, KeyError)>>>,
}

impl KeyError {
    /// Returns an error with a message, which may not hold anything secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Gets the data key of a document.
pub(crate) fn get(metadata: &Metadata, keys: &dyn KeyService) -> Result<DataKey, DataKeyError> {
    let mut shares = Vec::new();
    let mut groups = Vec::new();
    // Once there are enough shares, no other service is asked.
    let needed = if metadata.groups.len() > 1 { metadata.threshold.max(2) } else { 1 };
    for group in &metadata.groups {
        if shares.len() == needed {
            break;
        }
        match decrypt_group(group, keys) {
            Ok(share) => {
                shares.push(share);
                groups.push(None);
            }
            Err(failures) => groups.push(Some(failures)),
        }
    }
    if shares.len() < needed {
        return Err(GroupsError { threshold: metadata.threshold, groups }.into());
    }
    if metadata.groups.len() == 1 {
        return Ok(shares.remove(0));
    }
    let shares: Vec<&[u8]> = shares.iter().map(ExposeSecret::expose_secret).collect();
    Ok(DataKey::from(shamir::combine(&shares)?.to_vec()))
}

/// Tries the keys of a group, of which one is enough.
fn decrypt_group(
    group: &[MasterKey],
    keys: &dyn KeyService,
) -> Result<DataKey, Vec<(String, KeyError)>> {
    let mut ordered: Vec<_> = group.iter().collect();
    ordered.sort_by_key(|key| key.priority());
    let mut failures = Vec::new();
    for key in ordered {
        match keys.decrypt(key) {
            Ok(share) => return Ok(share),
            Err(error) => failures.push((key.to_string(), error)),
        }
    }
    Err(failures)
}

impl std::error::Error for GroupsError {}

impl fmt::Display for GroupsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failed to get the data key required to decrypt the SOPS file.\n")?;
        for (number, group) in self.groups.iter().enumerate() {
            let Some(failures) = group else {
                write!(f, "\nGroup {number}: SUCCESS\n")?;
                continue;
            };
            writeln!(f, "\nGroup {number}: FAILED")?;
            for (index, (key, error)) in failures.iter().enumerate() {
                if index > 0 {
                    f.write_str("  \n")?;
                }
                writeln!(f, "  {key}: FAILED")?;
                for (index, line) in wrap(&error.to_string(), 60).iter().enumerate() {
                    let bullet = if index == 0 { '-' } else { ' ' };
                    writeln!(f, "    {bullet} | {line}")?;
                }
            }
        }
        let succeeded = self.groups.iter().filter(|group| group.is_none()).count();
        let advice = if self.threshold == 0 {
            "Recovery failed because no master key was able to decrypt the file. In order for SOPS \
             to recover the file, at least one key has to be successful, but none were."
                .to_owned()
        } else {
            let threshold = self.threshold;
            format!(
                "Recovery failed because the file was encrypted with a Shamir threshold of \
                 {threshold}, but only {succeeded} part(s) were successfully recovered, one for \
                 each successful key group. In order for SOPS to recover the file, at least \
                 {threshold} groups have to be successful. In order for a group to be successful, \
                 decryption has to succeed with any of the keys in that key group."
            )
        };
        write!(f, "\n{}", wrap(&advice, 75).join("\n"))
    }
}

/// Breaks lines at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            let length = line.chars().count() + word.trim_end().chars().count();
            if !line.is_empty() && length > width {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            line.push_str(word);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Rule;

    /// Knows the shares of the recipients that it is told of.
    struct Known(Vec<(&'static str, &'static [u8])>);

    impl KeyService for Known {
        fn decrypt(&self, key: &MasterKey) -> Result<DataKey, KeyError> {
            let name = key.to_string();
            let found = self.0.iter().find(|(known, _)| *known == name);
            let unknown = || {
                KeyError::new(
                    "failed to create reader for decrypting sops data key with age: no identity \
                     matched any of the recipients",
                )
            };
            found.map(|(_, share)| DataKey::from(share.to_vec())).ok_or_else(unknown)
        }
    }

    fn metadata(groups: &[&[&str]], threshold: usize) -> Metadata {
        let key = |name: &&str| MasterKey::Age {
            recipient: (*name).to_owned(),
            encrypted: String::new(),
        };
        Metadata {
            groups: groups.iter().map(|group| group.iter().map(key).collect()).collect(),
            threshold,
            rule: Rule::EncryptedSuffix(String::new()),
            mac: Vec::new(),
            mac_only_encrypted: false,
            last_modified: String::new(),
        }
    }

    #[test]
    fn one_key_of_a_group_is_enough() {
        let key = get(&metadata(&[&["a", "b"]], 0), &Known(vec![("b", b"key")])).unwrap();
        assert_eq!(key.expose_secret(), b"key");
    }

    #[test]
    fn says_why_every_key_failed() {
        let error = get(&metadata(&[&["a", "b"]], 0), &Known(vec![])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\
Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  a: FAILED
    - | failed to create reader for decrypting sops data key with
      | age: no identity matched any of the recipients
  
  b: FAILED
    - | failed to create reader for decrypting sops data key with
      | age: no identity matched any of the recipients

Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were."
        );
    }

    #[test]
    fn needs_as_many_groups_as_the_threshold_says() {
        let groups: [&[&str]; 3] = [&["a"], &["b"], &["c"]];
        let error = get(&metadata(&groups, 2), &Known(vec![("b", &[1, 1])])).unwrap_err();
        let message = error.to_string().replace('\n', " ");
        assert!(message.contains("Group 1: SUCCESS"), "{message}");
        assert!(message.contains("Shamir threshold of 2, but only 1"), "{message}");
        let both = Known(vec![("a", &[1, 1]), ("c", &[1, 3])]);
        assert_eq!(get(&metadata(&groups, 2), &both).unwrap().expose_secret(), [1]);
    }
}
