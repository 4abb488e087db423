//! The list of node kinds. A new node is one file in `node/`, its `pub mod` line
//! in `node.rs` and one line here, sorted by name.

use crate::node::{self, NodeKind};

/// Every kind that Pulse ships.
#[rustfmt::skip]
pub static NODES: &[&NodeKind] = &[
    &node::compressor::KIND,
    &node::delay::KIND,
    &node::drums::KIND,
    &node::eq::KIND,
    &node::filter::KIND,
    &node::gate::KIND,
    &node::input::KIND,
    &node::lane_stream::KIND,
    &node::lfo::KIND,
    &node::limiter::KIND,
    &node::loudness::KIND,
    &node::meter::KIND,
    &node::midi_out::KIND,
    &node::note_transform::KIND,
    &node::reverb::KIND,
    &node::sampler::KIND,
    &node::saturator::KIND,
    &node::strip::KIND,
    &node::sum::KIND,
    &node::synth::KIND,
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;
    use crate::param::Curve;

    #[allow(clippy::disallowed_methods)]
    fn page(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The equaliser's bands are documented once, as band N.
    fn documented_as(id: &str) -> String {
        match id.strip_prefix("band") {
            Some(rest) => format!("bandN{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
            None => id.to_owned(),
        }
    }

    #[test]
    fn every_kind_and_parameter_has_its_place_in_the_docs() {
        let index = page("dsp.md");
        for descriptor in NODES.iter().map(|kind| kind.descriptor) {
            assert!(index.contains(&format!("`{}`", descriptor.kind)), "{}", descriptor.kind);
            if descriptor.params.is_empty() {
                continue;
            }
            let name = descriptor.kind.trim_start_matches("pulse.");
            let page = page(&format!("dsp/{name}.md"));
            for param in descriptor.params {
                let id = documented_as(param.id);
                assert!(page.contains(&id), "docs/dsp/{name}.md lacks {id}");
            }
        }
    }

    #[test]
    fn every_descriptor_is_sound() {
        let kinds: BTreeSet<_> = NODES.iter().map(|kind| kind.descriptor.kind).collect();
        assert_eq!(kinds.len(), NODES.len());
        for descriptor in NODES.iter().map(|kind| kind.descriptor) {
            let ids: BTreeSet<_> = descriptor.params.iter().map(|param| param.id).collect();
            assert_eq!(ids.len(), descriptor.params.len(), "{}", descriptor.kind);
            for param in descriptor.params {
                let inside = param.min < param.max && param.clamp(param.default) == param.default;
                let exponential = param.curve != Curve::Exponential || param.min > 0.0;
                assert!(inside && exponential, "{} {}", descriptor.kind, param.id);
                let back = param.denormalise(param.normalise(param.default));
                let error = (back - param.default).abs();
                assert!(error <= 1e-9 * param.max.abs(), "{} {}", descriptor.kind, param.id);
            }
        }
    }
}
