//! The key of a unit, turned knob by knob: whatever a node can hear or read is
//! part of it, and nothing else is. Both lists come from the descriptors and from
//! the fields of what is bound to nodes, so that a new parameter or a new field
//! of a clip is asked about without anybody writing a test.

use pulse_engine::{material::BYPASS, param::ParamDesc};
use pulse_schemas::{
    entity::{Marker, ViewMeta},
    graph::{EdgeSpec, NodeKey, PlacedClip, SpecEvent, SpecEventBody, ZoneSpec},
    id::{MarkerId, ViewMetaId},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::*;
use crate::render::{
    key::{reads_tempo, slice_hash, unit_hash},
    wiring::Wiring,
};

/// What of a unit's keys is known without rendering, by each of its nodes: the
/// sound that it hears and its state are hashed beside this.
type Keys = BTreeMap<NodeKey, Vec<Hash>>;

fn keys(song: &Song) -> Keys {
    keys_with(song, SEGMENT, &|_| true)
}

fn keys_with(song: &Song, segment: u32, present: &dyn Fn(&Hash) -> bool) -> Keys {
    let mut keys = Keys::new();
    let wiring = Wiring::of(&song.plan);
    let edges = wiring.edges_within(&song.spec, &song.plan);
    for (at, (unit, edges)) in song.plan.units.iter().zip(&edges).enumerate() {
        let (kept, slices) = (wiring.kept(at), &song.slices);
        let mut parts = vec![unit_hash(edges, &song.plan, unit, kept, slices, segment.into())];
        let length = i64::from(segment);
        parts.extend((0..6).map(|at| {
            let start = at * length;
            slice_hash(&song.plan, unit, &song.slices, &song.time, present, start, length)
        }));
        for node in &unit.nodes {
            keys.insert(song.plan.nodes[*node as usize].key, parts.clone());
        }
    }
    keys
}

/// The node of `kind` in a project of [`kinds_with`].
fn tested(kind: &'static str) -> DspNode {
    let at = kinds_with(kind).iter().position(|other| *other == kind).unwrap();
    node(10 + at as u32, 1, kind)
}

fn key_of(node: &DspNode) -> NodeKey {
    NodeKey::new(node.id, "node")
}

fn with_param(node: &DspNode, param: &ParamDesc, value: f64) -> DspNode {
    let mut node = node.clone();
    node.params.insert(param.id.into(), value);
    node
}

/// A value of the parameter that is not the default one.
fn other_value(param: &ParamDesc) -> f64 {
    let values = [0.0, 0.3, 0.7, 1.0].map(|place| param.clamp(param.denormalise(place)));
    let own = param.clamp(param.default);
    values.into_iter().find(|value| *value != own).unwrap()
}

/// How the signals of a unit are shifted against each other: a changed latency
/// somewhere else is heard here.
fn shifts(song: &Song) -> BTreeMap<NodeKey, Vec<i64>> {
    let key = |node: &u32| song.plan.nodes[*node as usize].key;
    let units = song.plan.units.iter();
    units
        .flat_map(|unit| {
            let shifts: Vec<i64> = unit.inputs.iter().map(|input| input.shift).collect();
            unit.nodes.iter().map(move |node| (key(node), shifts.clone()))
        })
        .collect()
}

/// A change of one node changes the keys of its unit, and of no other.
fn flips(before: &Song, after: &Song, of: NodeKey, what: &str) {
    let (old, new) = (keys(before), keys(after));
    assert_ne!(old.get(&of), new.get(&of), "{what} is not in the key");
    let unit = |song: &Song| -> BTreeSet<NodeKey> {
        let plan = &song.plan;
        let holds = |unit: &&pulse_engine::plan::PlanUnit| {
            unit.nodes.iter().any(|node| plan.nodes[*node as usize].key == of)
        };
        let nodes = plan.units.iter().find(holds).map_or(&[][..], |unit| &unit.nodes);
        nodes.iter().map(|node| plan.nodes[*node as usize].key).collect()
    };
    let own: BTreeSet<NodeKey> = unit(before).union(&unit(after)).copied().collect();
    let (old_shifts, new_shifts) = (shifts(before), shifts(after));
    for (key, hashes) in &old {
        let moved = old_shifts.get(key) != new_shifts.get(key);
        if !own.contains(key) && !moved {
            assert_eq!(Some(hashes), new.get(key), "{what} is in the key of {key}");
        }
    }
}

fn envelope(entities: &mut Entities, target: &DspNode, parameter: &str, value: f64) {
    let id_of = AutomationEnvelopeId(id(12, 0));
    entities.put(AutomationEnvelope {
        id: id_of,
        owner: EnvelopeOwner::Lane { lane: LaneId(id(3, 1)) },
        target: Some(target.id.any()),
        parameter: parameter.into(),
        enabled: true,
        ..AutomationEnvelope::default()
    });
    for (number, at) in [(0, 0), (1, BEAT / 4)] {
        entities.put(AutomationPoint {
            id: AutomationPointId(id(13, number)),
            envelope: id_of,
            at: Moment(at),
            value: value * f64::from(number),
            ..AutomationPoint::default()
        });
    }
}

#[test]
fn every_parameter_of_every_node_and_its_automation_are_in_its_key_alone() {
    for kind in NODES.iter().map(|kind| kind.descriptor) {
        let entities = project(&kinds_with(kind.kind));
        let before = song(&entities);
        let own = tested(kind.kind);
        for param in kind.params {
            let what = format!("{}.{}", kind.kind, param.id);
            let mut changed = entities.clone();
            changed.put(with_param(&own, param, other_value(param)));
            flips(&before, &song(&changed), key_of(&own), &what);

            let mut moving = entities.clone();
            envelope(&mut moving, &own, param.id, param.max);
            let moving_song = song(&moving);
            let mut other = moving.clone();
            envelope(&mut other, &own, param.id, param.max * 0.5 + param.min * 0.25);
            let what = format!("automation of {what}");
            if param.automatable {
                flips(&before, &moving_song, key_of(&own), &what);
                flips(&moving_song, &song(&other), key_of(&own), &what);
            } else {
                assert_eq!(keys(&before), keys(&moving_song), "{what} is heard by nobody");
            }
        }
    }
}

#[test]
fn bypass_identity_version_width_and_modulation_of_every_node_are_in_its_key_alone() {
    for kind in NODES.iter().map(|kind| kind.descriptor) {
        let entities = project(&kinds_with(kind.kind));
        let before = song(&entities);
        let own = tested(kind.kind);
        let key = key_of(&own);

        let mut changed = entities.clone();
        changed.put(DspNode { bypass: true, ..own.clone() });
        flips(&before, &song(&changed), key, &format!("{} {BYPASS}", kind.kind));

        // The identity is the seed of what is random.
        let mut changed = entities.clone();
        let id = NodeId(id(4, 500));
        changed.remove(pulse_schemas::record::EntityKey::standalone(own.id.any()));
        changed.put(DspNode { id, ..own.clone() });
        let renamed = song(&changed);
        let (old, new) = (keys(&before), keys(&renamed));
        assert_ne!(old[&key], new[&NodeKey::new(id, "node")], "{} identity", kind.kind);

        let of_spec = |change: &dyn Fn(&mut pulse_schemas::graph::NodeSpec)| {
            let mut spec = before.spec.clone();
            spec.nodes.iter_mut().filter(|node| node.key == key).for_each(change);
            let (slices, time) = (before.slices.clone(), before.time.clone());
            Song::of(spec, slices, time, before.registry.clone()).unwrap()
        };
        let newer = of_spec(&|node| node.dsp_version += 1);
        assert_ne!(old[&key], keys(&newer)[&key], "{} version", kind.kind);
        let mono = of_spec(&|node| node.channels = 1);
        assert_ne!(old[&key], keys(&mono)[&key], "{} width", kind.kind);

        if let Some(param) = kind.params.iter().find(|param| param.automatable && !param.layout) {
            let mut changed = entities.clone();
            // Before all others, so that no events lead back to it.
            changed.put(DspNode { order: OrderKey("Z".into()), ..node(19, 1, "pulse.lfo") });
            let with_lfo = song(&changed);
            changed.put(ModulationRoute {
                id: ModulationRouteId(super::id(11, 0)),
                from: NodeId(super::id(4, 19)),
                to: ParameterRef { target: Some(own.id.any()), parameter: param.id.into() },
                depth: 0.5,
                enabled: true,
                ..ModulationRoute::default()
            });
            let modulated = song(&changed);
            let (old, new) = (keys(&with_lfo), keys(&modulated));
            assert_ne!(old[&key], new[&key], "{} modulation", kind.kind);
        }
    }
}

#[test]
fn the_transport_is_in_the_key_of_those_who_read_it_alone() {
    for kind in NODES.iter().map(|kind| kind.descriptor) {
        let entities = project(&kinds_with(kind.kind));
        let before = song(&entities);
        let mut faster = entities.clone();
        let mut point: TempoPoint = faster.members_of(arrangement().0).into_iter().next().unwrap();
        point.bpm += 1.0;
        faster.put(point);
        // Nothing but the tempo: what is played lies at the frames where it lay.
        let time = song(&faster).time;
        let (spec, slices) = (before.spec.clone(), before.slices.clone());
        let after = Song::of(spec, slices, time, before.registry.clone()).unwrap();
        let (old, new) = (keys(&before), keys(&after));
        for unit in &before.plan.units {
            let reads = unit.nodes.iter().any(|node| {
                let class = before.plan.class(*node);
                class.kind.is_some_and(|kind| {
                    reads_tempo(&before.plan, *node, kind.descriptor, &before.slices)
                })
            });
            let key = before.plan.nodes[unit.nodes[0] as usize].key;
            assert_eq!(old[&key] != new[&key], reads, "{}: {key}", kind.kind);
        }
    }
}

#[test]
fn the_rate_the_segment_and_what_enters_are_in_the_key() {
    let entities = project(&["pulse.drums", "pulse.eq"]);
    let before = song(&entities);
    let old = keys(&before);
    let longer = keys_with(&before, SEGMENT * 2, &|_| true);
    assert!(old.iter().all(|(key, hashes)| longer[key][0] != hashes[0]));
    let registry = Registry::standard();
    let other = Song::derive(&entities, &registry, arrangement(), 48_000, &Scope::mix()).unwrap();
    assert!(keys(&other).iter().all(|(key, hashes)| old[key][0] != hashes[0]));

    let plan = &before.plan;
    let hash = |unit: &pulse_engine::plan::PlanUnit| {
        let keys: Vec<NodeKey> =
            unit.nodes.iter().map(|node| plan.nodes[*node as usize].key).collect();
        let within = |edge: &&EdgeSpec| keys.contains(&edge.from) && keys.contains(&edge.to);
        let edges: Vec<&EdgeSpec> = before.spec.edges.iter().filter(within).collect();
        unit_hash(&edges, plan, unit, &[], &before.slices, SEGMENT.into())
    };
    for unit in plan.units.iter().filter(|unit| !unit.inputs.is_empty()) {
        let changes: [fn(&mut pulse_engine::plan::UnitInput); 3] =
            [|input| input.shift += 1, |input| input.group += 1, |input| input.to_port += 1];
        for change in changes {
            let mut changed = unit.clone();
            change(&mut changed.inputs[0]);
            assert_ne!(hash(unit), hash(&changed));
        }
    }
}

/// Every way in which one leaf of a value can be another and still be a value.
fn perturbed<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Vec<(String, T)> {
    let whole = serde_json::to_value(value).unwrap();
    let mut leaves = Vec::new();
    collect_leaves(&whole, String::new(), &mut leaves);
    let mut all = Vec::new();
    for path in leaves {
        let leaf = whole.pointer(&path).unwrap();
        let parse = |candidate: Value| {
            let mut changed = whole.clone();
            *changed.pointer_mut(&path).unwrap() = candidate;
            serde_json::from_value::<T>(changed).ok().filter(|changed| changed != value)
        };
        let found = candidates(leaf).into_iter().find_map(parse);
        all.push((path.clone(), found.unwrap_or_else(|| panic!("no other value of {path}"))));
    }
    all
}

fn collect_leaves(value: &Value, path: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect_leaves(value, format!("{path}/{name}"), leaves);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect_leaves(value, format!("{path}/{index}"), leaves);
            }
        }
        _ => leaves.push(path),
    }
}

