//! What runs and what must not, after each kind of edit; and that the host says
//! what a derivation from nothing says.

use std::{collections::BTreeMap, sync::Arc};

use pulse_engine::registry::Registry;
use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::{
        AnyEntity, Channel, ChannelKind, Clip, ClipContent, DspNode, Lane, LaneKind, Note, Track,
        TrackKind,
    },
    graph::Cohort,
    id::{AnyId, ArrangementId, ChannelId, ClipId, LaneId, NodeId, NoteId, TrackId},
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::{Committed, Tx, TxMeta},
};

mod random;

use super::{Counts, Host};
use crate::{
    ambient::Ambient,
    stored::Stored,
    view::{Ctx, scratch},
};

const BAR: i64 = 4 * 45_158_400;

/// A song of `tracks` tracks with a channel, a lane, one node and `clips` clips
/// of one note each, all into one master.
struct Song {
    project: Project,
    host: Host,
    arrangement: ArrangementId,
    master: ChannelId,
    tracks: Vec<TrackId>,
    channels: Vec<ChannelId>,
    nodes: Vec<NodeId>,
    clips: Vec<ClipId>,
    notes: Vec<(ClipId, NoteId)>,
}

impl Song {
    fn new(tracks: usize, clips: usize) -> Song {
        let options = CreateOptions {
            actor: Some(pulse_schemas::id::ActorId(7)),
            ..CreateOptions::default()
        };
        let mut project = Project::in_memory(options).unwrap();
        let mut song = Parts::default();
        let mut tx = project.begin(TxMeta::new("Make", "test"));
        song.build(&mut tx, tracks, clips);
        tx.commit().unwrap();
        let host = Host::new(project.view(), Arc::new(Registry::standard()));
        let Parts { arrangement, master, tracks, channels, nodes, clips, notes, .. } = song;
        Song { project, host, arrangement, master, tracks, channels, nodes, clips, notes }
    }

