//! The song that is measured: 100 tracks with a channel and a lane each, clips of 50 notes. The
//! benchmarks of the store measure the same one.

use pulse_schemas::{
    entity::{Arrangement, Channel, ChannelKind, Clip, Lane, Note, Track},
    id::{ArrangementId, ChannelId, ClipId, LaneId, NoteId, TrackId},
    time::{Moment, Ticks},
};
use pulse_store::{
    project::Project,
    tx::{Committed, TxMeta},
};

pub const TRACKS: usize = 100;
pub const NOTES_PER_CLIP: usize = 50;

pub fn meta(label: &str) -> TxMeta {
    TxMeta { author: "somebody".into(), ..TxMeta::new(label, "client-1") }
}

/// Makes the song in one transaction and waits for the disk.
pub fn import(project: &mut Project, notes: usize) -> (Vec<ClipId>, Vec<ChannelId>) {
    let (committed, clips, channels) = import_soon(project, notes);
    committed.ticket.wait().unwrap();
    (clips, channels)
}

/// The same without waiting.
pub fn import_soon(
    project: &mut Project,
    notes: usize,
) -> (Committed, Vec<ClipId>, Vec<ChannelId>) {
    let (mut clips, mut channels) = (Vec::new(), Vec::new());
    let mut tx = project.begin(meta("Import"));
    let arrangement = ArrangementId(tx.new_id());
    tx.put(Arrangement { id: arrangement, name: "Song".into(), ..Arrangement::default() }).unwrap();
    let master = ChannelId(tx.new_id());
    let channel = Channel { arrangement, channels: 2, ..Channel::default() };
    tx.put(Channel { id: master, channel_kind: ChannelKind::Master, ..channel.clone() }).unwrap();
    let mut lanes = Vec::new();
    for number in 0..TRACKS {
        let (track, name) = (TrackId(tx.new_id()), format!("Track {number}"));
        tx.put(Track { id: track, arrangement, name, ..Track::default() }).unwrap();
        let (id, owner) = (ChannelId(tx.new_id()), Some(track));
        tx.put(Channel { id, track: owner, output: Some(master), ..channel.clone() }).unwrap();
        let lane = LaneId(tx.new_id());
        tx.put(Lane { id: lane, track, ..Lane::default() }).unwrap();
        channels.push(id);
        lanes.push(lane);
    }
    for number in 0..notes / NOTES_PER_CLIP {
        let (id, lane) = (ClipId(tx.new_id()), lanes[number % TRACKS]);
        let start = Moment((number / TRACKS) as i64 * 10_000);
        tx.put(Clip { id, lane, start, length: Moment(10_000), ..Clip::default() }).unwrap();
        clips.push(id);
        for at in 0..NOTES_PER_CLIP {
            let (note, start) = (NoteId(tx.new_id()), Ticks(at as i64 * 100));
            let pitch = 36 + (at % 48) as u8;
            let length = Ticks(90);
            tx.put(Note { id: note, clip: id, start, length, pitch, ..Note::default() }).unwrap();
        }
    }
    (tx.commit().unwrap(), clips, channels)
}

pub fn move_clip(project: &mut Project, clip: ClipId, by: i64) -> Committed {
    let mut tx = project.begin(meta("Move clip"));
    tx.update::<Clip>(clip, |clip| clip.start = Moment(clip.start.0 + by)).unwrap();
    tx.commit().unwrap()
}

/// Gives `count` notes another pitch, one clip after the other.
pub fn transpose(project: &mut Project, clips: &[ClipId], count: usize, pitch: u8) {
    let mut tx = project.begin(meta("Transpose"));
    for number in 0..count {
        let clip = clips[number % clips.len()];
        let note = tx.before().members::<Note>(clip).unwrap()[number / clips.len()].clone();
        tx.put(Note { pitch, ..note }).unwrap();
    }
    tx.commit().unwrap();
}
