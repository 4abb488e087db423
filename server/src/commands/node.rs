//! Nodes: the processors of a channel, stacks of alternatives, wires.

use std::collections::{BTreeMap, BTreeSet};

use pulse_engine::{
    node::{Channels, Descriptor, Determinism, NodeKind, Port, Setup},
    registry::Registry,
};
use pulse_schemas::{
    command::{
        node::{
            Add, Added, Command, Connect, Connected, CreateStack, DeleteStack, Describe, Described,
            Disconnect, Duplicate, KindList, Kinds, List, Move, NodeKindInfo, Nodes, PortInfo,
            Remove, Rename, Replace, Replaced, Reset, SetActive, SetBypass, SetKit, StackCreated,
            UpdateStack,
        },
        types::Copied,
    },
    entity::{
        AnyEntity, Channel, Connection, DspNode, Kit, NodeStack, PortRef, Project, StackAlternative,
    },
    error::ErrorCode,
    id::{ChannelId, ConnectionId, EntityId, NodeId, NodeStackId},
    order::OrderKey,
};

use super::{
    channel::check_feedback,
    edit::{Copier, Edit, Ordered, done, place_before, reply, sort},
    target::{Target, in_range, info},
};
use crate::{
    refusal::{Refusal, Reply},
    session::Session,
};

/// Kinds that the engine puts into every graph by itself: a channel's input and
/// its lanes. As a node of a channel they would do nothing.
const INTERNAL: &[&str] = &["pulse.lane", "pulse.sum"];
const UTILITIES: &[&str] = &["pulse.loudness", "pulse.meter", "pulse.strip"];

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Add(payload) => add(edit, payload),
        Command::Remove(payload) => remove(edit, payload),
        Command::Move(payload) => relocate(edit, payload),
        Command::Duplicate(payload) => duplicate(edit, payload),
        Command::Rename(payload) => rename(edit, payload),
        Command::SetBypass(payload) => set_bypass(edit, payload),
        Command::Replace(payload) => replace(edit, payload),
        Command::SetKit(payload) => set_kit(edit, payload),
        Command::Reset(payload) => reset(edit, payload),
        Command::CreateStack(payload) => create_stack(edit, payload),
        Command::DeleteStack(payload) => delete_stack(edit, payload),
        Command::UpdateStack(payload) => update_stack(edit, payload),
        Command::SetActive(payload) => set_active(edit, payload),
        Command::Connect(payload) => connect(edit, payload),
        Command::Disconnect(payload) => disconnect(edit, payload),
        Command::Kinds(_) | Command::Describe(_) | Command::List(_) => {
            Err(super::not_here(command.spec()))
        }
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Kinds(payload) => kinds(session, payload),
        Command::Describe(payload) => describe(session, payload),
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// What has a place in a chain: a node that stands by itself, or a stack.
struct Slot {
    id: EntityId,
    order: OrderKey,
}

impl Ordered for Slot {
    fn place(&self) -> (&OrderKey, EntityId) {
        (&self.order, self.id)
    }
}

fn known(registry: &Registry, kind: &str) -> Result<&'static Descriptor, Refusal> {
    match registry.get(kind).filter(|_| !INTERNAL.contains(&kind)) {
        Some(found) => Ok(found.descriptor),
        None => {
            let text = format!("this Pulse has no node of the kind `{kind}`");
            Err(Refusal::new(ErrorCode::NodeUnknownKind, text).with("kind", kind))
        }
    }
}

/// Nodes and stacks of a channel in order, without the nodes inside stacks and
/// without `moving`.
fn slots(
    edit: &mut Edit<'_, '_>,
    channel: ChannelId,
    moving: Option<NodeId>,
) -> Result<Vec<Slot>, Refusal> {
    let stacks = edit.referring::<NodeStack>(channel)?;
    let stacked: BTreeSet<NodeId> = stacks.iter().flat_map(members).collect();
    let nodes = edit.referring::<DspNode>(channel)?;
    let alone = nodes
        .into_iter()
        .filter(|node| !stacked.contains(&node.id) && Some(node.id) != moving)
        .map(|node| Slot { id: node.id.0, order: node.order });
    let stacks = stacks.iter().map(|stack| Slot { id: stack.id.0, order: stack.order.clone() });
    Ok(alone.chain(stacks).collect())
}

