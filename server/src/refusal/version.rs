//! Errors of versions, history and merges, as the wire says them.

use pulse_schemas::error::ErrorCode;
use pulse_store::{
    project::{HistoryError, MergeError, ResolveError, ScopeError},
    refs::RefsError,
    rev::ParseRevError,
    snapshot::{ExportError, ImportError},
    tree::TreeError,
    version::VersionError,
    view::ReadError,
};

use super::Refusal;

impl From<RefsError> for Refusal {
    fn from(error: RefsError) -> Refusal {
        Refusal::new(ErrorCode::ProjectCorrupt, error.to_string())
    }
}

impl From<TreeError> for Refusal {
    fn from(error: TreeError) -> Refusal {
        ReadError::from(error).into()
    }
}

impl From<ParseRevError> for Refusal {
    fn from(error: ParseRevError) -> Refusal {
        Refusal::new(ErrorCode::VersionNotFound, error.to_string())
    }
}

impl From<VersionError> for Refusal {
    fn from(error: VersionError) -> Refusal {
        let text = error.to_string();
        let code = match error {
            VersionError::UnknownRev { .. }
            | VersionError::BeforeFirst { .. }
            | VersionError::NoCommit { .. }
            | VersionError::UnknownBranch { .. }
            | VersionError::UnknownTag { .. }
            | VersionError::UnknownArrangementVersion { .. } => ErrorCode::VersionNotFound,
            VersionError::AmbiguousRev { .. } => ErrorCode::VersionAmbiguous,
            VersionError::BranchExists { .. }
            | VersionError::TagExists { .. }
            | VersionError::ArrangementVersionExists { .. } => ErrorCode::VersionExists,
            VersionError::BadName { .. } => ErrorCode::VersionName,
            VersionError::BranchOpen { .. } => ErrorCode::VersionCurrent,
            VersionError::Detached { id } => {
                return Refusal::new(ErrorCode::VersionDetached, text)
                    .with("commit", id.to_string());
            }
            VersionError::NothingToCommit => ErrorCode::VersionNothing,
            VersionError::CommitMissing { .. } => ErrorCode::ProjectCorrupt,
            VersionError::Refs(error) => return error.into(),
            VersionError::Tx(error) => return error.into(),
            VersionError::Repo(error) => return error.into(),
            VersionError::Tree(error) => return error.into(),
            VersionError::Read(error) => return error.into(),
        };
        Refusal::new(code, text)
    }
}

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Refusal {
        let text = error.to_string();
        match error {
            HistoryError::NothingToUndo { .. } | HistoryError::NothingToRedo { .. } => {
                Refusal::new(ErrorCode::HistoryEmpty, text)
            }
            HistoryError::OtherBranch { branch, .. } => {
                Refusal::new(ErrorCode::HistoryNotFound, text).with("branch", branch)
            }
            HistoryError::Newer { .. } => Refusal::new(ErrorCode::ProjectNewer, text),
            HistoryError::Repo(error) => error.into(),
            HistoryError::Tx(error) => error.into(),
        }
    }
}

impl From<MergeError> for Refusal {
    fn from(error: MergeError) -> Refusal {
        let text = error.to_string();
        match error {
            MergeError::Itself { .. } | MergeError::Unrelated { .. } => {
                Refusal::new(ErrorCode::VersionNothing, text)
            }
            MergeError::Unfinished { .. } => Refusal::new(ErrorCode::VersionMerging, text),
            MergeError::NoMerge => Refusal::new(ErrorCode::VersionNothing, text),
            MergeError::Version(error) => error.into(),
            MergeError::Tx(error) => error.into(),
        }
    }
}

impl From<ResolveError> for Refusal {
    fn from(error: ResolveError) -> Refusal {
        let text = error.to_string();
        match error {
            ResolveError::Unknown { id } => Refusal::not_found(id),
            ResolveError::SubjectGone { subject } => {
                Refusal::new(ErrorCode::EntityNotFound, text).with("entity", subject.to_string())
            }
            ResolveError::BadValue { .. } => {
                Refusal::new(ErrorCode::PayloadInvalid, text).with("path", "payload.take.value")
            }
            ResolveError::Tx(error) => error.into(),
        }
    }
}

impl From<ScopeError> for Refusal {
    fn from(error: ScopeError) -> Refusal {
        let text = error.to_string();
        match error {
            ScopeError::First { .. } | ScopeError::Nothing { .. } => {
                Refusal::new(ErrorCode::VersionNothing, text)
            }
            ScopeError::Version(error) => error.into(),
            ScopeError::Tx(error) => error.into(),
        }
    }
}

impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Refusal {
        let text = error.to_string();
        match error {
            ExportError::Write(source) => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
            }
            ExportError::Tree(error) => error.into(),
        }
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Refusal {
        let text = error.to_string();
        match error {
            ImportError::Io(source) => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
            }
            ImportError::Foreign | ImportError::Short { .. } => {
                Refusal::new(ErrorCode::PayloadInvalid, text).with("path", "payload.path")
            }
            ImportError::Line { line, .. } => Refusal::new(ErrorCode::PayloadInvalid, text)
                .with("path", "payload.path")
                .with("line", line),
            ImportError::Future { .. } => Refusal::new(ErrorCode::ProjectNewer, text),
            ImportError::Tx(error) => error.into(),
            ImportError::Tree(error) => error.into(),
        }
    }
}
