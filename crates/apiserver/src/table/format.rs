//! How cells write durations, labels, selectors and lists.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::object::Object;
use crate::selector::{label_text, selector_text};

/// Returns the cell for an object's age.
pub(super) fn age(object: &Value) -> Value {
    since(&object["metadata"]["creationTimestamp"]).into()
}

/// Returns how long ago a time was: `5m`, or `<unknown>`.
pub(super) fn since(time: &Value) -> String {
    match parse(time) {
        Some(time) => duration(Timestamp::now().as_second() - time.as_second()),
        None => "<unknown>".to_owned(),
    }
}

pub(super) fn parse(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

/// Returns a duration with two digits of precision or so: `90s`, `5m12s`, `3h`, `2d4h`, `400d`.
///
/// Source: `HumanDuration`, k8s.io/apimachinery 0.33, `pkg/util/duration/duration.go`.
pub(super) fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |big: i64, unit: &str, small: i64, smaller: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{smaller}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(seconds / MINUTE, "m", seconds % MINUTE, "s"),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "m"),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(seconds / YEAR, "y", seconds % YEAR / DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Returns a text field, or what stands for none.
pub(super) fn or(value: &Value, none: &str) -> Value {
    match value {
        Value::String(text) if !text.is_empty() => text.clone().into(),
        Value::Number(_) | Value::Bool(_) => value.to_string().into(),
        _ => none.into(),
    }
}

/// Returns a number, zero if absent.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// Returns how many entries a list or map has.
pub(super) fn count(value: &Value) -> usize {
    value.as_array().map_or_else(|| value.as_object().map_or(0, Map::len), Vec::len)
}

pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn name(object: &Value) -> Value {
    object.name().into()
}

/// Returns labels as `a=b,c=d`, or `<none>`.
pub(super) fn labels(value: &Value) -> String {
    let text = label_text(value);
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// Returns a label selector as text, or `<none>`.
pub(super) fn selector(selector: &Value) -> Value {
    let text = selector_text(selector);
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// Returns names and images of the containers in a pod template.
pub(super) fn containers(template: &Value) -> [Value; 2] {
    let list = items(&template["spec"]["containers"]);
    let all = |field: &str| {
        let texts: Vec<&str> =
            list.iter().map(|one| one[field].as_str().unwrap_or_default()).collect();
        Value::from(texts.join(","))
    };
    [all("name"), all("image")]
}

/// Joins the first `most` texts: `a,b,c + 2 more...`.
pub(super) fn first_of(texts: &[String], most: usize, none: &str) -> String {
    if texts.is_empty() {
        return none.to_owned();
    }
    let shown = texts[..texts.len().min(most)].join(",");
    if texts.len() > most { format!("{shown} + {} more...", texts.len() - most) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_durations_as_kubectl_does() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (47 * 3600, "47h"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
            (800 * 86400, "2y70d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn shortens_long_lists() {
        let texts: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        assert_eq!(first_of(&texts, 3, "<none>"), "a,b,c + 1 more...");
        assert_eq!(first_of(&[], 3, "<none>"), "<none>");
    }
}