fn members(stack: &NodeStack) -> impl Iterator<Item = NodeId> + '_ {
    stack.alternatives.iter().flat_map(|alternative| alternative.nodes.iter().copied())
}

/// The place before a node of the channel; of a node in a stack, before the stack.
fn place(
    edit: &mut Edit<'_, '_>,
    channel: ChannelId,
    before: Option<NodeId>,
    moving: Option<NodeId>,
) -> Result<OrderKey, Refusal> {
    let mut slots = slots(edit, channel, moving)?;
    let Some(before) = before else { return Ok(place_before(&mut slots, None)) };
    let node: DspNode = edit.get(before)?;
    if node.channel != channel {
        let text = format!("{before} is a node of another channel");
        return Err(Refusal::new(ErrorCode::EntityInvalid, text).with("path", "before"));
    }
    let stacks = edit.referring::<NodeStack>(channel)?;
    let stack = stacks.iter().find(|stack| members(stack).any(|member| member == before));
    let before = stack.map_or(before.0, |stack| stack.id.0);
    Ok(place_before(&mut slots, Some(before)))
}

/// Puts a processor with its defaults at the end of a channel's chain.
pub fn append(edit: &mut Edit<'_, '_>, channel: ChannelId, kind: &str) -> Result<NodeId, Refusal> {
    known(edit.registry, kind)?;
    let order = place(edit, channel, None, None)?;
    let id = NodeId(edit.id());
    edit.put(DspNode {
        id,
        channel,
        order,
        node_kind: kind.to_owned(),
        node_version: edit.registry.version(kind),
        ..DspNode::default()
    })?;
    Ok(id)
}

fn add(edit: &mut Edit<'_, '_>, payload: &Add) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    let descriptor = known(edit.registry, &payload.kind)?;
    edit.label(format!("Add {} to {}", descriptor.name, channel.name));
    let order = place(edit, channel.id, payload.before, None)?;
    if let Some(kit) = payload.kit {
        edit.get::<Kit>(kit)?;
    }
    let node = DspNode {
        id: NodeId(edit.id()),
        channel: channel.id,
        order,
        name: payload.name.clone().unwrap_or_default(),
        node_kind: payload.kind.clone(),
        node_version: edit.registry.version(&payload.kind),
        bypass: payload.bypass,
        kit: payload.kit,
        ..DspNode::default()
    };
    let mut target = Target::of(node.clone().into(), edit.registry)?;
    for (name, value) in &payload.params {
        let value = target.checked(name, *value)?;
        target.set(name, Some(value))?;
    }
    edit.put(target.entity)?;
    reply(Added { node: node.id })
}

/// Takes nodes out of the stacks that hold them.
fn unstack(edit: &mut Edit<'_, '_>, channel: ChannelId, nodes: &[NodeId]) -> Result<(), Refusal> {
    for stack in edit.referring::<NodeStack>(channel)? {
        if members(&stack).any(|member| nodes.contains(&member)) {
            edit.update::<NodeStack>(stack.id, |stack| {
                for alternative in &mut stack.alternatives {
                    alternative.nodes.retain(|node| !nodes.contains(node));
                }
            })?;
        }
    }
    Ok(())
}

fn title(edit: &Edit<'_, '_>, node: &DspNode) -> String {
    if !node.name.is_empty() {
        return node.name.clone();
    }
    let known = edit.registry.get(&node.node_kind);
    known.map_or_else(|| node.node_kind.clone(), |kind| kind.descriptor.name.to_owned())
}

/// `Equaliser`, or `3 nodes`.
fn titles(edit: &mut Edit<'_, '_>, nodes: &[NodeId]) -> Result<String, Refusal> {
    match nodes {
        [one] => {
            let node = edit.get(*one)?;
            Ok(title(edit, &node))
        }
        several => Ok(format!("{} nodes", several.len())),
    }
}

