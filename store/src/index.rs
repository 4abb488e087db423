//! Reverse references: who names an entity, in the order people see them.
//!
//! A second prolly tree outside the Merkle state, because what follows from the state must not
//! change its hash, and because an index that merges by itself can be wrong. It belongs to one
//! state root; for any other state it is derived from the difference between the two, so an old
//! revision costs what changed since and not what the project holds.
//!
//! Key: `target kind ‖ target id ‖ kind ‖ sort key ‖ key of the referring record`. Members are
//! absent under their owner: the state's own key order serves them.

use pulse_schemas::{
    entity::{AnyEntity, ChannelInput, ChannelKind, is_owned},
    id::{AnyId, EntityKind},
    order::OrderKey,
    record::{EntityKey, RecordView},
    time::{Moment, Timebase},
};

use crate::{
    overlay,
    tree::{Edit, Snapshot, TreeError},
};

/// Ends a sort key of free length, so that a short one comes before its extensions.
const END: u8 = 0;

/// Where an entity stands among its siblings, as bytes that compare like it.
pub fn sort_key(entity: &AnyEntity) -> Vec<u8> {
    match entity {
        AnyEntity::Arrangement(it) => ordered(&it.order),
        AnyEntity::Track(it) => ordered(&it.order),
        AnyEntity::Lane(it) => ordered(&it.order),
        AnyEntity::Take(it) => ordered(&it.order),
        AnyEntity::Channel(it) => ordered(&it.order),
        AnyEntity::DspNode(it) => ordered(&it.order),
        AnyEntity::NodeStack(it) => ordered(&it.order),
        AnyEntity::Send(it) => ordered(&it.order),
        AnyEntity::Scene(it) => ordered(&it.order),
        AnyEntity::Variant(it) => ordered(&it.order),
        AnyEntity::Kit(it) => ordered(&it.order),
        AnyEntity::Clip(it) => placed(it.start.0),
        AnyEntity::Section(it) => placed(it.start.0),
        AnyEntity::Marker(it) => placed(it.at.0),
        AnyEntity::TempoPoint(it) => placed(it.at.0),
        AnyEntity::SignaturePoint(it) => placed(it.at.0),
        AnyEntity::KeyPoint(it) => placed(it.at.0),
        AnyEntity::Note(it) => placed(it.start.0),
        AnyEntity::MidiEvent(it) => placed(it.at.0),
        AnyEntity::AutomationPoint(it) => placed(it.at.0),
        AnyEntity::KitSlot(it) => vec![it.key_low],
        _ => Vec::new(),
    }
}

fn ordered(order: &OrderKey) -> Vec<u8> {
    let mut bytes = order.0.as_bytes().to_vec();
    bytes.push(END);
    bytes
}

