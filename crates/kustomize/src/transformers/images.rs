//! `images`.
//!
//! Source: `imagetag`, kustomize api 0.21.1 `filters/imagetag`.

use goyaml::{Node, Scalar};
use regex::Regex;

use crate::accumulate::Scope;
use crate::error::Problem;
use crate::field_spec::Paths;
use crate::kustomization::{FieldSpec, Image};
use crate::node::{Create, set_scalar, wrong_kind};
use crate::pattern::{compile, is_plain, plain_prefix};
use crate::resources::Resources;

/// An image and what takes the place of its name, tag and digest.
#[derive(Debug)]
pub(crate) struct Images {
    image: Image,
    specs: Vec<FieldSpec>,
    /// What matches the image; `None` when its name is no valid expression.
    pattern: Option<ImagePattern>,
}

/// What an image looks like whose name, which is an expression, is asked for.
#[derive(Debug)]
enum ImagePattern {
    Plain(String),
    Regex(Regex),
}

impl ImagePattern {
    fn new(name: &str) -> Option<Self> {
        const TAG_AND_DIGEST: &str = "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?$";
        if is_plain(name) {
            return Some(Self::Plain(name.to_owned()));
        }
        compile(&format!("^{name}{TAG_AND_DIGEST}")).ok().map(Self::Regex)
    }

    fn is_match(&self, image: &str) -> bool {
        let name = match self {
            Self::Regex(regex) => return regex.is_match(image),
            Self::Plain(name) => name,
        };
        let Some(mut rest) = plain_prefix(name, image) else { return false };
        for sign in [":", "@sha256:"] {
            let is_part = |char: char| char.is_ascii_alphanumeric() || "_.{}-".contains(char);
            if let Some(part) = rest.strip_prefix(sign) {
                rest = part.trim_start_matches(is_part);
            }
        }
        rest.is_empty()
    }
}

impl Images {
    pub(crate) fn new(image: Image, specs: Vec<FieldSpec>) -> Self {
        let pattern = ImagePattern::new(&image.name);
        Self { image, specs, pattern }
    }

    pub(crate) fn run(&self, scope: &mut Scope<'_>, all: &mut Resources) -> Result<(), Problem> {
        let Some(pattern) = &self.pattern else {
            return Err(Problem::rule(format!(
                "the name {:?} is no valid regular expression",
                self.image.name
            )));
        };
        let paths = Paths::new(&self.specs, None);
        // First the lists of containers wherever they are, then the fields that are known.
        for item in all.bodies_mut() {
            if item.kind() == "CustomResourceDefinition" {
                continue;
            }
            scope.spend(self.image.new_name.len() + self.image.new_tag.len())?;
            self.walk(&mut item.node, pattern).map_err(|problem| item.blame(problem))?;
        }
        for item in all.bodies_mut() {
            if item.kind() == "CustomResourceDefinition" {
                continue;
            }
            for path in paths.of(item) {
                path.change(&mut item.node, &mut |node| self.change(node, pattern))
                    .map_err(|problem| item.blame(problem))?;
            }
            item.settle();
        }
        Ok(())
    }

