//! Trees of kustomizations: a base, an overlay and a component, with objects, patches and what else
//! kustomizations name. Nearly all of it is valid; here and there something is broken.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::choices::Choices;

/// The directory to build.
pub const ROOT: &str = "overlay";

/// Returns the files of a tree by their paths.
pub fn files(choices: &mut Choices<'_>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (path, text) in FIXED {
        for dir in [ROOT, "base", "component"] {
            files.insert(format!("{dir}/{path}"), (*text).to_owned());
        }
    }
    let mut tree = Tree { choices, files };
    tree.kustomization(ROOT, "Kustomization");
    tree.kustomization("base", "Kustomization");
    tree.kustomization("component", "Component");
    if tree.choices.once_in(4) {
        tree.break_something();
    }
    tree.files
}

/// Files that the fields of kustomizations name.
const FIXED: [(&str, &str); 6] = [
    ("a.env", "# comment\nA=1\nB = two words\nC=\n\nA_B=$(NAME)\n"),
    ("text.txt", "first\n  second: [x]\n"),
    (
        "config.yaml",
        "commonLabels:\n- path: spec/labels\n  create: true\n  kind: Thing\nnameReference:\n- kind: \
         ConfigMap\n  version: v1\n  fieldSpecs:\n  - path: spec/configRef\n    kind: Thing\nvarReference:\n- \
         path: spec/text\n  kind: Thing\nimages:\n- path: spec/image\n  kind: Thing\n",
    ),
    (
        "crd.json",
        r#"{"com.example.v1.Thing": {"Schema": {"properties": {"kind": {"type": "string"}, "apiVersion": {"type": "string"}, "metadata": {"type": "object"}, "spec": {"$ref": "com.example.v1.ThingSpec"}}}}, "com.example.v1.ThingSpec": {"Schema": {"properties": {"configRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap", "type": "object", "properties": {"name": {"x-kubernetes-object-ref-name-key": "name", "type": "string"}}}}}}}"#,
    ),
    (
        "schema.json",
        r#"{"definitions": {"com.example.v1.Thing": {"properties": {"spec": {"properties": {"items": {"type": "array", "items": {"type": "object"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}}}}, "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Thing", "version": "v1"}]}}}"#,
    ),
    (
        "replacement.yaml",
        "source: {kind: ConfigMap, fieldPath: metadata.name}\ntargets:\n- select: {kind: Thing}\n  \
         fieldPaths: [spec.text]\n  options: {create: true}\n",
    ),
];

const NAMES: [&str; 4] = ["a", "b", "web", "a.b"];
const NAMESPACES: [&str; 4] = ["", "x", "default", "y"];
const KEYS: [&str; 5] = ["app", "example.com/tier", "a.b/c", "env", "1"];
const KINDS: [&str; 12] = [
    "ConfigMap",
    "Deployment",
    "Service",
    "Secret",
    "Thing",
    "Namespace",
    "ServiceAccount",
    "RoleBinding",
    "ClusterRole",
    "StatefulSet",
    "CronJob",
    "Ingress",
];
/// Scalars as they can be written.
const SCALARS: [&str; 24] = [
    "a",
    "1",
    "\"1\"",
    "'yes'",
    "yes",
    "on",
    "~",
    "null",
    "''",
    "0o17",
    "017",
    "1e3",
    "0x1F",
    "1.50",
    ".inf",
    "2024-01-02",
    "$(NAME)",
    "web",
    "nginx:1.2@sha256:aa",
    "\"a\\nb\"",
    "!!str 1",
    "|-\n    a\n    b\n",
    "a=b&c",
    "'# no'",
];
/// Steps and separators of paths to fields.
const FIELD_PATHS: [&str; 18] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.labels.app",
    "metadata.annotations.[example.com/tier]",
    "spec.text",
    "spec.template.spec.containers.0.image",
    "spec.template.spec.containers.[name=web].image",
    "spec.template.spec.containers.*.env.[name=A].value",
    "spec.items.-",
    "spec.items.[name=n].v",
    "spec.items.1",
    "spec.list.[=a]",
    "data.a",
    "data.a\\.b",
    "spec",
    "spec.new.field",
    "spec.items",
    "",
];

