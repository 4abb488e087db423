//! One output on its way into a file: hashed, measured, trimmed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use pulse_engine::{
    file::{AudioWriter, Depth, FileKind, FileSpec, create},
    loudness_report::LoudnessMeter,
};
use pulse_schemas::graph::OutputKind;

use super::{Rendered, RenderingError, SILENT};

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

/// Writes beside the target and renames, so that an interrupted render leaves
/// an old file as it was.
pub struct FileWriter {
    path: PathBuf,
    partial: Partial,
    kind: OutputKind,
    writer: Box<dyn AudioWriter>,
    hasher: blake3::Hasher,
    meter: LoudnessMeter,
    /// Silence at the end so far: written only when something follows.
    held: [Vec<f32>; 2],
}

impl FileWriter {
    pub fn create(
        path: PathBuf,
        kind: OutputKind,
        depth: Depth,
        rate: u32,
    ) -> Result<FileWriter, RenderingError> {
        let extension = path.extension().and_then(|text| text.to_str()).map(str::to_lowercase);
        let file_kind = match extension.as_deref() {
            Some("wav") => FileKind::Wav,
            Some("flac") => FileKind::Flac,
            _ => return Err(RenderingError::Name { path }),
        };
        let partial = Partial(partial_of(&path));
        let file = std::fs::File::create(&partial.0)
            .map_err(|error| RenderingError::File { path: partial.0.clone(), error })?;
        let sink = Box::new(std::io::BufWriter::new(file));
        let writer = create(sink, FileSpec::new(file_kind, depth, rate, 2))
            .map_err(|error| RenderingError::Write { path: path.clone(), error })?;
        let meter = LoudnessMeter::new(rate, 2)?;
        let (hasher, held) = (blake3::Hasher::new(), Default::default());
        Ok(FileWriter { path, partial, kind, writer, hasher, meter, held })
    }

    /// Takes sound; silence from frame `trim_from` on waits for what follows.
    pub fn write(
        &mut self,
        frame: i64,
        left: &[f32],
        right: &[f32],
        trim_from: i64,
    ) -> Result<(), RenderingError> {
        let loud = |sample: &f32| sample.abs() > SILENT;
        let last = left.iter().rposition(loud).max(right.iter().rposition(loud));
        let keep = last.map_or(0, |last| last + 1);
        let fixed = usize::try_from(trim_from - frame).unwrap_or(0).min(left.len());
        let keep = keep.max(fixed);
        if keep > 0 {
            let [held_left, held_right] = std::mem::take(&mut self.held);
            self.append(&held_left, &held_right)?;
            self.append(&left[..keep], &right[..keep])?;
        }
        self.held[0].extend_from_slice(&left[keep..]);
        self.held[1].extend_from_slice(&right[keep..]);
        Ok(())
    }

    fn append(&mut self, left: &[f32], right: &[f32]) -> Result<(), RenderingError> {
        if left.is_empty() {
            return Ok(());
        }
        for (left, right) in left.iter().zip(right) {
            self.hasher.update(&left.to_le_bytes());
            self.hasher.update(&right.to_le_bytes());
        }
        self.meter.push(&[left, right])?;
        self.writer
            .write(&[left, right])
            .map_err(|error| RenderingError::Write { path: self.path.clone(), error })
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

/// A file name for a channel that no other channel has taken.
pub fn file_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || " -_.".contains(c) { c } else { '_' })
        .collect();
    let stem = match safe.trim_matches(['.', ' ']) {
        "" => "channel",
        stem => stem,
    };
    let mut candidate = format!("{stem}.wav");
    let mut number = 2;
    while !taken.insert(candidate.to_lowercase()) {
        candidate = format!("{stem} {number}.wav");
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
        let mut name = |text: &str| file_name(text, &mut taken);
        assert_eq!(name("Bass"), "Bass.wav");
        assert_eq!(name("bass"), "bass 2.wav");
        assert_eq!(name("../etc/passwd"), "_etc_passwd.wav");
        assert_eq!(name("..."), "channel.wav");
    }
}
