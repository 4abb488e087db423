//! Variants: A, B and C of a track or a clip, over the store's overlays.

use pulse_schemas::{
    command::{
        Command as Any,
        types::Scope,
        variant::{
            Activate, Applied, Apply, Command, Compared, Create, Created, Delete, Diff, List,
            Promoted, Rename, Variants,
        },
    },
    entity::{Clip, Track, Variant},
    error::ErrorCode,
    id::{AnyId, EntityKind, VariantId},
};
use pulse_store::{tx::TxMeta, variant::VariantError, view::View};

use super::{
    edit::{Edit, done, place_before, reply, sort},
    version::{self, describe},
};
use crate::{
    refusal::{Refusal, Reply},
    session::{Caller, Session},
};

pub fn edit(edit: &mut Edit<'_, '_>, command: &Command) -> Reply {
    match command {
        Command::Create(payload) => create(edit, payload),
        Command::Delete(payload) => delete(edit, payload),
        Command::Rename(payload) => rename(edit, payload),
        Command::Activate(payload) => activate(edit, payload),
        Command::Apply(payload) => apply(edit, payload),
        Command::Diff(_) | Command::List(_) | Command::Promote(_) => {
            Err(super::not_here(command.spec()))
        }
    }
}

pub fn ask(session: &Session, command: &Command) -> Reply {
    match command {
        Command::Diff(payload) => diff(session, payload),
        Command::List(payload) => list(session, payload),
        other => Err(super::not_here(other.spec())),
    }
}

pub fn act(session: &mut Session, caller: &Caller, command: &Command) -> Reply {
    let Command::Promote(payload) = command else { return Err(super::not_here(command.spec())) };
    let meta = session.meta(caller, &Any::Variant(command.clone()))?;
    let commit = session.project_mut()?.promote_variant(
        payload.variant,
        &payload.branch,
        TxMeta { label: String::new(), ..meta.clone() },
    )?;
    version::moved(session, &payload.branch, false, Some(commit));
    session.settled()?;
    if payload.switch {
        version::go(session, &payload.branch, None, TxMeta { label: String::new(), ..meta })?;
    }
    let branch = version::branch_info(session.project()?, &payload.branch)?;
    reply(Promoted { commit, branch })
}

impl From<VariantError> for Refusal {
    fn from(error: VariantError) -> Refusal {
        let text = error.to_string();
        match error {
            VariantError::NoSubject { id } => {
                Refusal::new(ErrorCode::EntityWrongKind, text).with("entity", id.to_string())
            }
            VariantError::Outside { id, .. } => {
                Refusal::new(ErrorCode::EntityInvalid, text).with("entity", id.to_string())
            }
            VariantError::Tx(error) => error.into(),
            VariantError::Version(error) => error.into(),
        }
    }
}

fn variants_of(edit: &mut Edit<'_, '_>, subject: AnyId) -> Result<Vec<Variant>, Refusal> {
    let mut variants = edit.referring::<Variant>(subject)?;
    variants.retain(|variant| variant.subject == Some(subject));
    Ok(variants)
}

/// `A`, `B`, … `Z`, then numbers.
fn letter(taken: &[Variant]) -> String {
    let free = |name: &String| taken.iter().all(|variant| variant.name != *name);
    let letters = ('A'..='Z').map(String::from);
    letters.chain((27..).map(|number: u32| number.to_string())).find(free).unwrap_or_default()
}

/// The name of a track or a clip; that it is there at all.
fn title(edit: &mut Edit<'_, '_>, subject: AnyId) -> Result<String, Refusal> {
    match subject.kind {
        EntityKind::Track => Ok(edit.get::<Track>(subject)?.name),
        EntityKind::Clip => Ok(edit.get::<Clip>(subject)?.name),
        _ => Err(VariantError::NoSubject { id: subject }.into()),
    }
}

fn create(edit: &mut Edit<'_, '_>, payload: &Create) -> Reply {
    let subject = payload.subject;
    let title = title(edit, subject)?;
    let mut siblings = variants_of(edit, subject)?;
    let name = payload.name.clone().unwrap_or_else(|| letter(&siblings));
    edit.label(format!("Keep {title} as variant {name}"));
    let order = place_before(&mut siblings, None);
    let variant = edit.tx.create_variant(subject, name, order)?;
    if payload.activate {
        edit.tx.activate_variant(subject, Some(variant))?;
    }
    reply(Created { variant })
}