fn remove(edit: &mut Edit<'_, '_>, payload: &Remove) -> Reply {
    let what = titles(edit, &payload.nodes)?;
    edit.label(format!("Remove {what}"));
    for id in &payload.nodes {
        let node: DspNode = edit.get(*id)?;
        unstack(edit, node.channel, &[*id])?;
    }
    reply(edit.delete(payload.nodes.iter().copied())?)
}

fn relocate(edit: &mut Edit<'_, '_>, payload: &Move) -> Reply {
    let node: DspNode = edit.get(payload.node)?;
    if payload.before == Some(node.id) {
        return done();
    }
    let what = title(edit, &node);
    edit.label(format!("Move {what}"));
    let channel = match payload.channel {
        Some(channel) => edit.get::<Channel>(channel)?.id,
        None => node.channel,
    };
    unstack(edit, node.channel, &[node.id])?;
    let order = place(edit, channel, payload.before, Some(node.id))?;
    if channel != node.channel {
        // A wire runs inside one channel.
        let mut wires = edit.referring::<Connection>(node.id)?;
        wires.retain(|wire| wire.channel == node.channel);
        edit.delete(wires.iter().map(|wire| wire.id))?;
    }
    edit.update::<DspNode>(node.id, |node| (node.channel, node.order) = (channel, order))?;
    done()
}

fn duplicate(edit: &mut Edit<'_, '_>, payload: &Duplicate) -> Reply {
    let what = titles(edit, &payload.nodes)?;
    edit.label(format!("Duplicate {what}"));
    let mut originals: Vec<DspNode> = Vec::new();
    for id in &payload.nodes {
        let node: DspNode = edit.get(*id)?;
        if originals.iter().all(|other| other.id != node.id) {
            originals.push(node);
        }
    }
    let entities: Vec<AnyEntity> = originals.iter().cloned().map(AnyEntity::from).collect();
    let copier = Copier::copy(edit, &entities, |_, _| true)?;
    for node in &originals {
        let Some(copy) = copier.of(node.id) else { continue };
        let copy = NodeId(copy.id);
        let channel = match payload.channel {
            Some(channel) => edit.get::<Channel>(channel)?.id,
            None => node.channel,
        };
        let next = if channel == node.channel { follower(edit, node, copy)? } else { None };
        let mut slots = slots(edit, channel, Some(copy))?;
        let order = place_before(&mut slots, next);
        edit.update::<DspNode>(copy, |node| (node.channel, node.order) = (channel, order))?;
    }
    reply(Copied { copies: copier.copies })
}

/// What comes after a node in its channel, without `copy`.
fn follower(
    edit: &mut Edit<'_, '_>,
    node: &DspNode,
    copy: NodeId,
) -> Result<Option<EntityId>, Refusal> {
    let mut slots = slots(edit, node.channel, Some(copy))?;
    sort(&mut slots);
    let at = slots.iter().position(|slot| slot.id == node.id.0);
    Ok(at.and_then(|at| slots.get(at + 1)).map(|slot| slot.id))
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let node: DspNode = edit.get(payload.node)?;
    let before = title(edit, &node);
    edit.label(format!("Rename {before} to {}", payload.name));
    edit.update::<DspNode>(node.id, |node| node.name = payload.name.clone())?;
    done()
}

fn set_bypass(edit: &mut Edit<'_, '_>, payload: &SetBypass) -> Reply {
    let what = titles(edit, &payload.nodes)?;
    edit.label(format!("{} {what}", if payload.bypass { "Bypass" } else { "Engage" }));
    for id in &payload.nodes {
        edit.update::<DspNode>(*id, |node| node.bypass = payload.bypass)?;
    }
    done()
}

