//! Behaviour of the shipped binaries, end to end.
