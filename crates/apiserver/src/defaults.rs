//! What the server fills in.

use serde_json::{Value, json};

use crate::object::Object;
use crate::rest::request::Call;

/// Fills in what a user left out: defaults of built-in kinds, of the schema of custom ones.
pub(crate) fn fill(call: &Call, object: &mut Value) {
    let resource = &call.resource;
    if let Some(version) = resource.version(&call.version) {
        let schema = version.schema.typed();
        // What belongs to another subresource was taken out; its empty structures come back.
        smd::prune::round_trip(schema, object);
        smd::defaults::fill(schema, object);
    }
}

/// Fills in what is still missing once it is known what will be stored, and what clients cannot
/// leave out.
pub(crate) fn finish(call: &Call, object: &mut Value) {
    fill(call, object);
    if call.resource.is("", "namespaces") && !object.is_terminating() {
        set(&mut object["spec"], "finalizers", json!(["kubernetes"]));
    }
}

/// Sets a field that is absent or null.
pub(crate) fn set(object: &mut Value, field: &str, default: Value) {
    if let Some(object) = object.as_object_mut()
        && object.get(field).is_none_or(Value::is_null)
    {
        object.insert(field.to_owned(), default);
    }
}
