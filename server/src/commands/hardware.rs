//! Hardware: which devices there are and which are used. Part of the machine,
//! not of the project.

use pulse_schemas::{
    command::hardware::{Choose, Chosen, Command, Devices, HardwareStatus, MapRole, SetMidi},
    entity::HardwareRole,
    error::ErrorCode,
};
use serde_json::json;

use super::edit::{done, reply};
use crate::{
    playback::Wanted,
    refusal::{Refusal, Reply},
    session::Session,
};

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::List(_) => {
            // The engine looks at the machine each time; there is no older list.
            let (audio, midi) = session.live.playback.devices();
            reply(Devices { audio, midi })
        }
        Command::Status(_) => status(session),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, command: &Command) -> Reply {
    match command {
        Command::Choose(payload) => choose(session, payload),
        Command::SetMidi(payload) => set_midi(session, payload),
        Command::MapRole(payload) => map_role(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

fn changed(session: &mut Session, lost: bool) {
    let config = session.live.playback.config();
    session.publish("hardware", "changed", json!({"config": config, "lost": lost}));
}

fn choose(session: &mut Session, payload: &Choose) -> Reply {
    let wanted = Wanted {
        host: payload.host.clone(),
        device: payload.device.clone(),
        rate: payload.rate,
        block: payload.block,
    };
    let problem = session.live.playback.configure(&wanted);
    let state = session.live.playback.state();
    if let Some(reason) = problem {
        session.publish("session", "engineChanged", json!({"state": state, "reason": reason}));
    }
    changed(session, false);
    reply(Chosen { config: session.live.playback.config() })
}

fn set_midi(session: &mut Session, payload: &SetMidi) -> Reply {
    let opened = session.live.playback.set_midi(&payload.ports, payload.active);
    opened.map_err(|port| {
        let text = format!("there is no MIDI port `{port}`");
        Refusal::new(ErrorCode::HardwareNotFound, text).with("port", port)
    })?;
    changed(session, false);
    done()
}

fn map_role(session: &mut Session, payload: &MapRole) -> Reply {
    let role = payload.role;
    session.view()?.get::<HardwareRole>(role)?.ok_or_else(|| Refusal::not_found(role))?;
    match &payload.device {
        None => drop(session.live.roles.remove(&role)),
        Some(device) => {
            let (audio, midi) = session.live.playback.devices();
            let known = audio.iter().map(|it| &it.id).chain(midi.iter().map(|it| &it.id));
            if !known.into_iter().any(|id| id == device) {
                let text = format!("there is no device `{device}`");
                return Err(
                    Refusal::new(ErrorCode::HardwareNotFound, text).with("device", device.clone())
                );
            }
            session.live.roles.insert(role, (device.clone(), payload.first_channel));
        }
    }
    session.live.playback.set_roles(&session.live.roles);
    changed(session, false);
    done()
}

fn status(session: &Session) -> Reply {
    let roles = match &session.open {
        Some(open) => open.project.view().all::<HardwareRole>()?,
        None => Vec::new(),
    };
    let unmapped = roles.iter().map(|role| role.id);
    let unmapped = unmapped.filter(|id| !session.live.roles.contains_key(id)).collect();
    reply(HardwareStatus { config: session.live.playback.config(), unmapped })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::testing::{Project, id};

    #[test]
    fn without_an_engine_there_is_the_null_device_and_no_other() {
        let mut project = Project::new();
        let devices = project.ok("hardware.list", json!({"refresh": true}));
        assert_eq!((&devices["audio"][0]["host"], &devices["midi"]), (&json!("null"), &json!([])));
        let chosen = project.ok("hardware.choose", json!({"host": "jack", "rate": 96_000}));
        assert_eq!(
            (&chosen["config"]["host"], &chosen["config"]["rate"]),
            (&json!("null"), &json!(96_000))
        );
        let ports = json!({"ports": ["Launchpad"], "active": true});
        project.refused("hardware.setMidi", ports, "hardware.notFound");
    }

    #[test]
    fn roles_are_filled_by_devices_that_are_there() {
        let mut project = Project::new();
        let role = json!({"name": "Mic", "direction": "audioInput", "channels": 1});
        let role = project.ok("routing.createRole", role)["role"].clone();
        assert_eq!(project.ok("hardware.status", json!({}))["unmapped"], json!([role]));
        let map = |device: &str| json!({"role": role, "device": device});
        project.refused("hardware.mapRole", map("jack:none"), "hardware.notFound");
        project.ok("hardware.mapRole", map("null:clock"));
        assert_eq!(project.ok("hardware.status", json!({}))["unmapped"], json!([]));
        let nobody = json!({"role": id("hwr", 9), "device": null});
        project.refused("hardware.mapRole", nobody, "entity.notFound");
    }
}
