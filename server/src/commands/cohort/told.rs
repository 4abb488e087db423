//! The assignment that everybody knows, and how it grows.
//!
//! Assigning reads every channel and node of the project. That is right after a
//! cable moved; for a thousand new tracks one after another it is a thousand times
//! everything. What is new and at rest moves nobody else: it is added to what is
//! known.

use std::collections::{BTreeMap, BTreeSet};

use pulse_query::cohort::{Cohorts, Gesture, Sum};
use pulse_schemas::{
    entity::{AnyEntity, ChannelInput},
    graph::Cohort,
    hash::Hash,
    id::{ArrangementId, ChannelId, NodeId, TrackId},
};
use pulse_store::changes::Change;

/// An assignment and the state of the project that it belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    pub root: Hash,
    arrangement: ArrangementId,
    /// The side of each channel.
    channels: BTreeMap<ChannelId, Cohort>,
    live: usize,
    sum: Sum,
}

/// What is new and at rest.
#[derive(Default)]
struct Added {
    tracks: BTreeSet<TrackId>,
    channels: BTreeSet<ChannelId>,
    nodes: BTreeMap<NodeId, ChannelId>,
}

impl Told {
    pub fn new(root: Hash, arrangement: ArrangementId, found: &Cohorts) -> Told {
        let mut sum = Sum::default();
        let sides = found.channels().map(|(channel, member)| (channel, member.cohort));
        let channels: BTreeMap<_, _> = sides.collect();
        channels.iter().for_each(|(channel, cohort)| sum.channel(*channel, *cohort));
        found.nodes().iter().for_each(|(node, channel)| sum.node(*node, *channel));
        Told { root, arrangement, channels, live: found.count(Cohort::Live), sum }
    }

    pub fn hash(&self) -> Hash {
        self.sum.hash()
    }

    /// Channels on each side: live, ahead of time.
    pub fn counts(&self) -> (usize, usize) {
        (self.live, self.channels.len() - self.live)
    }

    /// Takes in what a transaction made; false where all has to be assigned again.
    pub fn grow(&mut self, changes: &[&Change], after: Hash) -> bool {
        let Some(added) = self.added(changes) else { return false };
        for channel in added.channels {
            self.channels.insert(channel, Cohort::Anticipative);
            self.sum.channel(channel, Cohort::Anticipative);
        }
        for (node, channel) in added.nodes {
            if self.channels.contains_key(&channel) {
                self.sum.node(node, channel);
            }
        }
        self.root = after;
        true
    }

    /// None where a change concerns more than what is new.
    fn added(&self, changes: &[&Change]) -> Option<Added> {
        let mut added = Added::default();
        let mut hosts = Vec::new();
        for change in changes {
            match (&change.before, change.after.as_deref()?) {
                (Some(_), _) => return None,
                (None, AnyEntity::Track(track)) if !Gesture::of(track).matters() => {
                    added.tracks.insert(track.id);
                }
                (None, AnyEntity::Channel(channel)) => {
                    if matches!(channel.input, ChannelInput::Channel { .. }) {
                        return None;
                    }
                    hosts.push(channel.track?);
                    if channel.arrangement == self.arrangement {
                        added.channels.insert(channel.id);
                    }
                }
                (None, AnyEntity::DspNode(node)) => {
                    added.nodes.insert(node.id, node.channel);
                }
                _ => return None,
            }
        }
        // A track that was there may be armed; its new channel is not at rest then.
        hosts.iter().all(|track| added.tracks.contains(track)).then_some(added)
    }
}
