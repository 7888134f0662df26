//! What a document says about how it was encrypted.

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::Regex;

use crate::tree::{Branch, Item, Key, Value};

/// Where the metadata is.
pub(crate) const KEY: &str = "sops";

/// Before the names of metadata in formats without nesting.
pub(crate) const PREFIX: &str = "sops_";

/// How many groups of keys a document may have: a share has its number in one byte.
const MAX_GROUPS: usize = 255;

/// How many keys a document may have. Each may cost a request.
const MAX_KEYS: usize = 256;

/// What a document says about how it was encrypted.
pub(crate) struct Metadata {
    pub(crate) groups: Vec<Vec<MasterKey>>,
    pub(crate) threshold: usize,
    pub(crate) rule: Rule,
    pub(crate) mac: Vec<u8>,
    pub(crate) mac_only_encrypted: bool,
    pub(crate) last_modified: String,
}

/// Which values are encrypted.
pub(crate) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    UnencryptedCommentRegex(Regex),
    EncryptedCommentRegex(Regex),
}

/// A key that protects the data key of a document, with the data key as it encrypted it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MasterKey {
    /// An age recipient.
    Age {
        /// The recipient, e.g. `age1…` or `ssh-ed25519 …`.
        recipient: String,
        /// An armored age file.
        encrypted: String,
    },
    /// An OpenPGP key.
    Pgp {
        /// The fingerprint of the key, or of a part of it.
        fingerprint: String,
        /// An armored message.
        encrypted: String,
    },
    /// A key of AWS KMS.
    AwsKms {
        /// The name of the key.
        arn: String,
        /// The role to take on first; may be empty.
        role: String,
        /// What the data key was bound to.
        context: BTreeMap<String, String>,
        /// The profile of the command line, which has no meaning elsewhere.
        profile: String,
        /// Base64.
        encrypted: String,
    },
    /// A key of Google Cloud KMS.
    GcpKms {
        /// The name of the key, `projects/…/cryptoKeys/…`.
        resource_id: String,
        /// Base64.
        encrypted: String,
    },
    /// A key of Huawei Cloud KMS.
    HuaweiKms {
        /// The name of the key.
        key_id: String,
        /// Base64.
        encrypted: String,
    },
    /// A key of Azure Key Vault.
    AzureKeyVault {
        /// The address of the vault.
        vault_url: String,
        /// The name of the key.
        name: String,
        /// Its version.
        version: String,
        /// Base64 for addresses, without padding.
        encrypted: String,
    },
    /// A key of the transit engine of Vault or OpenBao.
    Vault {
        /// The address of the server.
        address: String,
        /// Where the engine is mounted.
        engine_path: String,
        /// The name of the key.
        key_name: String,
        /// `vault:v1:…`
        encrypted: String,
    },
}

