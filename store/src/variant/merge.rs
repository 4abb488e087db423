//! Merging what lies inside of variants.
//!
//! The overlays of all sides are laid over one and the same state, the merged rest, and merged
//! like projects: per entity and field, with the pass over the references. So whatever is true
//! of a merge is true inside of a variant, and inside of a variant in it.

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{Conflict, ConflictCause, Variant},
    id::{EntityId, VariantId},
    record::EntityKey,
};

use super::{lay_over, make_inline, settle_where};
use crate::{
    conflict,
    merge::{
        MergeRules, Settler, Sides, merge_states,
        record::{Deleted, whole},
    },
    overlay::{self, Records},
    staging::Staging,
    view::{ReadError, View},
};

fn records(view: &View, id: VariantId) -> Result<Option<Records>, ReadError> {
    match view.get::<Variant>(id)? {
        Some(variant) => Ok(Some(overlay::records(view, &variant)?)),
        None => Ok(None),
    }
}

/// A variant that one side has and the other does not: new, deleted, or deleted by one while the
/// other worked inside of it.
pub(crate) fn come_or_go(
    staging: &mut Staging,
    settler: &mut Settler,
    sides: &Sides<'_>,
    rules: &MergeRules,
    id: VariantId,
) -> Result<(), ReadError> {
    let known = sides.bases.iter().map(|base| records(base, id)).collect::<Result<Vec<_>, _>>()?;
    let worked = |records: &Records| known.iter().flatten().any(|base| base != records);
    let (ours, theirs) = (records(sides.ours, id)?, records(sides.theirs, id)?);
    let cause = match (ours, theirs) {
        (Some(ours), None) if worked(&ours) => ConflictCause::DeletedByThem,
        (None, Some(theirs)) if worked(&theirs) => ConflictCause::DeletedByUs,
        (None, Some(theirs)) if known.iter().all(Option::is_none) => {
            for (key, value) in theirs {
                staging.write(overlay::key(&[id], &key), Some(value))?;
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    let key = EntityKey::standalone(id);
    if rules.deleted == Deleted::Keep {
        settler.revive(key, cause);
        return Ok(());
    }
    let record = |view: &View| view.record(&key).map(|it| it.map(|bytes| bytes.to_vec()));
    let base = sides.bases.first().map(record).transpose()?.flatten();
    let (ours, theirs) = (record(sides.ours)?, record(sides.theirs)?);
    staging.write(key.to_bytes(), ours.clone())?;
    settler.undecide(key, whole(cause, base.as_deref(), ours.as_deref(), theirs.as_deref()));
    Ok(())
}

/// Merges a variant that both sides have; the conflicts inside.
pub(crate) fn inside(
    staging: &mut Staging,
    sides: &Sides<'_>,
    rules: &MergeRules,
    new_id: &mut dyn FnMut() -> EntityId,
    id: VariantId,
) -> Result<Vec<Conflict>, ReadError> {
    let (Some(ours), Some(theirs)) = (records(sides.ours, id)?, records(sides.theirs, id)?) else {
        return Ok(Vec::new());
    };
    let subject = staging.view()?.get::<Variant>(id)?.and_then(|variant| variant.subject);
    let Some(subject) = subject.filter(|_| ours != theirs) else { return Ok(Vec::new()) };
    // One that held nothing was like the original, and is now what the other side made of it.
    if ours.is_empty() || theirs.is_empty() {
        for (key, value) in theirs {
            staging.write(overlay::key(&[id], &key), Some(value))?;
        }
        return Ok(Vec::new());
    }
    make_inline(staging, &[id])?;
    let rest = staging.view()?.clone();
    // Who stands outside and names what only one side deleted is silent there, and no conflict.
    let laid = |records: &Records| -> Result<View, ReadError> {
        let mut staging = Staging::new(rest.clone());
        lay_over(&mut staging, subject, records.clone())?;
        let inside: BTreeSet<&[u8]> = records.iter().map(|(key, _)| &key[..]).collect();
        settle_where(&mut staging, |key| !inside.contains(key))?;
        Ok(staging.finish()?.view)
    };
    let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut bases = Vec::with_capacity(sides.bases.len());
    for base in sides.bases {
        let records = records(base, id)?.unwrap_or_default();
        keys.extend(records.iter().map(|(key, _)| key.clone()));
        bases.push(laid(&records)?);
    }
    keys.extend(ours.iter().chain(&theirs).map(|(key, _)| key.clone()));
    let mut inner = Staging::new(laid(&ours)?);
    let conflicts = merge_states(&mut inner, &bases, &laid(&theirs)?, rules, new_id)?;
    super::sweep(&mut inner)?;
    for (key, _, value) in inner.written() {
        // The rest is merged already, and the same on all sides.
        if keys.contains(&key) {
            staging.write(overlay::key(&[id], &key), value)?;
        }
    }
    Ok(conflicts.into_iter().map(|inner| conflict::of_variant(inner, id)).collect())
}
