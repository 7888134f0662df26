//! The main path, from files to YAML.

use kustomize::{MemoryTree, Options, Overrides, build, generate, to_yaml};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - {name: web, image: 'repo/web:1', envFrom: [{configMapRef: {name: settings}}]}
";

#[test]
fn references_follow_generated_names() {
    let tree = MemoryTree::from_iter([
        (
            "kustomization.yaml",
            "namePrefix: dev-\nresources: [web.yaml]\nimages: [{name: repo/web, newTag: '2'}]\nconfigMapGenerator: [{name: settings, literals: [a=b]}]\n",
        ),
        ("web.yaml", DEPLOYMENT),
    ]);
    let objects = build(&tree, "", &Options::default()).unwrap();
    let container = &objects[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "repo/web:2");
    let name = objects[1]["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("dev-settings-"), "{name}");
    assert_eq!(container["envFrom"][0]["configMapRef"]["name"], name);
}

#[test]
fn a_directory_without_kustomization_is_generated() {
    let tree = MemoryTree::from_iter([("app/web.yaml", DEPLOYMENT)]);
    let spec = Overrides { target_namespace: Some("prod".into()), ..Overrides::default() };
    let overlay = generate(&tree, "./app", &spec).unwrap();
    let objects = build(&overlay, "app", &Options::default()).unwrap();
    assert!(to_yaml(&objects).contains("namespace: prod"));
}

#[test]
fn what_is_not_supported_is_refused() {
    for field in ["vars: [{name: A}]", "helmCharts: [{name: a}]", "resources: ['https://a/b.yaml']"]
    {
        let tree = MemoryTree::from_iter([("kustomization.yaml", field)]);
        assert!(build(&tree, "", &Options::default()).is_err(), "{field}");
    }
}
