//! After any edit, what plays is what a derivation from nothing gives.

use std::{collections::BTreeMap, sync::Arc};

use pulse_engine::{material::Slices, registry::Registry};
use pulse_query::{
    chain::chain,
    cohort::Seeds,
    content::{EngineParam, content, engine_param},
    graph::playing_graph,
    routing::routing,
    source::SourceExt,
    stored::Stored,
};
use pulse_schemas::{
    entity::ParameterRef,
    graph::{GraphSpec, NodeKey},
    hash::Hash,
    id::{AnyId, HardwareRoleId, TrackId},
};
use serde_json::{Value, json};

use super::{
    derivation::Derivation,
    deriver::{DeriveError, Held, Revision},
    inputs::{Hardware, connect},
};
use crate::{commands::testing::Project, session::Caller};

const RATE: u32 = 44_100;
const BAR: i64 = 4 * 45_158_400;

/// Counter-based: the same edits each time.
struct Dice {
    seed: u64,
    at: u64,
}

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.at += 1;
        let hash = Hash::of(&[self.seed.to_be_bytes(), self.at.to_be_bytes()].concat());
        let bytes = hash.as_bytes()[..8].try_into().unwrap();
        (u64::from_be_bytes(bytes) % end as u64) as usize
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }
}

/// A session that is edited at random.
struct Edited {
    project: Project,
    dice: Dice,
    tracks: Vec<Value>,
    clips: Vec<Value>,
    role: Value,
    seeds: Seeds,
    held: Held,
    hardware: Hardware,
}

impl Edited {
    fn new(seed: u64) -> Edited {
        let mut project = Project::new();
        let role = json!({"name": "Mics", "direction": "audioInput", "channels": 2});
        let role = project.ok("routing.createRole", role)["role"].clone();
        let (tracks, clips) = (vec![], vec![]);
        let dice = Dice { seed, at: 0 };
        let (seeds, held, hardware) = Default::default();
        let mut made = Edited { project, dice, tracks, clips, role, seeds, held, hardware };
        ["audio", "audio", "instrument"].iter().for_each(|kind| made.track(kind));
        made
    }

    /// Does what the session takes; none of a refusal matters here.
    fn tell(&mut self, name: &str, payload: Value) -> Value {
        self.project.run_as(&Caller::local("Ada"), name, payload).unwrap_or_default()
    }

    fn track(&mut self, kind: &str) {
        let made = self.tell("track.create", json!({"kind": kind, "name": "T"}));
        let input = match kind {
            "audio" => json!({"audio": {"role": self.role, "firstChannel": 0}}),
            _ => json!({"midi": {"channel": 1}}),
        };
        self.tell("channel.setInput", json!({"channel": made["channel"], "input": input}));
        self.tracks.push(made);
    }

    fn edit(&mut self) -> Option<()> {
        let dice = &mut self.dice;
        let (number, on) = (dice.below(100) as i64, dice.below(2) == 0);
        match dice.below(17) {
            0 | 1 => {
                let kind = dice.of(&["instrument", "audio"])?;
                self.track(kind);
            }
            2 => {
                let channel = dice.of(&self.tracks)?["channel"].clone();
                let kind = dice.of(&["pulse.synth", "pulse.eq", "pulse.limiter"])?;
                self.tell("node.add", json!({"channel": channel, "kind": kind}));
            }
            3 | 4 => {
                let (lane, start) = (dice.of(&self.tracks)?["lane"].clone(), number * BAR / 4);
                let note = json!({"pitch": 60, "start": 0, "length": BAR / 8});
                let clip = json!({"lane": lane, "start": start, "length": BAR, "notes": [note]});
                let made = self.tell("clip.create", clip);
                self.clips.extend(made.get("clip").cloned());
            }
            5 => {
                let clip = dice.of(&self.clips)?;
                self.tell("clip.update", json!({"clips": [clip], "gainDb": -6}));
            }
            6 => {
                let clip = dice.of(&self.clips)?;
                self.tell("clip.delete", json!({"clips": [clip]}));
            }
            7 => {
                let track = dice.of(&self.tracks)?["track"].clone();
                let flag = dice.of(&["armed", "mute", "solo"])?;
                self.tell("track.setFlags", json!({"tracks": [track], flag: on}));
            }
            8 | 15 | 16 => {
                let track = dice.of(&self.tracks)?["track"].clone();
                let monitor = dice.of(&["on", "on", "auto"])?;
                self.tell("track.setFlags", json!({"tracks": [track], "monitor": monitor}));
            }
            9 => {
                let channel = dice.of(&self.tracks)?["channel"].clone();
                self.tell("channel.setGain", json!({"channel": channel, "gainDb": -number}));
            }
            10 => drop(self.tell("history.undo", json!({}))),
            11 => {
                let at = (self.tracks.len() > 4).then(|| dice.below(self.tracks.len()))?;
                let track = self.tracks.remove(at)["track"].clone();
                self.tell("track.delete", json!({"tracks": [track]}));
            }
            12 => {
                let channel = dice.of(&self.tracks)?["channel"].clone();
                let target: Option<AnyId> = serde_json::from_value(channel).ok();
                self.seeds = Seeds::default();
                self.seeds.editors.extend(target.filter(|_| on));
            }
            13 => {
                let role: HardwareRoleId = serde_json::from_value(self.role.clone()).ok()?;
                let device = ("null:clock".to_owned(), 1);
                self.hardware.roles = on.then_some((role, device)).into_iter().collect();
                self.hardware.device = "null:clock".to_owned();
            }
            _ => {
                let channel = dice.of(&self.tracks)?["channel"].clone();
                let target = serde_json::from_value(channel).ok();
                let parameter = ParameterRef { target, parameter: "gainDb".to_owned() };
                let EngineParam { node, name, .. } = engine_param(&parameter)?;
                match on {
                    true => drop(self.held.insert((node, name), -1.0)),
                    false => self.held.clear(),
                }
            }
        }
        Some(())
    }

