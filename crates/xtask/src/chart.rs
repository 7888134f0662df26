//! `charts/tidegate`: the objects of an installation as templates.
//!
//! The templates are the manifests with placeholders in place of what a user may choose, so they
//! cannot fall behind them. `values.yaml` and the notes are written by hand.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use manifests::{Component, Options};
use serde_json::{Value, json};

use crate::{
    config::{NOTICE, yaml},
    files::Files,
};

const FOLDER: &str = "charts/tidegate";

/// Adds the chart.
pub(crate) fn generate(files: &mut Files) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    files.add(
        format!("{FOLDER}/Chart.yaml"),
        format!(
            "{NOTICE}apiVersion: v2\nname: tidegate\n\
             description: Makes clusters equal to what Git declares\ntype: application\n\
             version: {version}\nappVersion: v{version}\nkubeVersion: \">=1.33.0-0\"\n"
        ),
    );
    for mut crd in manifests::crds(&Options::default()) {
        let name = crd["metadata"]["name"].as_str().context("a CRD has a name")?.to_owned();
        // Whoever installs with the command is asked before it takes over from Helm.
        crd["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
        files.add(format!("{FOLDER}/crds/{name}.yaml"), yaml(&[crd]));
    }

    let options = placeholders();
    let mut template = |name: &str, condition: &str, mut objects: Vec<Value>| {
        objects.iter_mut().for_each(label);
        let text = fill(&goyaml::to_stream(&objects))?;
        let text = if condition.is_empty() {
            text
        } else {
            format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n")
        };
        files.add(format!("{FOLDER}/templates/{name}"), format!("{NOTICE}{text}"));
        anyhow::Ok(())
    };
    template("quota.yaml", ".Values.resourceQuota.create", vec![manifests::quota(&options)])?;
    template("roles.yaml", ".Values.userRoles.create", manifests::user_roles(&options))?;
    template(
        "network-policies.yaml",
        ".Values.networkPolicy.create",
        manifests::network_policies(&options),
    )?;
    for component in Component::ALL {
        let values = values_key(component);
        let (reconciler, roles): (Vec<_>, Vec<_>) = manifests::least_privilege(component, &options)
            .into_iter()
            .partition(|role| role["roleRef"]["name"] == "cluster-admin");
        let mut objects = manifests::component(component, &options);
        for object in &mut objects {
            open(object, values);
        }
        objects.extend(roles);
        template(&format!("{component}.yaml"), &format!(".Values.{values}.create"), objects)?;
        if !reconciler.is_empty() {
            template(
                "cluster-reconciler.yaml",
                &format!("and .Values.{values}.create .Values.{values}.clusterAdmin"),
                reconciler,
            )?;
        }
    }
    files.add(format!("{FOLDER}/templates/_helpers.tpl"), HELPERS);
    files.add(format!("{FOLDER}/templates/NOTES.txt"), NOTES);
    Ok(())
}

const HELPERS: &str = r#"{{/* The image tag and the version label. */}}
{{- define "tidegate.tag" -}}
{{ .Values.tag | default .Chart.AppVersion }}
{{- end }}
"#;

const NOTES: &str = r#"Tidegate {{ include "tidegate.tag" . }} runs in the namespace {{ .Release.Namespace }}.

  tidegate get all -n {{ .Release.Namespace }}
"#;

fn values_key(component: Component) -> &'static str {
    match component {
        Component::SourceController => "sourceController",
        Component::KustomizeController => "kustomizeController",
    }
}

/// What stands in the objects where a template expression belongs: the words and the expressions.
///
/// A placeholder that begins with `block` is a whole value, and becomes what the expression gives
/// as YAML.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("placeholder-namespace", "{{ .Release.Namespace }}"),
    ("placeholder-registry", "{{ .Values.registry }}"),
    ("placeholder-tag", r#"{{ include "tidegate.tag" . }}"#),
    ("placeholder-level", "{{ .Values.logLevel }}"),
    ("placeholder-domain", "{{ .Values.clusterDomain }}"),
];

fn placeholders() -> Options {
    Options {
        namespace: "placeholder-namespace".to_owned(),
        registry: "placeholder-registry".to_owned(),
        version: "placeholder-tag".to_owned(),
        log_level: "placeholder-level".to_owned(),
        cluster_domain: "placeholder-domain".to_owned(),
        ..Options::default()
    }
}

