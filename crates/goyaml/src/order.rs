//! The order in which keys are written.

use std::cmp::Ordering;

/// Compares keys in the natural order of go-yaml: runs of digits by their number, letters after
/// other characters, shorter keys first.
///
/// Source: `keyList.Less`, go-yaml v2.4.3 `sorter.go`.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if let (true, true) = (a.is_ascii(), b.is_ascii()) {
        let ascii = |byte: &u8| char::from(*byte);
        let Some(at) = a.iter().zip(b).position(|(a, b)| a != b) else {
            return a.len().cmp(&b.len());
        };
        return differing(a, b, at, ascii);
    }
    let chars = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().collect::<Vec<char>>();
    let (a, b) = (chars(a), chars(b));
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    differing(&a, &b, at, |char| *char)
}

/// Sorts entries by their keys.
///
/// The order of go-yaml is no order: `a2`, `a10` and `a1b` come each before the next, and the last
/// before the first. So this does not lean on a sort that needs one, and first brings the entries
/// into an order of their own, for the same result from whatever they were in.
pub(crate) fn sort_by_key<T>(entries: &mut Vec<T>, key: impl Fn(&T) -> &str + Copy) {
    entries.sort_by(|a, b| key(a).cmp(key(b)));
    let in_order = |two: &[T]| compare_keys(key(&two[0]), key(&two[1])).is_le();
    if !entries.windows(2).all(in_order) {
        let halves = std::mem::take(entries);
        *entries = merge_sort(halves, key);
    }
}

fn merge_sort<T>(mut entries: Vec<T>, key: impl Fn(&T) -> &str + Copy) -> Vec<T> {
    if entries.len() < 2 {
        return entries;
    }
    let second = entries.split_off(entries.len() / 2);
    let mut first = merge_sort(entries, key).into_iter().peekable();
    let mut second = merge_sort(second, key).into_iter().peekable();
    let mut merged = Vec::with_capacity(first.len() + second.len());
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = if compare_keys(key(a), key(b)).is_le() { &mut first } else { &mut second };
        merged.extend(next.next());
    }
    merged.extend(first);
    merged.extend(second);
    merged
}

/// Compares keys that differ at a position and not before it.
fn differing<T>(a: &[T], b: &[T], at: usize, char: impl Fn(&T) -> char) -> Ordering {
    let (first, second) = (char(&a[at]), char(&b[at]));
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => first.cmp(&second),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            // Behind a number that has begun, a zero counts as a digit of it.
            let zero = first == '0' || second == '0';
            let mut before = a[..at].iter().rev().map(&char).take_while(char::is_ascii_digit);
            let start = i64::from(zero && before.any(|digit| digit != '0'));
            let (a_number, a_digits) = number(a[at..].iter().map(&char), start);
            let (b_number, b_digits) = number(b[at..].iter().map(&char), start);
            a_number.cmp(&b_number).then(a_digits.cmp(&b_digits)).then(first.cmp(&second))
        }
    }
}

/// Reads digits, and returns their number and how many there were.
fn number(chars: impl Iterator<Item = char>, start: i64) -> (i64, usize) {
    let digits = chars.map_while(|char| char.to_digit(10));
    digits.fold((start, 0), |(number, count), digit| {
        // Go lets it overflow; the order of such keys is arbitrary there, and stable here.
        (number.wrapping_mul(10).wrapping_add(i64::from(digit)), count + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_as_go_yaml_does() {
        let sorted = ["1", "2", "10", "B", "a", "a-b", "a1-", "a1b", "a01", "a3", "ab", "b", "é"];
        let mut keys = sorted;
        keys.reverse();
        let mut keys = keys.to_vec();
        sort_by_key(&mut keys, |key| key);
        assert_eq!(keys, sorted);
    }

    #[test]
    fn sorts_what_has_no_order() {
        let keys: Vec<String> =
            (0..300).map(|n| format!("a{}{}", n % 21, ["", "b"][n % 2])).collect();
        let mut other = keys.clone();
        other.reverse();
        let mut keys = keys;
        sort_by_key(&mut keys, String::as_str);
        sort_by_key(&mut other, String::as_str);
        assert_eq!(keys, other);
    }
}
