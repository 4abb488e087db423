//! Everything but plain WAV, through symphonia.
//!
//! Every decoded packet is placed by its time stamp, so a packet that cannot be
//! decoded leaves silence of its own length and nothing after it moves. A seek
//! goes back far enough that overlap and bit reservoir are rebuilt, which makes
//! it bit-equal to reading from the start. A panic inside a decoder is taken
//! for damage in the file.

use std::{
    io::{self, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use symphonia::core::{
    codecs::{
        CodecParameters,
        audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known as codec_id},
    },
    errors::Error,
    formats::{
        FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType, probe::Hint,
        well_known as format_id,
    },
    io::{MediaSource, MediaSourceStream},
    meta::MetadataOptions,
    packet::Packet,
    units::Timestamp,
};

use super::{
    Backend, Container, DecodeError, Info, Media, OpenError, SampleKind,
    edit_list::{self, EditList},
};

/// Frames decoded and dropped before a seek target in MP3 and Vorbis: more than
/// the one's bit reservoir and the other's longest block.
const PRE_ROLL: i64 = 16_384;
/// A target this close ahead is reached by decoding on.
const NEAR: i64 = 8_192;
/// AAC's noise substitution draws from a generator that runs on from packet to
/// packet. So that a frame doesn't depend on where reading began, the decoder
/// is made anew at multiples of this, when reading on as when seeking.
const FRESH_START: u64 = 1 << 16;
/// Packets are rebuilt from one overlap; this is four of them.
const FRESH_PRE_ROLL: i64 = 4_096;
/// Packets of other tracks that may follow each other before we give up.
const MAX_FOREIGN_PACKETS: usize = 1 << 20;

pub(super) struct Reader {
    /// None only while it is being reopened.
    format: Option<Box<dyn FormatReader>>,
    decoder: Box<dyn AudioDecoder>,
    params: AudioCodecParameters,
    track: u32,
    info: Info,
    /// The time stamp of the first frame we deliver, and where a rewind goes.
    origin: i64,
    start: i64,
    /// Time stamps count frames, so a seek by them is exact.
    exact: bool,
    /// Frames between fresh starts, and the stretch that `decoder` is in.
    stretch: Option<u64>,
    current_stretch: u64,
    /// The frame that the next read begins with.
    position: u64,
    /// Decoded frames, of which the first lies at `pending_at`.
    pending: Vec<Vec<f32>>,
    pending_at: i64,
    /// Where the next packet without a usable time stamp would begin.
    next_at: i64,
    silenced: u64,
    ended: bool,
}

impl Reader {
    pub(super) fn open(mut media: Box<dyn Media>, hint: Option<&str>) -> Result<Self, OpenError> {
        let edits = edit_list::find(&mut media)?;
        let source = Source::new(media)?;
        guarded(|| Reader::open_unguarded(source, hint, edits)).unwrap_or_else(|| {
            Err(OpenError::Damaged { reason: "its decoder failed on it".into() })
        })
    }

    fn open_unguarded(
        source: Source,
        hint: Option<&str>,
        edits: Option<EditList>,
    ) -> Result<Reader, OpenError> {
        let stream = MediaSourceStream::new(Box::new(source), Default::default());
        let format = probe(stream, hint)?;
        let track = format.default_track(TrackType::Audio).ok_or(OpenError::NoAudio)?.clone();
        let params = audio_params(&track)?;
        let decoder = make_decoder(params).map_err(|error| codec_error(params, &error))?;
        let params = params.clone();
        let info = Info {
            rate: params.sample_rate.unwrap_or(0),
            channels: params.channels.as_ref().map_or(0, |channels| channels.count()),
            frames: track.num_frames.unwrap_or(0),
            container: container_of(format.as_ref())?,
            samples: sample_kind(&params),
            codec: decoder.codec_info().short_name,
        };
        let start = track.start_ts.get();
        let exact = counts_frames(&track, info.rate);
        let mut reader = Reader {
            format: Some(format),
            decoder,
            stretch: stretch_of(&params, info.container, exact),
            current_stretch: 0,
            params,
            track: track.id,
            info,
            origin: start,
            start,
            exact,
            position: 0,
            pending: Vec::new(),
            pending_at: start,
            next_at: start,
            silenced: 0,
            ended: false,
        };
        reader.learn_origin().map_err(open_error)?;
        if is_estimate(&track, info.container) {
            reader.count_frames().map_err(open_error)?;
        }
        reader.apply_edits(edits);
        Ok(reader)
    }

    pub(super) fn info(&self) -> Info {
        self.info
    }

    /// Decodes until there is audio: it tells where the first frame lies, and
    /// rate and channels where the header doesn't.
    fn learn_origin(&mut self) -> Result<(), DecodeError> {
        while self.pending_frames() == 0 {
            if !self.fill()? {
                self.info.frames = 0;
                return Ok(());
            }
        }
        // What encoders put first is trimmed only in lossy formats; elsewhere a
        // later start is a packet that was lost.
        if self.info.samples == SampleKind::Lossy {
            self.origin = self.pending_at;
        }
        let spec = self.decoder.last_decoded().spec().clone();
        self.info.rate = spec.rate();
        self.info.channels = spec.channels().count();
        Ok(())
    }

    /// The length where the header only guesses it: by packets when their time
    /// stamps count frames, else by decoding.
    fn count_frames(&mut self) -> Result<(), DecodeError> {
        let mut end = self.pending_at + self.pending_frames() as i64;
        if self.exact {
            while let Some(packet) = self.next_packet()? {
                let dur = i64::try_from(packet.dur.get()).unwrap_or(0);
                let trim = i64::try_from(packet.trim_start.get()).unwrap_or(0);
                end = end.max(packet.pts.get().saturating_add(trim).saturating_add(dur));
            }
        } else {
            while self.fill()? {
                end = self.pending_at + self.pending_frames() as i64;
            }
        }
        self.info.frames = u64::try_from(end - self.origin).unwrap_or(0);
        self.rewind(0)
    }

    fn apply_edits(&mut self, edits: Option<EditList>) {
        let (Some(edits), true) = (edits, self.exact) else { return };
        if self.info.container != Container::Mp4 || edits.skip >= self.info.frames {
            return;
        }
        self.origin += edits.skip as i64;
        self.info.frames -= edits.skip;
        if let Some(frames) = edits.frames_at(self.info.rate) {
            self.info.frames = self.info.frames.min(frames);
        }
    }

    fn pending_frames(&self) -> usize {
        self.pending.first().map_or(0, Vec::len)
    }

    /// Decodes one packet into `pending`; false at the end of what is readable.
    fn fill(&mut self) -> Result<bool, DecodeError> {
        let Some(packet) = self.next_packet()? else { return Ok(false) };
        let trim = i64::try_from(packet.trim_start.get()).unwrap_or(0);
        let at = if self.exact { packet.pts.get().saturating_add(trim) } else { self.next_at };
        self.pending.iter_mut().for_each(Vec::clear);
        let (decoder, pending) = (&mut self.decoder, &mut self.pending);
        let decoded = guarded(|| match decoder.decode(&packet) {
            Ok(audio) => {
                audio.copy_to_vecs_planar(pending);
                Ok(())
            }
            // This packet only: the next one may be sound.
            Err(Error::DecodeError(_)) | Err(Error::IoError(_)) => Ok(()),
            Err(_) => Err(()),
        });
        if decoded != Some(Ok(())) {
            self.pending.iter_mut().for_each(Vec::clear);
            self.ended = true;
            return Ok(false);
        }
        self.pending_at = at;
        self.next_at = at + self.pending_frames() as i64;
        Ok(true)
    }

    fn next_packet(&mut self) -> Result<Option<Packet>, DecodeError> {
        for _ in 0..MAX_FOREIGN_PACKETS {
            if self.ended {
                return Ok(None);
            }
            let Some(format) = self.format.as_mut() else { return Ok(None) };
            match guarded(|| format.next_packet()) {
                Some(Ok(Some(packet))) if packet.track_id == self.track => return Ok(Some(packet)),
                Some(Ok(Some(_))) => {}
                Some(Err(Error::IoError(error)))
                    if error.kind() != io::ErrorKind::UnexpectedEof =>
                {
                    return Err(DecodeError::io(self.position, &error));
                }
                Some(Ok(None)) | Some(Err(_)) | None => self.ended = true,
            }
        }
        self.ended = true;
        Ok(None)
    }

    /// Starts over; the next read decodes and drops up to `frame`.
    fn rewind(&mut self, frame: u64) -> Result<(), DecodeError> {
        let start = self.start;
        self.jump(start).map_err(|reason| DecodeError::Seek { frame, reason })?;
        self.next_at = start;
        self.position = frame;
        Ok(())
    }

    /// Goes to the packet at or before a time stamp.
    fn jump(&mut self, to: i64) -> Result<(), String> {
        self.pending.iter_mut().for_each(Vec::clear);
        self.ended = true;
        self.restart_decoder()?;
        if self.info.container == Container::Flac {
            self.reopen()?;
        }
        let Some(format) = self.format.as_mut() else { return Err("it was closed".into()) };
        let to = SeekTo::Timestamp { ts: Timestamp::new(to), track_id: self.track };
        let seeked = guarded(|| format.seek(SeekMode::Accurate, to));
        self.ended = false;
        match seeked {
            Some(Ok(seeked)) if seeked.actual_ts <= seeked.required_ts => Ok(()),
            Some(Ok(_)) => Err("the index points behind the target".into()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("its decoder failed on it".into()),
        }
    }

    fn restart_decoder(&mut self) -> Result<(), String> {
        match self.stretch {
            Some(_) => self.decoder = make_decoder(&self.params).map_err(|e| e.to_string())?,
            None => self.decoder.reset(),
        }
        Ok(())
    }

    /// Where decoding of a stretch begins; its end is where the next takes over.
    fn enter_stretch(&mut self, stretch: u64, length: u64) -> Result<(), DecodeError> {
        let (frame, first) = (self.position, stretch.saturating_mul(length));
        self.current_stretch = stretch;
        let from = self.target(first).saturating_sub(FRESH_PRE_ROLL);
        if stretch == 0 || from <= self.start {
            return self.rewind(frame);
        }
        self.jump(from).map_err(|reason| DecodeError::Seek { frame, reason })
    }

    /// Frames until the next fresh start, after taking the one that is due.
    fn keep_stretch(&mut self) -> Result<u64, DecodeError> {
        let Some(length) = self.stretch else { return Ok(u64::MAX) };
        let stretch = self.position / length;
        if stretch != self.current_stretch {
            self.enter_stretch(stretch, length)?;
        }
        Ok(length - self.position % length)
    }

    /// A fresh reader over the same medium. symphonia's FLAC reader checks frame
    /// headers against the one before, also across a seek, and rejects them.
    fn reopen(&mut self) -> Result<(), String> {
        let Some(format) = self.format.take() else { return Err("it was closed".into()) };
        let opened = guarded(|| {
            let mut stream = format.into_inner();
            stream.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
            probe(stream, None).map_err(|error| error.to_string())
        });
        self.format = Some(opened.unwrap_or_else(|| Err("its decoder failed on it".into()))?);
        Ok(())
    }

    /// Frames of silence before `pending`, where packets could not be decoded.
    fn fill_gap(&mut self, gap: u64, room: usize, out: &mut [&mut [f32]]) -> usize {
        let count = gap.min(room as u64) as usize;
        out.iter_mut().for_each(|plane| plane[..count].fill(0.0));
        self.silenced += count as u64;
        self.position += count as u64;
        count
    }

    fn copy_pending(&mut self, skip: usize, room: usize, out: &mut [&mut [f32]]) -> usize {
        let count = room.min(self.pending_frames() - skip);
        for (channel, plane) in out.iter_mut().enumerate() {
            match self.pending.get(channel) {
                Some(data) => plane[..count].copy_from_slice(&data[skip..skip + count]),
                None => plane[..count].fill(0.0),
            }
        }
        self.position += count as u64;
        count
    }

    fn target(&self, frame: u64) -> i64 {
        self.origin.saturating_add(i64::try_from(frame).unwrap_or(i64::MAX))
    }
}

impl Backend for Reader {
    fn read(&mut self, out: &mut [&mut [f32]]) -> Result<usize, DecodeError> {
        let room = out.first().map_or(0, |plane| plane.len());
        let room = (room as u64).min(self.keep_stretch()?) as usize;
        loop {
            let skip = self.target(self.position) - self.pending_at;
            let frames = self.pending_frames();
            if frames > 0 && skip < 0 {
                return Ok(self.fill_gap(skip.unsigned_abs(), room, out));
            }
            if (skip as usize) < frames {
                return Ok(self.copy_pending(skip as usize, room, out));
            }
            if !self.fill()? {
                return Ok(0);
            }
        }
    }

    fn seek(&mut self, frame: u64) -> Result<(), DecodeError> {
        let target = self.target(frame);
        let decoded_to = self.pending_at + self.pending_frames() as i64;
        let same_stretch = self.stretch.is_none_or(|n| frame / n == self.current_stretch);
        let near = (self.pending_at..decoded_to + NEAR).contains(&target);
        if self.pending_frames() > 0 && near && same_stretch {
            self.position = frame;
            return Ok(());
        }
        if let Some(length) = self.stretch {
            self.position = frame;
            return self.enter_stretch(frame / length, length);
        }
        let lossy = self.info.samples == SampleKind::Lossy;
        let from = if lossy { target - PRE_ROLL } else { target };
        if self.exact && from > self.start && self.jump(from).is_ok() {
            self.position = frame;
            return Ok(());
        }
        self.rewind(frame)
    }

    fn silenced_frames(&self) -> u64 {
        self.silenced
    }
}

fn probe(
    stream: MediaSourceStream<'static>,
    hint: Option<&str>,
) -> Result<Box<dyn FormatReader>, OpenError> {
    let mut extension = Hint::new();
    if let Some(hint) = hint {
        extension.with_extension(hint);
    }
    let (options, meta) = (FormatOptions::default(), MetadataOptions::default());
    symphonia::default::get_probe().probe(&extension, stream, options, meta).map_err(|error| {
        match error {
            Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                OpenError::UnknownFormat
            }
            Error::IoError(error) => error.into(),
            Error::Unsupported(_) => OpenError::UnknownFormat,
            other => OpenError::Damaged { reason: other.to_string() },
        }
    })
}

fn audio_params(track: &Track) -> Result<&AudioCodecParameters, OpenError> {
    match &track.codec_params {
        Some(CodecParameters::Audio(params)) => Ok(params),
        _ => Err(OpenError::NoAudio),
    }
}

fn make_decoder(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Error> {
    let options = AudioDecoderOptions::default().gapless(true);
    symphonia::default::get_codecs().make_audio_decoder(params, &options)
}

/// An MP4 index makes fresh starts cheap; an ADTS seek walks the file, so there
/// everything is one stretch.
fn stretch_of(params: &AudioCodecParameters, container: Container, exact: bool) -> Option<u64> {
    let indexed = exact && container == Container::Mp4;
    let length = if indexed { FRESH_START } else { u64::MAX };
    (params.codec == codec_id::CODEC_ID_AAC).then_some(length)
}

fn codec_error(params: &AudioCodecParameters, error: &Error) -> OpenError {
    let codec = match params.codec {
        codec_id::CODEC_ID_OPUS => "Opus".to_owned(),
        _ => format!("unknown ({error})"),
    };
    OpenError::UnsupportedCodec { codec }
}

fn open_error(error: DecodeError) -> OpenError {
    match error {
        DecodeError::Io { kind, reason, .. } => OpenError::Io { kind, reason },
        other => OpenError::Damaged { reason: other.to_string() },
    }
}

fn container_of(format: &dyn FormatReader) -> Result<Container, OpenError> {
    match format.format_info().format {
        format_id::FORMAT_ID_WAVE => Ok(Container::Wav),
        format_id::FORMAT_ID_AIFF => Ok(Container::Aiff),
        format_id::FORMAT_ID_FLAC => Ok(Container::Flac),
        format_id::FORMAT_ID_MP3 => Ok(Container::Mp3),
        format_id::FORMAT_ID_OGG => Ok(Container::Ogg),
        format_id::FORMAT_ID_ADTS => Ok(Container::Adts),
        format_id::FORMAT_ID_ISOMP4 => Ok(Container::Mp4),
        _ => Err(OpenError::UnknownFormat),
    }
}

fn sample_kind(params: &AudioCodecParameters) -> SampleKind {
    // ALAC's depth is byte 5 of its cookie.
    let cookie = params.extra_data.as_ref().and_then(|data| data.get(5)).map(|&bits| bits.into());
    let bits = params.bits_per_sample.or(cookie).unwrap_or(0).min(64) as u8;
    match params.codec {
        codec_id::CODEC_ID_FLAC | codec_id::CODEC_ID_ALAC => SampleKind::Integer { bits },
        codec_id::CODEC_ID_PCM_F32LE | codec_id::CODEC_ID_PCM_F32BE => {
            SampleKind::Float { bits: 32 }
        }
        codec_id::CODEC_ID_PCM_F64LE | codec_id::CODEC_ID_PCM_F64BE => {
            SampleKind::Float { bits: 64 }
        }
        codec_id::CODEC_ID_PCM_S8
        | codec_id::CODEC_ID_PCM_S16LE
        | codec_id::CODEC_ID_PCM_S16BE
        | codec_id::CODEC_ID_PCM_S24LE
        | codec_id::CODEC_ID_PCM_S24BE
        | codec_id::CODEC_ID_PCM_S32LE
        | codec_id::CODEC_ID_PCM_S32BE => SampleKind::Integer { bits },
        _ => SampleKind::Lossy,
    }
}

/// MP3 without a LAME tag and ADTS have no length, only a guess by bit rate.
fn is_estimate(track: &Track, container: Container) -> bool {
    match container {
        Container::Mp3 => track.delay.is_none(),
        Container::Adts => true,
        _ => track.num_frames.is_none(),
    }
}

fn counts_frames(track: &Track, rate: u32) -> bool {
    track.time_base.is_some_and(|base| base.numer.get() == 1 && base.denom.get() == rate)
}

/// `None` when `work` panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A reader as symphonia wants it. The mutex is never locked: it only makes a
/// `Send` reader `Sync`, and `get_mut` needs no lock.
struct Source {
    media: Mutex<Box<dyn Media>>,
    length: u64,
}

impl Source {
    fn new(mut media: Box<dyn Media>) -> io::Result<Source> {
        let length = media.seek(SeekFrom::End(0))?;
        media.seek(SeekFrom::Start(0))?;
        Ok(Source { media: Mutex::new(media), length })
    }

    fn media(&mut self) -> &mut dyn Media {
        match self.media.get_mut() {
            Ok(media) => media,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.media().read(out)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.media().seek(to)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
