//! Whole builds of trees that make sense in most places: nothing panics, nothing depends on chance,
//! and what is printed reads as what was built.

use kustomize::{LoadRestrictor, MemoryTree, Options, Order, build, to_yaml};

use super::choices::Choices;
use super::tree;

/// Builds a tree twice.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let options = Options {
        load_restrictor: match choices.below(2) {
            0 => LoadRestrictor::None,
            _ => LoadRestrictor::RootOnly,
        },
        order: if choices.below(2) == 0 { Order::Fifo } else { Order::Legacy },
        managed_by_label: choices.once_in(8),
        openapi_replaces: choices.below(2) == 1,
    };
    let files = tree::files(&mut choices);
    let tree: MemoryTree =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let run = || build(&tree, tree::ROOT, &options).map_err(|error| super::chain(&error));
    let first = run();
    assert_eq!(first, run());
    let Ok(objects) = first else { return };
    let text = to_yaml(&objects);
    let read = goyaml::parse_values(&text, goyaml::Dialect::Sigs);
    assert_eq!(read.as_ref(), Ok(&objects), "{text}");
}
