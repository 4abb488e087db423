//! The pass over the references: what two sides did is fine for each and wrong together.
//!
//! What one side deleted and the other still needs comes back whole: the topmost thing that was
//! deleted, with everything that went with it, because a track that comes back without its clips
//! is a loss that nobody chose. One conflict at the top says so. Of two edits that close a loop
//! or double what may exist once, ours stays and theirs is kept in a conflict.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    entity::{AnyEntity, ConflictCause, OnDelete},
    id::{AnyId, EntityKind, VariantId},
    record::EntityKey,
};
use serde_json::Value;

use super::{
    Undecided,
    record::{Deleted, FieldConflict, readable_json},
};
use crate::{
    changes::Change,
    invariants::{self, Breach},
    overlay,
    staging::{Staging, change},
    view::{ReadError, View},
};

/// Each round repairs what the one before laid open; deeper chains than this do not exist.
const ROUNDS: usize = 64;

pub struct Settler {
    ours: View,
    theirs: View,
    bases: Vec<View>,
    deleted: Deleted,
    undecided: Vec<Undecided>,
    /// What has to come back although one side deleted it.
    revive: BTreeMap<EntityKey, ConflictCause>,
    /// Deleted things that came back, by the topmost of each.
    revived: BTreeSet<EntityKey>,
}

impl Settler {
    pub fn new(ours: View, bases: &[View], theirs: View, deleted: Deleted) -> Settler {
        Settler {
            ours,
            theirs,
            bases: bases.to_vec(),
            deleted,
            undecided: Vec::new(),
            revive: BTreeMap::new(),
            revived: BTreeSet::new(),
        }
    }

    pub fn undecide(&mut self, subject: EntityKey, conflict: FieldConflict) {
        self.undecided.push(Undecided { subject, conflict });
    }

    pub fn revive(&mut self, key: EntityKey, cause: ConflictCause) {
        self.revive.entry(key).or_insert(cause);
    }

    pub fn undecided(self) -> Vec<Undecided> {
        self.undecided
    }

    /// Repairs until nothing is broken.
    pub fn settle(&mut self, staging: &mut Staging) -> Result<(), ReadError> {
        self.bring_back(staging)?;
        self.same_places(staging)?;
        for _ in 0..ROUNDS {
            let changes = self.changes(staging);
            let breaches = invariants::breaches(staging.view()?, &changes)?;
            if breaches.is_empty() {
                return Ok(());
            }
            for breach in &breaches {
                self.repair(staging, breach)?;
            }
            self.bring_back(staging)?;
        }
        Ok(())
    }

