//! One output on its way into a file: hashed, measured, trimmed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use pulse_engine::{
    dither::Dither,
    file::{AudioWriter, Depth, FileKind, FileSpec, create},
    loudness_report::LoudnessMeter,
};
use pulse_schemas::graph::OutputKind;

use super::{Rendered, RenderingError};

/// A file on its way: gone, unless somebody keeps it.
struct Partial(PathBuf);

impl Partial {
    fn keep_as(self, path: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.0, path)
    }
}

impl Drop for Partial {
    /// After `keep_as` there is nothing left under the name.
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// How sound becomes samples of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    pub depth: Depth,
    pub dither: Dither,
    /// One channel: the mean of both.
    pub mono: bool,
    /// Linear.
    pub gain: f32,
    /// The largest sample that is silence, where silence at the end is left out.
    pub quiet: f32,
}

impl Form {
    pub fn channels(&self) -> usize {
        if self.mono { 1 } else { 2 }
    }

    /// The planes that are written of a piece of sound.
    pub fn planes(&self, left: &[f32], right: &[f32]) -> Vec<Vec<f32>> {
        let turned = |samples: &[f32]| samples.iter().map(|it| it * self.gain).collect();
        if !self.mono {
            return vec![turned(left), turned(right)];
        }
        let both = left.iter().zip(right);
        vec![both.map(|(left, right)| (left + right) * 0.5 * self.gain).collect()]
    }
}

/// Silence at the end so far: passed on only when something follows.
pub struct Held {
    sound: [Vec<f32>; 2],
    /// The largest sample that is silence.
    quiet: f32,
}

impl Held {
    pub fn new(quiet: f32) -> Held {
        Held { sound: Default::default(), quiet }
    }

    /// What is certain to be heard or followed by something.
    pub fn pass(
        &mut self,
        frame: i64,
        left: &[f32],
        right: &[f32],
        trim_from: i64,
    ) -> Vec<[Vec<f32>; 2]> {
        let loud = |sample: &f32| sample.abs() > self.quiet;
        let last = left.iter().rposition(loud).max(right.iter().rposition(loud));
        let keep = last.map_or(0, |last| last + 1);
        let fixed = usize::try_from(trim_from - frame).unwrap_or(0).min(left.len());
        let keep = keep.max(fixed);
        let mut passed = Vec::new();
        if keep > 0 {
            passed = vec![
                std::mem::take(&mut self.sound),
                [left[..keep].to_vec(), right[..keep].to_vec()],
            ];
        }
        self.sound[0].extend_from_slice(&left[keep..]);
        self.sound[1].extend_from_slice(&right[keep..]);
        passed
    }
}

/// Writes beside the target and renames, so that an interrupted render leaves
/// an old file as it was.
pub struct FileWriter {
    path: PathBuf,
    partial: Partial,
    kind: OutputKind,
    form: Form,
    writer: Box<dyn AudioWriter>,
    hasher: blake3::Hasher,
    meter: LoudnessMeter,
    held: Held,
}

impl FileWriter {
    pub fn create(
        path: PathBuf,
        kind: OutputKind,
        form: Form,
        rate: u32,
    ) -> Result<FileWriter, RenderingError> {
        let extension = path.extension().and_then(|text| text.to_str()).map(str::to_lowercase);
        let file_kind = match extension.as_deref() {
            Some("wav") => FileKind::Wav,
            Some("flac") => FileKind::Flac,
            _ => return Err(RenderingError::Name { path }),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(RenderingError::Folder { path: folder.to_owned() });
        }
        let partial = Partial(partial_of(&path));
        let file = std::fs::File::create(&partial.0)
            .map_err(|error| RenderingError::File { path: partial.0.clone(), error })?;
        let sink = Box::new(std::io::BufWriter::new(file));
        let spec = FileSpec::new(file_kind, form.depth, rate, form.channels());
        let writer = create(sink, FileSpec { dither: form.dither, ..spec })
            .map_err(|error| RenderingError::Write { path: path.clone(), error })?;
        let meter = LoudnessMeter::new(rate, form.channels())?;
        let (hasher, held) = (blake3::Hasher::new(), Held::new(form.quiet));
        Ok(FileWriter { path, partial, kind, form, writer, hasher, meter, held })
    }

