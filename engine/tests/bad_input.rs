//! What no caller should ask of the engine, and what comes of it: values out of range are taken by the
//! rule of their parameter, broken media play as far as they go, absurd formats are refused by name.
//! Loops, unknown kinds, files and devices have their tests beside the code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{collections::BTreeMap, io::Cursor, sync::Arc};

use pulse_engine::{
    buffer::AudioSource,
    decode::Decoder,
    device::DeviceConfig,
    material::{MediaResolver, Slices},
    nodes::NODES,
    param::ParamDesc,
    plan::{CompileError, Compiler},
    registry::Registry,
    rt::{Config, Engine, ManualClock, transport::Start},
};
use pulse_schemas::{
    graph::{AutomationSegment, GraphSpec, PlacedClip, SegmentShape, Stretch, StretchMode},
    hash::Hash,
    id::EntityKind,
};

#[path = "shared/session.rs"]
mod session;

use session::{MASTER, content, id, key, master, node, track};

const RATE: u32 = 48_000;
const ABSURD: [f64; 6] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1e-310];

fn manual() -> (Engine, ManualClock) {
    Engine::manual(Config::new(DeviceConfig::null(RATE))).unwrap()
}

/// Plays; nothing failed, and all that was heard is a number.
#[track_caller]
fn check_plays(engine: &Engine, clock: &mut ManualClock, frames: usize, what: &str) -> Vec<f32> {
    let mut heard = vec![];
    for _ in 0..frames.div_ceil(512) {
        heard.extend_from_slice(clock.run(512));
        let faults = engine.feedback().faults;
        assert!(faults.is_empty(), "{what}: {faults:?}");
    }
    assert!(heard.iter().all(|sample| sample.is_finite()), "{what}");
    heard
}

fn params_of(kind: &str) -> &'static [ParamDesc] {
    let kind = NODES.iter().find(|known| known.descriptor.kind == kind);
    kind.map_or(&[], |kind| kind.descriptor.params)
}

#[test]
fn a_value_out_of_range_is_taken_by_the_rule_of_its_parameter() {
    for desc in NODES.iter().flat_map(|kind| kind.descriptor.params) {
        assert_eq!(desc.clamp(f64::NAN), desc.default, "{}", desc.id);
        assert_eq!(desc.clamp(f64::INFINITY), desc.max, "{}", desc.id);
        assert_eq!(desc.clamp(-1e300), desc.min, "{}", desc.id);
    }
}

#[test]
fn every_kind_plays_whatever_its_parameters_are_said_to_be() {
    for value in ABSURD {
        let mut spec = session::session(5);
        let mut slices = content(5, 0.0);
        for node in &mut spec.nodes {
            for desc in params_of(&node.kind) {
                if desc.layout {
                    node.layout.insert(desc.id.to_owned(), value);
                } else {
                    slices.params.set(node.key, desc.id, value);
                }
            }
        }
        let (engine, mut clock) = manual();
        engine.load(&spec, slices, &session::Tone).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        check_plays(&engine, &mut clock, 4_096, &format!("loaded with {value}"));
    }
}

#[test]
fn every_kind_plays_whatever_it_is_told_while_it_does() {
    let spec = session::session(5);
    let (engine, mut clock) = manual();
    engine.load(&spec, content(5, 0.0), &session::Tone).unwrap();
    engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
    for value in ABSURD {
        for node in &spec.nodes {
            for desc in params_of(&node.kind).iter().filter(|desc| !desc.layout) {
                engine.set_param(node.key, desc.id, value).unwrap();
            }
            check_plays(&engine, &mut clock, 512, &format!("{} told {value}", node.kind));
        }
    }
}

#[test]
fn every_kind_plays_whatever_its_automation_draws() {
    for value in ABSURD {
        let spec = session::session(5);
        let mut slices = content(5, 0.0);
        for node in &spec.nodes {
            for desc in params_of(&node.kind).iter().filter(|desc| desc.automatable) {
                let segment = AutomationSegment {
                    start_frame: 0,
                    end_frame: 3_000,
                    from: value,
                    to: -value,
                    shape: SegmentShape::Linear,
                };
                let drawn = slices.automation.0.entry(node.key).or_default();
                drawn.insert(desc.id.to_owned(), vec![segment]);
            }
        }
        let (engine, mut clock) = manual();
        engine.load(&spec, slices, &session::Tone).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        check_plays(&engine, &mut clock, 4_096, &format!("drawn {value}"));
    }
}

// -- media --------------------------------------------------------------------------------------

