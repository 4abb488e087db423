//! Units with longer segments than others, because sound circulates in them for
//! long.

use super::*;

const LONG: i64 = 19 * SEGMENT as i64 + 700;

fn reverb(entities: &Entities) -> DspNode {
    let nodes: Vec<DspNode> = entities.all();
    nodes
        .into_iter()
        .find(|node| node.node_kind == "pulse.reverb" && node.channel == ChannelId(id(1, 1)))
        .unwrap()
}

fn with(entities: &mut Entities, param: &str, value: f64) {
    let mut node = reverb(entities);
    node.params.insert(param.into(), value);
    entities.put(node);
}

fn unit_of(song: &Song, node: &DspNode) -> usize {
    let node = song.plan.find(NodeKey::new(node.id, "node")).unwrap();
    song.plan.units.iter().position(|unit| unit.nodes.contains(&node)).unwrap()
}

#[test]
fn the_slower_the_decay_the_longer_the_segments() {
    let mut entities = project(&["pulse.drums", "pulse.reverb"]);
    for (decay, low, multiple) in
        [(2.0, 1.0, 1), (4.0, 0.5, 1), (4.0, 1.5, 2), (8.0, 1.1, 4), (30.0, 1.0, 8), (30.0, 3.0, 8)]
    {
        with(&mut entities, "decay", decay);
        with(&mut entities, "lowDecay", low);
        let song = song(&entities);
        let unit = unit_of(&song, &reverb(&entities));
        assert_eq!(song.multiple(unit), multiple, "{decay} s, lows × {low}");
        let others = (0..song.plan.units.len()).filter(|other| *other != unit);
        assert!(others.map(|other| song.multiple(other)).all(|other| other == 1));
    }
}

#[test]
fn an_echo_counts_by_time_and_feedback() {
    let mut entities = project(&["pulse.drums", "pulse.delay"]);
    let nodes: Vec<DspNode> = entities.all();
    let delay = nodes
        .iter()
        .find(|node| node.node_kind == "pulse.delay" && node.channel == ChannelId(id(1, 1)));
    let delay = delay.unwrap();
    for (sync, time, feedback, multiple) in [
        (0.0, 350.0, 0.4, 1),
        (0.0, 350.0, 0.9, 8),
        (0.0, 350.0, 0.7, 2),
        (0.0, 20.0, 0.9, 1),
        (8.0, 20.0, 0.9, 8),
        (0.0, 350.0, 0.0, 1),
    ] {
        let params = [("sync", sync), ("time", time), ("feedback", feedback)];
        let mut node = delay.clone();
        node.params.extend(params.map(|(name, value)| (name.to_owned(), value)));
        entities.put(node);
        let song = song(&entities);
        assert_eq!(song.multiple(unit_of(&song, delay)), multiple, "{params:?}");
    }
}

#[test]
fn long_segments_among_short_ones_sound_as_the_whole_render() {
    let (_dir, cache) = cache();
    let mut entities = project(&["pulse.drums", "pulse.reverb", "pulse.limiter"]);
    let mut dice = Dice(11);
    for (round, decay) in [30.0, 30.0, 8.0, 30.0, 2.0, 12.0].into_iter().enumerate() {
        with(&mut entities, "decay", decay);
        let what = edit(&mut entities, &mut dice);
        let song = song(&entities);
        let options =
            Options { segment_frames: SEGMENT, threads: 1 + round % 3, ..Options::new(RATE) };
        let (found, report) = with_options(&song, &cache, 0..LONG, &options);
        let context = || format!("round {round}, decay {decay}: {what}");
        same(&found, &whole_until(&song, LONG), &context);
        let unit = unit_of(&song, &reverb(&entities));
        let multiple = u64::from(song.multiple(unit));
        let needed = (LONG as u64).div_ceil(u64::from(SEGMENT) * multiple);
        let total = report.units[unit].total;
        assert!((needed..=needed + 1).contains(&total), "{}: {total} segments", context());
        let (again, report) = with_options(&song, &cache, 0..LONG, &options);
        assert_eq!(report.rendered, 0, "{}", context());
        same(&again, &found, &context);
    }
}