/// Where JSON patches change something.
const POINTERS: [&str; 10] = [
    "/metadata/labels/app",
    "/metadata/name",
    "/metadata/annotations",
    "/spec/text",
    "/spec/items/-",
    "/spec/items/0",
    "/spec/template/spec/containers/0/image",
    "/data/a",
    "/data",
    "/a~1b",
];

/// A tree in the making.
struct Tree<'c, 'd> {
    choices: &'c mut Choices<'d>,
    files: BTreeMap<String, String>,
}

impl Tree<'_, '_> {
    fn name(&mut self) -> String {
        self.choices.pick(&NAMES).to_owned()
    }

    /// Writes the kustomization of a directory, and the files that it names.
    fn kustomization(&mut self, dir: &str, kind: &str) {
        let mut fields = Map::new();
        if kind == "Component" {
            fields.insert("kind".into(), kind.into());
            fields.insert("apiVersion".into(), "kustomize.config.k8s.io/v1alpha1".into());
        }
        let mut resources: Vec<Value> = Vec::new();
        if dir == ROOT {
            resources.push("../base".into());
            if self.choices.below(2) == 1 {
                fields.insert("components".into(), json!(["../component"]));
            }
        }
        for at in 0..=self.choices.below(3) {
            let path = format!("r{at}.yaml");
            let count = 1 + self.choices.below(3);
            let objects: Vec<String> = (0..count).map(|_| self.object()).collect();
            self.files.insert(format!("{dir}/{path}"), objects.join("---\n"));
            resources.push(path.into());
        }
        fields.insert("resources".into(), resources.into());
        for _ in 0..self.choices.below(6) {
            let (name, value) = self.field(dir);
            fields.insert(name.into(), value);
        }
        let text = goyaml::to_string(&Value::Object(fields));
        self.files.insert(format!("{dir}/kustomization.yaml"), text);
    }

    /// Returns an object as it could stand in a file.
    fn object(&mut self) -> String {
        let kind = self.choices.pick(&KINDS);
        let mut text = self.head(kind);
        let labels = self.choices.several(3, |choices| choices.pick(&KEYS));
        if !labels.is_empty() {
            text.push_str("  labels:\n");
            for key in labels {
                text = format!(
                    "{text}    {key}: {}\n",
                    self.choices.pick(&["a", "web", "\"1\"", "'yes'"])
                );
            }
        }
        if self.choices.once_in(6) {
            let value = self.choices.pick(&["'true'", "''", "Disable", "disabled", "a"]);
            let key = self.choices.pick(&[
                "config.kubernetes.io/local-config",
                "kustomize.config.k8s.io/needs-hash",
                "example.com/tier",
            ]);
            text = format!("{text}  annotations: {{{key}: {value}}}\n");
        }
        text.push_str(&self.body(kind));
        text
    }

    fn head(&mut self, kind: &str) -> String {
        let version = match kind {
            "Deployment" | "StatefulSet" => "apps/v1",
            "Thing" => "example.com/v1",
            "RoleBinding" | "ClusterRole" => "rbac.authorization.k8s.io/v1",
            "CronJob" => "batch/v1",
            "Ingress" => "networking.k8s.io/v1",
            _ => "v1",
        };
        let name = self.name();
        let mut text = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
        let namespace = self.choices.pick(&NAMESPACES);
        if !namespace.is_empty() && !matches!(kind, "Namespace" | "ClusterRole") {
            text = format!("{text}  namespace: {namespace}\n");
        }
        text
    }

