//! Listening to a difference: A, B and A − B of the mix and of channels, where
//! they are apart, and which change is to blame.
//!
//! Both revisions are rendered at once and compared as they come, so that no
//! whole song is held in memory; what is equal comes from the cache twice.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
};

use pulse_engine::file::Depth;
use pulse_query::{
    graph::Scope,
    render::{self, Options, RenderError, Report, Song},
};
use pulse_schemas::{graph::OutputKind, id::ChannelId};
use pulse_store::cache::CacheStore;
use serde_json::{Value, json};

use super::{
    KnownMedia, Outcome, Rendered, Renderer, RenderingError, Request, Watch,
    causes::{Cause, Suspects},
    files::{FileWriter, Form, file_name},
};

/// Two stretches that are closer than this are told as one, in seconds.
const GAP: f64 = 0.25;

/// Pieces that one revision may be ahead of the other.
const AHEAD: usize = 32;

/// A stretch where two revisions sound different.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Frames of the song.
    pub start: i64,
    pub end: i64,
    /// Peak of A − B, linear.
    pub peak: f32,
    /// Of the mix when none.
    pub channel: Option<ChannelId>,
    /// The channel's; as the newer revision has it, where it has it.
    pub name: Option<String>,
    pub causes: Vec<Cause>,
}

impl Difference {
    pub fn json(&self, rate: u32) -> Value {
        let seconds = |frame: i64| frame as f64 / f64::from(rate.max(1));
        json!({
            "start_s": seconds(self.start),
            "end_s": seconds(self.end),
            "peak_db": 20.0 * f64::from(self.peak.max(1e-9)).log10(),
            "channel": self.channel,
            "name": self.name,
            "causes": self.causes.iter().map(Cause::json).collect::<Vec<_>>(),
        })
    }
}

/// The files and where A and B differ.
pub struct AudibleDiff {
    pub outcome: Outcome,
    pub differences: Vec<Difference>,
}

/// Renders both revisions over the longer one's range. Into the folder go `a`,
/// `b` and `difference` of the whole mix, and of each channel that differs, from
/// its first difference on; with no folder, they are only compared.
pub fn audible_diff(
    a: &Renderer<'_>,
    b: &Renderer<'_>,
    request: &Request,
    channels: &[ChannelId],
    folder: Option<&Path>,
    watch: &Watch,
) -> Result<AudibleDiff, RenderingError> {
    let began = std::time::Instant::now();
    let request = Request { rate: Some(b.rate(request)), ..request.clone() };
    let scope = Scope::with_stems(channels.iter().copied());
    let (song_a, song_b) = (a.song(&request, &scope)?, b.song(&request, &scope)?);
    let (range_a, range_b) = (a.range(&request, &song_a)?, b.range(&request, &song_b)?);
    let range = range_a.start.min(range_b.start)..range_a.end.max(range_b.end);
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.to_owned(), error })?;
    }
    // What was removed since is told by the name that it had.
    let names = a.channel_names().into_iter().chain(b.channel_names()).collect::<BTreeMap<_, _>>();
    let mut taken = std::collections::BTreeSet::new();
    let mut folder_of = |kind| match kind {
        OutputKind::Master => folder.map(Path::to_owned),
        OutputKind::Stem(id) | OutputKind::Tap(id) => {
            let name = names.get(&ChannelId(id.id)).map_or("channel", String::as_str);
            let name = file_name(name, "", &mut taken);
            folder.map(|folder| folder.join(name))
        }
    };
    let rate = song_b.rate();
    let mut kinds = song_a.outputs();
    kinds.extend(song_b.outputs());
    kinds.sort_by_key(|kind| channel_of(*kind));
    kinds.dedup();
    let form = request.form(1.0);
    let compare = |kind| Compared::new(kind, folder_of(kind), range.clone(), rate, form);
    let mut compared: Vec<Compared> = kinds.into_iter().map(compare).collect();
    let sides = [
        Side {
            song: &song_a,
            media: &a.media,
            cache: a.cache,
            options: a.options(&request, &song_a, watch),
        },
        Side {
            song: &song_b,
            media: &b.media,
            cache: b.cache,
            options: b.options(&request, &song_b, watch),
        },
    ];
    let report = together(&sides, &range, &mut compared, watch)?;
    let suspects = Suspects::between(a.stored.view(), b.stored.view(), rate)?;
    let (mut files, mut differences) = (Vec::new(), Vec::new());
    for compared in compared {
        let channel = channel_of(compared.kind);
        for mut stretch in compared.stretches.clone() {
            stretch.causes = suspects.of(&(stretch.start..stretch.end), channel);
            stretch.name = channel.and_then(|channel| names.get(&channel).cloned());
            differences.push(stretch);
        }
        files.extend(compared.finish()?);
    }
    let frames = (range.end - range.start).unsigned_abs();
    let wall_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let mut missing = [a.missing(), b.missing()].concat();
    missing.sort();
    missing.dedup();
    let outcome = Outcome { files, rate, frames, wall_ms, report, missing, normalised_db: None };
    Ok(AudibleDiff { outcome, differences })
}