fn replace(edit: &mut Edit<'_, '_>, payload: &Replace) -> Reply {
    let node: DspNode = edit.get(payload.node)?;
    let descriptor = known(edit.registry, &payload.kind)?;
    let what = title(edit, &node);
    edit.label(format!("Replace {what} by {}", descriptor.name));
    let mut kept = BTreeMap::new();
    let mut dropped = Vec::new();
    for (name, value) in &node.params {
        match descriptor.params.iter().find(|param| param.id == name) {
            Some(param) => drop(kept.insert(name.clone(), param.clamp(*value))),
            None => dropped.push(name.clone()),
        }
    }
    let version = edit.registry.version(&payload.kind);
    edit.update::<DspNode>(node.id, |node| {
        node.node_kind = payload.kind.clone();
        node.node_version = version;
        node.params = kept;
        // What the old kind wrote means nothing to the new one.
        node.state = None;
    })?;
    reply(Replaced { dropped })
}

fn set_kit(edit: &mut Edit<'_, '_>, payload: &SetKit) -> Reply {
    let node: DspNode = edit.get(payload.node)?;
    let kit = match payload.kit {
        Some(kit) => edit.get::<Kit>(kit)?.name,
        None => "none".into(),
    };
    let what = title(edit, &node);
    edit.label(format!("Kit of {what}: {kit}"));
    edit.update::<DspNode>(node.id, |node| node.kit = payload.kit)?;
    done()
}

fn reset(edit: &mut Edit<'_, '_>, payload: &Reset) -> Reply {
    let node: DspNode = edit.get(payload.node)?;
    let what = title(edit, &node);
    edit.label(format!("Reset {what}"));
    edit.update::<DspNode>(node.id, |node| {
        node.params.clear();
        node.state = None;
    })?;
    done()
}

/// Alternatives hold nodes of their channel, each once, and of no other stack.
fn check_alternatives(
    edit: &mut Edit<'_, '_>,
    channel: ChannelId,
    stack: Option<NodeStackId>,
    alternatives: &[StackAlternative],
) -> Result<(), Refusal> {
    let mut others = edit.referring::<NodeStack>(channel)?;
    others.retain(|other| Some(other.id) != stack);
    let mut taken: BTreeSet<NodeId> = others.iter().flat_map(members).collect();
    for id in alternatives.iter().flat_map(|alternative| &alternative.nodes) {
        let node: DspNode = edit.get(*id)?;
        if node.channel != channel {
            let text = format!("{id} is a node of another channel");
            return Err(
                Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.alternatives")
            );
        }
        if !taken.insert(*id) {
            let text = format!("{id} stands in a stack already");
            return Err(Refusal::new(ErrorCode::EntityInUse, text)
                .with("users", others.iter().map(|it| it.id.to_string()).collect::<Vec<_>>()));
        }
    }
    Ok(())
}

fn create_stack(edit: &mut Edit<'_, '_>, payload: &CreateStack) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    let name = payload.name.clone().unwrap_or_else(|| "Stack".into());
    edit.label(format!("Create stack {name}"));
    check_alternatives(edit, channel.id, None, &payload.alternatives)?;
    let first = payload.alternatives.iter().flat_map(|it| it.nodes.first()).next().copied();
    let order = match (payload.before, first) {
        // It takes the place of its first node.
        (None, Some(first)) => edit.get::<DspNode>(first)?.order,
        (before, _) => place(edit, channel.id, before, None)?,
    };
    let id = NodeStackId(edit.id());
    edit.put(NodeStack {
        id,
        channel: channel.id,
        order,
        name,
        alternatives: payload.alternatives.clone(),
        active: 0,
    })?;
    reply(StackCreated { stack: id })
}

