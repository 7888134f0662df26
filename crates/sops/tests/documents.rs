//! Documents of every format and rule.

use proptest::prelude::*;
use serde_json::{Value, json};
use sops::{Format, Integrity, decrypt, decrypt_object, is_encrypted};

use crate::keys::{Keys, read};

fn decrypted(document: &str, output: Format, integrity: Integrity) -> Result<String, String> {
    let content = read(&format!("documents/{document}"));
    let formats = (Format::of_path(document), output);
    let plain = decrypt(&content, formats, integrity, &Keys::all());
    let plain = plain.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    })?;
    Ok(String::from_utf8(plain).unwrap())
}

fn check(document: &str) {
    let format = Format::of_path(document);
    let expected = String::from_utf8(read(&format!("plain/{document}"))).unwrap();
    assert_eq!(decrypted(document, format, Integrity::Checked).unwrap(), expected, "{document}");
}

#[test]
fn yaml_keeps_comments_and_types() {
    check("values.yaml");
}

#[test]
fn yaml_has_several_documents() {
    check("secret.yaml");
}

#[test]
fn json_keeps_the_order_of_keys() {
    check("config.json");
}

#[test]
fn dotenv_keeps_comments() {
    check("app.env");
}

#[test]
fn ini_keeps_comments() {
    check("app.ini");
}

#[test]
fn a_file_of_any_bytes_comes_back() {
    let content = read("documents/blob.bin");
    let formats = (Format::Binary, Format::Binary);
    let plain = decrypt(&content, formats, Integrity::Checked, &Keys::all()).unwrap();
    assert_eq!(plain, read("plain/blob.bin"));
}

#[test]
fn rules_say_what_is_encrypted() {
    for rule in ["suffix", "unencrypted-regex", "comment-regex", "unencrypted-comment-regex"] {
        check(&format!("{rule}.yaml"));
    }
}

#[test]
fn every_kind_of_key_decrypts() {
    for key in ["ssh", "pgp-ed25519", "pgp-rsa"] {
        check(&format!("{key}.json"));
    }
}

#[test]
fn groups_of_keys_are_metadata_in_every_format() {
    for format in ["yaml", "env", "ini"] {
        check(&format!("groups.{format}"));
    }
}

#[test]
fn the_output_can_have_another_format() {
    for document in ["values", "secret", "groups", "suffix"] {
        let expected = String::from_utf8(read(&format!("plain/{document}.json-of-yaml"))).unwrap();
        let name = format!("{document}.yaml");
        assert_eq!(decrypted(&name, Format::Json, Integrity::Ignored).unwrap(), expected);
    }
    let expected = String::from_utf8(read("plain/config.yaml-of-json")).unwrap();
    assert_eq!(decrypted("config.json", Format::Yaml, Integrity::Ignored).unwrap(), expected);
}

#[test]
fn what_a_format_cannot_hold_is_an_error() {
    let emit = |output| decrypted("secret.yaml", output, Integrity::Ignored).unwrap_err();
    assert_eq!(
        emit(Format::Dotenv),
        "failed to emit encrypted YAML file as decrypted dotenv: cannot use complex value in \
         dotenv file; offending key metadata"
    );
    assert_eq!(
        emit(Format::Ini),
        "failed to emit encrypted YAML file as decrypted INI: Error encoding section: Section \
         values should always be TreeBranches"
    );
    assert_eq!(
        decrypted("config.json", Format::Binary, Integrity::Ignored).unwrap_err(),
        "failed to emit encrypted JSON file as decrypted binary: error emitting binary store: no \
         binary data found in tree"
    );
}

/// Returns the first document of `secret.yaml`, as an object with other fields.
fn secret() -> Value {
    let text = String::from_utf8(read("documents/secret.yaml")).unwrap();
    goyaml::parse_documents(&text).unwrap().remove(0)
}

#[test]
fn an_object_is_decrypted_in_place() {
    let object = secret();
    assert!(is_encrypted(&object));
    let Value::Object(object) = object else { panic!() };
    let plain = decrypt_object(object, &Keys::all()).unwrap();
    assert_eq!(
        Value::Object(plain),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "app", "namespace": "default"},
            "stringData": {"password": "correct horse", "lines": "one\ntwo\n"},
        })
    );
    assert!(!is_encrypted(&json!({"sops": {"mac": ""}})) && !is_encrypted(&json!({"sops": {}})));
}

