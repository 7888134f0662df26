//! Throwaway servers and clusters for tests.
