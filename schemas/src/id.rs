//! Entity identity: 128 bits, a pure function of who made the entity and when
//! in that actor's own sequence, so that a replayed command log makes the same
//! ids on any machine. Random ids would be as unique and would lose that.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Crockford's base32 in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 × 5 = 130 bits; the two highest are zero.
const DIGITS: usize = 26;

/// The identity of one entity, without its kind.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
pub struct EntityId(pub u128);

impl EntityId {
    /// The `ordinal`-th id that transaction `sequence` of `actor` makes.
    pub fn derive(actor: ActorId, sequence: u64, ordinal: u32) -> EntityId {
        let mut hasher = blake3::Hasher::new_derive_key("pulse entity id v1");
        hasher.update(&actor.0.to_be_bytes());
        hasher.update(&sequence.to_be_bytes());
        hasher.update(&ordinal.to_be_bytes());
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        EntityId(u128::from_be_bytes(bytes))
    }

    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> EntityId {
        EntityId(u128::from_be_bytes(bytes))
    }

    fn digits(self) -> String {
        (0..DIGITS)
            .rev()
            .map(|place| ALPHABET[(self.0 >> (place * 5)) as usize & 31] as char)
            .collect()
    }

    /// The text form under the prefix of `kind`.
    pub fn text(self, kind: EntityKind) -> String {
        format!("{}_{}", kind.prefix(), self.digits())
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits())
    }
}

/// Who makes ids: one writing copy of one project folder.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
pub struct ActorId(pub u128);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    #[error("an id looks like `trk_` and 26 letters or digits, found {found:?}")]
    Shape { found: String },
    #[error("`{found}_` is no kind of id that this version knows")]
    UnknownKind { found: String },
    #[error("expected the id of a {expected} (`{}_…`), found one of a {found} (`{}_…`)",
        expected.prefix(), found.prefix())]
    WrongKind { expected: EntityKind, found: EntityKind },
    #[error("an id has 26 letters or digits after its prefix, found {found}")]
    Length { found: usize },
    #[error("{found:?} at position {at} is not one of {}", "0-9 a-h j k m n p-t v-z")]
    Digit { found: char, at: usize },
    #[error("the id is larger than 128 bits: its first digit is 0 to 7")]
    Overflow,
}

fn parse_digits(digits: &str) -> Result<EntityId, ParseIdError> {
    let length = digits.chars().count();
    if length != DIGITS {
        return Err(ParseIdError::Length { found: length });
    }
    let mut value: u128 = 0;
    for (at, digit) in digits.chars().enumerate() {
        let five = digit_value(digit).ok_or(ParseIdError::Digit { found: digit, at })?;
        if at == 0 && five > 7 {
            return Err(ParseIdError::Overflow);
        }
        value = (value << 5) | u128::from(five);
    }
    Ok(EntityId(value))
}

/// Crockford's reading rules: any case, `i` and `l` for 1, `o` for 0.
fn digit_value(digit: char) -> Option<u8> {
    let lower = match digit.to_ascii_lowercase() {
        'i' | 'l' => '1',
        'o' => '0',
        other => other,
    };
    ALPHABET.iter().position(|&known| known as char == lower).map(|five| five as u8)
}

/// An id with its kind, as it stands in text: `trk_…`.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
pub struct AnyId {
    pub kind: EntityKind,
    pub id: EntityId,
}

impl fmt::Display for AnyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id.text(self.kind))
    }
}

impl fmt::Debug for AnyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AnyId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<AnyId, ParseIdError> {
        let Some((prefix, digits)) = text.split_once('_') else {
            return Err(ParseIdError::Shape { found: text.chars().take(40).collect() });
        };
        let kind = EntityKind::from_prefix(prefix).ok_or_else(|| ParseIdError::UnknownKind {
            found: prefix.chars().take(16).collect(),
        })?;
        Ok(AnyId { kind, id: parse_digits(digits)? })
    }
}

impl Serialize for AnyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AnyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AnyId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for AnyId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntityId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Id of an entity of any kind: kind prefix, underscore, 26 digits of Crockford base32.",
            "pattern": "^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$"
        })
    }
}

macro_rules! entity_kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $prefix:literal, $name:literal, $id:ident;)*) => {
        /// What an entity is. The numbers are file format: never reuse one.
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug,
            Serialize, Deserialize, JsonSchema,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
        #[serde(rename_all = "camelCase")]
        #[repr(u8)]
        pub enum EntityKind { $($(#[$doc])* $kind = $number,)* }

        impl EntityKind {
            pub const ALL: &'static [EntityKind] = &[$(EntityKind::$kind,)*];

            pub fn prefix(self) -> &'static str {
                match self { $(EntityKind::$kind => $prefix,)* }
            }

            /// The name as people say it: "automation point".
            pub fn name(self) -> &'static str {
                match self { $(EntityKind::$kind => $name,)* }
            }

            pub fn from_prefix(prefix: &str) -> Option<EntityKind> {
                match prefix { $($prefix => Some(EntityKind::$kind),)* _ => None }
            }

            pub fn from_number(number: u8) -> Option<EntityKind> {
                match number { $($number => Some(EntityKind::$kind),)* _ => None }
            }
        }

        $(typed_id!($id, $kind, $name);)*
    };
}

