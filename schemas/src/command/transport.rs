//! Transport: play, stop, seek, loop, punch.

use super::prelude::*;

wire! {
    #[derive(Copy, Eq)]
    enum PlayState { Stopped, Playing, Paused, Recording, CountingIn }
}

wire! {
    /// The whole of the transport.
    struct TransportState {
        state: PlayState,
        /// Where it stands, as of the last report of the engine.
        ticks: Ticks,
        flicks: Flicks,
        /// Bars, beats and ticks, counted from 1: `17.3.240`.
        text: String,
        /// Quarter notes per minute at this place.
        bpm: f64,
        loop_enabled: bool,
        loop_range: Option<TimeRange>,
        punch_enabled: bool,
        punch_range: Option<TimeRange>,
        /// Bars that are counted before recording.
        count_in: u8,
        pre_roll: Ticks,
        metronome: bool,
    }
}

wire! {
    /// A place: exactly one of the fields.
    #[derive(Default)]
    struct Place {
        ticks: Option<Ticks>,
        flicks: Option<Flicks>,
        /// Bars, beats, ticks: `17.3.240`.
        text: Option<String>,
        marker: Option<MarkerId>,
        section: Option<SectionId>,
    }
}

impl Place {
    pub(super) fn check(&self, field: &str, checker: &mut Checker) {
        let given = [
            self.ticks.is_some(),
            self.flicks.is_some(),
            self.text.is_some(),
            self.marker.is_some(),
            self.section.is_some(),
        ];
        let one = given.into_iter().filter(|given| *given).count() == 1;
        checker.form(field, one, "one of ticks, flicks, text, marker, section");
    }
}

commands! {
    /// Transport: play, stop, seek, loop, punch. None of it is part of the
    /// project, so none of it is undone.
    domain Transport;

    /// Plays from where the transport stands, or from a place.
    put Play emits ["transport.state"] {
        from: Option<Place>,
        /// Rolls in as a recording does: after the count-in, from the pre-roll on,
        /// recording between the punch points.
        #[serde(default)]
        record: bool,
    } -> Playing {
        state: TransportState,
    }
    check |payload, checker| {
        if let Some(place) = &payload.from {
            place.check("from", checker);
        }
    };
    example r#"{"from": {"text": "5.1.0"}}"#;

    /// Stops and stays where it is. A second stop goes back to where play began.
    act Stop emits ["transport.state"] {} -> Stopped {
        state: TransportState,
    }
    example r#"{}"#;

    /// Halts, keeping tails and voices for the next play.
    put Pause emits ["transport.state"] {} -> Paused {
        state: TransportState,
    }
    example r#"{}"#;

    /// Goes to a place, playing or not.
    put Seek emits ["transport.state"] {
        to: Place,
    } -> Sought {
        state: TransportState,
    }
    check |payload, checker| payload.to.check("to", checker);
    example r#"{"to": {"ticks": 180633600}}"#;

    /// Sets the loop, on or off, and its range.
    put SetLoop emits ["transport.state"] {
        enabled: Option<bool>,
        range: Option<TimeRange>,
    } -> LoopSet {
        state: TransportState,
    }
    check |payload, checker| {
        if let Some(range) = &payload.range {
            range.check("range", checker);
        }
    };
    example r#"{"enabled": true, "range": {"start": 0, "end": 722534400}}"#;

    /// Sets where recording starts and ends by itself.
    put SetPunch emits ["transport.state"] {
        enabled: Option<bool>,
        range: Option<TimeRange>,
    } -> PunchSet {
        state: TransportState,
    }
    check |payload, checker| {
        if let Some(range) = &payload.range {
            range.check("range", checker);
        }
    };
    example r#"{"enabled": true, "range": {"start": 180633600, "end": 361267200}}"#;

    /// Sets how a recording is led in.
    put SetCountIn emits ["transport.state"] {
        /// Bars, 0 to 8.
        bars: Option<u8>,
        pre_roll: Option<Ticks>,
    } -> CountInSet {
        state: TransportState,
    }
    check |payload, checker| {
        checker.range("bars", f64::from(payload.bars.unwrap_or(0)), 0.0, 8.0);
        checker.at_least("preRoll", payload.pre_roll.map_or(0, |ticks| ticks.0), 0);
    };
    example r#"{"bars": 1}"#;

    /// Sets the metronome.
    put SetMetronome emits ["transport.state"] {
        enabled: Option<bool>,
        /// dB.
        gain_db: Option<f64>,
    } -> MetronomeSet {
        state: TransportState,
    }
    check |payload, checker| {
        checker.range("gainDb", payload.gain_db.unwrap_or(0.0), -144.0, 24.0);
    };
    example r#"{"enabled": true}"#;

    /// Silences everything at once: notes off, tails cut.
    put Panic {} -> Done
    example r#"{}"#;

    /// Tells where the transport stands.
    ask State {} -> StateReply {
        state: TransportState,
    }
    example r#"{}"#;
}
