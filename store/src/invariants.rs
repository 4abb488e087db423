//! What must hold in every state of a project, checked where it changed and nowhere else.
//!
//! The same findings serve two callers: a transaction refuses the first, a merge repairs them all
//! and leaves a conflict for each. So nothing here decides; it only names what is broken.
//!
//! Modulation is no routing edge on purpose: the engine orders modulators node by node, so two
//! channels may modulate each other without a loop.

mod routing;

use std::collections::BTreeSet;

use pulse_schemas::{
    entity::{AnyEntity, ChannelKind, OnDelete, Violation, is_owned},
    id::{AnyId, ChannelId, EntityKind, NodeId, TrackId},
    record::EntityKey,
};

use crate::{
    changes::Change,
    index,
    staging::{LARGE, both},
    view::{ReadError, View},
};

/// One rule of the project that a set of changes breaks.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Breach {
    #[error("{id}: {}", list(violations))]
    Invalid { id: AnyId, violations: Vec<Violation> },
    #[error("{id}: {field} names {target}, which does not exist; create it first or name another")]
    Dangling { id: AnyId, field: &'static str, target: AnyId },
    #[error("{id} is gone but {by} still names it in {field}; remove or change {by} as well")]
    StillNamed { id: AnyId, by: AnyId, field: &'static str },
    #[error("{id} is gone but {count} of its members are left ({member}); remove them as well")]
    Orphans { id: AnyId, member: AnyId, count: usize },
    #[error("{id} exists already under another owner ({other:?}); give one of them a new id")]
    DuplicateId { id: AnyId, other: EntityKey },
    #[error("the project has {count} project entities; there must be exactly one")]
    ProjectCount { count: usize },
    #[error(
        "{arrangement} would have two master channels, {first} and {second}; make one of them a bus"
    )]
    SecondMaster { arrangement: AnyId, first: ChannelId, second: ChannelId },
    #[error("{track} would have two channels, {first} and {second}; remove one of them")]
    SecondChannel { track: AnyId, first: ChannelId, second: ChannelId },
    #[error("{track} would lie inside itself ({}); choose another parent", steps(.path))]
    TrackLoop { track: TrackId, path: Vec<TrackId> },
    #[error(
        "{via} would close a loop ({}); choose another target or set a feedback delay",
        steps(.path)
    )]
    RoutingLoop { via: AnyId, path: Vec<ChannelId> },
    #[error("{via} would close a loop ({}); give the connection a feedback delay", steps(.path))]
    WireLoop { via: AnyId, path: Vec<NodeId> },
}

impl Breach {
    /// The entity to look at first.
    pub fn subject(&self) -> Option<AnyId> {
        Some(match self {
            Breach::Invalid { id, .. }
            | Breach::Dangling { id, .. }
            | Breach::StillNamed { id, .. }
            | Breach::Orphans { id, .. }
            | Breach::DuplicateId { id, .. } => *id,
            Breach::SecondMaster { second, .. } | Breach::SecondChannel { second, .. } => {
                second.any()
            }
            Breach::TrackLoop { track, .. } => track.any(),
            Breach::RoutingLoop { via, .. } | Breach::WireLoop { via, .. } => *via,
            Breach::ProjectCount { .. } => return None,
        })
    }

