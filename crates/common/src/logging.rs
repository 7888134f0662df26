//! The log, as a line of JSON or of text for each thing that happens.

use std::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::args::{LogEncoding, LogLevel};

/// Starts to log to standard error, in the whole process. A log that is there already stays.
pub fn start(encoding: LogEncoding, level: LogLevel) {
    let level = match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Error => "error",
    };
    // What libraries tell about their own work is for the developers of this.
    let libraries = if level == "trace" { "debug" } else { "error" };
    let mut filter = level.to_owned();
    for library in ["hyper", "h2", "rustls", "tower", "reqwest", "kube_client", "kube_runtime"] {
        filter = format!("{filter},{library}={libraries}");
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only when there is a log already.
    let _ = match encoding {
        LogEncoding::Json => builder.fmt_fields(JsonFields).event_format(Json).try_init(),
        LogEncoding::Console => builder.compact().try_init(),
    };
}

/// An object a line, with the names that `flux logs` reads: `level`, `ts`, `msg`, `error`,
/// `controller`, `controllerKind`, `namespace`, `name`, `reconcileID`.
struct Json;

/// The fields of a span, as the content of a JSON object.
struct JsonFields;

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut object = Fields::default();
        fields.record(&mut object);
        write!(writer, "{}", Value::Object(object.0))
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        line.insert("level".to_owned(), level(event.metadata()).into());
        line.insert("ts".to_owned(), format!("{:.3}", Timestamp::now()).into());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut fields = fields.0;
        let message = fields.shift_remove("message").unwrap_or_default();
        line.insert("msg".to_owned(), message);
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let Some(text) = extensions.get::<FormattedFields<N>>() else { continue };
            if let Ok(Value::Object(object)) = serde_json::from_str(text) {
                line.extend(object.into_iter().map(|(name, value)| (renamed(name), value)));
            }
        }
        line.extend(fields);
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The names that readers of the log know some fields by.
fn renamed(name: String) -> String {
    match name.as_str() {
        "kind" => "controllerKind".to_owned(),
        "reconcile_id" => "reconcileID".to_owned(),
        _ => name,
    }
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        // Readers have no warnings: what a user should look at is an error to them.
        Level::ERROR | Level::WARN => "error",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_the_fields_that_readers_know() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields)
            .event_format(Json)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "reconcile",
                controller = "kustomization",
                kind = "Kustomization",
                namespace = "apps",
                name = "podinfo",
                reconcile_id = "1",
            );
            let _entered = span.enter();
            tracing::warn!(error = %"no \"such\" path", after_ms = 5, "reconciliation failed");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert!(line["ts"].as_str().unwrap().ends_with('Z'), "{line}");
        for (field, value) in [
            ("level", Value::from("error")),
            ("msg", "reconciliation failed".into()),
            ("error", "no \"such\" path".into()),
            ("after_ms", 5.into()),
            ("controller", "kustomization".into()),
            ("controllerKind", "Kustomization".into()),
            ("namespace", "apps".into()),
            ("name", "podinfo".into()),
            ("reconcileID", "1".into()),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
    }
}
