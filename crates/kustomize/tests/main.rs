//! Whole builds, in one program.

mod builds;
mod cases;
mod conformance;
#[expect(clippy::disallowed_methods, reason = "reads the disk for the pure crate")]
mod disk;
mod fuzz;
mod limits;
mod oracle;
