//! How things look: merges like the rest, never affects sound.

use super::{Checker, Entity, HistoryContext, Reference, data};
use crate::id::{AnyId, EntityId, EntityKind, ViewMetaId};

data! {
    /// Looks of one entity.
    pub struct ViewMeta {
        pub id: ViewMetaId,
        pub subject: Option<AnyId>,
        /// `#rrggbb`.
        pub colour: Option<String>,
        /// Place in the node view.
        pub x: Option<f64>,
        pub y: Option<f64>,
        pub collapsed: bool,
        /// Height of a row, in rows of text.
        pub height: Option<u16>,
        pub hidden: bool,
    }
}

impl Entity for ViewMeta {
    const KIND: EntityKind = EntityKind::ViewMeta;
    const VERSION: u16 = 1;
    const CONTEXT: HistoryContext = HistoryContext::Global;

    fn id(&self) -> EntityId {
        self.id.0
    }

    fn references(&self) -> Vec<Reference> {
        self.subject.map(|subject| Reference::cascade("subject", subject)).into_iter().collect()
    }

    fn check(&self, checker: &mut Checker) {
        checker.form("subject", self.subject.is_some(), "the id of an entity");
        checker.finite("x", self.x.unwrap_or(0.0));
        checker.finite("y", self.y.unwrap_or(0.0));
        let well_formed = self.colour.as_deref().is_none_or(is_colour);
        checker.form("colour", well_formed, "a colour such as `#1e90ff`");
    }
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}
