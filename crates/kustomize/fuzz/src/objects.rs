//! Objects as they stand in files, and patches for them.

use serde_json::{Value, json};

use super::choices::Choices;

/// What an object is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind, which tells the version as well.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its namespace, which may be empty.
    pub namespace: &'static str,
}

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
const NAMES: [&str; 4] = ["a", "b", "web", "a.b"];

/// Scalars as they can be written.
const SCALARS: [&str; 26] = [
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
    "-0.0",
    "1_000",
    "2024-01-02",
    "$(NAME)",
    "x $(NAME) $$(NAME)",
    "nginx:1.2@sha256:aa",
    "\"a\\nb\"",
    "!!str 1",
    "'it''s  '",
    "a=b&c # comment",
    "'# no'",
    "\"\\u00e9 \\t\"",
];

impl Object {
    /// Returns any object.
    pub fn any(choices: &mut Choices<'_>) -> Self {
        let kind = choices.pick(&KINDS);
        let name = choices.pick(&NAMES);
        let namespace = match kind {
            "Namespace" | "ClusterRole" => "",
            _ => choices.pick(&["", "", "x", "default"]),
        };
        Self { kind, name, namespace }
    }

    /// Returns what stands in `apiVersion`.
    pub fn version(&self) -> &'static str {
        match self.kind {
            "Deployment" | "StatefulSet" => "apps/v1",
            "Thing" => "example.com/v1",
            "RoleBinding" | "ClusterRole" => "rbac.authorization.k8s.io/v1",
            "CronJob" => "batch/v1",
            "Ingress" => "networking.k8s.io/v1",
            _ => "v1",
        }
    }

    /// Writes the object with fields of its kind.
    pub fn text(&self, choices: &mut Choices<'_>) -> String {
        let mut text = self.head();
        if choices.below(3) > 0 {
            let app = choices.pick(&["web", "a", "\"1\"", "'yes'", "x-y"]);
            text = format!("{text}  labels:\n    app: {app}\n");
            if choices.below(2) == 1 {
                text.push_str("    example.com/tier: back\n");
            }
        }
        if choices.once_in(6) {
            let key = choices.pick(&[
                "example.com/tier",
                "config.kubernetes.io/local-config",
                "kustomize.config.k8s.io/needs-hash",
            ]);
            let value = choices.pick(&["'true'", "''", "a", "\"two\\nlines\""]);
            text = format!("{text}  annotations: {{{key}: {value}}}\n");
        }
        text + &self.body(choices)
    }

    fn head(&self) -> String {
        let Self { kind, name, namespace } = self;
        let version = self.version();
        let mut text = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
        if !namespace.is_empty() {
            text = format!("{text}  namespace: {namespace}\n");
        }
        text
    }

    fn body(&self, choices: &mut Choices<'_>) -> String {
        let name = choices.pick(&NAMES);
        let mut scalar = || choices.pick(&SCALARS);
        match self.kind {
            "ConfigMap" => format!("data:\n  a: {}\n  a.b: {}\n", scalar(), scalar()),
            "Secret" => format!("stringData:\n  a: {}\ndata: {{k: YQ==}}\n", scalar()),
            "Deployment" | "StatefulSet" => format!(
                "spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
                 metadata: {{labels: {{app: web}}}}\n    spec:\n{}",
                pod(choices, "      ")
            ),
            "CronJob" => format!(
                "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{}",
                pod(choices, "          ")
            ),
            "Service" => format!(
                "spec:\n  selector: {{app: {name}}}\n  ports:\n  - port: 80\n  - port: 443\n    \
                 protocol: TCP\n"
            ),
            "RoleBinding" => format!(
                "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
                 subjects:\n- {{kind: ServiceAccount, name: {}, namespace: {}}}\n",
                choices.pick(&["default", "a", "b"]),
                choices.pick(&["default", "x", "other"]),
            ),
            "ClusterRole" => "rules: []\n".to_owned(),
            "Ingress" => format!(
                "spec:\n  rules:\n  - host: example.com\n    http:\n      paths:\n      - path: /\n        \
                 backend: {{service: {{name: {name}}}}}\n"
            ),
            "Thing" => format!(
                "spec:\n  text: {}\n  image: nginx:1\n  configRef: {{name: {name}}}\n  list: [a, b]\n  \
                 items:\n  - {{name: n, v: 1}}\n  - name: m\n    v: {}\n",
                scalar(),
                scalar(),
            ),
            _ => String::new(),
        }
    }

    /// Returns a path to a field that the object has, or could have.
    pub fn field_path(&self, choices: &mut Choices<'_>) -> &'static str {
        if choices.below(2) == 0 {
            return "metadata.name";
        }
        if choices.once_in(6) {
            return choices.pick(&[
                "metadata.labels.app",
                "metadata.annotations.[example.com/tier]",
                "metadata.namespace",
                "spec.new.field",
                "spec",
                "metadata",
                "",
            ]);
        }
        choices.pick(match self.kind {
            "ConfigMap" => &["data.a", "data.a\\.b", "data.[a.b]", "data"],
            "Secret" => &["data.k", "stringData.a"],
            "Deployment" | "StatefulSet" => &[
                "spec.template.spec.containers.0.image",
                "spec.template.spec.containers.[name=web].image",
                "spec.template.spec.containers.*.image",
                "spec.template.spec.containers.*.env.[name=A].value",
                "spec.template.spec.containers.[name=web].env.[name=NEW].value",
                "spec.replicas",
            ],
            "Thing" => &[
                "spec.text",
                "spec.items.[name=n].v",
                "spec.items.1.v",
                "spec.items.-.v",
                "spec.items.[name=new].v",
                "spec.list.[=a]",
                "spec.list.0",
                "spec.list",
                "spec.items",
            ],
            "Service" => &["spec.ports.0.port", "spec.ports.[port=443].protocol", "spec.selector"],
            "Ingress" => &["spec.rules.0.host", "spec.rules.*.http.paths.*.path"],
            "RoleBinding" => &["subjects.0.name", "subjects.[kind=ServiceAccount].namespace"],
            _ => &["metadata.name"],
        })
    }

    /// Writes a strategic merge patch.
    pub fn merge_patch(&self, choices: &mut Choices<'_>) -> String {
        let mut text = self.head();
        if choices.once_in(16) {
            return format!(
                "{text}$patch: {}\n",
                choices.pick(&["delete", "replace", "merge", "x"])
            );
        }
        if choices.below(2) == 1 {
            let app = choices.pick(&["null", "z", "\"1\""]);
            text = format!("{text}  labels: {{app: {app}, new: l}}\n");
        }
        if choices.once_in(4) {
            return text + &self.body(choices);
        }
        text + choices.pick(match self.kind {
            "ConfigMap" => &[
                "",
                "data: {a: null, c: d}\n",
                "data:\n  a: two words\n  e: |\n    lines\n    more\n",
                "data: {$patch: replace, c: d}\n",
                "data: null\n",
            ],
            "Deployment" | "StatefulSet" => &[
                "",
                "spec: {template: {spec: {containers: [{name: web, $patch: delete}]}}}\n",
                "spec: {template: {spec: {containers: [{name: web, env: [{name: A, value: n}, {name: B, \
                 $patch: delete}]}, {name: new}]}}}\n",
                "spec: {template: {spec: {containers: [{$patch: replace}, {name: new, image: nginx}]}}}\n",
                "spec:\n  replicas: null\n  template:\n    spec:\n      volumes:\n      - name: v\n        \
                 emptyDir: {}\n        configMap: null\n",
                "spec: {template: {spec: {volumes: null, nodeSelector: {a: b}, containers: [{name: web, \
                 ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}]}}}\n",
                "spec: {template: {spec: {$patch: replace, containers: []}}}\n",
            ],
            "Service" => &[
                "",
                "spec: {ports: [{port: 80, protocol: UDP}, {port: 443, $patch: delete}]}\n",
                "spec: {ports: [{port: 80, name: http}], selector: {$patch: delete}}\n",
                "spec: {ports: [{port: 443, targetPort: 1}, {port: 81}]}\n",
            ],
            "Thing" => &[
                "",
                "spec: {text: null, new: {a: {b: null}}}\n",
                "spec: {items: [{name: n, v: 2}, {name: o, v: 3}]}\n",
                "spec: {configRef: {$patch: replace, name: other}, list: []}\n",
                "spec: null\n",
            ],
            _ => &["", "metadata2: {a: [1, 2]}\n", "spec: {a: null}\n"],
        })
    }

    /// Writes a JSON patch.
    pub fn json_patch(&self, choices: &mut Choices<'_>) -> String {
        let operation = |choices: &mut Choices<'_>| {
            let value = match choices.below(6) {
                0 => json!("new"),
                1 => json!(1),
                2 => json!({ "a": "b", "c": null }),
                3 => json!(["a", null, 1.5]),
                4 => json!("yes"),
                _ => json!("two\nlines"),
            };
            let (path, op) = match choices.below(8) {
                0 => ("/metadata/annotations", "add"),
                1 => ("/spec2", "add"),
                2 => ("/metadata/labels", "replace"),
                3 => return json!({ "op": "copy", "from": "/metadata/name", "path": "/a~1b" }),
                4 => return json!({ "op": "test", "path": "/kind", "value": self.kind }),
                5 if self.kind == "Service" => {
                    return json!({ "op": "move", "from": "/spec/ports/0", "path": "/spec/ports/1" });
                }
                _ => match self.kind {
                    "ConfigMap" => ("/data/a", choices.pick(&["replace", "remove", "add"])),
                    "Deployment" | "StatefulSet" => (
                        choices.pick(&[
                            "/spec/template/spec/containers/0/image",
                            "/spec/template/spec/containers/-",
                            "/spec/template/spec/containers/-1/env",
                        ]),
                        "add",
                    ),
                    "Thing" => (
                        choices.pick(&["/spec/text", "/spec/items/0", "/spec/list/-1"]),
                        choices.pick(&["replace", "remove", "add"]),
                    ),
                    _ => ("/metadata/name", "replace"),
                },
            };
            let value = if path.starts_with("/metadata/") { json!({ "a": "b" }) } else { value };
            let value = if path == "/metadata/name" { json!("renamed") } else { value };
            json!({ "op": op, "path": path, "value": value })
        };
        let operations = Value::Array(choices.several(3, operation));
        match choices.below(2) {
            0 => operations.to_string(),
            _ => goyaml::to_string(&operations),
        }
    }
}

/// Writes what stands in the spec of a pod.
fn pod(choices: &mut Choices<'_>, indent: &str) -> String {
    let mut text = format!("{indent}containers:\n");
    for at in 0..=choices.below(2) {
        let name = ["web", "side"][at];
        let image = choices.pick(&["nginx:1", "repo/web", "nginx@sha256:aa", "host:80/a:b"]);
        text = format!("{text}{indent}- name: {name}\n{indent}  image: {image}\n");
        if choices.below(2) == 1 {
            let (value, map) = (choices.pick(&SCALARS), choices.pick(&NAMES));
            text = format!(
                "{text}{indent}  env:\n{indent}  - name: A\n{indent}    value: {value}\n{indent}  - name: \
                 B\n{indent}    valueFrom: {{configMapKeyRef: {{name: {map}, key: a}}}}\n"
            );
        }
    }
    if choices.below(2) == 1 {
        let (map, secret) = (choices.pick(&NAMES), choices.pick(&NAMES));
        text = format!(
            "{text}{indent}volumes:\n{indent}- name: v\n{indent}  configMap: {{name: {map}}}\n{indent}- \
             name: w\n{indent}  secret: {{secretName: {secret}}}\n"
        );
    }
    text
}
