//! The reasons that conditions and events give.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*
    };
}

reasons! {
    /// The step succeeded.
    SUCCEEDED = "Succeeded";
    /// Work is under way.
    PROGRESSING = "Progressing";
    /// The last attempt failed, and another will be made.
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry";
    /// Reconciliation is off.
    SUSPENDED = "Suspended";
    /// The step failed for a reason that has no name of its own.
    FAILED = "Failed";
    /// A reference to another namespace is not allowed.
    ACCESS_DENIED = "AccessDenied";
    /// A feature gate that the object needs is off.
    FEATURE_GATE_DISABLED = "FeatureGateDisabled";
    /// A field that is set has no effect in this version, and ignoring it would mislead.
    UNSUPPORTED_FIELD = "UnsupportedField";

    /// The source gave a new artifact.
    NEW_ARTIFACT = "NewArtifact";
    /// The stored artifact is that of the remote revision.
    ARTIFACT_UP_TO_DATE = "ArtifactUpToDate";
    /// The source has a new revision.
    NEW_REVISION = "NewRevision";
    /// An included artifact has changed.
    INCLUDE_CHANGE = "IncludeChange";
    /// The credentials are missing, malformed or refused.
    AUTHENTICATION_FAILED = "AuthenticationFailed";
    /// The address of the source is not usable.
    URL_INVALID = "URLInvalid";
    /// The repository could not be listed, fetched or checked out.
    GIT_OPERATION_FAILED = "GitOperationFailed";
    /// The repository could be listed, fetched or checked out.
    GIT_OPERATION_SUCCEEDED = "GitOperationSucceeded";
    /// The repository has no commits.
    EMPTY_GIT_REPOSITORY = "EmptyGitRepository";
    /// The provider and its credentials do not go together.
    INVALID_PROVIDER_CONFIGURATION = "InvalidProviderConfiguration";
    /// An included repository does not exist.
    NOT_FOUND = "NotFound";
    /// An included repository has no artifact yet.
    NO_ARTIFACT = "NoArtifact";
    /// A repository includes itself, directly or through others.
    CIRCULAR_INCLUDE = "CircularInclude";
    /// A path leaves the directory that it has to stay in.
    ILLEGAL_PATH = "IllegalPath";
    /// An included artifact could not be copied.
    COPY_FAILURE = "CopyFailure";
    /// The ignore rules could not be read.
    SOURCE_IGNORE_ERROR = "SourceIgnoreError";
    /// A directory could not be created.
    DIRECTORY_CREATION_FAILED = "DirectoryCreationFailed";
    /// A file could not be inspected.
    STAT_OPERATION_FAILED = "StatOperationFailed";
    /// A path is not what it has to be.
    INVALID_PATH = "InvalidPath";
    /// The artifact could not be written.
    ARCHIVE_OPERATION_FAILED = "ArchiveOperationFailed";
    /// The stored file is not the one that was recorded.
    ARTIFACT_VERIFICATION_FAILED = "ArtifactVerificationFailed";
    /// Old artifacts could be removed.
    GARBAGE_COLLECTION_SUCCEEDED = "GarbageCollectionSucceeded";
    /// Old artifacts could not be removed.
    GARBAGE_COLLECTION_FAILED = "GarbageCollectionFailed";
    /// A signature is missing or not valid.
    VERIFICATION_ERROR = "VerificationError";

    /// The artifact could not be found, downloaded, verified or unpacked.
    ARTIFACT_FAILED = "ArtifactFailed";
    /// A dependency is not ready.
    DEPENDENCY_NOT_READY = "DependencyNotReady";
    /// The objects could not be built.
    BUILD_FAILED = "BuildFailed";
    /// The objects could not be applied.
    RECONCILIATION_FAILED = "ReconciliationFailed";
    /// The objects were applied and are healthy.
    RECONCILIATION_SUCCEEDED = "ReconciliationSucceeded";
    /// Stale objects could not be deleted.
    PRUNE_FAILED = "PruneFailed";
    /// The applied objects did not become healthy.
    HEALTH_CHECK_FAILED = "HealthCheckFailed";
    /// The wait for health was ended by newer work.
    HEALTH_CHECK_CANCELED = "HealthCheckCanceled";
    /// More would be deleted than the limit allows without confirmation.
    PRUNE_LIMIT_EXCEEDED = "PruneLimitExceeded";
    /// An annotation has a value that it cannot have.
    INVALID_ANNOTATION = "InvalidAnnotation";
    /// A CEL expression cannot be read.
    INVALID_CEL_EXPRESSION = "InvalidCELExpression";
}