fn delete(edit: &mut Edit<'_, '_>, payload: &Delete) -> Reply {
    let variant: Variant = edit.get(payload.variant)?;
    edit.label(format!("Delete variant {}", variant.name));
    reply(edit.delete([variant.id])?)
}

fn rename(edit: &mut Edit<'_, '_>, payload: &Rename) -> Reply {
    let variant: Variant = edit.get(payload.variant)?;
    edit.label(format!("Rename variant {} to {}", variant.name, payload.name));
    edit.update::<Variant>(variant.id, |variant| variant.name = payload.name.clone())?;
    done()
}

fn activate(edit: &mut Edit<'_, '_>, payload: &Activate) -> Reply {
    let title = title(edit, payload.subject)?;
    let name = match payload.variant {
        None => "the original".to_owned(),
        Some(id) => {
            let variant: Variant = edit.get(id)?;
            if variant.subject != Some(payload.subject) {
                let text = format!("{} is a variant of something else", variant.name);
                return Err(
                    Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.variant")
                );
            }
            variant.name
        }
    };
    edit.label(format!("{title}: play {name}"));
    edit.tx.activate_variant(payload.subject, payload.variant)?;
    done()
}

fn apply(edit: &mut Edit<'_, '_>, payload: &Apply) -> Reply {
    let variant: Variant = edit.get(payload.variant)?;
    edit.label(format!("Apply variant {}", variant.name));
    let before = edit.view()?;
    edit.tx.apply_variant(variant.id)?;
    let changes = describe::describe(&before, &edit.view()?, &Scope::default())?;
    if payload.consume {
        edit.delete([variant.id])?;
    }
    reply(Applied { changes })
}

fn get(view: &View, id: VariantId) -> Result<Variant, Refusal> {
    view.get(id)?.ok_or_else(|| Refusal::not_found(id))
}

fn diff(session: &Session, payload: &Diff) -> Reply {
    // The original is what is stored, whatever plays; a variant inside of one that plays is not.
    let stored = session.project()?.stored();
    let view = if stored.contains(payload.to)? { stored } else { session.view()? };
    let to = get(&view, payload.to)?;
    let from = payload.from.map(|id| get(&view, id)).transpose()?;
    if from.as_ref().is_some_and(|from| from.subject != to.subject) {
        let text = "two variants are compared that belong to different subjects";
        return Err(Refusal::new(ErrorCode::EntityInvalid, text).with("path", "payload.from"));
    }
    let before = from.map_or_else(|| Ok(view.clone()), |from| view.with_variant(&from))?;
    let after = view.with_variant(&to)?;
    reply(Compared { changes: describe::describe(&before, &after, &Scope::default())? })
}

