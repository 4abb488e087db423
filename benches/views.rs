//! From an edit to what clients show and what the engine plays:
//! `cargo bench -p pulse-benches --bench views [-- --rounds=N]`.
//!
//! Corpus: songs of about 1,000, 10,000 and 100,000 records (tracks with a
//! channel, a lane, a synthesiser and 48 clips of one note), and one of 100,000
//! with 20 tracks of 2,400 clips. "A screen" is an arrangement of 40 rows by 16
//! bars and a mixer of 40 strips; "everything" is both without a window.
//!
//! What is timed is the time from the committed transaction to the deltas and
//! hashes that leave for a client: `apply`, the views, the steps between the old
//! state and the new one, the new state's hash. The store's own transaction is
//! timed by `--bench store`. A promise is about the screen at 100,000.

#![allow(clippy::unwrap_used, reason = "a measuring program stops at the first error")]

use std::{hint::black_box, sync::Arc, time::Duration};

use pulse_benches::{Times, heading, number, promise, row, show, time};
use pulse_engine::{
    material::{Material, NoMedia, Slices},
    plan::Compiler,
    registry::Registry,
};
use pulse_query::{
    cohort::Seeds,
    content::content,
    graph::playing_graph,
    host::Host,
    stored::Stored,
    view::{Sheet, delta},
};
use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::{
        AnyEntity, Arrangement, Channel, ChannelKind, Clip, ClipContent, DspNode, Entity, Lane,
        LaneKind, Note, Track, TrackKind,
    },
    id::{ActorId, AnyId, ArrangementId, ChannelId, ClipId, LaneId, NodeId, NoteId, TrackId},
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::{Committed, Tx, TxMeta},
};

const BAR: i64 = 4 * 45_158_400;
const RATE: u32 = 48_000;

struct Song {
    project: Project,
    host: Host,
    arrangement: ArrangementId,
    tracks: Vec<TrackId>,
    channels: Vec<ChannelId>,
    nodes: Vec<NodeId>,
    clips: Vec<ClipId>,
    notes: Vec<NoteId>,
    sheets: Vec<(ViewName, Sheet)>,
    window: Window,
    /// Edits so far: no two ask for the same.
    turns: usize,
}

impl Song {
    fn new(tracks: usize, clips: usize) -> Song {
        let options = CreateOptions { actor: Some(ActorId(7)), ..CreateOptions::default() };
        let project = Project::in_memory(options).unwrap();
        let host = Host::new(project.view(), Arc::new(Registry::standard()));
        let mut song = Song {
            project,
            host,
            arrangement: ArrangementId::default(),
            tracks: vec![],
            channels: vec![],
            nodes: vec![],
            clips: vec![],
            notes: vec![],
            sheets: vec![],
            window: Window::default(),
            turns: 0,
        };
        song.build(tracks, clips);
        song.host = Host::new(song.project.view(), Arc::new(Registry::standard()));
        song
    }

    fn build(&mut self, tracks: usize, clips: usize) {
        let mut project = std::mem::replace(
            &mut self.project,
            Project::in_memory(CreateOptions::default()).unwrap(),
        );
        let mut tx = project.begin(TxMeta::new("Make", "bench"));
        self.arrangement = ArrangementId(tx.new_id());
        let master = ChannelId(tx.new_id());
        let mut order = OrderKey::between(None, None);
        let name = "Song".to_owned();
        let arrangement =
            Arrangement { id: self.arrangement, name, order: order.clone(), ..Default::default() };
        tx.put(arrangement).unwrap();
        let channel = Channel {
            arrangement: self.arrangement,
            width: 1.0,
            channels: 2,
            order: order.clone(),
            ..Channel::default()
        };
        tx.put(Channel { id: master, channel_kind: ChannelKind::Master, ..channel.clone() })
            .unwrap();
        for number in 0..tracks {
            order = OrderKey::between(Some(&order), None);
            let strip = Channel { output: Some(master), order: order.clone(), ..channel.clone() };
            self.track(&mut tx, number, clips, strip);
        }
        tx.commit().unwrap();
        self.project = project;
    }

