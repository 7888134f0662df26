//! Signs claims with a private key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde_json::Value;
use sops::KeyError;

/// Returns a token with a signature of RSA.
pub(super) fn sign(
    header: &Value,
    claims: &Value,
    key: &KeyPair,
) -> Result<SecretString, KeyError> {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| KeyError::new("failed to sign with the private key"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

/// Reads an RSA key in PEM, PKCS#8 or PKCS#1; what else stands in the text has no meaning.
pub(super) fn rsa_key(pem: &str) -> Option<KeyPair> {
    let read = |label| block(pem, label);
    read("PRIVATE KEY")
        .and_then(|der| KeyPair::from_pkcs8(&der).ok())
        .or_else(|| read("RSA PRIVATE KEY").and_then(|der| KeyPair::from_der(&der).ok()))
}

/// Returns the content of the first block of PEM with a label.
pub(super) fn block(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}
