//! The formats of documents.

/// A format that documents are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any bytes; encrypted, they are one value of a JSON document.
    Binary,
    /// `NAME=value` lines.
    Dotenv,
    /// Sections of `name = value` lines.
    Ini,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Returns the format of a file, by the end of its name.
    ///
    /// ```
    /// assert_eq!(sops::Format::of_path("app/values.yaml"), sops::Format::Yaml);
    /// assert_eq!(sops::Format::of_path("LICENSE"), sops::Format::Binary);
    /// ```
    pub fn of_path(path: &str) -> Self {
        let ends = |ending: &str| path.ends_with(ending);
        match () {
            () if ends(".yaml") || ends(".yml") => Self::Yaml,
            () if ends(".json") => Self::Json,
            () if ends(".env") => Self::Dotenv,
            () if ends(".ini") => Self::Ini,
            () => Self::Binary,
        }
    }

    /// Returns the format of an encrypted document, by what only that format has; `None` if the
    /// content is not encrypted.
    ///
    /// A document of any bytes is found to be JSON, which it is as long as it is encrypted.
    pub fn detect(content: &[u8]) -> Option<Self> {
        let formats = [Self::Json, Self::Yaml, Self::Dotenv, Self::Ini];
        formats.into_iter().find(|format| format.is_encrypted(content))
    }

    /// Says whether content in this format looks encrypted.
    pub fn is_encrypted(self, content: &[u8]) -> bool {
        let marker: &[u8] = match self {
            Self::Binary | Self::Json => b"\"mac\": \"ENC[",
            Self::Dotenv => b"sops_mac=ENC[",
            Self::Ini => b"[sops]",
            Self::Yaml => b"mac: ENC[",
        };
        content.windows(marker.len()).any(|window| window == marker)
    }

    /// Returns the name that messages have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Dotenv => "dotenv",
            Self::Ini => "INI",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_encrypted_content() {
        for (content, format) in [
            ("{\"sops\": {\"mac\": \"ENC[x]\"}}", Some(Format::Json)),
            ("sops:\n  mac: ENC[x]\n", Some(Format::Yaml)),
            ("A=1\nsops_mac=ENC[x]\n", Some(Format::Dotenv)),
            ("[a]\nb = c\n[sops]\n", Some(Format::Ini)),
            ("mac: none", None),
            ("", None),
        ] {
            assert_eq!(Format::detect(content.as_bytes()), format, "{content}");
        }
    }
}
