//! A transaction with what most edits need: look-ups that fail with a typed
//! error, places in an order, defaults.

use std::path::Path;

use pulse_engine::registry::Registry;
use pulse_schemas::{
    command::{
        Command, CommandType,
        types::{CopyOf, Deleted},
    },
    entity::{AnyEntity, Arrangement, Channel, Entity, PanLaw, Project},
    id::{AnyId, ArrangementId, EntityId, EntityKind},
    order::OrderKey,
};
use pulse_store::{tx::Tx, view::View};
use serde::Serialize;
use serde_json::Value;

use crate::{
    live::Live,
    refusal::{Refusal, Reply},
    session::Caller,
};

/// An edit in progress.
pub struct Edit<'t, 'p> {
    pub tx: &'t mut Tx<'p>,
    pub registry: &'t Registry,
    pub author: &'t str,
    pub caller: &'t Caller,
    /// What is beside the project: gestures end in edits.
    pub live: &'t mut Live,
    /// How new channels pan.
    pub pan_law: PanLaw,
    /// The project's folder; none in memory.
    pub folder: Option<&'t Path>,
    /// Milliseconds since 1970, as the command's log has it.
    pub now: i64,
}

#[cfg(test)]
thread_local! {
    /// Entities that edits read in rows, for tests of what a command costs.
    pub static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A reply as JSON.
pub fn reply<T: Serialize>(reply: T) -> Reply {
    Ok(serde_json::to_value(reply)?)
}

/// The reply of commands that have nothing to say.
pub fn done() -> Reply {
    Ok(Value::Object(serde_json::Map::new()))
}

/// Does a command inside the transaction of another, with its typed reply.
pub fn typed<C: CommandType>(edit: &mut Edit<'_, '_>, command: C) -> Result<C::Reply, Refusal> {
    let command: Command = command.into();
    Ok(serde_json::from_value(super::edit(edit, &command)?)?)
}

impl Edit<'_, '_> {
    pub fn id(&mut self) -> EntityId {
        self.tx.new_id()
    }

    pub fn label(&mut self, label: impl Into<String>) {
        self.tx.set_label(label);
    }

    /// The state with everything that this transaction has written so far.
    pub fn view(&mut self) -> Result<View, Refusal> {
        Ok(self.tx.view()?.clone())
    }

    pub fn get<E: Entity + TryFrom<AnyEntity>>(
        &mut self,
        id: impl Into<AnyId>,
    ) -> Result<E, Refusal> {
        let id = id.into();
        self.tx.get::<E>(id)?.ok_or_else(|| Refusal::not_found(id))
    }

    pub fn put(&mut self, entity: impl Into<AnyEntity>) -> Result<(), Refusal> {
        Ok(self.tx.put(entity)?)
    }

    pub fn update<E: Entity + TryFrom<AnyEntity>>(
        &mut self,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) -> Result<(), Refusal> {
        Ok(self.tx.update::<E>(id, change)?)
    }

    /// Entities of a kind that name `target`, in the index's order.
    pub fn referring<E: Entity + TryFrom<AnyEntity>>(
        &mut self,
        target: impl Into<AnyId>,
    ) -> Result<Vec<E>, Refusal> {
        let found = self.tx.view()?.referring::<E>(target)?;
        #[cfg(test)]
        READ.with(|read| read.set(read.get() + found.len()));
        Ok(found)
    }

    pub fn members<E: Entity + TryFrom<AnyEntity>>(
        &mut self,
        owner: impl Into<AnyId>,
    ) -> Result<Vec<E>, Refusal> {
        Ok(self.tx.view()?.members::<E>(owner)?)
    }

    pub fn all<E: Entity + TryFrom<AnyEntity>>(&mut self) -> Result<Vec<E>, Refusal> {
        Ok(self.tx.view()?.all::<E>()?)
    }

    /// The named arrangement, or the one that plays.
    pub fn arrangement(&mut self, named: Option<ArrangementId>) -> Result<ArrangementId, Refusal> {
        if let Some(id) = named {
            return Ok(self.get::<Arrangement>(id)?.id);
        }
        let view = self.view()?;
        active_arrangement(&view)
    }

    pub fn master(&mut self, arrangement: ArrangementId) -> Result<Option<Channel>, Refusal> {
        match self.tx.view()?.master_of(arrangement)? {
            Some(key) => Ok(Some(self.get::<Channel>(key.any_id())?)),
            None => Ok(None),
        }
    }

    /// A place behind every entity of a kind that names `target`.
    pub fn place_last<E: Entity + Ordered + TryFrom<AnyEntity>>(
        &mut self,
        target: impl Into<AnyId>,
    ) -> Result<OrderKey, Refusal> {
        let target = target.into();
        let Some(key) = self.tx.view()?.last_referrer(target, E::KIND)? else {
            return Ok(OrderKey::between(None, None));
        };
        let last = self.get::<E>(key.any_id())?;
        Ok(OrderKey::between(Some(last.place().0), None))
    }

    /// Removes entities with all that hangs on them.
    pub fn delete(
        &mut self,
        ids: impl IntoIterator<Item = impl Into<AnyId>>,
    ) -> Result<Deleted, Refusal> {
        let mut deleted = Vec::new();
        let mut orphaned = Vec::new();
        for id in ids {
            let id = id.into();
            if deleted.contains(&id) {
                continue;
            }
            let users = self.tx.view()?.all_referrers(id)?;
            deleted.extend(self.tx.remove_cascade(id)?.iter().map(AnyEntity::any_id));
            for user in users {
                let left = self.tx.view()?.contains(user.any_id())?;
                if left {
                    orphaned.push(user.any_id());
                }
            }
        }
        orphaned.retain(|id| !deleted.contains(id));
        orphaned.sort();
        orphaned.dedup();
        Ok(Deleted { deleted, orphaned })
    }
}

/// The arrangement that plays: the project's choice, else the first in order.
pub fn active_arrangement(view: &View) -> Result<ArrangementId, Refusal> {
    let project = view.all::<Project>()?.into_iter().next();
    if let Some(id) = project.and_then(|project| project.active_arrangement)
        && view.contains(id)?
    {
        return Ok(id);
    }
    let mut all = view.all::<Arrangement>()?;
    all.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
    all.first().map(|arrangement| arrangement.id).ok_or_else(|| {
        Refusal::new(
            pulse_schemas::error::ErrorCode::EntityNotFound,
            "the project has no arrangement; make one with `arrangement.create`",
        )
    })
}

/// Something that has a place among siblings.
pub trait Ordered {
    fn place(&self) -> (&OrderKey, EntityId);
}

macro_rules! ordered {
    ($($entity:ident),*) => {$(
        impl Ordered for pulse_schemas::entity::$entity {
            fn place(&self) -> (&OrderKey, EntityId) {
                (&self.order, self.id.0)
            }
        }
    )*};
}

ordered!(Arrangement, Track, Lane, Take, Channel, DspNode, NodeStack, Send, Scene, Variant, Kit);

pub fn sort<T: Ordered>(siblings: &mut [T]) {
    siblings.sort_by(|a, b| a.place().cmp(&b.place()));
}

/// A place before `before`, or at the end. What moves must not be among the
/// siblings.
pub fn place_before<T: Ordered>(siblings: &mut [T], before: Option<EntityId>) -> OrderKey {
    sort(siblings);
    let at = before
        .and_then(|id| siblings.iter().position(|sibling| sibling.place().1 == id))
        .unwrap_or(siblings.len());
    let key = |at: usize| siblings.get(at).map(|sibling| sibling.place().0);
    OrderKey::between(at.checked_sub(1).and_then(key), key(at))
}

/// `Track 3`: the first number that no sibling has.
pub fn numbered<'a>(stem: &str, taken: impl Iterator<Item = &'a str>) -> String {
    let taken: std::collections::BTreeSet<&str> = taken.collect();
    (taken.len() + 1..)
        .map(|number| format!("{stem} {number}"))
        .find(|name| !taken.contains(name.as_str()))
        .unwrap_or_else(|| stem.to_owned())
}

