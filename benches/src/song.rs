//! A song of any size, the same for the same size.

#![allow(clippy::unwrap_used, reason = "a measuring program stops at the first error")]

use pulse_schemas::{
    entity::{
        Arrangement, AudioFormat, AudioRegion, Channel, ChannelKind, Clip, ClipContent, DspNode,
        Lane, LaneKind, MediaItem, Note, Send, SidechainRoute, StretchMode, TempoPoint, Track,
        TrackKind,
    },
    hash::Hash,
    id::{
        ActorId, ArrangementId, AudioRegionId, ChannelId, ClipId, LaneId, MediaId, NodeId, NoteId,
        SendId, SidechainRouteId, TempoPointId, TrackId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::{Tx, TxMeta},
};

pub const BEAT: i64 = Ticks::PER_QUARTER;
/// Two bars, four seconds at 120 BPM.
pub const CLIP: i64 = 8 * BEAT;
const GROUPS: usize = 4;

/// The recording that all audio tracks play: eight seconds.
pub const SOUND: Hash = Hash([7; 32]);
pub const SOUND_FRAMES: u64 = 8 * 48_000;

/// What the edits need to find.
pub struct Song {
    pub arrangement: ArrangementId,
    pub tracks: Vec<Part>,
    pub master_compressor: NodeId,
}

pub struct Part {
    pub channel: ChannelId,
    pub eq: NodeId,
    pub clips: Vec<ClipId>,
}

pub fn meta(label: &str) -> TxMeta {
    TxMeta::new(label, "bench")
}

/// Five kinds of track in turn: drums, ducked bass, ducked pad, lead with echo,
/// keys or (every tenth track) audio, of whose clips every second is stretched;
/// all with an equaliser, two sends in three tracks, four group buses.
pub fn build(tracks: usize, seconds: usize) -> (Project, Song) {
    let options = CreateOptions { actor: Some(ActorId(7)), ..CreateOptions::named("Bench") };
    let mut project = Project::in_memory(options).unwrap();
    let mut tx = project.begin(meta("Song"));
    let arrangement = ArrangementId(tx.new_id());
    tx.put(Arrangement { id: arrangement, name: "Song".into(), ..Arrangement::default() }).unwrap();
    let id = TempoPointId(tx.new_id());
    tx.put(TempoPoint { id, arrangement, bpm: 120.0, ..TempoPoint::default() }).unwrap();
    let media = MediaId(tx.new_id());
    let format = AudioFormat {
        container: "wav".into(),
        sample_rate: 48_000,
        channels: 1,
        bits: 32,
        float: true,
        frames: SOUND_FRAMES,
    };
    let name = "Take".to_owned();
    tx.put(MediaItem { id: media, name, format, content: Some(SOUND), ..MediaItem::default() })
        .unwrap();
    let mut desk = Desk { tx, arrangement, media, strips: 0, drums: None };
    let master = desk.strip(ChannelKind::Master, None, None);
    desk.node(master, 0, "pulse.eq", &[("band1Type", 1.0), ("band1Gain", 1.0)]);
    let master_compressor =
        desk.node(master, 1, "pulse.compressor", &[("threshold", -14.0), ("ratio", 2.0)]);
    desk.node(master, 2, "pulse.limiter", &[]);
    let room = desk.strip(ChannelKind::Return, None, Some(master));
    desk.node(room, 0, "pulse.reverb", &[("mix", 1.0), ("decay", 1.8)]);
    let echo = desk.strip(ChannelKind::Return, None, Some(master));
    desk.node(echo, 0, "pulse.delay", &[("mix", 1.0), ("feedback", 0.35)]);
    let mut groups = Vec::new();
    for _ in 0..GROUPS {
        let group = desk.strip(ChannelKind::Bus, None, Some(master));
        desk.node(group, 0, "pulse.compressor", &[("threshold", -18.0), ("ratio", 1.5)]);
        groups.push(group);
    }
    let clips = seconds.div_ceil(4);
    let parts = (0..tracks).map(|number| {
        let part = desk.track(number, clips, groups[number % GROUPS]);
        if number % 3 != 0 {
            desk.send(part.channel, if number % 3 == 1 { room } else { echo });
        }
        part
    });
    let tracks = parts.collect();
    desk.tx.commit().unwrap();
    (project, Song { arrangement, tracks, master_compressor })
}

/// The kind of track that plays a recording.
const AUDIO: usize = 9;

pub fn is_audio(number: usize) -> bool {
    number % 10 == 9
}

struct Desk<'a> {
    tx: Tx<'a>,
    arrangement: ArrangementId,
    media: MediaId,
    strips: usize,
    /// What ducks the others.
    drums: Option<ChannelId>,
}