    fn track(&mut self, tx: &mut Tx<'_>, number: usize, clips: usize, strip: Channel) {
        let (track, lane) = (TrackId(tx.new_id()), LaneId(tx.new_id()));
        let (channel, node) = (ChannelId(tx.new_id()), NodeId(tx.new_id()));
        let (order, name) = (strip.order.clone(), format!("Track {number}"));
        let (arrangement, track_kind) = (self.arrangement, TrackKind::Instrument);
        tx.put(Track {
            id: track,
            arrangement,
            order: order.clone(),
            name: name.clone(),
            track_kind,
            ..Track::default()
        })
        .unwrap();
        let lane_kind = LaneKind::Midi;
        tx.put(Lane { id: lane, track, order: order.clone(), lane_kind, ..Lane::default() })
            .unwrap();
        tx.put(Channel { id: channel, track: Some(track), name, ..strip }).unwrap();
        let node_kind = "pulse.synth".to_owned();
        tx.put(DspNode {
            id: node,
            channel,
            order,
            node_kind,
            node_version: 1,
            ..DspNode::default()
        })
        .unwrap();
        for at in 0..clips {
            let (clip, note) = (ClipId(tx.new_id()), NoteId(tx.new_id()));
            let (start, length) = (Moment(at as i64 * BAR), Moment(BAR));
            let (name, content) = (format!("Clip {at}"), ClipContent::Midi);
            tx.put(Clip { id: clip, lane, name, content, start, length, ..Clip::default() })
                .unwrap();
            let (pitch, length, velocity) = (60, Ticks(BAR / 4), 40_000);
            let made = Note { id: note, clip, pitch, length, velocity, ..Note::default() };
            tx.put(Note { probability: 1.0, ..made }).unwrap();
            self.clips.push(clip);
            self.notes.push(note);
        }
        self.tracks.push(track);
        self.channels.push(channel);
        self.nodes.push(node);
    }

    fn records(&self) -> u64 {
        self.project.view().len()
    }

    /// Shows the views through a window.
    fn show(&mut self, window: &Window) {
        self.window = window.clone();
        let views = [ViewName::Arrangement, ViewName::Mixer];
        let derive = |view| (view, self.host.view(view, None, window).unwrap());
        self.sheets = views.map(derive).into();
        self.sheets.iter().for_each(|(_, sheet)| {
            black_box(sheet.hash());
        });
    }

