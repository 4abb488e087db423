//! Random edits of everything that a view shows: after each, the host says what
//! a derivation from nothing says, and the steps between two states of a view
//! lead from the one to the other.

use std::collections::BTreeMap;

use pulse_engine::material::Slices;
use pulse_schemas::{
    entity::{
        AnyEntity, AudioFormat, AudioRegion, AutomationEnvelope, AutomationPoint, Availability,
        Channel, ChannelKind, Clip, ClipContent, ClipSlot, DspNode, Entity, EnvelopeOwner,
        ExpressionDimension, ExpressionPoint, Kit, KitSlot, Lane, LaneKind, Marker, MediaItem,
        MidiEvent, MidiMessage, Note, ParameterLink, ParameterRef, Scene, Send, SidechainRoute,
        TempoPoint, Track, ViewMeta,
    },
    hash::Hash,
    id::{
        AnyId, AudioRegionId, AutomationEnvelopeId, AutomationPointId, ClipId, ClipSlotId, KitId,
        KitSlotId, LaneId, MarkerId, MediaId, MidiEventId, NodeId, NoteId, ParameterLinkId,
        SceneId, SendId, SidechainRouteId, TempoPointId, ViewMetaId,
    },
    order::OrderKey,
    time::{Moment, Ticks, Timebase},
};
use pulse_store::tx::{Tx, TxMeta};
use serde_json::Value;

use super::{BAR, Song};
use crate::{
    ambient::Ambient,
    source::SourceExt,
    stored::Stored,
    view::{Sheet, delta},
};

/// Counter-based: the same edits each time.
struct Dice {
    seed: u64,
    at: u64,
}

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.at += 1;
        let hash = Hash::of(&[self.seed.to_be_bytes(), self.at.to_be_bytes()].concat());
        let bytes = hash.as_bytes()[..8].try_into().unwrap();
        (u64::from_be_bytes(bytes) % end as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }

    fn moment(&mut self) -> Moment {
        Moment(self.below(17) as i64 * BAR / 4)
    }
}

/// The song as it is, to choose from.
struct Choice<'a> {
    source: Stored,
    dice: &'a mut Dice,
}

impl Choice<'_> {
    fn any<E: Entity + TryFrom<AnyEntity> + Clone>(&mut self) -> Option<E> {
        let all = self.source.all::<E>();
        self.dice.of(&all)
    }

    fn changed<E: Entity + TryFrom<AnyEntity> + Clone + Into<AnyEntity>>(
        &mut self,
        change: impl FnOnce(&mut E, &mut Dice),
    ) -> Option<AnyEntity> {
        let mut found = self.any::<E>()?;
        change(&mut found, self.dice);
        Some(found.into())
    }
}

