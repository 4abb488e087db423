//! The feel of notes: pulled onto a raster, loosened, measured.

use pulse_schemas::{
    command::{
        clip::QuantiseTo,
        note::{Changed, ExtractGroove, GrooveExtracted, Humanise, Humanised, Quantise},
    },
    entity::{Clip, GrooveTemplate, Note},
    id::GrooveId,
    time::{Groove, Quantise as Raster, Ticks, Timebase},
};

use super::{chosen, midi_clip};
use crate::{
    commands::{
        edit::{Edit, reply},
        time::{Tempos, convert},
        words::counted,
    },
    refusal::{Refusal, Reply},
};

/// A raster to move things onto: even, swung, or a groove.
pub struct Pull {
    raster: Raster,
    groove: Option<GrooveTemplate>,
    pub ends: bool,
}

impl Pull {
    pub fn new(edit: &mut Edit<'_, '_>, to: &QuantiseTo) -> Result<Pull, Refusal> {
        let groove = to.groove.map(|id| edit.get::<GrooveTemplate>(id)).transpose()?;
        let raster = Raster {
            grid: groove.as_ref().map_or(to.grid, |groove| groove.step),
            strength: to.strength.unwrap_or(1.0),
            swing: if groove.is_some() { 0.0 } else { to.swing.unwrap_or(0.0) },
        };
        Ok(Pull { raster, groove, ends: to.ends })
    }

    /// Where a position goes; the raster is counted from `origin`.
    pub fn apply(&self, at: Ticks, origin: Ticks) -> Ticks {
        let Some(groove) = &self.groove else { return self.raster.apply(at, origin) };
        let line = Raster { strength: 1.0, ..self.raster }.apply(at, origin);
        let feel = Groove { step: groove.step, offsets: &groove.offsets };
        let target = feel.apply(line, origin, 1.0);
        let way = (target.0 - at.0) as f64 * self.raster.strength;
        at.saturating_add(Ticks((way + 0.5).floor() as i64))
    }

    /// The velocity that the groove's accent at a place gives.
    fn accent(&self, at: Ticks, origin: Ticks, velocity: u16) -> u16 {
        let Some(groove) = self.groove.as_ref().filter(|groove| !groove.accents.is_empty()) else {
            return velocity;
        };
        let step = (at.0 - origin.0 + groove.step.0 / 2).div_euclid(groove.step.0);
        let index = step.rem_euclid(groove.accents.len() as i64) as usize;
        let factor = 1.0 + (groove.accents[index] - 1.0) * self.raster.strength;
        level(f64::from(velocity) * factor)
    }
}

/// A velocity from a number, kept above the silence of 0.
pub fn level(value: f64) -> u16 {
    (value + 0.5).floor().clamp(1.0, 65_535.0) as u16
}

/// Where the arrangement's beginning lies in the content of a clip, so that
/// notes land on the bars that one sees and not on those of the clip.
fn origin(edit: &mut Edit<'_, '_>, clip: &Clip) -> Result<Ticks, Refusal> {
    let tempo = Tempos::default().of(edit, clip.lane)?;
    let start = convert(&tempo, clip.timebase, clip.start, Timebase::Musical);
    let slip = match clip.timebase {
        Timebase::Musical => clip.slip,
        Timebase::Absolute => pulse_schemas::time::Moment::ZERO,
    };
    Ok(slip.saturating_sub(start).as_ticks())
}

pub fn quantise(edit: &mut Edit<'_, '_>, payload: &Quantise) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let pull = Pull::new(edit, &payload.quantise)?;
    let origin = origin(edit, &clip)?;
    let notes = chosen(edit, clip.id, &payload.notes)?;
    edit.label(format!("Quantise {}", counted(notes.len(), "note")));
    let mut changed = 0;
    for note in notes {
        let mut new = note.clone();
        new.start = pull.apply(note.start, origin);
        if pull.ends {
            let end = pull.apply(note.start.saturating_add(note.length), origin);
            new.length = Ticks(end.saturating_sub(new.start).0.max(1));
        }
        new.velocity = pull.accent(new.start, origin, note.velocity);
        changed += u64::from(put_if_new(edit, &note, new)?);
    }
    reply(Changed { changed })
}

