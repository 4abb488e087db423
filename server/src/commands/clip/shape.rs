//! Edges, content and time of single clips.

use pulse_schemas::{
    command::clip::{Crossfade, Edge, Resize, Resized, SetLoop, SetTimebase, Slip, Stretch},
    entity::{AudioRegion, AutomationPoint, Clip, ClipContent, Fade, MidiEvent, Note, StretchMode},
    error::ErrorCode,
    time::{Moment, TempoMap, Ticks, Timebase},
};

use super::{
    content::envelopes_of,
    cut::{make_room, set_end, set_start},
};
use crate::{
    commands::{
        edit::{Edit, done, reply},
        note::times,
        time::{Tempos, convert, end_of, out_of_range},
        words::counted,
    },
    refusal::{Refusal, Reply},
};

/// Fades never reach beyond the clip.
pub fn fit_fades(clip: &mut Clip) {
    clip.fade_in.length = clip.fade_in.length.min(clip.length);
    clip.fade_out.length = clip.fade_out.length.min(clip.length);
}

pub fn resize(edit: &mut Edit<'_, '_>, payload: &Resize) -> Reply {
    let mut clip: Clip = edit.get(payload.clip)?;
    edit.label("Resize a clip");
    let fits = match payload.edge {
        Edge::Start => (Moment::ZERO..end_of(&clip)).contains(&payload.to),
        Edge::End => payload.to > clip.start,
    };
    if !fits {
        let text = "the clip would have no length, or begin before the arrangement does";
        return Err(Refusal::range("payload.to", text));
    }
    match payload.edge {
        Edge::Start => set_start(&mut clip, payload.to),
        Edge::End => set_end(&mut clip, payload.to),
    }
    let (start, length) = (clip.start, clip.length);
    edit.put(clip)?;
    let trimmed = make_room(edit, &mut Tempos::default(), &[payload.clip], payload.overlap)?;
    reply(Resized { start, length, trimmed })
}

pub fn slip(edit: &mut Edit<'_, '_>, payload: &Slip) -> Reply {
    let mut clip: Clip = edit.get(payload.clip)?;
    edit.label("Slip a clip");
    clip.slip = clip.slip.checked_sub(payload.by).ok_or_else(|| out_of_range("payload.by"))?;
    if let Some(length) = clip.loop_length.filter(|_| clip.slip < clip.loop_start) {
        // A loop has no content before its beginning to show.
        let into = (clip.slip.0 - clip.loop_start.0).rem_euclid(length.0);
        clip.slip = clip.loop_start.saturating_add(Moment(into));
    }
    edit.put(clip)?;
    done()
}

pub fn set_loop(edit: &mut Edit<'_, '_>, payload: &SetLoop) -> Reply {
    edit.label(if payload.length.is_some() { "Loop a clip" } else { "End the loop of a clip" });
    edit.update::<Clip>(payload.clip, |clip| {
        clip.loop_length = payload.length;
        clip.loop_start = payload.start.unwrap_or(clip.loop_start);
    })?;
    done()
}

pub fn set_timebase(edit: &mut Edit<'_, '_>, payload: &SetTimebase) -> Reply {
    edit.label(match payload.timebase {
        Timebase::Musical => {
            format!("Let {} follow the tempo", counted(payload.clips.len(), "clip"))
        }
        Timebase::Absolute => format!("Fix {} in time", counted(payload.clips.len(), "clip")),
    });
    let mut tempos = Tempos::default();
    for id in &payload.clips {
        let mut clip: Clip = edit.get(*id)?;
        if clip.timebase == payload.timebase {
            continue;
        }
        let tempo = tempos.of(edit, clip.lane)?;
        let old = clip.clone();
        rebase(&mut clip, &tempo, payload.timebase);
        edit.put(clip)?;
        for mut region in edit.members::<AudioRegion>(*id)? {
            let inside = Inside { clip: &old, tempo: &tempo, to: payload.timebase };
            region.warp.iter_mut().for_each(|anchor| anchor.at = inside.length(anchor.at));
            edit.put(region)?;
        }
    }
    done()
}

/// Lengths inside a clip, measured from its start, in another timebase.
struct Inside<'a> {
    clip: &'a Clip,
    tempo: &'a TempoMap,
    to: Timebase,
}

impl Inside<'_> {
    fn at(&self, after_start: Moment) -> Moment {
        let at = self.clip.start.saturating_add(after_start);
        convert(self.tempo, self.clip.timebase, at, self.to)
    }

    fn length(&self, length: Moment) -> Moment {
        self.at(length).saturating_sub(self.at(Moment::ZERO))
    }
}

fn rebase(clip: &mut Clip, tempo: &TempoMap, to: Timebase) {
    let old = clip.clone();
    let inside = Inside { clip: &old, tempo, to };
    clip.timebase = to;
    clip.start = inside.at(Moment::ZERO);
    clip.length = Moment(inside.length(old.length).0.max(1));
    clip.slip = inside.length(old.slip);
    clip.loop_start = inside.length(old.loop_start);
    clip.loop_length = old.loop_length.map(|length| Moment(inside.length(length).0.max(1)));
    clip.fade_in.length = inside.length(old.fade_in.length);
    let until = old.length.saturating_sub(old.fade_out.length);
    clip.fade_out.length = inside.at(old.length).saturating_sub(inside.at(until));
    fit_fades(clip);
}

