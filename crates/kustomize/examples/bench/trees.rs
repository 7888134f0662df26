//! Trees of many objects, patches or levels.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A tree to build.
#[derive(Clone, Copy)]
pub(crate) struct Tree {
    objects: usize,
    patches: usize,
    /// Kustomizations that build on each other.
    levels: usize,
}

/// Returns what to build, by what grows.
pub(crate) fn series() -> [(&'static str, Vec<Tree>); 3] {
    let tree = |objects, patches, levels| Tree { objects, patches, levels };
    [
        ("objects", [10, 100, 1_000, 10_000].map(|objects| tree(objects, 1, 2)).into()),
        ("patches", [1, 10, 50].map(|patches| tree(1_000, patches, 2)).into()),
        ("levels", [1, 5, 10, 20].map(|levels| tree(100, 5, levels)).into()),
    ]
}

impl Tree {
    pub(crate) fn name(self) -> String {
        let Self { objects, patches, levels } = self;
        format!("{objects} objects {patches} patches {levels} levels")
    }

    /// Writes the tree, and returns the directory to build.
    pub(crate) fn write(self, root: &Path) -> io::Result<PathBuf> {
        let base = root.join("level-0");
        fs::create_dir_all(&base)?;
        let mut kustomization = String::from("resources:\n");
        for file in 0..self.objects.div_ceil(10) {
            let mut text = String::new();
            for at in file * 10..((file + 1) * 10).min(self.objects) {
                object(&mut text, at);
            }
            fs::write(base.join(format!("objects-{file}.yaml")), text)?;
            _ = writeln!(kustomization, "- objects-{file}.yaml");
        }
        if self.levels < 2 {
            self.top(&mut kustomization);
        }
        fs::write(base.join("kustomization.yaml"), kustomization)?;
        let mut dir = base;
        for level in 1..self.levels {
            dir = root.join(format!("level-{level}"));
            fs::create_dir_all(&dir)?;
            let mut text = format!("resources:\n- ../level-{}\n", level - 1);
            if level + 1 == self.levels {
                self.top(&mut text);
            } else {
                _ = writeln!(
                    text,
                    "labels:\n- pairs:\n    level-{level}: 'yes'\nnamePrefix: l{level}-"
                );
            }
            fs::write(dir.join("kustomization.yaml"), text)?;
        }
        Ok(dir)
    }

    /// What the outermost kustomization does.
    fn top(self, text: &mut String) {
        text.push_str(
            "namespace: shop\ncommonAnnotations:\n  team: platform\nimages:\n- name: registry.example.com/app\n  \
             newTag: '2'\nconfigMapGenerator:\n- name: settings\n  literals:\n  - color=blue\npatches:\n",
        );
        // Half of them change one object, by its name; the others select by kind and name.
        for patch in 0..self.patches {
            let deployments = self.objects.div_ceil(2);
            let at = patch * 2 % (deployments * 2);
            if patch.is_multiple_of(2) {
                _ = write!(
                    text,
                    "- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata:\n      name: object-{at}\n    \
                     spec:\n      replicas: {}\n      template:\n        spec:\n          containers:\n          \
                     - name: app\n            env:\n            - name: PATCHED\n              value: 'yes'\n",
                    patch + 2
                );
            } else {
                _ = write!(
                    text,
                    "- target:\n    kind: Deployment\n    name: object-{at}\n  patch: |\n    - op: add\n      path: \
                     /spec/paused\n      value: true\n"
                );
            }
        }
    }
}

/// Adds a Deployment or a Service for the one before it.
fn object(text: &mut String, at: usize) {
    let previous = at.saturating_sub(1);
    _ = if at.is_multiple_of(2) {
        write!(
            text,
            "---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: object-{at}
  labels:
    app: object-{at}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: object-{at}
  template:
    metadata:
      labels:
        app: object-{at}
    spec:
      containers:
      - name: app
        image: registry.example.com/app:1
        env:
        - name: COLOR
          valueFrom:
            configMapKeyRef:
              name: settings
              key: color
        ports:
        - containerPort: 8080
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
"
        )
    } else {
        write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata:
  name: object-{at}
spec:
  selector:
    app: object-{previous}
  ports:
  - port: 80
    targetPort: 8080
"
        )
    };
}
