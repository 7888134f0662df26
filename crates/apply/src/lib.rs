//! Server-side apply: diff, apply, prune, wait.