fn delete_stack(edit: &mut Edit<'_, '_>, payload: &DeleteStack) -> Reply {
    let stack: NodeStack = edit.get(payload.stack)?;
    edit.label(format!("Delete stack {}", stack.name));
    let active = usize::from(stack.active);
    let playing = stack.alternatives.get(active).map(|it| it.nodes.clone()).unwrap_or_default();
    let mut slots = slots(edit, stack.channel, None)?;
    sort(&mut slots);
    let at = slots.iter().position(|slot| slot.id == stack.id.0);
    let next = at.and_then(|at| slots.get(at + 1)).map(|slot| slot.id);
    for node in &playing {
        let order = place_before(&mut slots, next);
        slots.push(Slot { id: node.0, order: order.clone() });
        edit.update::<DspNode>(*node, |node| node.order = order)?;
    }
    let resting: Vec<NodeId> = members(&stack).filter(|node| !playing.contains(node)).collect();
    edit.update::<NodeStack>(stack.id, |stack| stack.alternatives.clear())?;
    edit.update::<NodeStack>(stack.id, |stack| stack.active = 0)?;
    let gone = resting.iter().map(|id| id.any()).chain([stack.id.any()]);
    reply(edit.delete(gone)?)
}

fn update_stack(edit: &mut Edit<'_, '_>, payload: &UpdateStack) -> Reply {
    let stack: NodeStack = edit.get(payload.stack)?;
    edit.label(format!("Change stack {}", stack.name));
    if let Some(alternatives) = &payload.alternatives {
        check_alternatives(edit, stack.channel, Some(stack.id), alternatives)?;
    }
    edit.update::<NodeStack>(stack.id, |stack| {
        if let Some(name) = &payload.name {
            stack.name.clone_from(name);
        }
        if let Some(alternatives) = &payload.alternatives {
            stack.alternatives.clone_from(alternatives);
            let last = alternatives.len().saturating_sub(1);
            stack.active = stack.active.min(u16::try_from(last).unwrap_or(u16::MAX));
        }
    })?;
    done()
}

fn set_active(edit: &mut Edit<'_, '_>, payload: &SetActive) -> Reply {
    let stack: NodeStack = edit.get(payload.stack)?;
    let Some(chosen) = stack.alternatives.get(usize::from(payload.active)) else {
        let text = format!("{} has {} alternatives", stack.name, stack.alternatives.len());
        return Err(Refusal::range("payload.active", text));
    };
    edit.label(format!("{}: {}", stack.name, chosen.name));
    edit.update::<NodeStack>(stack.id, |stack| stack.active = payload.active)?;
    done()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signal {
    Audio,
    Events,
}

/// What a port carries. Ports count audio first, then events; those of a kind
/// that is unknown here may be anything.
fn signal(
    edit: &mut Edit<'_, '_>,
    channel: ChannelId,
    port: PortRef,
    outgoing: bool,
) -> Result<Option<Signal>, Refusal> {
    let Some(id) = port.node else {
        return match (port.port, outgoing) {
            (0, _) => Ok(Some(Signal::Audio)),
            (1, true) => Ok(Some(Signal::Events)),
            _ => Err(no_port(port)),
        };
    };
    let node: DspNode = edit.get(id)?;
    if node.channel != channel {
        let text = format!("{id} is a node of another channel; use a send or a side chain");
        return Err(Refusal::new(ErrorCode::RoutingIncompatible, text).with("port", id.to_string()));
    }
    let Some(kind) = edit.registry.get(&node.node_kind) else { return Ok(None) };
    let descriptor = kind.descriptor;
    let (audio, events) = if outgoing {
        (descriptor.outputs.len(), descriptor.event_output)
    } else {
        (descriptor.inputs.len(), descriptor.event_input)
    };
    match usize::from(port.port) {
        at if at < audio => Ok(Some(Signal::Audio)),
        at if at == audio && events => Ok(Some(Signal::Events)),
        _ => Err(no_port(port)),
    }
}

fn no_port(port: PortRef) -> Refusal {
    let what = port.node.map_or_else(|| "the channel".to_owned(), |node| node.to_string());
    let text = format!("{what} has no port {} on this side", port.port);
    Refusal::new(ErrorCode::RoutingIncompatible, text).with("port", port.port)
}

fn connect(edit: &mut Edit<'_, '_>, payload: &Connect) -> Reply {
    let channel: Channel = edit.get(payload.channel)?;
    let from = signal(edit, channel.id, payload.from, true)?;
    let to = signal(edit, channel.id, payload.to, false)?;
    if let (Some(from), Some(to)) = (from, to)
        && from != to
    {
        let text = format!("{from:?} can't go into {to:?}");
        return Err(Refusal::new(ErrorCode::RoutingIncompatible, text));
    }
    payload.feedback.map_or(Ok(()), check_feedback)?;
    let wires = edit.referring::<Connection>(channel.id)?;
    if let Some(same) = wires.iter().find(|it| it.from == payload.from && it.to == payload.to) {
        let text = "these two ports are connected already";
        return Err(
            Refusal::new(ErrorCode::EntityInUse, text).with("users", vec![same.id.to_string()])
        );
    }
    edit.label(format!("Connect ports of {}", channel.name));
    let id = ConnectionId(edit.id());
    edit.put(Connection {
        id,
        channel: channel.id,
        from: payload.from,
        to: payload.to,
        feedback: payload.feedback,
    })?;
    reply(Connected { connection: id })
}

fn disconnect(edit: &mut Edit<'_, '_>, payload: &Disconnect) -> Reply {
    let wire: Connection = edit.get(payload.connection)?;
    let channel: Channel = edit.get(wire.channel)?;
    edit.label(format!("Disconnect ports of {}", channel.name));
    edit.delete([wire.id])?;
    done()
}

fn category(descriptor: &Descriptor) -> &'static str {
    if UTILITIES.contains(&descriptor.kind) {
        "utility"
    } else if descriptor.inputs.is_empty() && descriptor.outputs.is_empty() {
        "modulator"
    } else if descriptor.inputs.is_empty() {
        "instrument"
    } else {
        "effect"
    }
}

