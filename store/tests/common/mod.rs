//! A small song to work on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(dead_code)]

pub mod oracle;

use pulse_schemas::{
    entity::{Arrangement, Channel, ChannelKind, Clip, Lane, Note, Track},
    id::{ActorId, ArrangementId, ChannelId, ClipId, LaneId, NoteId, TrackId},
    time::{Moment, Ticks},
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::TxMeta,
};

pub fn options() -> CreateOptions {
    CreateOptions { actor: Some(ActorId(7)), ..CreateOptions::named("Song") }
}

pub fn project() -> Project {
    Project::in_memory(options()).unwrap()
}

pub fn by(client: &str) -> TxMeta {
    TxMeta { author: "Ada".into(), ..TxMeta::new("Edit", client) }
}

pub struct Song {
    pub arrangement: ArrangementId,
    pub track: TrackId,
    pub lane: LaneId,
    pub clip: ClipId,
    pub channel: ChannelId,
    pub notes: Vec<NoteId>,
}

/// One arrangement with a track, its channel, a lane and a clip of four notes.
pub fn write_song(project: &mut Project) -> Song {
    let mut tx = project.begin(by("a"));
    let arrangement = ArrangementId(tx.new_id());
    let name = String::from("Song");
    tx.put(Arrangement { id: arrangement, name, ..Arrangement::default() }).unwrap();
    let track = TrackId(tx.new_id());
    tx.put(Track { id: track, arrangement, name: "Bass".into(), ..Track::default() }).unwrap();
    let channel = ChannelId(tx.new_id());
    tx.put(Channel { channels: 2, track: Some(track), ..bus(channel, arrangement) }).unwrap();
    tx.update::<Channel>(channel, |it| it.channel_kind = ChannelKind::Track).unwrap();
    let lane = LaneId(tx.new_id());
    tx.put(Lane { id: lane, track, ..Lane::default() }).unwrap();
    let clip = ClipId(tx.new_id());
    tx.put(Clip { id: clip, lane, length: Moment(1000), ..Clip::default() }).unwrap();
    let notes: Vec<NoteId> = (0..4).map(|_| NoteId(tx.new_id())).collect();
    for (at, id) in notes.iter().enumerate() {
        let start = Ticks(300 - 100 * at as i64);
        tx.put(Note { id: *id, clip, start, length: Ticks(50), ..Note::default() }).unwrap();
    }
    tx.commit().unwrap();
    Song { arrangement, track, lane, clip, channel, notes }
}

pub fn bus(id: ChannelId, arrangement: ArrangementId) -> Channel {
    let channel_kind = ChannelKind::Bus;
    Channel { id, arrangement, channel_kind, channels: 2, ..Channel::default() }
}

pub fn gain(project: &Project, song: &Song) -> f64 {
    project.view().get::<Channel>(song.channel).unwrap().unwrap().gain_db
}

pub fn set_gain(project: &mut Project, song: &Song, client: &str, gain_db: f64) {
    let mut tx = project.begin(by(client));
    tx.update::<Channel>(song.channel, |it| it.gain_db = gain_db).unwrap();
    tx.commit().unwrap();
}

pub fn move_clip(project: &mut Project, song: &Song, client: &str, start: i64) {
    let mut tx = project.begin(by(client));
    tx.update::<Clip>(song.clip, |it| it.start = Moment(start)).unwrap();
    tx.commit().unwrap();
}
