//! Progress lines on standard error and structured documents on standard output.

use std::{fmt::Arguments, io::Write as _};

use serde_json::Value;

use crate::args::Format;

/// Says what is being done.
pub(crate) fn action(text: Arguments<'_>) {
    line("►", text);
}

/// Says what is being generated.
pub(crate) fn generate(text: Arguments<'_>) {
    line("✚", text);
}

/// Says what is being waited for.
pub(crate) fn waiting(text: Arguments<'_>) {
    line("◎", text);
}

/// Says what was done.
pub(crate) fn success(text: Arguments<'_>) {
    line("✔", text);
}

/// Says what may surprise.
pub(crate) fn warning(text: Arguments<'_>) {
    line("⚠️", text);
}

/// Says what failed.
pub(crate) fn failure(text: Arguments<'_>) {
    line("✗", text);
}

/// Says what failed, as `kubectl` does.
pub(crate) fn error(text: Arguments<'_>) {
    line("error:", text);
}

/// Asks something; the answer is typed on the same line.
pub(crate) fn question(text: Arguments<'_>) {
    let mut stderr = anstream::stderr();
    // A closed standard error leaves nobody to ask.
    let _ = write!(stderr, "{text} ").and_then(|()| stderr.flush());
}

fn line(symbol: &str, text: Arguments<'_>) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(anstream::stderr(), "{symbol} {text}");
}

/// Writes text to standard output as it is.
///
/// # Errors
///
/// When standard output cannot be written; a closed pipe is not an error, because it means that
/// the reader has seen enough.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(err) if err.kind() != std::io::ErrorKind::BrokenPipe => Err(err.into()),
        _ => Ok(()),
    }
}

/// Writes one value to standard output.
pub(crate) fn document(value: &Value, format: Format) -> anyhow::Result<()> {
    print(&match format {
        Format::Json => format!("{value:#}\n"),
        Format::Yaml => goyaml::to_string(value),
    })
}
