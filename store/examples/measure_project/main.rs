//! What people do with a project, in numbers, on this machine:
//! `cargo run --release -p pulse-store --example measure_project [NOTES]`; with `imports` behind
//! it, imports alone and where their time goes.
//!
//! Ends with a real kill: a process of its own edits, waits for the disk each time, and gets
//! `SIGKILL` after 400 edits; what is timed is opening what it left and the first question.
//!
//! Corpus: 100 tracks with a channel and a lane each, clips of 50 notes. Durable rows share the
//! machine's one disk with whatever else runs.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measuring program prints, reads the clock and stops at the first error"
)]

mod corpus;

use std::{
    hint::black_box,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use corpus::{import, import_soon, meta, move_clip, transpose};
use pulse_schemas::{
    entity::{Arrangement, Channel, ChannelKind, Clip, Lane, Track},
    id::{ActorId, ArrangementId, ChannelId, ClipId, TrackId},
};
use pulse_store::{
    diff,
    project::{CreateOptions, OpenOptions, Project},
    rev::Rev,
};

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{name:<52} median {median:>12.1?}   worst of {:>4} {worst:>12.1?}", times.len());
}

/// Edits until it is killed, a line for each edit that is on the disk.
fn victim(dir: &Path) {
    let mut project = Project::open(dir, OpenOptions::default()).unwrap();
    let clips = project.view().all::<Clip>().unwrap();
    for clip in clips.iter().cycle() {
        move_clip(&mut project, clip.id, 1).ticket.wait().unwrap();
        println!("{}", project.seq());
    }
}

/// Kills a process in mid-edit and times what the next one does first.
fn kill_and_reopen(dir: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.arg("victim").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told: u64 = lines.take(400).last().unwrap().unwrap().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let (took, project) = time(|| {
        let project = Project::open(dir, OpenOptions::default()).unwrap();
        black_box(project.view().referring::<Lane>(first_track(&project)).unwrap());
        project
    });
    assert!(project.seq() >= told, "acknowledged and not there");
    let rows = project.repo().recovered().rows;
    row(&format!("open after kill -9, {rows} rows, to the first view"), vec![took]);
    project.abandon();
}

/// A song into a new project, again and again.
fn imports(notes: usize) {
    let (mut whole, mut soon) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let dir = tempfile::tempdir().unwrap();
        let options = CreateOptions { actor: Some(ActorId(1)), ..CreateOptions::named("Bench") };
        let mut project = Project::create(dir.path(), options).unwrap();
        let start = Instant::now();
        let (committed, ..) = import_soon(&mut project, notes);
        soon.push(start.elapsed());
        committed.ticket.wait().unwrap();
        whole.push(start.elapsed());
        black_box(project.root());
    }
    row("import in one transaction, until it is answered", soon);
    row("import in one transaction, durable", whole);
}

/// One more channel that goes to the master, where thousands do.
fn new_channels() {
    let options = CreateOptions { actor: Some(ActorId(1)), ..CreateOptions::named("Many") };
    let mut project = Project::in_memory(options).unwrap();
    let mut tx = project.begin(meta("Channels"));
    let arrangement = ArrangementId(tx.new_id());
    tx.put(Arrangement { id: arrangement, name: "Song".into(), ..Arrangement::default() }).unwrap();
    let master = ChannelId(tx.new_id());
    let channel = Channel { arrangement, channels: 2, ..Channel::default() };
    tx.put(Channel { id: master, channel_kind: ChannelKind::Master, ..channel.clone() }).unwrap();
    let channel = Channel { output: Some(master), channel_kind: ChannelKind::Bus, ..channel };
    for _ in 0..10_000 {
        let id = ChannelId(tx.new_id());
        tx.put(Channel { id, ..channel.clone() }).unwrap();
    }
    tx.commit().unwrap();
    let times = (0..300).map(|_| {
        time(|| {
            let mut tx = project.begin(meta("Channel"));
            let id = ChannelId(tx.new_id());
            tx.put(Channel { id, ..channel.clone() }).unwrap();
            tx.commit().unwrap();
        })
        .0
    });
    row("a new channel among 10,000, in memory", times.collect());
}

fn growth(project: &mut Project, clips: &[ClipId]) {
    let size = |project: &Project| project.repo().size().unwrap();
    let before = size(project);
    (0..10_000).for_each(|at| drop(move_clip(project, clips[at * 7 % clips.len()], 1)));
    project.repo_mut().checkpoint().unwrap();
    let edited = size(project);
    project.prune_history(1_000).unwrap();
    let after = project.compact().unwrap().bytes_after;
    println!("10,000 edits: {before} bytes, then {edited}, {after} after gc of all but 1,000 rows");
}

