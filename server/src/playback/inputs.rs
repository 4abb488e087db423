//! What is played and sung right now, on its way into the tracks that listen.
//!
//! A track listens while its monitor is on, or while it is armed and the monitor
//! is left to itself; then it is heard while the song stands or is recorded. Audio
//! comes in through a node of its own, which no render has; notes go from their
//! ports straight to the nodes that play the track.

use std::collections::BTreeMap;

use pulse_engine::{device::midir::Target, material::Slices, registry::Registry};
use pulse_query::{
    chain::{chain, strip_key},
    routing::Routing,
    source::{Source, SourceExt},
};
use pulse_schemas::{
    entity::{Channel, ChannelInput, HardwareRole, Monitor, Track},
    graph::{Cohort, Depth, EdgeKind, EdgeSpec, GraphSpec, Inlet, NodeKey, NodeSpec},
    id::HardwareRoleId,
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

/// Adds inputs to the graph of a project that is played, and tells who hears MIDI.
pub fn connect(
    source: &dyn Source,
    registry: &Registry,
    routing: &Routing,
    hardware: &Hardware,
    spec: &mut GraphSpec,
    slices: &mut Slices,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for channel in &routing.channels {
        let track = channel.track.and_then(|track| source.get::<Track>(track.0));
        let Some(track) = track.filter(|track| track.frozen.is_none()) else { continue };
        let Some(auto) = listens(&track) else { continue };
        match &channel.input {
            ChannelInput::Audio { role, first_channel } => {
                if let Some((first, stereo)) = audio(source, hardware, *role, *first_channel) {
                    add(registry, channel, auto, first, stereo, spec, slices);
                }
            }
            ChannelInput::Midi { role, channel: of } => {
                let port = role.and_then(|role| hardware.roles.get(&role)).map(|it| it.0.clone());
                let players = chain(source, registry, channel).players;
                targets.extend(players.into_iter().map(|node| Target {
                    port: port.clone(),
                    channel: *of,
                    node,
                    auto,
                }));
            }
            ChannelInput::None | ChannelInput::Channel { .. } => {}
        }
    }
    targets
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

fn add(
    registry: &Registry,
    channel: &Channel,
    auto: bool,
    first: u16,
    stereo: bool,
    spec: &mut GraphSpec,
    slices: &mut Slices,
) {
    let key = NodeKey::new(channel.id, "heard");
    let dsp_version = registry.get(INPUT).map_or(1, |kind| kind.descriptor.dsp_version);
    let channels = channel.channels.clamp(1, 2);
    spec.nodes.push(NodeSpec {
        key,
        kind: INPUT.to_owned(),
        dsp_version,
        layout: BTreeMap::new(),
        channels,
        cohort: Cohort::Live,
    });
    spec.edges.push(EdgeSpec {
        from: key,
        from_port: 0,
        to: NodeKey::new(channel.id, "in"),
        to_port: Inlet::Port(0),
        kind: EdgeKind::Audio,
        feedback_frames: None,
        compensated: false,
        depth: Depth::FULL,
    });
    // Who plays along hears himself at once, whatever the other tracks wait for.
    let strip = strip_key(channel);
    for edge in spec.edges.iter_mut().filter(|edge| edge.from == strip) {
        edge.compensated = false;
    }
    let stereo = stereo && channels == 2;
    slices.params.set(key, "monitor", if auto { 1.0 } else { 2.0 });
    slices.params.set(key, "first", f64::from(first));
    slices.params.set(key, "width", f64::from(u8::from(stereo)));
}
