//! Merging, settling conflicts, taking back and bringing over commits.

use pulse_schemas::{
    command::{
        types::Scope as Part,
        version::{
            Applied, ConflictList, Conflicts, EntityDiff, Merge, MergePreview, Merged, Pick,
            Picked, Preview, PreviewReply, Resolution as Choice, Resolve, Resolved, Restore,
            Restored, Revert,
        },
    },
    entity::Conflict,
    error::ErrorCode,
    id::EntityKind,
};
use pulse_store::{
    project::{MergeKind, MergeOptions, Resolution, Scope, Taken},
    rev::{Rev, RevBase},
    tx::TxMeta,
    view::View,
};

use super::{
    branch_moved,
    describe::{counts, describe, told_conflicts, within},
    rev,
};
use crate::{
    commands::edit::{Edit, done, reply},
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn merge(session: &mut Session, payload: &Merge, meta: TxMeta) -> Reply {
    let before = session.project()?.stored();
    let from = rev(&payload.from)?;
    let options = MergeOptions { message: payload.message.clone(), no_commit: payload.no_commit };
    let outcome = session.project_mut()?.merge_with(&from, options, meta)?;
    session.committed(outcome.committed);
    if outcome.commit.is_some() && outcome.kind != MergeKind::UpToDate {
        branch_moved(session)?;
    }
    let changes = merged(&before, &session.project()?.stored())?;
    reply(Merged {
        up_to_date: outcome.kind == MergeKind::UpToDate,
        fast_forward: outcome.kind == MergeKind::FastForward,
        commit: outcome.commit,
        counts: counts(&changes),
        conflicts: told_conflicts(&session.project()?.stored(), outcome.conflicts)?,
    })
}

/// What a merge changes. Its conflicts are told beside it.
fn merged(before: &View, after: &View) -> Result<Vec<EntityDiff>, Refusal> {
    let mut changes = describe(before, after, &Part::default())?;
    changes.retain(|change| change.id.kind != EntityKind::Conflict);
    Ok(changes)
}

pub fn preview(session: &Session, payload: &MergePreview) -> Reply {
    let project = session.project()?;
    let here = payload.into.as_ref().map(rev).transpose()?.unwrap_or_else(Rev::working);
    let is_here = here == Rev::working() || here == Rev::name(project.branch_name());
    if !is_here {
        let text = format!("a preview merges into the working copy; switch to {here} first");
        return Err(Refusal::new(ErrorCode::VersionNotFound, text).with("path", "payload.into"));
    }
    let from = rev(&payload.from)?;
    let preview = project.merge_preview(&from)?;
    let base = project.merge_bases(project.tip()?, project.resolve_commit(&from)?)?;
    let changes = merged(&project.stored(), &preview.view)?;
    reply(PreviewReply {
        preview: Preview {
            base,
            up_to_date: preview.kind == MergeKind::UpToDate,
            fast_forward: preview.kind == MergeKind::FastForward,
            counts: counts(&changes),
            changes,
            conflicts: told_conflicts(&preview.view, preview.conflicts)?,
        },
    })
}

pub fn abort(session: &mut Session, meta: TxMeta) -> Reply {
    let committed = session.project_mut()?.abort_merge(meta)?;
    session.committed(committed);
    session.settled()?;
    done()
}

pub fn conflicts(session: &Session, payload: &Conflicts) -> Reply {
    let view = session.view()?;
    let mut conflicts = Vec::new();
    for conflict in session.project()?.conflicts()? {
        if concerns(&view, &conflict, &payload.scope)? {
            conflicts.push(conflict);
        }
    }
    let conflicts = told_conflicts(&session.project()?.stored(), conflicts)?;
    reply(ConflictList { conflicts })
}

fn concerns(view: &View, conflict: &Conflict, scope: &Part) -> Result<bool, Refusal> {
    let Some(subject) = conflict.subject else { return Ok(true) };
    let entity = view.any(subject)?;
    let owner = conflict.subject_owner.is_some_and(|owner| scope.entities.contains(&owner));
    let field = conflict.field.split('.').next().unwrap_or_default();
    let context = pulse_schemas::entity::field_context(subject.kind, field);
    let in_context = scope.contexts.is_empty() || scope.contexts.contains(&context);
    Ok(in_context && (owner || within(view, entity.as_ref(), subject, scope)?))
}

pub fn resolve(edit: &mut Edit<'_, '_>, payload: &Resolve) -> Reply {
    let resolution = match &payload.take {
        Choice::Ours => Resolution::Ours,
        Choice::Theirs => Resolution::Theirs,
        Choice::Base => Resolution::Base,
        Choice::Value { value } => Resolution::Value(value.clone()),
    };
    let mut chosen = payload.conflicts.clone();
    if chosen.is_empty() {
        chosen = edit.all::<Conflict>()?.into_iter().map(|conflict| conflict.id).collect();
    }
    if chosen.is_empty() {
        return Err(Refusal::new(ErrorCode::VersionNothing, "there is no conflict to decide"));
    }
    for id in &chosen {
        edit.tx.resolve(*id, &resolution)?;
    }
    edit.label(match chosen.len() {
        1 => "Resolve a conflict".to_owned(),
        count => format!("Resolve {count} conflicts"),
    });
    let remaining = edit.all::<Conflict>()?.len() as u64;
    reply(Resolved { remaining })
}

pub fn revert(session: &mut Session, payload: &Revert, meta: TxMeta) -> crate::commands::Whole {
    let (rev, scope) = (rev(&payload.rev)?, scope(&payload.scope));
    let before = session.project()?.stored();
    let meta = TxMeta { label: told(session, "Revert", &rev, &payload.scope)?, ..meta };
    let Taken { conflicts, committed } = session.project_mut()?.revert(&rev, &scope, meta)?;
    let after = session.project()?.stored();
    let changes = describe(&before, &after, &Part::default())?;
    let conflicts = told_conflicts(&after, conflicts)?;
    Ok((reply(Applied { changes, conflicts })?, committed))
}

pub fn pick(session: &mut Session, payload: &Pick, meta: TxMeta) -> crate::commands::Whole {
    let (rev, scope) = (rev(&payload.rev)?, scope(&payload.scope));
    let before = session.project()?.stored();
    let meta = TxMeta { label: told(session, "Pick", &rev, &payload.scope)?, ..meta };
    let Taken { conflicts, committed } = session.project_mut()?.pick(&rev, &scope, meta)?;
    let after = session.project()?.stored();
    let changes = describe(&before, &after, &Part::default())?;
    let conflicts = told_conflicts(&after, conflicts)?;
    Ok((reply(Picked { changes, conflicts })?, committed))
}

pub fn restore(session: &mut Session, payload: &Restore, meta: TxMeta) -> crate::commands::Whole {
    let (rev, scope) = (rev(&payload.rev)?, scope(&payload.scope));
    let before = session.project()?.stored();
    let meta = TxMeta { label: format!("Restore from {rev}"), ..meta };
    let Taken { committed, .. } = session.project_mut()?.restore(&rev, &scope, meta)?;
    let changes = describe(&before, &session.project()?.stored(), &Part::default())?;
    Ok((reply(Restored { changes })?, committed))
}

/// `Revert "Chorus" (mixer)`.
fn told(session: &Session, verb: &str, rev: &Rev, part: &Part) -> Result<String, Refusal> {
    let what = match rev.base {
        RevBase::Op(_) => rev.to_string(),
        _ => {
            let commit = session.project()?.show(rev)?.commit;
            format!("\"{}\"", commit.message.lines().next().unwrap_or_default())
        }
    };
    let contexts: Vec<&str> = part.contexts.iter().map(|context| context.name()).collect();
    let limit = match (part.entities.len(), contexts.is_empty()) {
        (0, true) => String::new(),
        (0, false) => format!(" ({})", contexts.join(", ")),
        _ => " in part".to_owned(),
    };
    Ok(format!("{verb} {what}{limit}"))
}

fn scope(part: &Part) -> Scope {
    Scope { entities: part.entities.clone(), alone: false, contexts: part.contexts.clone() }
}
