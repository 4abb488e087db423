//! Names for tracks that were given none: `Track 3`.
//!
//! The first free number needs the names of all tracks. Reading a thousand records
//! for each new one makes a long list slow to make, so the names are kept beside
//! the state that they belong to; another state, and they are read again.

use std::collections::BTreeSet;

use pulse_schemas::{entity::Track, hash::Hash, id::ArrangementId};

use crate::{commands::edit::Edit, refusal::Refusal};

/// The names of an arrangement's tracks in one state of the project.
pub struct Names {
    arrangement: ArrangementId,
    root: Hash,
    taken: BTreeSet<String>,
}

/// The first name that is free.
pub fn next(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<String, Refusal> {
    if !known(edit, arrangement)? {
        let root = edit.tx.view()?.root();
        let tracks = edit.referring::<Track>(arrangement)?;
        let taken = tracks.into_iter().map(|track| track.name).collect();
        edit.live.names = Some(Names { arrangement, root, taken });
    }
    let Some(Names { taken, .. }) = &edit.live.names else { return Ok("Track".to_owned()) };
    let mut numbered = (taken.len() + 1..).map(|number| format!("Track {number}"));
    Ok(numbered.find(|name| !taken.contains(name)).unwrap_or_default())
}

/// Whether the names of the present state are at hand.
pub fn known(edit: &mut Edit<'_, '_>, arrangement: ArrangementId) -> Result<bool, Refusal> {
    let root = edit.tx.view()?.root();
    let names = edit.live.names.as_ref();
    Ok(names.is_some_and(|names| (names.arrangement, names.root) == (arrangement, root)))
}

/// Notes the name of a track that was made behind a state whose names are known.
pub fn made(edit: &mut Edit<'_, '_>, name: String) -> Result<(), Refusal> {
    let root = edit.tx.view()?.root();
    if let Some(names) = &mut edit.live.names {
        names.taken.insert(name);
        names.root = root;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::{desk::Desk, edit::READ};

    #[test]
    fn a_track_costs_the_same_whether_it_is_the_tenth_or_the_hundredth() {
        let mut desk = Desk::new();
        let mut cost = |payload: serde_json::Value, count: usize| {
            (0..count)
                .map(|_| {
                    let before = READ.with(|read| read.get());
                    desk.run("track.create", payload.clone());
                    READ.with(|read| read.get()) - before
                })
                .max()
        };
        let nodes = json!(["pulse.synth", "pulse.eq"]);
        for payload in [json!({"name": "Bass"}), json!({"nodes": nodes}), json!({"kind": "audio"})]
        {
            let first = cost(payload.clone(), 2);
            assert!(cost(payload.clone(), 40) <= first, "{payload}");
        }
    }

    #[test]
    fn a_name_is_the_first_that_is_free_whatever_happened_between() {
        let mut desk = Desk::new();
        let make = |desk: &mut Desk, payload| {
            let made = desk.run("track.create", payload);
            let name = desk.get(&made["track"])["name"].as_str().unwrap().to_owned();
            (made["track"].clone(), name)
        };
        assert_eq!(make(&mut desk, json!({})).1, "Track 1");
        let (second, name) = make(&mut desk, json!({}));
        assert_eq!(name, "Track 2");
        make(&mut desk, json!({"name": "Track 4"}));
        assert_eq!(make(&mut desk, json!({})).1, "Track 5");
        desk.run("track.rename", json!({"track": second, "name": "Bass"}));
        make(&mut desk, json!({"name": "Keys"}));
        assert_eq!(make(&mut desk, json!({})).1, "Track 6");
        desk.run("track.delete", json!({"tracks": [second]}));
        desk.run("history.undo", json!({}));
        desk.run("history.undo", json!({}));
        let names = ["Track 6", "Track 7"];
        assert!(names.contains(&make(&mut desk, json!({})).1.as_str()));
    }
}
