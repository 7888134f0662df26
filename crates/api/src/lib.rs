//! Types of every custom resource, conditions, reasons, artifacts and inventory.