    fn revision(&self) -> Revision {
        Revision {
            view: self.project.session.view().unwrap(),
            dir: None,
            cache: None,
            hardware: self.hardware.clone(),
            seeds: Arc::new(self.seeds.clone()),
        }
    }
}

type Scratch = (GraphSpec, Slices, BTreeMap<TrackId, Vec<NodeKey>>, usize);

/// What the engine is given at once, without anything that was known before.
fn from_scratch(edited: &Edited) -> Option<Scratch> {
    let (source, registry) = (Stored::new(edited.revision().view), Registry::standard());
    let id = source.active_arrangement().unwrap();
    let mut spec = playing_graph(&source, &registry, id, &edited.seeds).ok()?;
    let mut slices = content(&source, &registry, id, RATE);
    for ((node, name), value) in &edited.held {
        slices.params.set(*node, name, *value);
    }
    let routing = routing(&source, id);
    let players = |channel| chain(&source, &registry, channel).players;
    let all: Vec<_> = routing.channels.iter().map(|it| (it, players(it))).collect();
    let channels = all.iter().map(|(channel, players)| (*channel, &players[..]));
    let heard = connect(&source, &edited.hardware, channels);
    for input in &heard.audio {
        input.add(&registry, &mut spec);
        slices.params.0.insert(input.key(), input.params());
    }
    spec.canonicalise();
    let of_tracks = all.iter().filter_map(|(it, players)| Some((it.track?, players.clone())));
    Some((spec, slices, of_tracks.collect(), heard.midi.len()))
}

/// How often a track listened to the device.
fn check(seed: u64, rounds: u64) -> usize {
    let mut edited = Edited::new(seed);
    let mut derivation = Derivation::new(Arc::new(Registry::standard()), RATE, None);
    let (mut played, mut steps, mut inputs) = (Slices::default(), 0, 0);
    for round in 0..rounds {
        edited.edit();
        let next = derivation.next(&edited.revision(), &edited.held);
        let next = match (next, from_scratch(&edited)) {
            (Ok(next), Some(expect)) => (next, expect),
            (Err(DeriveError::Cycle(_)), None) => continue,
            _ => panic!("seed {seed}, round {round}: only one of them is refused"),
        };
        let (next, (spec, slices, players, midi)) = next;
        if next.whole {
            played = Slices::default();
        }
        steps += u64::from(!next.whole);
        played.patch(next.patch);
        let what = format!("seed {seed}, round {round}");
        assert_eq!(*next.spec, spec, "{what}");
        inputs += spec.nodes.iter().filter(|node| node.kind == "pulse.input").count();
        assert_eq!(played.params, slices.params, "{what}");
        assert_eq!(played.automation, slices.automation, "{what}");
        assert_eq!(played.events, slices.events, "{what}");
        assert_eq!(played.clips, slices.clips, "{what}");
        assert_eq!(played.zones, slices.zones, "{what}");
        assert_eq!((&*next.facts.players, next.targets.len()), (&players, midi), "{what}");
        if edited.dice.below(40) == 0 {
            derivation.start_over();
        }
    }
    assert!(steps > rounds / 2, "{steps} of {rounds} went on from what was known");
    inputs
}

#[test]
fn after_any_edit_what_plays_is_what_a_derivation_from_nothing_gives() {
    let (songs, rounds) = match std::env::var_os("PULSE_SOAK") {
        Some(_) => (60, 1_500),
        None => (4, 150),
    };
    let inputs: usize = (1..=songs).map(|seed| check(seed, rounds)).sum();
    assert!(inputs > 50, "tracks hardly ever listen to the device: {inputs}");
}