    fn scalar(&mut self) -> &'static str {
        self.choices.pick(&SCALARS)
    }

    fn body(&mut self, kind: &str) -> String {
        let name = self.name();
        match kind {
            "ConfigMap" | "Secret" => {
                let field = self.choices.pick(&["data", "stringData", "binaryData"]);
                format!("{field}:\n  a: {}\n  a.b: {}\n", self.scalar(), self.scalar())
            }
            "Deployment" | "StatefulSet" => {
                let pod = self.pod("      ");
                format!(
                    "spec:\n  replicas: {}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
                     metadata: {{labels: {{app: web}}}}\n    spec:\n{pod}",
                    self.scalar()
                )
            }
            "CronJob" => {
                let pod = self.pod("          ");
                format!("spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{pod}")
            }
            "Service" => format!(
                "spec:\n  selector: {{app: {name}}}\n  ports: [{{port: 80}}, {{port: 443, protocol: TCP}}]\n"
            ),
            "RoleBinding" => format!(
                "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\nsubjects:\n- \
                 {{kind: ServiceAccount, name: {}, namespace: {}}}\n",
                self.name(),
                self.choices.pick(&["default", "x", "other"]),
            ),
            "ClusterRole" => "rules: []\n".to_owned(),
            "Ingress" => format!(
                "spec:\n  rules:\n  - host: example.com\n    http:\n      paths:\n      - path: /\n        \
                 backend: {{service: {{name: {name}}}}}\n"
            ),
            "Thing" => format!(
                "spec:\n  text: {}\n  image: nginx:1\n  configRef: {{name: {name}}}\n  list: [a, b]\n  items:\n  - \
                 {{name: n, v: 1}}\n  - name: m\n    v: {}\n",
                self.scalar(),
                self.scalar(),
            ),
            _ => String::new(),
        }
    }

    fn pod(&mut self, indent: &str) -> String {
        let mut text = format!("{indent}containers:\n");
        for at in 0..=self.choices.below(2) {
            let name = if at == 0 { "web".to_owned() } else { self.name() };
            let image =
                self.choices.pick(&["nginx:1", "repo/web", "nginx@sha256:aa", "host:80/a:b"]);
            text = format!("{text}{indent}- name: {name}\n{indent}  image: {image}\n");
            if self.choices.below(2) == 1 {
                let (value, map) = (self.scalar().trim_start_matches("|-\n"), self.name());
                text = format!(
                    "{text}{indent}  env:\n{indent}  - {{name: A, value: \"{}\"}}\n{indent}  - {{name: B, \
                     valueFrom: {{configMapKeyRef: {{name: {map}, key: a}}}}}}\n",
                    value.replace(['"', '\\', '\n'], ""),
                );
            }
        }
        if self.choices.below(2) == 1 {
            text = format!(
                "{text}{indent}volumes:\n{indent}- {{name: v, configMap: {{name: {}}}}}\n{indent}- {{name: w, \
                 secret: {{secretName: {}}}}}\n",
                self.name(),
                self.name(),
            );
        }
        text
    }

    fn strings(&mut self) -> Value {
        let entries = self.choices.several(3, |choices| {
            let value = choices.pick(&["web", "1", "true", "", "x y", "$(NAME)"]);
            (choices.pick(&KEYS).to_owned(), Value::from(value))
        });
        Value::Object(entries.into_iter().collect())
    }

    fn selector(&mut self) -> Value {
        let mut fields = Map::new();
        let kind = self.choices.pick(&KINDS);
        fields.insert("kind".into(), kind.into());
        for _ in 0..self.choices.below(3) {
            let (field, values): (_, &[&str]) = match self.choices.below(6) {
                0 => ("name", &["a", "b", "web", "a|b", ".*", "[", "w.b"]),
                1 => ("namespace", &["x", "default", "y|x"]),
                2 => ("labelSelector", &["app=web", "app in (a,web)", "!env", "app!=a,env", "=="]),
                3 => ("annotationSelector", &["example.com/tier=a", "example.com/tier"]),
                4 => ("group", &["apps", "example.com", ""]),
                _ => ("version", &["v1", "v2"]),
            };
            fields.insert(field.into(), self.choices.pick(values).into());
        }
        if self.choices.once_in(5) {
            fields.remove("kind");
        }
        fields.into()
    }

    fn options(&mut self) -> Value {
        let mut options = json!({});
        for name in ["disableNameSuffixHash", "immutable"] {
            if self.choices.once_in(3) {
                options[name] = true.into();
            }
        }
        if self.choices.once_in(3) {
            options["labels"] = self.strings();
            options["annotations"] = self.strings();
        }
        options
    }

    fn generator(&mut self) -> Value {
        let mut fields = json!({ "name": self.name() });
        let behavior = self.choices.pick(&["", "create", "merge", "replace"]);
        if !behavior.is_empty() {
            fields["behavior"] = behavior.into();
        }
        let namespace = self.choices.pick(&NAMESPACES);
        if !namespace.is_empty() {
            fields["namespace"] = namespace.into();
        }
        let literals = self.choices.several(3, |choices| {
            choices.pick(&["a=1", "b='x y'", "c=\"q\"", "a.b=", "d=a=b", "e=two\nlines"])
        });
        fields["literals"] = literals.into();
        let files =
            self.choices.several(2, |choices| choices.pick(&["text.txt", "key=text.txt", "a.env"]));
        fields["files"] = files.into();
        if self.choices.once_in(3) {
            fields["envs"] = json!(["a.env"]);
        }
        if self.choices.once_in(3) {
            fields["options"] = self.options();
        }
        fields
    }

    /// Writes a strategic merge patch.
    fn merge_patch(&mut self) -> String {
        let kind = self.choices.pick(&KINDS);
        let mut text = self.head(kind);
        if self.choices.once_in(10) {
            return format!(
                "{text}$patch: {}\n",
                self.choices.pick(&["delete", "replace", "merge", "x"])
            );
        }
        if self.choices.below(2) == 1 {
            text = format!(
                "{text}  labels: {{app: {}}}\n",
                self.choices.pick(&["null", "z", "\"1\""])
            );
        }
        if self.choices.below(2) == 1 {
            return text + &self.body(kind);
        }
        text.push_str(self.choices.pick(&[
            "",
            "data: {a: null, c: d}\n",
            "data: {$patch: replace, c: d}\n",
            "spec: {text: null, new: {a: {b: null}}}\n",
            "spec: {items: [{name: n, v: 2}, {name: o, v: 3}]}\n",
            "spec: {template: {spec: {containers: [{name: web, $patch: delete}]}}}\n",
            "spec: {template: {spec: {containers: [{name: web, env: [{name: A, value: n}]}, {name: new}]}}}\n",
            "spec: {template: {spec: {containers: [{$patch: replace}, {name: new, image: nginx}]}}}\n",
            "spec: {ports: [{port: 80, protocol: UDP}, {port: 443, $patch: delete}]}\n",
            "spec: {template: {spec: {volumes: null, nodeSelector: {a: b}}}}\n",
            "spec: null\n",
        ]));
        text
    }

    fn json_patch(&mut self) -> String {
        let operation = |choices: &mut Choices<'_>| {
            let op = choices.pick(&["add", "replace", "remove", "test", "copy", "move"]);
            let value = match choices.below(5) {
                0 => json!("new"),
                1 => json!(1),
                2 => json!({ "a": "b" }),
                3 => json!(["a", null]),
                _ => json!(true),
            };
            json!({ "op": op, "path": choices.pick(&POINTERS), "from": choices.pick(&POINTERS), "value": value })
        };
        let operations = Value::Array(self.choices.several(3, operation));
        match self.choices.below(2) {
            0 => operations.to_string(),
            _ => goyaml::to_string(&operations),
        }
    }

    fn patch(&mut self, dir: &str) -> Value {
        let is_json = self.choices.below(2) == 1;
        let text = if is_json { self.json_patch() } else { self.merge_patch() };
        let mut fields = json!({});
        if self.choices.below(2) == 1 {
            let path = format!("p{}.yaml", self.files.len());
            self.files.insert(format!("{dir}/{path}"), text);
            fields["path"] = path.into();
        } else {
            fields["patch"] = text.into();
        }
        if is_json || self.choices.below(2) == 1 {
            fields["target"] = self.selector();
        }
        if self.choices.once_in(4) {
            fields["options"] = json!({ "allowNameChange": true, "allowKindChange": true });
        }
        fields
    }

    fn field_options(&mut self) -> Value {
        let mut options = json!({});
        if self.choices.below(2) == 1 {
            options["create"] = true.into();
        }
        if self.choices.once_in(3) {
            options["delimiter"] = self.choices.pick(&[":", "/", ".", "-"]).into();
            let index = self.choices.below(5);
            options["index"] = (i64::try_from(index).unwrap_or_default() - 1).into();
        }
        options
    }

    fn replacement(&mut self) -> Value {
        if self.choices.once_in(8) {
            return json!({ "path": "replacement.yaml" });
        }
        let mut source = self.selector();
        if let Value::Object(fields) = &mut source {
            fields.retain(|name, _| !name.ends_with("Selector"));
        }
        source["fieldPath"] = self.choices.pick(&FIELD_PATHS).into();
        if self.choices.once_in(4) {
            source["options"] = self.field_options();
        }
        let target = |tree: &mut Self| {
            let paths = tree.choices.several(2, |choices| choices.pick(&FIELD_PATHS));
            let mut target = json!({ "select": tree.selector(), "fieldPaths": paths });
            if tree.choices.once_in(3) {
                target["reject"] = json!([tree.selector()]);
            }
            if tree.choices.below(2) == 1 {
                target["options"] = tree.field_options();
            }
            target
        };
        let count = 1 + self.choices.below(2);
        let targets: Vec<Value> = (0..count).map(|_| target(self)).collect();
        json!({ "source": source, "targets": targets })
    }

    fn plugin(&mut self, dir: &str) -> String {
        let specs =
            json!([{ "path": "spec/new/field", "create": true }, { "path": "metadata/labels" }]);
        let (kind, mut fields) = match self.choices.below(11) {
            0 => (
                "AnnotationsTransformer",
                json!({ "annotations": self.strings(), "fieldSpecs": [{ "path": "metadata/annotations", "create": true }] }),
            ),
            1 => ("LabelTransformer", json!({ "labels": self.strings(), "fieldSpecs": specs })),
            2 => (
                "PrefixTransformer",
                json!({ "prefix": "t-", "fieldSpecs": [{ "path": "metadata/name" }] }),
            ),
            3 => (
                "SuffixTransformer",
                json!({ "suffix": "-t", "fieldSpecs": [{ "path": "metadata/name" }] }),
            ),
            4 => (
                "NamespaceTransformer",
                json!({ "unsetOnly": self.choices.below(2) == 1, "setRoleBindingSubjects": self.choices.pick(&["allServiceAccounts", "defaultOnly", "none"]), "fieldSpecs": [{ "path": "metadata/namespace", "create": true }] }),
            ),
            5 => (
                "ImageTagTransformer",
                json!({ "imageTag": self.image(), "fieldSpecs": [{ "path": "spec/template/spec/containers[]/image" }] }),
            ),
            6 => ("PatchTransformer", self.patch(dir)),
            7 => (
                "ReplicaCountTransformer",
                json!({ "replica": self.replica(), "fieldSpecs": [{ "path": "spec/replicas", "create": true, "kind": "Deployment" }] }),
            ),
            8 => ("ReplacementTransformer", json!({ "replacements": [self.replacement()] })),
            9 => ("HashTransformer", json!({})),
            _ => (
                "ValueAddTransformer",
                json!({ "value": "v", "targets": [{ "fieldPath": "spec/text", "selector": { "kind": "Thing" }, "filePathPosition": 1 }] }),
            ),
        };
        fields["apiVersion"] = "builtin".into();
        fields["kind"] = kind.into();
        fields["metadata"] = json!({ "name": self.name(), "namespace": "ns" });
        goyaml::to_string(&fields)
    }

    fn image(&mut self) -> Value {
        let mut image =
            json!({ "name": self.choices.pick(&["nginx", "repo/web", "host:80/a", "", "a"]) });
        for (field, values) in [
            ("newName", ["new", "host:5000/new", ""]),
            ("newTag", ["2", "v1.0", ""]),
            ("digest", ["sha256:bb", "", "x"]),
            ("tagSuffix", ["-s", "", "_"]),
        ] {
            if self.choices.once_in(2) {
                image[field] = self.choices.pick(&values).into();
            }
        }
        image
    }

    fn replica(&mut self) -> Value {
        json!({ "name": self.name(), "count": self.choices.below(4) })
    }

    /// Returns a field of a kustomization and what it holds.
    fn field(&mut self, dir: &str) -> (&'static str, Value) {
        match self.choices.below(27) {
            0 => ("namePrefix", self.choices.pick(&["p-", "", "P_"]).into()),
            1 => ("nameSuffix", self.choices.pick(&["-s", "", ".s"]).into()),
            2 => ("namespace", self.choices.pick(&["x", "default", "new", ""]).into()),
            3 => ("commonLabels", self.strings()),
            4 => ("commonAnnotations", self.strings()),
            5 => {
                let label = json!({ "pairs": self.strings(), "includeSelectors": self.choices.below(2) == 1, "includeTemplates": self.choices.below(2) == 1 });
                ("labels", json!([label]))
            }
            6 => ("images", json!([self.image(), self.image()])),
            7 => ("replicas", json!([self.replica()])),
            8 | 9 => ("patches", json!([self.patch(dir), self.patch(dir)])),
            10 => ("patchesStrategicMerge", json!([self.merge_patch()])),
            11 => (
                "patchesJson6902",
                json!([{ "target": self.selector(), "patch": self.json_patch() }]),
            ),
            12 | 13 => ("configMapGenerator", json!([self.generator()])),
            14 => ("secretGenerator", json!([self.generator()])),
            15 => ("generatorOptions", self.options()),
            16 | 17 => ("replacements", json!([self.replacement(), self.replacement()])),
            18 => {
                let path = self.choices.pick(&FIELD_PATHS);
                let var = json!({ "name": "NAME", "objref": { "kind": "ConfigMap", "name": self.name(), "apiVersion": "v1" }, "fieldref": { "fieldPath": path } });
                ("vars", json!([var]))
            }
            19 => (
                "buildMetadata",
                json!(self.choices.several(3, |choices| choices.pick(&[
                    "originAnnotations",
                    "transformerAnnotations",
                    "managedByLabel"
                ]))),
            ),
            20 => (
                "sortOptions",
                match self.choices.below(3) {
                    0 => json!({ "order": "legacy" }),
                    1 => json!({ "order": "fifo" }),
                    _ => {
                        json!({ "order": "legacy", "legacySortOptions": { "orderFirst": ["Thing"], "orderLast": ["ConfigMap", "Namespace"] } })
                    }
                },
            ),
            21 => ("configurations", json!(["config.yaml"])),
            22 => ("crds", json!(["crd.json"])),
            23 => ("openapi", json!({ "path": "schema.json" })),
            24 => ("validators", json!([self.plugin(dir)])),
            25 => {
                let mut config = self.generator();
                config["apiVersion"] = "builtin".into();
                config["kind"] =
                    self.choices.pick(&["ConfigMapGenerator", "SecretGenerator"]).into();
                config["metadata"] = json!({ "name": "g" });
                ("generators", json!([goyaml::to_string(&config)]))
            }
            _ => ("transformers", json!([self.plugin(dir), self.plugin(dir)])),
        }
    }

    /// Puts something where it does not belong, or takes something away.
    fn break_something(&mut self) {
        const GARBAGE: [&str; 22] = [
            "",
            "\n",
            " ",
            ":",
            "- ",
            "{",
            "}",
            "[",
            "]",
            "'",
            "\"",
            "|",
            "&a ",
            "*a",
            "<<: ",
            "#",
            "---\n",
            "\t",
            "null",
            "!!map ",
            "$patch: delete",
            "\u{e9}",
        ];
        let at = self.choices.below(self.files.len());
        let Some(text) = self.files.values_mut().nth(at) else { return };
        for _ in 0..=self.choices.below(3) {
            let mut start = self.choices.below(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + self.choices.below(4)).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, self.choices.pick(&GARBAGE));
        }
    }
}
