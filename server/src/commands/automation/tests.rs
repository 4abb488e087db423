use serde_json::{Value, json};

use crate::commands::testing::Project;

struct Lane {
    project: Project,
    channel: Value,
    envelope: Value,
}

impl Lane {
    /// A ramp of a fader: −20, −10, 0 dB at 0, 100, 200.
    fn new() -> Lane {
        let mut project = Project::new();
        let track = project.ok("track.create", json!({"name": "Pad"}));
        let (lane, channel) = (track["lane"].clone(), track["channel"].clone());
        let made = project.ok(
            "automation.createEnvelope",
            json!({"owner": {"lane": {"lane": lane}},
                   "target": {"target": channel, "parameter": "gainDb"},
                   "points": [{"at": 0, "value": -20}, {"at": 100, "value": -10},
                              {"at": 200, "value": 0}]}),
        );
        Lane { project, channel, envelope: made["envelope"].clone() }
    }

    fn run(&mut self, name: &str, mut payload: Value) -> Value {
        payload["envelope"] = self.envelope.clone();
        self.project.ok(&format!("automation.{name}"), payload)
    }

    fn points(&mut self) -> Vec<(i64, f64)> {
        let list = self.project.ok("automation.list", json!({"target": self.channel}));
        let points = list["points"].as_array().unwrap().iter();
        points.map(|it| (it["at"].as_i64().unwrap(), it["value"].as_f64().unwrap())).collect()
    }
}

fn range(start: i64, end: i64) -> Value {
    json!({"start": start, "end": end})
}

#[test]
fn a_point_where_one_lies_takes_it_over() {
    let mut lane = Lane::new();
    let made = lane.run("addPoints", json!({"points": [{"at": 100, "value": -3}]}));
    assert_eq!(lane.points(), [(0, -20.0), (100, -3.0), (200, 0.0)]);
    let moved = json!({"changes": [{"point": made["points"][0], "at": 200, "value": -1}]});
    lane.run("updatePoints", moved);
    assert_eq!(lane.points(), [(0, -20.0), (200, -1.0)]);
    lane.run("deletePoints", json!({"points": [made["points"][0]]}));
    assert_eq!(lane.points(), [(0, -20.0)]);
}

#[test]
fn stretches_are_cleared_moved_scaled_and_redrawn() {
    let check = |name: &str, payload: Value, expect: &[(i64, f64)]| {
        let mut lane = Lane::new();
        lane.run(name, payload);
        assert_eq!(lane.points(), expect, "{name}");
    };
    let cleared = json!({"range": range(50, 150)});
    check("clearRange", cleared, &[(0, -20.0), (50, -15.0), (150, -5.0), (200, 0.0)]);
    let moved = json!({"range": range(100, 201), "by": 50, "value": 30});
    check("moveRange", moved, &[(0, -20.0), (150, 20.0), (250, 24.0)]);
    let scaled = json!({"range": range(0, 150), "factor": 0.5});
    check("scaleRange", scaled, &[(0, -10.0), (100, -5.0), (200, 0.0)]);
    let drawn = json!({"range": range(0, 200), "points": [{"at": 10, "value": 1}]});
    check("replaceRange", drawn, &[(10, 1.0), (200, 0.0)]);
    check("thin", json!({"tolerance": 0.01}), &[(0, -20.0), (200, 0.0)]);
    let shaped = json!({"range": range(0, 999), "shape": "hold"});
    check("shapeRange", shaped, &[(0, -20.0), (100, -10.0), (200, 0.0)]);
}

#[test]
fn an_envelope_moves_what_can_be_moved_and_only_once() {
    let mut lane = Lane::new();
    let track = lane.project.ok("track.create", json!({"nodes": ["pulse.limiter"]}));
    let create = |target: &Value, parameter: &str| {
        json!({"owner": {"lane": {"lane": track["lane"]}},
               "target": {"target": target, "parameter": parameter}})
    };
    let mut refuse = |payload, code| {
        lane.project.refused("automation.createEnvelope", payload, code);
    };
    refuse(create(&track["channel"], "nothing"), "parameter.unknown");
    refuse(create(&track["nodes"][0], "lookAhead"), "parameter.unknown");
    refuse(create(&track["track"], "gainDb"), "entity.wrongKind");
    lane.project.ok("automation.createEnvelope", create(&track["channel"], "pan"));
    lane.project.refused(
        "automation.createEnvelope",
        create(&track["channel"], "pan"),
        "entity.inUse",
    );
    let loud = json!({"envelope": lane.envelope, "points": [{"at": 0, "value": 100}]});
    lane.project.refused("automation.addPoints", loud, "parameter.range");
    let early = json!({"envelope": lane.envelope, "range": range(0, 10), "by": -5});
    lane.project.refused("automation.moveRange", early, "range.invalid");
}

#[test]
fn a_copy_has_the_points_and_another_target() {
    let mut lane = Lane::new();
    let bus = lane.project.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
    let target = json!({"target": bus, "parameter": "gainDb"});
    let copied = lane.run("duplicateEnvelope", json!({"target": target}));
    assert_eq!(copied["copies"].as_array().unwrap().len(), 4);
    lane.run("updateEnvelope", json!({"enabled": false}));
    let list = lane.project.ok("automation.list", json!({"target": bus}));
    assert_eq!(list["points"].as_array().unwrap().len(), 3);
    lane.run("deleteEnvelope", json!({}));
    assert_eq!(lane.points(), []);
}