fn channel_of(kind: OutputKind) -> Option<ChannelId> {
    match kind {
        OutputKind::Master => None,
        OutputKind::Stem(id) | OutputKind::Tap(id) => Some(ChannelId(id.id)),
    }
}

/// One of the two revisions.
struct Side<'a> {
    song: &'a Song,
    media: &'a KnownMedia<'a>,
    cache: &'a dyn CacheStore,
    options: Options,
}

/// A piece on its way from a revision to the comparison.
struct Sent {
    kind: OutputKind,
    sound: [Vec<f32>; 2],
    frame: i64,
}

impl Side<'_> {
    fn render(&self, range: Range<i64>, to: &SyncSender<Sent>) -> Result<Report, RenderError> {
        let outputs = self.song.outputs();
        render::render(self.song, self.media, self.cache, range, &self.options, &mut |piece| {
            let Some(kind) = outputs.get(piece.output) else { return true };
            let sound = [piece.left.to_vec(), piece.right.to_vec()];
            to.send(Sent { kind: *kind, sound, frame: piece.frame }).is_ok()
        })
    }
}

/// Renders both sides and compares what they make as it comes.
fn together(
    sides: &[Side<'_>; 2],
    range: &Range<i64>,
    compared: &mut [Compared],
    watch: &Watch,
) -> Result<Report, RenderingError> {
    let has: Vec<[bool; 2]> = compared
        .iter()
        .map(|it| [0, 1].map(|side: usize| sides[side].song.outputs().contains(&it.kind)))
        .collect();
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let mut open = Vec::new();
        for side in sides {
            let (sender, receiver) = sync_channel(AHEAD);
            let range = range.clone();
            let thread = scope.spawn(move || side.render(range, &sender));
            open.push((Some(receiver), thread));
        }
        let taken = 'taken: {
            while open.iter().any(|(receiver, _)| receiver.is_some()) {
                for (side, (open, _)) in open.iter_mut().enumerate() {
                    let Some(receiver) = open else { continue };
                    let Ok(sent) = receiver.recv() else {
                        *open = None;
                        continue;
                    };
                    watch.set(sent.frame - range.start, range.end - range.start);
                    let at = compared.iter().position(|it| it.kind == sent.kind);
                    let Some(at) = at else { continue };
                    if let Err(error) = compared[at].take(side, &sent.sound, has[at]) {
                        break 'taken Err(error);
                    }
                }
            }
            Ok(())
        };
        for (receiver, thread) in open {
            // Whoever still renders finds nobody listening, and stops.
            drop(receiver);
            let rendered = thread.join().map_err(|_| RenderError::Worker);
            match rendered.and_then(|rendered| rendered) {
                Ok(side) => {
                    report.total += side.total;
                    report.hit += side.hit;
                    report.rendered += side.rendered;
                    report.decoded += side.decoded;
                    report.resampled += side.resampled;
                    report.stretched += side.stretched;
                    report.remade += side.remade;
                    report.failed.extend(side.failed);
                    report.volatile.extend(side.volatile);
                }
                Err(error) if taken.is_ok() => return Err(error.into()),
                Err(_) => {}
            }
        }
        taken
    })?;
    Ok(report)
}

/// One output of both revisions.
struct Compared {
    kind: OutputKind,
    folder: Option<PathBuf>,
    range: Range<i64>,
    rate: u32,
    form: Form,
    /// What one side has and the other has not yet.
    pending: [[Vec<f32>; 2]; 2],
    frame: i64,
    stretches: Vec<Difference>,
    files: Option<[FileWriter; 3]>,
}

