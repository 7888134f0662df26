//! What makes a process a controller.
