//! What a new project begins with.

use pulse_schemas::{
    entity::{
        Arrangement, Channel, ChannelKind, Clip, ClipContent, Note, PanLaw, Project,
        SignaturePoint, TempoPoint, TrackKind,
    },
    id::{ArrangementId, ChannelId, ClipId, NoteId, SignaturePointId, TempoPointId},
    time::{Moment, TempoShape, Ticks},
};

use crate::{commands::edit::Edit, refusal::Refusal};

/// An arrangement at 120 BPM in 4/4 with a master channel: enough to play.
pub fn empty(edit: &mut Edit<'_, '_>) -> Result<ArrangementId, Refusal> {
    let arrangement = ArrangementId(edit.id());
    edit.put(Arrangement {
        id: arrangement,
        name: "Arrangement".into(),
        ..Arrangement::default()
    })?;
    let id = TempoPointId(edit.id());
    edit.put(TempoPoint {
        id,
        arrangement,
        bpm: 120.0,
        shape: TempoShape::Step,
        ..TempoPoint::default()
    })?;
    let id = SignaturePointId(edit.id());
    edit.put(SignaturePoint {
        id,
        arrangement,
        numerator: 4,
        denominator: 4,
        ..SignaturePoint::default()
    })?;
    let id = ChannelId(edit.id());
    edit.put(Channel {
        id,
        arrangement,
        channel_kind: ChannelKind::Master,
        name: "Master".into(),
        pan_law: PanLaw::Balance,
        width: 1.0,
        channels: 2,
        ..Channel::default()
    })?;
    if let Some(project) = edit.all::<Project>()?.into_iter().next() {
        edit.update::<Project>(project.id, |project| {
            project.active_arrangement.get_or_insert(arrangement);
        })?;
    }
    Ok(arrangement)
}

/// A template by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    Empty,
    /// The song of `pulse demo`.
    Demo,
    /// So many tracks with so many clips each.
    Stress {
        tracks: u32,
        clips: u32,
    },
}

impl Template {
    /// `empty`, `demo`, `stress:200x50`.
    pub fn parse(text: &str) -> Result<Template, String> {
        match text {
            "empty" => return Ok(Template::Empty),
            "demo" => return Ok(Template::Demo),
            _ => {}
        }
        let sizes = text.strip_prefix("stress:").and_then(|sizes| sizes.split_once('x'));
        let parsed = sizes.and_then(|(tracks, clips)| {
            Some(Template::Stress { tracks: tracks.parse().ok()?, clips: clips.parse().ok()? })
        });
        match parsed {
            Some(Template::Stress { tracks, clips })
                if u64::from(tracks) * u64::from(clips) > 2_000_000 =>
            {
                Err(format!("{tracks} × {clips} clips are more than 2,000,000"))
            }
            Some(template) => Ok(template),
            None => Err(format!("a template is empty, demo or stress:TRACKSxCLIPS; found {text}")),
        }
    }

    pub fn build(self, edit: &mut Edit<'_, '_>) -> Result<(), Refusal> {
        let arrangement = empty(edit)?;
        match self {
            Template::Empty => Ok(()),
            Template::Demo => crate::song::build(edit),
            Template::Stress { tracks, clips } => stress(edit, arrangement, tracks, clips),
        }
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Template::Empty => f.write_str("empty"),
            Template::Demo => f.write_str("demo"),
            Template::Stress { tracks, clips } => write!(f, "stress:{tracks}x{clips}"),
        }
    }
}

/// Instrument tracks full of short clips with four notes each: much of
/// everything that grows.
fn stress(
    edit: &mut Edit<'_, '_>,
    arrangement: ArrangementId,
    tracks: u32,
    clips: u32,
) -> Result<(), Refusal> {
    use crate::commands::edit as run;
    use pulse_schemas::command::track::Create;
    let beat = Ticks::PER_QUARTER;
    for number in 0..tracks {
        let create = Create {
            arrangement: Some(arrangement),
            name: Some(format!("Track {}", number + 1)),
            kind: TrackKind::Instrument,
            parent: None,
            before: None,
            colour: None,
            output: None,
            nodes: vec!["pulse.synth".into(), "pulse.eq".into()],
        };
        let made = run::typed(edit, create)?;
        let Some(lane) = made.lane else { continue };
        for at in 0..clips {
            let clip = ClipId(edit.id());
            edit.put(Clip {
                id: clip,
                lane,
                name: format!("Clip {}", at + 1),
                content: ClipContent::Midi,
                start: Moment(i64::from(at) * 4 * beat),
                length: Moment(4 * beat),
                ..Clip::default()
            })?;
            for step in 0..4 {
                let id = NoteId(edit.id());
                edit.put(Note {
                    id,
                    clip,
                    pitch: 48 + ((number * 7 + at * 3 + step * 5) % 36) as u8,
                    start: Ticks(i64::from(step) * beat),
                    length: Ticks(beat / 2),
                    velocity: 40_000,
                    probability: 1.0,
                    ..Note::default()
                })?;
            }
        }
    }
    Ok(())
}