pub fn stretch(edit: &mut Edit<'_, '_>, payload: &Stretch) -> Reply {
    let clip: Clip = edit.get(payload.clip)?;
    edit.label("Stretch a clip");
    let tempo = Tempos::default().of(edit, clip.lane)?;
    let start = clip.start;
    stretch_to(edit, clip, start, payload.length, &tempo)?;
    done()
}

/// Gives a clip another place and length; its content is stretched to fit.
pub fn stretch_to(
    edit: &mut Edit<'_, '_>,
    mut clip: Clip,
    start: Moment,
    length: Moment,
    tempo: &TempoMap,
) -> Result<(), Refusal> {
    let factor = length.0 as f64 / clip.length.0 as f64;
    let scaled = |at: Moment| Moment(times(at.0, factor));
    if clip.content == ClipContent::Audio {
        stretch_audio(edit, &mut clip, factor, tempo)?;
    }
    for mut note in edit.members::<Note>(clip.id)? {
        note.start = Ticks(times(note.start.0, factor)).clamped();
        note.length = Ticks(times(note.length.0, factor).max(1)).clamped();
        for point in &mut note.expression {
            point.at = Ticks(times(point.at.0, factor)).clamped();
        }
        edit.put(note)?;
    }
    for mut event in edit.members::<MidiEvent>(clip.id)? {
        event.at = Ticks(times(event.at.0, factor)).clamped();
        edit.put(event)?;
    }
    for envelope in envelopes_of(&edit.view()?, clip.id)? {
        for mut point in edit.members::<AutomationPoint>(envelope.id)? {
            point.at = scaled(point.at);
            edit.put(point)?;
        }
    }
    clip.slip = scaled(clip.slip);
    clip.loop_start = scaled(clip.loop_start);
    clip.loop_length = clip.loop_length.map(|length| Moment(scaled(length).0.max(1)));
    clip.fade_in.length = scaled(clip.fade_in.length);
    clip.fade_out.length = scaled(clip.fade_out.length);
    (clip.start, clip.length) = (start, length);
    fit_fades(&mut clip);
    edit.put(clip)
}

/// Anchors move apart; material without any is said to have another tempo,
/// which is what makes it play slower or faster.
fn stretch_audio(
    edit: &mut Edit<'_, '_>,
    clip: &mut Clip,
    factor: f64,
    tempo: &TempoMap,
) -> Result<(), Refusal> {
    let at = convert(tempo, clip.timebase, clip.start, Timebase::Musical);
    let here = tempo.bpm_at(at.as_ticks());
    for mut region in edit.members::<AudioRegion>(clip.id)? {
        if region.warp.len() >= 2 {
            for anchor in &mut region.warp {
                anchor.at = Moment(times(anchor.at.0, factor));
            }
        } else {
            let follows = clip.stretch != StretchMode::Off;
            let bpm = region.source_bpm.filter(|_| follows).unwrap_or(here);
            region.source_bpm = Some(bpm * factor);
        }
        edit.put(region)?;
    }
    if clip.stretch == StretchMode::Off {
        clip.stretch = StretchMode::Stretch;
    }
    Ok(())
}

pub fn crossfade(edit: &mut Edit<'_, '_>, payload: &Crossfade) -> Reply {
    let mut left: Clip = edit.get(payload.left)?;
    let mut right: Clip = edit.get(payload.right)?;
    edit.label("Cross-fade two clips");
    if left.lane != right.lane {
        let text = "clips of two lanes don't cross-fade; move them to one lane first";
        return Err(
            Refusal::new(ErrorCode::EntityInvalid, text).with("entity", right.id.any().to_string())
        );
    }
    let tempo = Tempos::default().of(edit, left.lane)?;
    let (there, here) = (right.timebase, left.timebase);
    let to_left = |at| convert(&tempo, there, at, here);
    let to_right = |at| convert(&tempo, here, at, there);
    let (from, until) = (to_left(right.start), end_of(&left));
    let half = Moment(payload.length.0 / 2);
    let middle = Moment(from.0 + (until.0 - from.0) / 2);
    let start = middle.saturating_sub(payload.length.saturating_sub(half));
    let end = middle.saturating_add(half);
    let touches = left.start < from && from <= until;
    let fits = left.start < start && end < to_left(end_of(&right));
    if !touches || !fits {
        let text = "the clips must touch or overlap and both be longer than the cross-fade";
        return Err(Refusal::range("payload.length", text));
    }
    let shape = payload.shape.unwrap_or_default();
    set_end(&mut left, end);
    set_start(&mut right, to_right(start));
    let length = to_right(end).saturating_sub(to_right(start));
    left.fade_out = Fade { length: payload.length, shape, curve: 0.0 };
    right.fade_in = Fade { length, shape, curve: 0.0 };
    fit_fades(&mut left);
    fit_fades(&mut right);
    edit.put(left)?;
    edit.put(right)?;
    done()
}
