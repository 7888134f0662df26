//! Feature gates: `--feature-gates=A=true,B=false`.

use std::collections::BTreeMap;

/// The gates of a controller, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureGates(BTreeMap<&'static str, bool>);

/// Gates that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureGatesError {
    /// The controller has no such gate.
    #[error("feature-gate '{0}' not supported")]
    Unknown(String),
    /// The gate has no value, or one that is neither true nor false.
    #[error("invalid feature-gate '{0}', expected e.g. Name=true")]
    Value(String),
}

impl FeatureGates {
    /// Reads gates; those that are not named keep the value that `known` gives them.
    ///
    /// # Errors
    ///
    /// For a gate that is not known, and for a value that is neither true nor false.
    pub fn parse(text: &str, known: &[(&'static str, bool)]) -> Result<Self, FeatureGatesError> {
        let mut gates: BTreeMap<_, _> = known.iter().copied().collect();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let malformed = || FeatureGatesError::Value(item.to_owned());
            let (name, value) = item.split_once('=').ok_or_else(malformed)?;
            let value = crate::args::bool(value.trim()).map_err(|_| malformed())?;
            let gate = gates.get_mut(name.trim());
            *gate.ok_or_else(|| FeatureGatesError::Unknown(name.trim().to_owned()))? = value;
        }
        Ok(Self(gates))
    }

    /// Returns whether a gate is open; one that is not known is not.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, bool); 2] = [("Off", false), ("On", true)];

    #[test]
    fn keeps_the_defaults_of_gates_that_are_not_named() {
        let gates = FeatureGates::parse("Off=true", &KNOWN).unwrap();
        assert!(gates.is_enabled("Off") && gates.is_enabled("On"));
        let gates = FeatureGates::parse(" On=false , ", &KNOWN).unwrap();
        assert!(!gates.is_enabled("Off") && !gates.is_enabled("On"));
    }

    #[test]
    fn refuses_what_is_not_a_gate() {
        let unknown = FeatureGatesError::Unknown("Other".to_owned());
        assert_eq!(FeatureGates::parse("Other=true", &KNOWN), Err(unknown));
        for text in ["On", "On=", "On=perhaps"] {
            assert!(FeatureGates::parse(text, &KNOWN).is_err(), "{text}");
        }
    }
}
