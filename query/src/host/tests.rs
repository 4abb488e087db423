//! What runs and what must not, after each kind of edit; and that the host says
//! what a derivation from nothing says.

use std::{collections::BTreeSet, sync::Arc};

use pulse_engine::{material::Slices, registry::Registry};
use pulse_schemas::{
    command::view::{ViewName, Window},
    entity::{
        AnyEntity, AutomationEnvelope, AutomationPoint, Channel, ChannelKind, Clip, ClipContent,
        DspNode, EnvelopeOwner, Kit, KitSlot, Lane, LaneKind, Marker, MediaItem, Note,
        ParameterLink, ParameterRef, Send, SidechainRoute, TempoPoint, Track, TrackKind, ViewMeta,
    },
    graph::Cohort,
    id::{
        AnyId, ArrangementId, ChannelId, ClipId, EntityKind, KitId, KitSlotId, LaneId, NodeId,
        NoteId, ParameterLinkId, SendId, SidechainRouteId, TrackId,
    },
    order::OrderKey,
    time::{Moment, Ticks},
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::{Committed, Tx, TxMeta},
};

mod random;
mod session;
mod unreadable;

use super::{Counts, Host, PlayError, db};
use crate::{
    ambient::Ambient,
    content::{WINDOW, content},
    graph::{Scope, graph, playing_graph},
    source::SourceExt,
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

    /// What a client with everything on the screen asks for, with editors of the
    /// first and the last track open, and an engine that plays these two.
    fn pull(&self, host: &Host) {
        let id = self.arrangement;
        let view = |view, subject| {
            let found = host.view(view, subject, &Window::default());
            assert!(found.is_ok() || subject.is_some(), "{view:?}");
        };
        for name in [
            ViewName::Arrangement,
            ViewName::Mixer,
            ViewName::Routing,
            ViewName::Cohorts,
            ViewName::Media,
            ViewName::Timeline,
        ] {
            view(name, None);
        }
        for at in [0, self.tracks.len() - 1] {
            let (track, channel) = (self.tracks[at], self.channels[at]);
            view(ViewName::Track, Some(track.any()));
            view(ViewName::Automation, Some(track.any()));
            view(ViewName::Clip, Some(self.clips[at * self.clips.len() / self.tracks.len()].any()));
            host.params(id, channel).unwrap();
            host.events(id, track).unwrap();
            host.clips(id, track).unwrap();
            host.zones(channel).unwrap();
        }
        host.routing(id).unwrap();
        host.graph(id).unwrap();
        host.latency(id).unwrap();
        host.cohorts(id).unwrap();
        host.automation(id).unwrap();
        host.signatures(id).unwrap();
        db::measured(&host.db, db::arrangement_in(&host.db, id)).unwrap();
        db::live_nodes(&host.db, db::arrangement_in(&host.db, id));
    }

    fn counted(&mut self) -> Counts {
        let registry = Arc::new(Registry::standard());
        let spare = Host::new(self.project.view(), registry);
        let mut host = std::mem::replace(&mut self.host, spare);
        let ((), counts) = host.count(|host| self.pull(host));
        self.host = host;
        counts
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
        self.verify_engine(&source, &registry);
    }

    /// What the engine gets, against a derivation from nothing.
    fn verify_engine(&self, source: &Stored, registry: &Registry) {
        let id = self.arrangement;
        let expect = graph(source, registry, id, &Scope::mix()).ok();
        assert_eq!(self.host.graph(id).unwrap().as_deref(), expect.as_ref());
        let expect = content(source, registry, id, source.project().unwrap().sample_rate);
        let mut found = Slices::default();
        for channel in source.referring::<Channel>(id) {
            found.params.0.extend(self.host.params(id, channel.id).unwrap().0.clone());
            found.zones.0.extend(self.host.zones(channel.id).unwrap().0.clone());
        }
        for track in source.referring::<Track>(id) {
            found.events.0.extend(self.host.events(id, track.id).unwrap().0.clone());
            found.clips.0.extend(self.host.clips(id, track.id).unwrap().0.clone());
        }
        assert_eq!(found.params, expect.params);
        assert_eq!(found.events, expect.events);
        assert_eq!(found.clips, expect.clips);
        assert_eq!(found.zones, expect.zones);
        let expected = crate::timeline::signature_map(source, id);
        assert_eq!(*self.host.signatures(id).unwrap(), expected);
        assert_eq!(*self.host.automation(id).unwrap(), expect.automation);
    }
}

