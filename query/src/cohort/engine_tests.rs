//! The assignment against the engine: on random projects the nodes that the engine runs live
//! are those of live channels, all of them and no others.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use pulse_engine::{
    anticipate::{source::KIND_NAME, split::split},
    registry::Registry,
};
use pulse_schemas::{
    entity::{
        Channel, ChannelInput, ChannelKind, DspNode, ModulationRoute, NodeStack, ParameterRef,
        Send, SendMode, SidechainRoute, SignalTap, StackAlternative, Track,
    },
    graph::{Cohort, NodeKey},
    id::{
        ActorId, ArrangementId, ChannelId, EntityId, MediaId, ModulationRouteId, NodeId,
        NodeStackId, SendId, SidechainRouteId, TrackId,
    },
    order::OrderKey,
};

use super::{Reason, Seeds, cohorts};
use crate::{chain::chain, graph::playing_graph, source::Entities};

fn id(kind: u64, number: usize) -> EntityId {
    EntityId::derive(ActorId(1), kind, number as u32)
}

fn arrangement() -> ArrangementId {
    ArrangementId(id(0, 0))
}

fn channel(number: usize) -> ChannelId {
    ChannelId(id(1, number))
}

fn node(number: usize) -> NodeId {
    NodeId(id(3, number))
}

/// Channels, the first of them the master: each feeds the one that it names, with a delay where
/// it says so.
#[derive(Clone, Debug, Default)]
struct Wires {
    outputs: Vec<(usize, bool)>,
    /// From, to, whether back.
    sends: Vec<(usize, usize, bool)>,
    side_chains: Vec<(usize, usize, bool)>,
    /// From the modulator of a channel to its compressor, its strip or a send of that number.
    modulations: Vec<(usize, Target)>,
    listens: Vec<(usize, usize)>,
    armed: Vec<usize>,
    frozen: Vec<usize>,
    /// Channels whose compressor is of an alternative that rests.
    resting: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Node(usize),
    Strip(usize),
    Send(usize),
}

impl Wires {
    fn entities(&self) -> Entities {
        let mut entities = Entities::default();
        for (number, (output, back)) in self.outputs.iter().enumerate() {
            self.channel(&mut entities, number, *output, *back);
        }
        let feedback = |back: bool| back.then_some(4_096);
        for (number, &(from, to, back)) in self.sends.iter().enumerate() {
            entities.put(Send {
                id: SendId(id(4, number)),
                from: channel(from),
                to: channel(to),
                mode: SendMode::Audio,
                feedback: feedback(back),
                ..Send::default()
            });
        }
        for (number, &(from, to, back)) in self.side_chains.iter().enumerate() {
            entities.put(SidechainRoute {
                id: SidechainRouteId(id(5, number)),
                from: channel(from),
                to: node(2 * to + 1),
                port: 1,
                tap: if number % 2 == 0 { SignalTap::PreFader } else { SignalTap::PostFader },
                feedback: feedback(back),
            });
        }
        for (number, &(from, to)) in self.modulations.iter().enumerate() {
            let (target, parameter) = match to {
                Target::Node(to) => (node(2 * to + 1).any(), "threshold"),
                Target::Strip(to) => (channel(to).any(), "gain"),
                Target::Send(to) => (SendId(id(4, to)).any(), "gain"),
            };
            entities.put(ModulationRoute {
                id: ModulationRouteId(id(6, number)),
                from: node(2 * from),
                to: ParameterRef { target: Some(target), parameter: parameter.into() },
                depth: 0.5,
                enabled: true,
                ..ModulationRoute::default()
            });
        }
        entities
    }

