//! Runs kustomize-controller.

fn main() {}