impl Desk<'_> {
    fn strip(
        &mut self,
        channel_kind: ChannelKind,
        track: Option<TrackId>,
        output: Option<ChannelId>,
    ) -> ChannelId {
        let id = ChannelId(self.tx.new_id());
        self.strips += 1;
        let strip = Channel {
            id,
            arrangement: self.arrangement,
            track,
            channel_kind,
            name: format!("Channel {}", self.strips),
            gain_db: -9.0,
            width: 1.0,
            channels: 2,
            output,
            ..Channel::default()
        };
        self.tx.put(strip).unwrap();
        id
    }

    fn node(
        &mut self,
        channel: ChannelId,
        place: usize,
        kind: &str,
        params: &[(&str, f64)],
    ) -> NodeId {
        let id = NodeId(self.tx.new_id());
        let node = DspNode {
            id,
            channel,
            order: OrderKey(format!("a{place}")),
            node_kind: kind.into(),
            node_version: 1,
            params: params.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
            ..DspNode::default()
        };
        self.tx.put(node).unwrap();
        id
    }

    fn send(&mut self, from: ChannelId, to: ChannelId) {
        let id = SendId(self.tx.new_id());
        self.tx.put(Send { id, from, to, gain_db: -14.0, ..Send::default() }).unwrap();
    }

    fn track(&mut self, number: usize, clips: usize, group: ChannelId) -> Part {
        let track = TrackId(self.tx.new_id());
        let entity = Track {
            id: track,
            arrangement: self.arrangement,
            name: format!("Track {number}"),
            track_kind: TrackKind::Instrument,
            ..Track::default()
        };
        self.tx.put(entity).unwrap();
        let channel = self.strip(ChannelKind::Track, Some(track), Some(group));
        let lane = LaneId(self.tx.new_id());
        let kind = if is_audio(number) { AUDIO } else { number % 5 };
        let lane_kind = if kind == AUDIO { LaneKind::Audio } else { LaneKind::Midi };
        self.tx.put(Lane { id: lane, track, lane_kind, ..Lane::default() }).unwrap();
        let eq = self.chain(channel, number, kind);
        let clips = (0..clips)
            .map(|at| match kind {
                AUDIO => self.audio(lane, at),
                _ => self.clip(lane, number, at, kind),
            })
            .collect();
        Part { channel, eq, clips }
    }

    fn chain(&mut self, channel: ChannelId, number: usize, kind: usize) -> NodeId {
        let tone = ("cutoff", 400.0 + 97.0 * (number % 40) as f64);
        match kind {
            AUDIO => self.node(channel, 0, "pulse.filter", &[("cutoff", 8_000.0)]),
            0 => self.node(channel, 0, "pulse.drums", &[]),
            2 => self.node(channel, 0, "pulse.synth", &[tone, ("unison", 3.0)]),
            _ => self.node(channel, 0, "pulse.synth", &[tone]),
        };
        let bell = [
            ("band1Type", 1.0),
            ("band1Frequency", 200.0 + number as f64),
            ("band1Gain", -3.0),
            ("band2Type", 1.0),
            ("band2Frequency", 2_000.0),
            ("band2Gain", 2.0),
        ];
        let eq = self.node(channel, 1, "pulse.eq", &bell);
        match kind {
            0 => {
                self.node(channel, 2, "pulse.compressor", &[("threshold", -16.0)]);
                self.drums.get_or_insert(channel);
            }
            1 | 2 => {
                let params = [("threshold", -28.0), ("ratio", 4.0), ("release", 120.0)];
                let to = self.node(channel, 2, "pulse.compressor", &params);
                let from = self.drums.unwrap();
                let id = SidechainRouteId(self.tx.new_id());
                let route = SidechainRoute { id, from, to, port: 1, ..SidechainRoute::default() };
                self.tx.put(route).unwrap();
            }
            3 => {
                self.node(channel, 2, "pulse.delay", &[("mix", 0.25), ("feedback", 0.3)]);
            }
            _ => {}
        }
        eq
    }

    /// Two bars of the recording, half of them stretched by a quarter.
    fn audio(&mut self, lane: LaneId, at: usize) -> ClipId {
        let id = ClipId(self.tx.new_id());
        let stretched = at % 2 == 1;
        let clip = Clip {
            id,
            lane,
            name: format!("Take {at}"),
            content: ClipContent::Audio,
            start: Moment(at as i64 * CLIP),
            length: Moment(CLIP - BEAT),
            gain_db: -6.0,
            stretch: if stretched { StretchMode::Stretch } else { StretchMode::Off },
            ..Clip::default()
        };
        self.tx.put(clip).unwrap();
        let region = AudioRegion {
            id: AudioRegionId(self.tx.new_id()),
            clip: id,
            media: self.media,
            source_bpm: stretched.then_some(96.0),
            ..AudioRegion::default()
        };
        self.tx.put(region).unwrap();
        id
    }

    fn clip(&mut self, lane: LaneId, number: usize, at: usize, kind: usize) -> ClipId {
        let id = ClipId(self.tx.new_id());
        let clip = Clip {
            id,
            lane,
            name: format!("Clip {at}"),
            content: ClipContent::Midi,
            start: Moment(at as i64 * CLIP),
            length: Moment(CLIP),
            ..Clip::default()
        };
        self.tx.put(clip).unwrap();
        for step in 0..16usize {
            let note = NoteId(self.tx.new_id());
            let pitch = match kind {
                0 => [36, 42, 38, 42][step % 4],
                1 => 33 + (at * 5 % 12) as u8,
                _ => 48 + ((number * 7 + at * 5 + step * 3) % 30) as u8,
            };
            let entity = Note {
                id: note,
                clip: id,
                pitch,
                start: Ticks(step as i64 * BEAT / 2),
                length: Ticks(BEAT * 3 / 8),
                velocity: 40_000,
                probability: 1.0,
                ..Note::default()
            };
            self.tx.put(entity).unwrap();
        }
        id
    }
}
