//! Which windows of notes an edit concerns.
//!
//! Asked of both sides of a change by the derivation itself: a window differs where
//! one of the two says anything in it. Only of tracks whose notes somebody has asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pulse_schemas::{
    entity::{AnyEntity, Clip, Lane, Track},
    id::{ArrangementId, ClipId, EntityKind, TrackId},
};
use pulse_store::changes::Change;

use super::{
    Host,
    db::{self, Db as _},
    touch::Touch,
};
use crate::{
    content::{Ctx, Played, place_differs, windows_of_clip, windows_of_member},
    source::{Source, SourceExt},
};

/// One side of a transaction.
#[derive(Clone, Copy)]
pub enum Side {
    Before,
    After,
}

impl Side {
    fn of(self, change: &Change) -> Option<&AnyEntity> {
        match self {
            Side::Before => change.before.as_deref(),
            Side::After => change.after.as_deref(),
        }
    }
}

pub type Windows = BTreeMap<TrackId, BTreeSet<i64>>;

impl Host {
    /// Adds the windows that one side of a transaction says anything in.
    pub(super) fn windows_of(
        &self,
        source: &dyn Source,
        side: Side,
        changes: &[Change],
        windows: &mut Windows,
    ) {
        if self.db.plays.held() == 0 && self.db.inputs().windows.is_empty() {
            return;
        }
        let whole = whole_clips(side, changes);
        let mut clips: BTreeMap<ClipId, Option<(Clip, TrackId, ArrangementId)>> = BTreeMap::new();
        for id in &whole {
            let Some((clip, track, arrangement)) = self.heard_clip(source, *id) else { continue };
            let found = self.within(source, arrangement, |ctx| windows_of_clip(ctx, &clip));
            windows.entry(track).or_default().extend(found);
        }
        let members = [EntityKind::Note, EntityKind::MidiEvent];
        for change in changes.iter().filter(|change| members.contains(&change.key.kind)) {
            let Some(id) = change.key.owner.map(ClipId) else { continue };
            let Some(member) = side.of(change).filter(|_| !whole.contains(&id)) else { continue };
            let clip = clips.entry(id).or_insert_with(|| self.heard_clip(source, id));
            let Some((clip, track, arrangement)) = clip else { continue };
            let found =
                self.within(source, *arrangement, |ctx| windows_of_member(ctx, clip, member));
            windows.entry(*track).or_default().extend(found);
        }
    }

    /// A clip of a track whose notes somebody has asked for.
    fn heard_clip(
        &self,
        source: &dyn Source,
        id: ClipId,
    ) -> Option<(Clip, TrackId, ArrangementId)> {
        let clip: Clip = source.get(id.0)?;
        let lane: Lane = source.get(clip.lane.0)?;
        let asked = self.db.plays.has(lane.track) || self.db.inputs().has_windows(lane.track);
        let track: Track = source.get(lane.track.0).filter(|_| asked)?;
        Some((clip, track.id, track.arrangement))
    }

    /// In the time that is derived in up to now: with another everything is.
    fn within<T>(
        &self,
        source: &dyn Source,
        arrangement: ArrangementId,
        derive: impl FnOnce(&Ctx<'_>) -> T,
    ) -> T {
        let tempo = db::tempo(&self.db, db::arrangement_in(&self.db, arrangement));
        let rate = db::ProjectIn::get(&self.db).sample_rate(&self.db);
        let registry = &self.db.world.registry;
        derive(&Ctx { source, registry, tempo: &tempo.map, rate })
    }

    /// What a track plays. The windows that an edit concerns are asked for before:
    /// the rest of it is put together from what is known.
    pub(super) fn played(&self, of: db::ArrangementIn, track: TrackId) -> Arc<Played> {
        let input = db::track_in(&self.db, track);
        for number in self.db.plays.dirty_windows(track) {
            let window = db::window(&self.db, of, input, db::window_in(&self.db, track, number));
            if window.events().is_empty() {
                self.db.inputs().shut(track, Some(number));
            }
        }
        db::played(&self.db, of, input)
    }

    /// Windows hold something else from now on.
    pub(super) fn renew_windows(&mut self, windows: &Windows) {
        for (track, numbers) in windows {
            for number in numbers {
                let known = self.db.inputs().windows.get(&(*track, *number)).copied();
                if let Some(window) = known {
                    self.renew_window(window);
                }
            }
        }
    }

    /// Whether ticks lie at other frames than before a transaction.
    pub(super) fn is_retimed(&self, touched: &BTreeSet<Touch>) -> bool {
        let rate = || db::ProjectIn::get(&self.db).sample_rate(&self.db);
        touched.iter().any(|touch| match touch {
            Touch::Tempo(_) => true,
            Touch::Project => self.db.world.sample_rate() != rate(),
            _ => false,
        })
    }

    /// In another time all windows hold something else, and nobody knows which of
    /// them an edit concerns that was made in between.
    pub(super) fn retime(&mut self) {
        self.db.plays.clear();
        self.db.laid.clear();
        let all: Vec<_> = self.db.inputs().windows.values().copied().collect();
        all.into_iter().for_each(|window| self.renew_window(window));
    }

    fn renew_window(&mut self, window: db::WindowIn) {
        use salsa::{Durability, Setter as _};
        let revision = self.db.world.labels.fresh();
        window.set_revision(&mut self.db).with_durability(Durability::LOW).to(revision);
    }
}

/// Clips that are placed or launched otherwise than on the other side.
fn whole_clips(side: Side, changes: &[Change]) -> BTreeSet<ClipId> {
    let mut whole = BTreeSet::new();
    for change in changes {
        match (change.before.as_deref(), change.after.as_deref()) {
            (Some(AnyEntity::Clip(old)), Some(AnyEntity::Clip(new)))
                if !place_differs(old, new) => {}
            _ => match side.of(change) {
                Some(AnyEntity::Clip(clip)) => drop(whole.insert(clip.id)),
                Some(AnyEntity::ClipSlot(slot)) => whole.extend(slot.clip),
                _ => {}
            },
        }
    }
    whole
}
