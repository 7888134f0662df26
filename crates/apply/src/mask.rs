//! Keeps the values of Secrets out of messages.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

const MASK: &str = "***";

/// Below this length a value is masked only where it stands in quotes: it could be part of a word.
const SHORT: usize = 4;

/// Replaces the values of a Secret, plain and encoded, in a message about it. Messages about other
/// objects stay.
pub(crate) fn mask(object: &Value, message: String) -> String {
    if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
        return message;
    }
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        for value in object[field].as_object().into_iter().flat_map(|map| map.values()) {
            // What is no text is quoted as JSON by the API.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Ok(plain) = BASE64_STANDARD.decode(text.trim()).map(String::from_utf8)
                && let Ok(plain) = plain
            {
                values.push(plain);
            }
            values.push(text);
        }
    }
    // The longest first: one value may hold another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().filter(|value| !value.trim().is_empty()).fold(message, |message, value| {
        if value.len() < SHORT {
            message.replace(&format!("\"{value}\""), &format!("\"{MASK}\""))
        } else {
            let message = message.replace(&value, MASK);
            message.replace(&value.escape_default().to_string(), MASK)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hides_plain_and_encoded_values_of_secrets() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg==", "b": "YQ=="}});
        let message = "invalid: \"hunter2\", aHVudGVyMg== and \"a\" of data".to_owned();
        assert_eq!(mask(&secret, message), "invalid: \"***\", *** and \"***\" of data");
    }

    #[test]
    fn hides_values_that_are_no_base64() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "not base64!"}});
        assert_eq!(mask(&secret, "bad: not base64!".to_owned()), "bad: ***");
    }

    #[test]
    fn leaves_other_kinds_alone() {
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "hunter2"}});
        assert_eq!(mask(&config, "bad: hunter2".to_owned()), "bad: hunter2");
    }
}
