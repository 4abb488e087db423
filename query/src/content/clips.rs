//! Audio clips and sampler zones, with their media named by content.

use pulse_schemas::{
    entity::{
        AudioRegion, Clip, ClipContent, Fade as ClipFade, FadeShape as ClipFadeShape, KitSlot,
        Lane, MediaItem, StretchMode as ClipStretch, Track, TriggerMode,
    },
    graph::{
        ClipLoop, Fade, FadeShape, PlacedClip, Stretch, StretchMode, WarpAnchor, ZoneLoop, ZoneSpec,
    },
    id::{KitId, MediaId},
    time::{Moment, Ticks},
};

use super::{Ctx, waits_in_slot};
use crate::source::{Source, SourceExt};

/// The clips that sound on a lane, by start and id. A clip whose media are not
/// decoded yet has no content to name, and is silent.
pub fn lane_clips(ctx: &Ctx<'_>, lane: &Lane) -> Vec<PlacedClip> {
    let mut placed: Vec<PlacedClip> = ctx
        .source
        .referring::<Clip>(lane.id)
        .iter()
        .filter(|clip| clip.lane == lane.id && clip.content == ClipContent::Audio && !clip.mute)
        .filter(|clip| !waits_in_slot(ctx.source, clip))
        .filter_map(|clip| place(ctx, clip))
        .collect();
    placed.sort_by_key(|clip| (clip.start_frame, clip.id));
    placed
}

pub(super) fn place(ctx: &Ctx<'_>, clip: &Clip) -> Option<PlacedClip> {
    let region = ctx.source.members_of::<AudioRegion>(clip.id.0).into_iter().next()?;
    let media: MediaItem = ctx.source.get(region.media.0)?;
    let frames = Frames { ctx, clip };
    let start_frame = frames.at(Moment(0));
    let length = frames.at(clip.length) - start_frame;
    let available = media.format.frames.saturating_sub(region.source_start);
    let source_frames = match region.source_length {
        0 => available,
        length => length.min(available),
    };
    Some(PlacedClip {
        id: clip.id.any(),
        media: media.content?,
        start_frame,
        frames: u64::try_from(length).ok().filter(|frames| *frames > 0)?,
        source_start: region.source_start,
        source_frames,
        slip: frames.signed(clip.slip),
        repeat: clip.loop_length.map(|length| ClipLoop {
            start: frames.length(clip.loop_start),
            length: frames.length(length).max(1),
        }),
        gain: gain(clip.gain_db),
        pan: clip.pan,
        fade_in: fade(&frames, &clip.fade_in, Moment(0)),
        fade_out: fade(&frames, &clip.fade_out, Moment(clip.length.0 - clip.fade_out.length.0)),
        reverse: clip.reverse,
        stretch: stretch(&frames, clip, &region),
    })
}

/// Linear gain; the quietest value is silence.
pub(super) fn gain(db: f64) -> f64 {
    if db <= -144.0 { 0.0 } else { libm::pow(10.0, db / 20.0) }
}

/// Positions inside a clip as frames of the render.
struct Frames<'a> {
    ctx: &'a Ctx<'a>,
    clip: &'a Clip,
}

impl Frames<'_> {
    fn at(&self, after_start: Moment) -> i64 {
        let moment = self.clip.start.saturating_add(after_start);
        self.ctx.tempo.frame_of(self.clip.timebase, moment, self.ctx.rate)
    }

    /// A distance that may lead back, measured from the start of the clip.
    fn signed(&self, distance: Moment) -> i64 {
        match distance.0 {
            0.. => self.length(distance) as i64,
            back => -(self.length(Moment(back.saturating_neg())) as i64),
        }
    }

    /// A length inside the content, measured from the start of the clip.
    fn length(&self, length: Moment) -> u64 {
        let frames = self.at(Moment(length.0.max(0))) - self.at(Moment(0));
        u64::try_from(frames).unwrap_or(0)
    }
}

