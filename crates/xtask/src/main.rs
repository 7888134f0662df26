//! Generates CRDs, install manifests and reference docs.

fn main() {}
