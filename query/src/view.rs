//! What a client shows: rows in lists, derived owner by owner.
//!
//! A view is flat: fields, and lists of rows with an `id` each. Nesting would
//! be nearer to the screen, but a flat row can be derived, compared and sent
//! alone, so that an edit costs the rows that it changes.

pub mod delta;

pub mod rows;

pub mod arrangement;
pub mod automation;
pub mod clip;
pub mod cohorts;
pub mod media;
pub mod mixer;
pub mod routing;
pub mod scratch;
pub mod timeline;
pub mod track;
pub mod versions;

use std::collections::BTreeMap;

use pulse_engine::registry::Registry;
use pulse_schemas::{
    command::view::{ViewInfo, ViewName, Window},
    entity::ViewMeta,
    hash::Hash,
    id::{AnyId, ArrangementId, EntityKind},
    record::canonical_json,
    time::Ticks,
};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::rows::{Row, Rows, Run};
use crate::{
    ambient::Ambient,
    source::{Source, SourceExt},
};

/// What rows are derived from.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub source: &'a dyn Source,
    pub registry: &'a Registry,
    pub ambient: &'a Ambient,
}

/// The content of a view at one moment.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Sheet {
    pub fields: BTreeMap<&'static str, Value>,
    pub lists: BTreeMap<&'static str, Rows>,
}

impl Sheet {
    pub fn field(mut self, name: &'static str, value: &impl Serialize) -> Sheet {
        self.fields.insert(name, serde_json::to_value(value).unwrap_or_default());
        self
    }

    pub fn list(self, name: &'static str, rows: Vec<Row>) -> Sheet {
        self.rows(name, rows.into())
    }

    pub fn rows(mut self, name: &'static str, rows: Rows) -> Sheet {
        self.lists.insert(name, rows);
        self
    }

    /// The JSON form: fields and lists side by side.
    pub fn data(&self) -> Value {
        let mut data = Map::new();
        for (name, value) in &self.fields {
            data.insert((*name).to_owned(), value.clone());
        }
        for (name, rows) in &self.lists {
            let rows = rows.iter().map(|row| row.value().clone()).collect();
            data.insert((*name).to_owned(), Value::Array(rows));
        }
        Value::Object(data)
    }

    /// Of the content and its order; made of the hashes of runs of rows, so that
    /// what did not change is not hashed again.
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("pulse view v2");
        for (name, value) in &self.fields {
            let text = canonical_json(value);
            hasher.update(&[0]);
            hasher.update(&(name.len() as u64).to_be_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        for (name, rows) in &self.lists {
            hasher.update(&[1]);
            hasher.update(&(name.len() as u64).to_be_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&(rows.runs().len() as u64).to_be_bytes());
            rows.runs().iter().for_each(|run| {
                hasher.update(run.hash().as_bytes());
            });
        }
        hasher.finalize().into()
    }
}

/// Why there is no such view.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ViewError {
    #[error("the view `{view}` is about a {}; name one as `subject`", kinds(.expected))]
    SubjectMissing { view: &'static str, expected: &'static [EntityKind] },
    #[error("the view `{view}` is about a {}, and {subject} is none", kinds(.expected))]
    SubjectKind { view: &'static str, subject: AnyId, expected: &'static [EntityKind] },
    #[error("{subject} is not in this revision")]
    SubjectGone { subject: AnyId },
    #[error("the project has no arrangement; make one with `arrangement.create`")]
    NoArrangement,
    #[error("the view `{view}` is made from the history, not from one revision")]
    NotOfARevision { view: &'static str },
}

fn kinds(kinds: &[EntityKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or a ")
}

/// The name of a view as the wire has it.
pub fn name(view: ViewName) -> &'static str {
    match view {
        ViewName::Arrangement => "arrangement",
        ViewName::Mixer => "mixer",
        ViewName::Track => "track",
        ViewName::Clip => "clip",
        ViewName::Automation => "automation",
        ViewName::Routing => "routing",
        ViewName::Cohorts => "cohorts",
        ViewName::Media => "media",
        ViewName::History => "history",
        ViewName::Branches => "branches",
        ViewName::Diff => "diff",
        ViewName::Timeline => "timeline",
    }
}

pub const ALL: [ViewName; 12] = [
    ViewName::Arrangement,
    ViewName::Mixer,
    ViewName::Track,
    ViewName::Clip,
    ViewName::Automation,
    ViewName::Routing,
    ViewName::Cohorts,
    ViewName::Media,
    ViewName::History,
    ViewName::Branches,
    ViewName::Diff,
    ViewName::Timeline,
];

/// Kinds that the subject of a view may have; none where it takes none.
pub fn subjects(view: ViewName) -> &'static [EntityKind] {
    match view {
        ViewName::Arrangement
        | ViewName::Mixer
        | ViewName::Routing
        | ViewName::Cohorts
        | ViewName::Timeline => &[EntityKind::Arrangement],
        ViewName::Track => &[EntityKind::Track],
        ViewName::Clip => &[EntityKind::Clip],
        ViewName::Automation => &[EntityKind::Lane, EntityKind::Clip, EntityKind::Track],
        ViewName::Media | ViewName::History | ViewName::Branches | ViewName::Diff => &[],
    }
}

