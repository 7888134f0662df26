//! Makes clusters equal to what artifacts declare.
