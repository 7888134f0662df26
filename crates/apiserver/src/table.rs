//! Tables, as `kubectl get` prints them.
//!
//! Built-in kinds have a printer each, in the submodules; custom kinds have the columns of their
//! definition. A row holds all cells, also those that only `-o wide` shows.

mod cluster;
mod custom;
mod format;
mod jsonpath;
mod network;
mod resource;
mod workload;

use serde_json::{Map, Value, json};

use crate::convert;
use crate::rest::output::metadata_only;
use crate::rest::request::Call;
use crate::storage::Entry;

/// A column of a built-in kind.
#[derive(Debug, Clone, Copy)]
struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    description: &'static str,
    priority: u8,
}

impl Column {
    const fn new(name: &'static str, kind: &'static str) -> Self {
        Self { name, kind, format: "", description: "", priority: 0 }
    }

    /// Shown with `-o wide` alone.
    const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    fn to_value(self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }
}

const fn text(name: &'static str) -> Column {
    Column::new(name, "string")
}

const fn integer(name: &'static str) -> Column {
    Column::new(name, "integer")
}

const fn boolean(name: &'static str) -> Column {
    Column::new(name, "boolean")
}

const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    description: "Name must be unique within a namespace.",
    priority: 0,
};

const AGE: Column = Column {
    name: "Age",
    kind: "string",
    format: "",
    description: "Time since the object was created.",
    priority: 0,
};

/// Columns and cells of one kind.
struct Printer {
    columns: &'static [Column],
    cells: fn(&Value) -> Vec<Value>,
}

/// Renders objects as a `meta.k8s.io/v1` Table.
pub(crate) fn render<'a>(
    call: &Call,
    metadata: &Value,
    entries: impl IntoIterator<Item = &'a Entry>,
    with_columns: bool,
) -> Value {
    let resource = &call.resource;
    let (columns, rows): (Vec<Value>, Vec<Value>) = match printer(&resource.group, &resource.kind) {
        Some(printer) if !resource.custom => (
            printer.columns.iter().map(|column| column.to_value()).collect(),
            entries.into_iter().map(|one| row(call, one, (printer.cells)(&one.value))).collect(),
        ),
        _ => {
            let declared = resource.version(&call.version);
            let columns = custom::columns(declared.map_or(&[][..], |one| &one.columns));
            let rows = entries
                .into_iter()
                .map(|one| row(call, one, custom::cells(&columns, &one.value)))
                .collect();
            (columns.into_iter().map(|column| column.definition).collect(), rows)
        }
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": with_columns.then_some(columns),
        "rows": rows,
    })
}

fn row(call: &Call, entry: &Entry, cells: Vec<Value>) -> Value {
    let object = match call.param("includeObject") {
        Some("None") => Value::Null,
        Some("Object") => convert::outward(call, &entry.value),
        _ => metadata_only(&entry.value),
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells.into());
    if call.resource.is("", "pods")
        && let Some(conditions) = workload::pod_conditions(&entry.value)
    {
        row.insert("conditions".to_owned(), conditions);
    }
    row.insert("object".to_owned(), object);
    row.into()
}

fn printer(group: &str, kind: &str) -> Option<Printer> {
    workload::printer(group, kind)
        .or_else(|| network::printer(group, kind))
        .or_else(|| cluster::printer(group, kind))
        .or_else(|| resource::printer(group, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    #[test]
    fn every_printer_fills_all_its_columns() {
        for resource in Registry::builtin().all() {
            let Some(printer) = printer(&resource.group, &resource.kind) else { continue };
            let cells = (printer.cells)(&json!({"metadata": {"name": "x"}}));
            assert_eq!(cells.len(), printer.columns.len(), "{}", resource.qualified());
        }
    }

    #[test]
    fn stored_kinds_have_printers() {
        let without: Vec<String> = Registry::builtin()
            .all()
            .filter(|resource| !resource.review)
            .filter(|resource| printer(&resource.group, &resource.kind).is_none())
            .map(|resource| resource.qualified())
            .collect();
        assert_eq!(without, Vec::<String>::new());
    }
}
