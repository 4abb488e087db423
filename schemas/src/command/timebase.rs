//! Timebase: tempo, signatures, and edits of time itself.

use super::{prelude::*, transport::Place};
use crate::time::TempoShape;

wire! {
    /// What an edit of time moved.
    struct TimeEdited {
        /// Clips that were moved.
        moved: u64,
        /// Clips that were cut.
        split: Vec<CopyOf>,
        deleted: Vec<AnyId>,
    }
}

wire! {
    /// One place in every unit.
    struct Converted {
        ticks: Ticks,
        flicks: Flicks,
        seconds: f64,
        /// Frames, at the rate that was asked for.
        frame: Option<i64>,
        /// Bars, beats, ticks: `17.3.240`.
        text: String,
        bpm: f64,
    }
}

commands! {
    /// Timebase: tempo, signatures, and edits of time itself.
    domain Timebase;

    /// Adds a tempo point, or changes the one that is at this place.
    edit AddTempo [timebase] {
        arrangement: Option<ArrangementId>,
        at: Ticks,
        /// Quarter notes per minute, 1 to 1,000.
        bpm: f64,
        shape: Option<TempoShape>,
    } -> TempoAdded {
        point: TempoPointId,
    }
    check |payload, checker| checker.range("bpm", payload.bpm, 1.0, 1_000.0);
    example r#"{"at": 0, "bpm": 128}"#;

    /// Changes a tempo point.
    set UpdateTempo [timebase] {
        point: TempoPointId,
        at: Option<Ticks>,
        bpm: Option<f64>,
        shape: Option<TempoShape>,
    } -> Done
    check |payload, checker| checker.range("bpm", payload.bpm.unwrap_or(120.0), 1.0, 1_000.0);
    example r#"{"point": "tmp_1", "bpm": 126}"#;

    /// Removes a tempo point.
    edit RemoveTempo [timebase] {
        point: TempoPointId,
    } -> Done
    example r#"{"point": "tmp_1"}"#;

    /// Adds a time signature, or changes the one that is at this place.
    edit AddSignature [timebase] {
        arrangement: Option<ArrangementId>,
        /// The start of a bar.
        at: Ticks,
        numerator: u8,
        /// A power of two, 1 to 64.
        denominator: u8,
    } -> SignatureAdded {
        point: SignaturePointId,
    }
    check |payload, checker| {
        checker.range("numerator", f64::from(payload.numerator), 1.0, 64.0);
        check_denominator(payload.denominator, checker);
    };
    example r#"{"at": 0, "numerator": 7, "denominator": 8}"#;

    /// Changes a time signature.
    set UpdateSignature [timebase] {
        point: SignaturePointId,
        at: Option<Ticks>,
        numerator: Option<u8>,
        denominator: Option<u8>,
    } -> Done
    check |payload, checker| {
        checker.range("numerator", f64::from(payload.numerator.unwrap_or(4)), 1.0, 64.0);
        check_denominator(payload.denominator.unwrap_or(4), checker);
    };
    example r#"{"point": "sig_1", "numerator": 3}"#;

    /// Removes a time signature.
    edit RemoveSignature [timebase] {
        point: SignaturePointId,
    } -> Done
    example r#"{"point": "sig_1"}"#;

    /// Inserts empty time: everything after it moves later, clips across it are cut.
    edit InsertTime [timebase timeline] {
        arrangement: Option<ArrangementId>,
        at: Ticks,
        length: Ticks,
        /// Only these tracks, without tempo, signatures and markers; all when empty.
        #[serde(default)]
        tracks: Vec<TrackId>,
    } -> TimeInserted {
        edited: TimeEdited,
    }
    check |payload, checker| checker.at_least("length", payload.length.0, 1);
    example r#"{"at": 722534400, "length": 180633600}"#;

    /// Takes time out: what is in it goes, everything after it moves earlier.
    edit RemoveTime [timebase timeline] {
        arrangement: Option<ArrangementId>,
        range: TimeRange,
        #[serde(default)]
        tracks: Vec<TrackId>,
    } -> TimeRemoved {
        edited: TimeEdited,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"range": {"start": 722534400, "end": 903168000}}"#;

    /// Makes a stretch of time longer or shorter, with all that is in it.
    edit StretchTime [timebase timeline] {
        arrangement: Option<ArrangementId>,
        range: TimeRange,
        /// Length of the stretch afterwards.
        length: Ticks,
        #[serde(default)]
        tracks: Vec<TrackId>,
    } -> TimeStretched {
        edited: TimeEdited,
    }
    check |payload, checker| {
        payload.range.check("range", checker);
        checker.at_least("length", payload.length.0, 1);
    };
    example r#"{"range": {"start": 0, "end": 180633600}, "length": 361267200}"#;

    /// Copies a stretch of time to right behind it.
    edit DuplicateTime [timebase timeline] {
        arrangement: Option<ArrangementId>,
        range: TimeRange,
        #[serde(default)]
        tracks: Vec<TrackId>,
    } -> TimeDuplicated {
        edited: TimeEdited,
        copies: Vec<CopyOf>,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"range": {"start": 0, "end": 722534400}}"#;

    /// Tells a place in every unit.
    ask Convert {
        arrangement: Option<ArrangementId>,
        at: Place,
        /// Sample rate for `frame`.
        rate: Option<u32>,
    } -> ConvertReply {
        place: Converted,
    }
    check |payload, checker| {
        payload.at.check("at", checker);
        checker.range("rate", f64::from(payload.rate.unwrap_or(48_000)), 1.0, 768_000.0);
    };
    example r#"{"at": {"text": "17.3.240"}, "rate": 48000}"#;

    /// Lists tempo points and signatures.
    ask List {
        arrangement: Option<ArrangementId>,
    } -> Points {
        tempo: Vec<TempoPoint>,
        signatures: Vec<SignaturePoint>,
    }
    example r#"{}"#;
}

fn check_denominator(denominator: u8, checker: &mut Checker) {
    let legal = denominator.is_power_of_two() && denominator <= 64;
    checker.form("denominator", legal, "a power of two from 1 to 64");
}
