//! Routing: sends, side chains, the master, hardware roles, the whole graph.

use std::collections::{BTreeMap, BTreeSet};

use pulse_query::{
    routing::{RouteKind as Kind, Routing, routing},
    stored::Stored,
};
use pulse_schemas::{
    command::{
        routing::{
            AddSend, AddSidechain, Check, Checked, Command, CreateRole, DeleteRole, Graph,
            GraphReply, List, MoveSend, RemoveSend, RemoveSidechain, RoleCreated, RouteEdge,
            RouteKind, Routes, SendAdded, SetMaster, SidechainAdded, UpdateRole, UpdateSend,
            UpdateSidechain,
        },
        types::Patch,
    },
    entity::{
        Channel, ChannelKind, DspNode, HardwareDirection, HardwareRole, ModulationRoute, Send,
        SidechainRoute,
    },
    error::ErrorCode,
    id::{ChannelId, HardwareRoleId, SendId, SidechainRouteId},
};

use super::{
    channel::{check_route, neighbour},
    edit::{Edit, active_arrangement, done, place_before, reply, sort},
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::AddSend(payload) => add_send(edit, payload),
        Command::UpdateSend(payload) => update_send(edit, payload),
        Command::RemoveSend(payload) => remove_send(edit, payload),
        Command::MoveSend(payload) => move_send(edit, payload),
        Command::AddSidechain(payload) => add_sidechain(edit, payload),
        Command::UpdateSidechain(payload) => update_sidechain(edit, payload),
        Command::RemoveSidechain(payload) => remove_sidechain(edit, payload),
        Command::SetMaster(payload) => set_master(edit, payload),
        Command::CreateRole(payload) => create_role(edit, payload),
        Command::UpdateRole(payload) => update_role(edit, payload),
        Command::DeleteRole(payload) => delete_role(edit, payload),
        Command::Graph(_) | Command::Check(_) | Command::List(_) => {
            Err(super::not_here(command.spec()))
        }
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Graph(payload) => graph(session, payload),
        Command::Check(payload) => check(session, payload),
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn sends_of(edit: &mut Edit<'_, '_>, from: ChannelId) -> Result<Vec<Send>, Refusal> {
    let mut sends = edit.referring::<Send>(from)?;
    sends.retain(|send| send.from == from);
    Ok(sends)
}

fn add_send(edit: &mut Edit<'_, '_>, payload: &AddSend) -> Reply {
    let from: Channel = edit.get(payload.from)?;
    let to = neighbour(edit, payload.to, from.arrangement)?;
    check_route(edit, &from, to.id, payload.feedback)?;
    edit.label(format!("Send {} to {}", from.name, to.name));
    let mut siblings = sends_of(edit, from.id)?;
    let id = SendId(edit.id());
    edit.put(Send {
        id,
        from: from.id,
        to: to.id,
        order: place_before(&mut siblings, payload.before.map(|before| before.0)),
        gain_db: payload.gain_db.unwrap_or(0.0),
        pan: payload.pan.unwrap_or(0.0),
        tap: payload.tap,
        mode: payload.mode,
        mute: false,
        feedback: payload.feedback,
    })?;
    reply(SendAdded { send: id })
}

/// What a feedback delay is after an update.
fn patched(before: Option<u32>, patch: Patch<u32>) -> Option<u32> {
    let mut after = before;
    patch.apply(&mut after);
    after
}

fn update_send(edit: &mut Edit<'_, '_>, payload: &UpdateSend) -> Reply {
    let send: Send = edit.get(payload.send)?;
    let from: Channel = edit.get(send.from)?;
    let to = neighbour(edit, payload.to.unwrap_or(send.to), from.arrangement)?;
    let feedback = patched(send.feedback, payload.feedback);
    if to.id != send.to || feedback != send.feedback {
        check_route(edit, &from, to.id, feedback)?;
    }
    edit.label(format!("Change the send from {} to {}", from.name, to.name));
    edit.update::<Send>(send.id, |send| {
        send.gain_db = payload.gain_db.unwrap_or(send.gain_db);
        send.pan = payload.pan.unwrap_or(send.pan);
        send.tap = payload.tap.unwrap_or(send.tap);
        send.mute = payload.mute.unwrap_or(send.mute);
        send.to = to.id;
        send.feedback = feedback;
    })?;
    done()
}

fn remove_send(edit: &mut Edit<'_, '_>, payload: &RemoveSend) -> Reply {
    let send: Send = edit.get(payload.send)?;
    let (from, to): (Channel, Channel) = (edit.get(send.from)?, edit.get(send.to)?);
    edit.label(format!("Remove the send from {} to {}", from.name, to.name));
    reply(edit.delete([send.id])?)
}

fn move_send(edit: &mut Edit<'_, '_>, payload: &MoveSend) -> Reply {
    let send: Send = edit.get(payload.send)?;
    let mut siblings = sends_of(edit, send.from)?;
    siblings.retain(|sibling| sibling.id != send.id);
    let order = place_before(&mut siblings, payload.before.map(|before| before.0));
    edit.label("Move a send");
    edit.update::<Send>(send.id, |send| send.order = order)?;
    done()
}

/// A side input of a node; port 0 is the main one.
fn check_side_port(edit: &Edit<'_, '_>, node: &DspNode, port: u16) -> Result<(), Refusal> {
    let ports = edit.registry.get(&node.node_kind).map(|kind| kind.descriptor.inputs.len());
    if port > 0 && ports.is_none_or(|ports| usize::from(port) < ports) {
        return Ok(());
    }
    let text = format!("{} has no side input {port}", node.node_kind);
    Err(Refusal::new(ErrorCode::RoutingIncompatible, text).with("entity", node.id.to_string()))
}

fn add_sidechain(edit: &mut Edit<'_, '_>, payload: &AddSidechain) -> Reply {
    let from: Channel = edit.get(payload.from)?;
    let node: DspNode = edit.get(payload.to)?;
    let port = payload.port.unwrap_or(1);
    check_side_port(edit, &node, port)?;
    let to = neighbour(edit, node.channel, from.arrangement)?;
    check_route(edit, &from, to.id, payload.feedback)?;
    edit.label(format!("Side chain from {} to {}", from.name, to.name));
    let id = SidechainRouteId(edit.id());
    edit.put(SidechainRoute {
        id,
        from: from.id,
        tap: payload.tap,
        to: node.id,
        port,
        feedback: payload.feedback,
    })?;
    reply(SidechainAdded { route: id })
}

fn update_sidechain(edit: &mut Edit<'_, '_>, payload: &UpdateSidechain) -> Reply {
    let route: SidechainRoute = edit.get(payload.route)?;
    let from: Channel = edit.get(payload.from.unwrap_or(route.from))?;
    let node: DspNode = edit.get(route.to)?;
    let port = payload.port.unwrap_or(route.port);
    check_side_port(edit, &node, port)?;
    let feedback = patched(route.feedback, payload.feedback);
    let to = neighbour(edit, node.channel, from.arrangement)?;
    if from.id != route.from || feedback != route.feedback {
        check_route(edit, &from, to.id, feedback)?;
    }
    edit.label(format!("Change the side chain from {} to {}", from.name, to.name));
    edit.update::<SidechainRoute>(route.id, |route| {
        route.from = from.id;
        route.tap = payload.tap.unwrap_or(route.tap);
        route.port = port;
        route.feedback = feedback;
    })?;
    done()
}

fn remove_sidechain(edit: &mut Edit<'_, '_>, payload: &RemoveSidechain) -> Reply {
    let route: SidechainRoute = edit.get(payload.route)?;
    let from: Channel = edit.get(route.from)?;
    edit.label(format!("Remove the side chain from {}", from.name));
    reply(edit.delete([route.id])?)
}

fn set_master(edit: &mut Edit<'_, '_>, payload: &SetMaster) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    match channel.channel_kind {
        ChannelKind::Master => return done(),
        ChannelKind::Bus => {}
        kind => {
            let text =
                format!("{} is a {kind:?} channel; only a bus can be the master", channel.name);
            return Err(
                Refusal::new(ErrorCode::RoutingMaster, text).with("entity", channel.id.to_string())
            );
        }
    }
    edit.label(format!("Make {} the master", channel.name));
    // The new master goes nowhere before the old one feeds it: no loop on the way.
    edit.update::<Channel>(channel.id, |channel| {
        (channel.output, channel.output_feedback) = (None, None);
    })?;
    if let Some(old) = edit.master(channel.arrangement)? {
        check_route(edit, &old, channel.id, None)?;
        edit.update::<Channel>(old.id, |old| {
            old.channel_kind = ChannelKind::Bus;
            old.output = Some(channel.id);
        })?;
    }
    edit.update::<Channel>(channel.id, |channel| channel.channel_kind = ChannelKind::Master)?;
    done()
}

