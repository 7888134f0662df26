//! Files that were made to take a build down.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use kustomize::{MemoryTree, Options, build, to_yaml};
use proptest::prelude::*;

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";

fn built(files: &[(&str, String)], dir: &str) -> Result<String, String> {
    let tree: MemoryTree = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let objects = build(&tree, dir, &Options::default()).map_err(|error| {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    })?;
    Ok(to_yaml(&objects))
}

fn with_resource(kustomization: &str, resource: &str) -> Result<String, String> {
    let text = format!("resources: [r.yaml]\n{kustomization}");
    built(&[("kustomization.yaml", text), ("r.yaml", resource.to_owned())], "")
}

fn refused(result: Result<String, String>, part: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(part), "{error}");
}

#[test]
fn deep_objects_are_built_or_refused() {
    let nested = |depth: usize| {
        let (open, close) = ("{a: ".repeat(depth), "}".repeat(depth));
        format!("apiVersion: a/v1\nkind: A\nmetadata: {{name: a}}\nspec: {open}x{close}\n")
    };
    let kustomization = "
namespace: ns
namePrefix: p-
commonLabels: {l: m}
commonAnnotations: {o: q}
images: [{name: i, newTag: j}]
patches:
- patch: '[{\"op\": \"copy\", \"from\": \"/spec/a\", \"path\": \"/spec/b\"}]'
  target: {kind: A}
- patch: 'kind: A

    apiVersion: a/v1

    metadata: {name: a, labels: {r: s}}'
replacements:
- source: {kind: A, fieldPath: spec.a}
  targets: [{select: {kind: A}, fieldPaths: [spec.c], options: {create: true}}]
buildMetadata: [originAnnotations]
";
    let text = with_resource(kustomization, &nested(240)).unwrap();
    assert_eq!(text.matches("a: x").count(), 3);
    refused(with_resource("", &nested(100_000)), "nested deeper than 256 levels");
}

#[test]
fn aliases_do_not_multiply() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text = format!("{text}a{level}: &a{level} [{aliases}]\n");
    }
    refused(with_resource("", &format!("{CONFIG_MAP}{text}")), "alias");
}

#[test]
fn kustomizations_do_not_multiply() {
    let mut files = Vec::new();
    for side in ["a", "b"] {
        for level in 0..40 {
            let next = level + 1;
            let text = if level == 39 {
                format!("resources: [r.yaml]\nnamePrefix: {side}\n")
            } else {
                format!("resources: [../a{next}, ../b{next}]\nnamePrefix: {side}\n")
            };
            files.push((format!("{side}{level}/kustomization.yaml"), text));
        }
        files.push((format!("{side}39/r.yaml"), CONFIG_MAP.to_owned() + &" ".repeat(9_000_000)));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    refused(built(&files, "a0"), "reads and copies more than");
}

#[test]
fn kustomizations_do_not_build_on_each_other_without_end() {
    let chain: Vec<_> = (0..500)
        .map(|at| (format!("k{at}/kustomization.yaml"), format!("resources: [../k{}]\n", at + 1)))
        .collect();
    let files: Vec<_> = chain.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    refused(built(&files, "k0"), "build on each other");
    let cycle = [
        ("a/kustomization.yaml", "resources: [../b]\n".to_owned()),
        ("b/kustomization.yaml", "components: [../a]\n".to_owned()),
    ];
    refused(built(&cycle, "a"), "cycle");
}

#[test]
fn long_paths_are_refused() {
    let path = vec!["a"; 5_000].join(".");
    let replacement = format!(
        "replacements:\n- sourceValue: x\n  targets: [{{select: {{name: a}}, fieldPaths: [{path}], options: {{create: true}}}}]\n"
    );
    refused(with_resource(&replacement, CONFIG_MAP), "steps");
    let slashes = path.replace('.', "/");
    let labels =
        format!("labels: [{{pairs: {{a: b}}, fields: [{{path: {slashes}, create: true}}]}}]\n");
    refused(with_resource(&labels, CONFIG_MAP), "steps");
}

#[test]
fn values_do_not_double_without_end() {
    let mut replacements = String::from("replacements:\n");
    for _ in 0..64 {
        replacements.push_str(
            "- source: {name: a, fieldPath: data.a}\n  targets: [{select: {name: a}, fieldPaths: [data.a], options: {delimiter: x, index: 9}}]\n",
        );
    }
    let long = CONFIG_MAP.replace("a: b}", &format!("a: {}}}", "b".repeat(1000)));
    refused(with_resource(&replacements, &long), "more than");
    let copies = "    - {op: copy, from: /data, path: /data/x}\n".repeat(600);
    let patch = format!("patches:\n- target: {{name: a}}\n  patch: |\n{copies}");
    assert!(with_resource(&patch, CONFIG_MAP).is_err());
}

#[test]
fn a_replacement_that_never_finds_what_it_makes_ends() {
    let replacement = "replacements:\n- sourceValue: x\n  targets: [{select: {name: a}, fieldPaths: ['list.[name=^b+$].v'], options: {create: true}}]\n";
    refused(with_resource(replacement, CONFIG_MAP), "would not be found");
}

#[test]
fn expensive_expressions_are_refused() {
    let patch = "patches:\n- target: {name: '((((a{99}){99}){99}){99})'}\n  patch: '[]'\n";
    refused(with_resource(patch, CONFIG_MAP), "regular expression");
}

proptest! {
    #[test]
    fn nothing_panics(
        field in "[a-zA-Z]{1,4}|resources|patches|images|labels|namePrefix|replacements|vars|configMapGenerator|transformers|crds|openapi|sortOptions",
        value in "[\\[\\]{}a-z:,*&!|>'\"# \n\t.$()/-]{0,40}",
        resource in "[\\[\\]{}a-z:,*&!|>'\"# \n\t.$()/-]{0,40}",
    ) {
        let _ = with_resource(&format!("{field}: {value}\n"), &format!("{CONFIG_MAP}{resource}"));
        let _ = with_resource(&format!("{field}:\n- {value}\n"), CONFIG_MAP);
    }
}
