//! How loud a render is before it is written, and by how much it is turned for that.
//!
//! A pass of its own: what it renders lies in the cache for the one that writes, so
//! that it costs little more than reading.

use std::path::PathBuf;

use pulse_engine::loudness_report::{LoudnessMeter, LoudnessReport};
use pulse_query::render::{Report, Song};
use pulse_schemas::{command::rendering::Normalise, graph::OutputKind};

use super::{Renderer, RenderingError, Request, Span, Watch, files::Held};

impl Renderer<'_> {
    /// By how many decibels everything is turned, and what the pass had to render. The mix
    /// decides where it is written, else the loudest of the others: turned alike, stems
    /// still sum to the mix.
    pub(super) fn measure(
        &self,
        request: &Request,
        song: &Song,
        span: &Span,
        paths: &[(OutputKind, Option<PathBuf>)],
        level: Normalise,
        watch: &Watch,
    ) -> Result<(f64, Report), RenderingError> {
        let form = request.form(1.0);
        let mix = paths.iter().any(|(kind, path)| *kind == OutputKind::Master && path.is_some());
        let mut meters = Vec::new();
        for (kind, path) in paths {
            let measured = path.is_some() && (!mix || *kind == OutputKind::Master);
            meters.push(match measured {
                true => {
                    Some((LoudnessMeter::new(song.rate(), form.channels())?, Held::new(form.quiet)))
                }
                false => None,
            });
        }
        let mut failed = None;
        let report = self.run(request, song, span.range.clone(), watch, &mut |piece| {
            let Some(Some((meter, held))) = meters.get_mut(piece.output) else { return true };
            // As it will be written: silence at the end is no part of it.
            let passed = held.pass(piece.frame, piece.left, piece.right, span.trim_from);
            let mut measure = |[left, right]: &[Vec<f32>; 2]| {
                let planes = form.planes(left, right);
                meter.push(&planes.iter().map(Vec::as_slice).collect::<Vec<_>>())
            };
            passed.iter().try_for_each(&mut measure).map_err(|error| failed = Some(error)).is_ok()
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let reports: Vec<LoudnessReport> =
            meters.into_iter().flatten().map(|(meter, _)| meter.report()).collect();
        Ok((turn(level, &reports), report?))
    }
}

/// Silence has no level that could be reached.
fn turn(level: Normalise, reports: &[LoudnessReport]) -> f64 {
    let loudest =
        |of: fn(&LoudnessReport) -> f64| reports.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    let by = match level {
        Normalise::Peak(peak) => peak - loudest(|it| it.true_peak_dbtp),
        Normalise::Loudness(lufs) => lufs - loudest(|it| it.integrated_lufs),
    };
    if by.is_finite() { by } else { 0.0 }
}