    fn channel(&self, entities: &mut Entities, number: usize, output: usize, back: bool) {
        let master = number == 0;
        let listens = self.listens.iter().find(|(to, _)| *to == number);
        entities.put(Channel {
            id: channel(number),
            arrangement: arrangement(),
            track: (!master).then(|| TrackId(id(2, number))),
            channel_kind: if master { ChannelKind::Master } else { ChannelKind::Track },
            channels: 2,
            output: (!master).then(|| channel(output)),
            output_feedback: back.then_some(4_096),
            input: listens.map_or(ChannelInput::default(), |(_, from)| ChannelInput::Channel {
                source: channel(*from),
                tap: SignalTap::PostFader,
            }),
            ..Channel::default()
        });
        entities.put(Track {
            id: TrackId(id(2, number)),
            arrangement: arrangement(),
            armed: self.armed.contains(&number),
            frozen: self.frozen.contains(&number).then(|| MediaId(id(8, 0))),
            ..Track::default()
        });
        for (at, kind) in ["pulse.lfo", "pulse.compressor"].into_iter().enumerate() {
            entities.put(DspNode {
                id: node(2 * number + at),
                channel: channel(number),
                order: OrderKey(format!("a{at}")),
                node_kind: kind.into(),
                ..DspNode::default()
            });
        }
        if self.resting.contains(&number) {
            let alternative = |nodes| StackAlternative { nodes, ..StackAlternative::default() };
            entities.put(NodeStack {
                id: NodeStackId(id(7, number)),
                channel: channel(number),
                order: OrderKey("a1".into()),
                alternatives: vec![alternative(vec![]), alternative(vec![node(2 * number + 1)])],
                ..NodeStack::default()
            });
        }
    }

    /// None where the routing has a loop without a delay.
    fn check(&self) -> Option<BTreeMap<ChannelId, (Cohort, Reason)>> {
        let (entities, registry, seeds) = (self.entities(), Registry::standard(), Seeds::default());
        let spec = playing_graph(&entities, &registry, arrangement(), &seeds).ok()?;
        let split = split(&spec, &BTreeSet::new());
        let runs_live: BTreeSet<NodeKey> = (split.live.nodes.iter())
            .filter(|node| node.kind != KIND_NAME)
            .map(|node| node.key)
            .collect();
        let found = cohorts(&entities, arrangement(), &seeds);
        for number in 0..self.outputs.len() {
            let id = channel(number);
            let entity: Channel = crate::source::SourceExt::get(&entities, id.0)?;
            let says = found.of(id).unwrap();
            for node in chain(&entities, &registry, &entity).nodes {
                let engine = runs_live.contains(&node.key);
                assert_eq!(says.cohort == Cohort::Live, engine, "{} of channel {number}", node.key);
            }
            // Every reason leads back to somebody who is live because of himself.
            if says.cohort == Cohort::Live {
                let chain = found.chain(id);
                let (first, reason) = chain[chain.len() - 1];
                assert_eq!(reason.because_of(), None, "{first} of {chain:?}");
            }
        }
        let told = found.channels().map(|(id, it)| (id, (it.cohort, it.reason)));
        Some(told.collect())
    }
}

fn live(told: &BTreeMap<ChannelId, (Cohort, Reason)>) -> Vec<(usize, Reason)> {
    let is_live = |number: &usize| told[&channel(*number)].0 == Cohort::Live;
    (0..told.len()).filter(is_live).map(|number| (number, told[&channel(number)].1)).collect()
}

fn tracks(count: usize) -> Wires {
    Wires { outputs: vec![(0, false); count + 1], ..Wires::default() }
}

#[test]
fn who_modulates_a_live_channel_is_live_and_whom_a_live_one_modulates_is_too() {
    let check = |armed: usize, target: Target, expect: &[(usize, Reason)]| {
        let mut wires = tracks(3);
        wires.sends = vec![(2, 3, false)];
        wires.modulations = vec![(1, target)];
        wires.armed = vec![armed];
        assert_eq!(live(&wires.check().unwrap()), expect, "{armed} {target:?}");
    };
    let after = |number| Reason::After(channel(number));
    let modulates = |number| Reason::Modulates(channel(number));
    let armed = Reason::Armed;
    check(2, Target::Node(2), &[(0, after(2)), (1, modulates(2)), (2, armed), (3, after(2))]);
    check(2, Target::Strip(2), &[(0, after(2)), (1, modulates(2)), (2, armed), (3, after(2))]);
    check(1, Target::Node(3), &[(0, after(1)), (1, armed), (3, after(1))]);
    // A send is moved and goes over, and whom it feeds; whose it is stays ahead.
    check(1, Target::Send(0), &[(0, after(1)), (1, armed), (3, after(1))]);
    check(3, Target::Send(0), &[(0, after(3)), (3, armed)]);
    check(3, Target::Node(2), &[(0, after(3)), (3, armed)]);
}

