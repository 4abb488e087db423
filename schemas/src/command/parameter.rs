//! Parameters: values, gestures, groups, links, modulation.

use super::prelude::*;

wire! {
    /// A value for one parameter.
    struct ParameterValue {
        /// A node, a channel or a send.
        target: AnyId,
        /// `freq`; of a channel `gainDb`, `pan`, `width`.
        parameter: String,
        /// In the parameter's own unit.
        value: f64,
    }
}

commands! {
    /// Parameters: values, gestures, groups, links, modulation.
    ///
    /// A turn of a knob is a gesture: between begin and end the values go to the
    /// engine and to other clients at once, and become one edit at the end.
    domain Parameter;

    /// Sets a value as one edit.
    set SetValue [mixer] {
        target: AnyId,
        parameter: String,
        value: f64,
    } -> ValueSet {
        /// The value before; none was the default.
        before: Option<f64>,
    }
    check |payload, checker| checker.required("parameter", &payload.parameter);
    example r#"{"target": "nod_1", "parameter": "freq", "value": 440}"#;

    /// Sets several values as one edit.
    set SetValues [mixer] {
        values: Vec<ParameterValue>,
    } -> Done
    check |payload, checker| check_list("values", &payload.values, checker);
    example r#"{"values": [{"target": "nod_1", "parameter": "q", "value": 0.7}]}"#;

    /// Takes values back to the defaults; all of the target's when none is named.
    edit Reset [mixer] {
        target: AnyId,
        #[serde(default)]
        parameters: Vec<String>,
    } -> Done
    example r#"{"target": "nod_1", "parameters": ["freq"]}"#;

    /// Begins to move a parameter. One client holds a parameter at a time.
    act BeginGesture emits ["parameter.gesture"] {
        target: AnyId,
        parameter: String,
    } -> GestureBegun {
        /// Names the gesture, also as the stream id of binary frames whose last
        /// sample is the value.
        gesture: u32,
        value: f64,
    }
    check |payload, checker| checker.required("parameter", &payload.parameter);
    example r#"{"target": "chn_1", "parameter": "gainDb"}"#;

    /// Moves the parameter of a gesture. Straight to the engine; not an edit yet.
    /// `parameter.gesture` tells it; there is no event of this name.
    put UpdateGesture emits ["parameter.gesture"] {
        gesture: u32,
        value: f64,
    } -> Done
    example r#"{"gesture": 4, "value": -3.5}"#;

    /// Ends a gesture: the last value becomes one edit, or none with `cancel`.
    edit EndGesture [mixer] emits ["parameter.gesture"] {
        gesture: u32,
        /// Go back to the value before.
        #[serde(default)]
        cancel: bool,
    } -> GestureEnded {
        before: f64,
        value: f64,
    }
    example r#"{"gesture": 4}"#;

    /// Tells values, defaults and ranges of a target's parameters.
    ask Get {
        target: AnyId,
        #[serde(default)]
        parameters: Vec<String>,
    } -> Values {
        values: Vec<ParameterState>,
    }
    example r#"{"target": "nod_1"}"#;

    /// Makes a group: parameters that move together.
    edit CreateGroup [mixer] {
        name: String,
        members: Vec<ParameterRef>,
    } -> GroupCreated {
        group: ParameterGroupId,
    }
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"name": "Drum faders", "members": [{"target": "chn_1", "parameter": "gainDb"}]}"#;

    /// Changes a group.
    set UpdateGroup [mixer] {
        group: ParameterGroupId,
        name: Option<String>,
        members: Option<Vec<ParameterRef>>,
        enabled: Option<bool>,
    } -> Done
    example r#"{"group": "pgr_1", "enabled": false}"#;

    /// Moves all members of a group by the same part of their ranges.
    edit MoveGroup [mixer] {
        group: ParameterGroupId,
        /// Part of each member's range, −1 to 1.
        by: f64,
    } -> GroupMoved {
        values: Vec<ParameterValue>,
    }
    check |payload, checker| checker.range("by", payload.by, -1.0, 1.0);
    example r#"{"group": "pgr_1", "by": -0.1}"#;

    /// Deletes a group; the parameters keep their values.
    edit DeleteGroup [mixer] {
        group: ParameterGroupId,
    } -> Deleted
    example r#"{"group": "pgr_1"}"#;

    /// Lets one parameter follow another.
    edit CreateLink [mixer] {
        source: ParameterRef,
        target: ParameterRef,
        /// Follower = leader × scale + offset, as parts of the ranges; 1 when absent.
        scale: Option<f64>,
        offset: Option<f64>,
    } -> LinkCreated {
        link: ParameterLinkId,
    }
    check |payload, checker| {
        checker.range("scale", payload.scale.unwrap_or(1.0), -10.0, 10.0);
        checker.range("offset", payload.offset.unwrap_or(0.0), -10.0, 10.0);
    };
    example r#"{"source": {"target": "nod_1", "parameter": "freq"},
                "target": {"target": "nod_2", "parameter": "freq"}, "scale": -1, "offset": 1}"#;

    /// Changes a link.
    set UpdateLink [mixer] {
        link: ParameterLinkId,
        scale: Option<f64>,
        offset: Option<f64>,
        enabled: Option<bool>,
    } -> Done
    example r#"{"link": "plk_1", "scale": 0.5}"#;

    /// Deletes a link.
    edit DeleteLink [mixer] {
        link: ParameterLinkId,
    } -> Deleted
    example r#"{"link": "plk_1"}"#;

    /// Adds a modulator's output to a parameter.
    edit AddModulation [mixer routing] {
        from: NodeId,
        /// Control output of the modulator.
        #[serde(default)]
        port: u16,
        to: ParameterRef,
        /// Part of the parameter's range, −1 to 1.
        depth: f64,
        #[serde(default)]
        bipolar: bool,
    } -> ModulationAdded {
        route: ModulationRouteId,
    }
    check |payload, checker| checker.range("depth", payload.depth, -1.0, 1.0);
    example r#"{"from": "nod_1", "to": {"target": "nod_2", "parameter": "freq"}, "depth": 0.25}"#;

    /// Changes a modulation.
    set UpdateModulation [mixer] {
        route: ModulationRouteId,
        depth: Option<f64>,
        bipolar: Option<bool>,
        enabled: Option<bool>,
    } -> Done
    check |payload, checker| checker.range("depth", payload.depth.unwrap_or(0.0), -1.0, 1.0);
    example r#"{"route": "mod_1", "depth": 0.5}"#;

    /// Removes a modulation.
    edit RemoveModulation [mixer routing] {
        route: ModulationRouteId,
    } -> Deleted
    example r#"{"route": "mod_1"}"#;
}

wire! {
    struct ParameterState {
        parameter: super::node::ParameterInfo,
        value: f64,
        is_default: bool,
        /// An envelope moves it.
        automated: bool,
    }
}
