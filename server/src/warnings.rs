//! What everybody should know until it is over: a project that can't be written any more, files
//! that are away, a device that is lost.
//!
//! A warning follows from how things are and is not kept: whoever looks finds the same ones. One
//! that was dismissed stays away until its cause has been gone.

use pulse_schemas::{
    command::session::{Severity, Warning},
    envelope::Timestamp,
};
use serde_json::json;

use crate::{model::Published, session::Session};

/// A warning whose cause is there.
struct Standing {
    id: &'static str,
    severity: Severity,
    domain: &'static str,
    message: String,
    hint: &'static str,
}

/// Those that follow from how things are; others are told by whoever knows of them.
const OURS: [&str; 3] = ["project-unwritable", "media-missing", "hardware-lost"];

/// Tells which warnings came and went since somebody looked last.
pub fn look(session: &mut Session) -> Vec<Published> {
    let standing = standing(session);
    let stands = |id: &str| standing.iter().any(|it| it.id == id);
    let mut told = Vec::new();
    session.dismissed.retain(|id| stands(id));
    session.warnings.retain(|warning| {
        let over = OURS.contains(&&*warning.id) && !stands(&warning.id);
        if over {
            told.push(published("warningCleared", json!({"id": warning.id})));
        }
        !over
    });
    for it in standing {
        let known = session.warnings.iter().position(|warning| warning.id == it.id);
        let said = known.and_then(|at| session.warnings.get(at));
        if session.dismissed.contains(it.id) || said.is_some_and(|said| said.message == it.message)
        {
            continue;
        }
        let since = said.map_or_else(|| Timestamp((session.clock)()), |said| said.since);
        let warning = it.since(since);
        session.warnings.retain(|known| known.id != warning.id);
        told.push(published("warningAdded", json!({ "warning": warning })));
        session.warnings.push(warning);
    }
    told
}

fn published(name: &'static str, payload: serde_json::Value) -> Published {
    Published { domain: "session", name, payload }
}

impl Standing {
    fn since(self, since: Timestamp) -> Warning {
        Warning {
            id: self.id.to_owned(),
            severity: self.severity,
            domain: self.domain.to_owned(),
            message: self.message,
            hint: Some(self.hint.to_owned()),
            since,
        }
    }
}

fn standing(session: &Session) -> Vec<Standing> {
    let mut found = Vec::new();
    let failure = session.open.as_ref().and_then(|open| open.project.repo().failure());
    found.extend(failure.map(|error| Standing {
        id: "project-unwritable",
        severity: Severity::Error,
        domain: "project",
        message: format!("nothing can be written to the project any more: {error}"),
        hint: "Mend the cause, then close the project and open it again; what was answered is safe.",
    }));
    let missing = session.live.missing.len();
    found.extend((missing > 0).then(|| Standing {
        id: "media-missing",
        severity: Severity::Warning,
        domain: "media",
        message: match missing {
            1 => "1 media file is away".to_owned(),
            count => format!("{count} media files are away"),
        },
        hint: "Connect the drive, or let `media.relink` look for them; nothing is forgotten.",
    }));
    found.extend(session.live.engine_seen.lost.as_ref().map(|reason| Standing {
        id: "hardware-lost",
        severity: Severity::Warning,
        domain: "hardware",
        message: format!("the audio device is lost: {reason}"),
        hint: "It is taken up again when it comes back; `hardware.configure` takes another one.",
    }));
    found
}

#[cfg(test)]
mod tests {
    use pulse_schemas::id::MediaId;
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::testing::Project;

    fn away(number: u32) -> MediaId {
        crate::commands::testing::id("med", number).parse().unwrap()
    }

    fn told(project: &mut Project) -> Vec<(&'static str, Value)> {
        look(&mut project.session).into_iter().map(|it| (it.name, it.payload)).collect()
    }

    #[test]
    fn a_warning_stands_as_long_as_its_cause_and_stays_away_once_dismissed() {
        let mut project = Project::new();
        assert_eq!(told(&mut project), []);
        project.session.live.missing.insert(away(1));
        let first = told(&mut project);
        assert_eq!((first.len(), first[0].0), (1, "warningAdded"));
        assert_eq!(first[0].1["warning"]["message"], "1 media file is away");
        assert_eq!(told(&mut project), [], "it is told once");
        let listed = project.ok("session.warnings", json!({}));
        assert_eq!(listed["warnings"][0]["id"], "media-missing");

        project.ok("session.dismissWarning", json!({"warning": "media-missing"}));
        assert_eq!(told(&mut project), []);
        assert_eq!(project.ok("session.warnings", json!({}))["warnings"], json!([]));
        project.session.live.missing.clear();
        assert_eq!(told(&mut project), []);
        project.session.live.missing.insert(away(2));
        assert_eq!(told(&mut project)[0].0, "warningAdded", "its cause came back");
        project.session.live.missing.clear();
        assert_eq!(told(&mut project), [("warningCleared", json!({"id": "media-missing"}))]);
    }

    #[test]
    fn a_lost_device_is_warned_of_until_it_is_back() {
        let mut project = Project::new();
        project.session.live.engine_seen.lost = Some("unplugged".to_owned());
        let warning = &told(&mut project)[0].1["warning"];
        assert_eq!(warning["message"], "the audio device is lost: unplugged");
        project.session.live.engine_seen.lost = None;
        assert_eq!(told(&mut project)[0].0, "warningCleared");
    }
}
