//! Tracks: made with their channel and first lane, copied with all they hold.

pub mod names;

use std::collections::BTreeSet;

use pulse_schemas::{
    command::{
        track::{
            ChannelSet, Command, Create, Created, Delete, Duplicate, Group, Grouped, List, Move,
            Rename, SetChannel, SetFlags, SetPolicy, Tracks,
        },
        types::{Copied, Patch},
    },
    entity::{
        AnyEntity, Channel, ChannelKind, DspNode, Lane, LaneKind, Track, TrackKind, ViewMeta,
    },
    error::ErrorCode,
    id::{AnyId, ArrangementId, ChannelId, EntityKind, LaneId, NodeId, TrackId, ViewMetaId},
    record::EntityKey,
};
use pulse_store::view::View;

use super::edit::{Copier, Edit, active_arrangement, done, place_before, reply, sort};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Rename(payload) => rename(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::Group(payload) => group(edit, payload),
        Command::SetFlags(payload) => set_flags(edit, payload),
        Command::SetPolicy(payload) => set_policy(edit, payload),
        Command::SetChannel(payload) => set_channel(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The tracks of an arrangement, without those in `moving`.
fn siblings(
    edit: &mut Edit<'_, '_>,
    arrangement: ArrangementId,
    parent: Option<TrackId>,
    moving: &[TrackId],
) -> Result<Vec<Track>, Refusal> {
    let mut tracks = edit.referring::<Track>(arrangement)?;
    tracks.retain(|track| track.parent == parent && !moving.contains(&track.id));
    Ok(tracks)
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    if let Some(parent) = payload.parent {
        require_folder(edit, parent)?;
    }
    let name = match &payload.name {
        Some(name) => name.clone(),
        None => names::next(edit, arrangement)?,
    };
    let named = names::known(edit, arrangement)?;
    edit.label(format!("Create track {name}"));
    let order = match (payload.before, payload.parent) {
        (Some(before), parent) => {
            let mut siblings = siblings(edit, arrangement, parent, &[])?;
            place_before(&mut siblings, Some(before.0))
        }
        (None, Some(parent)) => edit.place_last::<Track>(parent)?,
        (None, None) => edit.place_last::<Track>(arrangement)?,
    };
    let track = Track {
        id: TrackId(edit.id()),
        arrangement,
        parent: payload.parent,
        order,
        name: name.clone(),
        track_kind: payload.kind,
        ..Track::default()
    };
    edit.put(track.clone())?;
    let channel = match payload.kind {
        TrackKind::Folder => None,
        _ => Some(add_channel(edit, &track, payload.output)?),
    };
    let lane = add_lane(edit, &track)?;
    let mut nodes = Vec::new();
    if let Some(channel) = channel {
        for kind in &payload.nodes {
            nodes.push(add_node(edit, channel, kind)?);
        }
    }
    if let Some(colour) = &payload.colour {
        set_colour(edit, track.id.any(), colour)?;
    }
    if named {
        names::made(edit, name)?;
    }
    reply(Created { track: track.id, channel, lane, nodes })
}

fn require_folder(edit: &mut Edit<'_, '_>, parent: TrackId) -> Result<Track, Refusal> {
    let track: Track = edit.get(parent)?;
    if matches!(track.track_kind, TrackKind::Folder | TrackKind::Group) {
        return Ok(track);
    }
    let text = format!("{} is no folder or group", track.name);
    Err(Refusal::new(ErrorCode::EntityInvalid, text).with("entity", parent.to_string()))
}

/// The channel of a new track; it feeds the group above it, else the master.
fn add_channel(
    edit: &mut Edit<'_, '_>,
    track: &Track,
    output: Option<ChannelId>,
) -> Result<ChannelId, Refusal> {
    let output = match output {
        Some(output) => Some(edit.get::<Channel>(output)?.id),
        None => default_output(edit, track)?,
    };
    let order = edit.place_last::<Channel>(track.arrangement)?;
    let id = ChannelId(edit.id());
    edit.put(Channel {
        id,
        arrangement: track.arrangement,
        track: Some(track.id),
        channel_kind: ChannelKind::Track,
        order,
        name: track.name.clone(),
        width: 1.0,
        channels: 2,
        pan_law: edit.pan_law,
        output,
        ..Channel::default()
    })?;
    Ok(id)
}

fn default_output(edit: &mut Edit<'_, '_>, track: &Track) -> Result<Option<ChannelId>, Refusal> {
    let mut above = track.parent;
    while let Some(id) = above {
        let parent: Track = edit.get(id)?;
        if let Some(channel) = channel_of(edit, id)? {
            return Ok(Some(channel.id));
        }
        above = parent.parent;
    }
    Ok(edit.master(track.arrangement)?.map(|master| master.id))
}

fn channel_of(edit: &mut Edit<'_, '_>, track: TrackId) -> Result<Option<Channel>, Refusal> {
    let channels = edit.referring::<Channel>(track)?;
    Ok(channels.into_iter().find(|channel| channel.track == Some(track)))
}

fn add_lane(edit: &mut Edit<'_, '_>, track: &Track) -> Result<Option<LaneId>, Refusal> {
    let lane_kind = match track.track_kind {
        TrackKind::Audio => LaneKind::Audio,
        TrackKind::Instrument => LaneKind::Midi,
        TrackKind::Video => LaneKind::Video,
        TrackKind::Folder | TrackKind::Group => return Ok(None),
    };
    let id = LaneId(edit.id());
    edit.put(Lane { id, track: track.id, lane_kind, ..Lane::default() })?;
    Ok(Some(id))
}

fn add_node(edit: &mut Edit<'_, '_>, channel: ChannelId, kind: &str) -> Result<NodeId, Refusal> {
    if edit.registry.get(kind).is_none() {
        let text = format!("this Pulse has no node of the kind `{kind}`");
        return Err(Refusal::new(ErrorCode::NodeUnknownKind, text));
    }
    let node_version = edit.registry.version(kind);
    let mut nodes = edit.referring::<DspNode>(channel)?;
    let id = NodeId(edit.id());
    edit.put(DspNode {
        id,
        channel,
        order: place_before(&mut nodes, None),
        node_kind: kind.to_owned(),
        node_version,
        ..DspNode::default()
    })?;
    Ok(id)
}

pub(super) fn set_colour(
    edit: &mut Edit<'_, '_>,
    subject: AnyId,
    colour: &str,
) -> Result<(), Refusal> {
    let known = edit.referring::<ViewMeta>(subject)?.into_iter().next();
    let mut meta = match known {
        Some(meta) => meta,
        None => {
            ViewMeta { id: ViewMetaId(edit.id()), subject: Some(subject), ..ViewMeta::default() }
        }
    };
    meta.colour = Some(colour.to_owned());
    edit.put(meta)
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let names: Vec<String> = payload
        .tracks
        .iter()
        .map(|id| Ok(edit.get::<Track>(*id)?.name))
        .collect::<Result<_, Refusal>>()?;
    edit.label(format!("Delete {}", names.join(", ")));
    if payload.keep_children {
        for id in &payload.tracks {
            lift_children(edit, *id)?;
        }
    }
    reply(edit.delete(payload.tracks.iter().copied())?)
}

fn lift_children(edit: &mut Edit<'_, '_>, folder: TrackId) -> Result<(), Refusal> {
    let parent = edit.get::<Track>(folder)?.parent;
    let mut children = edit.referring::<Track>(folder)?;
    children.retain(|track| track.parent == Some(folder));
    sort(&mut children);
    for child in children {
        let arrangement = child.arrangement;
        let mut siblings = siblings(edit, arrangement, parent, &[child.id])?;
        let order = place_before(&mut siblings, Some(folder.0));
        edit.update::<Track>(child.id, |track| (track.parent, track.order) = (parent, order))?;
    }
    Ok(())
}

/// Everything that belongs to a track or a channel: what would go with it, and
/// its own kind of members. Routes from outside stay with the original.
pub(super) fn belongings(
    view: &View,
    root: AnyId,
    content: bool,
) -> Result<Vec<AnyEntity>, Refusal> {
    let mut found: Vec<AnyEntity> = Vec::new();
    let mut seen: BTreeSet<EntityKey> = BTreeSet::new();
    let mut open: Vec<AnyId> = vec![root];
    while let Some(id) = open.pop() {
        let Some(key) = view.locate(id)? else { continue };
        if !seen.insert(key) {
            continue;
        }
        let Some(entity) = view.entity(&key)? else { continue };
        let mut next: Vec<EntityKey> = view.member_keys(id)?;
        next.extend(view.all_referrers(id)?);
        for key in next {
            if follows(view, &key, id, content)? {
                open.push(key.any_id());
            }
        }
        found.push(entity);
    }
    found.sort_by_key(EntityKey::of);
    Ok(found)
}

/// Whether an entity that names a copied one is copied with it.
fn follows(view: &View, key: &EntityKey, by: AnyId, content: bool) -> Result<bool, Refusal> {
    let inside = match key.kind {
        EntityKind::Clip | EntityKind::Take | EntityKind::Comp => content,
        EntityKind::Lane
        | EntityKind::AudioRegion
        | EntityKind::Note
        | EntityKind::MidiEvent
        | EntityKind::AutomationEnvelope
        | EntityKind::AutomationPoint
        | EntityKind::DspNode
        | EntityKind::NodeStack
        | EntityKind::Connection
        | EntityKind::ViewMeta => true,
        EntityKind::Channel => by.kind == EntityKind::Track,
        EntityKind::Track => by.kind == EntityKind::Track,
        EntityKind::Send => match view.entity(key)? {
            Some(AnyEntity::Send(send)) => send.from.any() == by,
            _ => false,
        },
        EntityKind::SidechainRoute => by.kind == EntityKind::DspNode,
        EntityKind::ModulationRoute => match view.entity(key)? {
            Some(AnyEntity::ModulationRoute(route)) => route.from.any() == by,
            _ => false,
        },
        _ => false,
    };
    Ok(inside)
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let view = edit.view()?;
    let mut originals: Vec<AnyEntity> = Vec::new();
    for track in &payload.tracks {
        edit.get::<Track>(*track)?;
        originals.extend(belongings(&view, track.any(), !payload.without_content)?);
    }
    originals.sort_by_key(EntityKey::of);
    originals.dedup_by_key(|entity| EntityKey::of(entity));
    edit.label(format!("Duplicate {} tracks", payload.tracks.len()));
    let copier = Copier::copy(edit, &originals, |fields, kind| {
        if matches!(kind, EntityKind::Track | EntityKind::Clip) {
            // A variant belongs to the original.
            fields.insert("activeVariant".into(), serde_json::Value::Null);
        }
        true
    })?;
    for id in &payload.tracks {
        let Some(copy) = copier.of(*id) else { continue };
        let original: Track = edit.get(*id)?;
        let mut around = siblings(edit, original.arrangement, original.parent, &[])?;
        around.retain(|track| track.id.any() != copy);
        sort(&mut around);
        let next = around
            .iter()
            .position(|track| track.id == *id)
            .and_then(|at| around.get(at + 1))
            .map(|track| track.id.0);
        let order = place_before(&mut around, next);
        let name = format!("{} copy", original.name);
        edit.update::<Track>(copy, |track| (track.order, track.name) = (order, name))?;
    }
    reply(Copied { copies: copier.copies })
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let track: Track = edit.get(payload.track)?;
    edit.label(format!("Rename {} to {}", track.name, payload.name));
    if let Some(channel) = channel_of(edit, track.id)?
        && channel.name == track.name
    {
        edit.update::<Channel>(channel.id, |channel| channel.name = payload.name.clone())?;
    }
    edit.update::<Track>(track.id, |track| track.name = payload.name.clone())?;
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    edit.label(format!("Move {} tracks", payload.tracks.len()));
    for id in &payload.tracks {
        let track: Track = edit.get(*id)?;
        let parent = match payload.parent {
            Patch::Keep => track.parent,
            Patch::Clear => None,
            Patch::Set(parent) => Some(require_folder(edit, parent)?.id),
        };
        let mut siblings = siblings(edit, track.arrangement, parent, &payload.tracks)?;
        // Those that moved before this one lie before the same sibling.
        for moved in payload.tracks.iter().take_while(|moved| *moved != id) {
            siblings.push(edit.get(*moved)?);
        }
        let order = place_before(&mut siblings, payload.before.map(|before| before.0));
        edit.update::<Track>(*id, |track| (track.parent, track.order) = (parent, order))?;
    }
    done()
}

fn group(edit: &mut Edit<'_, '_>, payload: &Group) -> Reply {
    let first: Track = match payload.tracks.first() {
        Some(first) => edit.get(*first)?,
        None => return Err(Refusal::range("payload.tracks", "a group needs tracks")),
    };
    let kind = if payload.sum { TrackKind::Group } else { TrackKind::Folder };
    let made = create(
        edit,
        &Create {
            arrangement: Some(first.arrangement),
            name: payload.name.clone().or_else(|| Some("Group".into())),
            kind,
            parent: first.parent,
            before: Some(first.id),
            colour: None,
            output: None,
            nodes: vec![],
        },
    )?;
    let made: Created = serde_json::from_value(made)?;
    let mut placed: Vec<Track> = Vec::new();
    for id in &payload.tracks {
        let before: Track = edit.get(*id)?;
        let order = place_before(&mut placed, None);
        edit.update::<Track>(*id, |track| {
            (track.parent, track.order) = (Some(made.track), order);
        })?;
        placed.push(edit.get(*id)?);
        if let Some(group) = made.channel
            && let Some(channel) = channel_of(edit, *id)?
            && channel.output == default_output(edit, &before)?
        {
            edit.update::<Channel>(channel.id, |channel| channel.output = Some(group))?;
        }
    }
    edit.label(format!("Group {} tracks", payload.tracks.len()));
    reply(Grouped { track: made.track, channel: made.channel })
}

fn set_flags(edit: &mut Edit<'_, '_>, payload: &SetFlags) -> Reply {
    let first: Track = match payload.tracks.first() {
        Some(first) => edit.get(*first)?,
        None => return done(),
    };
    edit.label(match (payload.mute, payload.solo, payload.armed) {
        (Some(true), _, _) => format!("Mute {}", first.name),
        (Some(false), _, _) => format!("Unmute {}", first.name),
        (_, Some(true), _) => format!("Solo {}", first.name),
        (_, Some(false), _) => format!("Unsolo {}", first.name),
        (_, _, Some(true)) => format!("Arm {}", first.name),
        (_, _, Some(false)) => format!("Disarm {}", first.name),
        _ => format!("Change {}", first.name),
    });
    for id in &payload.tracks {
        edit.update::<Track>(*id, |track| {
            track.mute = payload.mute.unwrap_or(track.mute);
            track.solo = payload.solo.unwrap_or(track.solo);
            track.solo_safe = payload.solo_safe.unwrap_or(track.solo_safe);
            track.armed = payload.armed.unwrap_or(track.armed);
            track.monitor = payload.monitor.unwrap_or(track.monitor);
        })?;
    }
    if payload.exclusive {
        for other in edit.referring::<Track>(first.arrangement)? {
            let solo = payload.solo.is_some() && other.solo;
            let armed = payload.armed.is_some() && other.armed;
            if !payload.tracks.contains(&other.id) && (solo || armed) {
                edit.update::<Track>(other.id, |track| {
                    track.solo &= payload.solo.is_none();
                    track.armed &= payload.armed.is_none();
                })?;
            }
        }
    }
    done()
}

fn set_policy(edit: &mut Edit<'_, '_>, payload: &SetPolicy) -> Reply {
    edit.update::<Track>(payload.track, |track| track.policy = payload.policy)?;
    done()
}

fn set_channel(edit: &mut Edit<'_, '_>, payload: &SetChannel) -> Reply {
    let track: Track = edit.get(payload.track)?;
    let known = channel_of(edit, track.id)?;
    let channel = match (payload.enabled, known) {
        (true, Some(channel)) => Some(channel.id),
        (true, None) => Some(add_channel(edit, &track, None)?),
        (false, Some(channel)) => {
            edit.delete([channel.id])?;
            None
        }
        (false, None) => None,
    };
    if matches!(track.track_kind, TrackKind::Folder | TrackKind::Group) {
        let kind = if channel.is_some() { TrackKind::Group } else { TrackKind::Folder };
        edit.update::<Track>(track.id, |track| track.track_kind = kind)?;
    }
    reply(ChannelSet { channel })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let arrangement = match payload.arrangement {
        Some(arrangement) => arrangement,
        None => active_arrangement(&view)?,
    };
    let mut all = view.referring::<Track>(arrangement)?;
    sort(&mut all);
    let mut tracks = Vec::new();
    add_below(&all, None, &mut tracks);
    reply(Tracks { tracks })
}

/// Depth first: a folder, then what it holds.
fn add_below(all: &[Track], parent: Option<TrackId>, found: &mut Vec<Track>) {
    for track in all.iter().filter(|track| track.parent == parent) {
        if found.len() < all.len() {
            found.push(track.clone());
            add_below(all, Some(track.id), found);
        }
    }
}
