//! Decrypts built objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sops::{DecryptError, Format, Integrity, KeyService};

/// The annotation of objects that are left as they are, with the value `disabled`.
const MARKER: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// Why an object could not be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The object is encrypted as a whole.
    #[error("failed to decrypt and format '{namespace}/{name}' {kind} data")]
    Whole {
        /// The namespace of the object; may be empty.
        namespace: String,
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
        /// What is wrong.
        #[source]
        source: Box<DecryptError>,
    },
    /// A value of a Secret is encrypted.
    #[error("failed to decrypt and format '{namespace}/{name}' Secret field '{field}'")]
    Field {
        /// The namespace of the Secret; may be empty.
        namespace: String,
        /// Its name.
        name: String,
        /// The key of the value.
        field: String,
        /// What is wrong.
        #[source]
        source: Box<DecryptError>,
    },
}

/// Decrypts an object of any kind that is encrypted as a whole, or the values of a Secret that are
/// encrypted documents.
///
/// Integrity is not checked: a kustomization adds to what was encrypted.
///
/// Source: `DecryptResource`, kustomize-controller 1.9.4, `internal/decryptor/decryptor.go`.
pub(super) fn decrypt(object: &mut Value, keys: &dyn KeyService) -> Result<(), ObjectError> {
    if is_disabled(object) {
        return Ok(());
    }
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let (namespace, name, kind) = (namespace.to_owned(), name.to_owned(), text("/kind").to_owned());
    if sops::is_encrypted(object) {
        let fields = object.as_object().cloned().unwrap_or_default();
        let plain = sops::decrypt_object(fields, keys).map_err(|source| ObjectError::Whole {
            namespace,
            name,
            kind,
            source: source.into(),
        })?;
        *object = Value::Object(plain);
        return Ok(());
    }
    if kind != "Secret" {
        return Ok(());
    }
    for (field, value) in
        object.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten()
    {
        let Some(content) = value.as_str().and_then(decode) else { continue };
        let Some(input) = Format::detect(&content) else { continue };
        let formats = (input, super::sources::format_of(field));
        let plain = sops::decrypt(&content, formats, Integrity::Ignored, keys);
        let plain = plain.map_err(|source| {
            let (namespace, name) = (namespace.clone(), name.clone());
            ObjectError::Field { namespace, name, field: field.clone(), source: source.into() }
        })?;
        *value = STANDARD.encode(plain).into();
    }
    Ok(())
}

/// Says whether an object asks to be left as it is.
pub(crate) fn is_disabled(object: &Value) -> bool {
    let value = object["metadata"]["annotations"][MARKER].as_str();
    value.is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

/// Decodes base64, which may have line breaks; what is none will be refused when it is applied.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\n', '\r']) {
        return STANDARD.decode(text.replace(['\n', '\r'], "")).ok();
    }
    STANDARD.decode(text).ok()
}
