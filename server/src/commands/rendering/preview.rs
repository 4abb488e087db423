//! Previews: a clip, a track or the mix, soon and cheap rather than final.
//!
//! Half the rate is half the work, and pieces of a second let a preview stop, or
//! begin inside a song, without four seconds of work that nobody hears.

use pulse_engine::file::Depth;
use pulse_query::graph::Scope;
use pulse_schemas::{command::rendering::Preview, id::AnyId, time::Ticks};
use serde_json::json;

use super::{Task, absolute, report, source::Source};
use crate::{
    commands::time::{end_of, tempo_map},
    refusal::{Refusal, Reply},
    rendering::{Bare, Request, Span},
    session::{Caller, Session},
};

const COMMAND: &str = "rendering.preview";

/// Longest preview, in seconds.
const LONGEST: i64 = 30;

pub fn preview(session: &mut Session, caller: &Caller, payload: &Preview) -> Reply {
    let task = Task::of(session, None)?;
    let own = task.renderer().rate(&Request::default());
    let request = Request {
        rate: Some(payload.rate.unwrap_or(own / 2).max(8_000)),
        depth: Depth::Int16,
        from: payload.range.map(|range| range.start),
        to: payload.range.map(|range| range.end),
        tail: 2.0,
        segment: 1.0,
        ..Request::default()
    };
    let source = match payload.source {
        Some(source) => Some(heard(&task, source, payload, &request)?),
        None => None,
    };
    // Who listens to something else has no use for what came before.
    session.cancel_jobs_of(COMMAND, &caller.instance_id);
    let path = absolute(&payload.path, "path")?;
    let label = format!("Preview to {}", payload.path);
    let job = session.start_job(COMMAND, label, &caller.instance_id, move |watch| {
        let renderer = task.renderer();
        report(match source {
            Some((bare, span)) => renderer.alone(&request, &bare, span, &path, watch)?,
            None => renderer.first(&request, LONGEST, &path, watch)?,
        })
    })?;
    Ok(json!({ "job": job }))
}

/// What of the song a source is, and how much of it is heard.
fn heard(
    task: &Task,
    source: AnyId,
    payload: &Preview,
    request: &Request,
) -> Result<(Bare, Option<Span>), Refusal> {
    let view = &task.view;
    let source = Source::of(view, source, "payload.source")?;
    let bare = source.bare(view)?.faded();
    let (rate, tempo) =
        (request.rate.unwrap_or(48_000), tempo_map(view, bare.channel.arrangement)?);
    let frame = |at: Ticks| tempo.frame_at(at, rate);
    let longest = LONGEST * i64::from(rate);
    let tail = (request.tail * f64::from(rate)) as i64;
    let span = match (payload.range, &source.clip) {
        (Some(range), _) => {
            let (from, to) = (frame(range.start), frame(range.end));
            Some(Span { range: from..to.min(from + longest), trim_from: i64::MAX })
        }
        (None, Some(clip)) => {
            let from = tempo.frame_of(clip.timebase, clip.start, rate);
            let to = tempo.frame_of(clip.timebase, end_of(clip), rate).min(from + longest);
            Some(Span { range: from..to + tail, trim_from: to })
        }
        (None, None) => {
            let end = task.end(rate)?.clamp(1, longest);
            Some(Span { range: 0..end, trim_from: end })
        }
    };
    Ok((bare, span))
}

impl crate::rendering::Renderer<'_> {
    /// The beginning of the mix, or of the range that is asked for.
    fn first(
        &self,
        request: &Request,
        seconds: i64,
        path: &std::path::Path,
        watch: &crate::rendering::Watch,
    ) -> Result<crate::rendering::Outcome, crate::rendering::RenderingError> {
        let song = self.song(request, &Scope::mix())?;
        let range = self.range(request, &song)?;
        let end = range.end.min(range.start + seconds * i64::from(song.rate()));
        let span = Span { range: range.start..end, trim_from: end };
        self.mix_of(request, &song, span, path, watch)
    }
}
