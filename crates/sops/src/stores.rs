//! Reads encrypted documents of every format into trees, and writes trees as plain documents.

mod dotenv;
mod ini;
pub(crate) mod json;
mod yaml;

use crate::metadata::{self, Metadata, MetadataError};
use crate::tree::{Branch, Value};
use crate::{Format, number};

/// Why a document cannot be read. No text of the document is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The document is too big.
    #[error("{0} bytes are more than any encrypted document may have")]
    TooBig(usize),
    /// It is no document of the format.
    #[error("Could not unmarshal input data: {0}")]
    Syntax(String),
    /// It is no YAML.
    #[error("Error unmarshaling input YAML: {0}")]
    Yaml(String),
    /// A line is neither a variable nor a comment.
    #[error("invalid dotenv input line: line {0}")]
    DotenvLine(usize),
    /// The metadata has no meaning.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Why a document cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// There is more than one document, or none, where the format has room for one.
    #[error("there must be exactly one tree branch")]
    Branches,
    /// There is no content for a file.
    #[error("error emitting binary store: no binary data found in tree")]
    NoData,
    /// The content for a file is no text.
    #[error("error emitting binary store: 'data' key in tree does not have a string value")]
    DataType,
    /// The format has no nesting.
    #[error("cannot use complex value in dotenv file; offending key {0}")]
    Complex(String),
    /// The format has sections only.
    #[error("Error encoding section: Section values should always be TreeBranches")]
    NoSection,
}

/// Reads an encrypted document.
pub(crate) fn load(content: &[u8], format: Format) -> Result<(Vec<Branch>, Metadata), LoadError> {
    let (branches, fields) = match format {
        Format::Binary | Format::Json => {
            let mut branches = vec![json::load(content)?];
            let fields = metadata::take_nested(&mut branches)?;
            (branches, fields)
        }
        Format::Yaml => {
            let mut branches = yaml::load(content)?;
            let fields = metadata::take_nested(&mut branches)?;
            (branches, fields)
        }
        Format::Dotenv => {
            let mut branch = dotenv::load(content)?;
            let fields = metadata::take_flat(&mut branch)?;
            (vec![branch], fields)
        }
        Format::Ini => {
            let mut branches = vec![ini::load(content)?];
            let fields = metadata::take_nested(&mut branches)?;
            (branches, metadata::unflatten(ini::with_breaks(fields), "")?)
        }
    };
    Ok((branches, Metadata::read(&fields)?))
}

/// Writes a decrypted document.
pub(crate) fn emit(branches: &[Branch], format: Format) -> Result<Vec<u8>, EmitError> {
    let first = branches.first();
    match format {
        Format::Binary => match branches {
            [branch] => json::data(branch),
            _ => Err(EmitError::Branches),
        },
        Format::Dotenv => dotenv::emit(first.ok_or(EmitError::Branches)?),
        Format::Ini => ini::emit(branches),
        Format::Json => Ok(json::emit(first.ok_or(EmitError::Branches)?)),
        Format::Yaml => Ok(yaml::emit(branches).into_bytes()),
    }
}

/// Returns a value as the formats without types have it.
///
/// Source: `ValToString`, SOPS 3.13, `stores/stores.go`.
fn line(value: &Value) -> Vec<u8> {
    match value {
        Value::Null | Value::List(_) | Value::Branch(_) => b"<nil>".to_vec(),
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Float(value) => number::line(*value).into_bytes(),
        Value::Text(text) => text.clone(),
        Value::Comment(comment) => comment.text.clone(),
        Value::Bytes(bytes) => {
            let bytes: Vec<_> = bytes.iter().map(ToString::to_string).collect();
            format!("[{}]", bytes.join(" ")).into_bytes()
        }
        // Fractions of seconds are left out.
        Value::Time(time) => match time.split_once('.') {
            Some((seconds, rest)) => {
                let zone = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
                format!("{seconds}{zone}").into_bytes()
            }
            None => time.clone().into_bytes(),
        },
    }
}