impl Compared {
    fn new(
        kind: OutputKind,
        folder: Option<PathBuf>,
        range: Range<i64>,
        rate: u32,
        form: Form,
    ) -> Compared {
        Compared {
            kind,
            folder,
            frame: range.start,
            range,
            rate,
            form,
            pending: Default::default(),
            stretches: Vec::new(),
            files: None,
        }
    }

    /// Takes sound of one side; a side that lacks the output is silent.
    fn take(
        &mut self,
        side: usize,
        sound: &[Vec<f32>; 2],
        has: [bool; 2],
    ) -> Result<(), RenderingError> {
        for (channel, samples) in sound.iter().enumerate() {
            self.pending[side][channel].extend_from_slice(samples);
            if !has[1 - side] {
                let length = self.pending[1 - side][channel].len() + samples.len();
                self.pending[1 - side][channel].resize(length, 0.0);
            }
        }
        let count = self.pending[0][0].len().min(self.pending[1][0].len());
        if count == 0 {
            return Ok(());
        }
        let mut cut = |side: usize| -> [Vec<f32>; 2] {
            let [left, right] = &mut self.pending[side];
            [left.drain(..count).collect(), right.drain(..count).collect()]
        };
        let (a, b) = (cut(0), cut(1));
        self.compare(&a, &b)
    }

    fn compare(&mut self, a: &[Vec<f32>; 2], b: &[Vec<f32>; 2]) -> Result<(), RenderingError> {
        let apart: [Vec<f32>; 2] = std::array::from_fn(|channel| {
            a[channel].iter().zip(&b[channel]).map(|(a, b)| a - b).collect()
        });
        let gap = (GAP * f64::from(self.rate)) as i64;
        stretches(&mut self.stretches, &apart, self.frame, gap, channel_of(self.kind));
        // A channel's files begin with its first difference, the mix's at once.
        let skip = match (&self.files, self.kind) {
            (Some(_), _) | (None, OutputKind::Master) => 0,
            (None, _) => match self.stretches.first() {
                Some(first) => (first.start - self.frame).max(0) as usize,
                None => apart[0].len(),
            },
        };
        let start = self.frame + skip as i64;
        self.frame += apart[0].len() as i64;
        if skip == apart[0].len() {
            return Ok(());
        }
        self.open()?;
        let Some(files) = &mut self.files else { return Ok(()) };
        for (file, sound) in files.iter_mut().zip([a, b, &apart]) {
            file.write(start, &sound[0][skip..], &sound[1][skip..], self.range.end)?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), RenderingError> {
        let Some(folder) = self.folder.as_ref().filter(|_| self.files.is_none()) else {
            return Ok(());
        };
        std::fs::create_dir_all(folder)
            .map_err(|error| RenderingError::File { path: folder.clone(), error })?;
        let create = |name: &str, form| {
            FileWriter::create(folder.join(format!("{name}.wav")), self.kind, form, self.rate)
        };
        let exact = Form { depth: Depth::Float32, ..self.form };
        self.files =
            Some([create("a", self.form)?, create("b", self.form)?, create("difference", exact)?]);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Rendered>, RenderingError> {
        self.files.into_iter().flatten().map(FileWriter::finish).collect()
    }
}

/// Adds the stretches that are not zero, joined over short gaps.
fn stretches(
    found: &mut Vec<Difference>,
    apart: &[Vec<f32>; 2],
    offset: i64,
    gap: i64,
    channel: Option<ChannelId>,
) {
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
            _ => {
                let (start, end) = (frame, frame + 1);
                let (name, causes) = (None, Vec::new());
                found.push(Difference { start, end, peak, channel, name, causes });
            }
        }
    }
}

/// All channels that can be listened to alone, of both revisions.
pub fn all_channels(a: &Renderer<'_>, b: &Renderer<'_>) -> Vec<ChannelId> {
    let mut channels: Vec<ChannelId> = a.stem_channels();
    channels.extend(b.stem_channels());
    channels.sort();
    channels.dedup();
    channels
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
        let mut found = Vec::new();
        // Cut in two, as pieces come.
        let part = |range: Range<usize>| [left[range].to_vec(), vec![0.0; 50]];
        stretches(&mut found, &part(0..50), 1_000, 5, None);
        stretches(&mut found, &part(50..100), 1_050, 5, None);
        let stretch = |start, end, peak| Difference {
            start,
            end,
            peak,
            channel: None,
            name: None,
            causes: vec![],
        };
        assert_eq!(found, [stretch(1_010, 1_013, 0.5), stretch(1_060, 1_061, 0.1)]);
    }
}
