//! Quantities, such as `100m` and `1.5Gi`, in the form that the API server gives them.
//!
//! Source: `pkg/api/resource`, apimachinery 0.36.

use std::cmp::Ordering;

use serde_json::Value;

/// An amount of something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    mantissa: i128,
    /// Power of ten.
    exponent: i32,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `100m`, `1k`.
    Decimal,
    /// `1Ki`.
    Binary,
    /// `1e3`.
    Exponent,
}

const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Nothing smaller than a billionth is told apart.
const SMALLEST: i32 = -9;
/// Longer numbers are no quantities of anything.
const DIGITS: usize = 30;

impl Quantity {
    /// Reads a quantity from text or a number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = [whole, fraction].concat();
        if digits.is_empty() || digits.len() > DIGITS || fraction.contains('.') {
            return None;
        }
        let mut mantissa: i128 = digits.parse().ok()?;
        let mut exponent = -i32::try_from(fraction.len()).ok()?;
        let form = if let Some(power) = BINARY.iter().position(|known| *known == suffix)
            && power > 0
        {
            mantissa = mantissa.checked_mul(1024i128.checked_pow(u32::try_from(power).ok()?)?)?;
            Form::Binary
        } else if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
            exponent += power;
            Form::Decimal
        } else {
            let power = suffix.strip_prefix(['e', 'E'])?;
            exponent = exponent.checked_add(power.parse::<i16>().ok()?.into())?;
            Form::Exponent
        };
        let sign = if is_negative { -1 } else { 1 };
        Some(Self { mantissa: mantissa * sign, exponent, form }.rounded())
    }

    pub(crate) fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    /// Rounds away from zero to the smallest part.
    fn rounded(mut self) -> Self {
        while self.exponent < SMALLEST {
            let rest = self.mantissa % 10;
            self.mantissa = self.mantissa / 10 + rest.signum();
            self.exponent += 1;
        }
        self
    }

    /// Returns the whole number that this is.
    fn integer(self) -> Option<i128> {
        let Ok(power) = u32::try_from(self.exponent) else {
            let divisor = 10i128.checked_pow(self.exponent.unsigned_abs())?;
            return (self.mantissa % divisor == 0).then(|| self.mantissa / divisor);
        };
        self.mantissa.checked_mul(10i128.checked_pow(power)?)
    }

    /// Returns the one form that all equal quantities of a kind are written in.
    pub(crate) fn canonical(self) -> Option<String> {
        if self.mantissa == 0 {
            return Some("0".to_owned());
        }
        let whole = self.integer().filter(|whole| whole.unsigned_abs() >= 1024);
        if let (Form::Binary, Some(mut amount)) = (self.form, whole) {
            let mut power = 0;
            while amount % 1024 == 0 && power + 1 < BINARY.len() {
                amount /= 1024;
                power += 1;
            }
            return Some(format!("{amount}{}", BINARY[power]));
        }
        let (mut amount, mut exponent) = (self.mantissa, self.exponent);
        while amount % 10 == 0 {
            amount /= 10;
            exponent += 1;
        }
        let rest = exponent.rem_euclid(3);
        amount = amount.checked_mul(10i128.pow(rest.unsigned_abs()))?;
        exponent -= rest;
        if self.form == Form::Exponent {
            return Some(if exponent == 0 {
                amount.to_string()
            } else {
                format!("{amount}e{exponent}")
            });
        }
        let suffix = DECIMAL.iter().find(|(_, power)| *power == exponent)?;
        Some(format!("{amount}{}", suffix.0))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Quantity {
    /// Amounts that do not fit cannot be compared.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |one: &Self| {
            let power = u32::try_from(one.exponent - exponent).ok()?;
            one.mantissa.checked_mul(10i128.checked_pow(power)?)
        };
        Some(scaled(self)?.cmp(&scaled(other)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_quantities_as_the_api_server_does() {
        let cases = [
            ("1", "1"),
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("0.1", "100m"),
            ("100m", "100m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e2", "1200"),
            ("1000k", "1M"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1000m", "-1"),
            ("+1", "1"),
            (".5", "500m"),
            ("1.", "1"),
            ("0.0000000001", "1n"),
            ("1000000000n", "1"),
            ("1Ei", "1Ei"),
        ];
        for (text, expected) in cases {
            let written = Quantity::parse(text).unwrap().canonical().unwrap();
            assert_eq!(written, expected, "{text}");
        }
    }

    #[test]
    fn reads_nothing_else() {
        for text in ["", "m", "1 G", "1.2.3", "1gb", "1e", "0x1", "1ki", "--1"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn compares_amounts() {
        let of = |text: &str| Quantity::parse(text).unwrap();
        assert!(of("1Gi") > of("1G") && of("100m") < of("1") && of("1000m") == of("1"));
    }

    proptest! {
        #[test]
        fn the_written_form_is_the_same_amount(
            text in r"-?[0-9]{1,6}(\.[0-9]{0,4})?(n|u|m|k|M|G|Ki|Mi|Gi|e[0-9])?",
        ) {
            let quantity = Quantity::parse(&text).unwrap();
            if let Some(written) = quantity.canonical() {
                let again = Quantity::parse(&written).unwrap();
                prop_assert_eq!(quantity, again);
                prop_assert_eq!(again.canonical(), Some(written));
            }
        }
    }
}
