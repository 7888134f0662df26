//! Structured merge and diff: typed schemas, field sets, server-side apply.