    fn edit(&mut self, work: impl FnOnce(&mut Tx<'_>)) -> Committed {
        let mut tx = self.project.begin(TxMeta::new("Edit", "bench"));
        work(&mut tx);
        tx.commit().unwrap()
    }

    fn update<E: Entity + Into<AnyEntity>>(
        &mut self,
        id: impl Into<AnyId>,
        change: impl FnOnce(&mut E),
    ) -> Committed {
        let id = id.into();
        self.edit(|tx| {
            let mut entity: E = tx.get(id).unwrap().unwrap();
            change(&mut entity);
            tx.put(entity).unwrap();
        })
    }

    /// From the transaction to the steps and the hash of each view.
    fn follow(&mut self, committed: &Committed) -> Cost {
        let view = self.project.view();
        let (apply, ()) = time(|| self.host.apply(&committed.changes, view));
        let derive = |sheets: &[(ViewName, Sheet)]| -> Vec<(ViewName, Sheet)> {
            let host = &self.host;
            let new = |view| (view, host.view(view, None, &self.window).unwrap());
            sheets.iter().map(|(view, _)| new(*view)).collect()
        };
        let (views, new) = time(|| derive(&self.sheets));
        let (steps, count) = time(|| {
            let pairs = self.sheets.iter().zip(&new);
            pairs.map(|((_, old), (_, new))| steps(old, new)).sum::<usize>()
        });
        assert!(count > 0, "an edit that nobody sees");
        self.sheets = new;
        Cost { apply, views, steps }
    }

    fn turn(&mut self) -> usize {
        self.turns += 1;
        self.turns
    }

    fn undo(&mut self) -> Committed {
        self.project.undo("bench", None).unwrap()
    }
}

fn steps(old: &Sheet, new: &Sheet) -> usize {
    let steps = delta::between(old, new);
    if !steps.is_empty() {
        black_box(new.hash());
    }
    black_box(steps).len()
}

#[derive(Clone, Copy)]
struct Cost {
    apply: Duration,
    views: Duration,
    steps: Duration,
}

impl Cost {
    fn all(&self) -> Duration {
        self.apply + self.views + self.steps
    }
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> Duration) -> Duration {
    Times::of(costs.iter().map(of)).median()
}

fn told(costs: &[Cost]) -> String {
    let p99 = Times::of(costs.iter().map(Cost::all)).within(0.99);
    format!(
        "{} (apply {}, views {}, deltas and hash {}; p99 {})",
        show(median(costs, Cost::all)),
        show(median(costs, |cost| cost.apply)),
        show(median(costs, |cost| cost.views)),
        show(median(costs, |cost| cost.steps)),
        show(p99),
    )
}

type Edit = fn(&mut Song, usize) -> Committed;

fn gain(round: usize) -> f64 {
    -1.0 - round as f64 / 64.0
}

/// Edits that the first rows of both views show.
const EDITS: [(&str, Edit); 7] = [
    ("the gain of a clip", |song, round| {
        let clip = song.clips[round % 8];
        song.update::<Clip>(clip, |clip| clip.gain_db = gain(round))
    }),
    ("a clip moved", |song, round| {
        let clip = song.clips[round % 8];
        song.update::<Clip>(clip, |clip| clip.start = Moment(clip.start.0 + BAR / 64))
    }),
    ("a note made", |song, round| {
        let clip = song.clips[round % 8];
        song.edit(|tx| {
            let id = NoteId(tx.new_id());
            let note = Note { id, clip, pitch: 64, length: Ticks(BAR / 8), ..Note::default() };
            tx.put(Note { probability: 1.0, velocity: 9_000, ..note }).unwrap();
        })
    }),
    ("a fader", |song, round| {
        let channel = song.channels[round % song.channels.len().min(8)];
        song.update::<Channel>(channel, |channel| channel.gain_db = gain(round))
    }),
    ("a knob", |song, round| {
        let node = song.nodes[round % song.nodes.len().min(8)];
        song.update::<DspNode>(node, |node| {
            node.params.insert("cutoff".into(), 900.0 + round as f64);
        })
    }),
    ("a track renamed", |song, round| {
        let track = song.tracks[round % song.tracks.len().min(8)];
        song.update::<Track>(track, |track| track.name = format!("Name {round}"))
    }),
    ("a track muted", |song, round| {
        let track = song.tracks[round % song.tracks.len().min(8)];
        song.update::<Track>(track, |track| track.mute = !track.mute)
    }),
];

fn screen() -> Window {
    let (from, to) = (Some(Ticks(0)), Some(Ticks(16 * BAR)));
    Window { rows: Some(40), from, to, ..Window::default() }
}

/// Edits and their undo, seen through one window.
fn follow(song: &mut Song, what: &str, promised: bool) {
    let rounds = number("rounds").unwrap_or(200);
    let (mut undos, budget) = (Vec::new(), Duration::from_micros(100));
    for (name, edit) in EDITS {
        let mut costs = Vec::new();
        for _ in 0..rounds {
            let turn = song.turn();
            let committed = edit(song, turn);
            costs.push(song.follow(&committed));
            let committed = song.undo();
            undos.push(song.follow(&committed));
            // Done anew, so that the next one is an edit of something new.
            let turn = song.turn();
            let committed = edit(song, turn);
            song.follow(&committed);
        }
        let what = format!("{what}: {name}");
        if promised {
            promise(&what, &told(&costs), "≤ 100 µs", median(&costs, Cost::all) <= budget);
        } else {
            row(&what, &told(&costs));
        }
    }
    let what = format!("{what}: undo of each");
    if promised {
        let budget = Duration::from_micros(50);
        promise(&what, &told(&undos), "≤ 50 µs", median(&undos, Cost::all) <= budget);
    } else {
        row(&what, &told(&undos));
    }
}

/// What the engine's side derives again: the graph and its plan, the values of
/// a channel, the events of a track.
fn engine(song: &mut Song, what: &str) {
    let id = song.arrangement;
    let first = song.host.graph(id).unwrap().unwrap();
    for at in 0..song.tracks.len() {
        song.host.params(id, song.channels[at]).unwrap();
        song.host.events(id, song.tracks[at]).unwrap();
    }
    song.host.cohorts(id).unwrap();
    let (mut knobs, mut notes, mut arms, mut graphs, mut plans) =
        (vec![], vec![], vec![], vec![], vec![]);
    let mut compiler = Compiler::new(Registry::standard(), RATE, 512).unwrap();
    for round in 0..40 {
        let turn_to = song.turn();
        let (channel, track) = (song.channels[0], song.tracks[0]);
        let mut turn = |edit: Edit, times: &mut Vec<Duration>| {
            let committed = edit(song, turn_to);
            let view = song.project.view();
            let (took, graph) = time(|| {
                song.host.apply(&committed.changes, view);
                song.host.params(id, channel).unwrap();
                song.host.events(id, track).unwrap();
                song.host.cohorts(id).unwrap();
                song.host.graph(id).unwrap().unwrap()
            });
            times.push(took);
            graph
        };
        let same = turn(EDITS[4].1, &mut knobs);
        assert!(Arc::ptr_eq(&same, &first) || round > 0);
        turn(EDITS[2].1, &mut notes);
        let arm: Edit = |song, _| {
            let track = song.tracks[0];
            song.update::<Track>(track, |track| track.armed = !track.armed)
        };
        turn(arm, &mut arms);
        let route: Edit = |song, _| {
            let (channel, master) = (song.channels[0], song.project.view());
            let all = master.all::<Channel>().unwrap();
            let master = all.iter().find(|it| it.channel_kind == ChannelKind::Master).unwrap().id;
            song.update::<Channel>(channel, |channel| {
                channel.output = channel.output.is_none().then_some(master);
            })
        };
        let graph = turn(route, &mut graphs);
        plans.push(time(|| black_box(compiler.compile(&graph).unwrap())).0);
    }
    let show = |times: Vec<Duration>| show(Times::of(times).median());
    row(&format!("{what}: a knob → its slice, the same graph"), &show(knobs));
    row(&format!("{what}: a note → the events of its track, the same graph"), &show(notes));
    row(&format!("{what}: a track armed → cohorts, the same graph"), &show(arms));
    row(&format!("{what}: a route → a new graph"), &show(graphs));
    row(&format!("{what}: the plan of that graph"), &show(plans));
}

/// From the transaction to what plays of it, as the thread does that derives for
/// the engine: the step there, and everything from nothing.
fn played(song: &mut Song, what: &str) {
    let registry = Arc::new(Registry::standard());
    let mut host = Host::new(song.project.view(), Arc::clone(&registry)).at_rate(44_100);
    let id = song.arrangement;
    assert!(host.play(id).unwrap().whole);
    let arm: Edit = |song, _| {
        let track = song.tracks[0];
        song.update::<Track>(track, |track| track.armed = !track.armed)
    };
    let rounds = (number("rounds").unwrap_or(200) / 4).max(1);
    for (name, edit) in EDITS.into_iter().chain([("a track armed", arm)]) {
        let mut steps = Vec::new();
        for _ in 0..rounds {
            let turn = song.turn();
            edit(song, turn);
            let view = song.project.view();
            let (took, step) = time(|| {
                host.move_to(view).unwrap();
                host.play(id).unwrap()
            });
            assert!(!step.whole);
            steps.push(took);
        }
        row(&format!("{what}: {name} → what plays"), &show(Times::of(steps).median()));
    }
    let source = Stored::new(song.project.view());
    let all = (0..5).map(|_| {
        let derive = || {
            let graph = playing_graph(&source, &registry, id, &Seeds::default()).unwrap();
            (graph, content(&source, &registry, id, 44_100))
        };
        time(|| black_box(derive())).0
    });
    row(&format!("{what}: what plays, from nothing"), &show(Times::of(all).median()));
}

/// Sixteen notes a bar on the only track, in clips that follow each other.
fn long_track(notes: usize, clips: usize) -> Song {
    let mut song = Song::new(1, clips);
    let each = notes / clips;
    let length = (each as i64).div_euclid(16).max(1) * BAR;
    let ids = song.clips.clone();
    song.notes.clear();
    song.edit(|tx| {
        for (number, id) in ids.iter().enumerate() {
            let mut clip: Clip = tx.get(*id).unwrap().unwrap();
            clip.start = Moment(number as i64 * length);
            clip.length = Moment(length);
            tx.put(clip).unwrap();
            for at in 0..each as i64 {
                let (note, start) = (NoteId(tx.new_id()), Ticks(at * BAR / 16));
                let pitch = 36 + (at % 48) as u8;
                let (length, velocity) = (Ticks(BAR / 12), 40_000);
                let made = Note { id: note, clip: *id, pitch, start, length, ..Note::default() };
                tx.put(Note { velocity, probability: 1.0, ..made }).unwrap();
            }
        }
    });
    song.host = Host::new(song.project.view(), Arc::new(Registry::standard()));
    song
}

/// A note of a track of many: to a screen, to an editor of its clip, to what plays
/// and to what a node has of it.
fn long(notes: usize, clips: usize) {
    let mut song = long_track(notes, clips);
    let registry = Arc::new(Registry::standard());
    let mut player = Host::new(song.project.view(), Arc::clone(&registry)).at_rate(44_100);
    let id = song.arrangement;
    let clip = song.clips[clips / 2];
    let inside: Vec<Note> = song.project.view().members(clip).unwrap();
    let editor = Window { from: Some(Ticks(0)), to: Some(Ticks(16 * BAR)), ..Window::default() };
    song.show(&screen());
    let mut shown = song.host.view(ViewName::Clip, Some(clip.any()), &editor).unwrap();
    let (first, step) = time(|| player.play(id).unwrap());
    let mut compiler = Compiler::new(Registry::standard(), 44_100, 512).unwrap();
    let plan = compiler.compile(&step.spec).unwrap();
    let mut slices = Slices::default();
    slices.patch(step.patch);
    let mut material = Material::bind(&plan, &slices, &NoMedia);
    let mut note = inside.into_iter().min_by_key(|note| (note.start, note.id)).unwrap();
    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 0..60u8 {
        note.pitch = 30 + round;
        let put = note.clone();
        let committed = song.edit(|tx| tx.put(put).unwrap());
        let view = song.project.view();
        let (took, ()) = time(|| song.host.apply(&committed.changes, view));
        let (looked, new) = time(|| {
            let host = &song.host;
            let views = |(view, _): &(ViewName, Sheet)| host.view(*view, None, &song.window);
            song.sheets.iter().map(views).collect::<Result<Vec<_>, _>>().unwrap()
        });
        times[0].push(took + looked);
        black_box(new);
        let (looked, sheet) = time(|| {
            let sheet = song.host.view(ViewName::Clip, Some(clip.any()), &editor).unwrap();
            assert!(steps(&shown, &sheet) > 0);
            sheet
        });
        times[1].push(looked);
        shown = sheet;
        let view = song.project.view();
        let (took, step) = time(|| {
            player.move_to(view).unwrap();
            player.play(id).unwrap()
        });
        times[2].push(took);
        let (took, bound) = time(|| {
            let back = slices.patch(step.patch);
            assert_eq!(back.nodes().len(), 1);
            material.rebind(&plan, &back.nodes(), &slices, &NoMedia)
        });
        times[3].push(took);
        material = bound;
    }
    let what = format!("a note of {notes} in {clips} clips of one track");
    let [screen, editor, play, bind] = times.map(|times| show(Times::of(times).median()));
    row(&format!("{what} → a screen"), &screen);
    row(&format!("{what} → 16 bars of an editor, with deltas"), &editor);
    row(&format!("{what} → what plays"), &format!("{play}; at first {}", show(first)));
    row(&format!("{what} → bound to its node"), &bind);
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    heading("From an edit to views and to the engine");
    for (notes, clips) in [(10_000, 1), (10_000, 100), (100_000, 1), (100_000, 100)] {
        long(notes, clips);
    }
    if number("long") == Some(1) {
        return;
    }
    for (tracks, clips) in [(10, 48), (100, 48), (1_000, 48), (20, 2_400)] {
        let mut song = Song::new(tracks, clips);
        let what = format!("{} records, {tracks} tracks", song.records());
        song.show(&screen());
        let promised = song.records() > 90_000;
        follow(&mut song, &format!("{what}, a screen"), promised);
        song.show(&Window::default());
        follow(&mut song, &format!("{what}, everything"), false);
        engine(&mut song, &what);
        played(&mut song, &what);
    }
}
