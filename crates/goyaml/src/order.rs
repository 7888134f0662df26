//! The order in which keys are written.

use std::cmp::Ordering;

/// Compares keys in the natural order of go-yaml: runs of digits by their number, letters after
/// other characters (before them behind a digit), shorter keys first.
///
/// Source: `keyList.Less`, go-yaml v2.4 `sorter.go`.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    let after_digit = at > 0 && is_digit(a[at - 1]);
    match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
        (true, true) => a[at].cmp(&b[at]),
        (true, false) if after_digit => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if after_digit => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            // Behind a number that has begun, a zero counts as a digit of it.
            let zero = a[at] == '0' || b[at] == '0';
            let begun = zero
                && a[..at].iter().rev().take_while(|c| is_digit(**c)).any(|digit| *digit != '0');
            let start = i64::from(begun);
            let (a_number, a_digits) = number(&a[at..], start);
            let (b_number, b_digits) = number(&b[at..], start);
            a_number.cmp(&b_number).then(a_digits.cmp(&b_digits)).then(a[at].cmp(&b[at]))
        }
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Reads digits, and returns their number and how many there were.
fn number(chars: &[char], start: i64) -> (i64, usize) {
    let digits = chars.iter().take_while(|c| is_digit(**c));
    digits.fold((start, 0), |(number, count), digit| {
        let digit = i64::from(digit.to_digit(10).unwrap_or(0));
        // Go lets it overflow; the order of such keys is arbitrary there, and stable here.
        (number.wrapping_mul(10).wrapping_add(digit), count + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_as_go_yaml_does() {
        let mut keys = ["b", "a10", "a2", "a", "B", "a-b", "ab", "1", "10", "2", "a1b", "a1-"];
        keys.sort_by(|a, b| compare_keys(a, b));
        assert_eq!(keys, ["1", "2", "10", "B", "a", "a-b", "a1b", "a1-", "a2", "a10", "ab", "b"]);
    }
}
