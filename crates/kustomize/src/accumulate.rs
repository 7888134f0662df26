//! x
use serde_json::Value;
use crate::{BuildError, Options, Tree};
pub(crate) fn build(_: &dyn Tree, dir: &str, _: &Options) -> Result<Vec<Value>, BuildError> {
    Err(BuildError::NoKustomization { dir: dir.to_owned() })
}
