//! Random work of several people: whatever they do, undo is exact, merges lose nothing, and work
//! that does not meet commutes. `PULSE_SOAK=1` runs more cases of more edits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{by, oracle, project};
use proptest::{prelude::*, test_runner::Config};
use pulse_schemas::{
    entity::{
        AnyEntity, Arrangement, AutomationEnvelope, AutomationPoint, Channel, ChannelKind, Clip,
        DspNode, EnvelopeOwner, Lane, Note, Send, Track,
    },
    id::{
        AnyId, ArrangementId, AutomationEnvelopeId, AutomationPointId, ChannelId, ClipId,
        EntityKind, LaneId, NodeId, NoteId, SendId, TrackId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{project::Project, rev::Rev, tx::Tx, view::View};

fn soak() -> bool {
    std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0")
}

fn cases(short: u32) -> Config {
    let cases = if soak() { short * 10 } else { short };
    Config { failure_persistence: None, max_shrink_iters: 200, ..Config::with_cases(cases) }
}

/// Edits per branch.
fn length() -> usize {
    if soak() { 500 } else { 25 }
}

/// One random step: what to do, to which of the candidates, with which number.
type Step = (u8, u16, u16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((any::<u8>(), any::<u16>(), any::<u16>()), 1..=length())
}

/// `tracks` tracks with a channel, a chain of two nodes, a lane, two clips of three notes and an
/// envelope each; a bus that all feed.
fn write_song(project: &mut Project, tracks: usize) {
    let mut tx = project.begin(by("setup"));
    let arrangement = ArrangementId(tx.new_id());
    tx.put(Arrangement { id: arrangement, name: "Song".into(), ..Arrangement::default() }).unwrap();
    let bus = ChannelId(tx.new_id());
    let channel = Channel { channels: 2, arrangement, ..Channel::default() };
    tx.put(Channel { id: bus, channel_kind: ChannelKind::Bus, ..channel.clone() }).unwrap();
    for number in 0..tracks {
        let track = TrackId(tx.new_id());
        let name = format!("Track {number}");
        tx.put(Track { id: track, arrangement, name, ..Track::default() }).unwrap();
        let id = ChannelId(tx.new_id());
        let (owner, output) = (Some(track), Some(bus));
        tx.put(Channel { id, track: owner, output, ..channel.clone() }).unwrap();
        for place in 0..2 {
            let node = NodeId(tx.new_id());
            let (order, node_kind) = (OrderKey(format!("a{place}")), "pulse.eq".to_owned());
            tx.put(DspNode { id: node, channel: id, order, node_kind, ..DspNode::default() })
                .unwrap();
        }
        let lane = LaneId(tx.new_id());
        tx.put(Lane { id: lane, track, ..Lane::default() }).unwrap();
        for place in 0..2 {
            let clip = ClipId(tx.new_id());
            let (start, length) = (Moment(place * 1000), Moment(900));
            tx.put(Clip { id: clip, lane, start, length, ..Clip::default() }).unwrap();
            for at in 0..3 {
                let (id, start, length) = (NoteId(tx.new_id()), Ticks(at * 100), Ticks(50));
                tx.put(Note { id, clip, start, length, ..Note::default() }).unwrap();
            }
        }
        let envelope = AutomationEnvelopeId(tx.new_id());
        tx.put(AutomationEnvelope {
            id: envelope,
            owner: EnvelopeOwner::Lane { lane },
            target: Some(id.any()),
            parameter: "gainDb".into(),
            ..AutomationEnvelope::default()
        })
        .unwrap();
        let id = AutomationPointId(tx.new_id());
        tx.put(AutomationPoint { id, envelope, ..AutomationPoint::default() }).unwrap();
    }
    tx.commit().unwrap();
}

/// All keys of a kind that the transaction sees, of tracks with an even or odd number only when
/// `half` says so.
fn candidates(tx: &mut Tx<'_>, kind: EntityKind, half: Option<usize>) -> Vec<AnyId> {
    let view = tx.view().unwrap();
    let prefix = pulse_schemas::record::EntityKey::kind_prefix(kind);
    let keys = view.state().scan(&prefix).map(|entry| entry.unwrap().0);
    let keys: Vec<AnyId> = keys
        .map(|key| pulse_schemas::record::EntityKey::from_bytes(&key).unwrap().any_id())
        .collect();
    keys.into_iter().filter(|id| half.is_none_or(|half| side_of(view, *id) == Some(half))).collect()
}

/// Whether an entity belongs to an even or an odd track.
fn side_of(view: &View, id: AnyId) -> Option<usize> {
    let mut open = vec![id];
    for _ in 0..16 {
        let entity = view.any(open.pop()?).unwrap()?;
        if let AnyEntity::Track(track) = &entity {
            return track.name.split(' ').nth(1)?.parse::<usize>().ok().map(|number| number % 2);
        }
        if let AnyEntity::Channel(channel) = &entity {
            open.push(channel.track?.any());
        } else {
            open.push(entity.references().first()?.target);
        }
    }
    None
}

fn pick(ids: &[AnyId], choice: u16) -> Option<AnyId> {
    ids.get(usize::from(choice) % ids.len().max(1)).copied()
}

/// Does one step; what breaks a rule of the project does not happen.
fn act(project: &mut Project, client: &str, (what, which, number): Step, half: Option<usize>) {
    let mut tx = project.begin(by(client));
    if try_act(&mut tx, what, which, number, half).is_some() {
        let _ = tx.commit();
    }
}

fn try_act(tx: &mut Tx<'_>, what: u8, which: u16, number: u16, half: Option<usize>) -> Option<()> {
    let value = f64::from(number % 24) - 12.0;
    let any = |tx: &mut Tx<'_>, kind| pick(&candidates(tx, kind, half), which);
    match what % 16 {
        0 | 1 => {
            let id = any(tx, EntityKind::Note)?;
            tx.update::<Note>(id, |it| it.pitch = (number % 128) as u8).ok()
        }
        2 => {
            let id = any(tx, EntityKind::Note)?;
            tx.update::<Note>(id, |it| it.start = Ticks(i64::from(number))).ok()
        }
        3 => {
            let clip = ClipId::try_from(any(tx, EntityKind::Clip)?).ok()?;
            let (id, start) = (NoteId(tx.new_id()), Ticks(i64::from(number)));
            tx.put(Note { id, clip, start, length: Ticks(10), ..Note::default() }).ok()
        }
        4 => {
            let id = any(tx, EntityKind::Note)?;
            tx.remove(id).ok()
        }
        5 => {
            let id = any(tx, EntityKind::Clip)?;
            tx.update::<Clip>(id, |it| it.start = Moment(i64::from(number))).ok()
        }
        6 => {
            let id = any(tx, EntityKind::Clip)?;
            tx.update::<Clip>(id, |it| it.gain_db = value).ok()
        }
        7 => {
            let (id, lane) = (any(tx, EntityKind::Clip)?, any(tx, EntityKind::Lane)?);
            let lane = LaneId::try_from(lane).ok()?;
            tx.update::<Clip>(id, |it| it.lane = lane).ok()
        }
        8 => {
            let lane = LaneId::try_from(any(tx, EntityKind::Lane)?).ok()?;
            let id = ClipId(tx.new_id());
            tx.put(Clip { id, lane, length: Moment(5), ..Clip::default() }).ok()
        }
        9 if number.is_multiple_of(3) => {
            let id = any(tx, EntityKind::Clip)?;
            tx.remove_cascade(id).ok().map(drop)
        }
        9 | 10 => {
            let id = any(tx, EntityKind::Channel)?;
            tx.update::<Channel>(id, |it| it.gain_db = value).ok()
        }
        11 => {
            let id = any(tx, EntityKind::DspNode)?;
            let name = format!("p{}", which % 3);
            tx.update::<DspNode>(id, |it| {
                it.params.insert(name, value);
            })
            .ok()
        }
        12 => {
            let id = any(tx, EntityKind::DspNode)?;
            let order = OrderKey(format!("a{}", number % 10));
            tx.update::<DspNode>(id, |it| it.order = order).ok()
        }
        13 => {
            let from = ChannelId::try_from(any(tx, EntityKind::Channel)?).ok()?;
            let all = candidates(tx, EntityKind::Channel, half);
            let to = ChannelId::try_from(pick(&all, number)?).ok()?;
            let id = SendId(tx.new_id());
            tx.put(Send { id, from, to, ..Send::default() }).ok()
        }
        14 if number.is_multiple_of(8) => {
            let id = any(tx, EntityKind::Track)?;
            tx.remove_cascade(id).ok().map(drop)
        }
        14 => {
            let id = any(tx, EntityKind::AutomationPoint)?;
            tx.update::<AutomationPoint>(id, |it| it.value = value).ok()
        }
        _ => {
            let id = any(tx, EntityKind::Track)?;
            tx.update::<Track>(id, |it| it.mute = !it.mute).ok()
        }
    }
}

fn work(project: &mut Project, branch: &str, steps: &[Step], half: Option<usize>) {
    project.switch(branch, by(branch)).unwrap();
    for step in steps {
        act(project, branch, *step, half);
    }
    let _ = project.commit("work", by(branch));
}

/// A song with branches `b` and `c` beside `main`, none of them worked on.
fn branched(tracks: usize) -> Project {
    let mut project = project();
    write_song(&mut project, tracks);
    project.commit("song", by("setup")).unwrap();
    project.branch("b", &Rev::working(), by("setup")).unwrap();
    project.branch("c", &Rev::working(), by("setup")).unwrap();
    project
}

/// Merges a branch into `main` and says what was lost on the way.
fn merge_losses(project: &mut Project, branch: &str) -> Vec<String> {
    let theirs_rev = Rev::name(branch);
    let ours = project.view();
    let theirs = project.view_at(&theirs_rev).unwrap();
    let tips = (project.tip().unwrap(), project.resolve_commit(&theirs_rev).unwrap());
    let base = project.merge_bases(tips.0, tips.1).unwrap().remove(0);
    let base = project.view_of_root(project.known_commit(base).unwrap().root).unwrap();
    let outcome = project.merge(&theirs_rev, by("merge")).unwrap();
    let merged = project.view();
    let conflicts = project.conflicts().unwrap();
    if outcome.commit.is_none() {
        project.commit("merge with conflicts", by("merge")).unwrap();
    }
    let sides = oracle::Sides { base: &base, ours: &ours, theirs: &theirs };
    [&ours, &theirs]
        .into_iter()
        .flat_map(|side| oracle::losses(&sides, side, &merged, &conflicts))
        .collect()
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn three_branches_merge_without_a_silent_loss(
        main in steps(), b in steps(), c in steps(),
    ) {
        let mut project = branched(3);
        work(&mut project, "b", &b, None);
        work(&mut project, "c", &c, None);
        work(&mut project, "main", &main, None);
        let steps = main.len() + b.len() + c.len();
        prop_assert!(project.seq() as usize >= steps / 3, "most steps do something");
        for branch in ["b", "c"] {
            let lost = merge_losses(&mut project, branch);
            prop_assert!(lost.is_empty(), "{branch}: {lost:#?}");
        }
    }

    #[test]
    fn work_that_does_not_meet_commutes(main in steps(), b in steps()) {
        let run = |first: &str, second: &str| {
            let mut project = branched(4);
            work(&mut project, "b", &b, Some(1));
            work(&mut project, "c", &main, Some(0));
            project.switch(first, by("m")).unwrap();
            let outcome = project.merge(&Rev::name(second), by("m")).unwrap();
            (project.root(), outcome.conflicts.len())
        };
        let (there, back) = (run("b", "c"), run("c", "b"));
        prop_assert_eq!(there.1, 0);
        prop_assert_eq!(there, back);
    }

    #[test]
    fn undoing_everything_gives_the_beginning_and_redoing_the_end(steps in steps()) {
        let mut project = branched(2);
        let start = project.root();
        for step in &steps {
            act(&mut project, "a", *step, None);
        }
        let end = project.root();
        let mut count = 0;
        while project.undo("a", None).is_ok() {
            count += 1;
        }
        prop_assert_eq!(project.root(), start);
        for _ in 0..count {
            project.redo("a", None).unwrap();
        }
        prop_assert_eq!(project.root(), end);
        let scratch = pulse_store::index::build(project.view().state()).unwrap();
        let view = project.view();
        prop_assert_eq!(view.index().unwrap().root(), scratch.root());
    }

    #[test]
    fn a_difference_leads_from_any_state_to_any_other(steps in steps()) {
        let mut project = branched(2);
        let mut views = vec![project.view()];
        for chunk in steps.chunks(5) {
            chunk.iter().for_each(|step| act(&mut project, "a", *step, None));
            views.push(project.view());
        }
        for from in &views {
            let to = &views[views.len() / 2];
            let changes = pulse_store::diff::changes(from, to).unwrap();
            prop_assert_eq!(pulse_store::diff::apply(from, &changes).unwrap().root(), to.root());
            pulse_store::diff::diff(from, to).unwrap();
        }
    }
}
