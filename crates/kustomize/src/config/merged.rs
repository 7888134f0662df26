//! The fields that a kustomization works with, put together from those of its bases, what is built
//! in, and what it adds.
//!
//! A field for all kinds is passed over where one for some kinds comes first, so the order in which
//! they are merged matters.

use super::Config;
use crate::error::Problem;

/// The merged fields.
#[derive(Debug, Default)]
pub(crate) enum Merged {
    #[default]
    Empty,
    /// What is built in and nothing else. Merged into nothing it is the same.
    Builtin,
    Own(Box<Config>),
}

impl Merged {
    pub(crate) fn get(&self) -> &Config {
        match self {
            Self::Empty | Self::Builtin => Config::builtin(),
            Self::Own(config) => config,
        }
    }

    /// Adds what is built in, together with what `configurations` has.
    pub(crate) fn add_builtin(&mut self, configurations: Option<Config>) -> Result<(), Problem> {
        match (&*self, configurations) {
            (Self::Empty | Self::Builtin, None) => {
                *self = Self::Builtin;
                Ok(())
            }
            (_, None) => self.add(Config::builtin().clone()),
            (_, Some(configurations)) => {
                let mut config = Config::builtin().clone();
                config.merge(configurations)?;
                self.add(config)
            }
        }
    }

    /// Adds fields.
    pub(crate) fn add(&mut self, other: Config) -> Result<(), Problem> {
        let mut own = match std::mem::take(self) {
            Self::Empty => Config::default(),
            Self::Builtin => Config::builtin().clone(),
            Self::Own(config) => *config,
        };
        own.merge(other)?;
        *self = Self::Own(Box::new(own));
        Ok(())
    }

    /// Adds the fields of another kustomization.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), Problem> {
        match (&*self, other) {
            (_, Self::Empty) => Ok(()),
            (Self::Empty | Self::Builtin, Self::Builtin) => {
                *self = Self::Builtin;
                Ok(())
            }
            (Self::Own(_), Self::Builtin) => self.add(Config::builtin().clone()),
            (_, Self::Own(other)) => self.add(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kustomization::FieldSpec;

    #[test]
    fn nothing_that_is_built_in_is_passed_over() {
        let mut merged = Config::default();
        merged.merge(Config::builtin().clone()).unwrap();
        assert_eq!(merged, *Config::builtin());
    }

    #[test]
    fn a_field_of_some_kinds_takes_the_place_of_that_of_all() {
        let special =
            FieldSpec { kind: "A".into(), path: "metadata/name".into(), ..FieldSpec::default() };
        let config = Config { name_prefix: vec![special.clone()], ..Config::default() };
        let mut merged = Merged::default();
        merged.add_builtin(Some(config)).unwrap();
        assert_eq!(merged.get().name_prefix, [special]);
    }
}