/// The most memory this process ever had, as the system counts it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    line.split(':').nth(1).unwrap_or_default().trim().to_owned()
}

fn main() {
    if let Some(dir) = std::env::args().skip_while(|it| it != "victim").nth(1) {
        return victim(Path::new(&dir));
    }
    let notes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    if std::env::args().nth(2).is_some_and(|what| what == "imports") {
        return imports(notes);
    }
    let dir = tempfile::tempdir().unwrap();
    let options = CreateOptions { actor: Some(ActorId(1)), ..CreateOptions::named("Bench") };
    let mut project = Project::create(dir.path(), options).unwrap();
    new_channels();
    let (took, (clips, channels)) = time(|| import(&mut project, notes));
    println!("{} records", project.view().len());
    row("import in one transaction, durable", vec![took]);
    project.commit("song", meta("")).unwrap();
    project.repo_mut().checkpoint().unwrap();
    let base = project.view();

    let round = |project: &mut Project, wait: bool| {
        let edit = |at: usize| {
            let done = move_clip(project, clips[at * 7 % clips.len()], 1);
            if wait {
                done.ticket.wait().unwrap();
            }
        };
        let mut edit = edit;
        (0..300).map(|at| time(|| edit(at)).0).collect::<Vec<_>>()
    };
    row("one-clip edit, without the disk", round(&mut project, false));
    row("one-clip edit, durable", round(&mut project, true));
    let undo = (0..300).map(|_| time(|| project.undo("client-1", None).unwrap()).0).collect();
    row("undo, without the disk", undo);
    let redo = (0..300).map(|_| time(|| project.redo("client-1", None).unwrap()).0).collect();
    row("redo, without the disk", redo);
    let gains = (0..300).map(|at| {
        let channel = channels[at % channels.len()];
        time(|| {
            let mut tx = project.begin(meta("Gain"));
            tx.update::<Channel>(channel, |it| it.gain_db -= 0.01).unwrap();
            tx.commit().unwrap();
        })
        .0
    });
    row("one fader, without the disk", gains.collect());

    let before = project.view();
    for clip in clips.iter().step_by(clips.len() / 10).take(10) {
        move_clip(&mut project, *clip, 3);
    }
    let after = project.view();
    let changes = (0..300).map(|_| {
        let (took, found) = time(|| diff::changes(&before, &after).unwrap());
        assert_eq!(black_box(found).len(), 10);
        took
    });
    row("diff of 10 changes, entities", changes.collect());
    let words = (0..300).map(|_| time(|| black_box(diff::diff(&before, &after).unwrap())).0);
    row("diff of 10 changes, in words", words.collect());

    project.commit("edits", meta("")).unwrap();
    project.branch("b", &Rev::working(), meta("")).unwrap();
    let half = clips.len() / 2;
    transpose(&mut project, &clips[..half], 1_000.min(notes / 4), 12);
    project.commit("ours", meta("")).unwrap();
    project.switch("b", meta("")).unwrap();
    transpose(&mut project, &clips[half..], 1_000.min(notes / 4), 13);
    project.commit("theirs", meta("")).unwrap();
    project.switch("main", meta("")).unwrap();
    let preview =
        (0..20).map(|_| time(|| black_box(project.merge_preview(&Rev::name("b")).unwrap())).0);
    row("merge of 1,000 + 1,000 edits, preview", preview.collect());
    let (took, outcome) = time(|| project.merge(&Rev::name("b"), meta("")).unwrap());
    assert!(outcome.conflicts.is_empty());
    row("merge of 1,000 + 1,000 edits, with its commit", vec![took]);

    drop((base, before, after));
    project.close().unwrap();
    let (took, mut project) = time(|| Project::open(dir.path(), OpenOptions::default()).unwrap());
    row("open", vec![took]);
    let (took, _) = time(|| {
        black_box(project.view().referring::<Lane>(first_track(&project)).unwrap());
    });
    row("first question to the index", vec![took]);
    let (took, _) = time(|| project.undo("client-1", None).unwrap());
    row("first undo of a session (takes the merge back)", vec![took]);
    let (took, cleaned) = time(|| project.compact().unwrap());
    row("collect and compact", vec![took]);
    println!("{} bytes on disk", cleaned.bytes_after);
    growth(&mut project, &clips);
    println!("peak memory {}", peak());
    project.close().unwrap();
    kill_and_reopen(dir.path());
}

fn first_track(project: &Project) -> TrackId {
    project.view().all::<Track>().unwrap()[0].id
}
