//! What is true now and stands in no project: which editors are open, who plays
//! live, which drives are there.

use std::collections::BTreeMap;

use pulse_schemas::{entity::Availability, id::MediaId};

use crate::cohort::Seeds;

/// State of the session and the machine that derivations depend on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ambient {
    /// Open editors, and what users put into a cohort.
    pub seeds: Seeds,
    /// Media that were looked for, and what was found; of the others, what the
    /// project says counts.
    pub media: BTreeMap<MediaId, Availability>,
}
