//! What the audio engine says by itself, told to everybody: a device that goes and
//! comes back, missed time, nodes that failed. Counted for the metrics as well.

use std::time::{Duration, Instant};

use pulse_schemas::{entity::DspNode, event::NodeFaulted, id::AnyId, id::NodeId};
use pulse_store::view::View;
use serde_json::json;

use crate::{
    commands::diagnostics::owner, metrics, model::Published, playback::News, session::Session,
};

/// How often the engine is looked at.
const EVERY: Duration = Duration::from_millis(33);
/// Missed time is told at most so often.
const XRUNS_EVERY: Duration = Duration::from_secs(1);

/// What was known when somebody looked last.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    looked: Option<Instant>,
    xruns_told: Option<Instant>,
    told_xruns: u64,
    xruns: u64,
    losses: u64,
    recoveries: u64,
    /// Why the device is not there.
    pub lost: Option<String>,
}

/// Looks at the engine, when it is time to.
pub fn look(session: &mut Session) -> Vec<Published> {
    session.live.playback.tick();
    let seen = &mut session.live.engine_seen;
    if seen.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
        return Vec::new();
    }
    seen.looked = Some(Instant::now());
    let news = session.live.playback.news();
    count(&mut session.live.engine_seen, &news);
    session.live.engine_seen.lost.clone_from(&news.lost);
    let mut told = Vec::new();
    state(session, &news, &mut told);
    xruns(&mut session.live.engine_seen, &news, &mut told);
    let view = session.view().ok();
    told.extend(news.faults.iter().map(|(node, reason)| fault(view.as_ref(), *node, reason)));
    told
}

fn count(seen: &mut Seen, news: &News) {
    // Counts begin again when they are reset or the engine is another one.
    let grown = |before: &mut u64, now: u64| {
        let by = if now < *before { now } else { now - *before };
        *before = now;
        by
    };
    metrics::XRUNS.add(grown(&mut seen.xruns, news.xruns));
    metrics::DEVICE_LOSSES.add(grown(&mut seen.losses, news.losses));
    metrics::DEVICE_RECOVERIES.add(grown(&mut seen.recoveries, news.recoveries));
    metrics::NODE_FAULTS.add(news.faults.len() as u64);
}

/// The session's engine is what the playback says it is.
fn state(session: &mut Session, news: &News, told: &mut Vec<Published>) {
    let Some(state) = news.state.filter(|state| *state != session.engine) else { return };
    session.engine = state;
    let payload = json!({"state": state, "reason": news.lost});
    told.push(Published { domain: "session", name: "engineChanged", payload });
    let config = session.live.playback.config();
    let payload = json!({"config": config, "lost": news.lost.is_some()});
    told.push(Published { domain: "hardware", name: "changed", payload });
    match &news.lost {
        Some(reason) => tracing::warn!(reason, "the audio device is lost; playing to nobody"),
        None => tracing::info!(?state, "the audio engine is in another state"),
    }
}

fn xruns(seen: &mut Seen, news: &News, told: &mut Vec<Published>) {
    let due = seen.xruns_told.is_none_or(|told| told.elapsed() >= XRUNS_EVERY);
    if news.xruns < seen.told_xruns {
        seen.told_xruns = news.xruns;
    }
    if news.xruns > seen.told_xruns && due {
        seen.told_xruns = news.xruns;
        seen.xruns_told = Some(Instant::now());
        let payload = json!({"total": news.xruns, "load": news.load});
        told.push(Published { domain: "diagnostics", name: "xrun", payload });
    }
}