/// Big-endian with the sign flipped: bytes compare as the numbers do.
fn placed(at: i64) -> Vec<u8> {
    ((at as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// Prefix of all that name `target`.
pub fn target_prefix(target: AnyId) -> Vec<u8> {
    let mut bytes = vec![target.kind as u8];
    bytes.extend(target.id.to_bytes());
    bytes
}

/// Prefix of the entities of one kind that name `target`.
pub fn referrer_prefix(target: AnyId, kind: EntityKind) -> Vec<u8> {
    let mut bytes = target_prefix(target);
    bytes.push(kind as u8);
    bytes
}

/// The first index key of a clip of `lane` that starts at `at` or later.
pub fn clip_prefix(lane: AnyId, at: i64) -> Vec<u8> {
    let mut bytes = referrer_prefix(lane, EntityKind::Clip);
    bytes.extend(placed(at));
    bytes
}

/// The referring record, read back from an index key.
pub fn referrer_of(key: &[u8]) -> Option<EntityKey> {
    let kind = EntityKind::from_number(*key.get(17)?)?;
    let length = if is_owned(kind) { 33 } else { 17 };
    EntityKey::from_bytes(key.get(key.len().checked_sub(length)?..)?).ok()
}

/// A channel that takes its input from the target.
pub const TAPS_TARGET: u8 = 1;
/// A channel that is a master.
pub const IS_MASTER: u8 = 2;

/// What an index entry says about its referrer, so that a question about a thousand referrers
/// reads none of them.
fn note(entity: &AnyEntity, target: AnyId) -> Vec<u8> {
    match entity {
        AnyEntity::Clip(_) => Extent::write(entity),
        AnyEntity::Channel(channel) => {
            let taps = matches!(channel.input,
                ChannelInput::Channel { source, .. } if source.any() == target);
            let is_master = channel.channel_kind == ChannelKind::Master;
            vec![(TAPS_TARGET * u8::from(taps)) | (IS_MASTER * u8::from(is_master))]
        }
        _ => Vec::new(),
    }
}

/// Where a clip ends and in which unit: lets a range query skip clips without reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub timebase: Timebase,
    pub end: Moment,
}

impl Extent {
    pub fn read(value: &[u8]) -> Option<Extent> {
        let (&unit, end) = value.split_first()?;
        let timebase = if unit == 0 { Timebase::Musical } else { Timebase::Absolute };
        Some(Extent { timebase, end: Moment(i64::from_be_bytes(end.try_into().ok()?)) })
    }

    fn write(entity: &AnyEntity) -> Vec<u8> {
        let AnyEntity::Clip(clip) = entity else { return Vec::new() };
        let mut bytes = vec![u8::from(clip.timebase == Timebase::Absolute)];
        bytes.extend(clip.start.0.saturating_add(clip.length.0).to_be_bytes());
        bytes
    }
}

/// The index entries of one entity, in no particular order.
fn entries(entity: &AnyEntity) -> Vec<(Vec<u8>, Vec<u8>)> {
    let owner = entity.owner();
    let mut named = entity.references();
    named.retain(|reference| Some(reference.target) != owner);
    // Notes and points, which are most of what there is.
    if named.is_empty() {
        return Vec::new();
    }
    let (sort, own) = (sort_key(entity), EntityKey::of(entity).to_bytes());
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = named
        .iter()
        .map(|reference| {
            let mut key = referrer_prefix(reference.target, entity.kind());
            key.extend(&sort);
            key.extend(&own);
            (key, note(entity, reference.target))
        })
        .collect();
    entries.sort();
    entries.dedup();
    entries
}

/// Collects what a set of changed entities does to the index.
#[derive(Default)]
pub struct IndexEdits {
    edits: Vec<Edit>,
}

impl IndexEdits {
    pub fn change(&mut self, before: Option<&AnyEntity>, after: Option<&AnyEntity>) {
        let old = before.map(entries).unwrap_or_default();
        let new = after.map(entries).unwrap_or_default();
        let gone = old.iter().filter(|(key, _)| !new.iter().any(|(kept, _)| kept == key));
        self.edits.extend(gone.map(|(key, _)| Edit::remove(key.clone())));
        let fresh = new.iter().filter(|entry| !old.contains(entry));
        self.edits.extend(fresh.map(|(key, value)| Edit::put(key.clone(), value.clone())));
    }

    pub fn apply(mut self, index: &Snapshot) -> Result<Snapshot, TreeError> {
        self.edits.sort_by(|a, b| a.key.cmp(&b.key));
        index.edit(&self.edits)
    }
}

/// The index of `to`, from a state whose index is known, at the cost of the difference.
pub fn advance(index: &Snapshot, from: &Snapshot, to: &Snapshot) -> Result<Snapshot, TreeError> {
    let mut edits = IndexEdits::default();
    for difference in from.diff(to) {
        let difference = difference?;
        if overlay::is_inside(&difference.key) {
            continue;
        }
        let before = difference.before.as_deref().and_then(readable);
        let after = difference.after.as_deref().and_then(readable);
        edits.change(before.as_ref(), after.as_ref());
    }
    edits.apply(index)
}

/// The index of a state of which nothing is known.
pub fn build(state: &Snapshot) -> Result<Snapshot, TreeError> {
    let empty = state.store().empty();
    advance(&empty, &empty, state)
}

/// Records of a newer version name nothing that this version could follow.
fn readable(bytes: &[u8]) -> Option<AnyEntity> {
    RecordView::parse(bytes).ok()?.entity().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulse_schemas::{
        entity::{Clip, Note, defaults},
        id::{ActorId, ClipId, EntityId, LaneId},
        time::Ticks,
    };

    fn id(ordinal: u32) -> EntityId {
        EntityId::derive(ActorId(1), 1, ordinal)
    }

    #[test]
    fn sort_keys_compare_like_what_they_stand_for() {
        let numbers = [i64::MIN, -2, -1, 0, 1, 255, 256, i64::MAX];
        assert!(numbers.windows(2).all(|pair| placed(pair[0]) < placed(pair[1])));
        let orders = ["Zz", "a0", "a0V", "a1", "b00"].map(|key| OrderKey(key.into()));
        assert!(orders.windows(2).all(|pair| ordered(&pair[0]) < ordered(&pair[1])));
    }

    #[test]
    fn an_index_key_names_its_referrer() {
        let clip = Clip { id: ClipId(id(1)), lane: LaneId(id(2)), ..Clip::default() };
        let any = AnyEntity::from(clip);
        for (key, _) in entries(&any) {
            assert_eq!(referrer_of(&key), Some(EntityKey::of(&any)));
        }
        assert_eq!(referrer_of(b"short"), None);
    }

    #[test]
    fn a_member_has_no_entry_under_its_owner() {
        let note =
            Note { id: pulse_schemas::id::NoteId(id(1)), clip: ClipId(id(2)), ..Note::default() };
        assert!(entries(&note.into()).is_empty());
    }

    #[test]
    fn every_kind_can_be_indexed() {
        defaults().iter().for_each(|entity| drop(entries(entity)));
        let moved = |start| Clip { start: Ticks(start).into(), ..Clip::default() };
        let mut edits = IndexEdits::default();
        edits.change(Some(&moved(1).into()), Some(&moved(2).into()));
        assert_eq!(edits.edits.len(), 2);
    }
}