impl Song {
    /// What plays, step by step, against all of it from nothing.
    fn verify_played(&mut self, played: &mut Slices) {
        let (id, view) = (self.arrangement, self.project.view());
        let (source, registry) = (Stored::new(view), Registry::standard());
        let expect = playing_graph(&source, &registry, id, &self.host.ambient().seeds);
        let step = match self.host.play(id) {
            Err(PlayError::Cycle(cycle)) => return assert_eq!(Some(cycle), expect.err()),
            step => step.unwrap(),
        };
        assert_eq!(Some(&*step.spec), expect.as_ref().ok());
        if step.whole {
            *played = Slices::default();
        }
        played.patch(step.patch);
        let rate = source.project().unwrap().sample_rate;
        let expect = content(&source, &registry, id, rate);
        assert_eq!(played.params, expect.params);
        assert_eq!(played.automation, expect.automation);
        assert_eq!(played.events, expect.events);
        assert_eq!(played.clips, expect.clips);
        assert_eq!(played.zones, expect.zones);
        let stage = self.host.stage().unwrap();
        let ends = expect.clips.0.values().flatten();
        let ends = ends.map(|clip| clip.start_frame + clip.frames as i64);
        let events = expect.events.0.values().flatten().map(|event| event.frame);
        assert_eq!(stage.end(), events.chain(ends).max().unwrap_or(0));
        let routing = crate::routing::routing(&source, id);
        let players = routing.channels.iter().filter_map(|channel| {
            let players = crate::chain::chain(&source, &registry, channel).players;
            Some((channel.track?, players))
        });
        assert_eq!(**stage.players(), players.collect());
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

/// The derivations that ran, with how often; and an upper bound for what was
/// only looked at.
fn check(song: &mut Song, what: &str, expect: &str, validated: u64) {
    let counts = song.counted();
    let ran: Vec<String> =
        counts.executed.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let walked: u64 = counts.validated.values().sum();
    assert_eq!(ran.join(", "), expect, "executed after: {what}");
    assert!(walked <= validated, "{what}: {walked} validated: {:?}", counts.validated);
}

type Edit = fn(&mut Song);

/// One line for each kind of edit: what runs. All else must not, at any size.
/// The last number is how many derivations may be looked at: `FEW`, whatever
/// the size of the song, or some for each track.
const TABLE: &[(&str, Edit, &str, u64)] = &[
    (
        "the gain of a clip",
        |song| song.update::<Clip>(song.clips[0], |it| it.gain_db = -6.0),
        "automation view 1, clip view 1, played 1, sounds_in 1, track view 1, track_rows 1",
        0,
    ),
    (
        "a clip is moved",
        |song| song.update::<Clip>(song.clips[0], |it| it.start = Moment(BAR / 2)),
        "automation view 1, clip view 1, clips 1, events 1, placed 1, played 1, sounds_in 1, \
         track view 1, track_rows 1, window 4",
        0,
    ),
    (
        "a note",
        |song| {
            let (clip, note) = song.notes[0];
            song.edit(|tx| {
                let mut found: Note = tx.get_owned(clip.0, note).unwrap().unwrap();
                found.pitch = 64;
                tx.put(found).unwrap();
            });
        },
        "automation view 1, clip view 1, clips 1, events 1, played 1, sounds_in 1, track view 1, \
         track_rows 1, window 2",
        0,
    ),
    (
        "a note of a clip that no editor shows",
        |song| {
            let (clip, note) = song.notes[1];
            song.edit(|tx| {
                let mut found: Note = tx.get_owned(clip.0, note).unwrap().unwrap();
                found.pitch = 64;
                tx.put(found).unwrap();
            });
        },
        "automation view 1, clips 1, events 1, played 1, sounds_in 1, track view 1, track_rows 1, \
         window 2",
        0,
    ),
    (
        "a fader",
        |song| song.update::<Channel>(song.channels[0], |it| it.gain_db = -3.0),
        "heard 1, params 1, strip 1, track view 1",
        0,
    ),
    (
        "a knob",
        |song| {
            song.update::<DspNode>(song.nodes[0], |it| {
                it.params.insert("gain1".into(), 3.0);
            })
        },
        "heard 1, params 1, strip 1, track view 1",
        0,
    ),
    (
        "a track is armed",
        |song| song.update::<Track>(song.tracks[0], |it| it.armed = true),
        "cohorts 1, cohorts view 1, heard 1, live_nodes 1, params 1, routing view 1, strip 1, \
         track view 1, track_rows 1",
        0,
    ),
    (
        "a track is muted",
        |song| song.update::<Track>(song.tracks[0], |it| it.mute = true),
        "heard 2, params 1, strip 1, track view 1, track_rows 1",
        0,
    ),
    (
        "a track is renamed",
        |song| song.update::<Track>(song.tracks[0], |it| it.name = "Lead".into()),
        "heard 1, params 1, strip 1, track view 1, track_rows 1",
        0,
    ),
    (
        "a colour",
        |song| {
            let subject = Some(song.tracks[0].any());
            song.edit(|tx| {
                let id = pulse_schemas::id::ViewMetaId(tx.new_id());
                let colour = Some("#ff0000".to_owned());
                tx.put(ViewMeta { id, subject, colour, ..ViewMeta::default() }).unwrap();
            });
        },
        "heard 1, params 1, strip 1, track view 1, track_rows 1",
        0,
    ),
    (
        "a media item",
        |song| {
            song.edit(|tx| {
                let id = pulse_schemas::id::MediaId(tx.new_id());
                tx.put(MediaItem { id, name: "Take".into(), ..MediaItem::default() }).unwrap();
            });
        },
        "media view 1",
        0,
    ),
    (
        "a marker",
        |song| {
            let arrangement = song.arrangement;
            song.edit(|tx| {
                let id = pulse_schemas::id::MarkerId(tx.new_id());
                tx.put(Marker { id, arrangement, ..Marker::default() }).unwrap();
            });
        },
        "signatures 1, timeline view 1",
        8,
    ),
    (
        "a tempo",
        |song| {
            let arrangement = song.arrangement;
            song.edit(|tx| {
                let id = pulse_schemas::id::TempoPointId(tx.new_id());
                let (at, bpm) = (Ticks(BAR), 90.0);
                tx.put(TempoPoint { id, arrangement, at, bpm, ..TempoPoint::default() }).unwrap();
            });
        },
        "automation 1, automation view 2, clips 2, events 2, placed 2, played 2, signatures 1, \
         tempo 1, timeline view 1, track view 2, track_rows {all}",
        8,
    ),
    (
        "an envelope",
        |song| {
            let source = Stored::new(song.project.view());
            let lane = source.referring::<Lane>(song.tracks[0])[0].id;
            let target = Some(song.channels[0].any());
            song.edit(|tx| {
                let id = pulse_schemas::id::AutomationEnvelopeId(tx.new_id());
                let (owner, parameter) = (EnvelopeOwner::Lane { lane }, "gainDb".to_owned());
                tx.put(AutomationEnvelope { id, owner, target, parameter, ..Default::default() })
                    .unwrap();
            });
        },
        "automation 1, automation view 1, played 1, sounds_in 1, track view 1, track_rows 1",
        0,
    ),
    (
        "the name of what an envelope moves",
        |song| {
            song.update::<Channel>(song.channels[0], |it| it.name = "Voice".into());
        },
        "automation 1, automation view 1, chain_of 1, cohorts view 1, events 1, graph 1, ground \
         1, heard 1, live_nodes 1, measured 1, mixer_order 1, params 1, played 1, routes 1, \
         routing view 1, sounds_in 1, speech 1, strip 1, track view 1, track_rows 1, wiring 1, \
         zones 1",
        8,
    ),
    (
        "a node is added",
        |song| {
            let channel = song.channels[0];
            song.edit(|tx| {
                let id = NodeId(tx.new_id());
                let (node_kind, order) = ("pulse.eq".to_owned(), OrderKey::between(None, None));
                let node = DspNode { id, channel, node_kind, order, ..DspNode::default() };
                tx.put(DspNode { node_version: 1, ..node }).unwrap();
            });
        },
        "chain_of 1, cohorts 1, cohorts view 1, events 1, graph 1, ground 1, heard 1, latency 1, \
         live_nodes 1, measured 1, params 1, routes 1, routing view 1, speech 1, strip 1, track \
         view 1, wiring 1, zones 1",
        8,
    ),
    (
        "a route",
        |song| song.update::<Channel>(song.channels[0], |it| it.output = None),
        "chain_of 1, cohorts 1, cohorts view 1, events 1, graph 1, ground 1, heard 1, latency 1, \
         live_nodes 1, measured 1, mixer_order 1, params 1, routes 1, routing view 1, speech 1, \
         strip 1, track view 1, wiring 1, zones 1",
        8,
    ),
    (
        "a track goes below another",
        |song| {
            let parent = Some(song.tracks[1]);
            song.update::<Track>(song.tracks[0], |it| it.parent = parent);
        },
        "depth {all}, depths 1, heard {channels}, mixer_order 1, params 1, places 1, strip 1, \
         track view 1, track_rows 1",
        8,
    ),
    (
        "undo of that",
        Song::undo,
        "depth {all}, depths 1, heard {channels}, mixer_order 1, params 1, places 1, strip 1, \
         track view 1, track_rows 1",
        8,
    ),
    (
        "undo of the route",
        Song::undo,
        "chain_of 1, cohorts 1, cohorts view 1, events 1, graph 1, ground 1, heard 1, latency 1, \
         live_nodes 1, measured 1, mixer_order 1, params 1, routes 1, routing view 1, speech 1, \
         strip 1, track view 1, wiring 1, zones 1",
        8,
    ),
    (
        "a track is soloed",
        |song| song.update::<Track>(song.tracks[0], |it| it.solo = true),
        "heard {channels}, params 2, strip {all}, track view 2, track_rows 1",
        0,
    ),
    (
        "a second one is soloed",
        |song| song.update::<Track>(song.tracks[1], |it| it.solo = true),
        "heard 3, strip 1, track_rows 1",
        0,
    ),
    (
        "a lane is muted",
        |song| {
            let source = Stored::new(song.project.view());
            let lane = source.referring::<Lane>(song.tracks[0])[0].id;
            song.update::<Lane>(lane, |it| it.mute = true);
        },
        "automation 1, automation view 1, chain_of 1, clips 1, events 1, placed 1, played 1, \
         sounds_in 1, speech 1, track view 1, track_rows 1, wiring 1, zones 1",
        8,
    ),
    (
        "undo of the lane",
        Song::undo,
        "automation 1, automation view 1, chain_of 1, clips 1, events 1, placed 1, played 1, \
         sounds_in 1, speech 1, track view 1, track_rows 1, wiring 1, zones 1",
        8,
    ),
    (
        "a clip is deleted",
        |song| {
            let clip = song.clips[1];
            song.edit(|tx| {
                tx.remove_cascade(clip).unwrap();
            });
        },
        "automation 1, automation view 1, clips 1, events 1, placed 1, played 1, sounds_in 1, \
         track view 1, track_rows 1, window 2",
        0,
    ),
    (
        "a point of an envelope",
        |song| {
            let source = Stored::new(song.project.view());
            let envelope = source.all::<AutomationEnvelope>()[0].id;
            song.edit(|tx| {
                let id = pulse_schemas::id::AutomationPointId(tx.new_id());
                let point = AutomationPoint { id, envelope, ..AutomationPoint::default() };
                tx.put(point).unwrap();
            });
        },
        "automation 1, automation view 1, played 1, sounds_in 1, track view 1, track_rows 1",
        0,
    ),
    (
        "a send",
        |song| {
            let (from, to) = (song.channels[0], song.channels[1]);
            song.edit(|tx| {
                let id = SendId(tx.new_id());
                tx.put(Send { id, from, to, ..Send::default() }).unwrap();
            });
        },
        "chain_of 1, cohorts 1, cohorts view 1, graph 1, ground 1, heard 1, latency 1, live_nodes \
         1, measured 1, mixer_order 1, params 1, routes 1, routing view 1, speech 1, strip 1, \
         track view 1, wiring 1, zones 1",
        8,
    ),
    (
        "the level of a send",
        |song| {
            let send = Stored::new(song.project.view()).all::<Send>()[0].id;
            song.update::<Send>(send, |it| it.gain_db = -9.0);
        },
        "heard 1, params 1, strip 1, track view 1",
        0,
    ),
    (
        "a sidechain",
        |song| {
            let (from, to) = (song.channels[0], song.nodes[1]);
            song.edit(|tx| {
                let id = SidechainRouteId(tx.new_id());
                let route = SidechainRoute { id, from, to, port: 1, ..Default::default() };
                tx.put(route).unwrap();
            });
        },
        "chain_of 1, cohorts 1, cohorts view 1, graph 1, ground 1, heard 1, latency 1, live_nodes \
         1, measured 1, mixer_order 1, routes 1, routing view 1, speech 1, strip 1, wiring 1",
        8,
    ),
    (
        "a link between two knobs",
        |song| {
            let end = |channel: ChannelId| ParameterRef {
                target: Some(channel.any()),
                parameter: "gainDb".to_owned(),
            };
            let (source, target) = (end(song.channels[0]), end(song.channels[1]));
            song.edit(|tx| {
                let id = ParameterLinkId(tx.new_id());
                let link =
                    ParameterLink { id, source, target, scale: 1.0, offset: 0.1, enabled: true };
                tx.put(link).unwrap();
            });
        },
        "params 2",
        8,
    ),
    (
        "a sampler with a kit",
        |song| {
            let channel = song.channels[0];
            song.edit(|tx| {
                let (id, kit) = (NodeId(tx.new_id()), KitId(tx.new_id()));
                tx.put(Kit { id: kit, name: "Drums".into(), ..Kit::default() }).unwrap();
                let (node_kind, order) =
                    ("pulse.sampler".to_owned(), OrderKey::between(None, None));
                let node = DspNode { id, channel, node_kind, order, ..DspNode::default() };
                tx.put(DspNode { node_version: 1, kit: Some(kit), ..node }).unwrap();
            });
        },
        "chain_of 1, cohorts 1, cohorts view 1, events 1, graph 1, ground 1, heard 1, latency 1, \
         live_nodes 1, measured 1, media view 1, params 1, routes 1, routing view 1, speech 1, \
         strip 1, track view 1, wiring 1, zones 1",
        8,
    ),
    (
        "a slot of that kit",
        |song| {
            let source = Stored::new(song.project.view());
            let (kit, media) = (source.all::<Kit>()[0].id, source.all::<MediaItem>()[0].id);
            song.edit(|tx| {
                let id = KitSlotId(tx.new_id());
                tx.put(KitSlot { id, kit, media: Some(media), ..KitSlot::default() }).unwrap();
            });
        },
        "media view 1, zones 1",
        0,
    ),
    (
        "a track is deleted",
        |song| {
            let track = song.tracks[2];
            song.edit(|tx| {
                tx.remove_cascade(track).unwrap();
            });
        },
        "automation 1, cohorts 1, cohorts view 1, depths 1, graph 1, ground 1, heard {rest}, \
         latency 1, live_nodes 1, measured 1, mixer_order 1, places 1, routes 1, routing view 1",
        8,
    ),
];

/// However many tracks there are.
const FEW: u64 = 40;

fn table(tracks: usize, clips: usize) {
    let mut song = Song::new(tracks, clips);
    song.counted();
    for (what, edit, expect, each) in TABLE {
        edit(&mut song);
        let expect = expect.replace("{all}", &tracks.to_string());
        let expect = expect.replace("{channels}", &(tracks + 1).to_string());
        // Those that no edit before this one looked at.
        let expect = expect.replace("{rest}", &(tracks - 3).to_string());
        check(&mut song, what, &expect, FEW + each * tracks as u64);
        check(&mut song, "nothing", "", 0);
    }
    // All of a long song from nothing is what the soak has time for.
    if tracks <= 100 || std::env::var_os("PULSE_SOAK").is_some() {
        song.verify();
    }
}

/// A derivation that stands in no line is one of which nobody says when it must
/// not run.
#[test]
fn every_derivation_stands_in_the_table() {
    let source = include_str!("db.rs").split("#[salsa::tracked").skip(1);
    let names: Vec<&str> = source
        .filter_map(|text| text.split_once("pub fn ")?.1.split_once('('))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let lines = TABLE.iter().flat_map(|(_, _, expect, _)| expect.split(", "));
    let ran: BTreeSet<&str> = lines.filter_map(|part| part.split(' ').next()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !ran.contains(*name)).collect();
    assert!(missing.is_empty(), "no line of the table runs {missing:?}");
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
    table(1_000, 50);
}

#[test]
fn an_edit_of_one_clip_leaves_what_was_derived_of_the_others_of_a_long_track() {
    let mut song = Song::new(2, 700);
    let parts = |song: &Song| {
        let db = &song.host.db;
        let (of, track) =
            (db::arrangement_in(db, song.arrangement), db::track_in(db, song.tracks[0]));
        (db::track_rows(db, of, track).unwrap(), db::played(db, of, track))
    };
    let edits: [(&str, Edit); 5] = [
        ("gain", |song| song.update::<Clip>(song.clips[300], |it| it.gain_db = -6.0)),
        ("start", |song| song.update::<Clip>(song.clips[300], |it| it.start = Moment(9 * BAR))),
        ("name", |song| song.update::<Track>(song.tracks[0], |it| it.name = "Lead".into())),
        ("note", |song| {
            let (clip, note) = song.notes[300];
            song.edit(|tx| {
                let mut found: Note = tx.get_owned(clip.0, note).unwrap().unwrap();
                found.pitch = 64;
                tx.put(found).unwrap();
            });
        }),
        ("no clip", |song| {
            let clip = song.clips[300];
            song.edit(|tx| {
                tx.remove_cascade(clip).unwrap();
            });
        }),
    ];
    let before = parts(&song);
    for (what, edit) in edits {
        let (rows, played) = parts(&song);
        edit(&mut song);
        let now = parts(&song);
        // Where it was and where it is.
        let (shown, heard) = (now.0.unshared(&rows), now.1.unshared(&played));
        assert!(shown <= 2 && heard <= 2, "{what}: {shown} pieces of rows, {heard} of notes");
        song.undo();
        assert!(before.0.unshared(&parts(&song).0) == 0, "undo of {what}");
        assert!(before.1.unshared(&parts(&song).1) == 0, "undo of {what}");
    }
}

/// One clip of many notes, four to a window.
fn long_clip(notes: usize) -> (Song, ClipId, Vec<NoteId>) {
    let mut song = Song::new(1, 1);
    let (clip, first) = song.notes[0];
    let mut ids = Vec::new();
    song.edit(|tx| {
        tx.remove(AnyId { kind: EntityKind::Note, id: first.0 }).ok();
        let mut found: Clip = tx.get(clip).unwrap().unwrap();
        found.length = Moment(notes as i64 * WINDOW / 4);
        tx.put(found).unwrap();
        for at in 0..notes as i64 {
            let (id, start) = (NoteId(tx.new_id()), Ticks(at * WINDOW / 4));
            let length = Ticks(WINDOW / 8);
            let note = Note { id, clip, pitch: 60, start, length, ..Note::default() };
            tx.put(Note { velocity: 40_000, probability: 1.0, ..note }).unwrap();
            ids.push(id);
        }
    });
    song.host = Host::new(song.project.view(), Arc::new(Registry::standard()));
    song.update::<DspNode>(song.nodes[0], |node| node.node_kind = "pulse.synth".to_owned());
    (song, clip, ids)
}

#[test]
fn an_edit_of_one_note_of_ten_thousand_derives_the_window_that_holds_it() {
    let (mut song, clip, notes) = long_clip(10_000);
    let (id, track) = (song.arrangement, song.tracks[0]);
    let mut slices = Slices::default();
    slices.patch(song.host.play(id).unwrap().patch);
    let before = slices.clone();
    let mut check = |what: &str, edit: &dyn Fn(&mut Note), windows: u64| {
        let note = notes[5_001];
        song.edit(|tx| {
            let mut found: Note = tx.get_owned(clip.0, note).unwrap().unwrap();
            edit(&mut found);
            tx.put(found).unwrap();
        });
        let (step, counts) = song.host.count(|host| host.play(id).unwrap());
        assert_eq!(counts.executed.get("window"), Some(&windows), "{what}");
        assert_eq!(counts.executed.get("placed"), None, "{what}");
        let walked: u64 = counts.validated.values().sum();
        assert!(walked < 20, "{what}: {:?}", counts.validated);
        slices.patch(step.patch);
        let node = *slices.events.0.first_key_value().unwrap().0;
        let (old, new) = (before.events.0[&node].windows(), slices.events.0[&node].windows());
        let unshared = new.iter().filter(|it| !old.iter().any(|old| Arc::ptr_eq(old, it))).count();
        assert!(unshared as u64 <= windows, "{what}: {unshared} windows made anew");
        song.undo();
        let (step, counts) = song.host.count(|host| host.play(id).unwrap());
        let asked = counts.executed.get("window").copied().unwrap_or_default();
        assert!(asked <= windows, "undo of {what}: {asked}");
        slices.patch(step.patch);
        let back = slices.events.0[&node].windows().iter().zip(old);
        assert!(back.into_iter().all(|(a, b)| Arc::ptr_eq(a, b)), "undo of {what}");
        assert_eq!(slices, before);
    };
    check("pitch", &|note| note.pitch = 61, 1);
    check("a move to the next window", &|note| note.start = Ticks(note.start.0 + WINDOW), 2);
    check("an end three windows later", &|note| note.length = Ticks(3 * WINDOW), 2);
    check("a mute", &|note| note.mute = true, 1);
    song.verify();

    let fresh = Host::new(song.project.view(), Arc::new(Registry::standard()));
    song.host = fresh;
    let (from, to) = (Ticks(700 * WINDOW), Ticks(702 * WINDOW));
    let (windows, counts) = song.host.count(|host| host.windows(id, track, from, to).unwrap());
    assert_eq!(counts.executed["window"], 2, "those that were asked for");
    assert!(!counts.executed.contains_key("played"));
    let node = slices.events.0.first_key_value().unwrap().0;
    assert_eq!(windows[..], slices.events.0[node].windows()[700..702]);
}

#[test]
fn what_a_song_plays_keeps_the_notes_of_no_clip_that_nobody_edits() {
    let (mut song, clip, notes) = long_clip(1_000);
    let id = song.arrangement;
    let held = |song: &Song| song.host.db.world.scores.held();
    let step = song.host.play(id).unwrap();
    let events: usize = step.patch.events.values().flatten().map(|events| events.len()).sum();
    assert!(events >= 2_000, "{events}");
    assert_eq!(held(&song), 0);
    song.edit(|tx| {
        let mut note: Note = tx.get_owned(clip.0, notes[500]).unwrap().unwrap();
        note.pitch = 61;
        tx.put(note).unwrap();
    });
    song.host.play(id).unwrap();
    assert_eq!(held(&song), 1, "the clip that somebody edits");
    song.verify();
}

#[test]
fn a_screen_of_an_editor_shares_the_rows_that_an_edit_leaves_alone() {
    let (mut song, clip, notes) = long_clip(2_000);
    let window = Window {
        from: Some(Ticks(40 * WINDOW)),
        to: Some(Ticks(60 * WINDOW)),
        ..Window::default()
    };
    let look = |song: &Song| song.host.view(ViewName::Clip, Some(clip.any()), &window).unwrap();
    let before = look(&song);
    let note = notes[201];
    song.edit(|tx| {
        let mut found: Note = tx.get_owned(clip.0, note).unwrap().unwrap();
        found.velocity = 1;
        tx.put(found).unwrap();
    });
    let after = look(&song);
    let (old, new) = (before.lists["notes"].runs(), after.lists["notes"].runs());
    assert_eq!(new.len(), 20);
    assert_eq!(new.iter().zip(old).filter(|(a, b)| !Arc::ptr_eq(a, b)).count(), 1);
    assert_eq!(crate::view::delta::between(&before, &after).len(), 1);
    song.verify();
}

#[test]
fn arming_one_track_leaves_every_track_that_only_feeds_the_master_anticipative() {
    let mut song = Song::new(6, 1);
    let (track, armed) = (song.tracks[2], song.channels[2]);
    song.update::<Track>(track, |track| track.armed = true);
    let cohorts = song.host.cohorts(song.arrangement).unwrap();
    for channel in &song.channels {
        let expect = if *channel == armed { Cohort::Live } else { Cohort::Anticipative };
        assert_eq!(cohorts.of(*channel).unwrap().cohort, expect);
    }
    let node = song.nodes[2];
    assert_eq!(cohorts.of_node(node).unwrap().cohort, Cohort::Live);
    assert_eq!(cohorts.count(Cohort::Live), 2, "the track and the master");
}

#[test]
fn a_step_of_what_plays_asks_nobody_whom_the_edit_does_not_concern() {
    let mut song = Song::new(60, 4);
    let id = song.arrangement;
    let whole = song.host.play(id).unwrap();
    assert!(whole.whole && whole.media);
    let mut check = |edit: fn(&mut Song), expect: &str, nodes: usize| {
        edit(&mut song);
        let (step, counts) = song.host.count(|host| host.play(id).unwrap());
        assert_eq!(step.patch.nodes().len(), nodes);
        assert!(!step.whole && !step.media);
        let ran = counts.executed.iter().map(|(name, count)| format!("{name} {count}"));
        assert_eq!(ran.collect::<Vec<_>>().join(", "), expect);
        let walked: u64 = counts.validated.values().sum();
        assert!(walked < 40, "{:?}", counts.validated);
        step.spec
    };
    let fader = |song: &mut Song| song.update::<Channel>(song.channels[7], |it| it.gain_db = -9.0);
    let spec = check(fader, "heard 1, params 1", 1);
    assert!(Arc::ptr_eq(&spec, &whole.spec), "the graph is the same");
    let clip =
        |song: &mut Song| song.update::<Clip>(song.clips[9], |it| it.start = Moment(9 * BAR));
    let spec = check(clip, "placed 1, played 1, window 4", 0);
    assert!(Arc::ptr_eq(&spec, &whole.spec));
    let mute = |song: &mut Song| song.update::<Track>(song.tracks[5], |it| it.mute = true);
    check(mute, "heard 1, params 1", 1);
    let arm = |song: &mut Song| song.update::<Track>(song.tracks[3], |it| it.armed = true);
    let spec = check(arm, "cohorts 1, heard 1, live_nodes 1, params 1", 0);
    let live = spec.nodes.iter().filter(|node| node.cohort == Cohort::Live).count();
    assert_eq!(live, 5, "input, equaliser and strip of the track, input and strip of the master");
}

#[test]
fn arming_changes_the_graph_in_place_unless_somebody_holds_it() {
    let mut song = Song::new(8, 1);
    let id = song.arrangement;
    let live = |step: &super::Step| {
        step.spec.nodes.iter().filter(|node| node.cohort == Cohort::Live).count()
    };
    let at = Arc::as_ptr(&song.host.play(id).unwrap().spec);
    song.update::<Track>(song.tracks[3], |it| it.armed = true);
    let armed = song.host.play(id).unwrap();
    assert_eq!((Arc::as_ptr(&armed.spec), live(&armed)), (at, 5), "nothing was copied");
    song.update::<Track>(song.tracks[3], |it| it.armed = false);
    let rest = song.host.play(id).unwrap();
    assert_eq!((live(&armed), live(&rest)), (5, 0), "what is held stays as it is");
    let source = Stored::new(song.project.view());
    let seeds = &song.host.ambient().seeds;
    let expect = playing_graph(&source, &Registry::standard(), id, seeds).unwrap();
    assert_eq!(*rest.spec, expect);
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
    check(
        &mut song,
        "an editor is opened",
        "cohorts 1, cohorts view 1, live_nodes 1, routing view 1",
        FEW,
    );
    song.host.set_ambient(ambient);
    check(&mut song, "nothing", "", 0);
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
    assert_eq!(song.host.cohorts(song.arrangement).unwrap().channels().count(), 4);
    song.host.move_to(new).unwrap();
    song.verify();
}

/// A million edits with `PULSE_SOAK=1`, which print what is held.
#[test]
fn memory_stays_bounded_over_many_edits() {
    let (rounds, garbage) = match std::env::var_os("PULSE_SOAK") {
        Some(_) => (1_000_000, super::GARBAGE),
        None => (900, 64),
    };
    let mut song = Song::new(3, 1);
    let registry = Arc::new(Registry::standard());
    song.host = Host::new(song.project.view(), registry).with_garbage(garbage);
    let (arrangement, master) = (song.arrangement, song.master);
    let mut parts = Parts { arrangement, master, ..Parts::default() };
    let mut most = 0;
    for at in 0..rounds {
        match at % 5 {
            0 => {
                song.edit(|tx| parts.track(tx, at, 1));
            }
            1 => {
                let track = parts.tracks.pop().unwrap();
                song.edit(|tx| {
                    tx.remove_cascade(track).unwrap();
                });
            }
            2 => song.update::<Clip>(song.clips[0], |clip| clip.gain_db = -(at as f64) / 1e5),
            3 => song.update::<Track>(song.tracks[1], |track| track.name = format!("Take {at}")),
            _ => {
                let channel = song.channels[0];
                song.update::<Channel>(channel, |channel| channel.pan = (at % 100) as f64 / 100.0);
            }
        }
        if at % 7 == 0 {
            for view in [ViewName::Mixer, ViewName::Arrangement, ViewName::Cohorts] {
                song.host.view(view, None, &Window::default()).unwrap();
            }
        }
        most = most.max(song.host.size());
        let memo = song.host.memo();
        assert!(memo.cost <= super::MEMO, "{memo:?}");
        if (at + 1) % 100_000 == 0 {
            let rebuilt = song.host.rebuilt();
            println!(
                "{} edits: {} held, rebuilt {rebuilt} times, {memo:?}",
                at + 1,
                song.host.size()
            );
        }
    }
    assert!(song.host.rebuilt() > 0);
    assert!(most < 140_000, "{most} inputs and labels");
    song.verify();
}
