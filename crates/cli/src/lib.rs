//! The tidegate command.