fn list(session: &Session, payload: &List) -> Reply {
    let view = session.view()?;
    let (mut variants, active) = match payload.subject {
        None => (view.all::<Variant>()?, None),
        Some(subject) => {
            let active = match subject.kind {
                EntityKind::Track => view.get::<Track>(subject)?.map(|it| it.active_variant),
                EntityKind::Clip => view.get::<Clip>(subject)?.map(|it| it.active_variant),
                _ => return Err(VariantError::NoSubject { id: subject }.into()),
            };
            let active = active.ok_or_else(|| Refusal::not_found(subject))?;
            let mut variants = view.referring::<Variant>(subject)?;
            variants.retain(|variant| variant.subject == Some(subject));
            (variants, active)
        }
    };
    sort(&mut variants);
    reply(Variants { variants, active })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::commands::testing::{Project, id};

    fn track(project: &mut Project) -> Value {
        project.ok("track.create", json!({"name": "Bass"}))
    }

    #[test]
    fn a_variant_keeps_a_state_and_brings_it_back() {
        let mut project = Project::new();
        let bass = track(&mut project);
        let gain = |db: f64| json!({"channel": bass["channel"], "gainDb": db});
        project.ok("channel.setGain", gain(-3.0));
        let subject = json!({"subject": bass["track"]});
        let a = project.ok("variant.create", subject.clone())["variant"].clone();
        project.ok("channel.setGain", gain(-20.0));
        let compared = project.ok("variant.diff", json!({"to": a}));
        assert_eq!(compared["changes"][0]["fields"][0]["after"], json!(-3.0), "{compared}");
        let b = project.ok("variant.create", subject.clone())["variant"].clone();
        let list = project.ok("variant.list", subject);
        assert_eq!(
            (&list["variants"][0]["name"], &list["variants"][1]["name"]),
            (&json!("A"), &json!("B"))
        );
        project.ok("variant.activate", json!({"subject": bass["track"], "variant": b}));
        project.ok("variant.apply", json!({"variant": a, "consume": true}));
        let found = project.ok("channel.list", json!({}))["channels"][1].clone();
        assert_eq!(found["gainDb"], json!(-3.0));
        project.refused("variant.delete", json!({"variant": a}), "entity.notFound");
    }

    #[test]
    fn an_edit_is_one_of_the_variant_that_plays() {
        let mut project = Project::new();
        let bass = track(&mut project);
        let subject = json!({"subject": bass["track"], "activate": true});
        let b = project.ok("variant.create", subject.clone())["variant"].clone();
        let gain = |project: &mut Project| {
            project.ok("channel.list", json!({}))["channels"][1]["gainDb"].clone()
        };
        project.ok("channel.setGain", json!({"channel": bass["channel"], "gainDb": -6.0}));
        let c = project.ok("variant.create", subject)["variant"].clone();
        project.ok("channel.setGain", json!({"channel": bass["channel"], "gainDb": -9.0}));
        for (variant, db) in [(json!(null), 0.0), (b.clone(), -6.0), (c.clone(), -9.0)] {
            project.ok("variant.activate", json!({"subject": bass["track"], "variant": variant}));
            assert_eq!(gain(&mut project), json!(db));
        }
        let compared = project.ok("variant.diff", json!({"from": b, "to": c}));
        assert_eq!(compared["changes"][0]["fields"][0]["before"], json!(-6.0), "{compared}");
        let compared = project.ok("variant.diff", json!({"to": c}));
        assert_eq!(compared["changes"][0]["fields"][0]["before"], json!(0.0), "{compared}");
        project.ok("variant.activate", json!({"subject": bass["track"], "variant": b}));
        project.ok("variant.delete", json!({"variant": b}));
        assert_eq!(gain(&mut project), json!(0.0));
        project.ok("history.undo", json!({}));
        assert_eq!(gain(&mut project), json!(-6.0));
        project.ok("track.delete", json!({"tracks": [bass["track"]]}));
        project.refused(
            "variant.activate",
            json!({"subject": bass["track"], "variant": b}),
            "entity.notFound",
        );
    }

    #[test]
    fn a_variant_becomes_a_branch_and_the_present_one_stays() {
        let mut project = Project::new();
        let bass = track(&mut project);
        let gain = |db: f64| json!({"channel": bass["channel"], "gainDb": db});
        let found = |project: &mut Project| {
            project.ok("channel.list", json!({}))["channels"][1]["gainDb"].clone()
        };
        let subject = json!({"subject": bass["track"], "activate": true});
        let b = project.ok("variant.create", subject)["variant"].clone();
        project.ok("channel.setGain", gain(-9.0));
        project.ok("variant.activate", json!({"subject": bass["track"], "variant": null}));
        project.ok("version.commit", json!({"message": "Both"}));
        let stay = json!({"variant": b, "branch": "loud"});
        let made = project.ok("variant.promote", stay.clone());
        assert_eq!(
            (&made["branch"]["name"], &made["branch"]["current"]),
            (&json!("loud"), &json!(false))
        );
        assert_eq!(found(&mut project), json!(0.0));
        project.refused("variant.promote", stay, "version.exists");
        let go = json!({"variant": b, "branch": "louder", "switch": true});
        assert_eq!(project.ok("variant.promote", go)["branch"]["current"], true);
        assert_eq!(found(&mut project), json!(-9.0));
        let nothing = json!({"variant": id("var", 9), "branch": "no"});
        project.refused("variant.promote", nothing, "entity.notFound");
    }

    #[test]
    fn a_variant_belongs_to_its_subject() {
        let mut project = Project::new();
        let (bass, keys) = (track(&mut project), track(&mut project));
        let make = json!({"subject": bass["track"], "name": "Dark", "activate": true});
        let dark = project.ok("variant.create", make)["variant"].clone();
        project.ok("variant.rename", json!({"variant": dark, "name": "Darker"}));
        let wrong = json!({"subject": keys["track"], "variant": dark});
        project.refused("variant.activate", wrong, "entity.invalid");
        project.ok("variant.delete", json!({"variant": dark}));
        let list = project.ok("variant.list", json!({"subject": bass["track"]}));
        assert_eq!((&list["variants"], &list["active"]), (&json!([]), &json!(null)));
        let nobody = json!({"subject": id("clp", 9)});
        project.refused("variant.create", nobody, "entity.notFound");
    }
}
