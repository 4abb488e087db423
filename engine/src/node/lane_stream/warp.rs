//! Warp anchors: source frames pinned to content frames. Between two anchors the
//! material is stretched evenly; before the first and after the last it goes on at the
//! speed of the nearest pair. Pieces are stretched one by one with some material on
//! both sides and joined by short crossfades at the anchors, so every anchor lies
//! exactly where it was put, however long the clip.

use pulse_schemas::graph::{PlacedClip, WarpAnchor};

use super::stretch::Method;
use crate::{
    buffer::{AudioBuffer, AudioSource},
    node::media::read_range,
};

/// Output frames stretched on both sides of a piece.
const MARGIN: f64 = 2_048.0;
/// Half of a crossfade between pieces, in output frames.
const HALF_FADE: i64 = 96;
/// A stretched clip is held in memory; longer content is cut (an hour at 192 kHz).
const MOST_FRAMES: f64 = 6.912e8;

/// A straight piece of the map.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    content: (f64, f64),
    source: (f64, f64),
}

impl Piece {
    /// Source frames per content frame.
    fn slope(&self) -> f64 {
        (self.source.1 - self.source.0) / (self.content.1 - self.content.0)
    }
}

/// The pieces that cover the clip's source range from content frame 0 on.
fn pieces(spec: &PlacedClip, source_frames: u64, rates: (u32, u32)) -> Vec<Piece> {
    let (from, to) = (spec.source_start as f64, (spec.source_start + source_frames) as f64);
    let even = spec.stretch.ratio * f64::from(rates.0) / f64::from(rates.1);
    let anchors = usable(&spec.stretch.anchors);
    let knots: Vec<(f64, f64)> = match anchors.as_slice() {
        [] => vec![(0.0, from), (1.0, from + even)],
        [one] => {
            let (content, source) = (one.content_frame, one.source_frame);
            vec![(content, source), (content + 1.0, source + even)]
        }
        more => more.iter().map(|anchor| (anchor.content_frame, anchor.source_frame)).collect(),
    };
    let last = knots.len() - 2;
    (0..=last)
        .filter_map(|i| {
            let whole = Piece {
                content: (knots[i].0, knots[i + 1].0),
                source: (knots[i].1, knots[i + 1].1),
            };
            let low = if i == 0 { f64::NEG_INFINITY } else { whole.content.0 };
            let high = if i == last { f64::INFINITY } else { whole.content.1 };
            clip_piece(whole, low.max(0.0), high, from, to)
        })
        .collect()
}

/// The part of the line through a piece that lies within content and source bounds.
fn clip_piece(line: Piece, low: f64, high: f64, from: f64, to: f64) -> Option<Piece> {
    let slope = line.slope();
    if !(slope.is_finite() && slope > 0.0) {
        return None;
    }
    let content_at = |source: f64| line.content.0 + (source - line.source.0) / slope;
    let source_at = |content: f64| line.source.0 + (content - line.content.0) * slope;
    let start = low.max(content_at(from));
    let end = high.min(content_at(to)).min(MOST_FRAMES);
    (end - start >= 1.0)
        .then(|| Piece { content: (start, end), source: (source_at(start), source_at(end)) })
}

/// Anchors that rise in both coordinates; others are passed over.
fn usable(anchors: &[WarpAnchor]) -> Vec<WarpAnchor> {
    let mut kept: Vec<WarpAnchor> = Vec::with_capacity(anchors.len());
    for anchor in anchors {
        let finite = anchor.source_frame.is_finite() && anchor.content_frame.is_finite();
        let rises = kept.last().is_none_or(|last| {
            anchor.source_frame > last.source_frame && anchor.content_frame > last.content_frame
        });
        if finite && rises {
            kept.push(*anchor);
        }
    }
    kept
}

/// The whole content of a stretched clip at `rate`, or `None` if the method cannot.
pub fn render(
    spec: &PlacedClip,
    source: &dyn AudioSource,
    source_frames: u64,
    rate: u32,
    method: Method,
) -> Option<AudioBuffer> {
    let pieces = pieces(spec, source_frames, (source.rate(), rate));
    let frames = libm::ceil(pieces.last()?.content.1) as usize;
    let mut made = AudioBuffer::silent(rate, source.channels().clamp(1, 2), frames);
    for (i, piece) in pieces.iter().enumerate() {
        let joined = (i > 0, i + 1 < pieces.len());
        add_piece(spec, source, piece, joined, method, &mut made)?;
    }
    Some(made)
}

fn add_piece(
    spec: &PlacedClip,
    source: &dyn AudioSource,
    piece: &Piece,
    joined: (bool, bool),
    method: Method,
    made: &mut AudioBuffer,
) -> Option<()> {
    let slope = piece.slope();
    let margin = MARGIN * slope;
    let from = libm::floor(piece.source.0 - margin).max(0.0) as u64;
    let to = (libm::ceil(piece.source.1 + margin) as u64).min(source.frames());
    let audio = read_range(source, from, to.saturating_sub(from))?;
    let tempo = slope * f64::from(made.rate()) / f64::from(source.rate());
    let stretched = method(&audio, made.rate(), tempo, spec.stretch.pitch)?;
    let start = libm::rint(piece.content.0) as i64;
    let end = libm::rint(piece.content.1) as i64;
    // The stretched frame that lies on content frame 0.
    let shift = libm::rint((piece.source.0 - from as f64) / slope) as i64 - start;
    let before = if joined.0 { HALF_FADE } else { 0 };
    let after = if joined.1 { HALF_FADE } else { 0 };
    for channel in 0..made.channels() {
        let input = stretched.channel(channel);
        let output = made.channel_mut(channel);
        for frame in (start - before).max(0)..(end + after).min(output.len() as i64) {
            let found = usize::try_from(frame + shift).ok().and_then(|at| input.get(at));
            let gain = edge(frame - start, before) * edge(end - frame, after);
            output[frame as usize] += (f64::from(found.copied().unwrap_or(0.0)) * gain) as f32;
        }
    }
    Some(())
}

/// Half of a linear crossfade, `distance` frames inside an edge.
fn edge(distance: i64, half: i64) -> f64 {
    if half == 0 {
        return 1.0;
    }
    (0.5 + distance as f64 / (2 * half) as f64).clamp(0.0, 1.0)
}