fn put_if_new(edit: &mut Edit<'_, '_>, old: &Note, new: Note) -> Result<bool, Refusal> {
    let is_new = *old != new;
    if is_new {
        edit.put(new)?;
    }
    Ok(is_new)
}

pub fn humanise(edit: &mut Edit<'_, '_>, payload: &Humanise) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let notes = chosen(edit, clip.id, &payload.notes)?;
    edit.label(format!("Humanise {}", counted(notes.len(), "note")));
    let (timing, velocity) = (payload.timing.unwrap_or_default(), payload.velocity.unwrap_or(0));
    let mut changed = 0;
    for note in notes {
        let (time, force) = chance(payload.seed, &note);
        let by = (timing.0.unsigned_abs() as f64 * time).round() as i64;
        let mut new = note.clone();
        new.start = note.start.saturating_add(Ticks(by));
        if velocity > 0 {
            new.velocity = level(f64::from(note.velocity) + f64::from(velocity) * force);
        }
        changed += u64::from(put_if_new(edit, &note, new)?);
    }
    reply(Humanised { changed })
}

/// Two numbers from −1 to 1 that depend on the seed and the note and on
/// nothing else.
fn chance(seed: u64, note: &Note) -> (f64, f64) {
    let mut hasher = blake3::Hasher::new_derive_key("pulse humanise v1");
    hasher.update(&seed.to_be_bytes());
    hasher.update(&note.id.0.to_bytes());
    let hash = hasher.finalize();
    let number = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[from..from + 8]);
        (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (number(0), number(8))
}

pub fn extract_groove(edit: &mut Edit<'_, '_>, payload: &ExtractGroove) -> Reply {
    let clip = midi_clip(edit, payload.clip)?;
    let notes = chosen(edit, clip.id, &[])?;
    if notes.is_empty() {
        return Err(Refusal::range("payload.clip", "the clip has no notes to measure"));
    }
    edit.label(format!("Extract groove {}", payload.name));
    let mut steps = vec![Step::default(); payload.steps as usize];
    let mut all = Step::default();
    for note in &notes {
        let number = note.start.saturating_add(Ticks(payload.step.0 / 2)).0;
        let number = number.div_euclid(payload.step.0);
        let late = note.start.0 - number * payload.step.0;
        let at = number.rem_euclid(i64::from(payload.steps)) as usize;
        steps[at].take(late, note.velocity);
        all.take(late, note.velocity);
    }
    let mean = all.velocity() as f64;
    let id = GrooveId(edit.id());
    edit.put(GrooveTemplate {
        id,
        name: payload.name.clone(),
        step: payload.step,
        offsets: steps.iter().map(|step| Ticks(step.late())).collect(),
        accents: steps.iter().map(|step| step.accent(mean)).collect(),
    })?;
    reply(GrooveExtracted { groove: id })
}

/// What the notes near one step have in common.
#[derive(Clone, Default)]
struct Step {
    count: i64,
    late: i64,
    velocity: i64,
}

impl Step {
    fn take(&mut self, late: i64, velocity: u16) {
        self.count += 1;
        self.late = self.late.saturating_add(late);
        self.velocity += i64::from(velocity);
    }

    fn late(&self) -> i64 {
        self.late.checked_div(self.count).unwrap_or(0)
    }

    fn velocity(&self) -> i64 {
        self.velocity.checked_div(self.count).unwrap_or(0)
    }

    fn accent(&self, mean: f64) -> f64 {
        match self.count {
            0 => 1.0,
            _ if mean == 0.0 => 1.0,
            _ => (self.velocity() as f64 / mean).clamp(0.0, 2.0),
        }
    }
}
