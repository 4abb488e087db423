//! Metadata: markers, sections, keys, tags, and the looks of things.

use super::prelude::*;

commands! {
    /// Metadata: markers, sections, keys, tags, and the looks of things.
    domain Metadata;

    /// Adds a marker.
    edit AddMarker [timeline] {
        arrangement: Option<ArrangementId>,
        name: String,
        timebase: Option<Timebase>,
        at: Moment,
        kind: Option<MarkerKind>,
    } -> MarkerAdded {
        marker: MarkerId,
    }
    check |payload, checker| checker.name("name", &payload.name);
    example r#"{"name": "Drop", "at": 1445068800}"#;

    /// Changes a marker.
    set UpdateMarker [timeline] {
        marker: MarkerId,
        name: Option<String>,
        at: Option<Moment>,
        kind: Option<MarkerKind>,
    } -> Done
    example r#"{"marker": "mrk_1", "name": "Break"}"#;

    /// Removes a marker.
    edit RemoveMarker [timeline] {
        marker: MarkerId,
    } -> Done
    example r#"{"marker": "mrk_1"}"#;

    /// Removes the markers of a stretch.
    edit ClearMarkers [timeline] {
        arrangement: Option<ArrangementId>,
        range: TimeRange,
    } -> MarkersCleared {
        removed: u64,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"range": {"start": 0, "end": 722534400}}"#;

    /// Adds a section.
    edit AddSection [timeline] {
        arrangement: Option<ArrangementId>,
        name: String,
        range: TimeRange,
        colour: Option<String>,
    } -> SectionAdded {
        section: SectionId,
    }
    check |payload, checker| {
        payload.range.check("range", checker);
        if let Some(colour) = &payload.colour {
            check_colour("colour", colour, checker);
        }
    };
    example r#"{"name": "Verse", "range": {"start": 0, "end": 1445068800}}"#;

    /// Changes a section; the content stays where it is.
    set UpdateSection [timeline] {
        section: SectionId,
        name: Option<String>,
        range: Option<TimeRange>,
    } -> Done
    check |payload, checker| {
        if let Some(range) = &payload.range {
            range.check("range", checker);
        }
    };
    example r#"{"section": "sec_1", "name": "Verse 1"}"#;

    /// Removes a section; the content stays.
    edit RemoveSection [timeline] {
        section: SectionId,
    } -> Done
    example r#"{"section": "sec_1"}"#;

    /// Moves a section before another one, with everything that is in it.
    edit MoveSection [timeline timebase] {
        section: SectionId,
        /// At the end when absent.
        before: Option<SectionId>,
    } -> Done
    example r#"{"section": "sec_2", "before": "sec_1"}"#;

    /// Adds a musical key, or changes the one that is at this place.
    edit AddKey [timeline] {
        arrangement: Option<ArrangementId>,
        at: Ticks,
        /// 0 = C to 11 = B.
        tonic: u8,
        /// `major`, `minor`, `dorian`.
        scale: String,
    } -> KeyAdded {
        key: KeyPointId,
    }
    check |payload, checker| {
        checker.range("tonic", f64::from(payload.tonic), 0.0, 11.0);
        checker.required("scale", &payload.scale);
    };
    example r#"{"at": 0, "tonic": 9, "scale": "minor"}"#;

    /// Changes a key.
    set UpdateKey [timeline] {
        key: KeyPointId,
        at: Option<Ticks>,
        tonic: Option<u8>,
        scale: Option<String>,
    } -> Done
    check |payload, checker| {
        checker.range("tonic", f64::from(payload.tonic.unwrap_or(0)), 0.0, 11.0);
    };
    example r#"{"key": "key_1", "tonic": 0, "scale": "major"}"#;

    /// Removes a key.
    edit RemoveKey [timeline] {
        key: KeyPointId,
    } -> Done
    example r#"{"key": "key_1"}"#;

    /// Sets free pairs of key and value on the project; null removes one.
    set SetInfo [global] {
        values: BTreeMap<String, Option<String>>,
    } -> Done
    example r#"{"values": {"isrc": "DE-A00-26-00001", "genre": null}}"#;

    /// Adds and removes tags of the project or a media item.
    set SetTags [global] {
        /// A media item or a kit; the project when absent.
        target: Option<AnyId>,
        #[serde(default)]
        add: BTreeSet<String>,
        #[serde(default)]
        remove: BTreeSet<String>,
    } -> Tags {
        tags: BTreeSet<String>,
    }
    example r#"{"add": ["house"]}"#;

    /// Changes how entities look. Never affects the sound.
    set SetView [global] {
        entities: Vec<AnyId>,
        /// `#rrggbb`; null takes the colour away.
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        colour: Patch<String>,
        /// Place in the node view.
        x: Option<f64>,
        y: Option<f64>,
        collapsed: Option<bool>,
        /// Height of a row, in rows of text.
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        height: Patch<u16>,
        hidden: Option<bool>,
    } -> Done
    check |payload, checker| {
        check_list("entities", &payload.entities, checker);
        if let Some(colour) = payload.colour.as_set() {
            check_colour("colour", colour, checker);
        }
    };
    example r##"{"entities": ["trk_1"], "colour": "#ff8800", "collapsed": true}"##;

    /// Adds a groove.
    edit AddGroove [timeline] {
        name: String,
        step: Ticks,
        offsets: Vec<Ticks>,
        #[serde(default)]
        accents: Vec<f64>,
    } -> GrooveAdded {
        groove: GrooveId,
    }
    check |payload, checker| {
        checker.required("name", &payload.name);
        checker.at_least("step", payload.step.0, 1);
        check_list("offsets", &payload.offsets, checker);
    };
    example r#"{"name": "Swing 58 %", "step": 11289600, "offsets": [0, 1806336]}"#;

    /// Removes a groove; notes stay as they are.
    edit RemoveGroove [timeline] {
        groove: GrooveId,
    } -> Deleted
    example r#"{"groove": "grv_1"}"#;

    /// Lists markers, sections, keys and grooves.
    ask List {
        arrangement: Option<ArrangementId>,
    } -> MetadataList {
        markers: Vec<Marker>,
        sections: Vec<Section>,
        keys: Vec<KeyPoint>,
        grooves: Vec<GrooveTemplate>,
        info: BTreeMap<String, String>,
        tags: BTreeSet<String>,
    }
    example r#"{}"#;
}