/// An entity that is put, of any kind; the song may have none to change.
fn put(song: &Song, tx: &mut Tx<'_>, choice: &mut Choice<'_>) -> Option<AnyEntity> {
    let arrangement = song.arrangement;
    let entity = match choice.dice.below(48) {
        0 => choice.changed::<Clip>(|clip, dice| clip.start = dice.moment())?,
        1 => {
            let lane = choice.any::<Lane>()?.id;
            choice.changed::<Clip>(|clip, _| clip.lane = lane)?
        }
        2 => choice.changed::<Clip>(|clip, dice| {
            let absolute = dice.coin();
            clip.timebase = if absolute { Timebase::Absolute } else { Timebase::Musical };
        })?,
        3 => {
            choice.changed::<Clip>(|clip, dice| clip.length = Moment(dice.moment().0 + BAR / 16))?
        }
        4 => choice.changed::<Clip>(|clip, dice| clip.name = format!("C{}", dice.at))?,
        5 => {
            let (id, lane) = (ClipId(tx.new_id()), choice.any::<Lane>()?.id);
            let (start, length) = (choice.dice.moment(), Moment(BAR));
            let content = ClipContent::Midi;
            Clip { id, lane, start, length, content, ..Clip::default() }.into()
        }
        6 => {
            let (id, clip) = (NoteId(tx.new_id()), choice.any::<Clip>()?.id);
            let (start, pitch) = (Ticks(choice.dice.moment().0), choice.dice.below(128) as u8);
            let note = Note { id, clip, start, pitch, length: Ticks(BAR / 8), ..Note::default() };
            Note { velocity: 9_000, probability: 1.0, ..note }.into()
        }
        7 => choice.changed::<Note>(|note, dice| note.pitch = dice.below(128) as u8)?,
        8 => {
            let (id, clip) = (MidiEventId(tx.new_id()), choice.any::<Clip>()?.id);
            let at = Ticks(choice.dice.moment().0);
            MidiEvent { id, clip, at, ..MidiEvent::default() }.into()
        }
        9 => choice.changed::<Track>(|track, _| track.mute = !track.mute)?,
        10 => choice.changed::<Track>(|track, _| track.solo = !track.solo)?,
        11 => choice.changed::<Track>(|track, _| track.armed = !track.armed)?,
        12 => choice.changed::<Track>(|track, dice| track.name = format!("T{}", dice.at))?,
        13 => {
            let order = OrderKey::between(None, choice.any::<Track>().map(|it| it.order).as_ref());
            choice.changed::<Track>(|track, _| track.order = order)?
        }
        14 => {
            let parent = choice.any::<Track>().map(|track| track.id);
            let keep = choice.dice.coin();
            choice.changed::<Track>(|track, _| {
                track.parent = parent.filter(|parent| keep && *parent != track.id);
            })?
        }
        15 => {
            let media = choice.any::<MediaItem>().map(|media| media.id);
            choice.changed::<Track>(|track, dice| track.frozen = media.filter(|_| dice.coin()))?
        }
        16 => choice.changed::<Lane>(|lane, _| lane.mute = !lane.mute)?,
        17 => {
            let track = choice.any::<Track>()?.id;
            choice.changed::<Lane>(|lane, _| lane.track = track)?
        }
        18 => {
            let (id, track) = (LaneId(tx.new_id()), choice.any::<Track>()?.id);
            let lane_kind = LaneKind::Midi;
            let order = OrderKey::between(None, None);
            Lane { id, track, lane_kind, order, ..Lane::default() }.into()
        }
        19 => choice.changed::<Channel>(|it, dice| it.gain_db = 0.0 - dice.below(20) as f64)?,
        20 => {
            let output = choice.any::<Channel>().map(|channel| channel.id);
            choice.changed::<Channel>(|it, _| {
                if it.channel_kind != ChannelKind::Master {
                    it.output = output.filter(|output| *output != it.id);
                }
            })?
        }
        21 => choice.changed::<Channel>(|channel, _| channel.mute = !channel.mute)?,
        22 => choice.changed::<Channel>(|channel, dice| channel.name = format!("N{}", dice.at))?,
        23 => {
            let channel = choice.any::<Channel>()?.id;
            choice.changed::<DspNode>(|node, _| node.channel = channel)?
        }
        24 => choice.changed::<DspNode>(|node, _| node.bypass = !node.bypass)?,
        25 => {
            let (id, channel) = (NodeId(tx.new_id()), choice.any::<Channel>()?.id);
            let kinds = ["pulse.eq", "pulse.compressor", "nobody.knows"];
            let node_kind = choice.dice.of(&kinds)?.to_owned();
            let node = DspNode { id, channel, node_kind, node_version: 1, ..DspNode::default() };
            DspNode { order: OrderKey::between(None, None), ..node }.into()
        }
        26 => {
            let (id, from) = (SendId(tx.new_id()), choice.any::<Channel>()?.id);
            let to = choice.any::<Channel>()?.id;
            let feedback = Some(64);
            Send { id, from, to, feedback, ..Send::default() }.into()
        }
        27 => choice.changed::<Send>(|send, dice| send.gain_db = 0.0 - dice.below(20) as f64)?,
        28 => {
            let (id, from) = (SidechainRouteId(tx.new_id()), choice.any::<Channel>()?.id);
            let to = choice.any::<DspNode>()?.id;
            SidechainRoute { id, from, to, port: 1, feedback: Some(64), ..Default::default() }
                .into()
        }
        29 => {
            let (id, at) = (TempoPointId(tx.new_id()), Ticks(choice.dice.moment().0));
            let bpm = 60.0 + choice.dice.below(90) as f64;
            TempoPoint { id, arrangement, at, bpm, ..TempoPoint::default() }.into()
        }
        30 => {
            let (id, at) = (MarkerId(tx.new_id()), choice.dice.moment());
            Marker { id, arrangement, at, ..Marker::default() }.into()
        }
        31 => {
            let subject = match choice.dice.below(3) {
                0 => choice.any::<Clip>()?.id.any(),
                1 => choice.any::<Track>()?.id.any(),
                _ => choice.any::<Channel>()?.id.any(),
            };
            let known = choice.source.referring::<ViewMeta>(subject).pop();
            let id = known.map_or_else(|| ViewMetaId(tx.new_id()), |meta| meta.id);
            let colour = Some(format!("#{:06x}", choice.dice.below(1 << 24)));
            ViewMeta { id, subject: Some(subject), colour, ..ViewMeta::default() }.into()
        }
        32 => {
            let known = choice.any::<MediaItem>().filter(|_| choice.dice.coin());
            let found = [Availability::Local, Availability::Missing, Availability::ExternalOffline];
            let availability = choice.dice.of(&found)?;
            let id = known.map_or_else(|| MediaId(tx.new_id()), |media| media.id);
            let name = format!("M{}", choice.dice.below(9));
            let content = choice.dice.coin().then(|| Hash::of(name.as_bytes()));
            let format = AudioFormat { frames: 90_000, ..AudioFormat::default() };
            MediaItem { id, name, availability, content, format, ..MediaItem::default() }.into()
        }
        33 => {
            let (id, clip) = (AudioRegionId(tx.new_id()), choice.any::<Clip>()?.id);
            let media = choice.any::<MediaItem>()?.id;
            AudioRegion { id, clip, media, source_length: 100, ..AudioRegion::default() }.into()
        }
        36 => {
            let (id, media) = (KitSlotId(tx.new_id()), choice.any::<MediaItem>().map(|it| it.id));
            let kit = choice.any::<Kit>().map(|kit| kit.id);
            let kit = match kit.filter(|_| choice.dice.below(4) > 0) {
                Some(kit) => kit,
                None => {
                    let kit = Kit { id: KitId(tx.new_id()), ..Kit::default() };
                    tx.put(kit.clone()).ok();
                    kit.id
                }
            };
            KitSlot { id, kit, media, key_high: 127, velocity_high: 65_535, ..Default::default() }
                .into()
        }
        37 => {
            let kit = choice.any::<Kit>().map(|kit| kit.id);
            choice.changed::<DspNode>(|node, _| {
                (node.node_kind, node.kit) = ("pulse.sampler".to_owned(), kit);
            })?
        }
        38 => {
            let id = SceneId(tx.new_id());
            let (track, clip) = (choice.any::<Track>()?.id, choice.any::<Clip>()?.id);
            let order = OrderKey::between(None, None);
            tx.put(Scene { id, arrangement, order, ..Scene::default() }).ok();
            let (scene, id) = (id, ClipSlotId(tx.new_id()));
            ClipSlot { id, scene, track, clip: Some(clip), ..ClipSlot::default() }.into()
        }
        39 => choice.changed::<ClipSlot>(|slot, _| slot.clip = None)?,
        40 => {
            let id = ParameterLinkId(tx.new_id());
            let mut end = || {
                let target = choice.any::<Channel>()?.id.any();
                Some(ParameterRef { target: Some(target), parameter: "gainDb".to_owned() })
            };
            let (source, target, enabled) = (end()?, end()?, true);
            ParameterLink { id, source, target, scale: 1.0, offset: 0.1, enabled }.into()
        }
        41 => choice.changed::<Clip>(|clip, dice| {
            let length = Moment(dice.moment().0 / 3 + BAR / 32);
            clip.loop_length = dice.coin().then_some(length);
            clip.loop_start = Moment(dice.moment().0 / 8);
        })?,
        42 => choice.changed::<Clip>(|clip, dice| {
            clip.slip = Moment(dice.moment().0 / 5 - BAR / 8);
            clip.transpose = dice.below(5) as f64 - 2.0;
            clip.mute = dice.below(4) == 0;
        })?,
        43 => choice.changed::<Note>(|note, dice| {
            note.start = Ticks(dice.moment().0 / 3);
            note.length = Ticks(1 + dice.moment().0 / 2);
            note.mute = dice.below(5) == 0;
            note.probability = if dice.coin() { 1.0 } else { 0.5 };
        })?,
        44 => choice.changed::<Note>(|note, dice| {
            let point = |at| ExpressionPoint {
                dimension: ExpressionDimension::Pitch,
                at: Ticks(at),
                value: 1.5,
            };
            note.expression = (0..dice.below(4)).map(|at| point(at as i64 * BAR / 7)).collect();
        })?,
        45 => choice.changed::<MidiEvent>(|event, dice| {
            event.at = Ticks(dice.moment().0 / 3);
            let (number, value) = (dice.below(100) as u8, 1 << 30);
            event.message = MidiMessage::Controller { number, value };
        })?,
        46 => {
            choice.changed::<TempoPoint>(|tempo, dice| tempo.bpm = 60.0 + dice.below(9) as f64)?
        }
        34 => choice.changed::<SidechainRoute>(|route, dice| {
            route.port = 1 + dice.below(2) as u16;
        })?,
        35 => {
            let lane = choice.any::<Lane>()?.id;
            let clip = choice.any::<Clip>().map(|clip| clip.id).filter(|_| choice.dice.coin());
            let owner =
                clip.map_or(EnvelopeOwner::Lane { lane }, |clip| EnvelopeOwner::Clip { clip });
            let target = Some(choice.any::<Channel>()?.id.any());
            let (id, parameter) = (AutomationEnvelopeId(tx.new_id()), "gainDb".to_owned());
            let enabled = true;
            AutomationEnvelope { id, owner, target, parameter, enabled, ..Default::default() }
                .into()
        }
        _ => {
            let envelope = choice.any::<AutomationEnvelope>()?.id;
            let (id, at) = (AutomationPointId(tx.new_id()), choice.dice.moment());
            let value = 0.0 - choice.dice.below(12) as f64;
            AutomationPoint { id, envelope, at, value, ..AutomationPoint::default() }.into()
        }
    };
    Some(entity)
}

