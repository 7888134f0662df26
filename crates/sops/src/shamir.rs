//! Puts a secret together from its shares.
//!
//! Source: `shamir/shamir.go`, SOPS 3.13. A share is a point for every byte of the secret, with the
//! coordinate that all have in common at its end.

use zeroize::Zeroizing;

/// Why shares make no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// One share says nothing.
    #[error("less than two parts cannot be used to reconstruct the secret")]
    TooFew,
    /// A share is empty.
    #[error("parts must be at least two bytes")]
    TooShort,
    /// The shares are not of one secret.
    #[error("all parts must be the same length")]
    Lengths,
    /// Two shares are the same, or one is no share.
    #[error("duplicate part detected")]
    Duplicate,
}

/// Returns the secret of at least two shares.
pub(crate) fn combine(shares: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, ShamirError> {
    let [first, _, ..] = shares else { return Err(ShamirError::TooFew) };
    let Some(length) = first.len().checked_sub(1).filter(|length| *length > 0) else {
        return Err(ShamirError::TooShort);
    };
    if shares.iter().any(|share| share.len() != length + 1) {
        return Err(ShamirError::Lengths);
    }
    let points: Vec<u8> = shares.iter().map(|share| share[length]).collect();
    let mut seen = [false; 256];
    for point in &points {
        if std::mem::replace(&mut seen[usize::from(*point)], true) {
            return Err(ShamirError::Duplicate);
        }
    }
    let weights: Vec<u8> = (0..points.len()).map(|at| weight(&points, at)).collect();
    let byte = |at: usize| {
        let values = shares.iter().zip(&weights);
        values.fold(0, |sum, (share, weight)| sum ^ multiply(share[at], *weight))
    };
    Ok(Zeroizing::new((0..length).map(byte).collect()))
}

/// Returns how much a share counts at zero, which is where the secret is.
fn weight(points: &[u8], at: usize) -> u8 {
    let others = points.iter().enumerate().filter(|(other, _)| *other != at);
    others.fold(1, |product, (_, other)| {
        let factor = multiply(*other, inverse(points[at] ^ other));
        multiply(product, factor)
    })
}

/// Multiplies in the field of AES. The time it takes does not depend on the numbers.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0u8, |sum, bit| {
        let reduce = (sum >> 7).wrapping_neg() & 0x1b;
        let add = ((b >> bit) & 1).wrapping_neg() & a;
        (sum << 1) ^ reduce ^ add
    })
}

/// Returns the inverse, which is the 254th power; that of zero is zero.
fn inverse(a: u8) -> u8 {
    (0..6).fold(multiply(a, a), |power, _| {
        let next = multiply(power, a);
        multiply(next, next)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns shares of a secret, of which as many are needed as there are coefficients, and one.
    fn split(secret: &[u8], coefficients: &[Vec<u8>], count: u8) -> Vec<Vec<u8>> {
        let share = |x: u8| {
            let bytes = secret.iter().enumerate().map(|(at, byte)| {
                let higher = coefficients.iter().rev();
                multiply(higher.fold(0, |sum, row| multiply(sum, x) ^ row[at]), x) ^ byte
            });
            bytes.chain([x]).collect()
        };
        (1..=count).map(share).collect()
    }

    #[test]
    fn inverts() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn refuses_what_are_no_shares() {
        let combine = |shares: &[&[u8]]| combine(shares).map(|secret| secret.to_vec());
        assert_eq!(combine(&[b"ab"]), Err(ShamirError::TooFew));
        assert_eq!(combine(&[b"a", b"b"]), Err(ShamirError::TooShort));
        assert_eq!(combine(&[b"", b""]), Err(ShamirError::TooShort));
        assert_eq!(combine(&[b"ab", b"abc"]), Err(ShamirError::Lengths));
        assert_eq!(combine(&[b"ab", b"cb"]), Err(ShamirError::Duplicate));
    }

    proptest! {
        #[test]
        fn any_shares_that_are_enough_make_the_secret(
            secret in proptest::collection::vec(any::<u8>(), 32),
            coefficients in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 32), 1..4),
            order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let shares = split(&secret, &coefficients, 6);
            let chosen: Vec<&[u8]> =
                order[..=coefficients.len()].iter().map(|at| shares[*at].as_slice()).collect();
            prop_assert_eq!(combine(&chosen).unwrap().to_vec(), secret);
        }
    }
}
