//! YAML bodies.

use goyaml::Dialect;
use serde_json::Value;

/// Parses one document, as sigs.k8s.io/yaml reads it.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut documents =
        goyaml::parse_values(text, Dialect::Sigs).map_err(|error| error.to_string())?.into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => Ok(document),
        (None, _) => Err("there is no document".to_owned()),
        (Some(_), Some(_)) => Err("there is more than one document".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_document() {
        assert_eq!(parse("a: yes\n").unwrap()["a"], true);
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
        assert!(parse("").is_err());
    }
}
