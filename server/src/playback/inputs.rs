//! What is played and sung right now, on its way into the tracks that listen.
//!
//! A track listens while its monitor is on, or while it is armed and the monitor
//! is left to itself; then it is heard while the song stands or is recorded. Audio
//! comes in through a node of its own, which no render has; notes go from their
//! ports straight to the nodes that play the track.

use std::collections::BTreeMap;

use pulse_engine::{device::midir::Target, registry::Registry};
use pulse_query::{
    chain::strip_key,
    source::{Source, SourceExt},
};
use pulse_schemas::{
    entity::{Channel, ChannelInput, HardwareRole, Monitor, Track},
    graph::{Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec},
    id::{ChannelId, HardwareRoleId},
};

const INPUT: &str = "pulse.input";

/// What this machine has for the roles of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Device or port, and its first channel.
    pub roles: BTreeMap<HardwareRoleId, (String, u16)>,
    /// The id of the audio device that plays.
    pub device: String,
}

/// How a track listens: by itself while the song stands or is recorded, or always.
/// None where it does not.
fn listens(track: &Track) -> Option<bool> {
    match track.monitor {
        Monitor::On => Some(false),
        Monitor::Auto if track.armed => Some(true),
        Monitor::Auto | Monitor::Off => None,
    }
}

/// What tracks listen to.
#[derive(Default)]
pub struct Heard {
    pub audio: Vec<AudioIn>,
    /// Who hears MIDI.
    pub midi: Vec<Target>,
}

/// Finds what the tracks of some channels listen to; each channel comes with the
/// nodes that play its notes.
pub fn connect<'a>(
    source: &dyn Source,
    hardware: &Hardware,
    channels: impl Iterator<Item = (&'a Channel, &'a [NodeKey])>,
) -> Heard {
    let mut heard = Heard::default();
    for (channel, players) in channels {
        let track = channel.track.and_then(|track| source.get::<Track>(track.0));
        let Some(track) = track.filter(|track| track.frozen.is_none()) else { continue };
        let Some(auto) = listens(&track) else { continue };
        match &channel.input {
            ChannelInput::Audio { role, first_channel } => {
                let found = audio(source, hardware, *role, *first_channel);
                heard.audio.extend(found.map(|(first, stereo)| AudioIn {
                    channel: channel.id,
                    channels: channel.channels.clamp(1, 2),
                    strip: strip_key(channel),
                    auto,
                    first,
                    stereo,
                }));
            }
            ChannelInput::Midi { role, channel: of } => {
                let port = role.and_then(|role| hardware.roles.get(&role)).map(|it| it.0.clone());
                heard.midi.extend(players.iter().map(|node| Target {
                    port: port.clone(),
                    channel: *of,
                    node: *node,
                    auto,
                }));
            }
            ChannelInput::None | ChannelInput::Channel { .. } => {}
        }
    }
    heard
}

/// The channel of the device that fills a role, and whether the role is of two. A
/// role that another device fills is not heard; one that nothing fills is where
/// it was when it was filled last.
fn audio(
    source: &dyn Source,
    hardware: &Hardware,
    role: HardwareRoleId,
    offset: u16,
) -> Option<(u16, bool)> {
    let found = source.get::<HardwareRole>(role.0)?;
    let first = match hardware.roles.get(&role) {
        Some((device, first)) => (*device == hardware.device).then_some(*first)?,
        None => found.first_channel,
    };
    let stereo = offset + 1 < u16::from(found.channels);
    Some((first.saturating_add(offset), stereo))
}

/// A channel of the device that a track listens to.
pub struct AudioIn {
    channel: ChannelId,
    channels: u8,
    strip: NodeKey,
    auto: bool,
    first: u16,
    stereo: bool,
}

impl AudioIn {
    pub fn key(&self) -> NodeKey {
        NodeKey::new(self.channel, "heard")
    }

    pub fn params(&self) -> BTreeMap<String, f64> {
        let stereo = self.stereo && self.channels == 2;
        let params = [
            ("monitor", if self.auto { 1.0 } else { 2.0 }),
            ("first", f64::from(self.first)),
            ("width", f64::from(u8::from(stereo))),
        ];
        params.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Adds the input to the graph of a project that is played.
    pub fn add(&self, registry: &Registry, spec: &mut GraphSpec) {
        let dsp_version = registry.get(INPUT).map_or(1, |kind| kind.descriptor.dsp_version);
        spec.nodes.push(NodeSpec {
            key: self.key(),
            kind: INPUT.to_owned(),
            dsp_version,
            layout: BTreeMap::new(),
            channels: self.channels,
            cohort: Cohort::Live,
        });
        spec.edges.push(EdgeSpec {
            from: self.key(),
            from_port: 0,
            to: NodeKey::new(self.channel, "in"),
            to_port: Inlet::Port(0),
            kind: EdgeKind::Audio,
            feedback_frames: None,
            compensated: false,
            depth: Depth::FULL,
        });
        // Who plays along hears himself at once, whatever the other tracks wait for.
        for edge in spec.edges.iter_mut().filter(|edge| edge.from == self.strip) {
            edge.compensated = false;
        }
    }
}
