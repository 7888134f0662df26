//! Builds kustomizations to objects, as kustomize 5.8.1 does.
