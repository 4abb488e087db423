//! Metering: who wants to see which levels, and how often.
//!
//! The samples come from the playback; this keeps what was asked for and what
//! each sample of a frame means.

use pulse_schemas::{
    command::metering::{
        Close, Command, Levels, MeterKind, MeterOpened, MeterSlot, Open, Read, Reset,
    },
    entity::{Channel, ChannelKind},
    error::ErrorCode,
    hash::Hash,
    id::ChannelId,
};
use pulse_store::view::View;

use super::edit::{active_arrangement, done, reply, sort};
use crate::{
    live::MeterStream,
    playback::Metered,
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Read(payload) => read(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    match command {
        Command::Open(payload) => open(session, caller, payload),
        Command::Close(payload) => close(session, caller, payload),
        Command::Reset(payload) => reset(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

/// The named channels, or all of the arrangement that plays, in mixer order.
fn wanted(view: &View, named: &[ChannelId]) -> Result<Vec<Channel>, Refusal> {
    if named.is_empty() {
        let mut channels = view.referring::<Channel>(active_arrangement(view)?)?;
        sort(&mut channels);
        return Ok(channels);
    }
    let get = |id: &ChannelId| view.get::<Channel>(*id)?.ok_or_else(|| Refusal::not_found(*id));
    named.iter().map(get).collect()
}

fn metered(channel: &Channel) -> Metered {
    Metered {
        id: channel.id,
        channels: channel.channels.clamp(1, 2),
        master: channel.channel_kind == ChannelKind::Master,
    }
}

/// Samples of one channel in a frame.
fn samples(kind: MeterKind, channel: &Metered, bands: u16) -> u32 {
    match kind {
        MeterKind::Level => 2 * u32::from(channel.channels),
        MeterKind::Loudness => 3,
        MeterKind::Spectrum => u32::from(bands),
        MeterKind::Phase => 2,
        MeterKind::Transport => 0,
    }
}

fn layout(kind: MeterKind, channels: &[Metered], bands: u16) -> Vec<MeterSlot> {
    let mut first = 0;
    let mut slots = Vec::with_capacity(channels.len());
    for channel in channels {
        let samples = samples(kind, channel, bands);
        slots.push(MeterSlot { channel: channel.id, first, samples });
        first += samples;
    }
    slots
}

/// The channels of a stream and what their samples mean.
fn arrange(
    session: &Session,
    kind: MeterKind,
    named: &[ChannelId],
    bands: u16,
) -> Result<(Vec<Metered>, Vec<MeterSlot>), Refusal> {
    let view = session.view()?;
    let channels: Vec<Metered> = match kind {
        MeterKind::Transport => Vec::new(),
        _ => wanted(&view, named)?.iter().map(metered).collect(),
    };
    let layout = layout(kind, &channels, bands);
    let total: u32 = layout.iter().map(|slot| slot.samples).sum();
    if total > u32::from(u16::MAX) {
        let text = format!("{total} samples are more than one frame may carry; ask for less");
        return Err(Refusal::range("payload.channels", text));
    }
    Ok((channels, layout))
}

fn open(session: &mut Session, caller: &Caller, payload: &Open) -> Reply {
    let bands = payload.bands.unwrap_or(512);
    let (channels, layout) = arrange(session, payload.kind, &payload.channels, bands)?;
    let number = session.live.stream();
    let watched = session.live.playback.watch(number, payload.kind, &channels);
    watched.map_err(|reason| {
        Refusal::new(ErrorCode::LimitReached, reason).with("limit", "metering.channels")
    })?;
    let meter = MeterStream {
        number,
        connection: caller.connection,
        kind: payload.kind,
        channels,
        named: payload.channels.clone(),
        rate: payload.rate.unwrap_or(30),
        bands,
        sequence: 0,
        due: std::time::Instant::now(),
        root: session.open.as_ref().map(|open| open.project.root()),
    };
    session.live.meters.insert(number, meter);
    reply(MeterOpened { stream: number, layout })
}

/// Has a stream show the channels of another state of the project; the layout
/// comes back, with its first frame, where it is another one. A channel that is
/// gone leaves a stream that named it.
pub fn renew(
    session: &mut Session,
    number: u32,
    root: Option<Hash>,
) -> Option<(u64, Vec<MeterSlot>)> {
    let stream = session.live.meters.get(&number)?;
    let (kind, bands, mut named) = (stream.kind, stream.bands, stream.named.clone());
    let mut fixed = !named.is_empty();
    if let Ok(view) = session.view() {
        named.retain(|id| matches!(view.get::<Channel>(*id), Ok(Some(_))));
    }
    fixed &= named.is_empty();
    // All the channels that a stream named are gone: none is not all.
    let (channels, layout) = match fixed {
        true => Default::default(),
        false => arrange(session, kind, &named, bands).unwrap_or_default(),
    };
    let live = &mut session.live;
    let stream = live.meters.get_mut(&number)?;
    stream.root = root;
    if stream.channels == channels {
        return None;
    }
    if let Err(reason) = live.playback.watch(number, kind, &channels) {
        tracing::warn!(reason, number, "a stream of meters keeps its old channels");
        return None;
    }
    stream.channels = channels;
    Some((stream.sequence, layout))
}

fn close(session: &mut Session, caller: &Caller, payload: &Close) -> Reply {
    let found = session.live.meters.get(&payload.stream);
    if found.is_none_or(|meter| meter.connection != caller.connection) {
        let text = format!("this connection has no meter stream {}", payload.stream);
        return Err(
            Refusal::new(ErrorCode::ClientSubscriptionUnknown, text).with("stream", payload.stream)
        );
    }
    session.live.meters.remove(&payload.stream);
    session.live.playback.unwatch(payload.stream);
    done()
}

fn reset(session: &mut Session, payload: &Reset) -> Reply {
    wanted(&session.view()?, &payload.channels)?;
    session.live.playback.reset_levels(&payload.channels);
    done()
}

fn read(session: &Session, payload: &Read) -> Reply {
    let channels = wanted(&session.view()?, &payload.channels)?;
    let ids: Vec<ChannelId> = channels.iter().map(|channel| channel.id).collect();
    reply(Levels { levels: session.live.playback.levels(&ids) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::testing::{Project, id};

    #[test]
    fn a_stream_says_what_its_samples_mean() {
        let mut project = Project::new();
        project.ok("channel.create", json!({"kind": "bus", "channels": 1}));
        let opened = project.ok("metering.open", json!({"kind": "level"}));
        let place = |at: usize| (&opened["layout"][at]["first"], &opened["layout"][at]["samples"]);
        assert_eq!((place(0), place(1)), ((&json!(0), &json!(4)), (&json!(4), &json!(2))));
        let stream = json!({"stream": opened["stream"]});
        project.ok("metering.close", stream.clone());
        project.refused("metering.close", stream, "client.subscriptionUnknown");
        let nobody = json!({"kind": "level", "channels": [id("chn", 9)]});
        project.refused("metering.open", nobody, "entity.notFound");
    }

    #[test]
    fn nothing_is_metered_where_nothing_sounds() {
        let mut project = Project::new();
        assert_eq!(project.ok("metering.read", json!({}))["levels"], json!([]));
        project.ok("metering.reset", json!({}));
    }
}
