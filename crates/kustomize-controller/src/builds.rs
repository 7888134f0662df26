//! Keeps what was built, for as long as nothing has changed that the build has read.
//!
//! A source often holds the files of many Kustomizations, and each of its artifacts is another one
//! for all of them. What a build has read, and what it did not find, is noted; when all of it is in
//! the new artifact as it was, the objects are those of the last build.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::kustomize::{Kustomization, SubstituteKind};
use kustomize::{FileKind, Tree, TreeError};
use sha2::{Digest as _, Sha256};

use crate::build::{BuildError, Built};
use crate::source::ObjectRef;
use crate::substitute::Variables;

/// How many bytes are kept, and how many of one Kustomization at most.
const CAPACITY: usize = 16 << 20;
const LARGEST: usize = CAPACITY / 2;

/// Builds that were made, the one that was used last of each Kustomization.
#[derive(Default)]
pub(crate) struct Builds {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    builds: HashMap<ObjectRef, Build>,
    size: usize,
    /// Counts uses.
    clock: u64,
}

struct Build {
    recipe: Recipe,
    /// The artifact that it was found to be good for last.
    artifact: String,
    reads: Arc<[Read]>,
    digest: String,
    /// The objects as JSON, which takes far less memory than what it is parsed into.
    objects: Arc<[u8]>,
    size: usize,
    used: u64,
}

/// What is built: everything but the files.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Recipe([u8; 32]);

impl Recipe {
    /// Returns what a Kustomization builds at a path. `None` if the result is not to be kept, because
    /// it holds what is secret.
    pub(crate) fn of(
        obj: &Kustomization,
        path: &str,
        variables: Option<&Variables>,
    ) -> Option<Self> {
        let from = obj.spec.post_build.as_ref().and_then(|it| it.substitute_from.as_deref());
        let is_secret = obj.spec.decryption.is_some()
            || from.into_iter().flatten().any(|it| it.kind == SubstituteKind::Secret);
        if is_secret {
            return None;
        }
        let mut hasher = Sha256::new();
        hasher.update(serde_json::to_vec(&obj.spec).ok()?);
        hasher.update(path.len().to_le_bytes());
        hasher.update(path);
        if let Some(variables) = variables {
            variables.hash(&mut hasher);
        }
        Some(Self(hasher.finalize().into()))
    }
}

/// Where the objects come from.
pub(crate) struct Place<'a> {
    pub(crate) obj: ObjectRef,
    /// The digest of the artifact.
    pub(crate) artifact: &'a str,
    pub(crate) tree: &'a dyn Tree,
}

impl Builds {
    /// Returns what was built if it still is what a build would give, else builds. Blocks.
    pub(crate) fn get(
        &self,
        place: Place<'_>,
        recipe: Recipe,
        make: impl FnOnce(&dyn Tree) -> Result<Built, BuildError>,
    ) -> Result<Built, BuildError> {
        let Place { obj, artifact, tree } = place;
        if let Some(built) = self.find(&obj, artifact, tree, &recipe) {
            return Ok(built);
        }
        let recorded = RecordedTree { tree, reads: RefCell::default() };
        let built = make(&recorded)?;
        let reads = recorded.reads.into_inner();
        self.keep(obj, artifact, recipe, reads, &built);
        Ok(built)
    }

    pub(crate) fn forget(&self, obj: &ObjectRef) {
        self.lock().remove(obj);
    }

    fn find(
        &self,
        obj: &ObjectRef,
        artifact: &str,
        tree: &dyn Tree,
        recipe: &Recipe,
    ) -> Option<Built> {
        let (is_checked, reads, objects, digest) = {
            let mut kept = self.lock();
            kept.clock += 1;
            let clock = kept.clock;
            let build = kept.builds.get_mut(obj).filter(|build| build.recipe == *recipe)?;
            build.used = clock;
            let is_checked = build.artifact == artifact && !artifact.is_empty();
            (is_checked, build.reads.clone(), build.objects.clone(), build.digest.clone())
        };
        if !is_checked {
            if reads.iter().any(|((op, path), outcome)| op.outcome(tree, path) != *outcome) {
                return None;
            }
            if let Some(build) = self.lock().builds.get_mut(obj).filter(|it| it.recipe == *recipe) {
                artifact.clone_into(&mut build.artifact);
            }
        }
        Some(Built { objects: serde_json::from_slice(&objects).ok()?, digest })
    }

