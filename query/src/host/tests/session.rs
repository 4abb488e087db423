//! What a session of a hundred tracks needs to know: who is live and why, how
//! late the mix is, which files are missing.

use std::collections::BTreeMap;

use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::{
        AudioRegion, Availability, Channel, ChannelKind, DspNode, MediaItem, ModulationRoute,
        Monitor, ParameterRef, ProcessingPolicy, Send, SidechainRoute, Track,
    },
    graph::Cohort,
    id::{
        AnyId, AudioRegionId, ChannelId, MediaId, ModulationRouteId, NodeId, SendId,
        SidechainRouteId,
    },
};
use serde_json::{Value, json};

use super::Song;
use crate::{ambient::Ambient, cohort::Reason};

impl Song {
    fn row(&self, view: ViewName, list: &str, id: impl ToString) -> Value {
        let data = self.host.view(view, None, &Window::default()).unwrap().data();
        let rows = data[list].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["id"] == json!(id.to_string())).unwrap()
    }

    fn bus(&mut self, kind: ChannelKind) -> ChannelId {
        let (arrangement, output) = (self.arrangement, Some(self.master));
        let mut made = ChannelId::default();
        self.edit(|tx| {
            made = ChannelId(tx.new_id());
            let bus =
                Channel { id: made, arrangement, output, channel_kind: kind, ..Channel::default() };
            tx.put(Channel { width: 1.0, channels: 2, ..bus }).unwrap();
        });
        made
    }

    /// Who is live, with why: all others are ahead, for the reason that nobody
    /// needs them or a user said so.
    fn check_live(&self, expect: &[(ChannelId, Reason)], ahead: &[(ChannelId, Reason)]) {
        let cohorts = self.host.cohorts(self.arrangement).unwrap();
        let live: BTreeMap<ChannelId, Reason> = expect.iter().copied().collect();
        let ahead: BTreeMap<ChannelId, Reason> = ahead.iter().copied().collect();
        for (channel, member) in cohorts.channels() {
            let (cohort, reason) = match live.get(&channel) {
                Some(reason) => (Cohort::Live, *reason),
                None => {
                    let reason = ahead.get(&channel).copied().unwrap_or(Reason::NotNeeded);
                    (Cohort::Anticipative, reason)
                }
            };
            assert_eq!((member.cohort, member.reason), (cohort, reason), "{channel}");
        }
        assert_eq!(cohorts.nodes().len(), self.nodes.len(), "every node has a place");
        for (node, channel) in cohorts.nodes() {
            assert_eq!(cohorts.of_node(*node), cohorts.of(*channel));
            let row = self.row(ViewName::Cohorts, "members", node);
            let reason = cohorts.of(*channel).unwrap().reason.to_string();
            assert_eq!(row["reason"], json!(reason), "{node}");
            assert_eq!(row["channel"], json!(channel.any()));
        }
    }
}

#[test]
fn arming_one_of_a_hundred_tracks_moves_it_and_what_hears_it_and_nothing_else() {
    let mut song = Song::new(100, 1);
    song.check_live(&[], &[]);
    let (bus, room) = (song.bus(ChannelKind::Bus), song.bus(ChannelKind::Return));
    let (first, second, master) = (song.channels[40], song.channels[41], song.master);
    let keyed = (song.nodes[70], song.channels[70]);
    song.update::<Channel>(first, |channel| channel.output = Some(bus));
    song.edit(|tx| {
        let id = SendId(tx.new_id());
        tx.put(Send { id, from: first, to: room, ..Send::default() }).unwrap();
        let id = SidechainRouteId(tx.new_id());
        let (from, to) = (first, keyed.0);
        tx.put(SidechainRoute { id, from, to, port: 1, ..SidechainRoute::default() }).unwrap();
    });
    song.check_live(&[], &[]);

    // A track that only feeds the master: it and the master.
    song.update::<Track>(song.tracks[41], |track| track.armed = true);
    song.check_live(&[(second, Reason::Armed), (master, Reason::After(second))], &[]);
    song.update::<Track>(song.tracks[41], |track| track.armed = false);

    // One that feeds a bus, a return and somebody's side chain: all that hear it.
    song.update::<Track>(song.tracks[40], |track| track.monitor = Monitor::On);
    let after = Reason::After(first);
    let heard = [(bus, after), (room, after), (keyed.1, after)];
    let cohorts = song.host.cohorts(song.arrangement).unwrap();
    let Reason::After(by) = cohorts.of(master).unwrap().reason else { panic!("the master hears") };
    assert!(heard.iter().any(|(channel, _)| *channel == by), "{by}");
    let mut live = vec![(first, Reason::Monitored), (master, Reason::After(by))];
    live.extend(heard);
    song.check_live(&live, &[]);

    // The policy of a track and what a user forces go before, but not before ears.
    song.update::<Track>(song.tracks[40], |it| it.policy = ProcessingPolicy::Anticipative);
    song.update::<Track>(song.tracks[7], |it| it.policy = ProcessingPolicy::Live);
    let (seventh, eighth) = (song.channels[7], song.channels[8]);
    let ahead = [(first, Reason::Policy)];
    song.check_live(&[(seventh, Reason::Policy), (master, Reason::After(seventh))], &ahead);
    let force = |id: AnyId, cohort| {
        let mut ambient = Ambient::default();
        ambient.seeds.forced.insert(id, cohort);
        ambient
    };
    song.host.set_ambient(force(song.tracks[7].any(), Cohort::Anticipative));
    song.check_live(&[], &[(first, Reason::Policy), (seventh, Reason::Forced)]);
    song.host.set_ambient(force(song.nodes[8].any(), Cohort::Live));
    song.update::<Track>(song.tracks[7], |it| it.policy = ProcessingPolicy::Auto);
    song.check_live(&[(eighth, Reason::Forced), (master, Reason::After(eighth))], &ahead);
    song.verify();
}

