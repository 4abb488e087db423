//! Setting part of the project back to how it was.

use pulse_schemas::{
    command::{
        types::Scope,
        version::{Restore, Restored},
    },
    entity::{AnyEntity, HistoryContext, field_context},
    error::ErrorCode,
};
use pulse_store::{
    changes::Change,
    diff,
    tx::{Committed, TxMeta},
    view::View,
};
use serde_json::Value;

use super::{
    describe::{describe, within},
    rev,
};
use crate::{commands::edit::reply, refusal::Refusal, session::Session};

pub fn restore(
    session: &mut Session,
    payload: &Restore,
    meta: TxMeta,
) -> Result<(Value, Committed), Refusal> {
    let project = session.project_mut()?;
    let (present, past) = (project.view(), project.view_at(&rev(&payload.rev)?)?);
    let label = format!("Restore from {}", payload.rev.0);
    let mut tx = project.begin(TxMeta { label, ..meta });
    let mut found = false;
    for change in diff::changes(&present, &past)? {
        if !concerns(&present, &past, &change, &payload.scope)? {
            continue;
        }
        match (change.before, change.after) {
            (before, Some(after)) => {
                let Some(entity) = narrowed(before, after, &payload.scope.contexts)? else {
                    continue;
                };
                tx.put(entity)?;
            }
            (Some(before), None) if whole(&before, &payload.scope.contexts) => {
                tx.remove(before.any_id())?;
            }
            _ => continue,
        }
        found = true;
    }
    if !found {
        let text = format!("nothing of that is different at {}", payload.rev.0);
        return Err(Refusal::new(ErrorCode::VersionNothing, text));
    }
    let committed = tx.commit()?;
    let changes = describe(&present, &session.view()?, &Scope::default())?;
    Ok((reply(Restored { changes })?, committed))
}

fn concerns(present: &View, past: &View, change: &Change, scope: &Scope) -> Result<bool, Refusal> {
    let id = change.key.any_id();
    Ok(within(present, change.before.as_ref(), id, scope)?
        || within(past, change.after.as_ref(), id, scope)?)
}

/// Whether an entity comes and goes with one of the contexts.
fn whole(entity: &AnyEntity, contexts: &[HistoryContext]) -> bool {
    contexts.is_empty() || contexts.contains(&field_context(entity.kind(), ""))
}

/// The present entity with the fields of the wanted contexts as they were.
fn narrowed(
    before: Option<AnyEntity>,
    after: AnyEntity,
    contexts: &[HistoryContext],
) -> Result<Option<AnyEntity>, Refusal> {
    let kind = after.kind();
    let wanted =
        |field: &str| contexts.is_empty() || contexts.contains(&field_context(kind, field));
    let Some(before) = before else { return Ok(Some(after).filter(|it| whole(it, contexts))) };
    let mut fields = before.fields();
    for (name, value) in after.fields() {
        if wanted(&name) {
            fields.insert(name, value);
        }
    }
    let (entity, _) = AnyEntity::from_fields(kind, fields)?;
    Ok(Some(entity).filter(|entity| *entity != before))
}
