//! YAML as sigs.k8s.io/yaml and kyaml read and write it.
