//! What a transaction changed, entity by entity: what every derivation of the state starts from.

use std::{collections::BTreeSet, sync::Arc};

use pulse_schemas::{
    entity::{AnyEntity, HistoryContext, field_context},
    id::VariantId,
    record::EntityKey,
};

/// One entity before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub key: EntityKey,
    /// The variants that the entity lies inside of, outermost first; none for what plays.
    pub within: Vec<VariantId>,
    /// Entities are large, and an import has a hundred thousand: they are handed on, not copied.
    pub before: Option<Arc<AnyEntity>>,
    pub after: Option<Arc<AnyEntity>>,
    /// One side is a record of a newer version, which this one keeps without reading it.
    pub opaque: bool,
}

/// All changes of a transaction in key order, and the histories that they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub list: Vec<Change>,
    pub contexts: Vec<HistoryContext>,
}

/// The contexts that follow from the changed fields, and those `given`.
pub(crate) fn contexts<'a>(
    changes: impl Iterator<Item = &'a Change>,
    given: &[HistoryContext],
) -> Vec<HistoryContext> {
    let mut contexts: BTreeSet<HistoryContext> = given.iter().copied().collect();
    for change in changes {
        if contexts.len() == HistoryContext::ALL.len() {
            break;
        }
        change.contexts(&mut contexts);
    }
    contexts.into_iter().collect()
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Change {
    fn contexts(&self, contexts: &mut BTreeSet<HistoryContext>) {
        let kind = self.key.kind;
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            contexts.insert(field_context(kind, ""));
            return;
        };
        let (before, after) = (before.fields(), after.fields());
        for (name, value) in &after {
            if before.get(name) != Some(value) {
                contexts.insert(field_context(kind, name));
            }
        }
    }
}
