//! Kits: samples laid out over keys.

use super::prelude::*;

wire! {
    /// The settings of one zone; absent fields stay, or are the defaults of a new one.
    #[derive(Default)]
    struct SlotSettings {
        name: Option<String>,
        media: Option<MediaId>,
        key_low: Option<u8>,
        key_high: Option<u8>,
        root: Option<u8>,
        velocity_low: Option<u16>,
        velocity_high: Option<u16>,
        tuning: Option<f64>,
        gain_db: Option<f64>,
        pan: Option<f64>,
        trigger: Option<TriggerMode>,
        choke_group: Option<u8>,
        round_robin: Option<u8>,
        start: Option<u64>,
        loop_start: Option<u64>,
        loop_end: Option<u64>,
    }
}

commands! {
    /// Kits: samples laid out over keys.
    domain Kit;

    /// Creates a kit, filled if media are given: one per key upwards.
    edit Create [media] {
        name: String,
        #[serde(default)]
        media: Vec<MediaId>,
        /// Key of the first; 36 when absent.
        first_key: Option<u8>,
    } -> Created {
        kit: KitId,
        slots: Vec<KitSlotId>,
    }
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"name": "Drums", "media": ["med_1", "med_2"]}"#;

    /// Deletes a kit; media stay.
    edit Delete [media] {
        kit: KitId,
    } -> Deleted
    example r#"{"kit": "kit_1"}"#;

    /// Copies a kit.
    edit Duplicate [media] {
        kit: KitId,
    } -> Copied
    example r#"{"kit": "kit_1"}"#;

    /// Renames a kit.
    set Rename [media] {
        kit: KitId,
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"kit": "kit_1", "name": "Drums 2"}"#;

    /// Adds a zone.
    edit AddSlot [media] {
        kit: KitId,
        settings: SlotSettings,
    } -> SlotAdded {
        slot: KitSlotId,
    }
    example r#"{"kit": "kit_1", "settings": {"media": "med_1", "keyLow": 36, "keyHigh": 36}}"#;

    /// Changes a zone.
    set UpdateSlot [media] {
        slot: KitSlotId,
        settings: SlotSettings,
    } -> Done
    example r#"{"slot": "kts_1", "settings": {"chokeGroup": 1}}"#;

    /// Removes a zone.
    edit RemoveSlot [media] {
        slot: KitSlotId,
    } -> Deleted
    example r#"{"slot": "kts_1"}"#;

    /// Cuts a media item at its onsets or in equal parts, and lays the parts out.
    edit Slice [media] {
        media: MediaId,
        name: String,
        /// Equal parts; at onsets when absent.
        parts: Option<u32>,
        /// How readily an onset is one, 0 to 1.
        sensitivity: Option<f64>,
    } -> Sliced {
        kit: KitId,
        slots: Vec<KitSlotId>,
    }
    check |payload, checker| {
        checker.required("name", &payload.name);
        checker.range("parts", f64::from(payload.parts.unwrap_or(1)), 1.0, 128.0);
        checker.range("sensitivity", payload.sensitivity.unwrap_or(0.5), 0.0, 1.0);
    };
    example r#"{"media": "med_1", "name": "Break", "parts": 16}"#;

    /// Lists kits, or the zones of one.
    ask List {
        kit: Option<KitId>,
    } -> Kits {
        kits: Vec<Kit>,
        slots: Vec<KitSlot>,
    }
    example r#"{}"#;
}