/// Why the metadata of a document has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The document is not encrypted.
    #[error("sops metadata not found")]
    NotFound,
    /// The document has metadata twice.
    #[error("Found duplicate sops entry")]
    Duplicate,
    /// The metadata is no map.
    #[error("Found sops entry that is not a mapping")]
    NoMapping,
    /// The flat names of metadata contradict each other.
    #[error("Error while unflattening {0:?}: {1}")]
    Flat(String, &'static str),
    /// Nothing can decrypt the document.
    #[error("No keys found in file")]
    NoKeys,
    /// Two rules contradict each other.
    #[error(
        "Cannot use more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, \
         unencrypted_regex, encrypted_comment_regex, or unencrypted_comment_regex in the same file"
    )]
    Rules,
    /// A rule cannot be read.
    #[error("{0} is no regular expression")]
    Regex(&'static str),
    /// A field has another type.
    #[error("'{0}' has an unexpected type")]
    Type(String),
    /// A field that has to be there is missing or has no meaning.
    #[error("'{0}' is missing or has no meaning")]
    Value(&'static str),
    /// There are more keys than any document needs.
    #[error("more than {MAX_KEYS} keys, or {MAX_GROUPS} groups of keys")]
    TooManyKeys,
}

impl MasterKey {
    /// Says in which order keys of a group are tried; those that need no request come first.
    pub(crate) fn priority(&self) -> usize {
        match self {
            Self::Age { .. } => 0,
            Self::Pgp { .. } => 1,
            _ => 2,
        }
    }
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age { recipient, .. } => f.write_str(recipient),
            Self::Pgp { fingerprint, .. } => f.write_str(fingerprint),
            Self::AwsKms { arn, role, context, profile, .. } => {
                f.write_str(arn)?;
                if !role.is_empty() {
                    write!(f, "+{role}")?;
                }
                let pairs: Vec<_> =
                    context.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                if !pairs.is_empty() || !profile.is_empty() {
                    write!(f, "|{}", pairs.join(","))?;
                }
                if !profile.is_empty() {
                    write!(f, "|{profile}")?;
                }
                Ok(())
            }
            Self::GcpKms { resource_id, .. } => f.write_str(resource_id),
            Self::HuaweiKms { key_id, .. } => f.write_str(key_id),
            Self::AzureKeyVault { vault_url, name, version, .. } => {
                write!(f, "{vault_url}/keys/{name}/{version}")
            }
            Self::Vault { address, engine_path, key_name, .. } => {
                write!(f, "{address}/v1/{engine_path}/keys/{key_name}")
            }
        }
    }
}

/// Takes the metadata out of documents; that of the first counts.
pub(crate) fn take_nested(branches: &mut [Branch]) -> Result<Branch, MetadataError> {
    let mut found = None;
    for (index, branch) in branches.iter_mut().enumerate() {
        for item in branch.extract_if(.., |item| matches!(&item.key, Key::Text(key) if key == KEY))
        {
            if index > 0 {
                continue;
            }
            let Value::Branch(metadata) = item.value else { return Err(MetadataError::NoMapping) };
            if found.replace(metadata).is_some() {
                return Err(MetadataError::Duplicate);
            }
        }
    }
    found.ok_or(MetadataError::NotFound)
}

/// Takes the metadata out of a document without nesting.
pub(crate) fn take_flat(branch: &mut Branch) -> Result<Branch, MetadataError> {
    let is_ours = |item: &mut Item| matches!(&item.key, Key::Text(key) if key.starts_with(PREFIX));
    let flat: Branch = branch.extract_if(.., is_ours).collect();
    if flat.is_empty() {
        return Err(MetadataError::NotFound);
    }
    unflatten(flat, PREFIX)
}

/// Makes a tree of names such as `key_groups__list_0__map_age__list_0__map_enc`.
///
/// Source: `stores/flatten.go`, SOPS 3.13.
pub(crate) fn unflatten(flat: Branch, prefix: &str) -> Result<Branch, MetadataError> {
    let mut root = Node::default();
    for item in flat {
        let Key::Text(key) = item.key else { continue };
        let wrong = |what| MetadataError::Flat(key.clone(), what);
        let path = key.strip_prefix(prefix).unwrap_or(&key);
        let mut node = &mut root;
        for step in steps(path).ok_or_else(|| wrong("Too deep"))? {
            node = match step {
                Step::Map(name) => node.keys.entry(name.to_owned()).or_default(),
                Step::List(at) => node.items.entry(at).or_default(),
            };
        }
        if node.value.replace(item.value).is_some() {
            return Err(wrong("Duplicate value"));
        }
    }
    match root.into_value() {
        Ok(Value::Branch(branch)) => Ok(branch),
        Ok(_) => Err(MetadataError::NoMapping),
        Err(what) => Err(MetadataError::Flat(String::new(), what)),
    }
}

/// How deep flat names go at most: groups, their keys, and the context of one.
const MAX_STEPS: usize = 16;

enum Step<'a> {
    Map(&'a str),
    List(usize),
}

