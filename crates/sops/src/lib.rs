//! Decrypts documents that SOPS has encrypted, as SOPS 3.13 does.
//!
//! A document in any of five formats becomes a tree (`stores`, `tree`). Its metadata (`metadata`)
//! says which master keys protect its data key (`data_key`, `shamir`), which decrypts the values of
//! the tree one by one (`walk`, `cipher`). Master keys are asked for through [`KeyService`]; those
//! of [`age`] and OpenPGP ([`pgp`]) are here, while services that are asked over a network are left
//! to others.
//!
//! What is decrypted is secret: no type here shows it in `Debug`, and no error quotes it. The crate
//! is pure, and does not panic on any input.

pub mod age;
mod cipher;
mod data_key;
mod format;
mod metadata;
mod number;
pub mod pgp;
mod shamir;
mod stores;
mod tree;
mod walk;

use serde_json::{Map, Value};

pub use cipher::CipherError;
pub use data_key::{DataKey, DataKeyError, GroupsError, KeyError, KeyService};
pub use format::Format;
pub use metadata::{MasterKey, MetadataError};
pub use shamir::ShamirError;
pub use stores::{EmitError, LoadError};
pub use walk::{MacError, TreeError};

use crate::cipher::Cipher;
use crate::metadata::Metadata;
use crate::tree::Branch;

/// How big an encrypted document may be.
pub const MAX_SIZE: usize = 5 << 20;

/// Whether a document has to be the one that was encrypted, or may have been changed where it is
/// not encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Integrity {
    /// Values that are not encrypted may have been added, changed and removed.
    #[default]
    Ignored,
    /// Nothing may have been changed.
    Checked,
}

/// Why a document could not be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum DecryptError {
    /// The document cannot be read.
    #[error("failed to load encrypted {format} data")]
    Load {
        /// The name of the format.
        format: &'static str,
        /// What is wrong.
        #[source]
        source: LoadError,
    },
    /// No master key could be used.
    #[error("cannot get sops data key")]
    DataKey(#[from] DataKeyError),
    /// A value could not be decrypted.
    #[error("error decrypting sops tree")]
    Tree(#[from] TreeError),
    /// The document was changed.
    #[error("failed to verify sops data integrity")]
    Integrity(#[from] MacError),
    /// The document cannot be written.
    #[error("failed to emit encrypted {input} file as decrypted {output}")]
    Emit {
        /// The name of the format that was read.
        input: &'static str,
        /// The name of the format to write.
        output: &'static str,
        /// What is wrong.
        #[source]
        source: EmitError,
    },
}

/// Decrypts a document, and returns it in a format.
///
/// # Errors
///
/// When it is no encrypted document, when none of its master keys can be used, or when the format
/// cannot hold what it says.
pub fn decrypt(
    content: &[u8],
    (input, output): (Format, Format),
    integrity: Integrity,
    keys: &dyn KeyService,
) -> Result<Vec<u8>, DecryptError> {
    let load = |source| DecryptError::Load { format: input.name(), source };
    if content.len() > MAX_SIZE {
        return Err(load(LoadError::TooBig(content.len())));
    }
    let (mut branches, metadata) = stores::load(content, input).map_err(load)?;
    decrypt_tree(&mut branches, &metadata, integrity, keys)?;
    let (input, name) = (input.name(), output.name());
    stores::emit(&branches, output).map_err(|source| DecryptError::Emit {
        input,
        output: name,
        source,
    })
}

/// Decrypts an object that was read from a document, such as a manifest.
///
/// # Errors
///
/// When it is not encrypted, or none of its master keys can be used.
pub fn decrypt_object(
    object: Map<String, Value>,
    keys: &dyn KeyService,
) -> Result<Map<String, Value>, DecryptError> {
    let load = |source| DecryptError::Load { format: Format::Json.name(), source };
    let mut branches = [stores::json::from_object(object)];
    let fields = metadata::take_nested(&mut branches).map_err(|error| load(error.into()))?;
    let metadata = Metadata::read(&fields).map_err(|error| load(error.into()))?;
    decrypt_tree(&mut branches, &metadata, Integrity::Ignored, keys)?;
    let [branch] = branches;
    Ok(stores::json::to_object(branch))
}

/// Says whether an object is a document that SOPS has encrypted.
pub fn is_encrypted(object: &Value) -> bool {
    let is_filled = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    object.get(metadata::KEY).and_then(|sops| sops.get("mac")).is_some_and(is_filled)
}

fn decrypt_tree(
    branches: &mut [Branch],
    metadata: &Metadata,
    integrity: Integrity,
    keys: &dyn KeyService,
) -> Result<(), DecryptError> {
    let key = data_key::get(metadata, keys)?;
    let cipher = Cipher::new(&key).map_err(TreeError::from)?;
    let digest = walk::decrypt(branches, metadata, &cipher)?;
    if integrity == Integrity::Checked {
        walk::check_mac(&digest, metadata, &cipher)?;
    }
    Ok(())
}
