//! What a damage takes away that nothing can bring back, in words.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use pulse_schemas::{
    entity::AnyEntity,
    hash::Hash,
    id::{AnyId, EntityKind},
    record::{EntityKey, RecordView},
};

use super::{
    Named,
    rebuild::{Place, wanted},
};
use crate::{overlay, tree::TreeStore};

/// Something that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub what: String,
    /// The versions that it is gone from.
    pub of: String,
}

/// What can't be read of the named versions, and where undo ends now.
pub(super) fn losses(tree: &Arc<TreeStore>, named: &[Named], cut: Option<u64>) -> Vec<Loss> {
    let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Named { root, name } in named {
        for wanted in wanted(tree, &BTreeSet::from([*root])) {
            let what = match &wanted.place {
                Some(place) => records(tree, *root, place),
                None => "everything".to_owned(),
            };
            let of = names.entry(what).or_default();
            if !of.contains(&&name[..]) {
                of.push(name);
            }
        }
    }
    let mut losses: Vec<Loss> =
        names.into_iter().map(|(what, of)| Loss { what, of: several(&of) }).collect();
    losses.extend(cut.map(|until| Loss {
        what: format!("everything before entry {}: nothing leads across what is lost", until + 1),
        of: "the history".into(),
    }));
    losses
}

fn several(names: &[&str]) -> String {
    match names {
        [first, second, _, rest @ ..] => {
            format!("{first}, {second} and {} more versions", rest.len() + 1)
        }
        _ => names.join(" and "),
    }
}

/// "37 notes of clip Verse", as near as the keys around the damage tell.
fn records(tree: &Arc<TreeStore>, root: Hash, place: &Place) -> String {
    let count = place.entries;
    let last = overlay::entity_key(&place.end).ok();
    let first = match &place.start {
        Bound::Excluded(key) => overlay::entity_key(key).ok(),
        _ => None,
    };
    let Some(last) = last else { return format!("{count} records") };
    let same_kind = first.is_some_and(|first| first.kind == last.kind);
    let kind = match (same_kind || count == 1, count) {
        (true, 1) => last.kind.name().to_owned(),
        (true, _) => format!("{}s", last.kind.name()),
        (false, _) => format!("records up to {}s", last.kind.name()),
    };
    let owner = last.owner.filter(|owner| {
        count == 1 || first.is_some_and(|first| first.owner.as_ref() == Some(owner))
    });
    match owner {
        Some(owner) => {
            let key = EntityKey::standalone(AnyId { kind: owner_kind(last.kind), id: owner });
            let named = name_of(tree, root, &key);
            format!("{count} {kind} of {}", named.unwrap_or_else(|| key.any_id().to_string()))
        }
        None => format!("{count} {kind} (up to {})", last.any_id()),
    }
}

fn owner_kind(member: EntityKind) -> EntityKind {
    match member {
        EntityKind::Note | EntityKind::MidiEvent | EntityKind::AudioRegion => EntityKind::Clip,
        EntityKind::AutomationPoint => EntityKind::AutomationEnvelope,
        EntityKind::KitSlot => EntityKind::Kit,
        _ => EntityKind::Arrangement,
    }
}

fn name_of(tree: &Arc<TreeStore>, root: Hash, key: &EntityKey) -> Option<String> {
    let bytes = tree.snapshot(root).ok()?.get(&key.to_bytes()).ok()??;
    let entity: AnyEntity = RecordView::parse(&bytes).ok()?.entity().ok()?;
    let fields = entity.fields();
    let name = fields.get("name").and_then(|name| name.as_str()).filter(|name| !name.is_empty());
    let kind = key.kind.name();
    Some(name.map_or_else(|| format!("{kind} {}", key.any_id()), |name| format!("{kind} “{name}”")))
}