fn steps(mut path: &str) -> Option<Vec<Step<'_>>> {
    const MAP: &str = "__map_";
    const LIST: &str = "__list_";
    let mut steps = Vec::new();
    let mut is_list = false;
    loop {
        let end = match (path.find(MAP), path.find(LIST)) {
            (Some(map), Some(list)) => Some(map.min(list)),
            (map, list) => map.or(list),
        };
        let name = &path[..end.unwrap_or(path.len())];
        steps.push(if is_list { Step::List(name.parse().unwrap_or(0)) } else { Step::Map(name) });
        let Some(end) = end else { return Some(steps) };
        if steps.len() == MAX_STEPS {
            return None;
        }
        is_list = path[end..].starts_with(LIST);
        path = &path[end + if is_list { LIST.len() } else { MAP.len() }..];
    }
}

#[derive(Default)]
struct Node {
    value: Option<Value>,
    keys: BTreeMap<String, Node>,
    items: BTreeMap<usize, Node>,
}

impl Node {
    fn into_value(self) -> Result<Value, &'static str> {
        match (self.value, self.keys.is_empty(), self.items.is_empty()) {
            (Some(value), true, true) => Ok(value),
            (None, _, true) => {
                let items = self.keys.into_iter();
                let items = items.map(|(key, node)| Ok(Item::new(key, node.into_value()?)));
                items.collect::<Result<_, _>>().map(Value::Branch)
            }
            (None, true, false) => {
                if self.items.keys().copied().ne(0..self.items.len()) {
                    return Err("Incomplete list");
                }
                let items = self.items.into_values().map(Self::into_value);
                items.collect::<Result<_, _>>().map(Value::List)
            }
            _ => Err("Type mismatch"),
        }
    }
}

impl Metadata {
    /// Reads metadata. Fields that nobody knows have no meaning.
    pub(crate) fn read(branch: &Branch) -> Result<Self, MetadataError> {
        let fields = Fields(branch);
        let own = group(fields)?;
        let groups = if own.is_empty() {
            let groups = fields.maps("key_groups")?;
            groups.into_iter().map(group).collect::<Result<Vec<_>, _>>()?
        } else {
            vec![own]
        };
        if groups.is_empty() {
            return Err(MetadataError::NoKeys);
        }
        if groups.len() > MAX_GROUPS || groups.iter().map(Vec::len).sum::<usize>() > MAX_KEYS {
            return Err(MetadataError::TooManyKeys);
        }
        let last_modified = fields.text("lastmodified")?;
        if last_modified.as_bytes().get(10) != Some(&b'T') {
            return Err(MetadataError::Value("lastmodified"));
        }
        let threshold = fields.text("shamir_threshold")?;
        let threshold = if threshold.is_empty() { Ok(0) } else { threshold.parse() };
        Ok(Self {
            groups,
            threshold: threshold.map_err(|_| MetadataError::Value("shamir_threshold"))?,
            rule: rule(fields)?,
            mac: fields.text("mac")?.into_bytes(),
            mac_only_encrypted: matches!(
                fields.text("mac_only_encrypted")?.as_str(),
                "1" | "t" | "T" | "true" | "TRUE" | "True"
            ),
            last_modified,
        })
    }
}

