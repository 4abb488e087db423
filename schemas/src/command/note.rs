//! Notes and the other events of MIDI clips. Times are relative to the clip's content.

use super::{clip::QuantiseTo, prelude::*};

wire! {
    /// A note to be made.
    struct NewNote {
        /// Key number, 0 to 127; 60 is middle C.
        #[schemars(range(max = 127))]
        pitch: u8,
        start: Ticks,
        length: Ticks,
        /// 16 bits; 51,200 when absent.
        velocity: Option<u16>,
        release_velocity: Option<u16>,
        /// 0 to 15.
        #[serde(default)]
        #[schemars(range(max = 15))]
        channel: u8,
        /// Cents above the key, −100 to 100.
        tuning: Option<f64>,
        /// 0 to 1; 1 when absent.
        probability: Option<f64>,
        #[serde(default)]
        mute: bool,
        #[serde(default)]
        expression: Vec<ExpressionPoint>,
    }
}

wire! {
    /// What changes about one note; absent fields stay.
    struct NoteChange {
        note: NoteId,
        #[schemars(range(max = 127))]
        pitch: Option<u8>,
        start: Option<Ticks>,
        length: Option<Ticks>,
        velocity: Option<u16>,
        release_velocity: Option<u16>,
        #[schemars(range(max = 15))]
        channel: Option<u8>,
        tuning: Option<f64>,
        probability: Option<f64>,
        mute: Option<bool>,
        expression: Option<Vec<ExpressionPoint>>,
    }
}

wire! {
    /// An event to be made.
    struct NewEvent {
        at: Ticks,
        /// 0 to 15.
        #[serde(default)]
        #[schemars(range(max = 15))]
        channel: u8,
        message: MidiMessage,
    }
}

pub(super) fn check_new(field: &str, notes: &[NewNote], checker: &mut Checker) {
    checker.length(field, notes.len(), LONGEST_LIST);
    for (at, note) in notes.iter().enumerate() {
        let path = |name: &str| format!("{field}[{at}].{name}");
        checker.range(&path("pitch"), f64::from(note.pitch), 0.0, 127.0);
        checker.range(&path("channel"), f64::from(note.channel), 0.0, 15.0);
        checker.at_least(&path("length"), note.length.0, 1);
        checker.range(&path("probability"), note.probability.unwrap_or(1.0), 0.0, 1.0);
        checker.range(&path("tuning"), note.tuning.unwrap_or(0.0), -100.0, 100.0);
    }
}

fn check_changes(field: &str, changes: &[NoteChange], checker: &mut Checker) {
    check_list(field, changes, checker);
    for (at, change) in changes.iter().enumerate() {
        let path = |name: &str| format!("{field}[{at}].{name}");
        checker.range(&path("pitch"), f64::from(change.pitch.unwrap_or(0)), 0.0, 127.0);
        checker.range(&path("channel"), f64::from(change.channel.unwrap_or(0)), 0.0, 15.0);
        checker.at_least(&path("length"), change.length.map_or(1, |length| length.0), 1);
        checker.range(&path("probability"), change.probability.unwrap_or(1.0), 0.0, 1.0);
        checker.range(&path("tuning"), change.tuning.unwrap_or(0.0), -100.0, 100.0);
    }
}

