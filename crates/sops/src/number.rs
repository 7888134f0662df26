//! Floats as Go writes them.

/// Returns a float as JSON has it: with an exponent below 1e-6 and from 1e21 on.
///
/// Source: `floatEncoder`, `encoding/json`, Go 1.26.
pub(crate) fn json(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

/// Returns a float as YAML has it: with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn yaml(float: f64) -> String {
    match float {
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        float if float.is_nan() => ".nan".to_owned(),
        float => general(float, 'e'),
    }
}

/// Returns a float as the line formats have it: as YAML, and never like an integer.
///
/// Source: `ValToString`, SOPS 3.13, `stores/stores.go`.
pub(crate) fn line(float: f64) -> String {
    let text = general(float, 'E');
    if text.contains(['.', 'E']) { text } else { format!("{float:.1}") }
}

/// Source: `strconv.FormatFloat(f, 'g', -1, 64)`, Go 1.26.
fn general(float: f64, letter: char) -> String {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&power) {
        return float.to_string();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}{letter}{sign}{:02}", power.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_floats_as_go_does() {
        for (float, in_json, in_yaml, in_line) in [
            (1.5, "1.5", "1.5", "1.5"),
            (1000.0, "1000", "1000", "1000.0"),
            (1e21, "1e+21", "1e+21", "1E+21"),
            (1.5e-7, "1.5e-7", "1.5e-07", "1.5E-07"),
            (1_234_567.5, "1234567.5", "1.2345675e+06", "1.2345675E+06"),
            (0.0, "0", "0", "0.0"),
        ] {
            assert_eq!(json(float), in_json);
            assert_eq!(yaml(float), in_yaml);
            assert_eq!(line(float), in_line);
        }
    }
}