fn rule(fields: Fields<'_>) -> Result<Rule, MetadataError> {
    type Kind = (&'static str, fn(Regex) -> Rule);
    let regex =
        |name| move |text: String| Regex::new(&text).map_err(|_| MetadataError::Regex(name));
    let mut rules = Vec::new();
    let suffix = fields.filled("unencrypted_suffix")?;
    rules.extend(suffix.map(Rule::UnencryptedSuffix));
    let suffix = fields.filled("encrypted_suffix")?;
    rules.extend(suffix.map(Rule::EncryptedSuffix));
    let kinds: [Kind; 4] = [
        ("unencrypted_regex", Rule::UnencryptedRegex),
        ("encrypted_regex", Rule::EncryptedRegex),
        ("unencrypted_comment_regex", Rule::UnencryptedCommentRegex),
        ("encrypted_comment_regex", Rule::EncryptedCommentRegex),
    ];
    for (name, rule) in kinds {
        rules.extend(fields.filled(name)?.map(regex(name)).transpose()?.map(rule));
    }
    let first = rules.pop();
    match (first, rules.is_empty()) {
        (Some(rule), true) => Ok(rule),
        (None, _) => Ok(Rule::UnencryptedSuffix("_unencrypted".to_owned())),
        _ => Err(MetadataError::Rules),
    }
}

fn group(fields: Fields<'_>) -> Result<Vec<MasterKey>, MetadataError> {
    let mut keys = Vec::new();
    for key in fields.maps("kms")? {
        let context = key.map("context")?.map(Fields::texts).transpose()?.unwrap_or_default();
        keys.push(MasterKey::AwsKms {
            arn: key.text("arn")?,
            role: key.text("role")?,
            context,
            profile: key.text("aws_profile")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.maps("gcp_kms")? {
        keys.push(MasterKey::GcpKms {
            resource_id: key.text("resource_id")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.maps("hckms")? {
        keys.push(MasterKey::HuaweiKms {
            key_id: key.text("key_id")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.maps("azure_kv")? {
        keys.push(MasterKey::AzureKeyVault {
            vault_url: key.text("vault_url")?,
            name: key.text("name")?,
            version: key.text("version")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.maps("hc_vault")? {
        keys.push(MasterKey::Vault {
            address: key.text("vault_address")?,
            engine_path: key.text("engine_path")?,
            key_name: key.text("key_name")?,
            encrypted: key.text("enc")?,
        });
    }
    for key in fields.maps("pgp")? {
        let (fingerprint, encrypted) = (key.text("fp")?, key.text("enc")?);
        keys.push(MasterKey::Pgp { fingerprint, encrypted });
    }
    for key in fields.maps("age")? {
        let (recipient, encrypted) = (key.text("recipient")?, key.text("enc")?);
        keys.push(MasterKey::Age { recipient, encrypted });
    }
    Ok(keys)
}

/// Fields by name. Formats without types have numbers as text, and SOPS takes either.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Branch);

impl<'a> Fields<'a> {
    fn get(self, name: &str) -> Option<&'a Value> {
        let mut items = self.0.iter().rev();
        let found = items.find(|item| matches!(&item.key, Key::Text(key) if key == name))?;
        Some(&found.value)
    }

    fn text(self, name: &str) -> Result<String, MetadataError> {
        self.get(name).map_or(Ok(String::new()), |value| text(name, value))
    }

    fn filled(self, name: &str) -> Result<Option<String>, MetadataError> {
        Ok(Some(self.text(name)?).filter(|text| !text.is_empty()))
    }

    fn map(self, name: &str) -> Result<Option<Fields<'a>>, MetadataError> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Branch(branch)) => Ok(Some(Fields(branch))),
            Some(_) => Err(MetadataError::Type(name.to_owned())),
        }
    }

    fn maps(self, name: &str) -> Result<Vec<Fields<'a>>, MetadataError> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let wrong = || MetadataError::Type(name.to_owned());
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Branch(branch) if branch.is_empty() => Ok(Vec::new()),
            Value::Branch(branch) => Ok(vec![Fields(branch)]),
            Value::List(items) => {
                let items = items.iter().filter(|item| !matches!(item, Value::Comment(_)));
                let maps = items.map(|item| match item {
                    Value::Branch(branch) => Ok(Fields(branch)),
                    _ => Err(wrong()),
                });
                maps.collect()
            }
            _ => Err(wrong()),
        }
    }

    fn texts(self) -> Result<BTreeMap<String, String>, MetadataError> {
        let pairs = self.0.iter().filter_map(|item| match &item.key {
            Key::Text(key) => Some(text(key, &item.value).map(|value| (key.clone(), value))),
            Key::Comment(_) => None,
        });
        pairs.collect()
    }
}

fn text(name: &str, value: &Value) -> Result<String, MetadataError> {
    Ok(match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Time(text) => text.clone(),
        _ => return Err(MetadataError::Type(name.to_owned())),
    })
}
