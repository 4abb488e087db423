//! What a project is made of.
//!
//! Every entity is a plain record: its fields are what a diff names, a merge
//! decides and a client reads. Nothing here is derived data. Three forms carry
//! the same content: the Rust struct, the rkyv archive of the store, and the
//! JSON map (field name to value) in which changes are compared and merged.

mod check;
mod conflict;
mod library;
mod mixer;
mod performance;
mod project;
mod timeline;
mod view;

pub use crate::time::TempoShape;
pub use check::{Checker, Rule, Violation};
pub use conflict::{Conflict, ConflictCause};
pub use library::{
    AnalysisArtefact, AnalysisKind, AudioFormat, Availability, BlobRef, Kit, KitSlot, Lifecycle,
    MediaItem, MediaKind, MediaOrigin, MediaStorage, PadAssignment, PadWorkspace, StorageBackend,
    TriggerMode,
};
pub use mixer::{
    Channel, ChannelInput, ChannelKind, Connection, DspNode, ModulationRoute, NodeStack, PanLaw,
    ParameterGroup, ParameterLink, ParameterRef, PortRef, Send, SendMode, SidechainRoute,
    SignalTap, StackAlternative,
};
pub use performance::{ClipSlot, LaunchQuantise, Scene, Variant, VariantScope};
pub use project::{
    Arrangement, GrooveTemplate, HardwareDirection, HardwareRole, KeyPoint, Marker, MarkerKind,
    Project, Section, SignaturePoint, TempoPoint,
};
pub use timeline::{
    AudioRegion, AutomationEnvelope, AutomationPoint, Clip, ClipContent, Comp, CompSegment,
    EnvelopeOwner, ExpressionDimension, ExpressionPoint, Fade, FadeShape, Lane, LaneKind,
    MidiEvent, MidiMessage, Monitor, Note, PointShape, ProcessingPolicy, StretchMode, Take, Track,
    TrackKind, WarpAnchor,
};
pub use view::ViewMeta;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{AnyId, EntityId, EntityKind};

/// Derives what every record, struct or enum, carries.
macro_rules! data {
    ($(#[$meta:meta])* pub struct $name:ident $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(
            Clone, Debug, PartialEq, Default,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name $($rest)*
    };
    ($(#[$meta:meta])* pub enum $name:ident $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(
            Clone, Debug, PartialEq, Default,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
        pub enum $name $($rest)*
    };
}
pub(crate) use data;

/// Which history a change belongs to, so that "undo the last mixer change" has
/// a meaning.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum HistoryContext {
    Mixer = 1,
    Timeline = 2,
    Routing = 3,
    Media = 4,
    Timebase = 5,
    Global = 6,
}

impl HistoryContext {
    pub const ALL: [HistoryContext; 6] = [
        HistoryContext::Mixer,
        HistoryContext::Timeline,
        HistoryContext::Routing,
        HistoryContext::Media,
        HistoryContext::Timebase,
        HistoryContext::Global,
    ];

    pub fn name(self) -> &'static str {
        match self {
            HistoryContext::Mixer => "mixer",
            HistoryContext::Timeline => "timeline",
            HistoryContext::Routing => "routing",
            HistoryContext::Media => "media",
            HistoryContext::Timebase => "timebase",
            HistoryContext::Global => "global",
        }
    }

    pub fn from_name(name: &str) -> Option<HistoryContext> {
        HistoryContext::ALL.into_iter().find(|context| context.name() == name)
    }
}

/// What becomes of an entity when one that it names is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnDelete {
    /// It goes too: a note without its clip is nothing.
    Cascade,
    /// The field becomes null: a channel whose bus is gone feeds nothing.
    Clear,
    /// The name stays: a clip keeps naming media that are missing.
    Keep,
}

/// One field of an entity that names another entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Reference {
    pub field: &'static str,
    pub target: AnyId,
    pub on_delete: OnDelete,
}

impl Reference {
    pub fn cascade(field: &'static str, target: impl Into<AnyId>) -> Reference {
        Reference { field, target: target.into(), on_delete: OnDelete::Cascade }
    }

    pub fn clear(field: &'static str, target: impl Into<AnyId>) -> Reference {
        Reference { field, target: target.into(), on_delete: OnDelete::Clear }
    }

    pub fn keep(field: &'static str, target: impl Into<AnyId>) -> Reference {
        Reference { field, target: target.into(), on_delete: OnDelete::Keep }
    }
}

