//! What is true now and no part of the project: the transport, hands on knobs,
//! open editors, devices. Nothing here is saved, undone or hashed.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::{
    command::{cohort::CohortKind, metering::MeterKind},
    entity::ParameterRef,
    hash::Hash,
    id::{AnyId, ChannelId, HardwareRoleId, MediaId},
};

use crate::{
    command_log::Recorder,
    commands::{cohort::told::Told, media::ahead::Facts, track::names::Names},
    engine_news::Seen,
    model::Published,
    playback::{Headless, Metered, Playback},
    session::Caller,
    transport::Transport,
};

pub struct Live {
    pub transport: Transport,
    pub playback: Box<dyn Playback>,
    /// Parameters that are being moved, by gesture.
    pub gestures: BTreeMap<u32, Gesture>,
    /// Streams of controllers.
    pub controls: BTreeMap<u32, ControlStream>,
    pub meters: BTreeMap<u32, MeterStream>,
    /// What users decided about cohorts.
    pub overrides: BTreeMap<AnyId, CohortKind>,
    /// Open editors and the connections that have them open.
    pub editors: BTreeMap<AnyId, BTreeSet<u64>>,
    /// The assignment that was told last.
    pub cohorts: Option<Told>,
    /// Names of tracks, for those that are made without one.
    pub names: Option<Names>,
    /// Which device fills a role on this machine.
    pub roles: BTreeMap<HardwareRoleId, (String, u16)>,
    /// Media whose files were gone when somebody looked last.
    pub missing: BTreeSet<MediaId>,
    /// What was read of files before the command that is being done.
    pub facts: Facts,
    /// Where commands are written for a replay.
    pub command_log: Option<Recorder>,
    /// Events of an edit, until its transaction has taken effect.
    pub events: Vec<Published>,
    /// When the transport was told last.
    pub told: Option<std::time::Instant>,
    /// What was told of the engine.
    pub engine_seen: Seen,
    /// When levels were told last to clients without binary streams.
    pub levels_told: Option<std::time::Instant>,
    next_stream: u32,
}

/// A parameter in somebody's hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Gesture {
    pub holder: Holder,
    pub parameter: ParameterRef,
    pub before: f64,
    pub value: f64,
}

/// Many parameters that one controller moves.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlStream {
    pub holder: Holder,
    pub targets: Vec<ParameterRef>,
    /// What was moved since the last commit, by index of the target.
    pub moved: BTreeMap<usize, f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MeterStream {
    pub number: u32,
    pub connection: u64,
    pub kind: MeterKind,
    pub channels: Vec<Metered>,
    /// Channels that were asked for by name; none is all there are.
    pub named: Vec<ChannelId>,
    /// Frames per second.
    pub rate: u8,
    pub bands: u16,
    /// Of the next frame.
    pub sequence: u64,
    pub due: std::time::Instant,
    /// The state of the project that the channels are of.
    pub root: Option<Hash>,
}

/// Who holds something: one connection of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub connection: u64,
    pub instance: String,
}

impl Holder {
    pub fn of(caller: &Caller) -> Holder {
        Holder { connection: caller.connection, instance: caller.instance_id.clone() }
    }
}

impl Default for Live {
    fn default() -> Live {
        Live {
            transport: Transport::default(),
            playback: Box::new(Headless::default()),
            gestures: BTreeMap::new(),
            controls: BTreeMap::new(),
            meters: BTreeMap::new(),
            overrides: BTreeMap::new(),
            editors: BTreeMap::new(),
            cohorts: None,
            names: None,
            roles: BTreeMap::new(),
            missing: BTreeSet::new(),
            command_log: None,
            facts: Facts::default(),
            events: Vec::new(),
            told: None,
            engine_seen: Seen::default(),
            levels_told: None,
            next_stream: 1,
        }
    }
}

impl Live {
    /// An id for a gesture or a stream; never given twice.
    pub fn stream(&mut self) -> u32 {
        let id = self.next_stream;
        self.next_stream += 1;
        id
    }

    /// The id that the next gesture or stream gets.
    pub fn next_stream(&self) -> u32 {
        self.next_stream
    }

    /// Goes on counting where a log of commands did.
    pub fn set_next_stream(&mut self, next: u32) {
        self.next_stream = next;
    }

    pub fn publish(
        &mut self,
        domain: &'static str,
        name: &'static str,
        payload: serde_json::Value,
    ) {
        self.events.push(Published { domain, name, payload });
    }

    /// Whose hand a parameter is in.
    pub fn holder_of(&self, parameter: &ParameterRef) -> Option<&Holder> {
        let gesture = self.gestures.values().find(|it| it.parameter == *parameter);
        gesture.map(|gesture| &gesture.holder)
    }
}
