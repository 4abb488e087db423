//! Three-way merge of states: per entity and field, then a pass over the references.
//!
//! Whatever cannot be decided becomes a stored [`Conflict`] with all sides, the project keeps
//! ours, and stays valid: it plays, it can be committed, and the conflicts are settled when
//! somebody finds the time. Nothing that either side made is lost without such a note.

pub mod record;
mod settle;

pub use self::settle::subtree;

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{Conflict, ConflictCause},
    id::EntityId,
    record::EntityKey,
};

use self::{
    record::{Deleted, FieldConflict},
    settle::Settler,
};
use crate::{
    conflict,
    staging::Staging,
    tree::{Changed, TreeError, diff3},
    view::{ReadError, View},
};

/// How a merge decides and what it calls the sides.
#[derive(Clone, Debug)]
pub struct MergeRules {
    pub ours_label: String,
    pub theirs_label: String,
    pub deleted: Deleted,
    /// Every conflict gets this cause; none is the cause that the merge finds.
    pub cause: Option<ConflictCause>,
}

/// A conflict on its way to become an entity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Undecided {
    pub subject: EntityKey,
    pub conflict: FieldConflict,
}

/// Merges `theirs` into a staging over ours. Conflicts are staged as entities and returned.
pub fn merge(
    staging: &mut Staging,
    bases: &[View],
    theirs: &View,
    rules: &MergeRules,
    new_id: &mut dyn FnMut() -> EntityId,
) -> Result<Vec<Conflict>, ReadError> {
    let ours = staging.base().clone();
    let mut settler = Settler::new(ours.clone(), bases, theirs.clone(), rules.deleted);
    for key in changed_keys(bases, &ours, theirs)? {
        merge_key(staging, &mut settler, bases, &ours, theirs, rules, &key)?;
    }
    settler.settle(staging)?;
    let mut conflicts = Vec::new();
    for Undecided { subject, mut conflict } in settler.undecided() {
        conflict.cause = rules.cause.unwrap_or(conflict.cause);
        let (ours, theirs) = (&rules.ours_label, &rules.theirs_label);
        let entity = conflict::entity(new_id(), &subject, conflict, ours, theirs);
        staging.put(&entity.clone().into())?;
        conflicts.push(entity);
    }
    Ok(conflicts)
}

/// The keys on which theirs and ours differ and theirs changed something, in order.
fn changed_keys(
    bases: &[View],
    ours: &View,
    theirs: &View,
) -> Result<BTreeSet<Vec<u8>>, TreeError> {
    let mut keys = BTreeSet::new();
    for base in bases {
        for item in diff3(base.state(), ours.state(), theirs.state()) {
            let item = item?;
            if item.changed != Changed::Ours || bases.len() > 1 {
                keys.insert(item.key.to_vec());
            }
        }
    }
    Ok(keys)
}

fn merge_key(
    staging: &mut Staging,
    settler: &mut Settler,
    bases: &[View],
    ours: &View,
    theirs: &View,
    rules: &MergeRules,
    key: &[u8],
) -> Result<(), ReadError> {
    let our_value = ours.state().get(key)?;
    let their_value = theirs.state().get(key)?;
    let mut base_values = Vec::with_capacity(bases.len());
    for base in bases {
        base_values.push(base.state().get(key)?);
    }
    let base_values: Vec<Option<&[u8]>> = base_values.iter().map(Option::as_deref).collect();
    let merged =
        record::merge(&base_values, our_value.as_deref(), their_value.as_deref(), rules.deleted);
    if merged.value.as_deref() != our_value.as_deref() {
        staging.write(key.to_vec(), merged.value)?;
    }
    // A kind from the future is kept as one side has it; there is no entity to name.
    let Ok(subject) = EntityKey::from_bytes(key) else { return Ok(()) };
    for conflict in merged.conflicts {
        let is_deletion =
            matches!(conflict.cause, ConflictCause::DeletedByUs | ConflictCause::DeletedByThem);
        if is_deletion && rules.deleted == Deleted::Keep {
            settler.revive(subject, conflict.cause);
        } else {
            settler.undecide(subject, conflict);
        }
    }
    Ok(())
}