/// What one kind of entity tells about itself.
pub trait Entity:
    Clone
    + PartialEq
    + Serialize
    + for<'de> Deserialize<'de>
    + Into<AnyEntity>
    + TryFrom<AnyEntity, Error = AnyEntity>
{
    const KIND: EntityKind;
    /// Version of the archived layout; a change of the struct is a new version.
    const VERSION: u16;
    const CONTEXT: HistoryContext;
    /// Fields whose JSON value is a map that merges key by key.
    const MAP_FIELDS: &'static [&'static str] = &[];
    /// Fields whose JSON value is a list without order or repetition.
    const SET_FIELDS: &'static [&'static str] = &[];

    fn id(&self) -> EntityId;

    /// The entity under whose key this one lives and dies.
    fn owner(&self) -> Option<AnyId> {
        None
    }

    /// Everything that this entity names, its owner included.
    fn references(&self) -> Vec<Reference>;

    fn check(&self, checker: &mut Checker);

    /// All rules that this entity breaks, not only the first.
    fn validate(&self) -> Vec<Violation> {
        let mut checker = Checker::default();
        checker.identity("id", self.id());
        self.check(&mut checker);
        checker.finish()
    }

    /// What people call it, where it has a name.
    fn label(&self) -> Option<&str> {
        None
    }

    /// The history that a change of `field` belongs to.
    fn field_context(_field: &str) -> HistoryContext {
        Self::CONTEXT
    }
}

macro_rules! any_entity {
    ($($kind:ident => $module:ident::$entity:ident,)*) => {
        /// An entity of any kind that this version knows.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "camelCase")]
        pub enum AnyEntity { $($kind($module::$entity),)* }

        $(impl From<$module::$entity> for AnyEntity {
            fn from(entity: $module::$entity) -> AnyEntity { AnyEntity::$kind(entity) }
        })*

        $(impl TryFrom<AnyEntity> for $module::$entity {
            type Error = AnyEntity;

            fn try_from(any: AnyEntity) -> Result<$module::$entity, AnyEntity> {
                match any { AnyEntity::$kind(entity) => Ok(entity), other => Err(other) }
            }
        })*

        impl AnyEntity {
            pub fn kind(&self) -> EntityKind {
                match self { $(AnyEntity::$kind(_) => EntityKind::$kind,)* }
            }

            pub fn version(&self) -> u16 {
                match self { $(AnyEntity::$kind(_) => <$module::$entity as Entity>::VERSION,)* }
            }

            pub fn id(&self) -> EntityId {
                match self { $(AnyEntity::$kind(entity) => Entity::id(entity),)* }
            }

            pub fn any_id(&self) -> AnyId {
                AnyId { kind: self.kind(), id: self.id() }
            }

            pub fn owner(&self) -> Option<AnyId> {
                match self { $(AnyEntity::$kind(entity) => Entity::owner(entity),)* }
            }

            pub fn references(&self) -> Vec<Reference> {
                match self { $(AnyEntity::$kind(entity) => Entity::references(entity),)* }
            }

            pub fn validate(&self) -> Vec<Violation> {
                match self { $(AnyEntity::$kind(entity) => Entity::validate(entity),)* }
            }

            pub fn label(&self) -> Option<&str> {
                match self { $(AnyEntity::$kind(entity) => Entity::label(entity),)* }
            }

            /// The JSON map of the fields, without the kind tag.
            pub fn fields(&self) -> Map<String, Value> {
                match self { $(AnyEntity::$kind(entity) => to_map(entity),)* }
            }

            /// Builds an entity from its JSON map. Fields that this version
            /// does not know come back apart, so that nothing is lost.
            pub fn from_fields(
                kind: EntityKind,
                fields: Map<String, Value>,
            ) -> Result<(AnyEntity, Map<String, Value>), serde_json::Error> {
                match kind {
                    $(EntityKind::$kind => {
                        let (entity, unknown) = from_map::<$module::$entity>(fields)?;
                        Ok((AnyEntity::$kind(entity), unknown))
                    })*
                }
            }

            /// The rkyv archive of the entity alone.
            pub fn archive(&self) -> Result<Vec<u8>, rkyv::rancor::Error> {
                match self {
                    $(AnyEntity::$kind(entity) => {
                        rkyv::to_bytes::<rkyv::rancor::Error>(entity).map(|bytes| bytes.to_vec())
                    })*
                }
            }

            /// Reads an archive of the current version; checked, never trusted.
            pub fn from_archive(
                kind: EntityKind,
                payload: &[u8],
            ) -> Result<AnyEntity, rkyv::rancor::Error> {
                match kind {
                    $(EntityKind::$kind => {
                        rkyv::from_bytes::<$module::$entity, rkyv::rancor::Error>(payload)
                            .map(AnyEntity::$kind)
                    })*
                }
            }
        }

        /// The archived version that this build writes for `kind`.
        pub fn version_of(kind: EntityKind) -> u16 {
            match kind { $(EntityKind::$kind => <$module::$entity as Entity>::VERSION,)* }
        }

        pub fn map_fields(kind: EntityKind) -> &'static [&'static str] {
            match kind { $(EntityKind::$kind => <$module::$entity as Entity>::MAP_FIELDS,)* }
        }

        pub fn set_fields(kind: EntityKind) -> &'static [&'static str] {
            match kind { $(EntityKind::$kind => <$module::$entity as Entity>::SET_FIELDS,)* }
        }

        /// The history that a change of `field` of `kind` belongs to.
        pub fn field_context(kind: EntityKind, field: &str) -> HistoryContext {
            match kind {
                $(EntityKind::$kind => <$module::$entity as Entity>::field_context(field),)*
            }
        }

        /// One entity of each kind with nothing but its defaults.
        pub fn defaults() -> Vec<AnyEntity> {
            vec![$(AnyEntity::$kind(<$module::$entity>::default()),)*]
        }

        /// The JSON Schema of every kind, by name.
        pub fn schemas() -> Vec<(EntityKind, schemars::Schema)> {
            vec![$((EntityKind::$kind, schemars::schema_for!($module::$entity)),)*]
        }
    };
}

