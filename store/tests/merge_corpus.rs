//! The merge corpus: `tests/fixtures/merge/*.json`, one scenario per file.
//!
//! Every scenario begins with the song of `merge-song.json`, changed by its own `base`. `ours` and
//! `theirs` are edits by name: null deletes with all that cannot live without it, an object
//! changes fields (`params.freq` inside a map) or, with a `kind`, adds. `@name` is the id of
//! another entity; `variant:name` is that entity inside a variant. `expect` lists fields of the merged song (null: gone) and `conflicts` all
//! conflicts as `name field cause` (`-` is the whole entity).
//!
//! Beside what a scenario expects, an oracle looks at every field that either side changed: it
//! must be there, or a conflict must keep it. Anything else is a silent loss. A conflict that no
//! scenario expects is a false one. The goal is 0 and 0.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
// The corpus is files.
#![allow(clippy::disallowed_methods)]

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{
    by,
    oracle::{self, fields},
    project,
};
use pulse_schemas::{
    entity::{AnyEntity, Conflict, Variant},
    id::{AnyId, EntityId, EntityKind, VariantId},
};
use pulse_store::{
    project::{Project, Resolution},
    rev::Rev,
    tx::Tx,
    view::View,
};
use serde_json::{Map, Value};

type Edits = BTreeMap<String, Value>;
type Fields = Map<String, Value>;

#[derive(serde::Deserialize)]
struct Scenario {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    base: Edits,
    ours: Edits,
    theirs: Edits,
    expect: Edits,
    conflicts: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Song {
    entities: Edits,
}

/// The ids of everything a scenario names.
struct Names {
    ids: BTreeMap<String, AnyId>,
}

impl Names {
    fn new(project: &Project, parts: &[&Edits]) -> Names {
        let mut ids = BTreeMap::new();
        for (name, edit) in parts.iter().flat_map(|part| part.iter()) {
            let Some(kind) = edit.get("kind") else { continue };
            let kind: EntityKind = serde_json::from_value(kind.clone()).unwrap();
            let name = name.rsplit(':').next().unwrap();
            let hash = pulse_schemas::hash::Hash::of(name.as_bytes());
            let id = EntityId::from_bytes(hash.0[..16].try_into().unwrap());
            ids.insert(name.to_owned(), AnyId { kind, id });
        }
        let entity = project.view().all::<pulse_schemas::entity::Project>().unwrap().remove(0);
        ids.insert("project".into(), entity.id.any());
        Names { ids }
    }

    fn id(&self, name: &str) -> AnyId {
        *self.ids.get(name).unwrap_or_else(|| panic!("nothing is called {name}"))
    }

    /// An entity and the variant that it is meant inside of.
    fn place<'n>(&self, name: &'n str) -> (Option<VariantId>, &'n str) {
        match name.split_once(':') {
            Some((variant, name)) => (Some(VariantId(self.id(variant).id)), name),
            None => (None, name),
        }
    }

    /// `overlay.riff.gainDb` for a path inside a variant.
    fn path(&self, field: &str) -> String {
        let part = |part: &str| match part.parse::<AnyId>() {
            Ok(id) => self.name(id).to_owned(),
            Err(_) => part.to_owned(),
        };
        field.split('.').map(part).collect::<Vec<_>>().join(".")
    }

    fn name(&self, id: AnyId) -> &str {
        self.ids.iter().find(|(_, it)| **it == id).map_or("?", |(name, _)| name)
    }

    fn link(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('@') {
                Some(name) => Value::String(self.id(name).to_string()),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.link(item)).collect(),
            Value::Object(map) => Value::Object(
                map.iter().map(|(name, value)| (name.clone(), self.link(value))).collect(),
            ),
            other => other.clone(),
        }
    }
}

fn apply(project: &mut Project, names: &Names, edits: &Edits) {
    let mut tx = project.begin(by("a"));
    let mut inside: BTreeMap<VariantId, Vec<(&str, &Value)>> = BTreeMap::new();
    for (name, edit) in edits {
        match names.place(name) {
            (Some(variant), name) => inside.entry(variant).or_default().push((name, edit)),
            (None, name) => apply_one(&mut tx, names, name, edit),
        }
    }
    for (id, edits) in inside {
        tx.in_variant(id, |_| Ok(())).unwrap();
        let subject = tx.get::<Variant>(id).unwrap().unwrap().subject.unwrap();
        let active = tx.any(subject).unwrap().unwrap().fields()["activeVariant"].clone();
        tx.activate_variant(subject, Some(id)).unwrap();
        edits.iter().for_each(|(name, edit)| apply_one(&mut tx, names, name, edit));
        tx.activate_variant(subject, serde_json::from_value(active).unwrap()).unwrap();
    }
    tx.commit().unwrap();
}

