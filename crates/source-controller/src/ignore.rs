//! What is left out of an artifact: the rules of `.sourceignore` files and of `spec.ignore`.
//!
//! The rules are those of go-git, which differ from git's own: patterns are one flat list whose last
//! match decides, so a file below an excluded directory can be included again, and a pattern
//! without a slash matches every part of a path.

mod pattern;

use std::io::{self, Read as _};
use std::path::Path;

use crate::tree::{Tree, children};

use pattern::{Pattern, Verdict};

/// The name of the files that hold rules.
const FILE: &str = ".sourceignore";

/// What is always left out, unless a rule includes it again.
const VERSION_CONTROL: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// What is left out as long as there are no rules at all.
const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// The longest file of rules that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The most rules that a tree may have.
const MAX_RULES: usize = 100_000;

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IgnoreError {
    /// A file or directory cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// Path in the tree.
        path: String,
        #[source]
        source: io::Error,
    },
    /// A file is longer than any that a person writes.
    #[error("{path} is longer than {MAX_FILE} bytes")]
    TooLong {
        /// Path in the tree.
        path: String,
    },
    /// There are more rules than anyone means to have.
    #[error("there are more than {MAX_RULES} ignore rules")]
    TooMany,
}

/// Decides what is left out.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    patterns: Vec<Pattern>,
}

impl Rules {
    /// Reads the rules of a tree, and those of a spec, which come last.
    ///
    /// Source: `LoadIgnorePatterns`, fluxcd/pkg `sourceignore/sourceignore.go`, and
    /// `SourceIgnoreFilter`, `artifact/storage/archive.go`.
    pub(crate) fn load(tree: &Tree, spec: Option<&str>) -> Result<Self, IgnoreError> {
        let mut own = Vec::new();
        load_dir(tree, "", &mut own)?;
        own.extend(parse(spec.unwrap_or_default(), ""));
        if own.len() > MAX_RULES {
            return Err(IgnoreError::TooMany);
        }
        // Any rule at all replaces the defaults.
        let defaults = if own.is_empty() { &DEFAULTS[..] } else { &[] };
        let mut patterns: Vec<_> =
            VERSION_CONTROL.iter().chain(defaults).map(|line| Pattern::parse(line, "")).collect();
        patterns.append(&mut own);
        Ok(Self { patterns })
    }

    /// Says whether a file or directory is left out. What is below a directory is asked for itself.
    pub(crate) fn exclude(&self, path: &str, is_dir: bool) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let verdicts = self.patterns.iter().rev().map(|pattern| pattern.judge(&parts, is_dir));
        verdicts.flatten().next() == Some(Verdict::Exclude)
    }
}

fn load_dir(tree: &Tree, dir: &str, rules: &mut Vec<Pattern>) -> Result<(), IgnoreError> {
    let path = join(dir, FILE);
    if let Some(text) = read(tree, &path)? {
        rules.extend(parse(&text, dir));
        if rules.len() > MAX_RULES {
            return Err(IgnoreError::TooMany);
        }
    }
    let entries = children(&tree.join(Path::new(dir)));
    let entries = entries.map_err(|source| IgnoreError::Read { path: dir.to_owned(), source })?;
    for entry in entries.into_iter().filter(|entry| entry.kind.is_dir()) {
        if entry.name != ".git" {
            load_dir(tree, &join(dir, &entry.name.to_string_lossy()), rules)?;
        }
    }
    Ok(())
}