fn candidates(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Bool(flag) => vec![json!(!flag)],
        Value::Number(number) => match number.as_i64() {
            Some(whole) => vec![json!(whole + 1)],
            None => vec![json!(number.as_f64().unwrap() * 0.5 + 0.1)],
        },
        _ => ["linear", "equalPower", "sCurve", "none", "repitch", "elastic", "noteOff", "noteOn"]
            .into_iter()
            .map(|text| json!(text))
            .chain([json!(ClipId(id(99, 9)).any()), json!(Hash([9; 32]))])
            .collect(),
    }
}

fn with_slices(song: &Song, change: impl FnOnce(&mut Slices)) -> Song {
    let mut slices = song.slices.clone();
    change(&mut slices);
    Song::of(song.spec.clone(), slices, song.time.clone(), song.registry.clone()).unwrap()
}

#[test]
fn every_field_of_a_clip_a_zone_and_a_note_is_in_the_key_alone() {
    let entities = project(&["pulse.sampler", "pulse.lane"]);
    let plain = song(&entities);
    let sampler = key_of(&node(10, 1, "pulse.sampler"));
    let lane = key_of(&node(11, 1, "pulse.lane"));

    let clip: PlacedClip = serde_json::from_value(json!({
        "id": ClipId(id(5, 50)).any(), "media": Hash([7; 32]), "startFrame": 100, "frames": 9_000,
        "sourceStart": 10, "sourceFrames": 20_000, "slip": 3, "loop": {"start": 5, "length": 4_000},
        "gain": 0.5, "pan": 0.25, "fadeIn": {"frames": 10, "shape": "linear"},
        "fadeOut": {"frames": 20, "shape": "sCurve"}, "reverse": true,
        "stretch": {"mode": "elastic", "ratio": 1.5, "pitch": 2.5,
            "anchors": [{"sourceFrame": 10.5, "contentFrame": 20.5}]},
    }))
    .unwrap();
    let with_clip = |clip: &PlacedClip| {
        with_slices(&plain, |slices| {
            slices.clips.0.insert(lane, vec![clip.clone()]);
        })
    };
    let before = with_clip(&clip);
    for (field, changed) in perturbed(&clip) {
        flips(&before, &with_clip(&changed), lane, &format!("clip{field}"));
    }

    let zone: ZoneSpec = serde_json::from_value(json!({
        "id": ClipId(id(5, 51)).any(), "media": Hash([8; 32]), "sourceStart": 1,
        "sourceFrames": 1_000, "keyLow": 1, "keyHigh": 90, "velocityLow": 0.25,
        "velocityHigh": 0.75, "rootKey": 60.5, "keyTracking": 0.5, "tuneCents": 3.5, "gain": 0.5,
        "pan": 0.25, "loop": {"start": 10, "end": 500, "crossfade": 5, "pingPong": true,
            "throughRelease": true},
        "oneShot": true, "reverse": true, "chokeGroup": 1, "roundRobinGroup": 2,
        "roundRobinIndex": 3,
    }))
    .unwrap();
    let with_zone = |zone: &ZoneSpec| {
        with_slices(&plain, |slices| {
            slices.zones.0.insert(sampler, vec![zone.clone()]);
        })
    };
    let before_zone = with_zone(&zone);
    for (field, changed) in perturbed(&zone) {
        flips(&before_zone, &with_zone(&changed), sampler, &format!("zone{field}"));
    }

    let body = SpecEventBody::NoteOn { channel: 1, key: 60, pitch: 60.5, velocity: 0.5 };
    let event = SpecEvent { frame: 500, id: ClipId(id(5, 52)).any(), body };
    let with_event = |event: &SpecEvent| {
        with_slices(&plain, |slices| {
            slices.events.0.insert(sampler, vec![*event].into());
        })
    };
    let before_event = with_event(&event);
    for (field, changed) in perturbed(&event) {
        flips(&before_event, &with_event(&changed), sampler, &format!("event{field}"));
    }

    // Media that are away sound otherwise than media that are there.
    for (song, key) in [(&before, lane), (&before_zone, sampler)] {
        let away = keys_with(song, SEGMENT, &|_| false);
        assert_ne!(keys(song)[&key], away[&key]);
    }
}