pub fn is_windowed(view: ViewName) -> bool {
    !matches!(view, ViewName::Cohorts | ViewName::Branches | ViewName::Routing)
}

pub fn infos() -> Vec<ViewInfo> {
    let doc = |view| match view {
        ViewName::Arrangement => "Tracks, lanes and clips in a window of time and rows.",
        ViewName::Mixer => "Channels with sends and nodes.",
        ViewName::Track => "One track with all that belongs to it.",
        ViewName::Clip => "One clip and its notes, events or regions.",
        ViewName::Automation => "The envelopes of a lane, a clip or a track.",
        ViewName::Routing => "The graph of channels, with loops and delays.",
        ViewName::Cohorts => "Who is rendered live, and why.",
        ViewName::Media => "Media items with availability.",
        ViewName::History => "Entries of the history, newest first.",
        ViewName::Branches => "Branches with their commits.",
        ViewName::Diff => "Differences between two revisions.",
        ViewName::Timeline => "Tempo, signatures, keys, markers, sections.",
    };
    let info = |view| ViewInfo {
        view,
        doc: doc(view).to_owned(),
        subjects: subjects(view).to_vec(),
        windowed: is_windowed(view),
    };
    ALL.into_iter().map(info).collect()
}

/// The arrangement that a view is about: its subject, else the active one.
pub fn arrangement_of(
    source: &dyn Source,
    view: ViewName,
    subject: Option<AnyId>,
) -> Result<ArrangementId, ViewError> {
    match subject {
        None => source.active_arrangement().ok_or(ViewError::NoArrangement),
        Some(subject) => {
            let subject = subject_of(view, Some(subject))?;
            let id = ArrangementId(subject.id);
            let found = source.get::<pulse_schemas::entity::Arrangement>(subject.id);
            found.map(|_| id).ok_or(ViewError::SubjectGone { subject })
        }
    }
}

/// The subject of a view that needs one, checked for its kind.
pub fn subject_of(view: ViewName, subject: Option<AnyId>) -> Result<AnyId, ViewError> {
    let (expected, view) = (subjects(view), name(view));
    let subject = subject.ok_or(ViewError::SubjectMissing { view, expected })?;
    if expected.contains(&subject.kind) {
        return Ok(subject);
    }
    Err(ViewError::SubjectKind { view, subject, expected })
}

/// The rows of a window.
pub fn cut<T>(mut all: Vec<T>, window: &Window) -> Vec<T> {
    let first = window.first_row.unwrap_or(0) as usize;
    let count = window.rows.map_or(usize::MAX, |rows| rows as usize);
    all.truncate(first.saturating_add(count));
    all.drain(..first.min(all.len()));
    all
}

/// The rows of a window, of a list that stays whole.
pub fn cut_slice<'a, T>(all: &'a [T], window: &Window) -> &'a [T] {
    let first = (window.first_row.unwrap_or(0) as usize).min(all.len());
    let count = window.rows.map_or(usize::MAX, |rows| rows as usize);
    &all[first..first.saturating_add(count).min(all.len())]
}

/// The ticks of a window; open ends reach as far as positions go.
pub fn span(window: &Window) -> std::ops::Range<Ticks> {
    window.from.unwrap_or(Ticks::MIN)..window.to.unwrap_or(Ticks::MAX)
}

/// How an entity looks.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looks {
    pub colour: Option<String>,
    pub collapsed: bool,
    pub hidden: bool,
    pub height: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<f64>,
}

pub fn looks(source: &dyn Source, id: AnyId) -> Looks {
    let metas = source.referring::<ViewMeta>(id);
    let Some(meta) = metas.into_iter().find(|meta| meta.subject == Some(id)) else {
        return Looks::default();
    };
    Looks {
        colour: meta.colour,
        collapsed: meta.collapsed,
        hidden: meta.hidden,
        height: meta.height,
        x: meta.x,
        y: meta.y,
    }
}
