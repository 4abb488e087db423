//! Which change is heard in a stretch: what was edited between two revisions,
//! by where it is in time and to which channel it belongs.
//!
//! A guess from the model and not from the sound: a change is a suspect where it
//! lies or rings out, and on its own channel before all others.

use std::ops::Range;

use pulse_query::{
    content::tempo_map,
    source::{Source, SourceExt},
    stored::Stored,
};
use pulse_schemas::{
    entity::{AnyEntity, Clip},
    id::{AnyId, ChannelId, EntityKind, TrackId},
    record::EntityKey,
    time::{TempoMap, Ticks},
};
use pulse_store::{
    diff::{DiffKind, EntityDiff, diff},
    view::View,
};
use serde_json::{Value, json};

use super::{RenderingError, TAIL_SECONDS};

/// Most causes that one stretch is told with.
const MOST: usize = 8;

/// Fields that nobody hears, of any entity.
const UNHEARD: &[&str] = &["name", "order", "armed", "monitor", "policy", "tags", "rating"];

/// A change that is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    pub entity: AnyId,
    pub text: String,
}

impl Cause {
    pub fn json(&self) -> Value {
        json!({"entity": self.entity, "text": self.text})
    }
}

struct Suspect {
    cause: Cause,
    channel: Option<ChannelId>,
    /// Frames that it lies at; none is everywhere.
    frames: Option<Range<i64>>,
}

/// All that was changed between two revisions and can be heard.
pub struct Suspects {
    list: Vec<Suspect>,
    tail: i64,
}

impl Suspects {
    pub fn between(a: &View, b: &View, rate: u32) -> Result<Suspects, RenderingError> {
        let sides = [Side::of(a, rate), Side::of(b, rate)];
        let mut list = Vec::new();
        for changed in diff(a, b)?.entities {
            if is_heard(&changed) {
                list.push(suspect(&changed, &sides));
            }
        }
        for side in &sides {
            side.source.check()?;
        }
        Ok(Suspects { list, tail: (TAIL_SECONDS * f64::from(rate)) as i64 })
    }

    /// The causes of a stretch, nearest first: of the channel's own changes where
    /// it has any, else of all that may reach it.
    pub fn of(&self, stretch: &Range<i64>, channel: Option<ChannelId>) -> Vec<Cause> {
        let near: Vec<(i64, &Suspect)> = self
            .list
            .iter()
            .filter_map(|suspect| Some((self.distance(suspect, stretch)?, suspect)))
            .collect();
        let own = |(_, suspect): &&(i64, &Suspect)| channel.is_some() && suspect.channel == channel;
        let mut found: Vec<&(i64, &Suspect)> = near.iter().filter(own).collect();
        if found.is_empty() {
            found = near.iter().collect();
        }
        found.sort_by_key(|(distance, suspect)| (*distance, suspect.cause.entity));
        found.into_iter().take(MOST).map(|(_, suspect)| suspect.cause.clone()).collect()
    }

    /// Frames between a change and a stretch; none where it can't be heard there.
    fn distance(&self, suspect: &Suspect, stretch: &Range<i64>) -> Option<i64> {
        let Some(frames) = &suspect.frames else { return Some(0) };
        let late = (stretch.start - frames.end).max(0);
        (frames.start < stretch.end && late <= self.tail).then_some(late)
    }
}

fn is_heard(changed: &EntityDiff) -> bool {
    use EntityKind as Kind;
    let kind = matches!(
        changed.id.kind,
        Kind::Arrangement
            | Kind::Track
            | Kind::Lane
            | Kind::Clip
            | Kind::AudioRegion
            | Kind::Note
            | Kind::MidiEvent
            | Kind::Channel
            | Kind::DspNode
            | Kind::NodeStack
            | Kind::Connection
            | Kind::Send
            | Kind::SidechainRoute
            | Kind::ModulationRoute
            | Kind::ParameterLink
            | Kind::AutomationEnvelope
            | Kind::AutomationPoint
            | Kind::TempoPoint
            | Kind::SignaturePoint
            | Kind::Kit
            | Kind::KitSlot
            | Kind::ClipSlot
    );
    // Media that come or go are heard through the clips that name them.
    let kind = kind || (changed.id.kind == Kind::MediaItem && changed.kind == DiffKind::Changed);
    let field = |path: &str| !UNHEARD.contains(&path);
    let fields = changed.fields.is_empty() || changed.fields.iter().any(|it| field(&it.path));
    kind && fields
}

/// One revision, to look things up in.
struct Side {
    source: Stored,
    tempo: TempoMap,
    rate: u32,
}

impl Side {
    fn of(view: &View, rate: u32) -> Side {
        let source = Stored::new(view.clone());
        let arrangement = source.active_arrangement();
        let tempo = arrangement.map_or_else(
            || TempoMap::repaired(&[]).0,
            |arrangement| tempo_map(&source, arrangement),
        );
        Side { source, tempo, rate }
    }

    fn frames(&self, key: EntityKey) -> Option<Range<i64>> {
        match self.source.entity(key)? {
            AnyEntity::Clip(clip) => Some(self.clip(&clip)),
            AnyEntity::Note(note) => {
                let clip: Clip = self.source.get(note.clip.0)?;
                let whole = self.clip(&clip);
                if clip.loop_length.is_some() || clip.slip.0 != 0 {
                    return Some(whole);
                }
                let start = self.tempo.ticks_of(clip.timebase, clip.start);
                let at = |ticks: Ticks| self.tempo.frame_at(start.saturating_add(ticks), self.rate);
                Some(at(note.start)..at(note.start.saturating_add(note.length)))
            }
            AnyEntity::TempoPoint(point) => {
                Some(self.tempo.frame_at(point.at, self.rate)..i64::MAX)
            }
            _ => {
                let owner = key.owner?;
                self.source.get::<Clip>(owner).map(|clip| self.clip(&clip))
            }
        }
    }

    fn clip(&self, clip: &Clip) -> Range<i64> {
        let frame = |at| self.tempo.frame_of(clip.timebase, at, self.rate);
        frame(clip.start)..frame(clip.start.saturating_add(clip.length))
    }

    fn channel(&self, changed: &EntityDiff) -> Option<ChannelId> {
        match (self.source.entity(changed.key), changed.track) {
            (Some(AnyEntity::Channel(channel)), _) => Some(channel.id),
            (Some(AnyEntity::DspNode(node)), _) => Some(node.channel),
            (Some(AnyEntity::Send(send)), _) => Some(send.from),
            (Some(_), Some(track)) => self.source.channel_of(TrackId(track.id)).map(|it| it.id),
            _ => None,
        }
    }
}

fn suspect(changed: &EntityDiff, sides: &[Side; 2]) -> Suspect {
    let spans: Vec<Range<i64>> = sides.iter().filter_map(|side| side.frames(changed.key)).collect();
    let start = spans.iter().map(|span| span.start).min();
    let end = spans.iter().map(|span| span.end).max();
    Suspect {
        cause: Cause { entity: changed.id, text: text(changed) },
        channel: sides.iter().rev().find_map(|side| side.channel(changed)),
        frames: start.zip(end).map(|(start, end)| start..end),
    }
}

fn text(changed: &EntityDiff) -> String {
    let what = match changed.kind {
        DiffKind::Added => "added".to_owned(),
        DiffKind::Removed => "removed".to_owned(),
        DiffKind::Changed => {
            changed.fields.iter().take(3).map(|it| it.text.as_str()).collect::<Vec<_>>().join(", ")
        }
    };
    format!("{}: {what}", changed.name)
}
