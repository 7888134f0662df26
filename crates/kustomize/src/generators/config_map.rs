//! `configMapGenerator`.

use goyaml::{Node, Scalar, Style, Tag};

use super::{begin, encode, finish, key_values, set_entry};
use crate::accumulate::Scope;
use crate::error::Problem;
use crate::kustomization::GeneratorArgs;
use crate::resource::{Resource, Source};

pub(super) fn make(
    scope: &mut Scope<'_>,
    args: &GeneratorArgs,
    source: Source,
) -> Result<Resource, Problem> {
    let mut object = Node::from(begin("ConfigMap", args)?);
    for (key, value) in key_values::read(scope, args)? {
        match String::from_utf8(value) {
            Ok(text) => set_entry(&mut object, &["data"], &key, Scalar::string(text))?,
            Err(error) => {
                let text = encode(error.as_bytes());
                let style = if text.contains('\n') { Style::Literal } else { Style::Plain };
                let value = Scalar { style, ..Scalar::tagged(text, Tag::Str) };
                set_entry(&mut object, &["binaryData"], &key, value)?;
            }
        }
    }
    match object {
        Node::Mapping(object) => finish(object, args, source),
        _ => Err(Problem::rule("the ConfigMap is no mapping")),
    }
}