fn create_role(edit: &mut Edit<'_, '_>, payload: &CreateRole) -> Reply {
    let audio =
        matches!(payload.direction, HardwareDirection::AudioInput | HardwareDirection::AudioOutput);
    if audio != (payload.channels > 0) {
        let text = "an audio role has channels, a MIDI role has none";
        return Err(Refusal::range("payload.channels", text));
    }
    edit.label(format!("Create role {}", payload.name));
    let id = HardwareRoleId(edit.id());
    edit.put(HardwareRole {
        id,
        name: payload.name.clone(),
        direction: payload.direction,
        channels: payload.channels,
        ..HardwareRole::default()
    })?;
    reply(RoleCreated { role: id })
}

fn update_role(edit: &mut Edit<'_, '_>, payload: &UpdateRole) -> Reply {
    let role: HardwareRole = edit.get(payload.role)?;
    edit.label(format!("Change role {}", role.name));
    edit.update::<HardwareRole>(role.id, |role| {
        role.name = payload.name.clone().unwrap_or_else(|| role.name.clone());
        role.device = payload.device.clone().unwrap_or_else(|| role.device.clone());
        role.first_channel = payload.first_channel.unwrap_or(role.first_channel);
    })?;
    done()
}

fn delete_role(edit: &mut Edit<'_, '_>, payload: &DeleteRole) -> Reply {
    let role: HardwareRole = edit.get(payload.role)?;
    edit.label(format!("Delete role {}", role.name));
    reply(edit.delete([role.id])?)
}

