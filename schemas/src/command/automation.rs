//! Automation: envelopes and their points, in the parameter's own unit.

use super::prelude::*;

wire! {
    /// A point to be made.
    struct NewPoint {
        /// In the envelope's timebase.
        at: Moment,
        value: f64,
        /// How the curve runs to the next point.
        #[serde(default)]
        shape: PointShape,
    }
}

wire! {
    /// What changes about one point; absent fields stay.
    struct PointChange {
        point: AutomationPointId,
        at: Option<Moment>,
        value: Option<f64>,
        shape: Option<PointShape>,
    }
}

wire! {
    /// A stretch of an envelope, in its timebase; the end is not part of it.
    #[derive(Copy, Eq)]
    struct MomentRange {
        start: Moment,
        end: Moment,
    }
}

impl MomentRange {
    fn check(&self, field: &str, checker: &mut Checker) {
        checker.form(&format!("{field}.end"), self.end.0 > self.start.0, "after `start`");
    }
}

commands! {
    /// Automation: envelopes and their points, in the parameter's own unit.
    domain Automation;

    /// Makes an envelope for a parameter, on a lane or inside a clip.
    edit CreateEnvelope [timeline] {
        /// A lane or a clip.
        owner: EnvelopeOwner,
        target: ParameterRef,
        timebase: Option<Timebase>,
        #[serde(default)]
        points: Vec<NewPoint>,
    } -> EnvelopeCreated {
        envelope: AutomationEnvelopeId,
        points: Vec<AutomationPointId>,
    }
    check |payload, checker| {
        checker.form("owner", payload.owner != EnvelopeOwner::None, "a lane or a clip");
        checker.required("target.parameter", &payload.target.parameter);
    };
    example r#"{"owner": {"lane": {"lane": "lan_1"}},
                "target": {"target": "chn_1", "parameter": "gainDb"},
                "points": [{"at": 0, "value": -20}, {"at": 180633600, "value": 0}]}"#;

    /// Deletes an envelope with its points.
    edit DeleteEnvelope [timeline] {
        envelope: AutomationEnvelopeId,
    } -> Deleted
    example r#"{"envelope": "env_1"}"#;

    /// Switches an envelope on or off, or points it at another parameter.
    set UpdateEnvelope [timeline] {
        envelope: AutomationEnvelopeId,
        enabled: Option<bool>,
        target: Option<ParameterRef>,
    } -> Done
    example r#"{"envelope": "env_1", "enabled": false}"#;

    /// Copies an envelope to another lane, clip or parameter.
    edit DuplicateEnvelope [timeline] {
        envelope: AutomationEnvelopeId,
        owner: Option<EnvelopeOwner>,
        target: Option<ParameterRef>,
    } -> Copied
    example r#"{"envelope": "env_1", "target": {"target": "chn_2", "parameter": "gainDb"}}"#;

    /// Adds points.
    edit AddPoints [timeline] {
        envelope: AutomationEnvelopeId,
        points: Vec<NewPoint>,
    } -> PointsAdded {
        points: Vec<AutomationPointId>,
    }
    check |payload, checker| check_list("points", &payload.points, checker);
    example r#"{"envelope": "env_1", "points": [{"at": 90316800, "value": -6, "shape": "hold"}]}"#;

    /// Moves or reshapes points.
    set UpdatePoints [timeline] {
        envelope: AutomationEnvelopeId,
        changes: Vec<PointChange>,
    } -> Done
    check |payload, checker| check_list("changes", &payload.changes, checker);
    example r#"{"envelope": "env_1", "changes": [{"point": "pnt_1", "value": -12,
                "shape": {"bezier": {"bend": 0.4}}}]}"#;

    /// Deletes points.
    edit DeletePoints [timeline] {
        envelope: AutomationEnvelopeId,
        points: Vec<AutomationPointId>,
    } -> Done
    check |payload, checker| check_list("points", &payload.points, checker);
    example r#"{"envelope": "env_1", "points": ["pnt_1"]}"#;

    /// Deletes the points of a stretch, keeping the values at its ends.
    edit ClearRange [timeline] {
        envelope: AutomationEnvelopeId,
        range: MomentRange,
    } -> RangeCleared {
        removed: u64,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"envelope": "env_1", "range": {"start": 0, "end": 90316800}}"#;

    /// Moves the points of a stretch in time, value or both.
    edit MoveRange [timeline] {
        envelope: AutomationEnvelopeId,
        range: MomentRange,
        by: Option<Moment>,
        value: Option<f64>,
    } -> RangeMoved {
        moved: u64,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"envelope": "env_1", "range": {"start": 0, "end": 90316800}, "value": -3}"#;

    /// Multiplies the values of a stretch around a centre.
    edit ScaleRange [timeline] {
        envelope: AutomationEnvelopeId,
        range: MomentRange,
        factor: f64,
        /// The value that stays; the default of the parameter when absent.
        around: Option<f64>,
    } -> RangeScaled {
        changed: u64,
    }
    check |payload, checker| {
        payload.range.check("range", checker);
        checker.range("factor", payload.factor, -1_000.0, 1_000.0);
    };
    example r#"{"envelope": "env_1", "range": {"start": 0, "end": 90316800}, "factor": 0.5}"#;

    /// Gives all segments of a stretch one shape.
    edit ShapeRange [timeline] {
        envelope: AutomationEnvelopeId,
        range: MomentRange,
        shape: PointShape,
    } -> RangeShaped {
        changed: u64,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"envelope": "env_1", "range": {"start": 0, "end": 90316800}, "shape": "hold"}"#;

    /// Replaces a stretch by other points.
    edit ReplaceRange [timeline] {
        envelope: AutomationEnvelopeId,
        range: MomentRange,
        points: Vec<NewPoint>,
    } -> RangeReplaced {
        points: Vec<AutomationPointId>,
        removed: u64,
    }
    check |payload, checker| payload.range.check("range", checker);
    example r#"{"envelope": "env_1", "range": {"start": 0, "end": 90316800},
                "points": [{"at": 0, "value": 0}]}"#;

    /// Removes points that the curve doesn't need, within a tolerance.
    edit Thin [timeline] {
        envelope: AutomationEnvelopeId,
        range: Option<MomentRange>,
        /// In the parameter's own unit.
        tolerance: f64,
    } -> Thinned {
        removed: u64,
    }
    check |payload, checker| checker.range("tolerance", payload.tolerance, 0.0, f64::MAX);
    example r#"{"envelope": "env_1", "tolerance": 0.1}"#;

    /// Lists the envelopes of a lane, a clip or a target, with their points.
    ask List {
        owner: Option<EnvelopeOwner>,
        target: Option<AnyId>,
        range: Option<MomentRange>,
    } -> Envelopes {
        envelopes: Vec<AutomationEnvelope>,
        points: Vec<AutomationPoint>,
    }
    example r#"{"target": "chn_1"}"#;
}
