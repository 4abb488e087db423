//! Taking back or bringing over one commit, or the part of it that concerns something.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{Conflict, ConflictCause, HistoryContext, field_context},
    id::AnyId,
    record::{self, EntityKey, RecordView},
};

use super::Project;
use crate::{
    merge::{MergeRules, record::Deleted, subtree},
    node::Value,
    overlay,
    rev::{Rev, RevBase},
    tree::TreeError,
    tx::{Committed, Step, TxError, TxMeta},
    version::VersionError,
    view::{ReadError, View},
};

/// Which part of a difference is meant; both lists narrow it down, empty ones do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub entities: Vec<AnyId>,
    /// The entities alone, without what cannot live without them.
    pub alone: bool,
    /// The fields of these histories: what `mixer` means.
    pub contexts: Vec<HistoryContext>,
}

impl Scope {
    pub fn all() -> Scope {
        Scope::default()
    }

    pub fn entity(id: impl Into<AnyId>) -> Scope {
        Scope { entities: vec![id.into()], alone: true, contexts: Vec::new() }
    }

    pub fn subtree(id: impl Into<AnyId>) -> Scope {
        Scope { entities: vec![id.into()], ..Scope::default() }
    }

    pub fn context(context: HistoryContext) -> Scope {
        Scope { contexts: vec![context], ..Scope::default() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    #[error("{rev} is the first commit: there is nothing before it to compare with")]
    First { rev: Rev },
    #[error("{rev} changed nothing of that kind")]
    Nothing { rev: Rev },
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<ReadError> for ScopeError {
    fn from(error: ReadError) -> ScopeError {
        ScopeError::Tx(error.into())
    }
}

impl From<TreeError> for ScopeError {
    fn from(error: TreeError) -> ScopeError {
        ScopeError::Tx(error.into())
    }
}

/// What a revert or a pick did.
#[derive(Clone, Debug)]
pub struct Taken {
    pub conflicts: Vec<Conflict>,
    pub committed: Committed,
}

impl Project {
    /// Takes back what a commit or a history entry changed. What was changed again since stays
    /// and becomes a conflict.
    pub fn revert(&mut self, rev: &Rev, scope: &Scope, meta: TxMeta) -> Result<Taken, ScopeError> {
        let (before, after) = self.both_sides(rev)?;
        let rules = MergeRules {
            ours_label: "present".into(),
            theirs_label: format!("revert of {rev}"),
            deleted: Deleted::KeepOurs,
            cause: Some(ConflictCause::ChangedSince),
        };
        self.take(
            rev,
            &after,
            &before,
            scope,
            &rules,
            TxMeta { label: label(&meta, format!("Revert {rev}")), ..meta },
        )
    }

    /// Does here what a commit or a history entry did elsewhere.
    pub fn pick(&mut self, rev: &Rev, scope: &Scope, meta: TxMeta) -> Result<Taken, ScopeError> {
        let (before, after) = self.both_sides(rev)?;
        let rules = MergeRules {
            ours_label: self.branch.clone(),
            theirs_label: rev.to_string(),
            deleted: Deleted::Keep,
            cause: None,
        };
        self.take(
            rev,
            &before,
            &after,
            scope,
            &rules,
            TxMeta { label: label(&meta, format!("Pick {rev}")), ..meta },
        )
    }

    /// Sets a part of the project back to how it was at a revision.
    pub fn restore(&mut self, rev: &Rev, scope: &Scope, meta: TxMeta) -> Result<Taken, ScopeError> {
        let (from, to) = (self.stored(), self.view_at(rev)?);
        let rules = MergeRules {
            ours_label: "present".into(),
            theirs_label: rev.to_string(),
            deleted: Deleted::Keep,
            cause: None,
        };
        self.take(
            rev,
            &from,
            &to,
            scope,
            &rules,
            TxMeta { label: label(&meta, format!("Restore from {rev}")), ..meta },
        )
    }

    /// The states before and behind a commit or a history entry.
    fn both_sides(&self, rev: &Rev) -> Result<(View, View), ScopeError> {
        if let Rev { base: RevBase::Op(seq), back: 0 } = rev {
            let row = self.repo.history_row(*seq).map_err(VersionError::from)?;
            let before = self.repo.version_at(row.seq.saturating_sub(1));
            let after = self.repo.version_at(row.seq);
            let view = |state| self.view.sibling(state);
            return Ok((
                view(before.map_err(VersionError::from)?),
                view(after.map_err(VersionError::from)?),
            ));
        }
        let commit = self.known_commit(self.resolve_commit(rev)?)?;
        let parent =
            commit.parents.first().ok_or_else(|| ScopeError::First { rev: rev.clone() })?;
        let before = self.known_commit(*parent)?.root;
        Ok((self.view_of_root(before)?, self.view_of_root(commit.root)?))
    }

    fn take(
        &mut self,
        rev: &Rev,
        from: &View,
        to: &View,
        scope: &Scope,
        rules: &MergeRules,
        meta: TxMeta,
    ) -> Result<Taken, ScopeError> {
        let steps = steps(from, to, scope)?;
        if steps.is_empty() {
            return Err(ScopeError::Nothing { rev: rev.clone() });
        }
        let mut tx = self.begin(meta);
        let conflicts = tx.merge_steps(steps, rules)?;
        let committed = tx.finish(true, false)?;
        Ok(Taken { conflicts, committed })
    }
}

fn label(meta: &TxMeta, otherwise: String) -> String {
    if meta.label.is_empty() { otherwise } else { meta.label.clone() }
}

/// The part of a difference that lies in a scope, in key order.
fn steps(from: &View, to: &View, scope: &Scope) -> Result<Vec<Step>, ScopeError> {
    let inside = keys_of(from, to, scope)?;
    let mut steps = Vec::new();
    for difference in from.state().diff(to.state()) {
        let difference = difference?;
        if inside.as_ref().is_some_and(|keys| !is_meant(keys, &difference.key)) {
            continue;
        }
        let bytes = |side: &Option<Value>| side.as_ref().map(|value| value.to_vec());
        let (base, mut theirs) = (bytes(&difference.before), bytes(&difference.after));
        if !scope.contexts.is_empty() {
            let contexts = &scope.contexts;
            match of_contexts(&difference.key, base.as_deref(), theirs.as_deref(), contexts) {
                Some(part) => theirs = part,
                None => continue,
            }
        }
        steps.push(Step { key: difference.key.to_vec(), base, theirs });
    }
    Ok(steps)
}

/// Whether a key is one of those, or lies inside a variant that is, or is one of those there.
fn is_meant(keys: &BTreeSet<Vec<u8>>, key: &[u8]) -> bool {
    keys.contains(key)
        || overlay::split(key).is_some_and(|(variant, inner)| {
            keys.contains(&EntityKey::standalone(variant).to_bytes()) || is_meant(keys, inner)
        })
}

/// The keys of a scope; none means all.
fn keys_of(from: &View, to: &View, scope: &Scope) -> Result<Option<BTreeSet<Vec<u8>>>, ReadError> {
    if scope.entities.is_empty() {
        return Ok(None);
    }
    let mut keys = BTreeSet::new();
    for view in [from, to] {
        for id in &scope.entities {
            match view.locate(*id)? {
                Some(key) if scope.alone => drop(keys.insert(key.to_bytes())),
                Some(top) => keys.extend(subtree(view, &top)?.iter().map(EntityKey::to_bytes)),
                None => {}
            }
        }
    }
    Ok(Some(keys))
}

/// The record with only the fields of some contexts changed; nothing where none is.
fn of_contexts(
    key: &[u8],
    from: Option<&[u8]>,
    to: Option<&[u8]>,
    contexts: &[HistoryContext],
) -> Option<Option<Vec<u8>>> {
    let kind = overlay::entity_key(key).ok()?.kind;
    let fields = |bytes: &[u8]| RecordView::parse(bytes).ok()?.fields().ok();
    let (Some(from), Some(to)) = (from, to) else {
        return contexts.contains(&field_context(kind, "")).then(|| to.map(<[u8]>::to_vec));
    };
    let (mut merged, to) = (fields(from)?, fields(to)?);
    let before = merged.clone();
    for (name, value) in to {
        if contexts.contains(&field_context(kind, &name)) {
            merged.insert(name, value);
        }
    }
    if merged == before {
        return None;
    }
    record::encode_fields(kind, merged).ok().map(Some)
}
