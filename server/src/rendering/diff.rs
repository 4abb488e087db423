//! Listening to a difference: A, B and A − B, and where they are apart.

use std::path::Path;

use pulse_engine::file::Depth;
use pulse_query::{
    graph::Scope,
    render::{self, Song},
};
use pulse_schemas::graph::OutputKind;
use serde_json::{Value, json};

use super::{Outcome, Renderer, RenderingError, Request, Watch, files::FileWriter};

/// Two stretches that are closer than this are told as one, in seconds.
const GAP: f64 = 0.25;

/// A stretch where two revisions sound different.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Frames of the song.
    pub start: i64,
    pub end: i64,
    /// Peak of A − B, linear.
    pub peak: f32,
}

impl Difference {
    pub fn json(&self, rate: u32) -> Value {
        let seconds = |frame: i64| frame as f64 / f64::from(rate.max(1));
        json!({
            "start_s": seconds(self.start),
            "end_s": seconds(self.end),
            "peak_db": 20.0 * f64::from(self.peak.max(1e-9)).log10(),
        })
    }
}

/// The three files and where A and B differ.
pub struct AudibleDiff {
    pub outcome: Outcome,
    pub differences: Vec<Difference>,
}

/// Renders both revisions over the longer one's range and writes `a.wav`,
/// `b.wav` and `difference.wav` into a folder; with no folder, only compares.
///
/// Nothing is computed for what is equal: both come from the cache, segment by
/// segment, and only where they are apart do keys differ.
pub fn audible_diff(
    a: &Renderer<'_>,
    b: &Renderer<'_>,
    request: &Request,
    folder: Option<&Path>,
    watch: &Watch,
) -> Result<AudibleDiff, RenderingError> {
    let began = std::time::Instant::now();
    let request = Request { rate: Some(b.rate(request)), ..request.clone() };
    let (song_a, song_b) = (a.song(&request, &Scope::mix())?, b.song(&request, &Scope::mix())?);
    let (range_a, range_b) = (a.range(&request, &song_a)?, b.range(&request, &song_b)?);
    let range = range_a.start.min(range_b.start)..range_a.end.max(range_b.end);
    let sound_a = collect(a, &song_a, &request, range.clone(), watch)?;
    let sound_b = collect(b, &song_b, &request, range.clone(), watch)?;
    let apart: [Vec<f32>; 2] = std::array::from_fn(|channel| {
        sound_a.0[channel].iter().zip(&sound_b.0[channel]).map(|(a, b)| a - b).collect()
    });
    let rate = song_b.rate();
    let differences = stretches(&apart, range.start, (GAP * f64::from(rate)) as i64);
    let mut files = Vec::new();
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.to_owned(), error })?;
        for (name, sound) in [("a", &sound_a.0), ("b", &sound_b.0), ("difference", &apart)] {
            let path = folder.join(format!("{name}.wav"));
            let depth = if name == "difference" { Depth::Float32 } else { request.depth };
            let mut writer = FileWriter::create(path, OutputKind::Master, depth, rate)?;
            writer.write(range.start, &sound[0], &sound[1], range.end)?;
            files.push(writer.finish()?);
        }
    }
    let mut report = sound_a.1;
    report.total += sound_b.1.total;
    report.hit += sound_b.1.hit;
    report.rendered += sound_b.1.rendered;
    let frames = (range.end - range.start).unsigned_abs();
    let wall_ms = began.elapsed().as_secs_f64() * 1_000.0;
    Ok(AudibleDiff { outcome: Outcome { files, rate, frames, wall_ms, report }, differences })
}

type Sound = ([Vec<f32>; 2], render::Report);

fn collect(
    renderer: &Renderer<'_>,
    song: &Song,
    request: &Request,
    range: std::ops::Range<i64>,
    watch: &Watch,
) -> Result<Sound, RenderingError> {
    let mut sound: [Vec<f32>; 2] = Default::default();
    let outputs = song.outputs();
    let options = renderer.options(request, song, watch);
    let report = render::render(
        song,
        &renderer.media,
        renderer.cache,
        range.clone(),
        &options,
        &mut |piece| {
            watch.set(piece.frame - range.start, range.end - range.start);
            if outputs.get(piece.output) == Some(&OutputKind::Master) {
                sound[0].extend_from_slice(piece.left);
                sound[1].extend_from_slice(piece.right);
            }
            true
        },
    )?;
    Ok((sound, report))
}

/// The stretches that are not zero, joined over short gaps.
fn stretches(apart: &[Vec<f32>; 2], offset: i64, gap: i64) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    for (at, (left, right)) in apart[0].iter().zip(&apart[1]).enumerate() {
        let peak = left.abs().max(right.abs());
        if peak == 0.0 {
            continue;
        }
        let frame = offset + at as i64;
        match found.last_mut() {
            Some(last) if frame - last.end <= gap => {
                last.end = frame + 1;
                last.peak = last.peak.max(peak);
            }
            _ => found.push(Difference { start: frame, end: frame + 1, peak }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_as_stretches() {
        let mut left = vec![0.0f32; 100];
        left[10] = 0.5;
        left[12] = -0.25;
        left[60] = 0.1;
        let found = stretches(&[left, vec![0.0; 100]], 1_000, 5);
        assert_eq!(
            found,
            [
                Difference { start: 1_010, end: 1_013, peak: 0.5 },
                Difference { start: 1_060, end: 1_061, peak: 0.1 },
            ]
        );
    }
}