    fn keep(&self, obj: ObjectRef, artifact: &str, recipe: Recipe, reads: Reads, built: &Built) {
        let mut kept = self.lock();
        kept.remove(&obj);
        let is_secret = |object: &serde_json::Value| object["kind"] == "Secret";
        if built.objects.iter().any(is_secret) {
            return;
        }
        let Ok(objects) = serde_json::to_vec(&built.objects) else { return };
        let reads: Arc<[Read]> = reads.into_iter().collect();
        let reads_size: usize =
            reads.iter().map(|((_, path), _)| path.len() + size_of::<Read>()).sum();
        let size = objects.len() + reads_size + size_of::<Build>();
        if size > LARGEST {
            return;
        }
        kept.clock += 1;
        kept.size += size;
        let new = Build {
            recipe,
            artifact: artifact.to_owned(),
            reads,
            digest: built.digest.clone(),
            objects: objects.into(),
            size,
            used: kept.clock,
        };
        kept.builds.insert(obj, new);
        kept.shrink();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, obj: &ObjectRef) {
        if let Some(build) = self.builds.remove(obj) {
            self.size -= build.size;
        }
    }

    /// Drops what was not used for longest, until the rest fits.
    fn shrink(&mut self) {
        while self.size > CAPACITY {
            let oldest = self.builds.iter().min_by_key(|(_, build)| build.used);
            let Some(oldest) = oldest.map(|(obj, _)| obj.clone()) else { return };
            self.remove(&oldest);
        }
    }
}

/// What was read, with the outcome.
type Reads = HashMap<(Op, Box<str>), Outcome>;

/// One of them, as it is kept.
type Read = ((Op, Box<str>), Outcome);

/// What can be asked of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    Read,
    Kind,
    List,
    RealPath,
}

/// What was answered, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Nothing,
    Kind(FileKind),
    /// A digest of what was read, half as long as it could be.
    Content([u8; 16]),
}

impl Op {
    /// Asks again.
    fn outcome(self, tree: &dyn Tree, path: &str) -> Outcome {
        match self {
            Self::Read => Outcome::of(tree.read(path).ok()),
            Self::Kind => Outcome::of_kind(tree.kind(path)),
            // No name has a slash.
            Self::List => Outcome::of(tree.list(path).ok().map(|names| names.join("/"))),
            Self::RealPath => Outcome::of(tree.real_path(path).ok()),
        }
    }
}

impl Outcome {
    fn of(content: Option<impl AsRef<[u8]>>) -> Self {
        content.map_or(Self::Nothing, |content| {
            let digest: [u8; 32] = Sha256::digest(content).into();
            let (half, _) = digest.split_first_chunk().expect("the digest is longer");
            Self::Content(*half)
        })
    }

    fn of_kind(kind: Option<FileKind>) -> Self {
        kind.map_or(Self::Nothing, Self::Kind)
    }
}

/// A tree that notes what is read.
struct RecordedTree<'a> {
    tree: &'a dyn Tree,
    reads: RefCell<Reads>,
}

impl RecordedTree<'_> {
    fn note(&self, op: Op, path: &str, outcome: Outcome) {
        self.reads.borrow_mut().insert((op, path.into()), outcome);
    }
}

