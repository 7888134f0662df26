//! Fields that a write cannot change, and that its manager therefore does not own.

use crate::fields::FieldSet;

/// Returns the fields that are reset in writes to an object or subresource of a kind.
///
/// `has_status` says whether the kind has a status subresource; `custom` whether it is defined by a
/// CustomResourceDefinition.
///
/// Source: `GetResetFields` of the registries, Kubernetes 1.36.
pub fn reset_fields(
    group: &str,
    kind: &str,
    custom: bool,
    has_status: bool,
    subresource: &str,
) -> FieldSet {
    let fields: &[&str] = match (subresource, group, kind) {
        ("status", ..) if custom => &["metadata", "spec"],
        ("status", "apps", "Deployment") => &["spec", "metadata.labels"],
        ("status", "", "Pod") => {
            &["spec", "metadata.deletionTimestamp", "metadata.ownerReferences"]
        }
        ("status", "flowcontrol.apiserver.k8s.io" | "admissionregistration.k8s.io", _) => {
            &["metadata", "spec"]
        }
        ("status", "certificates.k8s.io", _) => &["spec", "status.conditions"],
        ("approval", ..) => &["spec", "status.certificate"],
        ("status", ..) => &["spec"],
        ("" | "finalize", "certificates.k8s.io", "CertificateSigningRequest") => {
            &["spec", "status"]
        }
        ("" | "finalize", ..) if has_status => &["status"],
        _ => &[],
    };
    FieldSet::of_fields(fields.iter().copied())
}
