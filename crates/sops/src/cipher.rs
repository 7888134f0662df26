//! Encrypted values: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::data_key::DataKey;
use crate::tree::{Comment, Value};

/// Why a value could not be decrypted. The value is not in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// The text is no encrypted value.
    #[error("Input string <redacted> does not match sops' data format")]
    Format,
    /// A part of the value is not base64.
    #[error("Error base64-decoding {0}")]
    Base64(&'static str),
    /// The data key has another length than 32 bytes.
    #[error("invalid key size {0}")]
    KeySize(usize),
    /// The nonce has a length that SOPS never wrote.
    #[error("invalid nonce size {0}")]
    NonceSize(usize),
    /// The value was encrypted with another key, was changed, or stands at another place.
    #[error("Could not decrypt with AES_GCM: cipher: message authentication failed")]
    Authentication,
    /// The type has no meaning.
    #[error("Unknown datatype: {0}")]
    UnknownType(String),
    /// The decrypted text is not of the type.
    #[error("the decrypted value is no {0}")]
    WrongType(&'static str),
}

/// Decrypts the values of one document.
pub(crate) struct Cipher<'a> {
    key: &'a DataKey,
}

struct Encrypted<'a> {
    data: Vec<u8>,
    nonce: Vec<u8>,
    r#type: &'a str,
}

impl<'a> Cipher<'a> {
    /// Returns a cipher with the key of a document.
    pub(crate) fn new(key: &'a DataKey) -> Result<Self, CipherError> {
        match key.expose_secret().len() {
            32 => Ok(Self { key }),
            other => Err(CipherError::KeySize(other)),
        }
    }

    /// Decrypts a value; the path is what it was bound to.
    pub(crate) fn decrypt(&self, text: &[u8], path: &str) -> Result<Value, CipherError> {
        if text.is_empty() {
            return Ok(Value::Text(Vec::new()));
        }
        let text = std::str::from_utf8(text).map_err(|_| CipherError::Format)?;
        let Encrypted { data, nonce, r#type } = parse(text)?;
        let plain = self.open(&data, &nonce, path.as_bytes())?;
        let wrong = CipherError::WrongType;
        let utf8 = |name| std::str::from_utf8(&plain).map_err(|_| wrong(name));
        Ok(match r#type {
            "str" => Value::Text(plain.to_vec()),
            "int" => Value::Int(utf8("int")?.parse().map_err(|_| wrong("int"))?),
            "float" => Value::Float(utf8("float")?.parse().map_err(|_| wrong("float"))?),
            "bytes" => Value::Bytes(plain.to_vec()),
            "bool" => match utf8("bool")? {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
                _ => return Err(wrong("bool")),
            },
            "time" => {
                let text = utf8("time")?;
                let is_time = text.as_bytes().get(10) == Some(&b'T') && text.is_ascii();
                if !is_time {
                    return Err(wrong("time"));
                }
                Value::Time(text.to_owned())
            }
            "comment" => Value::Comment(Comment { text: plain.to_vec(), inline: false }),
            other => return Err(CipherError::UnknownType(other.chars().take(32).collect())),
        })
    }

    fn open(
        &self,
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        let key = self.key.expose_secret();
        let payload = Payload { msg: data, aad };
        let key = key.try_into().map_err(|_| CipherError::KeySize(key.len()))?;
        let key: &aes_gcm::Key<Aes256> = key;
        // SOPS writes 32 bytes; the library of a language may have written what is usual there.
        let plain = match nonce.len() {
            12 => AesGcm::<Aes256, U12>::new(key).decrypt(&sized(nonce)?, payload),
            16 => AesGcm::<Aes256, U16>::new(key).decrypt(&sized(nonce)?, payload),
            32 => AesGcm::<Aes256, U32>::new(key).decrypt(&sized(nonce)?, payload),
            other => return Err(CipherError::NonceSize(other)),
        };
        plain.map(Zeroizing::new).map_err(|_| CipherError::Authentication)
    }
}

fn sized<N: aes_gcm::aead::array::ArraySize>(nonce: &[u8]) -> Result<Nonce<N>, CipherError> {
    nonce.try_into().map_err(|_| CipherError::NonceSize(nonce.len()))
}

fn parse(text: &str) -> Result<Encrypted<'_>, CipherError> {
    let parts = || {
        let rest = text.strip_prefix("ENC[AES256_GCM,data:")?;
        let (rest, _) = rest.rsplit_once(']')?;
        let (rest, r#type) = rest.rsplit_once(",type:")?;
        let (rest, tag) = rest.rsplit_once(",tag:")?;
        let (data, nonce) = rest.rsplit_once(",iv:")?;
        let filled = [data, nonce, tag, r#type].iter().all(|part| !part.is_empty());
        filled.then_some((data, nonce, tag, r#type))
    };
    let (data, nonce, tag, r#type) = parts().ok_or(CipherError::Format)?;
    let decode = |text: &str, what| STANDARD.decode(text).map_err(|_| CipherError::Base64(what));
    let mut data = decode(data, "data")?;
    let nonce = decode(nonce, "iv")?;
    data.extend(decode(tag, "tag")?);
    Ok(Encrypted { data, nonce, r#type })
}
