//! `secretGenerator`.

use goyaml::{Mapping, Node, Scalar, Style, Tag};

use super::{begin, encode, finish, key_values, set_entry};
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::GeneratorArgs;
use crate::node::set_field;
use crate::resource::{Resource, Source};

pub(super) fn make(
    scope: &mut Scope<'_>,
    args: &GeneratorArgs,
    source: Source,
) -> Result<Resource, Problem> {
    let mut object = begin("Secret", args)?;
    let kind = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
    set_field(&mut object, "type", Scalar::string(kind));
    object.push("data", Mapping::new());
    let mut object = Node::from(object);
    for (key, value) in key_values::read(scope, args)? {
        let text = encode(&value);
        let style = if text.contains('\n') { Style::Literal } else { Style::Plain };
        let value = Scalar { style, ..Scalar::tagged(text, Tag::Str) };
        set_entry(&mut object, &["data"], &key, value)?;
    }
    match object {
        Node::Mapping(object) => finish(object, args, source),
        _ => Err(Problem::rule("the Secret is no mapping")),
    }
}