const BROKEN: Hash = Hash([9; 32]);

struct Media(Option<Arc<dyn AudioSource>>);

impl MediaResolver for Media {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        self.0.clone().filter(|_| media == BROKEN)
    }
}

/// A WAV file of mono floats whose header promises so many frames.
fn wav(samples: &[f32], promised: u32) -> Vec<u8> {
    let mut file = vec![];
    let bytes = promised * 4;
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16u32.to_le_bytes());
    file.extend_from_slice(&[3, 0, 1, 0]);
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 4).to_le_bytes());
    file.extend_from_slice(&[4, 0, 32, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&bytes.to_le_bytes());
    samples.iter().for_each(|sample| file.extend_from_slice(&sample.to_le_bytes()));
    file
}

fn clip(frames: u64, mode: StretchMode) -> PlacedClip {
    PlacedClip {
        id: id(EntityKind::Clip, 1),
        media: BROKEN,
        start_frame: 0,
        frames,
        source_start: 0,
        source_frames: frames,
        slip: 0,
        repeat: None,
        gain: 1.0,
        pan: 0.0,
        fade_in: Default::default(),
        fade_out: Default::default(),
        reverse: false,
        stretch: Stretch { mode, ratio: 1.0, ..Stretch::default() },
    }
}

/// What a clip of 8,000 frames of a medium plays, in every way of stretching.
fn played(media: &Media, what: &str) -> Vec<f32> {
    let mut all = vec![];
    for mode in [StretchMode::None, StretchMode::Repitch, StretchMode::Elastic] {
        let mut spec = GraphSpec::default();
        spec.nodes.push(node(MASTER, "pulse.strip", None));
        spec.nodes.push(node(track(0), "pulse.lane", None));
        spec.edges.push(session::edge(track(0), MASTER));
        spec.outputs.push(master(MASTER));
        spec.canonicalise();
        let mut slices = Slices::default();
        slices.clips.0.insert(key(track(0)), vec![clip(8_000, mode)]);
        let (engine, mut clock) = manual();
        engine.load(&spec, slices, media).unwrap();
        engine.play(Start { from: Some(0), ..Start::default() }).unwrap();
        all.extend(check_plays(&engine, &mut clock, 12_000, &format!("{what}, {mode:?}")));
    }
    all
}

fn decoded(file: Vec<u8>) -> Media {
    let mut decoder = Decoder::open(Box::new(Cursor::new(file)), None).unwrap();
    Media(Some(Arc::new(decoder.decode_all(1 << 20).unwrap().audio)))
}

#[test]
fn media_that_are_broken_play_as_far_as_they_go() {
    let mut samples = vec![0.25f32; 4_000];
    for (at, nothing) in [(100, f32::NAN), (101, f32::INFINITY), (3_999, f32::NEG_INFINITY)] {
        samples[at] = nothing;
    }
    let heard = played(&decoded(wav(&samples, 4_000)), "NaN in the file");
    assert!(heard.iter().any(|sample| sample.abs() > 0.1), "the rest is heard");
    let heard = played(&decoded(wav(&samples, 8_000)), "half of a file");
    assert!(heard.iter().any(|sample| sample.abs() > 0.1), "its half is heard");
    let heard = played(&decoded(wav(&samples[..1], 1)), "one frame");
    assert!(heard.iter().all(|sample| sample.abs() <= 1.0));
    let silent = played(&Media(None), "no file");
    assert!(silent.iter().all(|&sample| sample == 0.0));
}

// -- formats ------------------------------------------------------------------------------------

#[test]
fn absurd_rates_blocks_and_channel_counts_are_refused_by_name() {
    let error = |rate, block| Compiler::new(Registry::standard(), rate, block).err().unwrap();
    for rate in [0, 1, 7_999, 768_001, u32::MAX] {
        assert_eq!(error(rate, 512), CompileError::Rate { rate });
    }
    for frames in [0, 65_537, usize::MAX] {
        assert_eq!(error(RATE, frames), CompileError::Block { frames });
    }
    for found in [0, 3, 255] {
        let mut spec = GraphSpec::default();
        let mut odd = node(1, "pulse.strip", None);
        (odd.channels, odd.layout) = (found, BTreeMap::new());
        spec.nodes.push(odd);
        let mut compiler = Compiler::new(Registry::standard(), RATE, 512).unwrap();
        let error = compiler.compile(&spec).err().unwrap();
        assert_eq!(error, CompileError::Channels { node: key(1), found });
    }
}
