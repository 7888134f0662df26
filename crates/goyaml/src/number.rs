//! Numbers as Go formats them.

use serde_json::{Number, Value};

/// Returns a float as the JSON value that Go would make of it: an integer where it has no fraction
/// and Go prints no exponent. Infinities and NaN have no JSON value.
///
/// Source: `encoding/json`, `floatEncoder`, Go 1.26.
pub(crate) fn from_float(float: f64) -> Option<Value> {
    const EXPONENT_FROM: f64 = 1e21;
    if float.fract() == 0.0 && float.abs() < EXPONENT_FROM {
        let text = format!("{float:.0}");
        if let Ok(integer) = text.parse::<i64>() {
            return Some(Value::from(integer));
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Some(Value::from(integer));
        }
    }
    Number::from_f64(float).map(Value::Number)
}

/// Returns a number as sigs.k8s.io/yaml writes it: floats in the shortest form, with an exponent
/// below 1e-4 and from 1e6 on, e.g. `1e+21`.
pub fn format(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => match from_float(float) {
            Some(Value::Number(integer)) if !integer.is_f64() => integer.to_string(),
            _ => shortest(float),
        },
        _ => number.to_string(),
    }
}

/// Returns a float with an exponent below 1e-4 and from 1e6 on.
///
/// Source: `strconv.FormatFloat(f, 'g', -1, 64)`, Go 1.26.
pub(crate) fn shortest(float: f64) -> String {
    general(&format!("{float:e}"), &format!("{float}"))
}

/// Returns a float in the precision that sigs.k8s.io/yaml has for keys.
pub(crate) fn shortest_single(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "that is the point")]
    let float = float as f32;
    general(&format!("{float:e}"), &format!("{float}"))
}

fn general(scientific: &str, decimal: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&power) {
        return decimal.to_owned();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_integers_of_floats_without_fraction() {
        assert_eq!(from_float(1000.0), Some(Value::from(1000)));
        assert_eq!(from_float(-0.5), Some(Value::from(-0.5)));
        assert_eq!(from_float(f64::INFINITY), None);
    }

    #[test]
    fn formats_as_go_does() {
        for (float, text) in [
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (100_000.5, "100000.5"),
            (1_234_567.5, "1.2345675e+06"),
        ] {
            assert_eq!(format(&Number::from_f64(float).unwrap()), text);
        }
    }
}
