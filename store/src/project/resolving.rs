//! Settling what a merge left open.
//!
//! A conflict inside a variant has the variant as its subject and a path that leads on from
//! there (`overlay.<id>.<field>`), so that it needs no record of its own kind and settles by the
//! same rules, over the variant as if it played.

use pulse_schemas::{
    entity::{AnyEntity, Conflict, ConflictCause, Variant},
    id::{AnyId, ConflictId, VariantId},
    record::EntityKey,
};
use serde_json::Value;

use crate::{
    conflict::{self, subject_key},
    merge::record::from_json,
    overlay,
    staging::Staging,
    tx::{Tx, TxError, cascade},
    variant,
    view::ReadError,
};

/// Why a conflict could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no conflict {id}; it may have been settled already")]
    Unknown { id: ConflictId },
    #[error("{subject} of the conflict is gone; settle it as `ours` to drop the conflict")]
    SubjectGone { subject: AnyId },
    #[error("{field} cannot be {value}; give a value that the field can have")]
    BadValue { field: String, value: String },
    #[error(transparent)]
    Tx(#[from] TxError),
}

impl From<ReadError> for ResolveError {
    fn from(error: ReadError) -> ResolveError {
        ResolveError::Tx(error.into())
    }
}

/// How a conflict is settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    Ours,
    Theirs,
    Base,
    Value(Value),
}

impl Tx<'_> {
    /// Settles a conflict as part of this transaction.
    pub fn resolve(&mut self, id: ConflictId, resolution: &Resolution) -> Result<(), ResolveError> {
        let conflict = self.get::<Conflict>(id)?.ok_or(ResolveError::Unknown { id })?;
        self.remove(id)?;
        settle(self.raw()?, &conflict, resolution)
    }
}

fn settle(
    staging: &mut Staging,
    conflict: &Conflict,
    resolution: &Resolution,
) -> Result<(), ResolveError> {
    if let Some((variant, inner)) = conflict::inside(conflict, staging.view()?)? {
        return settle_inside(staging, variant, &inner, resolution);
    }
    let parse = |text: &Option<String>| {
        text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    let chosen = match resolution {
        Resolution::Ours => parse(&conflict.ours),
        Resolution::Theirs => parse(&conflict.theirs),
        Resolution::Base => parse(&conflict.base),
        Resolution::Value(value) => Some(value.clone()),
    };
    let Some(key) = subject_key(conflict) else { return Ok(()) };
    if conflict.field.is_empty() {
        resolve_whole(staging, conflict, key, resolution, chosen)
    } else {
        resolve_field(staging, conflict, key, resolution, chosen)
    }
}

fn settle_inside(
    staging: &mut Staging,
    id: VariantId,
    inner: &Conflict,
    resolution: &Resolution,
) -> Result<(), ResolveError> {
    let subject = id.any();
    let Some(variant) = staging.view()?.get::<Variant>(id)? else {
        let drops = *resolution == Resolution::Ours;
        return if drops { Ok(()) } else { Err(ResolveError::SubjectGone { subject }) };
    };
    let mut inside = Staging::new(variant::space(staging.view()?, &[variant.id])?);
    settle(&mut inside, inner, resolution)?;
    variant::make_inline(staging, &[id])?;
    for (key, _, value) in inside.written() {
        staging.write(overlay::key(&[id], &key), value)?;
    }
    Ok(())
}

fn remove_cascade(staging: &mut Staging, id: AnyId) -> Result<(), ResolveError> {
    let Some(key) = staging.locate(id)? else { return Ok(()) };
    let found = cascade(staging, key)?;
    found.cleared.iter().try_for_each(|entity| staging.put(entity))?;
    Ok(found.keys.iter().try_for_each(|key| staging.remove(key))?)
}

fn resolve_field(
    staging: &mut Staging,
    conflict: &Conflict,
    key: EntityKey,
    resolution: &Resolution,
    chosen: Option<Value>,
) -> Result<(), ResolveError> {
    let subject = key.any_id();
    let Some(key) = staging.locate(subject)? else {
        let drops = *resolution == Resolution::Ours;
        return if drops { Ok(()) } else { Err(ResolveError::SubjectGone { subject }) };
    };
    let entity = staging.entity(&key)?.ok_or(ResolveError::SubjectGone { subject })?;
    let mut fields = entity.fields();
    set_path(&mut fields, &conflict.field, chosen.clone());
    match AnyEntity::from_fields(key.kind, fields) {
        Ok((entity, _)) => Ok(staging.put(&entity)?),
        Err(_) => Err(ResolveError::BadValue {
            field: conflict.field.clone(),
            value: chosen.unwrap_or_default().to_string(),
        }),
    }
}

fn resolve_whole(
    staging: &mut Staging,
    conflict: &Conflict,
    key: EntityKey,
    resolution: &Resolution,
    chosen: Option<Value>,
) -> Result<(), ResolveError> {
    let subject = key.any_id();
    let present = staging.locate(subject)?;
    let Some(chosen) = chosen else {
        if present.is_some() {
            remove_cascade(staging, subject)?;
        }
        return Ok(());
    };
    // What was kept may have been worked on since; it stays as it is now.
    let was_deleted = conflict.ours.is_none() || conflict.theirs.is_none();
    let keeps = *resolution == Resolution::Ours
        || (was_deleted && !matches!(resolution, Resolution::Value(_) | Resolution::Base));
    if keeps && present.is_some() {
        return Ok(());
    }
    if *resolution == Resolution::Ours && conflict.cause == ConflictCause::BothAdded {
        return Ok(());
    }
    make_way(staging, conflict, subject)?;
    let bytes = from_json(key.kind, &chosen).ok_or_else(|| ResolveError::BadValue {
        field: subject.to_string(),
        value: "that".into(),
    })?;
    Ok(staging.write(key.to_bytes(), Some(bytes))?)
}

/// Two points met at one place and ours stayed: it goes when theirs is chosen.
fn make_way(
    staging: &mut Staging,
    conflict: &Conflict,
    subject: AnyId,
) -> Result<(), ResolveError> {
    let ours = conflict.ours.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let id = ours.as_ref().and_then(|ours: &Value| ours.get("id")?.as_str()?.parse().ok());
    if let Some(other) = id.filter(|id: &AnyId| *id != subject && id.kind == subject.kind)
        && staging.locate(other)?.is_some()
    {
        remove_cascade(staging, other)?;
    }
    Ok(())
}

/// Sets `gainDb`, or `params.cutoff` inside a map; nothing removes a map's entry.
fn set_path(fields: &mut serde_json::Map<String, Value>, path: &str, value: Option<Value>) {
    if let Some((name, key)) = path.split_once('.')
        && let Some(Value::Object(map)) = fields.get_mut(name)
    {
        match value {
            Some(value) => map.insert(key.to_owned(), value),
            None => map.remove(key),
        };
        return;
    }
    fields.insert(path.to_owned(), value.unwrap_or(Value::Null));
}