/// Says which node of which track it was.
fn fault(view: Option<&View>, node: AnyId, reason: &str) -> Published {
    let channel = view.and_then(|view| owner(view, node));
    let track = channel.as_ref().and_then(|channel| channel.track);
    let named = track.and_then(|track| {
        let track = view?.get::<pulse_schemas::entity::Track>(track).ok().flatten()?;
        Some(track.name)
    });
    let found = view.and_then(|view| view.get::<DspNode>(NodeId(node.id)).ok().flatten());
    let name = match found {
        Some(found) if !found.name.is_empty() => found.name,
        Some(found) => found.node_kind,
        None => node.to_string(),
    };
    tracing::warn!(%node, name, track = named, reason, "a node failed and is bypassed");
    let payload = NodeFaulted {
        node,
        name,
        channel: channel.map(|channel| channel.id),
        track,
        track_name: named,
        reason: reason.to_owned(),
    };
    Published { domain: "diagnostics", name: "fault", payload: json!(payload) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use pulse_schemas::command::session::EngineState;
    use serde_json::Value;

    use super::*;
    use crate::{
        commands::testing::Project,
        playback::{Headless, Scripted},
    };

    fn tell(project: &mut Project, script: &Arc<Mutex<News>>, news: News) -> Vec<(String, Value)> {
        *script.lock().unwrap() = news;
        project.session.live.engine_seen.looked = None;
        let told = look(&mut project.session);
        told.into_iter().map(|it| (format!("{}.{}", it.domain, it.name), it.payload)).collect()
    }

    /// What the metrics page says of a counter.
    fn counted(name: &str) -> u64 {
        let page = metrics::page(&metrics::Gauges::default());
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().and_then(|value| value.parse().ok()).unwrap()
    }

    #[test]
    fn a_device_that_goes_and_comes_back_is_told_of_once_each_time() {
        let mut project = Project::new();
        let script = Arc::new(Mutex::new(News::default()));
        let playback = Scripted { inner: Headless::default(), script: Arc::clone(&script) };
        project.session.attach(Box::new(playback));
        let news = |state, lost: Option<&str>, losses| News {
            state: Some(state),
            lost: lost.map(str::to_owned),
            losses,
            ..News::default()
        };
        let running = || news(EngineState::Running, None, 0);
        tell(&mut project, &script, running());
        assert_eq!(tell(&mut project, &script, running()), []);
        let lost = || news(EngineState::Recovering, Some("unplugged"), 1);
        let before = metrics::DEVICE_LOSSES.get();
        let told = tell(&mut project, &script, lost());
        let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["session.engineChanged", "hardware.changed"]);
        assert_eq!(told[0].1, json!({"state": "recovering", "reason": "unplugged"}));
        assert_eq!(told[1].1["lost"], json!(true));
        assert!(metrics::DEVICE_LOSSES.get() > before);
        assert_eq!(project.ok("session.status", json!({}))["engine"], json!("recovering"));
        assert_eq!(tell(&mut project, &script, lost()), []);
        let told = tell(&mut project, &script, news(EngineState::Running, None, 1));
        assert_eq!(told[0].1, json!({"state": "running", "reason": null}));
        assert_eq!(project.ok("session.status", json!({}))["engine"], json!("running"));
    }

    #[test]
    fn a_fault_names_its_node_and_track_and_missed_time_is_counted() {
        let mut project = Project::new();
        let script = Arc::new(Mutex::new(News::default()));
        let playback = Scripted { inner: Headless::default(), script: Arc::clone(&script) };
        project.session.attach(Box::new(playback));
        let payload = json!({"name": "Bass", "nodes": ["pulse.eq"]});
        let made = project.ok("track.create", payload);
        let nodes = project.ok("node.list", json!({"channel": made["channel"]}));
        let node: AnyId = nodes["nodes"][0]["id"].as_str().unwrap().parse().unwrap();
        let faults = vec![(node, "its output was not finite".to_owned())];
        let before = [counted("pulse_xruns_total"), counted("pulse_node_faults_total")];
        let told = tell(&mut project, &script, News { faults, xruns: 3, ..News::default() });
        // Other tests count, too.
        assert!(counted("pulse_xruns_total") >= before[0] + 3);
        assert!(counted("pulse_node_faults_total") > before[1]);
        let [xrun, fault] = &told[..] else { panic!("{told:?}") };
        assert_eq!((xrun.0.as_str(), &xrun.1["total"]), ("diagnostics.xrun", &json!(3)));
        assert_eq!((fault.0.as_str(), &fault.1["node"]), ("diagnostics.fault", &json!(node)));
        assert_eq!(fault.1["track"], made["track"]);
        assert_eq!(fault.1["trackName"], json!("Bass"));
        let again = tell(&mut project, &script, News { xruns: 9, ..News::default() });
        assert_eq!(again, [], "more is told a second later");
        assert!(counted("pulse_xruns_total") >= before[0] + 9, "and counted at once");
    }
}