commands! {
    /// Notes and the other events of MIDI clips. Times are relative to the
    /// clip's content.
    domain Note;

    /// Adds notes to a clip.
    edit Add [timeline] {
        clip: ClipId,
        notes: Vec<NewNote>,
    } -> Added {
        /// In the order of the payload.
        notes: Vec<NoteId>,
    }
    check |payload, checker| {
        checker.form("notes", !payload.notes.is_empty(), "a list with something in it");
        check_new("notes", &payload.notes, checker);
    };
    example r#"{"clip": "clp_1", "notes": [{"pitch": 60, "start": 0, "length": 45158400},
                {"pitch": 64, "start": 45158400, "length": 45158400, "velocity": 40000}]}"#;

    /// Changes notes one by one.
    set Update [timeline] {
        clip: ClipId,
        changes: Vec<NoteChange>,
    } -> Done
    check |payload, checker| check_changes("changes", &payload.changes, checker);
    example r#"{"clip": "clp_1", "changes": [{"note": "nte_1", "pitch": 62}]}"#;

    /// Deletes notes.
    edit Delete [timeline] {
        clip: ClipId,
        notes: Vec<NoteId>,
    } -> Done
    check |payload, checker| check_list("notes", &payload.notes, checker);
    example r#"{"clip": "clp_1", "notes": ["nte_1"]}"#;

    /// Moves notes in time and pitch by the same amount. Notes that would leave
    /// the keyboard stop the whole move.
    edit Move [timeline] {
        clip: ClipId,
        /// All of the clip's when empty.
        #[serde(default)]
        notes: Vec<NoteId>,
        /// In time.
        by: Option<Ticks>,
        /// In semitones.
        transpose: Option<i8>,
    } -> Done
    example r#"{"clip": "clp_1", "transpose": 12}"#;

    /// Copies notes within a clip or into another.
    edit Duplicate [timeline] {
        clip: ClipId,
        notes: Vec<NoteId>,
        by: Ticks,
        to: Option<ClipId>,
    } -> Duplicated {
        notes: Vec<NoteId>,
    }
    check |payload, checker| check_list("notes", &payload.notes, checker);
    example r#"{"clip": "clp_1", "notes": ["nte_1"], "by": 180633600}"#;

    /// Moves notes onto a raster.
    edit Quantise [timeline] {
        clip: ClipId,
        /// All of the clip's when empty.
        #[serde(default)]
        notes: Vec<NoteId>,
        quantise: QuantiseTo,
    } -> Changed {
        /// How many notes moved.
        changed: u64,
    }
    check |payload, checker| payload.quantise.check("quantise", checker);
    example r#"{"clip": "clp_1", "quantise": {"grid": 11289600, "strength": 0.8}}"#;

    /// Moves notes a little at random. The same seed gives the same notes.
    edit Humanise [timeline] {
        clip: ClipId,
        #[serde(default)]
        notes: Vec<NoteId>,
        /// Most that a start moves.
        timing: Option<Ticks>,
        /// Most that a velocity moves.
        velocity: Option<u16>,
        seed: u64,
    } -> Humanised {
        changed: u64,
    }
    example r#"{"clip": "clp_1", "timing": 500000, "velocity": 4000, "seed": 7}"#;

    /// Multiplies lengths, velocities or both.
    edit Scale [timeline] {
        clip: ClipId,
        #[serde(default)]
        notes: Vec<NoteId>,
        /// Factor of starts and lengths, from the clip's start.
        time: Option<f64>,
        /// Factor of lengths.
        length: Option<f64>,
        /// Factor of velocities.
        velocity: Option<f64>,
    } -> Done
    check |payload, checker| {
        checker.range("time", payload.time.unwrap_or(1.0), 0.001, 1_000.0);
        checker.range("length", payload.length.unwrap_or(1.0), 0.001, 1_000.0);
        checker.range("velocity", payload.velocity.unwrap_or(1.0), 0.0, 100.0);
    };
    example r#"{"clip": "clp_1", "velocity": 0.8}"#;

    /// Lets each note last until the next one of its voice starts.
    edit Legato [timeline] {
        clip: ClipId,
        #[serde(default)]
        notes: Vec<NoteId>,
        /// Overlap with the next note, or a gap where it is negative.
        overlap: Option<Ticks>,
    } -> Done
    example r#"{"clip": "clp_1"}"#;

    /// Cuts notes in two.
    edit Split [timeline] {
        clip: ClipId,
        notes: Vec<NoteId>,
        at: Ticks,
    } -> SplitNotes {
        /// The right-hand parts.
        notes: Vec<NoteId>,
    }
    check |payload, checker| check_list("notes", &payload.notes, checker);
    example r#"{"clip": "clp_1", "notes": ["nte_1"], "at": 22579200}"#;

    /// Adds controllers, pitch bends, programs and the like.
    edit AddEvents [timeline] {
        clip: ClipId,
        events: Vec<NewEvent>,
    } -> EventsAdded {
        events: Vec<MidiEventId>,
    }
    check |payload, checker| check_list("events", &payload.events, checker);
    example r#"{"clip": "clp_1", "events": [
                {"at": 0, "message": {"controller": {"number": 1, "value": 2147483648}}}]}"#;

    /// Moves or changes one event.
    set UpdateEvent [timeline] {
        clip: ClipId,
        event: MidiEventId,
        at: Option<Ticks>,
        channel: Option<u8>,
        message: Option<MidiMessage>,
    } -> Done
    check |payload, checker| {
        checker.range("channel", f64::from(payload.channel.unwrap_or(0)), 0.0, 15.0);
    };
    example r#"{"clip": "clp_1", "event": "mid_1", "message": {"pitchBend": {"value": 0.5}}}"#;

    /// Deletes events.
    edit DeleteEvents [timeline] {
        clip: ClipId,
        events: Vec<MidiEventId>,
    } -> Done
    check |payload, checker| check_list("events", &payload.events, checker);
    example r#"{"clip": "clp_1", "events": ["mid_1"]}"#;

    /// Lists the notes and events of a clip.
    ask List {
        clip: ClipId,
        from: Option<Ticks>,
        to: Option<Ticks>,
        #[serde(default)]
        page: Page,
    } -> Notes {
        notes: Vec<Note>,
        events: Vec<MidiEvent>,
        more: bool,
    }
    example r#"{"clip": "clp_1"}"#;

    /// Measures the feel of a clip's notes and keeps it as a groove.
    edit ExtractGroove [timeline] {
        clip: ClipId,
        name: String,
        /// Length of one step.
        step: Ticks,
        /// Steps in a cycle.
        steps: u32,
    } -> GrooveExtracted {
        groove: GrooveId,
    }
    check |payload, checker| {
        checker.required("name", &payload.name);
        checker.at_least("step", payload.step.0, 1);
        checker.range("steps", f64::from(payload.steps), 1.0, 1_024.0);
    };
    example r#"{"clip": "clp_1", "name": "MPC 58 %", "step": 11289600, "steps": 16}"#;
}
