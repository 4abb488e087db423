//! Errors of the parts below, as the wire says them.
//!
//! Every error of a user becomes a code that programs can act on; what is left
//! is `internal.error`, and that is a defect to report.

mod version;

use pulse_schemas::{
    entity::Violation,
    error::{ErrorBody, ErrorCode},
    id::AnyId,
    record::RecordError,
};
use pulse_store::{
    invariants::Breach,
    project::OpenError,
    repo::{LockError, OpenError as StoreError, RepoError},
    tx::TxError,
    view::ReadError,
};

/// Why a command was not done.
#[derive(Debug)]
pub struct Refusal(pub ErrorBody);

pub type Reply = Result<serde_json::Value, Refusal>;

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal(ErrorBody::new(code, message))
    }

    pub fn with(self, key: &str, value: impl Into<serde_json::Value>) -> Refusal {
        Refusal(self.0.with(key, value))
    }

    pub fn not_found(id: impl Into<AnyId>) -> Refusal {
        let id = id.into();
        Refusal::new(ErrorCode::EntityNotFound, format!("there is no {} {id}", id.kind))
            .with("entity", id.to_string())
    }

    pub fn range(path: &str, message: impl Into<String>) -> Refusal {
        Refusal::new(ErrorCode::RangeInvalid, message).with("path", path)
    }

    pub fn internal(what: impl std::fmt::Display) -> Refusal {
        Refusal::new(ErrorCode::InternalError, what.to_string())
    }
}

impl From<ErrorBody> for Refusal {
    fn from(body: ErrorBody) -> Refusal {
        Refusal(body)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        Refusal::internal(error)
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        Refusal::from(&error)
    }
}

impl From<&ReadError> for Refusal {
    fn from(error: &ReadError) -> Refusal {
        let text = error.to_string();
        match error {
            ReadError::WrongKind { id, expected } => Refusal::new(ErrorCode::EntityWrongKind, text)
                .with("entity", id.to_string())
                .with("expected", expected.name()),
            ReadError::Record { id, source: RecordError::FromTheFuture { .. } } => {
                Refusal::new(ErrorCode::EntityOpaque, text).with("entity", id.to_string())
            }
            _ => Refusal::new(ErrorCode::ProjectCorrupt, text),
        }
    }
}

impl From<RepoError> for Refusal {
    fn from(error: RepoError) -> Refusal {
        let text = error.to_string();
        match error {
            RepoError::ReadOnly { .. } => Refusal::new(ErrorCode::ProjectReadOnly, text)
                .with("reason", "it was opened read-only"),
            RepoError::Failed(source) => {
                Refusal::new(ErrorCode::ProjectReadOnly, text).with("reason", source.to_string())
            }
            RepoError::Backend(source) => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
            }
            RepoError::NoSuchRow { .. } => Refusal::new(ErrorCode::HistoryNotFound, text),
            RepoError::Tree(_)
            | RepoError::DamagedRow { .. }
            | RepoError::HistoryMismatch { .. } => Refusal::new(ErrorCode::ProjectCorrupt, text),
        }
    }
}

impl From<TxError> for Refusal {
    fn from(error: TxError) -> Refusal {
        let text = error.to_string();
        match error {
            TxError::NotFound { id } => Refusal::not_found(id),
            TxError::Newer { id } => {
                Refusal::new(ErrorCode::EntityOpaque, text).with("entity", id.to_string())
            }
            TxError::Breach(breach) => breach.into(),
            TxError::Read(error) => error.into(),
            TxError::Repo(error) => error.into(),
            TxError::Shared { id, .. } => {
                Refusal::new(ErrorCode::EntityInvalid, text).with("entity", id.to_string())
            }
            TxError::OnlyInside { id, field, target, variant } => {
                Refusal::new(ErrorCode::EntityInvalid, text)
                    .with("entity", id.to_string())
                    .with("path", field)
                    .with("target", target.to_string())
                    .with("variant", variant.any().to_string())
            }
            other => Refusal::internal(other),
        }
    }
}

impl From<Breach> for Refusal {
    fn from(breach: Breach) -> Refusal {
        let text = breach.to_string();
        let code = match &breach {
            Breach::Invalid { .. } => ErrorCode::EntityInvalid,
            Breach::Dangling { .. } => ErrorCode::EntityNotFound,
            Breach::StillNamed { .. } | Breach::Orphans { .. } => ErrorCode::EntityInUse,
            Breach::TrackLoop { .. } => ErrorCode::EntityCycle,
            Breach::RoutingLoop { .. } | Breach::WireLoop { .. } => ErrorCode::RoutingCycle,
            Breach::SecondMaster { .. } => ErrorCode::RoutingMaster,
            _ => ErrorCode::EntityInvalid,
        };
        let refusal = Refusal::new(code, text);
        let refusal = match breach.subject() {
            Some(subject) => refusal.with("entity", subject.to_string()),
            None => refusal,
        };
        match breach {
            Breach::Invalid { violations, .. } => with_violations(refusal, &violations),
            Breach::Dangling { field, target, .. } => {
                refusal.with("path", field).with("target", target.to_string())
            }
            Breach::RoutingLoop { path, .. } => {
                let path: Vec<String> = path.iter().map(|id| id.to_string()).collect();
                refusal.with("path", path)
            }
            Breach::WireLoop { path, .. } => {
                let path: Vec<String> = path.iter().map(|id| id.to_string()).collect();
                refusal.with("path", path)
            }
            Breach::StillNamed { by, .. } => refusal.with("users", vec![by.to_string()]),
            _ => refusal,
        }
    }
}

fn with_violations(refusal: Refusal, violations: &[Violation]) -> Refusal {
    let path = violations.first().map(|violation| violation.field.clone());
    let all = serde_json::to_value(violations).unwrap_or_default();
    refusal.with("path", path).with("violations", all)
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Refusal {
        let text = error.to_string();
        match error {
            OpenError::DraftLeft { .. } => Refusal::new(ErrorCode::ProjectDraftPending, text),
            OpenError::Repo(error) => error.into(),
            OpenError::Setup(error) => error.into(),
            OpenError::Folder { source, .. } => {
                Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
            }
            OpenError::Store(source) => store(&source, text),
            OpenError::Version(error) => error.into(),
            _ => Refusal::new(ErrorCode::ProjectCorrupt, text),
        }
    }
}

fn store(error: &StoreError, text: String) -> Refusal {
    match error {
        StoreError::NotAStore { .. } => Refusal::new(ErrorCode::ProjectNotFound, text),
        StoreError::Exists { .. } => Refusal::new(ErrorCode::ProjectExists, text),
        StoreError::Future { .. } => Refusal::new(ErrorCode::ProjectNewer, text),
        StoreError::Lock(LockError::Held { holder, .. }) => {
            let socket = holder.socket.as_ref().map(|path| path.display().to_string());
            Refusal::new(ErrorCode::ProjectLocked, text)
                .with("pid", holder.pid)
                .with("socket", socket)
        }
        StoreError::Lock(LockError::HeldByUnknown { .. }) => {
            Refusal::new(ErrorCode::ProjectLocked, text)
        }
        // A full disk or a folder without rights is no damage.
        StoreError::Lock(LockError::Io { source, .. }) => {
            Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
        }
        StoreError::Io { source, .. } => {
            Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
        }
        StoreError::Backend(source) => {
            Refusal::new(ErrorCode::IoFailed, text).with("reason", source.to_string())
        }
        _ => Refusal::new(ErrorCode::ProjectCorrupt, text),
    }
}
