//! Hides what SOPS has encrypted: the output is for people and pull requests.

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// What stands for an encrypted value.
const MASK: &str = "**SOPS**";

/// Masks the encrypted values of an object, and drops what SOPS says about them.
///
/// A Secret that was encrypted as a whole has every value masked, one whose entries were encrypted
/// files has those masked. In other objects only the section `sops` is dropped.
///
/// # Errors
///
/// When the data of a Secret is not base64.
pub(super) fn mask(object: &mut Value) -> anyhow::Result<()> {
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    let sops = fields.remove("sops");
    if fields.get("kind") != Some(&json!("Secret")) {
        return Ok(());
    }
    let whole = sops
        .as_ref()
        .and_then(|sops| sops["mac"].as_str())
        .is_some_and(|mac| mac.starts_with("ENC["));
    if let (false, Some(sops)) = (whole, sops) {
        // Nothing was encrypted with it.
        fields.insert("sops".to_owned(), sops);
    }
    // A Secret of this kind must hold JSON to be one.
    let is_docker = fields.get("type") == Some(&json!("kubernetes.io/dockerconfigjson"));
    let masked = if is_docker { json!({ "mask": MASK }).to_string() } else { MASK.to_owned() };
    for (section, encoded) in [("data", true), ("stringData", false)] {
        let Some(entries) = object.get_mut(section).and_then(Value::as_object_mut) else {
            continue;
        };
        for (key, value) in entries {
            let text = value.as_str().unwrap_or_default();
            let hide = whole
                || is_encrypted(text, encoded)
                    .with_context(|| format!("{section}.{key} of a Secret is not base64"))?;
            if hide {
                let text = if whole { masked.as_str() } else { MASK };
                *value =
                    if encoded { BASE64_STANDARD.encode(text) } else { text.to_owned() }.into();
            }
        }
    }
    Ok(())
}

/// Says whether a value is a file that SOPS has encrypted.
fn is_encrypted(text: &str, encoded: bool) -> Result<bool, base64::DecodeError> {
    let bytes = if encoded { BASE64_STANDARD.decode(text)? } else { text.as_bytes().to_vec() };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.contains("sops") && text.contains("ENC["))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(mut secret: Value) -> Value {
        secret["kind"] = json!("Secret");
        mask(&mut secret).unwrap();
        secret
    }

    #[test]
    fn masks_every_value_of_an_encrypted_secret() {
        let secret = json!({
            "data": {"a": "ENC[AES256_GCM,data:x]"}, "stringData": {"b": "ENC[x]"},
            "sops": {"mac": "ENC[AES256_GCM,data:y]"},
        });
        let expected =
            json!({"data": {"a": "KipTT1BTKio="}, "stringData": {"b": MASK}, "kind": "Secret"});
        assert_eq!(masked(secret), expected);
    }

    #[test]
    fn keeps_registry_credentials_json() {
        let secret = json!({
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": "ENC[x]"}, "sops": {"mac": "ENC[y]"},
        });
        let value = masked(secret)["data"][".dockerconfigjson"].as_str().unwrap().to_owned();
        assert_eq!(BASE64_STANDARD.decode(value).unwrap(), br#"{"mask":"**SOPS**"}"#);
    }

    #[test]
    fn masks_entries_that_are_encrypted_files() {
        let file = BASE64_STANDARD.encode("a: ENC[x]\nsops: {}\n");
        let secret = json!({"data": {"file": file, "plain": "eA=="}});
        assert_eq!(masked(secret)["data"], json!({"file": "KipTT1BTKio=", "plain": "eA=="}));
    }

    #[test]
    fn drops_what_sops_says_about_other_objects() {
        let mut object = json!({"kind": "HelmRelease", "spec": {}, "sops": {"mac": "ENC[y]"}});
        mask(&mut object).unwrap();
        assert_eq!(object, json!({"kind": "HelmRelease", "spec": {}}));
    }

    #[test]
    fn refuses_data_that_is_not_base64() {
        let mut secret = json!({"kind": "Secret", "data": {"key": "!"}});
        let error = mask(&mut secret).unwrap_err().to_string();
        assert_eq!(error, "data.key of a Secret is not base64");
    }
}