/// Marks an object as Helm's.
fn label(object: &mut Value) {
    object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
}

/// Puts placeholders where the values of a component may add to a Deployment.
fn open(object: &mut Value, values: &str) {
    if object["kind"] != "Deployment" {
        return;
    }
    let block = |field: &str| json!(format!("block .Values.{field}"));
    let pod = &mut object["spec"]["template"]["spec"];
    pod["imagePullSecrets"] = block("imagePullSecrets");
    pod["priorityClassName"] = block(&format!("{values}.priorityClassName"));
    for field in ["nodeSelector", "tolerations", "affinity"] {
        pod[field] = block(&format!("{values}.{field}"));
    }
    let container = &mut pod["containers"][0];
    container["resources"] = block(&format!("{values}.resources"));
    if let Some(args) = container["args"].as_array_mut() {
        args.push(json!(format!("range .Values.{values}.extraArgs")));
    }
}

/// Puts the expressions in place of the placeholders.
fn fill(text: &str) -> anyhow::Result<String> {
    let mut filled = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let space = &line[..indent];
        if let Some((field, path)) = line.split_once(": block ") {
            let below = indent + 2;
            writeln!(filled, "{field}: {{{{- toYaml {path} | nindent {below} }}}}")?;
        } else if let Some(path) = line.trim_start().strip_prefix("- range ") {
            writeln!(filled, "{space}{{{{- range {path} }}}}")?;
            writeln!(filled, "{space}- {{{{ . | quote }}}}\n{space}{{{{- end }}}}")?;
        } else {
            let mut line = line.replace(
                "--watch-all-namespaces=true",
                "--watch-all-namespaces={{ .Values.watchAllNamespaces }}",
            );
            for (word, expression) in PLACEHOLDERS {
                // A version may look like a number, and a label may not be one.
                if let Some(field) = line.strip_suffix(&format!(": {word}")) {
                    line = format!("{field}: {}", quoted(expression));
                }
                line = line.replace(word, expression);
            }
            filled.push_str(&line);
            filled.push('\n');
        }
    }
    if filled.contains("placeholder-") {
        bail!("a placeholder is left in a template:\n{filled}");
    }
    Ok(filled)
}

fn quoted(expression: &str) -> String {
    expression.replace(" }}", " | quote }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values have to name what the templates ask for, and say by default what an
    /// installation by the command has.
    #[test]
    fn default_values_are_those_of_the_manifests() {
        let file = crate::root().join(FOLDER).join("values.yaml");
        let text = std::fs::read_to_string(file).unwrap();
        let values = goyaml::parse_documents(&text).unwrap().remove(0);
        let options = Options::default();
        assert_eq!(values["registry"], options.registry);
        assert_eq!(values["logLevel"], options.log_level);
        assert_eq!(values["clusterDomain"], options.cluster_domain);
        assert_eq!(values["watchAllNamespaces"], options.watch_all_namespaces);
        for component in Component::ALL {
            let objects = manifests::component(component, &options);
            let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();
            let pod = &deployment["spec"]["template"]["spec"];
            let values = &values[values_key(component)];
            assert_eq!(values["resources"], pod["containers"][0]["resources"]);
            assert_eq!(values["priorityClassName"], pod["priorityClassName"]);
            assert_eq!(values["nodeSelector"], pod["nodeSelector"]);
            for list in ["tolerations", "extraArgs"] {
                assert_eq!(values[list], json!([]), "{list}");
            }
        }
    }

    #[test]
    fn templates_ask_only_for_values_that_exist() {
        let file = crate::root().join(FOLDER).join("values.yaml");
        let text = std::fs::read_to_string(file).unwrap();
        let values = goyaml::parse_documents(&text).unwrap().remove(0);
        let mut files = Files::default();
        generate(&mut files).unwrap();
        let mut asked = 0;
        for path in files.texts().flat_map(|text| text.split(".Values.").skip(1)) {
            let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            let path = path[..end.unwrap_or(path.len())].trim_end_matches('.');
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(values.pointer(&pointer).is_some(), "no value {path}");
            asked += 1;
        }
        assert!(asked > 20, "{asked}");
    }
}
