//! Scenes to launch and variants to compare.

use super::{Checker, Entity, HistoryContext, Reference, data};
use crate::{
    id::{
        AnyId, ArrangementId, ClipId, ClipSlotId, EntityId, EntityKind, SceneId, TrackId, VariantId,
    },
    order::OrderKey,
};

data! {
    /// A row of the launcher: what starts together.
    pub struct Scene {
        pub id: SceneId,
        pub arrangement: ArrangementId,
        pub order: OrderKey,
        pub name: String,
        /// Tempo that launching sets, 1 to 1,000; none leaves it.
        pub bpm: Option<f64>,
    }
}

impl Entity for Scene {
    const KIND: EntityKind = EntityKind::Scene;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("arrangement", self.arrangement)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("arrangement", self.arrangement.0);
        checker.name("name", &self.name);
        checker.order("order", &self.order);
        checker.range("bpm", self.bpm.unwrap_or(120.0), 1.0, 1_000.0);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// Where a scene meets a track; it may hold a clip.
    pub struct ClipSlot {
        pub id: ClipSlotId,
        pub scene: SceneId,
        pub track: TrackId,
        pub clip: Option<ClipId>,
        pub quantise: LaunchQuantise,
        /// Launching an empty slot stops the track.
        pub stop_when_empty: bool,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum LaunchQuantise {
        Off,
        Beat,
        #[default]
        Bar,
        FourBars,
        EightBars,
    }
}

impl Entity for ClipSlot {
    const KIND: EntityKind = EntityKind::ClipSlot;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        let mut references =
            vec![Reference::cascade("scene", self.scene), Reference::cascade("track", self.track)];
        references.extend(self.clip.map(|id| Reference::clear("clip", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("scene", self.scene.0);
        checker.identity("track", self.track.0);
    }
}

data! {
    /// An alternative (A, B, C) of a track or a clip: an overlay of fields and
    /// members that is laid over the original when it plays.
    pub struct Variant {
        pub id: VariantId,
        /// The track or clip that it is a variant of.
        pub subject: Option<AnyId>,
        pub scope: VariantScope,
        pub name: String,
        pub order: OrderKey,
        /// Root of an overlay that is kept beside the tree, as older projects do; zero where it lies in the tree.
        pub overlay: crate::hash::Hash,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum VariantScope {
        #[default]
        Track,
        Clip,
    }
}

impl Entity for Variant {
    const KIND: EntityKind = EntityKind::Variant;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Timeline;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.subject.map(|subject| Reference::cascade("subject", subject)).into_iter().collect()
    }

    fn check(&self, checker: &mut Checker) {
        let fits = self.subject.is_some_and(|subject| match self.scope {
            VariantScope::Track => subject.kind == EntityKind::Track,
            VariantScope::Clip => subject.kind == EntityKind::Clip,
        });
        checker.form("subject", fits, "the id of a track or clip, as `scope` says");
        checker.required("name", &self.name);
        checker.order("order", &self.order);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