#[test]
fn names_colours_and_what_nobody_hears_are_in_no_key() {
    let mut entities = project(&["pulse.drums", "pulse.delay"]);
    let before = keys(&song(&entities));
    let check = |entities: &Entities, what: &str| {
        assert_eq!(keys(&song(entities)), before, "{what}");
    };
    for number in [1, 2] {
        let mut track: Track = get(&entities, id(2, number));
        (track.name, track.armed) = (format!("Named {number}"), true);
        track.order = OrderKey(format!("z{number}"));
        entities.put(track);
        let mut lane: Lane = get(&entities, id(3, number));
        lane.name = "Named".into();
        entities.put(lane);
        let mut clip: Clip = get(&entities, id(5, number));
        clip.name = "Named".into();
        entities.put(clip);
    }
    check(&entities, "names and places of tracks, lanes and clips");
    for number in [0, 1, 2, 9] {
        let mut channel: Channel = get(&entities, id(1, number));
        channel.name = "Named".into();
        channel.order = OrderKey(format!("z{number}"));
        entities.put(channel);
    }
    check(&entities, "names and places of channels");
    for (number, subject) in [TrackId(id(2, 1)).any(), NodeId(id(4, 10)).any()].iter().enumerate() {
        entities.put(ViewMeta {
            id: ViewMetaId(id(20, number as u32)),
            subject: Some(*subject),
            colour: Some("#ff8800".into()),
            ..ViewMeta::default()
        });
    }
    check(&entities, "colours");
    entities.put(Marker {
        id: MarkerId(id(21, 0)),
        arrangement: arrangement(),
        at: Ticks(BEAT).into(),
        name: "Chorus".into(),
        ..Marker::default()
    });
    check(&entities, "markers");
    let mut node: DspNode = get(&entities, id(4, 11));
    node.params.insert("noSuchParameter".into(), 0.5);
    node.order = OrderKey("a2".into());
    entities.put(node);
    check(&entities, "parameters that the kind does not have");
    let muted = Note { mute: true, ..note(900, 1, 0, 99) };
    entities.put(muted);
    check(&entities, "muted notes");
}

