//! Names of objects, made up.

use uuid::Uuid;

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const LONGEST_BASE: usize = 58;

/// Returns a prefix with five random characters.
pub(crate) fn generate(prefix: &str) -> String {
    let mut base: String = prefix.chars().take(LONGEST_BASE).collect();
    let random = Uuid::new_v4();
    let picks = random.as_bytes().iter().take(5);
    base.extend(picks.map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])));
    base
}
