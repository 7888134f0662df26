//! Runs source-controller.

fn main() {}
