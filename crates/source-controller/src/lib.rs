//! Fetches sources and serves them as artifacts.