fn apply_one(tx: &mut Tx<'_>, names: &Names, name: &str, edit: &Value) {
    let id = names.id(name);
    let present = tx.any(id).unwrap();
    match names.link(edit) {
        Value::Object(changes) => put(tx, id, present, changes),
        _ if present.is_some() => drop(tx.remove_cascade(id).unwrap()),
        _ => {}
    }
}

fn put(tx: &mut Tx<'_>, id: AnyId, present: Option<AnyEntity>, changes: Fields) {
    let mut fields = match &present {
        Some(entity) => entity.fields(),
        None => Fields::from_iter([("id".to_owned(), Value::String(id.to_string()))]),
    };
    for (path, value) in changes.into_iter().filter(|(path, _)| path != "kind") {
        match path.split_once('.') {
            None => drop(fields.insert(path, value)),
            Some((field, key)) => {
                let map = fields.get_mut(field).and_then(Value::as_object_mut).unwrap();
                match value {
                    Value::Null => drop(map.remove(key)),
                    value => drop(map.insert(key.to_owned(), value)),
                }
            }
        }
    }
    let (entity, unknown) = AnyEntity::from_fields(id.kind, fields).unwrap();
    assert!(unknown.is_empty(), "unknown fields: {unknown:?}");
    let owner_changed = present.as_ref().and_then(AnyEntity::owner) != entity.owner();
    if present.is_some() && owner_changed {
        tx.remove(id).unwrap();
    }
    tx.put(entity).unwrap();
}

/// A project with both branches made, ours open.
struct Case {
    project: Project,
    names: Names,
    base: View,
    ours: View,
    theirs: View,
}

impl Case {
    fn sides(&self) -> oracle::Sides<'_> {
        oracle::Sides { base: &self.base, ours: &self.ours, theirs: &self.theirs }
    }
}

fn case(song: &Song, scenario: &Scenario, mirrored: bool) -> Case {
    let mut project = project();
    let parts = [&song.entities, &scenario.base, &scenario.ours, &scenario.theirs];
    let names = Names::new(&project, &parts);
    apply(&mut project, &names, &song.entities);
    apply(&mut project, &names, &scenario.base);
    project.commit("base", by("a")).unwrap();
    let base = project.stored();
    project.branch("theirs", &Rev::working(), by("a")).unwrap();
    let (ours, theirs) = match mirrored {
        false => (&scenario.ours, &scenario.theirs),
        true => (&scenario.theirs, &scenario.ours),
    };
    apply(&mut project, &names, ours);
    let our_view = project.stored();
    project.switch("theirs", by("a")).unwrap();
    apply(&mut project, &names, theirs);
    let their_view = project.stored();
    let _ = project.commit("theirs", by("a"));
    project.switch("main", by("a")).unwrap();
    Case { project, names, base, ours: our_view, theirs: their_view }
}

fn describe(names: &Names, conflicts: &[Conflict]) -> Vec<String> {
    let mut texts: Vec<String> = conflicts
        .iter()
        .map(|conflict| {
            let field = match conflict.field.is_empty() {
                true => "-".to_owned(),
                false => names.path(&conflict.field),
            };
            let cause = serde_json::to_value(conflict.cause).unwrap();
            let subject = conflict.subject.map_or("?", |id| names.name(id));
            format!("{subject} {field} {}", cause.as_str().unwrap_or("?"))
        })
        .collect();
    texts.sort();
    texts
}

/// The state with a variant in place, where it is there.
fn inside(view: &View, id: VariantId) -> Option<View> {
    let variant = view.get::<Variant>(id).unwrap()?;
    Some(view.with_variant(&variant).unwrap())
}

/// Losses outside of variants and inside of each.
fn all_losses(case: &Case, side: &View, merged: &View, conflicts: &[Conflict]) -> Vec<String> {
    let mut lost = oracle::losses(&case.sides(), side, merged, conflicts);
    for variant in case.base.all::<Variant>().unwrap() {
        let views = [&case.base, &case.ours, &case.theirs, side, merged];
        let views: Vec<View> = views.iter().filter_map(|view| inside(view, variant.id)).collect();
        let [base, ours, theirs, side, merged] = &views[..] else { continue };
        let there: Vec<Conflict> =
            conflicts.iter().map(|conflict| as_inside(conflict, variant.id)).collect();
        let sides = oracle::Sides { base, ours, theirs };
        let found = oracle::losses(&sides, side, merged, &there).into_iter();
        lost.extend(found.map(|lost| format!("inside {}: {lost}", variant.id)));
    }
    lost
}

/// A conflict inside a variant as it reads in there; others as they are.
fn as_inside(conflict: &Conflict, variant: VariantId) -> Conflict {
    let path = conflict.field.strip_prefix("overlay.");
    let Some(path) = path.filter(|_| conflict.subject == Some(variant.any())) else {
        return conflict.clone();
    };
    let (id, field) = path.split_once('.').unwrap_or((path, ""));
    Conflict { subject: id.parse().ok(), field: field.to_owned(), ..conflict.clone() }
}

