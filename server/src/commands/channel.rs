//! Channels: made, placed, mixed, routed.

use pulse_query::{
    routing::{RoutingCycle, routing},
    stored::Stored,
};
use pulse_schemas::{
    command::{
        channel::{
            Channels, Command, Create, Created, Delete, Duplicate, List, Move, Rename, ResetGraph,
            SetGain, SetInput, SetLayout, SetMute, SetOutput, SetPan, SetPolarity,
        },
        types::{Copied, Deleted},
    },
    entity::{
        Channel, ChannelInput, ChannelKind, Connection, HardwareDirection, HardwareRole,
        ParameterRef,
    },
    error::ErrorCode,
    id::{ArrangementId, ChannelId},
};

use super::{
    edit::{Copier, Edit, active_arrangement, done, numbered, place_before, reply, sort},
    node,
    parameter::put_value,
    target::shown,
    track,
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

/// Frames of delay that make a loop legal: the engine runs a loop in chunks no
/// longer than this, so very short ones would cost everything.
pub const FEEDBACK: std::ops::RangeInclusive<u32> = 64..=192_000;

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Rename(payload) => rename(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::SetGain(payload) => set_gain(edit, payload),
        Command::SetPan(payload) => set_pan(edit, payload),
        Command::SetMute(payload) => set_mute(edit, payload),
        Command::SetPolarity(payload) => set_polarity(edit, payload),
        Command::SetInput(payload) => set_input(edit, payload),
        Command::SetOutput(payload) => set_output(edit, payload),
        Command::SetLayout(payload) => set_layout(edit, payload),
        Command::ResetGraph(payload) => reset_graph(edit, payload),
        Command::List(_) => Err(super::not_here(command.spec())),
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let arrangement = edit.arrangement(payload.arrangement)?;
    let mut siblings = edit.referring::<Channel>(arrangement)?;
    let stem = if payload.kind == ChannelKind::Return { "Return" } else { "Bus" };
    let same = siblings.iter().filter(|channel| channel.channel_kind == payload.kind);
    let name =
        payload.name.clone().unwrap_or_else(|| numbered(stem, same.map(|it| it.name.as_str())));
    edit.label(format!("Create {} {name}", stem.to_lowercase()));
    let output = match payload.output {
        Some(output) => Some(neighbour(edit, output, arrangement)?.id),
        None => edit.master(arrangement)?.map(|master| master.id),
    };
    let id = ChannelId(edit.id());
    edit.put(Channel {
        id,
        arrangement,
        channel_kind: payload.kind,
        order: place_before(&mut siblings, payload.before.map(|before| before.0)),
        name,
        width: 1.0,
        output,
        channels: payload.channels.unwrap_or(2),
        pan_law: edit.pan_law,
        ..Channel::default()
    })?;
    let nodes = payload
        .nodes
        .iter()
        .map(|kind| node::append(edit, id, kind))
        .collect::<Result<_, Refusal>>()?;
    if let Some(colour) = &payload.colour {
        track::set_colour(edit, id.any(), colour)?;
    }
    reply(Created { channel: id, nodes })
}

/// A channel that one of `arrangement` can be joined with.
pub fn neighbour(
    edit: &mut Edit<'_, '_>,
    id: ChannelId,
    arrangement: ArrangementId,
) -> Result<Channel, Refusal> {
    let channel: Channel = edit.get(id)?;
    if channel.arrangement == arrangement {
        return Ok(channel);
    }
    let text = format!("{} belongs to another arrangement", channel.name);
    Err(Refusal::new(ErrorCode::RoutingIncompatible, text).with("entity", id.to_string()))
}

/// Refuses a route without a delay of its own that would close a loop.
pub fn check_route(
    edit: &mut Edit<'_, '_>,
    from: &Channel,
    to: ChannelId,
    feedback: Option<u32>,
) -> Result<(), Refusal> {
    if let Some(frames) = feedback {
        return check_feedback(frames);
    }
    let source = Stored::new(edit.view()?);
    let routing = routing(&source, from.arrangement);
    source.check()?;
    routing.would_loop(from.id, to).map_or(Ok(()), |cycle| Err(loops(&cycle)))
}

pub fn check_feedback(frames: u32) -> Result<(), Refusal> {
    if FEEDBACK.contains(&frames) {
        return Ok(());
    }
    let (first, last) = (FEEDBACK.start(), FEEDBACK.end());
    let text = format!("a feedback delay is {first} to {last} frames, not {frames}");
    Err(Refusal::range("payload.feedback", text))
}

fn loops(cycle: &RoutingCycle) -> Refusal {
    let path: Vec<String> = cycle.path.iter().map(ChannelId::to_string).collect();
    Refusal::new(ErrorCode::RoutingCycle, cycle.to_string())
        .with("path", path)
        .with("names", cycle.names.clone())
}

fn is_master(channel: &Channel, what: &str) -> Result<(), Refusal> {
    if channel.channel_kind != ChannelKind::Master {
        return Ok(());
    }
    let text = format!("{} is the master and can't be {what}", channel.name);
    Err(Refusal::new(ErrorCode::RoutingMaster, text).with("entity", channel.id.to_string()))
}

/// Only buses and returns stand by themselves.
fn require_own(channel: &Channel, what: &str) -> Result<(), Refusal> {
    is_master(channel, what)?;
    let Some(track) = channel.track else { return Ok(()) };
    let text = format!("{} is the channel of a track and is {what} with it", channel.name);
    Err(Refusal::new(ErrorCode::EntityInUse, text).with("users", vec![track.to_string()]))
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    require_own(&channel, "deleted")?;
    edit.label(format!("Delete {}", channel.name));
    if let Some(reroute) = payload.reroute {
        let to = neighbour(edit, reroute, channel.arrangement)?;
        for feeder in feeders(edit, channel.id)? {
            check_route(edit, &feeder, to.id, feeder.output_feedback)?;
            edit.update::<Channel>(feeder.id, |feeder| feeder.output = Some(to.id))?;
        }
    }
    reply(edit.delete([channel.id])?)
}

fn feeders(edit: &mut Edit<'_, '_>, to: ChannelId) -> Result<Vec<Channel>, Refusal> {
    let mut feeders = edit.referring::<Channel>(to)?;
    feeders.retain(|feeder| feeder.output == Some(to));
    Ok(feeders)
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    require_own(&channel, "copied")?;
    edit.label(format!("Duplicate {}", channel.name));
    let originals = track::belongings(&edit.view()?, channel.id.any(), true)?;
    let copier = Copier::copy(edit, &originals, |_, _| true)?;
    if let Some(copy) = copier.of(channel.id) {
        let mut siblings = edit.referring::<Channel>(channel.arrangement)?;
        siblings.retain(|sibling| sibling.id.any() != copy);
        sort(&mut siblings);
        let at = siblings.iter().position(|sibling| sibling.id == channel.id);
        let next = at.and_then(|at| siblings.get(at + 1)).map(|next| next.id.0);
        let order = place_before(&mut siblings, next);
        let name = format!("{} copy", channel.name);
        edit.update::<Channel>(copy, |copy| (copy.order, copy.name) = (order, name))?;
    }
    reply(Copied { copies: copier.copies })
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Rename {} to {}", channel.name, payload.name));
    edit.update::<Channel>(channel.id, |channel| channel.name = payload.name.clone())?;
    done()
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Move {}", channel.name));
    let mut siblings = edit.referring::<Channel>(channel.arrangement)?;
    siblings.retain(|sibling| sibling.id != channel.id);
    let order = place_before(&mut siblings, payload.before.map(|before| before.0));
    edit.update::<Channel>(channel.id, |channel| channel.order = order)?;
    done()
}

fn set_gain(edit: &mut Edit<'_, '_>, payload: &SetGain) -> Reply {
    let target = edit.target(payload.channel.any())?;
    let text = shown(target.desc("gainDb")?, payload.gain_db);
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Gain of {} to {text}", channel.name));
    put(edit, channel.id, "gainDb", payload.gain_db)?;
    done()
}

fn set_pan(edit: &mut Edit<'_, '_>, payload: &SetPan) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Pan of {}", channel.name));
    for (name, value) in [("pan", payload.pan), ("width", payload.width)] {
        value.map_or(Ok(()), |value| put(edit, channel.id, name, value))?;
    }
    if let Some(law) = payload.law {
        edit.update::<Channel>(channel.id, |channel| channel.pan_law = law)?;
    }
    done()
}