    fn edit(&mut self, work: impl FnOnce(&mut Tx<'_>)) -> Committed {
        let mut tx = self.project.begin(TxMeta::new("Edit", "test"));
        work(&mut tx);
        let committed = tx.commit().unwrap();
        self.host.apply(&committed.changes, self.project.view());
        committed
    }

    fn update<E: pulse_schemas::entity::Entity + Into<AnyEntity>>(
        &mut self,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) {
        let id = id.into();
        self.edit(|tx| {
            let mut entity: E = tx.get(id).unwrap().unwrap();
            change(&mut entity);
            tx.put(entity).unwrap();
        });
    }

    fn undo(&mut self) {
        let committed = self.project.undo("test", None).unwrap();
        self.host.apply(&committed.changes, self.project.view());
    }

    /// What a client with everything on the screen asks for.
    fn pull(host: &Host, id: ArrangementId) {
        for view in [ViewName::Arrangement, ViewName::Mixer, ViewName::Routing, ViewName::Cohorts] {
            host.view(view, None, &Window::default()).unwrap();
        }
        host.graph(id).unwrap();
    }

    fn counted(&mut self) -> Counts {
        let id = self.arrangement;
        self.host.count(|host| Song::pull(host, id)).1
    }

    /// What of a view to look at: what it is about, and through which window.
    fn looks(&self) -> Vec<(ViewName, Option<AnyId>, Window)> {
        let window = Window {
            first_row: Some(1),
            rows: Some(4),
            from: Some(Ticks(BAR / 2)),
            to: Some(Ticks(3 * BAR)),
            resolution: Some(Ticks(BAR / 8)),
        };
        let ends = |ids: Vec<AnyId>| [ids.first().copied(), ids.last().copied()];
        let tracks = ends(self.tracks.iter().map(|id| id.any()).collect());
        let clips = ends(self.clips.iter().map(|id| id.any()).collect());
        let mut looks = Vec::new();
        for view in crate::view::ALL {
            let subjects: Vec<Option<AnyId>> = match view {
                ViewName::Track => tracks.into(),
                ViewName::Clip => clips.into(),
                ViewName::Automation => [tracks, clips].concat(),
                _ => vec![None],
            };
            for subject in subjects {
                looks.extend([Window::default(), window.clone()].map(|it| (view, subject, it)));
            }
        }
        looks
    }

    /// The host against a derivation from nothing.
    fn verify(&self) {
        let source = Stored::new(self.project.view());
        let registry = Registry::standard();
        let ctx = Ctx { source: &source, registry: &registry, ambient: self.host.ambient() };
        for (view, subject, window) in self.looks() {
            let expect = scratch::sheet(&ctx, view, subject, &window).ok();
            let found = self.host.view(view, subject, &window).ok();
            assert_eq!(
                found.as_ref().map(|sheet| (sheet.data(), sheet.hash())),
                expect.as_ref().map(|sheet| (sheet.data(), sheet.hash())),
                "{view:?} of {subject:?} in {window:?}"
            );
        }
    }
}

#[derive(Default)]
struct Parts {
    arrangement: ArrangementId,
    master: ChannelId,
    order: OrderKey,
    tracks: Vec<TrackId>,
    channels: Vec<ChannelId>,
    nodes: Vec<NodeId>,
    clips: Vec<ClipId>,
    notes: Vec<(ClipId, NoteId)>,
}

impl Parts {
    fn build(&mut self, tx: &mut Tx<'_>, tracks: usize, clips: usize) {
        self.arrangement = ArrangementId(tx.new_id());
        self.master = ChannelId(tx.new_id());
        self.order = OrderKey::between(None, None);
        tx.put(pulse_schemas::entity::Arrangement {
            id: self.arrangement,
            name: "Song".into(),
            order: self.order.clone(),
            ..Default::default()
        })
        .unwrap();
        tx.put(Channel {
            id: self.master,
            arrangement: self.arrangement,
            channel_kind: ChannelKind::Master,
            order: self.order.clone(),
            name: "Master".into(),
            width: 1.0,
            channels: 2,
            ..Channel::default()
        })
        .unwrap();
        (0..tracks).for_each(|number| self.track(tx, number, clips));
    }

    fn track(&mut self, tx: &mut Tx<'_>, number: usize, clips: usize) {
        let (track, lane) = (TrackId(tx.new_id()), LaneId(tx.new_id()));
        let (channel, node) = (ChannelId(tx.new_id()), NodeId(tx.new_id()));
        self.order = OrderKey::between(Some(&self.order), None);
        let order = self.order.clone();
        tx.put(Track {
            id: track,
            arrangement: self.arrangement,
            order: order.clone(),
            name: format!("Track {number}"),
            track_kind: TrackKind::Instrument,
            ..Track::default()
        })
        .unwrap();
        tx.put(Lane {
            id: lane,
            track,
            order: order.clone(),
            lane_kind: LaneKind::Midi,
            ..Lane::default()
        })
        .unwrap();
        tx.put(Channel {
            id: channel,
            arrangement: self.arrangement,
            track: Some(track),
            order: order.clone(),
            name: format!("Track {number}"),
            width: 1.0,
            channels: 2,
            output: Some(self.master),
            ..Channel::default()
        })
        .unwrap();
        tx.put(DspNode {
            id: node,
            channel,
            order: order.clone(),
            node_kind: "pulse.eq".into(),
            node_version: 1,
            ..DspNode::default()
        })
        .unwrap();
        for at in 0..clips {
            self.clip(tx, lane, at);
        }
        self.tracks.push(track);
        self.channels.push(channel);
        self.nodes.push(node);
    }