#[test]
fn who_feeds_back_to_a_live_channel_is_live() {
    let mut wires = tracks(3);
    // 1 feeds 2, 2 feeds back to 1; both reach the master through 2.
    wires.outputs[1] = (2, false);
    wires.side_chains = vec![(2, 1, true)];
    wires.armed = vec![1];
    let after = |number| Reason::After(channel(number));
    assert_eq!(live(&wires.check().unwrap()), [(0, after(2)), (1, Reason::Armed), (2, after(1))]);
    // Nobody hears 1 but through its delay.
    wires.outputs[1] = (3, true);
    wires.side_chains.clear();
    wires.armed = vec![3];
    let back = Reason::FeedsBack(channel(3));
    assert_eq!(live(&wires.check().unwrap()), [(0, after(3)), (1, back), (3, Reason::Armed)]);
    // Back through a send: the send goes over, its channel doesn't.
    let mut wires = tracks(2);
    wires.sends = vec![(1, 2, true)];
    wires.armed = vec![2];
    assert_eq!(live(&wires.check().unwrap()), [(0, after(2)), (2, Reason::Armed)]);
}

#[test]
fn what_does_not_run_moves_nobody() {
    let mut wires = tracks(2);
    wires.modulations = vec![(1, Target::Node(2))];
    wires.armed = vec![2];
    let alone = [(0, Reason::After(channel(2))), (2, Reason::Armed)];
    for stop in [
        |wires: &mut Wires| wires.frozen = vec![1],
        |wires: &mut Wires| {
            wires.resting = vec![2];
        },
    ] {
        let mut wires = wires.clone();
        assert_eq!(live(&wires.check().unwrap()).len(), 3);
        stop(&mut wires);
        assert_eq!(live(&wires.check().unwrap()), alone);
    }
}

fn wires() -> impl Strategy<Value = Wires> {
    (3..9_usize).prop_flat_map(|count| {
        let any = move || 0..count;
        let back = || prop::bool::weighted(0.4);
        let some = move |most: usize| prop::collection::vec(1..count, 0..most);
        let target = prop_oneof![
            any().prop_map(Target::Node),
            any().prop_map(Target::Strip),
            (0..4_usize).prop_map(Target::Send),
        ];
        let routes = (
            prop::collection::vec((any(), back()), count),
            prop::collection::vec((any(), any(), back()), 0..4),
            prop::collection::vec((any(), any(), back()), 0..4),
            prop::collection::vec((any(), target), 0..5),
            prop::collection::vec((1..count, any()), 0..2),
        );
        (routes, some(3), some(2), some(2)).prop_map(|(routes, armed, frozen, resting)| {
            let (mut outputs, sends, side_chains, modulations, listens) = routes;
            outputs[0].1 = false;
            // Forward is to a channel before: most of these have no loop without a delay.
            for (number, (output, back)) in outputs.iter_mut().enumerate() {
                if *output >= number && !*back {
                    *output = number.saturating_sub(1);
                }
            }
            Wires { outputs, sends, side_chains, modulations, listens, armed, frozen, resting }
        })
    })
}

/// Sends and side chains forward or with a delay, listening only backwards.
fn tamed(mut wires: Wires) -> Wires {
    for (from, to, back) in wires.sends.iter_mut().chain(&mut wires.side_chains) {
        *back |= *to >= *from;
    }
    wires.listens.retain(|(to, from)| from > to);
    wires
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PULSE_SOAK").is_some() { 50_000 } else { 400 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_engine_runs_live_what_the_assignment_calls_live(wires in wires()) {
        let entities = tamed(wires);
        prop_assume!(entities.check().is_some());
    }
}

/// The cases of the property are no empty ones.
#[test]
fn most_random_projects_have_no_loop_and_some_speak() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut sound, mut spoke) = (0, 0);
    for _ in 0..100 {
        let wires = tamed(wires().new_tree(&mut runner).unwrap().current());
        let Some(told) = wires.check() else { continue };
        sound += 1;
        let speaks =
            |it: &(Cohort, Reason)| matches!(it.1, Reason::Modulates(_) | Reason::FeedsBack(_));
        spoke += usize::from(told.values().any(speaks));
    }
    assert!(sound > 60 && spoke > 8, "{sound} without loops, {spoke} of them speak");
}