    /// The field to change, as a path.
    pub fn field(&self) -> &str {
        match self {
            Breach::Invalid { violations, .. } => {
                violations.first().map_or("", |violation| &violation.field)
            }
            Breach::Dangling { field, .. } | Breach::StillNamed { field, .. } => field,
            Breach::Orphans { .. } | Breach::ProjectCount { .. } => "",
            Breach::DuplicateId { .. } => "id",
            Breach::SecondMaster { .. } => "channelKind",
            Breach::SecondChannel { .. } => "track",
            Breach::TrackLoop { .. } => "parent",
            Breach::RoutingLoop { via, .. } if via.kind == EntityKind::Channel => "output",
            Breach::RoutingLoop { .. } | Breach::WireLoop { .. } => "to",
        }
    }
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

fn steps<T: std::fmt::Display>(path: &[T]) -> String {
    path.iter().map(T::to_string).collect::<Vec<_>>().join(" → ")
}

/// Everything that `changes`, which led to `after`, break.
pub fn breaches(after: &View, changes: &[Change]) -> Result<Vec<Breach>, ReadError> {
    let is_large = changes.len() >= LARGE;
    let (first, second) = changes.split_at(if is_large { changes.len() / 2 } else { 0 });
    let each = || both(is_large, || check_each(after, first), || check_each(after, second));
    let (routing, (first, second)) = both(is_large, || routing::check(after, changes), each);
    // In one order, however many threads looked.
    let mut found = first?;
    let mut second = second?;
    second.retain(|breach| !is_told(&found, breach));
    found.extend(second);
    found.extend(routing?);
    Ok(found)
}

/// A count is wrong once, whoever notices.
fn is_told(found: &[Breach], breach: &Breach) -> bool {
    matches!(breach, Breach::ProjectCount { .. }) && found.contains(breach)
}

fn check_each(after: &View, changes: &[Change]) -> Result<Vec<Breach>, ReadError> {
    let mut found = Vec::new();
    let mut existing = BTreeSet::new();
    for change in changes {
        match &change.after {
            Some(entity) => check_present(after, change, entity, &mut existing, &mut found)?,
            None if !change.opaque => check_gone(after, change, &mut found)?,
            None => {}
        }
    }
    Ok(found)
}

fn check_present(
    after: &View,
    change: &Change,
    entity: &AnyEntity,
    existing: &mut BTreeSet<AnyId>,
    found: &mut Vec<Breach>,
) -> Result<(), ReadError> {
    let id = entity.any_id();
    let violations = entity.validate();
    if !violations.is_empty() {
        found.push(Breach::Invalid { id, violations });
    }
    for reference in entity.references() {
        let target = reference.target;
        if reference.on_delete == OnDelete::Keep || existing.contains(&target) {
            continue;
        }
        if after.contains(target)? {
            existing.insert(target);
        } else {
            found.push(Breach::Dangling { id, field: reference.field, target });
        }
    }
    if change.before.is_none() && is_owned(id.kind) {
        check_unique(after, change, found)?;
    }
    match entity {
        AnyEntity::Project(_) => check_project(after, found),
        AnyEntity::Track(track) => check_parents(after, track.id, found),
        AnyEntity::Channel(channel) => {
            if let Some(track) = channel.track {
                check_single_channel(after, track.any(), channel.id, found)?;
            }
            if channel.channel_kind == ChannelKind::Master {
                check_master(after, channel.arrangement.any(), channel.id, found)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_gone(after: &View, change: &Change, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    let id = change.key.any_id();
    if id.kind == EntityKind::Project {
        check_project(after, found)?;
    }
    if is_owned(id.kind) && after.locate_known(id)?.is_some() {
        // Moved to another owner: whoever names it still finds it.
        return Ok(());
    }
    for key in after.all_referrers(id)? {
        let Some(by) = after.entity(&key)? else { continue };
        let names = |reference: &&pulse_schemas::entity::Reference| {
            reference.target == id && reference.on_delete != OnDelete::Keep
        };
        if let Some(reference) = by.references().iter().find(names) {
            found.push(Breach::StillNamed { id, by: key.any_id(), field: reference.field });
        }
    }
    let members = after.member_keys(id)?;
    if let Some(member) = members.first() {
        found.push(Breach::Orphans { id, member: member.any_id(), count: members.len() });
    }
    Ok(())
}

fn check_unique(after: &View, change: &Change, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    let id = change.key.any_id();
    if let Some(other) = after.locate_known(id)?
        && other != change.key
    {
        found.push(Breach::DuplicateId { id, other });
    }
    Ok(())
}

fn check_project(after: &View, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    let count = after.state().scan(&EntityKey::kind_prefix(EntityKind::Project)).count();
    if count != 1 && !found.iter().any(|breach| matches!(breach, Breach::ProjectCount { .. })) {
        found.push(Breach::ProjectCount { count });
    }
    Ok(())
}

fn check_parents(after: &View, track: TrackId, found: &mut Vec<Breach>) -> Result<(), ReadError> {
    let mut path = vec![track];
    let mut here = track;
    while let Some(AnyEntity::Track(it)) = after.any(here)? {
        let Some(parent) = it.parent else { return Ok(()) };
        let seen = path.contains(&parent);
        path.push(parent);
        if seen {
            found.push(Breach::TrackLoop { track, path });
            return Ok(());
        }
        here = parent;
    }
    Ok(())
}

fn check_single_channel(
    after: &View,
    track: AnyId,
    second: ChannelId,
    found: &mut Vec<Breach>,
) -> Result<(), ReadError> {
    let others = after.referrers(track, EntityKind::Channel)?;
    if let Some(first) = others.iter().find(|key| key.id != second.0) {
        found.push(Breach::SecondChannel { track, first: ChannelId(first.id), second });
    }
    Ok(())
}

fn check_master(
    after: &View,
    arrangement: AnyId,
    second: ChannelId,
    found: &mut Vec<Breach>,
) -> Result<(), ReadError> {
    for entry in after.index()?.scan(&index::referrer_prefix(arrangement, EntityKind::Channel)) {
        let (key, note) = entry?;
        let is_master = note.first().is_some_and(|flags| flags & index::IS_MASTER != 0);
        let other = index::referrer_of(&key).filter(|key| is_master && key.id != second.0);
        if let Some(first) = other {
            found.push(Breach::SecondMaster { arrangement, first: ChannelId(first.id), second });
            return Ok(());
        }
    }
    Ok(())
}