    fn changes(&self, staging: &Staging) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, before, after) in staging.written() {
            if let Ok(key) = EntityKey::from_bytes(&key) {
                changes.push(change(key, before.as_deref(), after.as_deref()));
            }
        }
        changes
    }

    // What comes back.

    fn bring_back(&mut self, staging: &mut Staging) -> Result<(), ReadError> {
        while let Some((key, cause)) = self.revive.pop_first() {
            for top in self.tops(&key)? {
                self.bring_back_whole(staging, &top, cause)?;
            }
        }
        Ok(())
    }

    /// The view that still has what the other side deleted.
    fn keeper(&self, key: &EntityKey) -> Result<Option<(View, bool)>, ReadError> {
        for (view, is_ours) in [(&self.theirs, false), (&self.ours, true)] {
            if view.record(key)?.is_some() {
                return Ok(Some((view.clone(), is_ours)));
            }
        }
        for base in &self.bases {
            if base.record(key)?.is_some() {
                return Ok(Some((base.clone(), false)));
            }
        }
        Ok(None)
    }

    /// Climbs from what must come back to the topmost things that the other side deleted with it.
    fn tops(&self, key: &EntityKey) -> Result<Vec<EntityKey>, ReadError> {
        let in_ours = self.ours.record(key)?.is_some();
        let (deleter, keeper) = match in_ours {
            true => (&self.theirs, &self.ours),
            false => (&self.ours, &self.theirs),
        };
        let (mut tops, mut seen) = (Vec::new(), BTreeSet::from([*key]));
        let mut open = vec![*key];
        while let Some(here) = open.pop() {
            let mut is_top = true;
            for above in parents(keeper, &here)? {
                if deleter.record(&above)?.is_none() && keeper.record(&above)?.is_some() {
                    is_top = false;
                    if seen.insert(above) {
                        open.push(above);
                    }
                }
            }
            // Only what was really deleted can come back.
            if is_top && deleter.record(&here)?.is_none() {
                tops.push(here);
            }
        }
        tops.sort();
        Ok(tops)
    }

    fn bring_back_whole(
        &mut self,
        staging: &mut Staging,
        top: &EntityKey,
        cause: ConflictCause,
    ) -> Result<(), ReadError> {
        if !self.revived.insert(*top) {
            return Ok(());
        }
        let Some((keeper, _)) = self.keeper(top)? else { return Ok(()) };
        for key in subtree(&keeper, top)? {
            if staging.bytes(&key.to_bytes())?.is_none()
                && let Some(bytes) = keeper.record(&key)?
            {
                staging.write(key.to_bytes(), Some(bytes.to_vec()))?;
                if key.kind == EntityKind::Variant {
                    self.lay_back(staging, &keeper, VariantId(key.id))?;
                }
            }
        }
        self.rename(staging, &keeper, top.any_id())?;
        let json = |view: &View| -> Result<Option<Value>, ReadError> {
            Ok(view.record(top)?.map(|bytes| readable_json(&bytes)))
        };
        let base = match self.bases.first() {
            Some(base) => json(base)?,
            None => None,
        };
        let (ours, theirs) = (json(&self.ours)?, json(&self.theirs)?);
        let field = String::new();
        self.undecide(*top, FieldConflict { field, cause, base, ours, theirs });
        Ok(())
    }

    /// What was laid over the subject of a variant that comes back.
    fn lay_back(
        &self,
        staging: &mut Staging,
        keeper: &View,
        variant: VariantId,
    ) -> Result<(), ReadError> {
        for entry in keeper.state().scan(&overlay::prefix(variant)) {
            let (key, value) = entry?;
            if staging.bytes(&key)?.is_none() {
                staging.write(key.to_vec(), Some(value.to_vec()))?;
            }
        }
        Ok(())
    }

    /// Names that the deletion cleared come back with what they named.
    fn rename(&self, staging: &mut Staging, keeper: &View, target: AnyId) -> Result<(), ReadError> {
        for key in keeper.all_referrers(target)? {
            let (Some(was), Some(is)) = (keeper.entity(&key)?, staging.entity(&key)?) else {
                continue;
            };
            let (was_fields, mut fields) = (was.fields(), is.fields());
            for reference in was.references() {
                let cleared = fields.get(reference.field).is_some_and(is_nothing);
                let named = reference.target == target && reference.on_delete == OnDelete::Clear;
                if named
                    && cleared
                    && let Some(value) = was_fields.get(reference.field)
                {
                    fields.insert(reference.field.to_owned(), value.clone());
                }
            }
            if let Ok((entity, _)) = AnyEntity::from_fields(key.kind, fields) {
                staging.put(&entity)?;
            }
        }
        Ok(())
    }

    // What can only be there once.

    /// Two tempo, signature or key points at one place have no meaning: alike ones become one,
    /// of different ones ours stays.
    fn same_places(&mut self, staging: &mut Staging) -> Result<(), ReadError> {
        for (key, before, after) in staging.written() {
            let Ok(key) = EntityKey::from_bytes(&key) else { continue };
            if !STANDS_ALONE.contains(&key.kind) {
                continue;
            }
            let change = change(key, before.as_deref(), after.as_deref());
            let Some(entity) = change.after else { continue };
            let (Some(place), Some(owner)) = (place_of(&entity), key.owner) else { continue };
            if change.before.as_deref().and_then(place_of) == Some(place) {
                continue;
            }
            let other = self.at_place(staging.view()?, owner, key, place)?;
            let Some(other) = other else { continue };
            self.give_way(staging, &key, &entity, &other)?;
        }
        Ok(())
    }

    fn at_place(
        &self,
        view: &View,
        owner: pulse_schemas::id::EntityId,
        key: EntityKey,
        place: i64,
    ) -> Result<Option<AnyEntity>, ReadError> {
        for entry in view.state().scan(&EntityKey::owner_prefix(key.kind, owner)) {
            let other = EntityKey::from_bytes(&entry?.0)?;
            if other == key || self.ours.record(&other)?.is_none() {
                continue;
            }
            let entity = view.entity(&other)?;
            if entity.as_ref().and_then(place_of) == Some(place) {
                return Ok(entity);
            }
        }
        Ok(None)
    }

    fn give_way(
        &mut self,
        staging: &mut Staging,
        key: &EntityKey,
        theirs: &AnyEntity,
        other: &AnyEntity,
    ) -> Result<(), ReadError> {
        let without_id = |entity: &AnyEntity| {
            let mut fields = entity.fields();
            fields.remove("id");
            fields
        };
        let ours = self.ours.record(key)?.map(|bytes| bytes.to_vec());
        staging.write(key.to_bytes(), ours.clone())?;
        if without_id(theirs) != without_id(other) {
            let conflict = FieldConflict {
                field: String::new(),
                cause: ConflictCause::BothAdded,
                base: self.base_json(key)?,
                ours: Some(Value::Object(other.fields())),
                theirs: Some(Value::Object(theirs.fields())),
            };
            self.undecide(*key, conflict);
        }
        Ok(())
    }

    fn base_json(&self, key: &EntityKey) -> Result<Option<Value>, ReadError> {
        let Some(base) = self.bases.first() else { return Ok(None) };
        Ok(base.record(key)?.map(|bytes| readable_json(&bytes)))
    }

    // What is broken.

    fn repair(&mut self, staging: &mut Staging, breach: &Breach) -> Result<(), ReadError> {
        match breach {
            Breach::Dangling { id, target, .. } => self.needs(staging, *id, *target),
            Breach::StillNamed { id, by, .. } => self.needs(staging, *by, *id),
            Breach::Orphans { id, member, .. } => self.needs(staging, *member, *id),
            Breach::RoutingLoop { via, .. } => {
                let fields = ["output", "outputFeedback", "input", "from", "to", "feedback"];
                if !self.keep_ours(staging, *via, &fields, ConflictCause::RoutingCycle)? {
                    self.keep_node_in_place(staging, *via)?;
                }
                Ok(())
            }
            Breach::WireLoop { via, path } => self.break_wires(staging, *via, path),
            Breach::TrackLoop { track, .. } => {
                let fields = ["parent"];
                let done = self.keep_ours(staging, track.any(), &fields, ConflictCause::Invalid)?;
                if done { Ok(()) } else { self.break_tracks(staging, breach) }
            }
            Breach::SecondMaster { second, .. } => self.become_bus(staging, second.any()),
            Breach::SecondChannel { second, .. } => self.become_bus(staging, second.any()),
            Breach::Invalid { id, .. } | Breach::DuplicateId { id, .. } => {
                self.take_ours(staging, *id, ConflictCause::Invalid)
            }
            Breach::ProjectCount { .. } => self.one_project(staging),
        }
    }

    /// `id` needs `target`, which one side deleted.
    fn needs(&mut self, staging: &mut Staging, id: AnyId, target: AnyId) -> Result<(), ReadError> {
        let known = [&self.theirs, &self.ours].into_iter().chain(&self.bases).cloned();
        for view in known.collect::<Vec<View>>() {
            let Some(key) = view.locate(target)? else { continue };
            let is_new = |view: &View| -> Result<bool, ReadError> { Ok(!view.contains(id)?) };
            let added = self.bases.iter().map(is_new).collect::<Result<Vec<_>, _>>()?;
            let cause = match self.ours.record(&key)?.is_some() {
                _ if added.contains(&true) => ConflictCause::OwnerDeleted,
                true => ConflictCause::DeletedByThem,
                false => ConflictCause::DeletedByUs,
            };
            if self.deleted == Deleted::Keep || self.ours.record(&key)?.is_some() {
                if self.revived.contains(&key) && staging.contains(&key)? {
                    return Ok(());
                }
                self.revive(key, cause);
                return Ok(());
            }
        }
        // Nobody has it any more: what needs it cannot come in.
        self.take_ours(staging, id, ConflictCause::OwnerDeleted)
    }

    /// Puts an entity back to ours and keeps the whole of theirs in a conflict.
    fn take_ours(
        &mut self,
        staging: &mut Staging,
        id: AnyId,
        cause: ConflictCause,
    ) -> Result<(), ReadError> {
        let Some(key) = staging.locate(id)? else { return Ok(()) };
        let merged = staging.bytes(&key.to_bytes())?;
        let ours = self.ours.record(&key)?.map(|bytes| bytes.to_vec());
        if ours == merged {
            return Ok(());
        }
        staging.write(key.to_bytes(), ours.clone())?;
        let conflict = FieldConflict {
            field: String::new(),
            cause,
            base: self.base_json(&key)?,
            ours: ours.as_deref().map(readable_json),
            theirs: merged.as_deref().map(readable_json),
        };
        self.undecide(key, conflict);
        Ok(())
    }

    /// Puts some fields of an entity back to ours; an entity that only theirs has goes as a
    /// whole. Whether anything changed.
    fn keep_ours(
        &mut self,
        staging: &mut Staging,
        id: AnyId,
        names: &[&str],
        cause: ConflictCause,
    ) -> Result<bool, ReadError> {
        let Some(key) = staging.locate(id)? else { return Ok(false) };
        let Some(merged) = staging.entity(&key)? else { return Ok(false) };
        let Some(ours) = self.ours.entity(&key)? else {
            let cleared = cleared_route(&merged);
            self.replace(staging, &key, &merged, cleared, cause)?;
            return Ok(true);
        };
        let (our_fields, merged_fields) = (ours.fields(), merged.fields());
        let mut fields = merged_fields.clone();
        for name in names {
            if let Some(value) = our_fields.get(*name) {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
        if fields == merged_fields {
            return Ok(false);
        }
        let base = self.base_json(&key)?;
        for name in names.iter().filter(|name| our_fields.get(**name) != merged_fields.get(**name))
        {
            let conflict = FieldConflict {
                field: (*name).to_owned(),
                cause,
                base: base.as_ref().and_then(|base| base.get(*name)).cloned(),
                ours: our_fields.get(*name).cloned(),
                theirs: merged_fields.get(*name).cloned(),
            };
            self.undecide(key, conflict);
        }
        if let Ok((entity, _)) = AnyEntity::from_fields(key.kind, fields) {
            staging.put(&entity)?;
        }
        Ok(true)
    }

    /// Writes something else than theirs for what only theirs has, and keeps theirs.
    fn replace(
        &mut self,
        staging: &mut Staging,
        key: &EntityKey,
        theirs: &AnyEntity,
        instead: Option<AnyEntity>,
        cause: ConflictCause,
    ) -> Result<(), ReadError> {
        let ours = instead.as_ref().map(|entity| Value::Object(entity.fields()));
        match &instead {
            Some(entity) => staging.put(entity)?,
            None => staging.remove(key)?,
        }
        let conflict = FieldConflict {
            field: String::new(),
            cause,
            base: None,
            ours,
            theirs: Some(Value::Object(theirs.fields())),
        };
        self.undecide(*key, conflict);
        Ok(())
    }

    /// The route is ours, but theirs moved the node that it leads to.
    fn keep_node_in_place(&mut self, staging: &mut Staging, via: AnyId) -> Result<(), ReadError> {
        let Some(key) = staging.locate(via)? else { return Ok(()) };
        if let Some(AnyEntity::SidechainRoute(route)) = staging.entity(&key)? {
            let node = route.to.any();
            self.keep_ours(staging, node, &["channel"], ConflictCause::RoutingCycle)?;
        }
        Ok(())
    }

    /// One wire of theirs on the loop gives way.
    fn break_wires(
        &mut self,
        staging: &mut Staging,
        via: AnyId,
        path: &[pulse_schemas::id::NodeId],
    ) -> Result<(), ReadError> {
        let fields = ["from", "to", "feedback"];
        if self.keep_ours(staging, via, &fields, ConflictCause::RoutingCycle)? {
            return Ok(());
        }
        for (key, before, after) in staging.written() {
            let Ok(key) = EntityKey::from_bytes(&key) else { continue };
            let change = change(key, before.as_deref(), after.as_deref());
            let Some(AnyEntity::Connection(wire)) = change.after.as_deref() else { continue };
            let on_loop = |node: Option<_>| node.is_some_and(|node| path.contains(&node));
            if on_loop(wire.from.node) && on_loop(wire.to.node) {
                self.keep_ours(staging, wire.id.any(), &fields, ConflictCause::RoutingCycle)?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// One track of theirs on the loop stays where ours has it.
    fn break_tracks(&mut self, staging: &mut Staging, breach: &Breach) -> Result<(), ReadError> {
        let Breach::TrackLoop { path, .. } = breach else { return Ok(()) };
        for track in path {
            if self.keep_ours(staging, track.any(), &["parent"], ConflictCause::Invalid)? {
                break;
            }
        }
        Ok(())
    }

    /// A channel that may not be what theirs made it goes on as a bus.
    fn become_bus(&mut self, staging: &mut Staging, id: AnyId) -> Result<(), ReadError> {
        let names = ["channelKind", "track"];
        if self.ours.contains(id)? {
            self.keep_ours(staging, id, &names, ConflictCause::Invalid)?;
            return Ok(());
        }
        let Some(key) = staging.locate(id)? else { return Ok(()) };
        if let Some(AnyEntity::Channel(theirs)) = staging.entity(&key)? {
            let mut bus = theirs.clone();
            bus.channel_kind = pulse_schemas::entity::ChannelKind::Bus;
            bus.track = None;
            let cause = ConflictCause::Invalid;
            self.replace(staging, &key, &theirs.into(), Some(bus.into()), cause)?;
        }
        Ok(())
    }

    fn one_project(&mut self, staging: &mut Staging) -> Result<(), ReadError> {
        let prefix = EntityKey::kind_prefix(EntityKind::Project);
        let mut keys = Vec::new();
        for entry in staging.view()?.state().scan(&prefix) {
            keys.push(EntityKey::from_bytes(&entry?.0)?);
        }
        for key in keys {
            if self.ours.record(&key)?.is_none() {
                self.take_ours(staging, key.any_id(), ConflictCause::BothAdded)?;
            }
        }
        for entry in self.ours.state().scan(&prefix) {
            let (key, bytes) = entry?;
            if staging.bytes(&key)?.is_none() {
                staging.write(key.to_vec(), Some(bytes.to_vec()))?;
            }
        }
        Ok(())
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == "none"
}

/// The entity without the route that closes a loop, where it can be without one.
fn cleared_route(entity: &AnyEntity) -> Option<AnyEntity> {
    match entity {
        AnyEntity::Channel(channel) => {
            let mut channel = channel.clone();
            channel.output = None;
            channel.input = pulse_schemas::entity::ChannelInput::None;
            Some(channel.into())
        }
        AnyEntity::Track(track) => {
            let mut track = track.clone();
            track.parent = None;
            Some(track.into())
        }
        _ => None,
    }
}

/// Kinds of which one may stand at a place.
pub(crate) const STANDS_ALONE: [EntityKind; 3] =
    [EntityKind::TempoPoint, EntityKind::SignaturePoint, EntityKind::KeyPoint];

/// Where a point stands that must stand alone.
fn place_of(entity: &AnyEntity) -> Option<i64> {
    match entity {
        AnyEntity::TempoPoint(point) => Some(point.at.0),
        AnyEntity::SignaturePoint(point) => Some(point.at.0),
        AnyEntity::KeyPoint(point) => Some(point.at.0),
        _ => None,
    }
}

/// What an entity cannot live without.
fn parents(view: &View, key: &EntityKey) -> Result<Vec<EntityKey>, ReadError> {
    let Some(entity) = view.entity(key)? else { return Ok(Vec::new()) };
    let mut parents = Vec::new();
    for reference in entity.references() {
        if reference.on_delete == OnDelete::Cascade {
            parents.extend(view.locate(reference.target)?);
        }
    }
    Ok(parents)
}

/// Everything that cannot live without `top`, itself first.
pub fn subtree(view: &View, top: &EntityKey) -> Result<Vec<EntityKey>, ReadError> {
    let (mut keys, mut seen) = (Vec::new(), BTreeSet::from([*top]));
    let mut open = vec![*top];
    while let Some(here) = open.pop() {
        keys.push(here);
        let id = here.any_id();
        let members = view.member_keys(id)?;
        open.extend(members.into_iter().filter(|key| seen.insert(*key)));
        for key in view.all_referrers(id)? {
            let Some(entity) = view.entity(&key)? else { continue };
            let mut references = entity.references().into_iter();
            let lives_by =
                references.any(|it| it.target == id && it.on_delete == OnDelete::Cascade);
            if lives_by && seen.insert(key) {
                open.push(key);
            }
        }
    }
    Ok(keys)
}
