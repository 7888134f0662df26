//! What the derived schemas need to be those of the Flux CRDs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

/// The schema of a list of conditions, as `metav1.Condition` validates them.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "When the condition last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "Details of the state, for people.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "observedGeneration": {
                    "description": "Generation of the object that the condition is about.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "Why the condition is as it is, in one word.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "What the condition is about.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}

/// The schema of a duration below an hour's unit, 60s by default.
pub(crate) fn short_duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "default": "60s",
        "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$",
    })
}

/// The schema of the verification mode; `head` is an old spelling of `HEAD`.
pub(crate) fn verification_mode(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "default": "HEAD",
        "enum": ["head", "HEAD", "Tag", "TagAndHEAD"],
    })
}

/// The schema of a flag that is off unless set.
pub(crate) fn false_by_default(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "boolean", "default": false })
}

/// The schema of any text.
pub(crate) fn string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// Brings a derived CRD into the form that Flux publishes.
///
/// An option is a field that may be absent, not one that may be null, and a number is any number of
/// its format: the derived markers for both go, and so does the title. `spec` may be absent. Where the controller is the
/// one that first writes `status.observedGeneration`, it starts at -1, so that a new object is not
/// taken for a reconciled one.
pub(crate) fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = &mut crd.spec.names;
    names.list_kind.get_or_insert_with(|| format!("{}List", names.kind));
    for version in &mut crd.spec.versions {
        let Some(root) =
            version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        simplify(root);
        root.title = None;
        // The doc comment of the spec says what the kind is for.
        if let Some(spec) = root.properties.as_mut().and_then(|all| all.get_mut("spec")) {
            root.description = spec.description.replace("What is wanted.".to_owned());
        }
        root.required = None;
        let properties = root.properties.get_or_insert_default();
        for (name, kind, description) in [
            ("apiVersion", "string", Some("Version of the schema of this object.")),
            ("kind", "string", Some("Kind of this object.")),
            // The API describes it, and accepts nothing but the type.
            ("metadata", "object", None),
        ] {
            properties.insert(
                name.to_owned(),
                JSONSchemaProps {
                    description: description.map(str::to_owned),
                    type_: Some(kind.to_owned()),
                    ..JSONSchemaProps::default()
                },
            );
        }
        if let Some(status) = properties.get_mut("status")
            && status.properties.as_ref().is_some_and(|p| p.contains_key("observedGeneration"))
        {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

fn simplify(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.type_.as_deref() == Some("integer") && schema.format.as_deref() == Some("int64") {
        // Only conditions say how small a generation may be.
        schema.minimum = schema.minimum.filter(|minimum| minimum.abs() < f64::EPSILON);
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        simplify(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        simplify(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        simplify(values);
    }
}