#[derive(Default, Debug, PartialEq)]
struct Report {
    scenarios: usize,
    silent: Vec<String>,
    false_conflicts: Vec<String>,
    wrong: Vec<String>,
}

fn run(name: &str, song: &Song, scenario: &Scenario, report: &mut Report) {
    report.scenarios += 1;
    let mut case = case(song, scenario, false);
    let outcome = case.project.merge(&Rev::name("theirs"), by("a")).unwrap();
    let (merged, conflicts) = (case.project.stored(), outcome.conflicts);
    let mut expected = scenario.conflicts.clone();
    expected.sort();
    let found = describe(&case.names, &conflicts);
    for conflict in found.iter().filter(|it| !expected.contains(it)) {
        report.false_conflicts.push(format!("{name}: {conflict}"));
    }
    for conflict in expected.iter().filter(|it| !found.contains(it)) {
        report.wrong.push(format!("{name}: no conflict {conflict}, but {found:?}"));
    }
    for side in [&case.ours, &case.theirs] {
        let lost = all_losses(&case, side, &merged, &conflicts);
        report.silent.extend(lost.into_iter().map(|lost| format!("{name}: {lost}")));
    }
    for (entity, expect) in &scenario.expect {
        let (variant, entity) = case.names.place(entity);
        let found = match variant {
            Some(id) => inside(&merged, id).and_then(|view| fields(&view, case.names.id(entity))),
            None => fields(&merged, case.names.id(entity)),
        };
        let holds = match (case.names.link(expect), &found) {
            (Value::Null, None) => true,
            (Value::Object(expect), Some(found)) => {
                expect.iter().all(|(name, value)| found.get(name) == Some(value))
            }
            _ => false,
        };
        if !holds {
            report.wrong.push(format!("{name}: {entity} is {found:?}, expected {expect}"));
        }
    }
    mirrored(name, song, scenario, &merged, &conflicts, report);
    settled(name, &mut case, &conflicts, report);
}

/// The other way round nothing is lost either, and without conflicts it is the same song.
fn mirrored(
    name: &str,
    song: &Song,
    scenario: &Scenario,
    merged: &View,
    conflicts: &[Conflict],
    report: &mut Report,
) {
    let mut case = case(song, scenario, true);
    let outcome = case.project.merge(&Rev::name("theirs"), by("a")).unwrap();
    let mirror = case.project.stored();
    for side in [&case.ours, &case.theirs] {
        let lost = all_losses(&case, side, &mirror, &outcome.conflicts);
        report.silent.extend(lost.into_iter().map(|lost| format!("{name} mirrored: {lost}")));
    }
    if outcome.conflicts.len() != conflicts.len() {
        report.wrong.push(format!("{name}: mirrored has other conflicts"));
    }
    let doubled = name.contains("alike-at-one-place");
    let sets = name.contains("by-element");
    if conflicts.is_empty() && !doubled && !sets && mirror.root() != merged.root() {
        report.wrong.push(format!("{name}: the two directions differ"));
    }
}

/// Every conflict can be settled either way, and afterwards the song is valid.
fn settled(name: &str, case: &mut Case, conflicts: &[Conflict], report: &mut Report) {
    for resolution in [Resolution::Ours, Resolution::Theirs] {
        let mut done = 0;
        for conflict in conflicts {
            match case.project.resolve(conflict.id, &resolution, by("a")) {
                Ok(_) => done += 1,
                // Two edits that exclude each other: theirs waits until ours gives way.
                Err(pulse_store::project::ResolveError::Tx(pulse_store::tx::TxError::Breach(
                    _,
                ))) => {}
                Err(error) => report.wrong.push(format!("{name}: {resolution:?}: {error}")),
            }
        }
        for _ in 0..done {
            case.project.undo("a", None).unwrap();
        }
    }
}

#[test]
fn no_scenario_loses_anything_and_none_conflicts_without_need() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let song: Song = serde_json::from_str(&read(&fixtures.join("merge-song.json"))).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(fixtures.join("merge"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let scenario: Scenario =
            serde_json::from_str(&read(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
        run(&name, &song, &scenario, &mut report);
    }
    println!(
        "{} scenarios: {} silent losses, {} false conflicts",
        report.scenarios,
        report.silent.len(),
        report.false_conflicts.len()
    );
    assert!(report.scenarios >= 100);
    let findings = [&report.silent, &report.false_conflicts, &report.wrong];
    let all: Vec<&String> = findings.into_iter().flatten().collect();
    assert!(all.is_empty(), "{all:#?}");
    let kinds: std::collections::BTreeSet<EntityKind> = song
        .entities
        .values()
        .map(|it| serde_json::from_value(it["kind"].clone()).unwrap())
        .collect();
    // The project is there anyway, and conflicts have scenarios of their own.
    assert_eq!(kinds.len() + 2, EntityKind::ALL.len());
}
