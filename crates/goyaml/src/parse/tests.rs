use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{number, to_string, to_value};

fn one(text: &str) -> Value {
    parse_documents(text).unwrap().remove(0)
}

#[test]
fn reads_a_stream_and_leaves_out_empty_documents() {
    let documents = parse_documents("# nothing\n---\na: 1\n---\n---\n- b\n...\n").unwrap();
    assert_eq!(documents, [json!({ "a": 1 }), json!(["b"])]);
    assert!(parse_documents("").unwrap().is_empty());
}

#[test]
fn reads_collections() {
    for (text, value) in [
        ("a:\n- b\n-\n- c: d\n  e: f\n", json!({ "a": ["b", null, { "c": "d", "e": "f" }] })),
        (
            "- - a\n  - b\n- {c: [d, e: f], g, ? h : i}\n",
            json!([["a", "b"], { "c": ["d", { "e": "f" }], "g": null, "h": "i" }]),
        ),
        ("? a\n: b\n? c\nd: e\n", json!({ "a": "b", "c": null, "d": "e" })),
        ("a: [b,\n  c]\n", json!({ "a": ["b", "c"] })),
        ("{a: 'b', \"c\":d}", json!({ "a": "b", "c": "d" })),
        ("a:\n  b: c # comment\n\n# other\nd: {}\n", json!({ "a": { "b": "c" }, "d": {} })),
    ] {
        assert_eq!(one(text), value, "{text}");
    }
}

#[test]
fn reads_scalars() {
    for (text, value) in [
        ("a b", "a b"),
        ("a\n b\n\n c # d", "a b\nc"),
        ("a: b#c", "b#c"),
        ("a: http://b:80/c?d", "http://b:80/c?d"),
        ("a: 'it''s'", "it's"),
        ("a: 'b\n\n  c d'", "b\nc d"),
        ("a: \"b\\n\\x41\\u00e9\\U0001F600\\\n  c\"", "b\nAé\u{1F600}c"),
        ("a: |\n  b\n   c\n\n\n", "b\n c\n"),
        ("a: |+\n  b\n\n", "b\n\n"),
        ("a: |-\n  b\n", "b"),
        ("a: |2\n    b\n", "  b\n"),
        ("a: >\n  b\n  c\n\n  d\n   e\n  f\n", "b c\nd\n e\nf\n"),
        ("a: |\n  b", "b"),
        ("a:\n  |\n  b\n", "b\n"),
        ("a: -b", "-b"),
        ("a: ?b", "?b"),
        ("a: :b", ":b"),
        ("a: é è", "é è"),
    ] {
        let value = json!(value);
        let read = one(text);
        assert_eq!(read.get("a").unwrap_or(&read), &value, "{text}");
    }
}

#[test]
fn merges_mappings_below_what_is_said_itself() {
    let value = one("base: &b {x: 1, z: 2}\nother: {<<: *b, z: 3}\n");
    assert_eq!(value["other"], json!({ "x": 1, "z": 3 }));
    let value = one("a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n");
    assert_eq!(value["c"], json!({ "x": 1, "z": 2 }));
}

#[test]
fn types_keys_as_the_dialect_has_them() {
    assert_eq!(one("on: push\n0x10: a\n"), json!({ "true": "push", "16": "a" }));
    let kyaml = parse("on: push\n0x10: a\n", Dialect::Kyaml).unwrap().remove(0).node;
    assert_eq!(to_value(&kyaml, Dialect::Kyaml).unwrap(), json!({ "on": "push", "0x10": "a" }));
}

#[test]
fn names_the_place_of_an_error() {
    for (text, line, column, part) in [
        ("a: 1\nb: [\n", 3, 1, "ends where a value"),
        (
            "a: 1\nb: [1\nc: 2\n",
            3,
            2,
            "expected ',' or ']' of the collection that begins at line 2",
        ),
        ("a: 1\na: 2\n", 2, 1, "already defined at line 1"),
        ("a: *b\n", 1, 4, "unknown anchor"),
        ("a: &b [*b]\n", 1, 8, "contains itself"),
        ("a: b: c\n", 1, 5, "mapping values are not allowed"),
        ("a: .inf\n", 1, 4, "no value"),
        ("a: \"\\", 1, 5, "unknown escape"),
        ("[!!str,]", 2, 1, "expected ',' or ']'"),
        ("a: !b{}", 1, 4, "whitespace or line break behind a tag"),
        ("a: \"b\nc: d\n", 1, 4, "never closed"),
        ("a:\n\tb: c\n", 2, 1, "a tab"),
        ("a: @b\n", 1, 4, "cannot start"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "expected key of the mapping that begins at line 1"),
        ("a: 1\nb\nc: 2\n", 2, 1, "expected ':'"),
        ("{{ .Values }}: b\n", 1, 2, "quote text"),
        ("a\0", 1, 2, "control characters"),
        ("%YAML 1.2\n---\na: b", 1, 1, "incompatible"),
        ("a: b\n- c\n", 2, 1, "expected key"),
    ] {
        let error = parse_documents(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn refuses_bombs_and_bottomless_nesting() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.extend([format!("a{level}: &a{level} [{items}]\n")]);
    }
    assert!(parse_documents(&bomb).unwrap_err().message.contains("excessive aliasing"));
    for deep in ["[".repeat(5000), "- ".repeat(5000), "{a: ".repeat(5000)] {
        assert!(parse_documents(&deep).unwrap_err().message.contains("deeper"));
    }
    let mut chain = format!("a0: &a0 {}x{}\n", "[".repeat(200), "]".repeat(200));
    for level in 1..3 {
        chain.extend([format!(
            "a{level}: &a{level} {}*a{}{}\n",
            "[".repeat(100),
            level - 1,
            "]".repeat(100)
        )]);
    }
    assert!(parse_documents(&chain).unwrap_err().message.contains("deeper"));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", number::from_float),
        ".{0,12}".prop_map(Value::from),
        "[a-z0-9:#\\- \n'\"]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_back_what_was_written(value in values()) {
        let text = to_string(&value);
        let read = parse(&text, Dialect::Sigs)
            .and_then(|documents| to_value(&documents[0].node, Dialect::Sigs));
        prop_assert_eq!(read.as_ref(), Ok(&value), "{}", text);
    }

    #[test]
    fn does_not_panic(text in "[ -~\n\t&*!|>é]{0,64}") {
        for dialect in [Dialect::Kyaml, Dialect::Sigs] {
            if let Ok(documents) = parse(&text, dialect) {
                for document in documents {
                    let _ = to_value(&document.node, dialect);
                }
            }
        }
    }

    #[test]
    fn does_not_panic_on_indicators(text in "([-?:,\\[\\]{}#&*!|>'\"%@`~\n ]|a|b: |- |: ){0,40}") {
        let _ = parse(&text, Dialect::Kyaml);
    }
}

#[test]
fn keeps_comments_and_merge_keys_when_asked() {
    let text = "# one\na: &a {b: 1} # two\nc:\n  <<: *a\n  d: |\n    # no comment\n  #three\n";
    let source = parse_source(text, Dialect::Kyaml).unwrap();
    let comments = source.comments.iter();
    let comments = comments.map(|it| (it.text.as_str(), it.mark.line(), it.mark.column()));
    let comments: Vec<_> = comments.collect();
    assert_eq!(comments, [(" one", 1, 1), (" two", 2, 14), ("three", 7, 3)]);
    let Node::Mapping(root) = &source.documents[0].node else { panic!() };
    let Some(Node::Mapping(c)) = root.get("c") else { panic!() };
    assert_eq!(c.entries[0].0.tag, Tag::Merge);
}
