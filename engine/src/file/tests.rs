use std::{
    io::{Cursor, Read, Seek, SeekFrom},
    sync::{Arc, Mutex},
};

use super::*;
use crate::decode::{Container, Decoded, Decoder, SampleKind};

/// A file in memory that outlives its writer, with an optional size limit.
#[derive(Clone, Default)]
struct Disk {
    file: Arc<Mutex<Cursor<Vec<u8>>>>,
    limit: Option<u64>,
}

impl Disk {
    fn bytes(&self) -> Vec<u8> {
        self.file.lock().unwrap().get_ref().clone()
    }

    fn decoder(&self) -> Decoder {
        Decoder::open(Box::new(Cursor::new(self.bytes())), None).unwrap()
    }

    fn decode(&self) -> Decoded {
        self.decoder().decode_all(1 << 30).unwrap()
    }
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap();
        if self.limit.is_some_and(|limit| file.position() + data.len() as u64 > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.lock().unwrap().seek(to)
    }
}

fn noise(channels: usize, frames: usize, levels: f64) -> Vec<Vec<f32>> {
    let sample = |channel: usize, frame: usize| {
        let tone = libm::sin(frame as f64 * 0.03 * (channel + 1) as f64) * 0.6;
        let noise = crate::math::random_bipolar(channel as u64, frame as u64) * 0.2;
        ((tone + noise) * levels).round() / levels
    };
    (0..channels).map(|c| (0..frames).map(|n| sample(c, n) as f32).collect()).collect()
}

fn planes(audio: &[Vec<f32>]) -> Vec<&[f32]> {
    audio.iter().map(Vec::as_slice).collect()
}

fn write(spec: FileSpec, audio: &[Vec<f32>]) -> (Disk, Written) {
    let disk = Disk::default();
    let mut writer = create(Box::new(disk.clone()), spec).unwrap();
    // Uneven pieces: what is written must not depend on the cuts.
    let mut start = 0;
    while start < audio[0].len() {
        let end = (start + 1 + start % 1_777).min(audio[0].len());
        let part: Vec<&[f32]> = audio.iter().map(|plane| &plane[start..end]).collect();
        writer.write(&part).unwrap();
        start = end;
    }
    (disk, writer.finish().unwrap())
}

fn plain(kind: FileKind, depth: Depth, channels: usize) -> FileSpec {
    FileSpec { dither: Dither::None, ..FileSpec::new(kind, depth, 48_000, channels) }
}

fn check(kind: FileKind, depth: Depth, channels: usize, frames: usize) {
    let levels = if depth == Depth::Int16 { 32_768.0 } else { 8_388_608.0 };
    let audio = noise(channels, frames, levels);
    let (disk, written) = write(plain(kind, depth, channels), &audio);
    let decoded = disk.decode();
    let name = format!("{kind:?} {depth:?}, {channels} channels, {frames} frames");
    assert!(decoded.audio.planes() == planes(&audio), "{name}: {}", decoded.audio.frames());
    assert_eq!(written.frames, frames as u64, "{name}");
    assert_eq!(written.bytes, disk.bytes().len() as u64, "{name}");
    assert_eq!(decoded.findings, Default::default(), "{name}");
}

#[test]
fn every_format_gives_back_what_was_written() {
    for (kind, depth) in [
        (FileKind::Wav, Depth::Int16),
        (FileKind::Wav, Depth::Int24),
        (FileKind::Wav, Depth::Float32),
        (FileKind::Flac, Depth::Int16),
        (FileKind::Flac, Depth::Int24),
    ] {
        for (channels, frames) in
            [(1, 9_000), (2, 8_192), (2, 1), (3, 4_097), (6, 5_000), (8, 9_000)]
        {
            check(kind, depth, channels, frames);
        }
    }
}

#[test]
fn silence_and_full_scale_survive_flac() {
    let edge = vec![vec![0.0; 10_000], [1.0 - 1.0 / 32_768.0, -1.0].repeat(5_000)];
    for depth in [Depth::Int16, Depth::Int24] {
        let (disk, written) = write(plain(FileKind::Flac, depth, 2), &edge);
        assert_eq!(disk.decode().audio.planes(), planes(&edge));
        assert_eq!(written.clipped_samples, 0);
    }
}

#[test]
fn wav_and_flac_of_one_render_are_one_content() {
    let audio = noise(2, 6_000, 1e9);
    let id = |kind| {
        let spec = FileSpec::new(kind, Depth::Int24, 48_000, 2);
        write(spec, &audio).0.decode().content_id
    };
    assert_eq!(id(FileKind::Wav), id(FileKind::Flac));
}

#[test]
fn a_file_that_grows_past_the_limit_becomes_rf64() {
    let audio = noise(2, 3_000, 32_768.0);
    for (limit, form) in [(100, b"RF64"), (12_000, b"RF64"), (12_001, b"RIFF")] {
        let disk = Disk::default();
        let spec = plain(FileKind::Wav, Depth::Int16, 2);
        let mut writer = WavWriter::new(Box::new(disk.clone()), spec, limit).unwrap();
        writer.write(&planes(&audio)).unwrap();
        Box::new(writer).finish().unwrap();
        assert_eq!(&disk.bytes()[..4], form);
        assert_eq!(disk.decode().audio.planes(), planes(&audio));
        assert_eq!(disk.decoder().info().container, Container::Wav);
    }
}

