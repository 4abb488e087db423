//! What is kept otherwise than by its inputs: decoded, resampled and stretched audio,
//! which goes by its clip's own content, and what volatile nodes made, which goes by
//! artefact.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pulse_engine::{
    buffer::{AudioBuffer, AudioSource, ReadError},
    material::MediaResolver,
    node::{Descriptor, Determinism, Io, Node, NodeKind, Setup, StateVisitor},
};
use pulse_schemas::{
    entity::{AudioFormat, AudioRegion, MediaItem, StretchMode},
    graph::NodeKey,
    id::{AudioRegionId, MediaId},
};

use super::*;

pub(super) const SOUND: Hash = Hash([7; 32]);

pub(super) struct Tone(Arc<dyn AudioSource>);

impl MediaResolver for Tone {
    fn open(&self, media: Hash) -> Option<Arc<dyn AudioSource>> {
        (media == SOUND).then(|| Arc::clone(&self.0))
    }
}

pub(super) fn tone() -> Tone {
    let samples: Vec<f32> = (0..30_000).map(|at| ((at % 100) as f32 / 100.0 - 0.5) * 0.5).collect();
    Tone(Arc::new(AudioBuffer::from_channels(RATE, &[samples]).unwrap()))
}

/// An audio track with two stretched clips, beside the others.
pub(super) fn stretched() -> Entities {
    with_clips(RATE, StretchMode::Stretch)
}

/// An audio track with two clips of media of some rate, beside the others.
fn with_clips(sample_rate: u32, stretch: StretchMode) -> Entities {
    let mut entities = project(&["pulse.drums", "pulse.eq"]);
    entities.put(Track { id: TrackId(id(2, 3)), arrangement: arrangement(), ..Track::default() });
    entities.put(channel(3, ChannelKind::Track, Some(0)));
    entities.put(Lane { id: LaneId(id(3, 3)), track: TrackId(id(2, 3)), ..Lane::default() });
    let format = AudioFormat { sample_rate, channels: 1, frames: 30_000, ..AudioFormat::default() };
    let media = MediaId(id(14, 0));
    entities.put(MediaItem { id: media, content: Some(SOUND), format, ..MediaItem::default() });
    for number in [30, 31] {
        entities.put(Clip {
            id: ClipId(id(5, number)),
            lane: LaneId(id(3, 3)),
            start: Moment(i64::from(number - 30) * BEAT / 2),
            length: Moment(BEAT / 4),
            stretch,
            transpose: if stretch == StretchMode::Off { 0.0 } else { f64::from(number - 30) },
            ..Clip::default()
        });
        entities.put(AudioRegion {
            id: AudioRegionId(id(15, number)),
            clip: ClipId(id(5, number)),
            media,
            source_bpm: Some(120.0),
            ..AudioRegion::default()
        });
    }
    entities
}

pub(super) fn render_with(
    entities: &Entities,
    media: &Tone,
    cache: &dyn CacheStore,
) -> (Stereo, Report) {
    let options = Options { segment_frames: SEGMENT, ..Options::new(RATE) };
    let mut sound = Stereo::default();
    let report = render(&song(entities), media, cache, 0..FRAMES, &options, &mut |piece| {
        sound[0].extend_from_slice(piece.left);
        sound[1].extend_from_slice(piece.right);
        true
    });
    (sound, report.unwrap())
}

#[test]
fn a_moved_clip_is_not_stretched_again() {
    let (_dir, kept) = cache();
    let mut entities = stretched();
    let tone = tone();
    let (first, report) = render_with(&entities, &tone, &kept);
    assert_eq!(report.stretched, 2);
    let mut clip: Clip = get(&entities, id(5, 31));
    clip.start = Moment(clip.start.0 + BEAT / 8);
    entities.put(clip.clone());
    let (moved, report) = render_with(&entities, &tone, &kept);
    assert!(report.rendered > 0 && report.stretched == 0, "{report:?}");
    let (_other, empty) = cache();
    let (fresh, report) = render_with(&entities, &tone, &empty);
    assert_eq!(report.stretched, 2);
    same(&moved, &fresh, &|| "moved".into());
    assert!(bits(&moved) != bits(&first));
    // Another pitch is another sound: that one clip is stretched, the other found.
    clip.transpose = 5.0;
    entities.put(clip);
    let (_, report) = render_with(&entities, &tone, &kept);
    assert_eq!(report.stretched, 1);
}

/// A file that is compressed, and how often it was read.
struct Compressed {
    audio: AudioBuffer,
    reads: Arc<AtomicU64>,
}

impl AudioSource for Compressed {
    fn rate(&self) -> u32 {
        self.audio.rate()
    }

    fn channels(&self) -> usize {
        self.audio.channels()
    }

    fn frames(&self) -> u64 {
        self.audio.frames() as u64
    }

    fn read(&self, _: u64, _: &mut [&mut [f32]]) -> usize {
        0
    }