macro_rules! typed_id {
    ($id:ident, $kind:ident, $name:literal) => {
        #[doc = concat!("Id of a ", $name, ".")]
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
        )]
        #[rkyv(derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash))]
        pub struct $id(pub EntityId);

        impl $id {
            pub const KIND: EntityKind = EntityKind::$kind;

            pub fn any(self) -> AnyId {
                AnyId { kind: Self::KIND, id: self.0 }
            }
        }

        impl From<$id> for AnyId {
            fn from(id: $id) -> AnyId {
                id.any()
            }
        }

        impl TryFrom<AnyId> for $id {
            type Error = ParseIdError;

            fn try_from(any: AnyId) -> Result<$id, ParseIdError> {
                if any.kind == Self::KIND {
                    Ok($id(any.id))
                } else {
                    Err(ParseIdError::WrongKind { expected: Self::KIND, found: any.kind })
                }
            }
        }

        impl FromStr for $id {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<$id, ParseIdError> {
                text.parse::<AnyId>()?.try_into()
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.any(), f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.any(), f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$id, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $id {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("Id of a ", $name, "."),
                    "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", Self::KIND.prefix())
                })
            }
        }
    };
}

entity_kinds! {
    Project = 1, "prj", "project", ProjectId;
    Arrangement = 2, "arr", "arrangement", ArrangementId;
    Section = 3, "sec", "section", SectionId;
    Marker = 4, "mrk", "marker", MarkerId;
    TempoPoint = 5, "tmp", "tempo point", TempoPointId;
    SignaturePoint = 6, "sig", "signature point", SignaturePointId;
    KeyPoint = 7, "key", "key point", KeyPointId;
    Track = 8, "trk", "track", TrackId;
    Lane = 9, "lan", "lane", LaneId;
    Take = 10, "tke", "take", TakeId;
    Comp = 11, "cmp", "comp", CompId;
    Clip = 12, "clp", "clip", ClipId;
    AudioRegion = 13, "reg", "audio region", AudioRegionId;
    Note = 14, "nte", "note", NoteId;
    MidiEvent = 15, "mid", "MIDI event", MidiEventId;
    AutomationEnvelope = 16, "env", "automation envelope", AutomationEnvelopeId;
    AutomationPoint = 17, "pnt", "automation point", AutomationPointId;
    Channel = 18, "chn", "channel", ChannelId;
    DspNode = 19, "nod", "node", NodeId;
    NodeStack = 20, "stk", "node stack", NodeStackId;
    Connection = 21, "con", "connection", ConnectionId;
    Send = 22, "snd", "send", SendId;
    SidechainRoute = 23, "sdc", "sidechain route", SidechainRouteId;
    ModulationRoute = 24, "mod", "modulation route", ModulationRouteId;
    ParameterLink = 25, "plk", "parameter link", ParameterLinkId;
    ParameterGroup = 26, "pgr", "parameter group", ParameterGroupId;
    Scene = 27, "scn", "scene", SceneId;
    ClipSlot = 28, "slt", "clip slot", ClipSlotId;
    Variant = 29, "var", "variant", VariantId;
    MediaItem = 30, "med", "media item", MediaId;
    AnalysisArtefact = 31, "ana", "analysis artefact", AnalysisId;
    Kit = 32, "kit", "kit", KitId;
    KitSlot = 33, "kts", "kit slot", KitSlotId;
    PadWorkspace = 34, "pad", "pad workspace", PadWorkspaceId;
    HardwareRole = 35, "hwr", "hardware role", HardwareRoleId;
    ViewMeta = 36, "vmt", "view metadata", ViewMetaId;
    GrooveTemplate = 37, "grv", "groove template", GrooveId;
    /// What a merge or a contextual undo could not decide, kept with all sides.
    Conflict = 38, "cnf", "conflict", ConflictId;
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTOR: ActorId = ActorId(7);

    #[test]
    fn every_kind_survives_its_text_form() {
        for (ordinal, &kind) in EntityKind::ALL.iter().enumerate() {
            let any = AnyId { kind, id: EntityId::derive(ACTOR, 1, ordinal as u32) };
            assert_eq!(any.to_string().parse(), Ok(any));
            assert_eq!(EntityKind::from_number(kind as u8), Some(kind));
        }
    }

    #[test]
    fn ids_are_a_function_of_actor_sequence_and_ordinal() {
        let id = EntityId::derive(ACTOR, 1, 2);
        assert_eq!(id, EntityId::derive(ACTOR, 1, 2));
        assert_ne!(id, EntityId::derive(ActorId(8), 1, 2));
        assert_ne!(id, EntityId::derive(ACTOR, 2, 2));
        assert_ne!(id, EntityId::derive(ACTOR, 1, 3));
        assert_eq!(TrackId(id).to_string(), "trk_7g1cv2a4q9675d79rh4ytbsx9p");
    }

    #[test]
    fn a_bad_id_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            assert_eq!(text.parse::<TrackId>().unwrap_err().to_string(), expect);
        };
        check("hello", "an id looks like `trk_` and 26 letters or digits, found \"hello\"");
        check("xyz_0", "`xyz_` is no kind of id that this version knows");
        check("trk_0", "an id has 26 letters or digits after its prefix, found 1");
        check(
            "trk_u0000000000000000000000000",
            "'u' at position 0 is not one of 0-9 a-h j k m n p-t v-z",
        );
        check(
            "trk_80000000000000000000000000",
            "the id is larger than 128 bits: its first digit is 0 to 7",
        );
        check(
            "clp_00000000000000000000000000",
            "expected the id of a track (`trk_…`), found one of a clip (`clp_…`)",
        );
    }

    #[test]
    fn crockford_look_alikes_are_read() {
        assert_eq!(
            "trk_0000000000000000000000000l".parse::<TrackId>(),
            "trk_00000000000000000000000001".parse::<TrackId>()
        );
    }
}