#[test]
fn a_limiter_that_looks_ahead_makes_the_mix_late_and_not_the_tracks_beside_it() {
    let mut song = Song::new(3, 1);
    assert_eq!(song.host.latency(song.arrangement).unwrap(), Some(0));
    let (channel, other, master) = (song.channels[0], song.channels[1], song.master);
    song.edit(|tx| {
        let id = NodeId(tx.new_id());
        let (node_kind, params) = ("pulse.limiter".to_owned(), BTreeMap::new());
        let node =
            DspNode { id, channel, node_kind, node_version: 1, params, ..DspNode::default() };
        let order = pulse_schemas::order::OrderKey::between(None, None);
        tx.put(DspNode { order, ..node }).unwrap();
    });
    let late = song.host.latency(song.arrangement).unwrap().unwrap();
    assert!(late > 0, "a limiter looks ahead");
    let latency =
        |song: &Song, id: ChannelId| song.row(ViewName::Routing, "channels", id)["latency"].clone();
    assert_eq!(latency(&song, channel), json!(late));
    assert_eq!(latency(&song, other), json!(0), "what lies beside it waits at the sum");
    assert_eq!(latency(&song, master), json!(late));
    // A fader and an armed track change nothing about it.
    song.update::<Channel>(other, |channel| channel.gain_db = -6.0);
    song.update::<Track>(song.tracks[1], |track| track.armed = true);
    assert_eq!(song.host.latency(song.arrangement).unwrap(), Some(late));
    (0..3).for_each(|_| song.undo());
    assert_eq!(song.host.latency(song.arrangement).unwrap(), Some(0));
    song.verify();
}

#[test]
fn a_file_that_goes_missing_is_told_by_its_clip_its_track_and_the_project() {
    let mut song = Song::new(3, 2);
    let clip = song.clips[0];
    let (mut media, mut region) = (MediaId::default(), AudioRegionId::default());
    song.edit(|tx| {
        media = MediaId(tx.new_id());
        region = AudioRegionId(tx.new_id());
        tx.put(MediaItem { id: media, name: "Voice".into(), ..MediaItem::default() }).unwrap();
        let (id, source_length) = (region, 1_000);
        tx.put(AudioRegion { id, clip, media, source_length, ..AudioRegion::default() }).unwrap();
    });
    let told = |song: &Song| {
        let data = song.host.view(ViewName::Media, None, &Window::default()).unwrap().data();
        [
            song.row(ViewName::Arrangement, "clips", clip)["availability"].clone(),
            song.row(ViewName::Arrangement, "tracks", song.tracks[0])["availability"].clone(),
            song.row(ViewName::Media, "items", media)["found"].clone(),
            data["availability"]["worst"].clone(),
        ]
    };
    let all = |availability: Availability| [(); 4].map(|()| json!(availability));
    assert_eq!(told(&song), all(Availability::Local));
    let mut ambient = Ambient::default();
    ambient.media.insert(media, Availability::ExternalOffline);
    song.host.set_ambient(ambient);
    assert_eq!(told(&song), all(Availability::ExternalOffline));
    let beside = song.row(ViewName::Arrangement, "tracks", song.tracks[1]);
    assert_eq!(beside["availability"], json!(Availability::Local));
    song.verify();
    song.host.set_ambient(Ambient::default());
    song.update::<MediaItem>(media, |media| media.availability = Availability::Missing);
    assert_eq!(told(&song), all(Availability::Missing));
    song.undo();
    assert_eq!(told(&song), all(Availability::Local));
    song.verify();
}

#[test]
fn who_modulates_a_live_track_goes_over_with_it_and_back() {
    let mut song = Song::new(4, 1);
    let (first, second, master) = (song.channels[1], song.channels[2], song.master);
    let (lfo, target) = (song.nodes[1], song.nodes[2]);
    song.update::<DspNode>(lfo, |node| node.node_kind = "pulse.lfo".to_owned());
    song.update::<Track>(song.tracks[2], |track| track.armed = true);
    let alone = [(second, Reason::Armed), (master, Reason::After(second))];
    song.check_live(&alone, &[]);
    let mut id = ModulationRouteId::default();
    song.edit(|tx| {
        id = ModulationRouteId(tx.new_id());
        let to = ParameterRef { target: Some(target.any()), parameter: "gain".to_owned() };
        let route = ModulationRoute { id, from: lfo, to, depth: 0.5, ..ModulationRoute::default() };
        tx.put(ModulationRoute { enabled: true, ..route }).unwrap();
    });
    let both = [alone[0], alone[1], (first, Reason::Modulates(second))];
    song.check_live(&both, &[]);
    song.verify();
    song.update::<ModulationRoute>(id, |route| route.enabled = false);
    song.check_live(&alone, &[]);
    song.update::<ModulationRoute>(id, |route| route.enabled = true);
    song.check_live(&both, &[]);
    song.edit(|tx| tx.remove(id.any()).unwrap());
    song.check_live(&alone, &[]);
    song.verify();
}
