//! Trees of kustomizations: a base, an overlay and a component, with objects, patches and what else
//! kustomizations name. Nearly all of it is valid; here and there something is broken.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::objects::Object;

/// The directory to build.
pub const ROOT: &str = "overlay";

/// Returns the files of a tree by their paths.
pub fn files(choices: &mut Choices<'_>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (path, text) in FIXED {
        for dir in [ROOT, "base", "component"] {
            files.insert(format!("{dir}/{path}"), text.to_owned());
        }
    }
    let mut tree = Tree { choices, files, known: Vec::new(), generated: Vec::new() };
    tree.kustomization("base", "Kustomization");
    tree.kustomization(ROOT, "Kustomization");
    tree.kustomization("component", "Component");
    if tree.choices.once_in(12) {
        tree.break_something();
    }
    tree.files
}

/// Files that the fields of kustomizations name.
pub const FIXED: [(&str, &str); 6] = [
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

/// What labels and annotations are called.
const KEYS: [&str; 5] = ["app", "example.com/tier", "a.b/c", "env", "x-1"];

/// A tree in the making.
struct Tree<'c, 'd> {
    choices: &'c mut Choices<'d>,
    files: BTreeMap<String, String>,
    /// The objects that there are so far.
    known: Vec<Object>,
    /// The config maps and secrets that are generated.
    generated: Vec<Object>,
}

impl Tree<'_, '_> {
    /// Returns an object that is there; now and then one that need not be.
    fn known(&mut self) -> Object {
        match self.known.len() {
            0 => Object::any(self.choices),
            _ if self.choices.once_in(40) => Object::any(self.choices),
            count => self.known[self.choices.below(count)].clone(),
        }
    }

    /// Writes the kustomization of a directory, and the files that it names.
    fn kustomization(&mut self, dir: &str, kind: &str) {
        let mut fields = Map::new();
        let mut resources = Vec::new();
        match dir {
            ROOT => {
                resources.push("../base".to_owned());
                if self.choices.below(2) == 1 {
                    fields.insert("components".into(), json!(["../component"]));
                }
            }
            "component" => {
                fields.insert("kind".into(), kind.into());
                fields.insert("apiVersion".into(), "kustomize.config.k8s.io/v1alpha1".into());
            }
            _ => {}
        }
        for at in 0..=self.choices.below(3) {
            let texts = self.choices.several(3, |choices| {
                let object = Object::any(choices);
                let text = object.text(choices);
                (object, text)
            });
            let mut file = Vec::new();
            for (object, text) in texts {
                if !self.known.contains(&object) {
                    self.known.push(object);
                    file.push(text);
                }
            }
            if !file.is_empty() {
                let path = format!("r{at}.yaml");
                self.files.insert(format!("{dir}/{path}"), file.join("---\n"));
                resources.push(path);
            }
        }
        fields.insert("resources".into(), resources.into());
        for _ in 0..self.choices.below(6) {
            let (name, value) = self.field(dir);
            fields.insert(name.into(), value);
        }
        let text = goyaml::to_string(&Value::Object(fields));
        self.files.insert(format!("{dir}/kustomization.yaml"), text);
    }

    /// Returns a field of a kustomization and what it holds.
    fn field(&mut self, dir: &str) -> (&'static str, Value) {
        match self.choices.below(26) {
            0 => ("namePrefix", self.choices.pick(&["p-", "", "P_"]).into()),
            1 => ("nameSuffix", self.choices.pick(&["-s", "", ".s"]).into()),
            2 => ("namespace", self.choices.pick(&["x", "default", "new", ""]).into()),
            3 => ("commonLabels", self.strings()),
            4 => ("commonAnnotations", self.strings()),
            5 => ("labels", json!([self.label()])),
            6 => ("images", json!([self.image(), self.image()])),
            7 => ("replicas", json!([self.replica()])),
            8 | 9 => ("patches", json!([self.patch(dir), self.patch(dir)])),
            10 => {
                let object = self.known();
                ("patchesStrategicMerge", json!([object.merge_patch(self.choices)]))
            }
            11 => {
                let object = self.known();
                let target = json!({ "version": "v1", "kind": object.kind, "name": object.name });
                let patch = object.json_patch(self.choices);
                ("patchesJson6902", json!([{ "target": target, "patch": patch }]))
            }
            12 | 13 => ("configMapGenerator", json!([self.generator("ConfigMap")])),
            14 => ("secretGenerator", json!([self.generator("Secret")])),
            15 => ("generatorOptions", self.generator_options()),
            16 | 17 => ("replacements", json!([self.replacement(), self.replacement()])),
            18 => ("vars", json!([self.var()])),
            19 => {
                let of = ["originAnnotations", "transformerAnnotations", "managedByLabel"];
                ("buildMetadata", self.choices.several(2, |choices| choices.pick(&of)).into())
            }
            20 => ("sortOptions", self.sort_options()),
            21 => ("configurations", json!(["config.yaml"])),
            22 => ("crds", json!(["crd.json"])),
            23 => ("openapi", json!({ "path": "schema.json" })),
            24 => {
                let mut config = self.generator("ConfigMap");
                config["apiVersion"] = "builtin".into();
                config["kind"] = "ConfigMapGenerator".into();
                config["metadata"] = json!({ "name": "g" });
                ("generators", json!([goyaml::to_string(&config)]))
            }
            _ => ("transformers", json!([self.plugin(dir), self.plugin(dir)])),
        }
    }

    fn strings(&mut self) -> Value {
        let entries = self.choices.several(3, |choices| {
            let value = choices.pick(&["web", "1", "true", "", "x", "a.b_c"]);
            (choices.pick(&KEYS).to_owned(), Value::from(value))
        });
        Value::Object(entries.into_iter().collect())
    }

    fn label(&mut self) -> Value {
        let mut label = json!({ "pairs": self.strings() });
        for field in ["includeSelectors", "includeTemplates"] {
            if self.choices.once_in(3) {
                label[field] = true.into();
            }
        }
        if self.choices.once_in(4) {
            label["fields"] = json!([{ "path": "spec/labels", "create": true, "kind": "Thing" }]);
        }
        label
    }

    /// Selects an object that is there, and perhaps others.
    fn selector(&mut self) -> Value {
        let object = self.known();
        let mut fields = json!({ "kind": object.kind });
        if self.choices.below(2) == 1 {
            fields["name"] = object.name.into();
        }
        if self.choices.once_in(4) && !object.namespace.is_empty() {
            fields["namespace"] = object.namespace.into();
        }
        if self.choices.once_in(4) {
            let (field, values): (_, &[&str]) = match self.choices.below(6) {
                0 => ("name", &["a|b", ".*", "w.b", "^a$", "["]),
                1 => ("namespace", &["x", "default", "y|x"]),
                2 => ("labelSelector", &["app=web", "app in (a,web)", "!env", "app!=a,app", "=="]),
                3 => ("annotationSelector", &["example.com/tier=a", "example.com/tier"]),
                4 => ("group", &["apps", "example.com", ""]),
                _ => ("version", &["v1", "v2"]),
            };
            fields[field] = self.choices.pick(values).into();
        }
        fields
    }

    fn generator_options(&mut self) -> Value {
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

    fn generator(&mut self, kind: &'static str) -> Value {
        let before: Vec<_> =
            self.generated.iter().filter(|object| object.kind == kind).cloned().collect();
        let mut fields = json!({});
        let object = if !before.is_empty() && self.choices.below(2) == 1 {
            fields["behavior"] = self.choices.pick(&["merge", "replace"]).into();
            before[self.choices.below(before.len())].clone()
        } else {
            if self.choices.once_in(8) {
                fields["behavior"] = self.choices.pick(&["create", "merge", "other"]).into();
            }
            let own = Object { kind, ..Object::any(self.choices) };
            self.generated.push(own.clone());
            own
        };
        fields["name"] = object.name.into();
        if !object.namespace.is_empty() {
            fields["namespace"] = object.namespace.into();
        }
        let mut some = |most, of: &[&'static str]| {
            let mut some = self.choices.several(most, |choices| choices.pick(of));
            some.sort_unstable();
            some.dedup();
            Value::from(some)
        };
        let literals = ["a=1", "b='x y'", "c=\"q\"", "a.b=", "d=a=b", "e=two\nlines"];
        fields["literals"] = some(3, &literals);
        fields["files"] = some(2, &["text.txt", "key=text.txt", "a.env"]);
        if self.choices.once_in(4) {
            fields["envs"] = json!(["a.env"]);
        }
        if self.choices.once_in(3) {
            fields["options"] = self.generator_options();
        }
        fields
    }

    fn patch(&mut self, dir: &str) -> Value {
        let is_json = self.choices.below(2) == 1;
        let object = self.known();
        let text = if is_json {
            object.json_patch(self.choices)
        } else {
            object.merge_patch(self.choices)
        };
        let mut fields = json!({});
        if self.choices.below(2) == 1 {
            let path = format!("p{}.yaml", self.files.len());
            self.files.insert(format!("{dir}/{path}"), text);
            fields["path"] = path.into();
        } else {
            fields["patch"] = text.into();
        }
        if is_json || self.choices.below(2) == 1 {
            let mut target = json!({ "kind": object.kind });
            if self.choices.below(2) == 1 {
                target["name"] = object.name.into();
            }
            fields["target"] = if self.choices.once_in(6) { self.selector() } else { target };
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
        if self.choices.once_in(4) {
            options["delimiter"] = self.choices.pick(&[":", "/", ".", "-"]).into();
            options["index"] = self.choices.below(3).into();
        }
        options
    }

    fn replacement(&mut self) -> Value {
        if self.choices.once_in(12) {
            return json!({ "path": "replacement.yaml" });
        }
        let object = self.known();
        let mut source = json!({ "kind": object.kind, "name": object.name });
        source["fieldPath"] = object.field_path(self.choices).into();
        if !object.namespace.is_empty() {
            source["namespace"] = object.namespace.into();
        }
        if self.choices.once_in(8) {
            source["options"] = self.field_options();
        }
        let count = 1 + self.choices.below(2);
        let targets: Vec<Value> = (0..count).map(|_| self.replacement_target()).collect();
        json!({ "source": source, "targets": targets })
    }

    fn replacement_target(&mut self) -> Value {
        let object = self.known();
        let count = 1 + self.choices.below(2);
        let paths: Vec<_> = (0..count).map(|_| object.field_path(self.choices)).collect();
        let select = if self.choices.once_in(4) {
            self.selector()
        } else {
            json!({ "kind": object.kind, "name": object.name })
        };
        let mut target = json!({ "select": select, "fieldPaths": paths });
        if self.choices.once_in(4) {
            target["reject"] = json!([self.selector()]);
        }
        if self.choices.below(3) > 0 {
            target["options"] = self.field_options();
        }
        target
    }

    fn var(&mut self) -> Value {
        let object = self.known();
        json!({
            "name": "NAME",
            "objref": {
                "apiVersion": object.version(),
                "kind": object.kind,
                "name": object.name,
                "namespace": object.namespace,
            },
            "fieldref": { "fieldPath": object.field_path(self.choices) },
        })
    }

    fn sort_options(&mut self) -> Value {
        match self.choices.below(3) {
            0 => json!({ "order": "legacy" }),
            1 => json!({ "order": "fifo" }),
            _ => {
                let lists =
                    json!({ "orderFirst": ["Thing"], "orderLast": ["ConfigMap", "Namespace"] });
                json!({ "order": "legacy", "legacySortOptions": lists })
            }
        }
    }

    fn image(&mut self) -> Value {
        let names = ["nginx", "repo/web", "host:80/a", "a", ""];
        let mut image = json!({ "name": self.choices.pick(&names) });
        for (field, values) in [
            ("newName", ["new", "host:5000/new", ""]),
            ("newTag", ["2", "v1.0", ""]),
            ("digest", ["sha256:bb", "", "x"]),
            ("tagSuffix", ["-s", "", "_"]),
        ] {
            if self.choices.once_in(3) {
                image[field] = self.choices.pick(&values).into();
            }
        }
        image
    }

    fn replica(&mut self) -> Value {
        let scaled: Vec<_> =
            self.known.iter().filter(|object| object.version() == "apps/v1").collect();
        let name = match scaled.len() {
            0 => "a",
            count => scaled[self.choices.below(count)].name,
        };
        json!({ "name": name, "count": self.choices.below(4) })
    }

    /// Returns an object that configures a builtin transformer.
    fn plugin(&mut self, dir: &str) -> String {
        let at = |path: &str| json!([{ "path": path, "create": true }]);
        let (kind, mut fields) = match self.choices.below(11) {
            0 => ("AnnotationsTransformer", json!({ "annotations": self.strings() })),
            1 => ("LabelTransformer", json!({ "labels": self.strings() })),
            2 => ("PrefixTransformer", json!({ "prefix": "t-" })),
            3 => ("SuffixTransformer", json!({ "suffix": "-t" })),
            4 => {
                let subjects =
                    self.choices.pick(&["allServiceAccounts", "defaultOnly", "none", "other"]);
                let unset = self.choices.below(2) == 1;
                let fields = json!({ "unsetOnly": unset, "setRoleBindingSubjects": subjects });
                ("NamespaceTransformer", fields)
            }
            5 => ("ImageTagTransformer", json!({ "imageTag": self.image() })),
            6 => ("PatchTransformer", self.patch(dir)),
            7 => ("ReplicaCountTransformer", json!({ "replica": self.replica() })),
            8 => ("ReplacementTransformer", json!({ "replacements": [self.replacement()] })),
            9 => ("HashTransformer", json!({})),
            _ => {
                let target = json!({ "fieldPath": "spec/text", "selector": { "kind": "Thing" } });
                ("ValueAddTransformer", json!({ "value": "v", "targets": [target] }))
            }
        };
        let path = match kind {
            "AnnotationsTransformer" => Some("metadata/annotations"),
            "LabelTransformer" => Some(self.choices.pick(&["metadata/labels", "spec/new/labels"])),
            "PrefixTransformer" | "SuffixTransformer" => Some("metadata/name"),
            "NamespaceTransformer" => Some("metadata/namespace"),
            "ImageTagTransformer" => Some("spec/template/spec/containers[]/image"),
            "ReplicaCountTransformer" => Some("spec/replicas"),
            _ => None,
        };
        if let Some(path) = path {
            fields["fieldSpecs"] = at(path);
        }
        fields["apiVersion"] = "builtin".into();
        fields["kind"] = kind.into();
        fields["metadata"] = json!({ "name": "plugin", "namespace": "ns" });
        goyaml::to_string(&fields)
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