#[test]
fn what_is_heard_of_others_goes_by_their_sound() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.drums", "pulse.eq"]);
    entities.put(Channel { mute: true, ..get(&entities, id(1, 2)) });
    let silent = song(&entities);
    let (_, first) = from_cache(&silent, &cache, 1);
    let own = |song: &Song| {
        let of_track = |unit: &&pulse_engine::plan::PlanUnit| {
            let key = |node: &u32| song.plan.nodes[*node as usize].key;
            unit.nodes.iter().any(|node| key(node) == NodeKey::new(NodeId(id(4, 20)), "node"))
        };
        song.plan.units.iter().filter(of_track).count() as u64
    };
    // A louder synth behind a closed fader: its own units, and nobody else's.
    let mut clip: Clip = get(&entities, id(5, 2));
    clip.transpose = 7.0;
    entities.put(clip);
    let (_, report) = from_cache(&song(&entities), &cache, 1);
    let units = silent.plan.units.len() as u64;
    assert!(report.rendered > 0 && report.rendered <= first.total / units * (own(&silent) + 2));
    // With the fader open the master hears it.
    entities.put(Channel { mute: false, ..get(&entities, id(1, 2)) });
    let (_, open) = from_cache(&song(&entities), &cache, 1);
    assert!(open.rendered > 0);
}
