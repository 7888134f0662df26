//! Throwaway servers and clusters for tests.

pub mod cluster;

pub use cluster::cluster;