    fn walk(&self, node: &mut Node, pattern: &ImagePattern) -> Result<(), Problem> {
        match node {
            Node::Scalar(_) => Ok(()),
            Node::Sequence(list) => {
                list.items.iter_mut().try_for_each(|item| self.walk(item, pattern))
            }
            Node::Mapping(mapping) => {
                for (key, value) in &mut mapping.entries {
                    self.walk(value, pattern)?;
                    if matches!(&*key.value, "containers" | "initContainers")
                        && let Node::Sequence(list) = value
                    {
                        for container in &mut list.items {
                            self.change_container(container, pattern)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn change_container(
        &self,
        container: &mut Node,
        pattern: &ImagePattern,
    ) -> Result<(), Problem> {
        match container {
            _ if container.is_null() => Ok(()),
            Node::Mapping(mapping) => match mapping.get_mut("image") {
                Some(image) => self.change(image, pattern),
                None => Ok(()),
            },
            other => Err(wrong_kind(Create::Mapping, other).in_part("a list of containers")),
        }
    }

    fn change(&self, node: &mut Node, pattern: &ImagePattern) -> Result<(), Problem> {
        if !node.is_null() && !matches!(node, Node::Scalar(_)) {
            return Err(wrong_kind(Create::Scalar, node).in_part("field image"));
        }
        match self.replacement(node.text(), pattern) {
            Some(image) => set_scalar(node, Scalar::plain(image)),
            None => Ok(()),
        }
    }

    /// Returns what takes the place of an image.
    fn replacement(&self, text: &str, pattern: &ImagePattern) -> Option<String> {
        if !pattern.is_match(text) {
            return None;
        }
        let Image { new_name, new_tag, tag_suffix, digest: new_digest, .. } = &self.image;
        let (name, tag, digest) = split(text);
        let mut image = if new_name.is_empty() { name } else { new_name }.to_owned();
        let (tag, digest) = match (new_tag.as_str(), new_digest.as_str(), tag_suffix.as_str()) {
            ("", "", "") => (tag.to_owned(), digest),
            ("", "", suffix) => (format!("{tag}{suffix}"), ""),
            ("", new_digest, _) => (String::new(), new_digest),
            (new_tag, new_digest, _) => (new_tag.to_owned(), new_digest),
        };
        for (sign, part) in [(':', tag.as_str()), ('@', digest)] {
            if !part.is_empty() {
                image.push(sign);
                image.push_str(part);
            }
        }
        Some(image)
    }
}

/// Splits an image into name, tag and digest. What is before the first `/` may have a port.
fn split(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let after = |sign| image[start..].find(sign).map(|at| at + start);
    match (after(':'), after('@')) {
        (None, None) => (image, "", ""),
        (Some(colon), Some(at)) if colon < at => {
            (&image[..colon], &image[colon + 1..at], &image[at + 1..])
        }
        (_, Some(at)) => (&image[..at], "", &image[at + 1..]),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_images() {
        for (image, parts) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1", ("nginx", "1", "")),
            ("host:80/nginx", ("host:80/nginx", "", "")),
            ("host:80/nginx:1@sha256:a", ("host:80/nginx", "1", "sha256:a")),
            ("nginx@sha256:a", ("nginx", "", "sha256:a")),
        ] {
            assert_eq!(split(image), parts, "{image}");
        }
    }

    #[test]
    fn plain_names_match_as_expressions_do() {
        for image in [
            "a.b/c",
            "a.b/c:1",
            "axb/c@sha256:f",
            "a.b/c:1@sha256:f",
            "a.b/c:",
            "a.b/cd",
            "a.b/c:1:2",
            "a.b/c:@sha256:",
            "a.b/c@sha512:f",
            "a.b/c:1@",
            "a.b/c:ü",
            "xa.b/c",
            "",
        ] {
            let plain = ImagePattern::new("a.b/c").unwrap().is_match(image);
            let regex = ImagePattern::new("(?:a.b/c)").unwrap().is_match(image);
            assert_eq!(plain, regex, "{image}");
        }
    }

    #[test]
    fn replaces_what_is_given() {
        let new = |image: Image, text: &str| {
            let images = Images::new(image, Vec::new());
            images.replacement(text, images.pattern.as_ref().unwrap())
        };
        let image = |tag: &str, digest: &str| Image {
            name: "a".into(),
            new_tag: tag.into(),
            digest: digest.into(),
            ..Image::default()
        };
        assert_eq!(new(image("2", ""), "a:1@sha256:b").unwrap(), "a:2");
        assert_eq!(new(image("", "sha256:c"), "a:1").unwrap(), "a@sha256:c");
        assert_eq!(new(image("2", "sha256:c"), "a:1").unwrap(), "a:2@sha256:c");
        assert_eq!(new(image("", ""), "a:1@sha256:b").unwrap(), "a:1@sha256:b");
        assert_eq!(new(image("2", ""), "aa:1"), None);
        let suffix = Image { tag_suffix: "-x".into(), ..image("", "") };
        assert_eq!(new(suffix, "a:1").unwrap(), "a:1-x");
    }
}
