//! Throwaway servers and clusters for tests.

pub mod artifact;
pub mod certificate;
pub mod cluster;
pub mod control_plane;
pub mod git_server;
pub mod proxy;
pub mod repository;
pub mod service;
pub mod ssh_server;
pub mod wait;

pub use cluster::cluster;
