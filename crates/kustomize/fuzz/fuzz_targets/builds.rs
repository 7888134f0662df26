#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kustomize_fuzz::builds::check(data));
