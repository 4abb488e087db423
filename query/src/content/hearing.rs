//! Who is heard, kept up with the project: what decides it, and whom a change of
//! that concerns.
//!
//! Says what [`audible`](super::audible) says of a whole arrangement. Most tracks
//! decide nothing (no mute, no solo, no folder), so what decides is small, and a
//! mute concerns a track and what lies below it, however many tracks there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_schemas::{
    entity::{Channel, ChannelKind, Track},
    id::{ArrangementId, TrackId},
};

use crate::source::{Source, SourceExt};

/// What a track decides. A track at rest decides the same as none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Says {
    mute: bool,
    solo: bool,
    solo_safe: bool,
    parent: Option<TrackId>,
}

impl Says {
    pub fn of(track: &Track) -> Says {
        let Track { mute, solo, solo_safe, parent, .. } = *track;
        Says { mute, solo, solo_safe, parent }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Tree {
    parents: BTreeMap<TrackId, TrackId>,
    /// Parent, then child.
    below: BTreeSet<(TrackId, TrackId)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hearing {
    muted: BTreeSet<TrackId>,
    soloed: BTreeSet<TrackId>,
    solo_safe: BTreeSet<TrackId>,
    /// Tracks that are soloed, and everything above them.
    above_solo: BTreeSet<TrackId>,
    tree: Arc<Tree>,
}

/// Tracks that may be heard otherwise than before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Concerned {
    /// Anything is soloed now, or nothing any more.
    All,
    Tracks(BTreeSet<TrackId>),
}

impl Hearing {
    pub fn of(source: &dyn Source, arrangement: ArrangementId) -> Hearing {
        let tracks = source.referring::<Track>(arrangement);
        let tracks = tracks.iter().map(|track| (track.id, Says::of(track)));
        let nothing = Hearing::default();
        nothing.after(tracks).map_or(nothing, |(hearing, _)| hearing)
    }

    /// After some tracks say something else; none if that decides nothing else.
    pub fn after(
        &self,
        tracks: impl IntoIterator<Item = (TrackId, Says)>,
    ) -> Option<(Hearing, Concerned)> {
        let mut new = self.clone();
        let mut moved = BTreeSet::new();
        for (track, says) in tracks {
            let Says { mute, solo, solo_safe, parent } = says;
            mark(&mut new.muted, track, mute);
            mark(&mut new.soloed, track, solo);
            mark(&mut new.solo_safe, track, solo_safe);
            if new.tree.parents.get(&track) != parent.as_ref() {
                Arc::make_mut(&mut new.tree).put(track, parent);
                moved.insert(track);
            }
        }
        if new.soloed != self.soloed || (!moved.is_empty() && !new.soloed.is_empty()) {
            new.above_solo = new.soloed.iter().flat_map(|track| new.tree.lineage(*track)).collect();
        }
        if new == *self {
            return None;
        }
        let concerned = new.concerned(self, moved);
        Some((new, concerned))
    }

    fn concerned(&self, old: &Hearing, moved: BTreeSet<TrackId>) -> Concerned {
        if old.soloed.is_empty() != self.soloed.is_empty() {
            return Concerned::All;
        }
        let muted = old.muted.symmetric_difference(&self.muted);
        let soloed = old.soloed.symmetric_difference(&self.soloed);
        let mut tracks = BTreeSet::new();
        let mut open: Vec<TrackId> = muted.chain(soloed).chain(&moved).copied().collect();
        while let Some(track) = open.pop() {
            if tracks.insert(track) {
                open.extend(self.tree.children(track));
            }
        }
        tracks.extend(old.solo_safe.symmetric_difference(&self.solo_safe));
        tracks.extend(old.above_solo.symmetric_difference(&self.above_solo));
        Concerned::Tracks(tracks)
    }

    pub fn hears(&self, channel: &Channel) -> bool {
        match (channel.channel_kind, channel.track) {
            _ if channel.mute => false,
            (ChannelKind::Track, Some(track)) => self.sounds(track),
            _ => true,
        }
    }

    fn sounds(&self, track: TrackId) -> bool {
        let line = self.tree.lineage(track);
        let any = |of: &BTreeSet<TrackId>| line.iter().any(|track| of.contains(track));
        let heard = self.soloed.is_empty()
            || self.above_solo.contains(&track)
            || self.solo_safe.contains(&track)
            || any(&self.soloed);
        heard && !any(&self.muted)
    }
}

fn mark(set: &mut BTreeSet<TrackId>, track: TrackId, on: bool) {
    if on {
        set.insert(track);
    } else {
        set.remove(&track);
    }
}

impl Tree {
    fn put(&mut self, track: TrackId, parent: Option<TrackId>) {
        let old = match parent {
            Some(parent) => self.parents.insert(track, parent),
            None => self.parents.remove(&track),
        };
        old.map(|old| self.below.remove(&(old, track)));
        self.below.extend(parent.map(|parent| (parent, track)));
    }

    fn children(&self, track: TrackId) -> impl Iterator<Item = TrackId> {
        let below = self.below.range((track, TrackId::default())..);
        below.take_while(move |(parent, _)| *parent == track).map(|(_, child)| *child)
    }

    /// A track and everything above it; a ring, as a merge may leave it, ends
    /// where it began.
    fn lineage(&self, track: TrackId) -> Vec<TrackId> {
        let mut line = vec![track];
        let mut at = track;
        while let Some(parent) = self.parents.get(&at).filter(|parent| !line.contains(parent)) {
            line.push(*parent);
            at = *parent;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulse_schemas::id::{ActorId, ChannelId, EntityId};

    use super::*;
    use crate::{content::audible, source::Entities};

    fn id(group: u64, number: u8) -> EntityId {
        EntityId::derive(ActorId(3), group, number.into())
    }

    fn put(entities: &mut Entities, (number, bits, parent): (u8, u8, u8)) -> Track {
        let on = |bit: u8| bits & 1 << bit != 0;
        let track = Track {
            id: TrackId(id(1, number)),
            arrangement: ArrangementId(id(0, 0)),
            mute: on(0) && on(1),
            solo: on(2) && on(3),
            solo_safe: on(4) && on(5),
            parent: (parent < 8).then(|| TrackId(id(1, parent))),
            ..Track::default()
        };
        entities.put(track.clone());
        entities.put(Channel {
            id: ChannelId(id(2, number)),
            arrangement: track.arrangement,
            track: Some(track.id),
            channel_kind: ChannelKind::Track,
            mute: on(6) && on(7),
            ..Channel::default()
        });
        track
    }

    proptest! {
        /// Rings of parents and parents that are not there included.
        #[test]
        fn a_change_leads_to_what_all_tracks_say_and_names_whom_it_concerns(
            edits in prop::collection::vec((0u8..6, any::<u8>(), 0u8..16), 1..40),
        ) {
            let (mut entities, mut hearing) = (Entities::default(), Hearing::default());
            let arrangement = ArrangementId(id(0, 0));
            for edit in edits {
                let before = audible(&entities, arrangement);
                let channels = entities.referring::<Channel>(arrangement);
                let track = put(&mut entities, edit);
                let after = hearing.after([(track.id, Says::of(&track))]);
                let concerned = after.as_ref().map(|(_, concerned)| concerned.clone());
                hearing = after.map_or(hearing, |(hearing, _)| hearing);
                prop_assert_eq!(&hearing, &Hearing::of(&entities, arrangement));
                let expect = audible(&entities, arrangement);
                for channel in entities.referring::<Channel>(arrangement) {
                    let heard = expect.0.contains(&channel.id);
                    prop_assert_eq!(hearing.hears(&channel), heard);
                    let known = channels.contains(&channel);
                    if known && before.0.contains(&channel.id) != heard {
                        let named = match &concerned {
                            None => false,
                            Some(Concerned::All) => true,
                            Some(Concerned::Tracks(tracks)) => {
                                channel.track.is_some_and(|track| tracks.contains(&track))
                            }
                        };
                        prop_assert!(named, "{:?} is not named", channel.track);
                    }
                }
            }
        }
    }

    #[test]
    fn a_mute_concerns_the_track_and_what_lies_below_it_alone() {
        let mut entities = Entities::default();
        for (number, parent) in [(0, 9), (1, 0), (2, 1), (3, 9), (4, 3)] {
            put(&mut entities, (number, 0, parent));
        }
        let hearing = Hearing::of(&entities, ArrangementId(id(0, 0)));
        let track = put(&mut entities, (1, 3, 0));
        let (_, concerned) = hearing.after([(track.id, Says::of(&track))]).unwrap();
        let below = [1, 2].map(|number| TrackId(id(1, number)));
        assert_eq!(concerned, Concerned::Tracks(below.into()));
    }
}