    fn clip(&mut self, tx: &mut Tx<'_>, lane: LaneId, at: usize) {
        let (clip, note) = (ClipId(tx.new_id()), NoteId(tx.new_id()));
        tx.put(Clip {
            id: clip,
            lane,
            name: format!("Clip {at}"),
            content: ClipContent::Midi,
            start: Moment(at as i64 * BAR),
            length: Moment(BAR),
            ..Clip::default()
        })
        .unwrap();
        tx.put(Note {
            id: note,
            clip,
            pitch: 60,
            length: Ticks(BAR / 4),
            velocity: 40_000,
            probability: 1.0,
            ..Note::default()
        })
        .unwrap();
        self.clips.push(clip);
        self.notes.push((clip, note));
    }
}

/// The queries that ran, with how often; and an upper bound for what was walked.
fn check(song: &mut Song, what: &str, expect: &[(&str, u64)], validated: u64) {
    let counts = song.counted();
    let expect: BTreeMap<String, u64> =
        expect.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(counts.executed, expect, "executed after: {what}");
    let walked: u64 = counts.validated.values().sum();
    assert!(walked <= validated, "{what}: {walked} validated: {:?}", counts.validated);
    song.verify();
}

/// One line for each kind of edit. `n` tracks are on the screen.
fn table(n: usize, clips: usize) {
    let mut song = Song::new(n, clips);
    song.counted();
    let (track, channel, node) = (song.tracks[0], song.channels[0], song.nodes[0]);
    let clip = song.clips[0];
    // Each row on the screen is looked at with the few queries below it.
    let rows = 8 * n as u64 + 16;

    song.update::<Clip>(clip, |clip| clip.gain_db = -6.0);
    check(&mut song, "the gain of a clip", &[("track_rows", 1)], rows);

    song.update::<Clip>(clip, |clip| clip.start = Moment(BAR / 2));
    check(&mut song, "a clip is moved", &[("track_rows", 1)], rows);

    let (owner, note) = song.notes[0];
    song.edit(|tx| {
        let mut found: Note = tx.get_owned(owner.0, note).unwrap().unwrap();
        found.pitch = 64;
        tx.put(found).unwrap();
    });
    check(&mut song, "a note", &[("track_rows", 1)], rows);

    song.update::<Channel>(channel, |channel| channel.gain_db = -3.0);
    check(&mut song, "a fader", &[("strip", 1)], rows);

    song.update::<DspNode>(node, |node| {
        node.params.insert("gain1".into(), 3.0);
    });
    check(&mut song, "a knob", &[("strip", 1)], rows);

    song.update::<Track>(track, |track| track.armed = true);
    let expect = [("cohorts", 1), ("strip", 1), ("track_rows", 1)];
    check(&mut song, "a track is armed", &expect, rows);

    song.update::<Track>(track, |track| track.mute = true);
    // Which channels are heard is derived again, and no row but one.
    let expect = [("audible", 1), ("heard", 1), ("strip", 1), ("track_rows", 1)];
    check(&mut song, "a track is muted", &expect, rows);

    song.update::<Track>(track, |track| track.name = "Lead".into());
    check(&mut song, "a track is renamed", &[("strip", 1), ("track_rows", 1)], rows);

    let other = song.channels[1 % n];
    song.update::<Channel>(other, |channel| channel.output = None);
    let counts = song.counted();
    for query in ["graph", "routes", "cohorts", "latency"] {
        assert_eq!(counts.executed.get(query), Some(&1), "a route: {query}: {counts:?}");
    }
    for (query, most) in [("strip", 1), ("track_rows", 1), ("chain_of", 1)] {
        let found = counts.executed.get(query).copied().unwrap_or(0);
        assert!(found <= most, "a route: {query}: {counts:?}");
    }
    for query in ["audible", "places", "tempo"] {
        let found = counts.executed.get(query).copied().unwrap_or(0);
        assert!(found <= 1, "a route: {query}: {counts:?}");
    }
    song.verify();
}

#[test]
fn an_edit_runs_what_it_concerns_and_nothing_else_at_100() {
    table(4, 20);
}

#[test]
fn an_edit_runs_what_it_concerns_and_nothing_else_at_10_000() {
    table(100, 50);
}

#[test]
fn an_edit_runs_what_it_concerns_and_nothing_else_at_100_000() {
    if std::env::var_os("PULSE_SOAK").is_some() {
        table(1_000, 50);
    }
}

#[test]
fn arming_one_track_leaves_every_track_that_only_feeds_the_master_anticipative() {
    let mut song = Song::new(6, 1);
    let (track, armed) = (song.tracks[2], song.channels[2]);
    song.update::<Track>(track, |track| track.armed = true);
    let cohorts = song.host.cohorts(song.arrangement).unwrap();
    for channel in &song.channels {
        let expect = if *channel == armed { Cohort::Live } else { Cohort::Anticipative };
        assert_eq!(cohorts.channels[channel].cohort, expect);
    }
    let node = song.nodes[2];
    assert_eq!(cohorts.of_node(node).unwrap().cohort, Cohort::Live);
    assert_eq!(cohorts.count(Cohort::Live), 2, "the track and the master");
}

#[test]
fn undo_finds_what_was_derived_before() {
    let mut song = Song::new(8, 8);
    song.counted();
    let (clip, channel) = (song.clips[3], song.channels[3]);
    song.update::<Clip>(clip, |clip| clip.gain_db = -6.0);
    song.update::<Channel>(channel, |channel| channel.gain_db = -6.0);
    song.counted();
    let before = song.host.memo();
    song.undo();
    song.undo();
    song.counted();
    let after = song.host.memo();
    assert_eq!(after.misses, before.misses, "{before:?} {after:?}");
    assert!(after.hits > before.hits);
    song.verify();
}

#[test]
fn what_is_ambient_reaches_who_shows_it() {
    let mut song = Song::new(3, 1);
    song.counted();
    let mut ambient = Ambient::default();
    ambient.seeds.editors.insert(song.nodes[1].any());
    song.host.set_ambient(ambient.clone());
    check(&mut song, "an editor is opened", &[("cohorts", 1)], 64);
    song.host.set_ambient(ambient);
    check(&mut song, "nothing", &[], 64);
}

#[test]
fn the_host_can_go_to_any_revision() {
    let mut song = Song::new(3, 2);
    song.counted();
    let old = song.project.view();
    let track = song.tracks[0];
    song.edit(|tx| {
        tx.remove_cascade(track).unwrap();
    });
    song.counted();
    let new = song.project.view();
    song.host.move_to(old).unwrap();
    assert_eq!(song.host.cohorts(song.arrangement).unwrap().channels.len(), 4);
    song.host.move_to(new).unwrap();
    song.verify();
}

#[test]
fn memory_stays_bounded_over_many_edits() {
    let rounds = if std::env::var_os("PULSE_SOAK").is_some() { 1_000_000 } else { 600 };
    let mut song = Song::new(3, 1);
    song.host = Host::new(song.project.view(), Arc::new(Registry::standard())).with_garbage(64);
    let (arrangement, master) = (song.arrangement, song.master);
    let mut parts = Parts { arrangement, master, ..Parts::default() };
    let mut most = 0;
    for at in 0..rounds {
        match at % 3 {
            0 => {
                song.edit(|tx| parts.track(tx, at, 1));
            }
            1 => {
                let track = parts.tracks.pop().unwrap();
                song.edit(|tx| {
                    tx.remove_cascade(track).unwrap();
                });
            }
            _ => {
                let channel = song.channels[0];
                song.update::<Channel>(channel, |channel| channel.pan = (at % 100) as f64 / 100.0);
            }
        }
        if at % 7 == 0 {
            song.host.view(ViewName::Mixer, None, &Window::default()).unwrap();
        }
        most = most.max(song.host.size());
        let memo = song.host.memo();
        assert!(memo.cost <= super::MEMO, "{memo:?}");
    }
    assert!(song.host.rebuilt() > 0);
    assert!(most < 140_000, "{most} inputs and labels");
    song.verify();
}
