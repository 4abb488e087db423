//! How entities look: one record for each, made when somebody first cares.

use pulse_schemas::{
    entity::ViewMeta,
    id::{AnyId, ViewMetaId},
};

use super::edit::Edit;
use crate::refusal::Refusal;

/// Changes the looks of an entity.
pub fn look(
    edit: &mut Edit<'_, '_>,
    subject: AnyId,
    change: impl FnOnce(&mut ViewMeta),
) -> Result<(), Refusal> {
    let known = edit.referring::<ViewMeta>(subject)?.into_iter().next();
    let mut meta = match known {
        Some(meta) => meta,
        None => {
            ViewMeta { id: ViewMetaId(edit.id()), subject: Some(subject), ..ViewMeta::default() }
        }
    };
    change(&mut meta);
    edit.put(meta)
}