/// Reads a file of rules; `None` when there is none. A link may not lead out of the tree.
fn read(tree: &Tree, path: &str) -> Result<Option<String>, IgnoreError> {
    let error = |source| IgnoreError::Read { path: path.to_owned(), source };
    let file = match tree.open(Path::new(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(error(source)),
    };
    if !file.metadata().map_err(error)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(IgnoreError::TooLong { path: path.to_owned() });
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Parses rules that hold below a directory.
fn parse<'a>(text: &'a str, dir: &'a str) -> impl Iterator<Item = Pattern> + 'a {
    let lines = text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line));
    let lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(move |line| Pattern::parse(line, dir))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns which of the paths are left out; those that end in a slash are directories.
    fn excluded<'a>(files: &[(&str, &str)], spec: Option<&str>, paths: &[&'a str]) -> Vec<&'a str> {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let rules = Rules::load(&Tree::new(dir.path()).unwrap(), spec).unwrap();
        let is_excluded = |path: &&str| match path.strip_suffix('/') {
            Some(dir) => rules.exclude(dir, true),
            None => rules.exclude(path, false),
        };
        paths.iter().copied().filter(is_excluded).collect()
    }

    #[test]
    fn leaves_out_the_defaults_without_rules() {
        let paths = [
            ".git/",
            ".git/config",
            ".gitignore",
            "apps/.gitattributes",
            "logo.png",
            "docs/logo.jpeg",
            "charts/x.tar.gz",
            ".github/workflows/ci.yaml",
            ".github",
            "deep/er/.sops.yaml",
            "deploy.yaml",
            ".sourceignore",
            "git",
        ];
        let kept = [".github", "deploy.yaml", ".sourceignore", "git"];
        let expected: Vec<_> = paths.iter().copied().filter(|it| !kept.contains(it)).collect();
        assert_eq!(excluded(&[], None, &paths), expected);
        assert_eq!(excluded(&[(FILE, "# nothing\n\n")], Some(""), &paths), expected);
    }

    #[test]
    fn keeps_only_version_control_of_the_defaults_with_rules() {
        let paths = ["logo.png", ".github/", ".gitignore", "a.txt"];
        assert_eq!(excluded(&[], Some("*.txt"), &paths), [".gitignore", "a.txt"]);
        assert_eq!(excluded(&[("sub/.sourceignore", "x")], None, &paths), [".gitignore"]);
    }

    #[test]
    fn lets_the_last_match_decide() {
        let paths = ["keep/a.txt", "keep/b.txt", "drop/a.txt", ".gitignore"];
        let spec = "*.txt\n!keep/*.txt\nkeep/b.txt\n!.gitignore";
        assert_eq!(excluded(&[], Some(spec), &paths), ["keep/b.txt", "drop/a.txt"]);
    }

    #[test]
    fn includes_files_of_excluded_directories_again() {
        let spec = "/*\n!/deploy\n/deploy/**/*.md";
        let paths = ["deploy/", "deploy/x.yaml", "deploy/a/b.md", "src/", "src/main.go"];
        // `!/deploy` matches what is below as well.
        assert_eq!(excluded(&[], Some(spec), &paths), ["deploy/a/b.md", "src/", "src/main.go"]);
    }

    #[test]
    fn scopes_rules_to_the_directory_of_their_file() {
        let files = [(FILE, "/top.txt\n"), ("a/b/.sourceignore", "x.txt\n/top.txt")];
        let paths =
            ["x.txt", "a/x.txt", "a/b/x.txt", "a/b/c/x.txt", "top.txt", "a/top.txt", "a/b/top.txt"];
        assert_eq!(
            excluded(&files, None, &paths),
            ["a/b/x.txt", "a/b/c/x.txt", "top.txt", "a/b/top.txt"]
        );
    }

    #[test]
    fn puts_the_spec_after_the_files() {
        let files = [(FILE, "*.md"), ("docs/.sourceignore", "*.txt")];
        let paths = ["a.md", "docs/a.txt", "docs/b.md"];
        assert_eq!(excluded(&files, Some("!a.*"), &paths), ["docs/b.md"]);
    }

    #[test]
    fn does_not_look_into_the_git_directory() {
        assert_eq!(excluded(&[(".git/.sourceignore", "*.yaml")], None, &["a.yaml"]), [""; 0]);
    }

    #[test]
    fn follows_links_only_inside_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "*.yaml").unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join(FILE)).unwrap();
        let tree = Tree::new(&root).unwrap();
        assert!(matches!(Rules::load(&tree, None), Err(IgnoreError::Read { .. })));
        std::fs::remove_file(root.join(FILE)).unwrap();
        std::fs::write(root.join("rules"), "*.yaml").unwrap();
        std::os::unix::fs::symlink("../rules", root.join("a").join(FILE)).unwrap();
        let rules = Rules::load(&tree, None).unwrap();
        assert!(rules.exclude("a/x.yaml", false) && !rules.exclude("x.yaml", false));
    }

    #[test]
    fn refuses_files_that_are_too_long() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(dir.path()).unwrap();
        std::fs::write(dir.path().join(FILE), "x".repeat(1 + (1 << 20))).unwrap();
        assert!(matches!(Rules::load(&tree, None), Err(IgnoreError::TooLong { .. })));
        std::fs::write(dir.path().join(FILE), "x\n".repeat(60_000)).unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub").join(FILE), "x\n".repeat(60_000)).unwrap();
        assert!(matches!(Rules::load(&tree, None), Err(IgnoreError::TooMany)));
    }
}