#[test]
fn a_checkpoint_makes_the_file_readable_as_it_is() {
    let audio = noise(1, 20_000, 32_768.0);
    for (kind, least) in [(FileKind::Wav, 10_000), (FileKind::Flac, 8_192)] {
        let disk = Disk::default();
        let mut writer = create(Box::new(disk.clone()), plain(kind, Depth::Int16, 1)).unwrap();
        writer.write(&[&audio[0][..10_000]]).unwrap();
        writer.checkpoint().unwrap();
        assert_eq!(disk.decode().audio.channel(0), &audio[0][..least]);
        writer.write(&[&audio[0][10_000..]]).unwrap();
        writer.finish().unwrap();
        assert_eq!(disk.decode().audio.channel(0), audio[0]);
    }
}

#[test]
fn a_recording_that_was_never_finished_is_readable() {
    let audio = noise(1, 5_000, 32_768.0);
    let disk = Disk::default();
    let mut writer =
        create(Box::new(disk.clone()), plain(FileKind::Wav, Depth::Float32, 1)).unwrap();
    writer.write(&planes(&audio)).unwrap();
    drop(writer);
    // The header still says 0 frames; what follows is more than it says.
    let mut bytes = disk.bytes();
    bytes[4..8].fill(0);
    let mut decoder = Decoder::open(Box::new(Cursor::new(bytes)), None).unwrap();
    assert_eq!(decoder.decode_all(1 << 20).unwrap().audio.channel(0), audio[0]);
}

#[test]
fn a_full_disk_is_named_with_what_was_kept() {
    for kind in [FileKind::Wav, FileKind::Flac] {
        let disk = Disk { limit: Some(30_000), ..Disk::default() };
        let mut writer = create(Box::new(disk.clone()), plain(kind, Depth::Int16, 2)).unwrap();
        let audio = noise(2, 40_000, 32_768.0);
        let error = writer.write(&planes(&audio)).unwrap_err();
        let WriteError::DiskFull { frames } = error else { panic!("{error:?}") };
        assert!(frames > 0 && frames < 40_000);
        writer.checkpoint().unwrap();
        assert!(disk.decode().audio.frames() > 0);
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused_by_name() {
    let check = |spec, expect: WriteError| {
        assert_eq!(create(Box::new(Disk::default()), spec).err(), Some(expect));
    };
    check(FileSpec::new(FileKind::Flac, Depth::Float32, 48_000, 2), WriteError::FloatInFlac);
    check(
        FileSpec::new(FileKind::Flac, Depth::Int16, 48_000, 9),
        WriteError::ChannelCount { format: "FLAC", channels: 9, limit: 8 },
    );
    check(
        FileSpec::new(FileKind::Wav, Depth::Int16, 0, 2),
        WriteError::Rate { format: "WAV", rate: 0, limit: 1 << 24 },
    );
    let mut writer =
        create(Box::new(Disk::default()), plain(FileKind::Wav, Depth::Int16, 2)).unwrap();
    assert_eq!(writer.write(&[&[0.0]]), Err(WriteError::Planes { expected: 2, found: 1 }));
    let ragged = WriteError::Ragged { plane: 1, expected: 1, found: 2 };
    assert_eq!(writer.write(&[&[0.0], &[0.0, 0.0]]), Err(ragged));
}

#[test]
fn what_had_to_be_changed_is_reported() {
    let audio = vec![vec![0.5, f32::NAN, 2.0, -3.0, f32::INFINITY]];
    let (_, written) = write(FileSpec::new(FileKind::Wav, Depth::Int16, 48_000, 1), &audio);
    assert_eq!((written.clipped_samples, written.replaced_samples), (2, 2));
    let (disk, written) = write(FileSpec::new(FileKind::Wav, Depth::Float32, 48_000, 1), &audio);
    assert_eq!((written.clipped_samples, written.replaced_samples), (0, 2));
    assert_eq!(disk.decode().audio.channel(0), [0.5, 0.0, 2.0, -3.0, 0.0]);
    assert_eq!(disk.decoder().info().samples, SampleKind::Float { bits: 32 });
}

#[test]
fn dither_is_the_same_for_every_cut() {
    let audio = noise(2, 7_000, 1e9);
    let spec = FileSpec::new(FileKind::Wav, Depth::Int16, 48_000, 2);
    let (pieces, _) = write(spec, &audio);
    let whole = Disk::default();
    let mut writer = create(Box::new(whole.clone()), spec).unwrap();
    writer.write(&planes(&audio)).unwrap();
    writer.finish().unwrap();
    assert_eq!(pieces.bytes(), whole.bytes());
    let mut header = [0; 4];
    Cursor::new(whole.bytes()).read_exact(&mut header).unwrap();
    assert_eq!(&header, b"RIFF");
}