fn fade(frames: &Frames<'_>, fade: &ClipFade, from: Moment) -> Fade {
    let length = frames.at(from.saturating_add(fade.length)) - frames.at(from);
    let shape = match fade.shape {
        ClipFadeShape::Linear => FadeShape::Linear,
        ClipFadeShape::EqualPower => FadeShape::EqualPower,
        ClipFadeShape::SCurve => FadeShape::SCurve,
        ClipFadeShape::Exponential => FadeShape::Exponential,
    };
    Fade { frames: u64::try_from(length).unwrap_or(0), shape }
}

fn stretch(frames: &Frames<'_>, clip: &Clip, region: &AudioRegion) -> Stretch {
    let mode = match clip.stretch {
        ClipStretch::Off => StretchMode::None,
        ClipStretch::Repitch => StretchMode::Repitch,
        ClipStretch::Stretch => StretchMode::Elastic,
    };
    let start: Ticks = frames.ctx.tempo.ticks_of(clip.timebase, clip.start);
    let ratio = match (mode, region.source_bpm) {
        (StretchMode::None, _) | (_, None) => 1.0,
        (_, Some(source)) => frames.ctx.tempo.bpm_at(start) / source,
    };
    let anchors = region.warp.iter().map(|anchor| WarpAnchor {
        source_frame: anchor.source as f64,
        content_frame: frames.length(anchor.at) as f64,
    });
    let anchors = if mode == StretchMode::None { vec![] } else { anchors.collect() };
    Stretch { mode, ratio, pitch: clip.transpose, anchors }
}

/// The render that stands in for a frozen track.
pub fn frozen_clip(ctx: &Ctx<'_>, track: &Track, media: MediaId) -> Option<PlacedClip> {
    let media: MediaItem = ctx.source.get(media.0)?;
    let seconds = media.format.frames as f64 / f64::from(media.format.sample_rate.max(1));
    Some(PlacedClip {
        id: track.id.any(),
        media: media.content?,
        start_frame: 0,
        frames: libm::ceil(seconds * f64::from(ctx.rate)) as u64,
        source_start: 0,
        source_frames: media.format.frames,
        slip: 0,
        repeat: None,
        gain: 1.0,
        pan: 0.0,
        fade_in: Fade::default(),
        fade_out: Fade::default(),
        reverse: false,
        stretch: Stretch { ratio: 1.0, ..Stretch::default() },
    })
}

/// The zones of a kit, by id.
pub fn zones(source: &dyn Source, kit: KitId) -> Vec<ZoneSpec> {
    let slots = source.members_of::<KitSlot>(kit.0);
    let mut turns = std::collections::BTreeMap::<u8, u16>::new();
    slots
        .iter()
        .filter_map(|slot| {
            let turn = turns.entry(slot.round_robin).or_default();
            let index = *turn;
            *turn += 1;
            zone(source, slot, index)
        })
        .collect()
}

fn zone(source: &dyn Source, slot: &KitSlot, round_robin_index: u16) -> Option<ZoneSpec> {
    let media: MediaItem = source.get(slot.media?.0)?;
    let one_shot = slot.trigger == TriggerMode::OneShot;
    Some(ZoneSpec {
        id: slot.id.any(),
        media: media.content?,
        source_start: slot.start,
        source_frames: media.format.frames.saturating_sub(slot.start),
        key_low: slot.key_low,
        key_high: slot.key_high,
        velocity_low: f32::from(slot.velocity_low) / 65_535.0,
        velocity_high: f32::from(slot.velocity_high) / 65_535.0,
        root_key: f64::from(slot.root),
        key_tracking: if slot.key_low == slot.key_high { 0.0 } else { 1.0 },
        tune_cents: slot.tuning,
        gain: gain(slot.gain_db),
        pan: slot.pan,
        repeat: slot.loop_start.zip(slot.loop_end).map(|(start, end)| ZoneLoop {
            start,
            end,
            crossfade: 0,
            ping_pong: false,
            through_release: true,
        }),
        one_shot,
        reverse: false,
        choke_group: u16::from(slot.choke_group),
        round_robin_group: u16::from(slot.round_robin),
        round_robin_index,
    })
}
