//! Generated documents, encrypted and decrypted by the real SOPS and decrypted here: `SOPS=… cargo
//! test -p sops --test integration oracle:: -- --ignored`. It takes minutes, as every document is
//! two processes.

use std::process::Command;

use proptest::prelude::*;
use sops::{Format, Integrity, decrypt};

use crate::keys::{Keys, testdata};

/// Runs SOPS on content; `None` if it refuses.
fn sops(args: &[&str], content: &[u8], ending: &str) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    file.write_all(content).unwrap();
    let program = std::env::var_os("SOPS").unwrap_or_else(|| "sops".into());
    let key = testdata().join("keys/one.agekey");
    let output = Command::new(program)
        .args(args)
        .arg(file.path())
        .env("SOPS_AGE_KEY_FILE", key)
        .output()
        .unwrap();
    output.status.success().then_some(output.stdout)
}

const RECIPIENT: &str = "age1suz52wrqee5slvn5c803jy2wrn8rj9lyqhh7yl2d3he7pc4nav7qw5cmal";

/// Compares what SOPS and this crate make of a document that SOPS has encrypted. Comments in lists
/// make SOPS refuse its own documents when it checks their integrity, so it is told not to.
fn compare(plain: &[u8], ending: &str, rule: &[&str], output: Format) -> Result<(), TestCaseError> {
    let mut args = vec!["encrypt", "--age", RECIPIENT];
    args.extend(rule);
    let Some(encrypted) = sops(&args, plain, ending) else { return Ok(()) };
    let name = output.name().to_lowercase();
    let args = ["decrypt", "--ignore-mac", "--output-type", &name];
    // Some documents it cannot read again, such as those with a key `<<` that holds text.
    let Some(theirs) = sops(&args, &encrypted, ending) else { return Ok(()) };
    let formats = (Format::of_path(ending), output);
    let ours = decrypt(&encrypted, formats, Integrity::Checked, &Keys::of(&["one.agekey"]));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (ours, theirs) = (ours.ok().map(text), Some(text(theirs)));
    prop_assert_eq!(
        ours,
        theirs,
        "plain:\n{}\nencrypted:\n{}",
        text(plain.to_vec()),
        text(encrypted)
    );
    Ok(())
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,6}",
        1 => "[a-z]{1,3}_unencrypted",
        1 => "[A-Za-z0-9 .:#'\"{}\\[\\]&*!|>%@,?-]{1,12}",
        1 => prop::sample::select(vec!["yes", "no", "null", "1", "0x1f", "1.5", "2001-01-01", "<<", "~", "true", "a b", "é", "日本", "x\ty"])
            .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|int| int.to_string()),
        (-1e9..1e9f64).prop_map(|float| float.to_string()),
        prop::sample::select(vec![
            "true",
            "false",
            "null",
            "~",
            "1e6",
            "1.0",
            "0.00001",
            "\"\"",
            "{}",
            "[]",
            "2001-01-02",
            "2001-01-02T03:04:05.5Z",
            "!!binary aGVsbG8="
        ])
        .prop_map(str::to_owned),
        word().prop_map(|word| quoted(&word)),
        prop::collection::vec(word(), 1..12).prop_map(|words| quoted(&words.join(" "))),
        prop::collection::vec(word(), 1..4).prop_map(|words| quoted(&(words.join("\n") + "\n"))),
        prop::collection::vec(word(), 1..4).prop_map(|words| quoted(&words.join("\n  "))),
    ]
}

/// Returns text as JSON and YAML have it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Lines of YAML, of which the first can stand behind a dash.
fn yaml() -> impl Strategy<Value = Vec<String>> {
    let comment = || prop::option::weighted(0.2, "[a-z ]{0,8}");
    let leaf = scalar().prop_map(|scalar| vec![scalar]);
    let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
        let key = word().prop_map(|word| quoted(&word));
        let map = prop::collection::btree_map(key, (inner.clone(), comment(), comment()), 1..4);
        let map = map.prop_map(|entries| {
            let mut lines = vec!["map".to_owned()];
            for (key, (value, above, beside)) in entries {
                lines.extend(above.filter(|_| lines.len() > 1).map(|text| format!("# {text}")));
                lines.extend(nested(&format!("{key}:"), &value, beside, "  "));
            }
            lines
        });
        let list = prop::collection::vec((inner, comment(), comment()), 1..4).prop_map(|items| {
            let mut lines = vec!["list".to_owned()];
            for (value, above, beside) in items {
                lines.extend(above.filter(|_| lines.len() > 1).map(|text| format!("# {text}")));
                lines.extend(nested("-", &value, beside, "  "));
            }
            lines
        });
        prop_oneof![2 => map, 1 => list]
    });
    tree.prop_map(|lines| lines)
}