/// Copies of entities: ids made anew, references among the copies led to them.
pub struct Copier {
    pub copies: Vec<CopyOf>,
}

impl Copier {
    /// Copies `originals` as one group. `change` adjusts each copy before it is
    /// written; what it returns false for is left out.
    pub fn copy(
        edit: &mut Edit<'_, '_>,
        originals: &[AnyEntity],
        mut change: impl FnMut(&mut serde_json::Map<String, Value>, EntityKind) -> bool,
    ) -> Result<Copier, Refusal> {
        let mut copies = Vec::new();
        for original in originals {
            let original = original.any_id();
            copies.push(CopyOf { original, copy: AnyId { kind: original.kind, id: edit.id() } });
        }
        let renamed: std::collections::BTreeMap<String, String> =
            copies.iter().map(|of| (of.original.to_string(), of.copy.to_string())).collect();
        for original in originals {
            let mut fields = original.fields();
            fields.iter_mut().for_each(|(_, value)| rename(value, &renamed));
            if change(&mut fields, original.kind()) {
                let (copy, _) = AnyEntity::from_fields(original.kind(), fields)?;
                edit.put(copy)?;
            }
        }
        Ok(Copier { copies })
    }

    /// The copy of an original.
    pub fn of(&self, original: impl Into<AnyId>) -> Option<AnyId> {
        let original = original.into();
        self.copies.iter().find(|of| of.original == original).map(|of| of.copy)
    }
}

/// Ids stand in JSON as text and nothing else looks like one.
fn rename(value: &mut Value, renamed: &std::collections::BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = renamed.get(text) {
                text.clone_from(new);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::Object(fields) => fields.values_mut().for_each(|value| rename(value, renamed)),
        _ => {}
    }
}