#[test]
fn only_a_check_of_integrity_finds_changes_of_plain_values() {
    let content = String::from_utf8(read("documents/secret.yaml")).unwrap();
    let changed = content.replace("name: app", "name: changed");
    assert_ne!(content, changed);
    let formats = (Format::Yaml, Format::Yaml);
    let run = |integrity| decrypt(changed.as_bytes(), formats, integrity, &Keys::all());
    assert!(String::from_utf8(run(Integrity::Ignored).unwrap()).unwrap().contains("name: changed"));
    assert_eq!(
        run(Integrity::Checked).unwrap_err().to_string(),
        "failed to verify sops data integrity"
    );
}

#[test]
fn a_value_that_was_moved_or_changed_is_refused_without_being_shown() {
    let error = |object: Value| {
        let Value::Object(object) = object else { panic!() };
        let error = decrypt_object(object, &Keys::all()).unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    let mut moved = secret();
    moved["stringData"]["other"] = moved["stringData"]["password"].clone();
    assert_eq!(
        error(moved),
        "error decrypting sops tree: Error walking tree: Could not decrypt value: Could not \
         decrypt with AES_GCM: cipher: message authentication failed"
    );
    let mut plain = secret();
    plain["stringData"]["password"] = "hunter2".into();
    assert_eq!(
        error(plain),
        "error decrypting sops tree: Error walking tree: Could not decrypt value: Input string \
         <redacted> does not match sops' data format"
    );
    let mut number = secret();
    number["stringData"]["password"] = 1.into();
    assert_eq!(
        error(number),
        "error decrypting sops tree: Error walking tree: Expected encrypted value as string, but \
         got int"
    );
}

#[test]
fn metadata_that_has_no_meaning_is_refused() {
    let error = |change: fn(&mut Value)| {
        let mut object = secret();
        change(&mut object);
        let Value::Object(object) = object else { panic!() };
        let error = decrypt_object(object, &Keys::all()).unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    for (change, expected) in [
        (
            (|it| _ = it.as_object_mut().unwrap().remove("sops")) as fn(&mut Value),
            "sops metadata not found",
        ),
        (|it| it["sops"] = json!([]), "Found sops entry that is not a mapping"),
        (|it| it["sops"]["age"] = json!([]), "No keys found in file"),
        (|it| it["sops"]["age"] = json!("x"), "'age' has an unexpected type"),
        (
            |it| it["sops"]["lastmodified"] = json!(""),
            "'lastmodified' is missing or has no meaning",
        ),
        (
            |it| it["sops"]["encrypted_regex"] = json!("("),
            "encrypted_regex is no regular expression",
        ),
        (
            |it| it["sops"]["encrypted_suffix"] = json!("x"),
            "Cannot use more than one of encrypted_suffix, unencrypted_suffix, encrypted_regex, \
             unencrypted_regex, encrypted_comment_regex, or unencrypted_comment_regex in the same \
             file",
        ),
        (
            |it| it["sops"]["age"] = json!(vec![it["sops"]["age"][0].clone(); 257]),
            "more than 256 keys, or 255 groups of keys",
        ),
    ] {
        assert_eq!(error(change), format!("failed to load encrypted JSON data: {expected}"));
    }
}

#[test]
fn refuses_documents_that_are_too_big() {
    let content = vec![b' '; sops::MAX_SIZE + 1];
    let formats = (Format::Json, Format::Json);
    assert!(decrypt(&content, formats, Integrity::Ignored, &Keys::all()).is_err());
}

proptest! {
    /// Breaks documents at any place: that may fail, and may not panic.
    #[test]
    fn broken_documents_do_no_harm(
        document in proptest::sample::select(vec![
            "values.yaml", "secret.yaml", "config.json", "app.env", "app.ini", "groups.ini", "groups.env",
        ]),
        output in proptest::sample::select(vec![
            Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary,
        ]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3u8), 1..4),
    ) {
        let mut content = read(&format!("documents/{document}"));
        for (at, byte, how) in changes {
            let at = at.index(content.len());
            match how {
                0 => content[at] = byte,
                1 => content.insert(at, byte),
                _ => _ = content.remove(at),
            }
        }
        let formats = (Format::of_path(document), output);
        let _ = decrypt(&content, formats, Integrity::Ignored, &Keys::of(&["one.agekey"]));
    }
}
