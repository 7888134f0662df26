use serde_json::json;

use super::*;

fn schema(spec: &Value) -> Schema {
    Schema::custom_unchecked(&json!({"type": "object", "properties": {"spec": spec}}))
}

fn errors(property: &Value, value: &Value) -> Vec<String> {
    let schema = schema(&json!({"type": "object", "properties": {"a": property}}));
    let object = json!({"apiVersion": "e.com/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"a": value}});
    custom(&schema, &object, None).iter().map(ToString::to_string).collect()
}

#[test]
fn words_errors_of_scalars_as_the_api_server_does() {
    let cases = [
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "spec.a: Invalid value: 0: spec.a in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "integer", "maximum": 3, "exclusiveMaximum": true}),
            json!(3),
            "spec.a: Invalid value: 3: spec.a in body should be less than 3",
        ),
        (
            json!({"type": "integer", "multipleOf": 2}),
            json!(3),
            "spec.a: Invalid value: 3: spec.a in body should be a multiple of 2",
        ),
        (
            json!({"type": "integer"}),
            json!("x"),
            "spec.a: Invalid value: \"string\": spec.a in body must be of type integer: \"string\"",
        ),
        (
            json!({"type": "integer", "format": "int64"}),
            json!(1.5),
            "spec.a: Invalid value: \"float64\": spec.a in body must be of type int64: \"float64\"",
        ),
        (
            json!({"type": "object"}),
            json!(null),
            "spec.a: Invalid value: \"null\": spec.a in body must be of type object: \"null\"",
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!({}),
            "spec.a: Invalid value: \"object\": spec.a in body must be of type integer,string: \
             \"object\"",
        ),
        (
            json!({"type": "string", "enum": ["x", "y"]}),
            json!("z"),
            "spec.a: Unsupported value: \"z\": supported values: \"x\", \"y\"",
        ),
        (
            json!({"type": "string", "pattern": "^[a-z]+$"}),
            json!("Z"),
            "spec.a: Invalid value: \"Z\": spec.a in body should match '^[a-z]+$'",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            "spec.a: Invalid value: \"\": spec.a in body should be at least 1 chars long",
        ),
        (
            json!({"type": "string", "maxLength": 2}),
            json!("abc"),
            "spec.a: Too long: may not be more than 2 bytes",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("x"),
            "spec.a: Invalid value: \"x\": spec.a in body must be of type date-time: \"x\"",
        ),
    ];
    for (property, value, expected) in cases {
        assert_eq!(errors(&property, &value), [expected], "{property}");
    }
}

#[test]
fn words_errors_of_lists_and_objects_as_the_api_server_does() {
    let cases = [
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!([]),
            "spec.a: Invalid value: 0: spec.a in body should have at least 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            "spec.a: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"type": "array", "items": {"type": "object", "required": ["n"]}}),
            json!([{}]),
            "spec.a[0].n: Required value",
        ),
        (
            json!({
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {"n": {"type": "string"}}},
            }),
            json!([{"n": "x"}, {"n": "y"}, {"n": "x"}]),
            "spec.a[2]: Duplicate value: {\"n\":\"x\"}",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
            json!(["x", "x"]),
            "spec.a[1]: Duplicate value: \"x\"",
        ),
        (
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}),
            json!({"apiVersion": "v1", "kind": "", "x": 1}),
            "spec.a.kind: Invalid value: \"\": must not be empty",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
            json!({"k": "x"}),
            "spec.a.k: Invalid value: \"string\": spec.a.k in body must be of type boolean: \"string\"",
        ),
    ];
    for (property, value, expected) in cases {
        assert_eq!(errors(&property, &value), [expected], "{property}");
    }
}

#[test]
fn takes_what_the_schema_allows() {
    let cases = [
        (json!({"type": "integer"}), json!(3.0)),
        (json!({"type": "number"}), json!(3)),
        (json!({"type": "object", "nullable": true}), json!(null)),
        (json!({"x-kubernetes-int-or-string": true}), json!("50%")),
        (json!({"x-kubernetes-preserve-unknown-fields": true}), json!([1, {"a": null}])),
        (json!({"type": "string", "format": "unheard-of"}), json!("x")),
        (json!({"type": "array", "items": {"type": "string"}}), json!(["x", "x"])),
    ];
    for (property, value) in cases {
        assert_eq!(errors(&property, &value), Vec::<String>::new(), "{property}");
    }
}

#[test]
fn reports_the_best_of_several_alternatives() {
    let one = json!({"type": "object", "oneOf": [{"required": ["x"]}, {"required": ["y"]}],
        "properties": {"x": {"type": "string"}, "y": {"type": "string"}}});
    assert_eq!(
        errors(&one, &json!({})),
        [
            "<nil>: Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). \
             Found none valid",
            "spec.a.x: Required value",
        ]
    );
    assert_eq!(
        errors(&one, &json!({"x": "1", "y": "1"})),
        ["<nil>: Invalid value: \"\": \"spec.a\" must validate one and only one schema (oneOf). \
          Found 2 valid alternatives"]
    );
    assert_eq!(errors(&one, &json!({"x": "1"})), Vec::<String>::new());
    let any = json!({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]});
    assert_eq!(
        errors(&any, &json!(3)),
        [
            "<nil>: Invalid value: \"\": \"spec.a\" must validate at least one schema (anyOf)",
            "spec.a: Invalid value: 3: spec.a in body should be greater than or equal to 5",
        ]
    );
    let not = json!({"type": "string", "not": {"pattern": "^x"}});
    assert_eq!(
        errors(&not, &json!("xy")),
        ["<nil>: Invalid value: \"\": \"spec.a\" must not validate the schema (not)"]
    );
}

#[test]
fn unchanged_values_may_stay_invalid() {
    let schema = schema(&json!({
        "type": "object",
        "properties": {
            "a": {"type": "string", "pattern": "^[a-z]+$"},
            "b": {"type": "string"},
            "list": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {
                    "n": {"type": "string"}, "v": {"type": "string", "maxLength": 1},
                }},
            },
        },
    }));
    let old = json!({"spec": {"a": "OLD", "b": "x", "list": [{"n": "p", "v": "long"}]}});
    let mut new =
        json!({"spec": {"a": "OLD", "b": "y", "list": [{"n": "q"}, {"n": "p", "v": "long"}]}});
    assert_eq!(custom(&schema, &new, Some(&old)), []);
    new["spec"]["a"] = "NEW".into();
    assert_eq!(custom(&schema, &new, Some(&old)).len(), 1);
    assert_eq!(custom(&schema, &new, None).len(), 2);
}

#[test]
fn required_fields_of_the_root_have_no_dot() {
    let schema = Schema::custom_unchecked(&json!({"type": "object", "required": ["spec"]}));
    let found = custom(&schema, &json!({"metadata": {"name": "x"}}), None);
    assert_eq!(found[0].to_string(), "spec: Required value");
}