/// Moves a fader as any parameter is moved, with its groups.
fn put(edit: &mut Edit<'_, '_>, id: ChannelId, name: &str, value: f64) -> Result<(), Refusal> {
    let parameter = ParameterRef { target: Some(id.any()), parameter: name.to_owned() };
    put_value(edit, &parameter, value).map(drop)
}

fn set_mute(edit: &mut Edit<'_, '_>, payload: &SetMute) -> Reply {
    let verb = if payload.mute { "Mute" } else { "Unmute" };
    let label = match payload.channels.as_slice() {
        [one] => format!("{verb} {}", edit.get::<Channel>(*one)?.name),
        several => format!("{verb} {} channels", several.len()),
    };
    edit.label(label);
    for id in &payload.channels {
        edit.update::<Channel>(*id, |channel| channel.mute = payload.mute)?;
    }
    done()
}

fn set_polarity(edit: &mut Edit<'_, '_>, payload: &SetPolarity) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Polarity of {}", channel.name));
    edit.update::<Channel>(channel.id, |channel| {
        channel.invert_left = payload.invert_left.unwrap_or(channel.invert_left);
        channel.invert_right = payload.invert_right.unwrap_or(channel.invert_right);
    })?;
    done()
}

fn set_input(edit: &mut Edit<'_, '_>, payload: &SetInput) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    match payload.input {
        ChannelInput::None => {}
        ChannelInput::Audio { role, first_channel } => {
            let role: HardwareRole = edit.get(role)?;
            require_direction(&role, HardwareDirection::AudioInput)?;
            if first_channel >= u16::from(role.channels.max(1)) {
                let text = format!("{} has {} channels", role.name, role.channels);
                return Err(Refusal::range("payload.input.audio.firstChannel", text));
            }
        }
        ChannelInput::Midi { role, channel } => {
            if let Some(role) = role {
                require_direction(&edit.get(role)?, HardwareDirection::MidiInput)?;
            }
            if channel.is_some_and(|channel| channel > 15) {
                let text = "MIDI channels go from 0 to 15";
                return Err(Refusal::range("payload.input.midi.channel", text));
            }
        }
        ChannelInput::Channel { source, .. } => {
            let source = neighbour(edit, source, channel.arrangement)?;
            check_route(edit, &source, channel.id, None)?;
        }
    }
    edit.label(format!("Input of {}", channel.name));
    edit.update::<Channel>(channel.id, |channel| channel.input = payload.input.clone())?;
    done()
}

