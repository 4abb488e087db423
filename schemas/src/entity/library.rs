//! Media, what is known about them, and kits made of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Entity, HistoryContext, Reference, data, timeline::GAIN_RANGE};
use crate::{
    hash::Hash,
    id::{
        AnalysisId, AnyId, ClipId, EntityId, EntityKind, KitId, KitSlotId, MediaId, PadWorkspaceId,
        TrackId,
    },
    order::OrderKey,
};

data! {
    /// Bytes kept beside the tree, by content.
    pub struct BlobRef {
        pub hash: Hash,
        pub bytes: u64,
    }
}

data! {
    /// A recording, sample, MIDI file or film that clips name by id and never by path.
    pub struct MediaItem {
        pub id: MediaId,
        pub media_kind: MediaKind,
        pub name: String,
        pub origin: MediaOrigin,
        pub storage: MediaStorage,
        pub format: AudioFormat,
        pub lifecycle: Lifecycle,
        /// Where it was seen last; what is true now is derived, not stored.
        pub availability: Availability,
        /// Hash of the decoded PCM, its format and the decoder's version.
        pub content: Option<Hash>,
        /// Hash of the whole file.
        pub file: Option<BlobRef>,
        pub tags: BTreeSet<String>,
        /// Derived or learned: `bpm`, `key`, `instrument`.
        pub attributes: BTreeMap<String, String>,
        /// What a bounce or freeze was made from.
        pub lineage: Vec<AnyId>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum MediaKind {
        #[default]
        Audio,
        Midi,
        Video,
        Analysis,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum MediaOrigin {
        Recorded,
        #[default]
        Imported,
        Generated,
        External,
    }
}

data! {
    /// Where the file lies.
    pub struct MediaStorage {
        pub backend: StorageBackend,
        /// Relative to the project's `Media/` for `project`, else absolute.
        pub path: String,
        /// Name or id of the volume, for external drives.
        pub volume: Option<String>,
        /// The provider's own id, for cloud storage.
        pub provider_id: Option<String>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum StorageBackend {
        #[default]
        Project,
        Cloud,
        External,
        Reference,
    }
}

data! {
    /// What the file holds, as decoded.
    pub struct AudioFormat {
        /// `wav`, `flac`, `mp3`; empty while unknown.
        pub container: String,
        pub sample_rate: u32,
        pub channels: u16,
        /// Bits per sample; 0 where the codec has none.
        pub bits: u16,
        pub float: bool,
        pub frames: u64,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum Lifecycle {
        /// Reserved for a recording or render; never enters a commit.
        Pending,
        #[default]
        Final,
        Abandoned,
    }
}

data! {
    #[derive(Copy, Eq, PartialOrd, Ord)]
    pub enum Availability {
        #[default]
        Local,
        ExternalOnline,
        RemoteFetching,
        RemoteOffline,
        ExternalOffline,
        Missing,
    }
}

impl Entity for MediaItem {
    const KIND: EntityKind = EntityKind::MediaItem;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Media;
    const MAP_FIELDS: &'static [&'static str] = &["attributes"];
    const SET_FIELDS: &'static [&'static str] = &["tags"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.lineage.iter().map(|source| Reference::keep("lineage", *source)).collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.name("name", &self.name);
        checker.length("storage.path", self.storage.path.len(), 32_768);
        checker.range("format.sampleRate", f64::from(self.format.sample_rate), 0.0, 1_536_000.0);
        checker.range("format.channels", f64::from(self.format.channels), 0.0, 256.0);
        checker.length("tags", self.tags.len(), 10_000);
        checker.length("attributes", self.attributes.len(), 10_000);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// Something computed from a media item, by content.
    pub struct AnalysisArtefact {
        pub id: AnalysisId,
        pub media: MediaId,
        pub analysis_kind: AnalysisKind,
        /// Version of what computed it.
        pub analyser_version: u32,
        /// Content that it was computed from.
        pub source: Option<Hash>,
        pub data: Option<BlobRef>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum AnalysisKind {
        #[default]
        Waveform,
        Onsets,
        Beats,
        Chroma,
        Mel,
        Loudness,
        Embedding,
    }
}

impl Entity for AnalysisArtefact {
    const KIND: EntityKind = EntityKind::AnalysisArtefact;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Media;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        vec![Reference::cascade("media", self.media)]
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("media", self.media.0);
    }
}

data! {
    /// A set of samples laid out over keys.
    pub struct Kit {
        pub id: KitId,
        pub name: String,
        pub order: OrderKey,
        pub tags: BTreeSet<String>,
    }
}

impl Entity for Kit {
    const KIND: EntityKind = EntityKind::Kit;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Media;
    const SET_FIELDS: &'static [&'static str] = &["tags"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.order("order", &self.order);
        checker.length("tags", self.tags.len(), 10_000);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// One zone of a kit: a sample on a range of keys and velocities.
    pub struct KitSlot {
        pub id: KitSlotId,
        pub kit: KitId,
        pub name: String,
        pub media: Option<MediaId>,
        /// 0 to 127.
        pub key_low: u8,
        pub key_high: u8,
        /// Key at which the sample sounds at its own pitch.
        pub root: u8,
        /// 16 bits.
        pub velocity_low: u16,
        pub velocity_high: u16,
        /// Cents, −2,400 to 2,400.
        pub tuning: f64,
        pub gain_db: f64,
        pub pan: f64,
        pub trigger: TriggerMode,
        /// Notes of one group silence each other; 0 is none.
        pub choke_group: u8,
        /// Zones of one group take turns; 0 is none.
        pub round_robin: u8,
        /// Frames of the media.
        pub start: u64,
        pub loop_start: Option<u64>,
        pub loop_end: Option<u64>,
    }
}

data! {
    #[derive(Copy, Eq)]
    pub enum TriggerMode {
        #[default]
        OneShot,
        Gate,
    }
}

impl Entity for KitSlot {
    const KIND: EntityKind = EntityKind::KitSlot;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Media;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn owner(&self) -> Option<AnyId> {
        Some(self.kit.any())
    }

    fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::cascade("kit", self.kit)];
        references.extend(self.media.map(|id| Reference::keep("media", id)));
        references
    }

    fn check(&self, checker: &mut Checker) {
        checker.identity("kit", self.kit.0);
        checker.range("keyLow", f64::from(self.key_low), 0.0, f64::from(self.key_high));
        checker.range("keyHigh", f64::from(self.key_high), 0.0, 127.0);
        checker.range("root", f64::from(self.root), 0.0, 127.0);
        let layers = self.velocity_low <= self.velocity_high;
        checker.form("velocityLow", layers, "not above `velocityHigh`");
        checker.range("tuning", self.tuning, -2_400.0, 2_400.0);
        checker.range("gainDb", self.gain_db, GAIN_RANGE.0, GAIN_RANGE.1);
        checker.range("pan", self.pan, -1.0, 1.0);
        if let (Some(start), Some(end)) = (self.loop_start, self.loop_end) {
            checker.form("loopEnd", start < end, "after `loopStart`");
        }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}

data! {
    /// A grid of pads and what each plays.
    pub struct PadWorkspace {
        pub id: PadWorkspaceId,
        pub name: String,
        /// 1 to 16.
        pub rows: u8,
        /// 1 to 16.
        pub columns: u8,
        pub track: Option<TrackId>,
        /// `row,column` to what the pad plays.
        pub pads: BTreeMap<String, PadAssignment>,
    }
}

data! {
    pub struct PadAssignment {
        pub key: Option<u8>,
        pub clip: Option<ClipId>,
        pub kit: Option<KitId>,
    }
}

impl Entity for PadWorkspace {
    const KIND: EntityKind = EntityKind::PadWorkspace;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Media;
    const MAP_FIELDS: &'static [&'static str] = &["pads"];

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.track.map(|track| Reference::clear("track", track)).into_iter().collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.required("name", &self.name);
        checker.range("rows", f64::from(self.rows), 1.0, 16.0);
        checker.range("columns", f64::from(self.columns), 1.0, 16.0);
        checker.length("pads", self.pads.len(), 256);
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