fn removed(choice: &mut Choice<'_>) -> Option<AnyId> {
    match choice.dice.below(10) {
        7 => choice.any::<MidiEvent>().map(|it| it.id.any()),
        8 => choice.any::<TempoPoint>().map(|it| it.id.any()),
        0 => choice.any::<Clip>().map(|it| it.id.any()),
        1 => choice.any::<Lane>().map(|it| it.id.any()),
        2 => choice.any::<Track>().map(|it| it.id.any()),
        3 => choice.any::<Note>().map(|it| it.id.any()),
        4 => choice.any::<ViewMeta>().map(|it| it.id.any()),
        5 => choice.any::<AudioRegion>().map(|it| it.id.any()),
        6 => choice.any::<AutomationEnvelope>().map(|it| it.id.any()),
        _ => choice.any::<DspNode>().map(|it| it.id.any()),
    }
}

/// One transaction of one to three edits; what the store refuses changes nothing.
fn transaction(song: &mut Song, dice: &mut Dice) -> bool {
    let view = song.project.view();
    let mut project = std::mem::replace(
        &mut song.project,
        pulse_store::project::Project::in_memory(Default::default()).unwrap(),
    );
    let mut tx = project.begin(TxMeta::new("Edit", "test"));
    let mut choice = Choice { source: Stored::new(view), dice };
    for _ in 0..=choice.dice.below(3) {
        if choice.dice.below(9) == 0 {
            if let Some(id) = removed(&mut choice) {
                tx.remove_cascade(id).ok();
            }
        } else if let Some(entity) = put(song, &mut tx, &mut choice) {
            tx.put(entity).ok();
        }
    }
    let committed = tx.commit();
    song.project = project;
    match &committed {
        Ok(committed) => song.host.apply(&committed.changes, song.project.view()),
        Err(_) => return false,
    }
    true
}