fn graph(session: &Session, payload: &Graph) -> Reply {
    let view = session.view()?;
    let arrangement = match payload.arrangement {
        Some(arrangement) => arrangement,
        None => active_arrangement(&view)?,
    };
    let source = Stored::new(view.clone());
    let routing = routing(&source, arrangement);
    source.check()?;
    let mut edges = Vec::new();
    for route in &routing.routes {
        let sidechain = view.get::<SidechainRoute>(route.by).ok().flatten();
        edges.push(RouteEdge {
            from: route.from.any(),
            to: sidechain.map_or(route.to.any(), |sidechain| sidechain.to.any()),
            kind: kind(route.kind),
            id: Some(route.by).filter(|by| *by != route.from.any() && *by != route.to.any()),
            feedback: route.feedback,
        });
    }
    let known: BTreeSet<ChannelId> = routing.channels.iter().map(|channel| channel.id).collect();
    for modulation in view.all::<ModulationRoute>()? {
        let here = view.get::<DspNode>(modulation.from)?.map(|node| node.channel);
        let (Some(to), Some(channel)) = (modulation.to.target, here) else { continue };
        if known.contains(&channel) {
            edges.push(RouteEdge {
                from: modulation.from.any(),
                to,
                kind: RouteKind::Modulation,
                id: Some(modulation.id.any()),
                feedback: None,
            });
        }
    }
    let mut channels = routing.channels.clone();
    sort(&mut channels);
    let channels = channels.iter().map(|channel| channel.id).collect();
    reply(GraphReply { channels, edges, order: order(&routing) })
}

fn kind(kind: Kind) -> RouteKind {
    match kind {
        Kind::Output => RouteKind::Output,
        Kind::Input => RouteKind::Input,
        Kind::Send => RouteKind::Send,
        Kind::Sidechain => RouteKind::Sidechain,
    }
}

/// Channels so that each comes after all that feed it without a delay; ties by
/// id, so that the order is the same everywhere.
fn order(routing: &Routing) -> Vec<ChannelId> {
    let forward = routing.forward(|route| route.feedback.is_none());
    let mut feeders: BTreeMap<ChannelId, usize> =
        routing.channels.iter().map(|channel| (channel.id, 0)).collect();
    for to in forward.values().flatten() {
        *feeders.entry(*to).or_default() += 1;
    }
    let mut ready: BTreeSet<ChannelId> =
        feeders.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    let mut order = Vec::with_capacity(feeders.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for to in forward.get(&next).into_iter().flatten() {
            let left = feeders.entry(*to).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                ready.insert(*to);
            }
        }
    }
    order
}

