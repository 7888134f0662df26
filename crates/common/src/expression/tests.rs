use super::*;
use serde_json::json;

fn object() -> Json {
    json!({
        "metadata": {"name": "x", "generation": 3, "labels": {"app": "web"}},
        "spec": {"replicas": 4, "ratio": 0.5, "hosts": ["a", "b"]},
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"},
            ],
        },
    })
}

fn evaluate(text: &str) -> Result<bool, ExpressionError> {
    let object = object();
    let fields = object.as_object().unwrap();
    Expression::parse(text)?.is_true(fields.iter().map(|(name, value)| (name.as_str(), value)))
}

#[test]
fn evaluates_what_the_documentation_of_flux_shows() {
    for text in [
        "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
        "status.conditions.exists(e, e.type == 'Synced' && e.status == 'False')",
        "has(status.observedGeneration) && metadata.generation == status.observedGeneration",
        "!has(status.phase) || status.phase == 'Ready'",
        "spec.replicas % 2 == 0 && spec.replicas + 1 == 5",
        "1 == 1.0 && spec.ratio < 1 && spec.replicas > 3.5 && spec.replicas >= 4",
        "metadata.labels['app'] == 'web' && 'app' in metadata.labels && spec.hosts[1] == 'b'",
        "status.?phase.orValue('none') == 'none' && status.?observedGeneration.orValue(0) == 3",
        "status.?a.b.hasValue() == false && status[?'phase'] == optional.none()",
        "type(spec.replicas) == int && type(metadata.name) == string && dyn(1) == 1u",
        "spec.hosts.map(h, h + '!') == ['a!', 'b!'] && size(spec.hosts) == 2",
        "spec.hosts.exists_one(h, h == 'a') && {'a': 1}.all(k, k == 'a')",
        "sets.contains(spec.hosts, ['a']) && base64.encode(b'x') == 'eA=='",
        "metadata.name.upperAscii() == 'X' && 'a-b'.split('-').join('+') == 'a+b'",
        "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
        "bool('true') && (metadata.name.matches('^[a-z]$') ? true : false)",
    ] {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[test]
fn words_errors_without_values() {
    for (text, message) in [
        ("data.key == 'v'", "no such attribute(s): data"),
        ("status.phase == 'Ready'", "no such key: phase"),
        ("metadata.name.first == 'x'", "no such overload"),
        ("spec.hosts[7] == 'x'", "index out of bounds"),
        ("spec.hosts < metadata.name", "no such overload"),
        ("metadata.name + 1 == 2", "no such overload"),
        ("spec.replicas / 0 == 2", "division by zero"),
        ("nothing(metadata.name)", "no such attribute(s): nothing"),
        ("int(metadata.name) == 1", "the arguments of 'int' are not valid"),
    ] {
        let expected =
            ExpressionError::Evaluate { text: text.to_owned(), message: message.to_owned() };
        assert_eq!(evaluate(text), Err(expected), "{text}");
    }
    let error = evaluate("status.phase == 'Ready'").unwrap_err().to_string();
    let expected =
        "failed to evaluate the CEL expression 'status.phase == 'Ready'': no such key: phase";
    assert_eq!(error, expected);
    let error = evaluate("metadata.name").unwrap_err().to_string();
    assert_eq!(error, "failed to evaluate CEL expression as boolean: 'metadata.name'");
}

#[test]
fn an_error_does_not_matter_where_the_other_side_decides() {
    assert_eq!(evaluate("status.phase == 'x' || true"), Ok(true));
    assert_eq!(evaluate("status.phase == 'x' && false"), Ok(false));
    assert!(evaluate("status.phase == 'x' || false").is_err());
}

#[test]
fn refuses_what_is_no_expression() {
    for text in ["", "status.", "a ==", "'open", "a b", "x{y: 1}", "[1, 2"] {
        let error = Expression::parse(text).unwrap_err().to_string();
        let start = format!("failed to parse the CEL expression '{text}': ");
        assert!(error.starts_with(&start) && error.len() > start.len(), "{error}");
    }
}

#[test]
fn compiles_what_has_a_truth_value_and_declared_variables() {
    let compile = |text: &str| Expression::compile(text, &["self", "dep"]);
    let dep = object();
    for (text, expected) in [
        ("dep.status.conditions.exists(c, c.type == 'Ready')", true),
        ("self.metadata.name == dep.metadata.name", true),
        ("has(dep.status.phase)", false),
        ("dep.spec.replicas > 9 ? true : false", false),
        ("dep.metadata.labels.all(l, l != 'x') && dep.spec.hosts.exists_one(h, h == 'a')", true),
    ] {
        let value = compile(text).unwrap().is_true([("self", &dep), ("dep", &dep)]);
        assert_eq!(value, Ok(expected), "{text}");
    }
    for (text, part) in [
        ("other.metadata.name == 'x'", "undeclared reference to 'other'"),
        ("dep.spec.hosts.all(h, g == 'x')", "undeclared reference to 'g'"),
        ("nothing(dep)", "undeclared reference to 'nothing'"),
        ("dep.metadata.name.nothing()", "undeclared reference to 'nothing'"),
    ] {
        let error = compile(text).unwrap_err().to_string();
        assert!(error.starts_with("failed to parse the CEL expression"), "{error}");
        assert!(error.contains(part), "{error}");
    }
    for (text, r#type) in [
        ("dep.spec.suspend", "dyn"),
        ("'x'", "string"),
        ("1 + 2", "int"),
        ("size(dep)", "int"),
        ("dep", "map(string, dyn)"),
        ("dep.spec.hosts.map(h, h)", "list(dyn)"),
    ] {
        let expected = ExpressionError::OutputType(r#type);
        assert_eq!(compile(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn bounds_depth_length_and_steps() {
    for text in [
        "(".repeat(4000),
        "!".repeat(4000) + "true",
        "-".repeat(4000) + "1 == 1",
        format!("{}true{}", "[".repeat(4000), "]".repeat(4000)),
        format!("a{}", ".a".repeat(3000)),
        format!("1{} == 1", "+1".repeat(3000)),
        format!("a{}", "?b:c".repeat(1500)),
        format!("a{}", " in a".repeat(1500)),
        format!("true{}", " && true".repeat(900)),
        format!("'{}' == ''", "a".repeat(9000)),
    ] {
        // What matters is that none exhausts the stack; long but shallow ones may be fine.
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.is_true([]);
        }
    }
    assert!(Expression::parse(&format!("{}true{}", "(".repeat(33), ")".repeat(33))).is_err());
    let nested = format!("{}true{}", "(".repeat(30), ")".repeat(30));
    assert_eq!(evaluate(&nested), Ok(true));
    assert_eq!(evaluate(&format!("true{}", " && true".repeat(500))), Ok(true));

    let list = json!((0..200).collect::<Vec<_>>());
    let text = "l.all(a, l.all(b, l.all(c, l.all(d, true))))";
    let error = Expression::parse(text).unwrap().is_true([("l", &list)]).unwrap_err();
    assert!(error.to_string().ends_with("it takes too many steps"), "{error}");
}