/// Whether the store took the edit.
fn random_edit(song: &mut Song, dice: &mut Dice) -> bool {
    match dice.below(10) {
        0 => {
            if song.project.undoable("test", None).unwrap().0.is_some() {
                song.undo();
            }
            true
        }
        1 => {
            let mut choice = Choice { source: Stored::new(song.project.view()), dice };
            let mut ambient = Ambient::default();
            let media = choice.any::<MediaItem>().map(|media| media.id);
            ambient.media.extend(media.map(|media| (media, Availability::RemoteOffline)));
            ambient.seeds.editors.extend(choice.any::<DspNode>().map(|node| node.id.any()));
            song.host.set_ambient(ambient);
            true
        }
        _ => transaction(song, dice),
    }
}

/// What a client has of each view.
type Shown = BTreeMap<usize, (Sheet, Value)>;

fn follow(song: &Song, shown: &mut Shown) {
    for (at, (view, subject, window)) in song.looks().into_iter().enumerate() {
        let Ok(now) = song.host.view(view, subject, &window) else {
            shown.remove(&at);
            continue;
        };
        let (old, mut data) = shown.remove(&at).unwrap_or_else(|| (now.clone(), now.data()));
        let steps = delta::between(&old, &now);
        delta::apply(&mut data, &steps).unwrap();
        assert_eq!(data, now.data(), "{view:?} of {subject:?} in {window:?}");
        assert_eq!(steps.is_empty(), old.hash() == now.hash(), "{view:?}: {steps:?}");
        shown.insert(at, (now, data));
    }
}

fn check(seed: u64, rounds: u64) {
    let mut song = Song::new(5, 3);
    let mut dice = Dice { seed, at: 0 };
    let (mut shown, mut played) = (Shown::new(), Slices::default());
    let mut taken = 0;
    for round in 0..rounds {
        taken += u64::from(random_edit(&mut song, &mut dice));
        // Several edits may pass between two looks.
        if round % 3 != 1 {
            song.verify();
            song.verify_played(&mut played);
            follow(&song, &mut shown);
        }
    }
    assert!(taken > rounds / 2, "the store refused {} of {rounds} edits", rounds - taken);
}

#[test]
fn after_any_edit_the_host_says_what_a_derivation_from_nothing_says() {
    let (songs, rounds) = match std::env::var_os("PULSE_SOAK") {
        Some(_) => (40, 1_000),
        None => (3, 90),
    };
    (1..=songs).for_each(|seed| check(seed, rounds));
}