pub fn kind_info(kind: &NodeKind) -> NodeKindInfo {
    let descriptor = kind.descriptor;
    let page = descriptor.kind.trim_start_matches("pulse.");
    let mut inputs: Vec<PortInfo> = descriptor.inputs.iter().map(port).collect();
    let mut outputs: Vec<PortInfo> = descriptor.outputs.iter().map(port).collect();
    inputs.extend(descriptor.event_input.then(|| other_port("events", "midi")));
    outputs.extend(descriptor.event_output.then(|| other_port("events", "midi")));
    outputs.extend(descriptor.controls.iter().map(|name| other_port(name, "control")));
    NodeKindInfo {
        kind: descriptor.kind.to_owned(),
        version: descriptor.dsp_version,
        name: descriptor.name.to_owned(),
        category: category(descriptor).to_owned(),
        doc: format!("docs/dsp/{page}.md"),
        deterministic: descriptor.determinism == Determinism::Portable,
        inputs,
        outputs,
        parameters: descriptor.params.iter().map(info).collect(),
    }
}

fn port(port: &Port) -> PortInfo {
    let channels = if port.channels == Channels::Mono { 1 } else { 2 };
    PortInfo { name: port.id.to_owned(), signal: "audio".into(), channels }
}

fn other_port(name: &str, signal: &str) -> PortInfo {
    PortInfo { name: name.to_owned(), signal: signal.to_owned(), channels: 0 }
}

fn kinds(session: &Session, payload: &Kinds) -> Reply {
    let asked = |kind: &&'static NodeKind| {
        let category = category(kind.descriptor);
        payload.category.as_ref().is_none_or(|asked| asked == category)
            && !INTERNAL.contains(&kind.descriptor.kind)
    };
    reply(KindList { kinds: session.registry.iter().filter(asked).map(kind_info).collect() })
}

fn describe(session: &Session, payload: &Describe) -> Reply {
    let view = session.view()?;
    let node: DspNode = view.get(payload.node)?.ok_or_else(|| Refusal::not_found(payload.node))?;
    let kind = session.registry.get(&node.node_kind);
    let rate = view.all::<Project>()?.first().map_or(48_000, |project| project.sample_rate);
    let channels = view.get::<Channel>(node.channel)?.map_or(2, |channel| channel.channels);
    let latency = kind.map(|kind| latency(kind, &node, rate, channels));
    reply(Described { node, kind: kind.map(kind_info), latency })
}