/// Puts a value behind a key or a dash.
fn nested(head: &str, value: &[String], beside: Option<String>, indent: &str) -> Vec<String> {
    match value {
        [scalar] => {
            // SOPS loses some of the comments that stand beside empty collections.
            let beside = beside.filter(|_| !matches!(scalar.as_str(), "{}" | "[]"));
            let beside = beside.map(|text| format!(" # {text}")).unwrap_or_default();
            vec![format!("{head} {scalar}{beside}")]
        }
        [_, lines @ ..] if head == "-" => {
            let mut lines: Vec<_> = lines.iter().map(|line| format!("{indent}{line}")).collect();
            lines[0].replace_range(0..1, "-");
            lines
        }
        [_, lines @ ..] => {
            let lines = lines.iter().map(|line| format!("{indent}{line}"));
            std::iter::once(head.to_owned()).chain(lines).collect()
        }
        [] => vec![head.to_owned()],
    }
}

fn rule() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![
        vec![],
        vec![],
        vec!["--encrypted-regex", "^[a-m]"],
        vec!["--unencrypted-regex", "e"],
        vec!["--encrypted-suffix", "s"],
    ])
}

#[expect(clippy::disallowed_methods, reason = "reads the environment for the pure crate")]
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: std::env::var("CASES").map_or(500, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    #[ignore = "needs sops"]
    fn yaml_is_decrypted_as_sops_does(
        entries in prop::collection::btree_map("[a-z]{1,6}", yaml(), 1..5),
        top in prop::option::weighted(0.3, "[a-z ]{1,8}"),
        rule in rule(),
        output in prop::sample::select(vec![Format::Yaml, Format::Yaml, Format::Json]),
    ) {
        let mut lines: Vec<String> = top.into_iter().map(|text| format!("# {text}")).collect();
        for (key, value) in entries {
            lines.extend(nested(&format!("\"{key}\":"), &value, None, "  "));
        }
        let plain = lines.join("\n") + "\n";
        compare(plain.as_bytes(), ".yaml", &rule, output)?;
    }

    #[test]
    #[ignore = "needs sops"]
    fn json_is_decrypted_as_sops_does(
        entries in prop::collection::vec((word(), json()), 1..6),
        rule in rule(),
        output in prop::sample::select(vec![Format::Yaml, Format::Json]),
    ) {
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
        let plain = format!("{{{}}}", entries.join(", "));
        compare(plain.as_bytes(), ".json", &rule, output)?;
    }

    #[test]
    #[ignore = "needs sops"]
    fn dotenv_is_decrypted_as_sops_does(
        lines in prop::collection::vec(
            prop_oneof![
                3 => ("[A-Z_]{1,8}", "[ -~]{0,20}").prop_map(|(key, value)| format!("{key}={value}")),
                1 => "#[ -~]{0,10}",
                1 => Just(String::new()),
            ],
            1..8,
        ),
        output in prop::sample::select(vec![Format::Dotenv, Format::Json, Format::Yaml]),
    ) {
        compare((lines.join("\n") + "\n").as_bytes(), ".env", &[], output)?;
    }

    #[test]
    #[ignore = "needs sops"]
    fn ini_is_decrypted_as_sops_does(
        lines in prop::collection::vec(
            prop_oneof![
                4 => ("[a-z_]{1,8}", "[ =:]{1,2}", "[!-~][ -~]{0,16}")
                    .prop_map(|(key, delimiter, value)| format!("{key}{delimiter}={value}")),
                2 => "\\[[a-zA-Z]{1,6}\\]",
                1 => "[;#] [a-z]{1,10}",
                1 => Just(String::new()),
            ],
            1..10,
        ),
        output in prop::sample::select(vec![Format::Ini, Format::Json]),
    ) {
        compare((lines.join("\n") + "\n").as_bytes(), ".ini", &[], output)?;
    }

    #[test]
    #[ignore = "needs sops"]
    fn any_bytes_are_decrypted_as_sops_does(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        compare(&bytes, ".bin", &[], Format::Binary)?;
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|int| int.to_string()),
        (-1e9..1e9f64).prop_map(|float| float.to_string()),
        prop::sample::select(vec!["true", "false", "null", "\"\"", "{}", "[]", "1e30", "1.0"])
            .prop_map(str::to_owned),
        word().prop_map(|word| quoted(&word)),
        any::<String>().prop_map(|text| quoted(&text)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let pair = (word(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(pair, 0..4).prop_map(|pairs| {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}