fn require_direction(role: &HardwareRole, direction: HardwareDirection) -> Result<(), Refusal> {
    if role.direction == direction {
        return Ok(());
    }
    let text = format!("{} is no {direction:?}", role.name);
    Err(Refusal::new(ErrorCode::RoutingIncompatible, text).with("entity", role.id.to_string()))
}

fn set_output(edit: &mut Edit<'_, '_>, payload: &SetOutput) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    is_master(&channel, "routed to another channel")?;
    let output = match payload.output {
        Some(output) => Some(neighbour(edit, output, channel.arrangement)?),
        None => None,
    };
    if let Some(output) = &output {
        check_route(edit, &channel, output.id, payload.feedback)?;
    }
    let place = output.as_ref().map_or("nowhere", |output| output.name.as_str());
    edit.label(format!("Route {} to {place}", channel.name));
    edit.update::<Channel>(channel.id, |channel| {
        channel.output = output.as_ref().map(|output| output.id);
        channel.output_feedback = payload.feedback.filter(|_| output.is_some());
    })?;
    done()
}

fn set_layout(edit: &mut Edit<'_, '_>, payload: &SetLayout) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    let layout = if payload.channels == 1 { "mono" } else { "stereo" };
    edit.label(format!("Make {} {layout}", channel.name));
    edit.update::<Channel>(channel.id, |channel| channel.channels = payload.channels)?;
    done()
}