any_entity! {
    Project => project::Project,
    Arrangement => project::Arrangement,
    Section => project::Section,
    Marker => project::Marker,
    TempoPoint => project::TempoPoint,
    SignaturePoint => project::SignaturePoint,
    KeyPoint => project::KeyPoint,
    GrooveTemplate => project::GrooveTemplate,
    HardwareRole => project::HardwareRole,
    Track => timeline::Track,
    Lane => timeline::Lane,
    Take => timeline::Take,
    Comp => timeline::Comp,
    Clip => timeline::Clip,
    AudioRegion => timeline::AudioRegion,
    Note => timeline::Note,
    MidiEvent => timeline::MidiEvent,
    AutomationEnvelope => timeline::AutomationEnvelope,
    AutomationPoint => timeline::AutomationPoint,
    Channel => mixer::Channel,
    DspNode => mixer::DspNode,
    NodeStack => mixer::NodeStack,
    Connection => mixer::Connection,
    Send => mixer::Send,
    SidechainRoute => mixer::SidechainRoute,
    ModulationRoute => mixer::ModulationRoute,
    ParameterLink => mixer::ParameterLink,
    ParameterGroup => mixer::ParameterGroup,
    Scene => performance::Scene,
    ClipSlot => performance::ClipSlot,
    Variant => performance::Variant,
    MediaItem => library::MediaItem,
    AnalysisArtefact => library::AnalysisArtefact,
    Kit => library::Kit,
    KitSlot => library::KitSlot,
    PadWorkspace => library::PadWorkspace,
    ViewMeta => view::ViewMeta,
    Conflict => conflict::Conflict,
}

/// Whether entities of this kind live under an owner's key.
pub fn is_owned(kind: EntityKind) -> bool {
    matches!(
        kind,
        EntityKind::Section
            | EntityKind::Marker
            | EntityKind::TempoPoint
            | EntityKind::SignaturePoint
            | EntityKind::KeyPoint
            | EntityKind::AudioRegion
            | EntityKind::Note
            | EntityKind::MidiEvent
            | EntityKind::AutomationPoint
            | EntityKind::KitSlot
    )
}

fn to_map<E: Serialize>(entity: &E) -> Map<String, Value> {
    match serde_json::to_value(entity) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn from_map<E: Entity>(
    fields: Map<String, Value>,
) -> Result<(E, Map<String, Value>), serde_json::Error> {
    let entity: E = serde_json::from_value(Value::Object(fields.clone()))?;
    let known = to_map(&entity);
    let unknown = fields.into_iter().filter(|(name, _)| !known.contains_key(name)).collect();
    Ok((entity, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_archive_and_json() {
        let all = defaults();
        assert_eq!(all.len(), EntityKind::ALL.len());
        for entity in all {
            let payload = entity.archive().unwrap();
            assert_eq!(AnyEntity::from_archive(entity.kind(), &payload).unwrap(), entity);
            let (back, unknown) = AnyEntity::from_fields(entity.kind(), entity.fields()).unwrap();
            assert_eq!((back, unknown.len()), (entity, 0));
        }
    }

    #[test]
    fn ownership_by_key_and_by_entity_agree() {
        for entity in defaults() {
            assert_eq!(entity.owner().is_some(), is_owned(entity.kind()), "{:?}", entity.kind());
        }
    }

    #[test]
    fn a_default_entity_is_told_that_it_has_no_identity() {
        for entity in defaults() {
            assert!(
                entity.validate().iter().any(|violation| violation.field == "id"),
                "{:?}",
                entity.kind()
            );
        }
    }

    #[test]
    fn map_and_set_fields_exist_and_have_their_shape() {
        for entity in defaults() {
            let fields = entity.fields();
            for name in map_fields(entity.kind()) {
                assert!(fields[*name].is_object(), "{:?}.{name}", entity.kind());
            }
            for name in set_fields(entity.kind()) {
                assert!(fields[*name].is_array(), "{:?}.{name}", entity.kind());
            }
        }
    }

    #[test]
    fn unknown_fields_come_back_apart() {
        let mut fields = defaults().remove(0).fields();
        fields.insert("mood".into(), "blue".into());
        let (_, unknown) = AnyEntity::from_fields(EntityKind::Project, fields).unwrap();
        assert_eq!(unknown["mood"], "blue");
    }
}