    fn read_blocking(&self, start: u64, out: &mut [&mut [f32]]) -> Result<usize, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.audio.read_blocking(start, out)
    }

    fn is_dear(&self) -> bool {
        true
    }
}

/// Renders clips, then the same clips after some edits: `counts` gives the pieces that
/// had to be made of all.
fn check_moved(rate: u32, counts: fn(&Report) -> u64) {
    let samples: Vec<f32> = (0..30_000).map(|at| ((at % 97) as f32 / 97.0 - 0.5) * 0.5).collect();
    let audio = AudioBuffer::from_channels(rate, &[samples]).unwrap();
    let reads = Arc::new(AtomicU64::new(0));
    let tone = Tone(Arc::new(Compressed { audio, reads: Arc::clone(&reads) }));
    let (_dir, kept) = cache();
    let mut entities = with_clips(rate, StretchMode::Off);
    let (first, report) = render_with(&entities, &tone, &kept);
    assert!(counts(&report) > 0 && reads.load(Ordering::Relaxed) > 0, "{report:?}");
    let edits: [fn(&mut Clip); 3] = [
        |clip| clip.start = Moment(clip.start.0 + BEAT / 8),
        |clip| clip.length = Moment(BEAT / 6),
        |clip| clip.reverse = true,
    ];
    for edit in edits {
        let mut clip: Clip = get(&entities, id(5, 31));
        edit(&mut clip);
        entities.put(clip);
        reads.store(0, Ordering::Relaxed);
        let (moved, report) = render_with(&entities, &tone, &kept);
        assert!(report.rendered > 0 && counts(&report) == 0, "{report:?}");
        assert_eq!(reads.load(Ordering::Relaxed), 0);
        let (_other, empty) = cache();
        same(&moved, &render_with(&entities, &tone, &empty).0, &|| "moved".into());
        assert!(bits(&moved) != bits(&first));
    }
}

#[test]
fn a_moved_clip_is_not_decoded_again() {
    check_moved(RATE, |report| report.decoded);
}

#[test]
fn a_moved_clip_is_not_resampled_again() {
    check_moved(RATE / 2, |report| report.resampled);
}

/// Makes another constant each time it begins.
struct Moody(f32);

static MOODS: AtomicU32 = AtomicU32::new(1);

static MOODY: Descriptor = {
    let mut descriptor = Descriptor::effect("test.moody", "Moody", &[]);
    descriptor.determinism = Determinism::Volatile;
    descriptor
};

static MOODY_KIND: NodeKind = NodeKind::new(&MOODY, || Box::new(Moody(0.0)));

impl Node for Moody {
    fn prepare(&mut self, _: &Setup) {
        self.0 = MOODS.fetch_add(1, Ordering::Relaxed) as f32 / 1_024.0;
    }

    fn process(&mut self, io: &mut Io<'_>) {
        for channel in 0..2 {
            io.output(0, channel).fill(self.0);
        }
    }

    fn visit_state(&mut self, _: &mut dyn StateVisitor) {}

    fn reset(&mut self) {}
}

fn moody(entities: &Entities, pin: Option<Hash>) -> Song {
    let registry = Registry::standard().with(&MOODY_KIND);
    let mut song = Song::derive(entities, &registry, arrangement(), RATE, &Scope::mix()).unwrap();
    let key = NodeKey::new(NodeId(id(4, 11)), "node");
    song.pins.extend(pin.map(|pin| (key, pin)));
    song
}

#[test]
fn what_a_volatile_node_made_is_found_by_artefact_and_never_by_input() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.drums", "test.moody"]);
    let hear = |song: &Song| from_cache(song, &cache, 1);
    // Unpinned: other sound each time, though nothing changed.
    let (first, _) = hear(&moody(&entities, None));
    let (second, report) = hear(&moody(&entities, None));
    assert!(report.rendered > 0 && bits(&first) != bits(&second));
    // Pinned: the sound of the artefact.
    let pin = Some(Hash([1; 32]));
    let (made, _) = hear(&moody(&entities, pin));
    let (again, report) = hear(&moody(&entities, pin));
    assert_eq!(report.rendered, 0);
    same(&again, &made, &|| "pinned".into());
    // Also where what enters is another: only a new artefact is made anew.
    entities.put(note(100, 1, BEAT / 3, 50));
    let (edited, _) = hear(&moody(&entities, pin));
    same(&edited, &made, &|| "edited".into());
    let (renewed, _) = hear(&moody(&entities, Some(Hash([2; 32]))));
    assert!(bits(&renewed) != bits(&made));
    // Verifying hits has nothing to say against an artefact.
    let options = Options { segment_frames: SEGMENT, verify: 1.0, ..Options::new(RATE) };
    let (verified, report) = with_options(&moody(&entities, pin), &cache, 0..FRAMES, &options);
    assert!(report.mismatched.is_empty());
    same(&verified, &made, &|| "verified".into());
}