fn reset_graph(edit: &mut Edit<'_, '_>, payload: &ResetGraph) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    edit.label(format!("Remove the wires of {}", channel.name));
    let wires = edit.referring::<Connection>(channel.id)?;
    let deleted: Deleted = edit.delete(wires.iter().map(|wire| wire.id))?;
    reply(deleted)
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let arrangement = match payload.arrangement {
        Some(arrangement) => arrangement,
        None => active_arrangement(&view)?,
    };
    let mut channels = view.referring::<Channel>(arrangement)?;
    sort(&mut channels);
    reply(Channels { channels })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::commands::testing::{Project, id};

    fn bus(project: &mut Project, name: &str) -> Value {
        project.ok("channel.create", json!({"kind": "bus", "name": name}))["channel"].clone()
    }

    #[test]
    fn a_bus_feeds_the_master_and_has_the_nodes_it_was_asked_for() {
        let mut project = Project::new();
        let made =
            project.ok("channel.create", json!({"kind": "return", "nodes": ["pulse.reverb"]}));
        assert_eq!(made["nodes"].as_array().unwrap().len(), 1);
        let channels = project.ok("channel.list", json!({}))["channels"].clone();
        let (master, hall) = (&channels[0], &channels[1]);
        assert_eq!((&hall["name"], &hall["output"]), (&json!("Return 1"), &master["id"]));
        project.refused(
            "channel.create",
            json!({"kind": "bus", "nodes": ["no.such"]}),
            "node.unknownKind",
        );
    }

    #[test]
    fn a_loop_is_refused_with_the_names_on_its_way_and_legal_with_a_delay() {
        let mut project = Project::new();
        let (a, b) = (bus(&mut project, "A"), bus(&mut project, "B"));
        project.ok("channel.setOutput", json!({"channel": a, "output": b}));
        let error = project.refused(
            "channel.setOutput",
            json!({"channel": b, "output": a}),
            "routing.cycle",
        );
        assert!(error.message.contains("B → A") || error.message.contains("A → B"), "{error:?}");
        assert_eq!(error.details["path"].as_array().unwrap().len(), 2);
        let short = json!({"channel": b, "output": a, "feedback": 3});
        project.refused("channel.setOutput", short, "range.invalid");
        project.ok("channel.setOutput", json!({"channel": b, "output": a, "feedback": 64}));
    }

    #[test]
    fn the_master_stays_and_a_track_keeps_its_channel() {
        let mut project = Project::new();
        let track = project.ok("track.create", json!({"name": "Bass"}));
        let master = project.ok("channel.list", json!({}))["channels"][0]["id"].clone();
        project.refused("channel.delete", json!({"channel": master}), "routing.master");
        let output = json!({"channel": master, "output": track["channel"]});
        project.refused("channel.setOutput", output, "routing.master");
        project.refused("channel.delete", json!({"channel": track["channel"]}), "entity.inUse");
    }

    #[test]
    fn feeders_of_a_deleted_bus_go_where_they_are_sent() {
        let mut project = Project::new();
        let (a, b) = (bus(&mut project, "A"), bus(&mut project, "B"));
        let track = project.ok("track.create", json!({"output": a}));
        let sent = project.ok("routing.addSend", json!({"from": track["channel"], "to": a}));
        let gone = project.ok("channel.delete", json!({"channel": a, "reroute": b}));
        assert!(gone["deleted"].as_array().unwrap().contains(&sent["send"]), "{gone}");
        let channels = project.ok("channel.list", json!({}))["channels"].clone();
        let found = channels.as_array().unwrap().iter().find(|it| it["id"] == track["channel"]);
        assert_eq!(found.unwrap()["output"], b);
    }

    #[test]
    fn a_copy_of_a_bus_stands_beside_it_with_its_nodes() {
        let mut project = Project::new();
        let made = project.ok("channel.create", json!({"kind": "bus", "nodes": ["pulse.eq"]}));
        bus(&mut project, "Last");
        let copied = project.ok("channel.duplicate", json!({"channel": made["channel"]}));
        assert_eq!(copied["copies"].as_array().unwrap().len(), 2);
        let channels = project.ok("channel.list", json!({}))["channels"].clone();
        let names: Vec<&str> =
            channels.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Master", "Bus 1", "Bus 1 copy", "Last"]);
    }

    #[test]
    fn the_strip_takes_what_lies_in_range() {
        let mut project = Project::new();
        let channel = bus(&mut project, "A");
        project.ok("channel.setGain", json!({"channel": channel, "gainDb": -6}));
        project.ok("channel.setPan", json!({"channel": channel, "pan": -0.5, "width": 0}));
        project.ok("channel.setMute", json!({"channels": [channel], "mute": true}));
        project.ok("channel.setPolarity", json!({"channel": channel, "invertLeft": true}));
        project.ok("channel.setLayout", json!({"channel": channel, "channels": 1}));
        let found = project.ok("channel.list", json!({}))["channels"][1].clone();
        assert_eq!(
            (&found["gainDb"], &found["pan"], &found["mute"], &found["channels"]),
            (&json!(-6.0), &json!(-0.5), &json!(true), &json!(1))
        );
        let nobody = json!({"channels": [id("chn", 9)], "mute": true});
        project.refused("channel.setMute", nobody, "entity.notFound");
    }

    #[test]
    fn a_channel_hears_roles_of_the_right_direction_and_never_itself() {
        let mut project = Project::new();
        let channel = bus(&mut project, "A");
        let role = json!({"name": "Mic", "direction": "audioInput", "channels": 1});
        let role = project.ok("routing.createRole", role)["role"].clone();
        let input = |input: Value| json!({"channel": channel, "input": input});
        project.ok("channel.setInput", input(json!({"audio": {"role": role, "firstChannel": 0}})));
        let midi = input(json!({"midi": {"role": role, "channel": null}}));
        project.refused("channel.setInput", midi, "routing.incompatible");
        let itself = input(json!({"channel": {"source": channel, "tap": "preFader"}}));
        project.refused("channel.setInput", itself, "routing.cycle");
    }
}