impl Tree for RecordedTree<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let bytes = self.tree.read(path);
        self.note(Op::Read, path, Outcome::of(bytes.as_ref().ok()));
        bytes
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        let kind = self.tree.kind(path);
        self.note(Op::Kind, path, Outcome::of_kind(kind));
        kind
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
        let names = self.tree.list(dir);
        self.note(Op::List, dir, Outcome::of(names.as_ref().ok().map(|names| names.join("/"))));
        names
    }

    fn real_path(&self, path: &str) -> Result<String, TreeError> {
        let real = self.tree.real_path(path);
        self.note(Op::RealPath, path, Outcome::of(real.as_ref().ok()));
        real
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    /// Files by path.
    struct Files(BTreeMap<&'static str, &'static str>);

    impl Tree for Files {
        fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
            let found = self.0.get(path).map(|text| text.as_bytes().to_vec());
            found.ok_or_else(|| TreeError::NotFound(path.to_owned()))
        }

        fn kind(&self, path: &str) -> Option<FileKind> {
            let below = format!("{path}/");
            if self.0.contains_key(path) {
                return Some(FileKind::File);
            }
            let is_dir = path.is_empty() || self.0.keys().any(|it| it.starts_with(&below));
            is_dir.then_some(FileKind::Directory)
        }

        fn list(&self, dir: &str) -> Result<Vec<String>, TreeError> {
            let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
            let below = self.0.keys().filter_map(|path| path.strip_prefix(&prefix));
            let mut names: Vec<String> =
                below.map(|path| path.split('/').next().unwrap().to_owned()).collect();
            names.dedup();
            Ok(names)
        }
    }

    const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

    fn files(extra: &[(&'static str, &'static str)]) -> Files {
        let base = [
            ("apps/web/kustomization.yaml", "resources: [../base]\n"),
            ("apps/base/kustomization.yaml", "resources: [config.yaml]\n"),
            ("apps/base/config.yaml", CONFIG),
            ("apps/other/config.yaml", CONFIG),
        ];
        Files(base.into_iter().chain(extra.iter().copied()).collect())
    }

    fn kustomization(fields: &serde_json::Value) -> Kustomization {
        let mut obj = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {
                "interval": "1m", "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "x"},
            },
        });
        obj["spec"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(obj).unwrap()
    }

    /// Returns whether a build was made.
    fn is_built(builds: &Builds, artifact: &str, tree: &Files, fields: &serde_json::Value) -> bool {
        let obj = kustomization(fields);
        let count = Cell::new(0);
        let place = Place { obj: ObjectRef::from_obj(&obj), artifact, tree };
        let recipe = Recipe::of(&obj, "apps/web", None).unwrap();
        let built = builds.get(place, recipe, |tree| {
            count.set(count.get() + 1);
            crate::build::build(tree, "apps/web", &obj.spec, None, None)
        });
        assert_eq!(built.unwrap().objects[0]["kind"], "ConfigMap");
        count.get() == 1
    }

    #[test]
    fn builds_again_only_when_something_that_was_read_has_changed() {
        let builds = Builds::default();
        let none = json!({});
        assert!(is_built(&builds, "1", &files(&[]), &none));
        assert!(!is_built(&builds, "1", &files(&[]), &none));
        // Another path.
        assert!(!is_built(&builds, "2", &files(&[("apps/other/config.yaml", "a: b")]), &none));
        // A file outside of the path, that is read.
        let label = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
        assert!(is_built(&builds, "3", &files(&[("apps/base/config.yaml", label)]), &none));
        // A file that was looked for, and was not there.
        assert!(is_built(&builds, "4", &files(&[]), &none));
        let added = files(&[("apps/web/kustomization.yml", "resources: []\n")]);
        let reads = builds.lock().builds.values().next().unwrap().reads.clone();
        let has_changed = |((op, path), outcome): &Read| op.outcome(&added, path) != *outcome;
        assert!(reads.iter().any(has_changed));
        // Another spec.
        assert!(is_built(&builds, "4", &files(&[]), &json!({"namePrefix": "x-"})));
        builds.forget(&ObjectRef::from_obj(&kustomization(&none)));
        assert!(is_built(&builds, "4", &files(&[]), &json!({"namePrefix": "x-"})));
    }

    #[test]
    fn keeps_nothing_that_is_secret() {
        let secret = json!({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "x"}]}});
        assert!(Recipe::of(&kustomization(&secret), "", None).is_none());
        let decrypted = json!({"decryption": {"provider": "sops"}});
        assert!(Recipe::of(&kustomization(&decrypted), "", None).is_none());
    }

    #[test]
    fn drops_what_was_not_used_for_longest() {
        let builds = Builds::default();
        let recipe = Recipe::of(&kustomization(&json!({})), "", None).unwrap();
        let built = Built {
            objects: vec![json!({"kind": "ConfigMap", "data": "x".repeat(CAPACITY / 3)})],
            digest: String::new(),
        };
        let obj = |name: &str| ObjectRef::new(name).within("apps");
        for name in ["a", "b", "c"] {
            builds.keep(obj(name), "1", recipe.clone(), Reads::new(), &built);
            if name == "b" {
                assert!(builds.find(&obj("a"), "1", &files(&[]), &recipe).is_some());
            }
        }
        let kept = builds.lock();
        assert!(kept.size <= CAPACITY && !kept.builds.contains_key(&obj("b")));
        assert!(kept.builds.contains_key(&obj("a")) && kept.builds.contains_key(&obj("c")));
    }
}