fn check(session: &Session, payload: &Check) -> Reply {
    let view = session.view()?;
    let from: Channel = view.get(payload.from)?.ok_or_else(|| Refusal::not_found(payload.from))?;
    let to: Channel = view.get(payload.to)?.ok_or_else(|| Refusal::not_found(payload.to))?;
    let cycle = routing(&Stored::new(view), from.arrangement).would_loop(from.id, to.id);
    let legal = cycle.is_none() && from.arrangement == to.arrangement;
    reply(Checked { legal, cycle: cycle.map(|cycle| cycle.path).unwrap_or_default() })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let mut sends = view.all::<Send>()?;
    let mut sidechains = view.all::<SidechainRoute>()?;
    if let Some(channel) = payload.channel {
        view.get::<Channel>(channel)?.ok_or_else(|| Refusal::not_found(channel))?;
        let nodes: BTreeSet<_> =
            view.referring::<DspNode>(channel)?.iter().map(|node| node.id).collect();
        sends.retain(|send| send.from == channel || send.to == channel);
        sidechains.retain(|route| route.from == channel || nodes.contains(&route.to));
    }
    sort(&mut sends);
    reply(Routes { sends, sidechains, roles: view.all::<HardwareRole>()? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::commands::testing::Project;

    fn mixer() -> (Project, Value, Value) {
        let mut project = Project::new();
        let track = project.ok("track.create", json!({"name": "Snare"}));
        let hall = project.ok("channel.create", json!({"kind": "return", "name": "Hall"}));
        (project, track["channel"].clone(), hall["channel"].clone())
    }

    #[test]
    fn a_send_is_made_changed_moved_and_removed() {
        let (mut project, snare, hall) = mixer();
        let add = json!({"from": snare, "to": hall, "gainDb": -12, "tap": "preFader"});
        let first = project.ok("routing.addSend", add.clone())["send"].clone();
        let second = project.ok("routing.addSend", add)["send"].clone();
        project.ok("routing.updateSend", json!({"send": first, "gainDb": -9, "mute": true}));
        project.ok("routing.moveSend", json!({"send": second, "before": first}));
        let sends = project.ok("routing.list", json!({"channel": snare}))["sends"].clone();
        assert_eq!((&sends[0]["id"], &sends[1]["gainDb"]), (&second, &json!(-9.0)));
        project.ok("routing.removeSend", json!({"send": first}));
        project.refused("routing.removeSend", json!({"send": first}), "entity.notFound");
    }

    #[test]
    fn a_loop_needs_a_delay_and_keeps_it() {
        let (mut project, snare, hall) = mixer();
        project.ok("routing.addSend", json!({"from": snare, "to": hall}));
        let back = json!({"from": hall, "to": snare});
        let told = project.ok("routing.check", back.clone());
        assert_eq!((&told["legal"], &told["cycle"]), (&json!(false), &json!([snare, hall])));
        project.refused("routing.addSend", back, "routing.cycle");
        let delayed = json!({"from": hall, "to": snare, "feedback": 128});
        let send = project.ok("routing.addSend", delayed)["send"].clone();
        let without = json!({"send": send, "feedback": null});
        project.refused("routing.updateSend", without, "routing.cycle");
    }

    #[test]
    fn a_side_chain_ends_at_a_side_input() {
        let (mut project, snare, hall) = mixer();
        let add = |kind: &str| json!({"channel": hall, "kind": kind});
        let duck = project.ok("node.add", add("pulse.compressor"))["node"].clone();
        let verb = project.ok("node.add", add("pulse.reverb"))["node"].clone();
        let made = project.ok("routing.addSidechain", json!({"from": snare, "to": duck}));
        project.ok("routing.updateSidechain", json!({"route": made["route"], "tap": "preFader"}));
        let wrong = json!({"from": snare, "to": verb});
        project.refused("routing.addSidechain", wrong, "routing.incompatible");
        let own = json!({"from": hall, "to": duck});
        project.refused("routing.addSidechain", own, "routing.cycle");
        let graph = project.ok("routing.graph", json!({}));
        let edges = graph["edges"].as_array().unwrap();
        assert!(edges.iter().any(|it| it["kind"] == "sidechain" && it["to"] == duck), "{graph}");
        project.ok("routing.removeSidechain", json!({"route": made["route"]}));
    }

    #[test]
    fn the_order_of_the_graph_ends_with_the_master_whichever_that_is() {
        let (mut project, snare, hall) = mixer();
        let bus = project.ok("channel.create", json!({"kind": "bus", "name": "Sum"}));
        let bus = bus["channel"].clone();
        project.refused("routing.setMaster", json!({"channel": hall}), "routing.master");
        project.refused("routing.setMaster", json!({"channel": snare}), "routing.master");
        project.ok("routing.setMaster", json!({"channel": bus}));
        let graph = project.ok("routing.graph", json!({}));
        assert_eq!(graph["order"].as_array().unwrap().last(), Some(&bus));
        assert_eq!(graph["order"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn roles_have_channels_when_they_are_audio() {
        let mut project = Project::new();
        let role =
            |channels: u8| json!({"name": "Mic", "direction": "audioInput", "channels": channels});
        project.refused("routing.createRole", role(0), "range.invalid");
        let made = project.ok("routing.createRole", role(1))["role"].clone();
        project.ok("routing.updateRole", json!({"role": made, "device": "jack:system"}));
        let roles = project.ok("routing.list", json!({}))["roles"].clone();
        assert_eq!(roles[0]["device"], "jack:system");
        project.ok("routing.deleteRole", json!({"role": made}));
    }
}
