//! Throwaway servers and clusters for tests.

pub mod artifact;
pub mod cluster;

pub use cluster::cluster;