/// The latency of a node of these settings, from a node that is made for it.
fn latency(kind: &NodeKind, node: &DspNode, rate: u32, channels: u8) -> u32 {
    const BLOCK: usize = 512;
    let mut setup = Setup::new(kind.descriptor, rate, BLOCK);
    setup.channels = usize::from(channels.clamp(1, 2));
    for (value, desc) in setup.params.iter_mut().zip(kind.descriptor.params) {
        let stored = node.params.get(desc.id).filter(|_| desc.layout);
        *value = stored.map_or(*value, |stored| in_range(desc, *stored).unwrap_or(desc.default));
    }
    let mut made = (kind.make)();
    made.prepare(&setup);
    made.latency()
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let channel = payload.channel;
    view.get::<Channel>(channel)?.ok_or_else(|| Refusal::not_found(channel))?;
    let mut nodes = view.referring::<DspNode>(channel)?;
    let mut stacks = view.referring::<NodeStack>(channel)?;
    let connections = view.referring::<Connection>(channel)?;
    sort(&mut nodes);
    sort(&mut stacks);
    reply(Nodes { nodes, stacks, connections })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::commands::testing::Project;

    struct Chain {
        project: Project,
        channel: Value,
    }

    impl Chain {
        fn new() -> Chain {
            let mut project = Project::new();
            let channel = project.ok("track.create", json!({"name": "Bass"}))["channel"].clone();
            Chain { project, channel }
        }

        fn add(&mut self, name: &str) -> Value {
            let payload = json!({"channel": self.channel, "kind": "pulse.eq", "name": name});
            self.project.ok("node.add", payload)["node"].clone()
        }

        fn names(&mut self) -> Vec<String> {
            let list = self.project.ok("node.list", json!({"channel": self.channel}));
            let nodes = list["nodes"].as_array().unwrap().iter();
            nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn the_example_in_the_reference_is_one_that_works() {
        let Chain { mut project, channel } = Chain::new();
        let spec = pulse_schemas::command::find("node", "add").unwrap();
        let mut example = spec.example();
        example["channel"] = channel;
        project.ok("node.add", example);
    }

    #[test]
    fn a_node_takes_only_parameters_that_its_kind_has_and_values_in_their_range() {
        let Chain { mut project, channel } = Chain::new();
        let add =
            |params: Value| json!({"channel": channel, "kind": "pulse.filter", "params": params});
        let made = project.ok("node.add", add(json!({"cutoff": 800, "mode": 1.2})));
        let described = project.ok("node.describe", json!({"node": made["node"]}));
        assert_eq!(described["node"]["params"], json!({"cutoff": 800.0, "mode": 1.0}));
        project.refused("node.add", add(json!({"no": 1})), "parameter.unknown");
        let error = project.refused("node.add", add(json!({"cutoff": 1e9})), "parameter.range");
        assert_eq!(error.details["max"], json!(20_000.0));
        project.refused("node.add", json!({"channel": channel, "kind": "x"}), "node.unknownKind");
    }

    #[test]
    fn nodes_move_before_others_and_to_other_channels() {
        let mut chain = Chain::new();
        let (a, b) = (chain.add("a"), chain.add("b"));
        chain.project.ok("node.move", json!({"node": b, "before": a}));
        assert_eq!(chain.names(), ["b", "a"]);
        chain.project.ok("node.duplicate", json!({"nodes": [b]}));
        assert_eq!(chain.names(), ["b", "b", "a"]);
        let bus = chain.project.ok("channel.create", json!({"kind": "bus"}))["channel"].clone();
        chain.project.ok("node.move", json!({"node": a, "channel": bus}));
        assert_eq!(chain.names(), ["b", "b"]);
        chain.project.refused("node.move", json!({"node": b, "before": a}), "entity.invalid");
    }

    #[test]
    fn a_replaced_node_keeps_parameters_of_the_same_name() {
        let Chain { mut project, channel } = Chain::new();
        let params = json!({"mix": 50, "drive": 20});
        let add = json!({"channel": channel, "kind": "pulse.saturator", "params": params});
        let node = project.ok("node.add", add)["node"].clone();
        let replaced =
            project.ok("node.replace", json!({"node": node, "kind": "pulse.compressor"}));
        assert_eq!(replaced["dropped"], json!(["drive"]));
        project.ok("node.reset", json!({"node": node}));
        project.ok("node.setBypass", json!({"nodes": [node], "bypass": true}));
        let described = project.ok("node.describe", json!({"node": node}));
        assert_eq!((&described["node"]["params"], &described["latency"]), (&json!({}), &json!(0)));
    }

    #[test]
    fn a_stack_holds_each_node_once_and_leaves_the_one_that_sounds() {
        let mut chain = Chain::new();
        let (a, b) = (chain.add("a"), chain.add("b"));
        chain.add("c");
        let alternatives = json!([{"name": "A", "nodes": [a]}, {"name": "B", "nodes": [b]}]);
        let payload = json!({"channel": chain.channel, "alternatives": alternatives});
        let stack = chain.project.ok("node.createStack", payload.clone())["stack"].clone();
        chain.project.refused("node.createStack", payload, "entity.inUse");
        chain.project.ok("node.setActive", json!({"stack": stack, "active": 1}));
        chain.project.refused(
            "node.setActive",
            json!({"stack": stack, "active": 2}),
            "range.invalid",
        );
        chain.project.ok("node.updateStack", json!({"stack": stack, "name": "Amps"}));
        let gone = chain.project.ok("node.deleteStack", json!({"stack": stack}));
        assert_eq!(gone["deleted"], json!([a, stack]));
        assert_eq!(chain.names(), ["b", "c"]);
    }

    #[test]
    fn a_removed_node_leaves_its_stack() {
        let mut chain = Chain::new();
        let a = chain.add("a");
        let alternatives = json!([{"name": "A", "nodes": [a]}]);
        let payload = json!({"channel": chain.channel, "alternatives": alternatives});
        chain.project.ok("node.createStack", payload);
        chain.project.ok("node.remove", json!({"nodes": [a]}));
        let list = chain.project.ok("node.list", json!({"channel": chain.channel}));
        assert_eq!(list["stacks"][0]["alternatives"][0]["nodes"], json!([]));
    }

    #[test]
    fn wires_join_ports_of_one_signal_and_close_no_loop() {
        let mut chain = Chain::new();
        let (a, b) = (chain.add("a"), chain.add("b"));
        let channel = chain.channel.clone();
        let wire = |from: &Value, to: &Value, port: u16| {
            json!({"channel": channel, "from": {"node": from, "port": 0},
                   "to": {"node": to, "port": port}})
        };
        let project = &mut chain.project;
        let made = project.ok("node.connect", wire(&a, &b, 0));
        project.refused("node.connect", wire(&a, &b, 0), "entity.inUse");
        project.refused("node.connect", wire(&a, &b, 7), "routing.incompatible");
        project.refused("node.connect", wire(&b, &a, 0), "routing.cycle");
        project.ok("node.disconnect", json!({"connection": made["connection"]}));
        project.ok("node.connect", wire(&b, &a, 0));
        let gone = project.ok("channel.resetGraph", json!({"channel": channel}));
        assert_eq!(gone["deleted"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn kinds_are_listed_by_category_with_their_parameters() {
        let mut project = Project::new();
        let list = project.ok("node.kinds", json!({"category": "instrument"}));
        let kinds: Vec<&str> = list["kinds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["kind"].as_str().unwrap())
            .collect();
        assert!(kinds.contains(&"pulse.synth") && !kinds.contains(&"pulse.lane"), "{kinds:?}");
        let all = project.ok("node.kinds", json!({}));
        assert!(all["kinds"].as_array().unwrap().len() > kinds.len());
    }
}