    /// Takes sound; silence from frame `trim_from` on waits for what follows.
    pub fn write(
        &mut self,
        frame: i64,
        left: &[f32],
        right: &[f32],
        trim_from: i64,
    ) -> Result<(), RenderingError> {
        for [left, right] in self.held.pass(frame, left, right, trim_from) {
            self.append(&left, &right)?;
        }
        Ok(())
    }

    fn append(&mut self, left: &[f32], right: &[f32]) -> Result<(), RenderingError> {
        if left.is_empty() {
            return Ok(());
        }
        let planes = self.form.planes(left, right);
        let frames = (0..left.len()).flat_map(|frame| planes.iter().map(move |plane| plane[frame]));
        let bytes: Vec<u8> = frames.flat_map(f32::to_le_bytes).collect();
        self.hasher.update(&bytes);
        let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
        self.meter.push(&planes)?;
        self.writer
            .write(&planes)
            .map_err(|error| RenderingError::Write { path: self.path.clone(), error })
    }

    /// Frames that were written so far.
    pub fn frames(&self) -> u64 {
        self.writer.frames()
    }

    /// Writes of the silence at the end what others of the same render have there.
    pub fn extend_to(&mut self, frames: u64) -> Result<(), RenderingError> {
        let missing = usize::try_from(frames.saturating_sub(self.frames())).unwrap_or(usize::MAX);
        let [left, right] = std::mem::take(&mut self.held.sound);
        let count = missing.min(left.len());
        self.append(&left[..count], &right[..count])
    }

    pub fn finish(self) -> Result<Rendered, RenderingError> {
        let FileWriter { path, partial, kind, writer, hasher, meter, .. } = self;
        let written =
            writer.finish().map_err(|error| RenderingError::Write { path: path.clone(), error })?;
        partial
            .keep_as(&path)
            .map_err(|error| RenderingError::File { path: path.clone(), error })?;
        let source = match kind {
            OutputKind::Master => None,
            OutputKind::Stem(id) | OutputKind::Tap(id) => Some(id),
        };
        Ok(Rendered {
            path,
            source,
            pcm_hash: hasher.finalize().into(),
            frames: written.frames,
            clipped: written.clipped_samples,
            loudness: meter.report(),
        })
    }
}

/// Where a file lies while it is written.
pub fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

/// Bytes of a channel's name that go into the name of its file.
const LONGEST_NAME: usize = 180;

/// A file name for a channel that no other channel has taken.
pub fn file_name(name: &str, extension: &str, taken: &mut BTreeSet<String>) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || " -_.".contains(c) { c } else { '_' })
        .collect();
    // File systems take 255 bytes; a number and an ending come behind it.
    let end = (0..=LONGEST_NAME.min(safe.len())).rev().find(|end| safe.is_char_boundary(*end));
    let stem = match safe[..end.unwrap_or(0)].trim_matches(['.', ' ']) {
        "" => "channel",
        stem => stem,
    };
    let mut candidate = format!("{stem}{extension}");
    let mut number = 2;
    while !taken.insert(candidate.to_lowercase()) {
        candidate = format!("{stem} {number}{extension}");
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_of_one_name_get_files_of_their_own() {
        let mut taken = BTreeSet::new();
        let mut name = |text: &str| file_name(text, ".wav", &mut taken);
        assert_eq!(name("Bass"), "Bass.wav");
        assert_eq!(name("bass"), "bass 2.wav");
        assert_eq!(name("../etc/passwd"), "_etc_passwd.wav");
        assert_eq!(name("..."), "channel.wav");
        let long = name(&"é".repeat(300));
        assert_eq!(long, format!("{}.wav", "é".repeat(90)));
    }
}
