use super::*;

/// What the reference says; see `testdata/README.md`.
const GOLDEN: &str = include_str!("../../testdata/constraints.tsv");

fn accepts(constraint: &str, version: &str) -> bool {
    Constraint::parse(constraint).unwrap().matches(&Version::parse(version).unwrap())
}

#[test]
fn agrees_with_the_reference() {
    let mut lines = GOLDEN.lines();
    let versions: Vec<Version> = lines
        .next()
        .and_then(|line| line.split('\t').nth(2))
        .unwrap()
        .split(' ')
        .map(|text| Version::parse(text).unwrap())
        .collect();
    let mut checked = 0;
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        let actual = match Constraint::parse(columns[0]) {
            Err(_) => vec![columns[0].to_owned(), "error".to_owned()],
            Ok(constraint) => {
                let digit = |version| if constraint.matches(version) { '1' } else { '0' };
                let digits = versions.iter().map(digit).collect();
                vec![columns[0].to_owned(), constraint.to_string(), digits]
            }
        };
        assert_eq!(actual, columns);
        checked += 1;
    }
    assert!(checked > 100, "only {checked} constraints");
}

#[test]
fn keeps_prereleases_out_unless_a_part_has_one() {
    assert!(!accepts(">=1.0.0", "1.1.0-rc.1"));
    assert!(accepts(">=1.0.0-0", "1.1.0-rc.1"));
    // One part is enough for its alternative, and does not count for the other.
    assert!(accepts(">=1.0.0-0 <2.0.0", "1.1.0-rc.1"));
    assert!(!accepts("=3.0.0-rc.1 || >=1.0.0", "1.1.0-rc.1"));
}

#[test]
fn takes_prereleases_when_told_to() {
    let constraint = Constraint::parse(">=1.0.0").unwrap().with_prereleases();
    assert!(constraint.matches(&Version::parse("1.1.0-rc.1").unwrap()));
}

#[test]
fn says_what_is_wrong() {
    for (text, expected) in [
        ("1.2.3 || nonsense", ConstraintError::Improper(" nonsense".into())),
        ("1|2", ConstraintError::NotAVersion),
    ] {
        assert_eq!(Constraint::parse(text).unwrap_err(), expected);
    }
    let improper = Constraint::parse("nonsense").unwrap_err();
    assert_eq!(improper.to_string(), r#"improper constraint: "nonsense""#);
}

#[test]
fn limits_what_it_reads() {
    assert_eq!(Constraint::parse(&"1 ".repeat(257)).unwrap_err(), ConstraintError::TooLong);
    assert!(Constraint::parse(&vec!["1"; 32].join("||")).is_ok());
    let many = vec!["1"; 33].join("||");
    assert_eq!(Constraint::parse(&many).unwrap_err(), ConstraintError::TooManyAlternatives);
}
