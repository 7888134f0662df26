//! What the fuzz targets check, on a few inputs of every run of the tests.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, clippy::panic, reason = "the library of the fuzz targets, of checks")]
pub(crate) mod bodies;

use proptest::collection::vec;
use proptest::prelude::*;

/// Text that is often YAML.
const YAML: &str = "([\\[\\]{}a-c0-2:,*&!|>'\"# \n\t.?%~$()/-]|- |: |\n  |\n- |---\n|'\n\n|<<|!!str |yes|null|0x1|1e3|2024-01-02|\u{85}|\u{feff}|\\PC){0,40}";

proptest! {
    #[test]
    fn yaml(text in YAML) {
        bodies::yaml::check(text.as_bytes());
    }

    #[test]
    fn yaml_of_any_bytes(bytes in vec(any::<u8>(), 0..100)) {
        bodies::yaml::check(&bytes);
    }

    #[test]
    fn builds(bytes in vec(any::<u8>(), 0..1_000)) {
        bodies::builds::check(&bytes);
    }

    #[test]
    fn json6902(bytes in vec(any::<u8>(), 0..300)) {
        bodies::json6902::check(&bytes);
    }

    #[test]
    fn strategic_merge(bytes in vec(any::<u8>(), 0..600)) {
        bodies::strategic::check(&bytes);
    }
}
