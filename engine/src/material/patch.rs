//! What differs between the content of two revisions.
//!
//! Not a whole revision: that of a long song takes longer to copy and to compare
//! than an edit takes to be heard.

use std::collections::{BTreeMap, BTreeSet};

use pulse_schemas::graph::{AutomationSegment, NodeKey, PlacedClip, ZoneSpec};

use super::{Events, Slices};

/// By node, what it has from now on; none where it has nothing any more.
pub type Differences<T> = BTreeMap<NodeKey, Option<T>>;

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Patch {
    pub params: Differences<BTreeMap<String, f64>>,
    pub automation: Differences<BTreeMap<String, Vec<AutomationSegment>>>,
    pub events: Differences<Events>,
    pub clips: Differences<Vec<PlacedClip>>,
    pub zones: Differences<Vec<ZoneSpec>>,
}

impl Patch {
    /// Nodes that it says anything about.
    pub fn nodes(&self) -> BTreeSet<NodeKey> {
        let params = self.params.keys().chain(self.automation.keys());
        let played = self.events.keys().chain(self.clips.keys()).chain(self.zones.keys());
        params.chain(played).copied().collect()
    }

    pub fn is_empty(&self) -> bool {
        *self == Patch::default()
    }
}

impl Slices {
    /// Puts a patch in; returns the one that takes it back, which names the nodes
    /// that really differ and no others.
    pub fn patch(&mut self, patch: Patch) -> Patch {
        Patch {
            params: put(&mut self.params.0, patch.params),
            automation: put(&mut self.automation.0, patch.automation),
            events: put(&mut self.events.0, patch.events),
            clips: put(&mut self.clips.0, patch.clips),
            zones: put(&mut self.zones.0, patch.zones),
        }
    }
}

fn put<T: PartialEq>(
    slice: &mut BTreeMap<NodeKey, T>,
    differences: Differences<T>,
) -> Differences<T> {
    let mut back = Differences::new();
    for (node, new) in differences {
        if slice.get(&node) == new.as_ref() {
            continue;
        }
        let old = match new {
            Some(new) => slice.insert(node, new),
            None => slice.remove(&node),
        };
        back.insert(node, old);
    }
    back
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::key;

    #[test]
    fn a_patch_is_taken_back_by_what_it_returns() {
        let params = |value: f64| BTreeMap::from([("gain".to_owned(), value)]);
        let mut slices = Slices::default();
        slices.params.0 = BTreeMap::from([(key(1), params(1.0)), (key(2), params(2.0))]);
        slices.events.0.insert(key(2), Events::default());
        let before = slices.clone();
        let patch = Patch {
            params: Differences::from([
                (key(1), Some(params(1.0))),
                (key(2), Some(params(3.0))),
                (key(3), Some(params(4.0))),
                (key(4), None),
            ]),
            events: Differences::from([(key(2), None)]),
            ..Patch::default()
        };
        let back = slices.patch(patch);
        assert_eq!(back.nodes(), BTreeSet::from([key(2), key(3)]), "what is equal is not named");
        assert_eq!(slices.params.get(key(2), "gain"), Some(3.0));
        assert!(slices.events.0.is_empty());
        slices.patch(back);
        assert_eq!(slices, before);
    }
}
