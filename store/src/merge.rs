//! Three-way merge of states: per entity and field, then a pass over the references.
//!
//! Whatever cannot be decided becomes a stored [`Conflict`] with all sides, the project keeps
//! ours, and stays valid: it plays, it can be committed, and the conflicts are settled when
//! somebody finds the time. Nothing that either side made is lost without such a note.

pub mod record;
mod settle;

pub use self::settle::subtree;
pub(crate) use self::settle::{STANDS_ALONE, Settler};

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{Conflict, ConflictCause},
    id::EntityId,
    record::EntityKey,
};

use self::record::{Deleted, FieldConflict};
use crate::{
    conflict,
    node::Value,
    overlay,
    staging::Staging,
    tree::{Changed, ThreeWay, TreeError, diff3},
    variant,
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
    let conflicts = merge_states(staging, bases, theirs, rules, new_id)?;
    for conflict in &conflicts {
        staging.put(&conflict.clone().into())?;
    }
    variant::sweep(staging)?;
    Ok(conflicts)
}

/// [`merge`] without writing the conflicts.
pub(crate) fn merge_states(
    staging: &mut Staging,
    bases: &[View],
    theirs: &View,
    rules: &MergeRules,
    new_id: &mut dyn FnMut() -> EntityId,
) -> Result<Vec<Conflict>, ReadError> {
    let ours = staging.base().clone();
    let mut settler = Settler::new(ours.clone(), bases, theirs.clone(), rules.deleted);
    let mut variants = BTreeSet::new();
    for versions in changed(bases, &ours, theirs)? {
        match overlay::split(&versions.key) {
            // What lies inside of a variant merges as a whole, over what the rest became.
            Some((variant, _)) => drop(variants.insert(variant)),
            None => merge_key(staging, &mut settler, rules, versions)?,
        }
    }
    let sides = Sides { bases, ours: &ours, theirs };
    for variant in &variants {
        variant::merge::come_or_go(staging, &mut settler, &sides, rules, *variant)?;
    }
    settler.settle(staging)?;
    let mut conflicts = Vec::new();
    for Undecided { subject, mut conflict } in settler.undecided() {
        conflict.cause = rules.cause.unwrap_or(conflict.cause);
        let (ours, theirs) = (&rules.ours_label, &rules.theirs_label);
        conflicts.push(conflict::entity(new_id(), &subject, conflict, ours, theirs));
    }
    for variant in variants {
        conflicts.extend(variant::merge::inside(staging, &sides, rules, new_id, variant)?);
    }
    Ok(conflicts)
}

/// The states that a merge brings together.
pub(crate) struct Sides<'a> {
    pub bases: &'a [View],
    pub ours: &'a View,
    pub theirs: &'a View,
}

/// One key and its value in every version.
struct Versions {
    key: Vec<u8>,
    bases: Vec<Option<Value>>,
    ours: Option<Value>,
    theirs: Option<Value>,
}

/// What theirs changed, in key order; crosswise merged, whatever anybody changed.
fn changed(bases: &[View], ours: &View, theirs: &View) -> Result<Vec<Versions>, TreeError> {
    if let [base] = bases {
        let items = diff3(base.state(), ours.state(), theirs.state());
        let theirs =
            items.filter(|item| item.as_ref().map_or(true, |item| item.changed != Changed::Ours));
        let versions = theirs.map(|item| {
            let ThreeWay { key, base, ours, theirs, .. } = item?;
            Ok(Versions { key: key.to_vec(), bases: vec![base], ours, theirs })
        });
        return versions.collect();
    }
    let mut keys = BTreeSet::new();
    for base in bases {
        for item in diff3(base.state(), ours.state(), theirs.state()) {
            keys.insert(item?.key.to_vec());
        }
    }
    let mut versions = Vec::with_capacity(keys.len());
    for key in keys {
        let of_bases = bases.iter().map(|base| base.state().get(&key));
        versions.push(Versions {
            bases: of_bases.collect::<Result<_, _>>()?,
            ours: ours.state().get(&key)?,
            theirs: theirs.state().get(&key)?,
            key,
        });
    }
    Ok(versions)
}

fn merge_key(
    staging: &mut Staging,
    settler: &mut Settler,
    rules: &MergeRules,
    versions: Versions,
) -> Result<(), ReadError> {
    let Versions { key, bases, ours, theirs } = versions;
    let bases: Vec<Option<&[u8]>> = bases.iter().map(Option::as_deref).collect();
    let merged = record::merge(&bases, ours.as_deref(), theirs.as_deref(), rules.deleted);
    if merged.value.as_deref() != ours.as_deref() {
        let ours = ours.as_deref().map(<[u8]>::to_vec);
        staging.write_over(key.clone(), ours, merged.value, None);
    }
    // A kind from the future is kept as one side has it; there is no entity to name.
    let Ok(subject) = EntityKey::from_bytes(&key) else { return Ok(()) };
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
