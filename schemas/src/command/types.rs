//! What several domains say in the same way.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::wire;
use crate::{
    entity::{Checker, HistoryContext},
    hash::Hash,
    id::AnyId,
    time::Ticks,
};

/// A field of an update whose absence and whose null differ: absent leaves the
/// field alone, null clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }

    /// Writes the change into the field of an entity.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *field = None,
            Patch::Set(value) => *field = Some(value),
        }
    }

    pub fn as_set(&self) -> Option<&T> {
        match self {
            Patch::Set(value) => Some(value),
            Patch::Keep | Patch::Clear => None,
        }
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_set().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Patch<T>, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Patch::Clear, Patch::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        <Option<T>>::json_schema(generator)
    }
}

wire! {
    /// Nothing to say but that it was done.
    struct Done {}
}

wire! {
    /// What an edit did to the project. It stands in the result of every `edit`
    /// and `set`, as the field `edit` beside the fields of the reply.
    struct EditReceipt {
        /// Counts transactions; `expectRevision` refers to it.
        revision: u64,
        /// Root hash of the project after the edit.
        root: Hash,
        /// The history entry, for `history.undo` and `op:N`; none if nothing changed.
        entry: Option<u64>,
    }
}

wire! {
    /// A stretch of musical time; the end is not part of it.
    #[derive(Copy, Eq)]
    struct TimeRange {
        start: Ticks,
        end: Ticks,
    }
}

impl TimeRange {
    pub fn check(&self, field: &str, checker: &mut Checker) {
        let end = format!("{field}.end");
        checker.form(&end, self.end.0 > self.start.0, "after `start`");
    }
}

/// A revision, as people name it: a commit id or a unique prefix of one, a
/// branch, a tag, `@` (the working copy), `@~N` (N commits before it) or `op:N`
/// (a history entry).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rev(pub String);

/// A revision expression, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevExpr {
    /// `@` and `@~N`.
    WorkingCopy { back: u32 },
    /// `op:N`.
    Entry(u64),
    /// A name or an id, `name~N` counting back from it.
    Name { name: String, back: u32 },
}

impl Rev {
    pub fn working_copy() -> Rev {
        Rev("@".to_owned())
    }

    /// What it says; none if it can be no revision.
    pub fn parse(&self) -> Option<RevExpr> {
        let text = self.0.trim();
        if let Some(entry) = text.strip_prefix("op:") {
            return entry.parse().ok().map(RevExpr::Entry);
        }
        let (name, back) = match text.rsplit_once('~') {
            Some((name, "")) => (name, 1),
            Some((name, back)) => (name, back.parse().ok()?),
            None => (text, 0),
        };
        match name {
            "" => None,
            "@" => Some(RevExpr::WorkingCopy { back }),
            name => Some(RevExpr::Name { name: name.to_owned(), back }),
        }
    }

    pub fn check(&self, field: &str, checker: &mut Checker) {
        let expected = "a commit, branch, tag, `@`, `@~N` or `op:N`";
        checker.form(field, self.parse().is_some(), expected);
    }
}

impl JsonSchema for Rev {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rev".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "A revision: commit id or unique prefix, branch, tag, `@` (working copy), `@~N`, `op:N` (history entry).",
        })
    }
}

/// Whether `name` may be a branch or a tag.
pub fn is_ref_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let continues = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let hash_like = name.starts_with("b3:") || name.starts_with("op:");
    starts && continues && !hash_like && name.len() <= 200 && !name.contains("..")
}

pub(super) fn check_ref_name(field: &str, name: &str, checker: &mut Checker) {
    let expected = "letters, digits, `-`, `_`, `.`, `/`, starting with a letter or digit";
    checker.form(field, is_ref_name(name), expected);
}

wire! {
    /// Part of a project: what a revert, a pick or a filtered diff is about.
    /// Several fields narrow it down together; none is everything.
    #[derive(Default)]
    struct Scope {
        /// These entities and what they own.
        #[serde(default)]
        entities: Vec<AnyId>,
        /// Fields of these histories.
        #[serde(default)]
        contexts: Vec<HistoryContext>,
    }
}

wire! {
    /// A page of a list.
    #[derive(Default)]
    struct Page {
        /// How many to skip.
        #[serde(default)]
        offset: u64,
        /// How many to give at most; 100 when absent, 1,000 at most.
        limit: Option<u32>,
    }
}

wire! {
    /// What a deletion took with it and what it left without a target.
    struct Deleted {
        /// Everything that is gone, with what was owned.
        deleted: Vec<AnyId>,
        /// What named one of them and names nothing now.
        orphaned: Vec<AnyId>,
    }
}

wire! {
    /// What a copy or a split made.
    struct Copied {
        /// Every original and its copy.
        copies: Vec<CopyOf>,
    }
}

wire! {
    #[derive(Copy)]
    struct CopyOf {
        original: AnyId,
        copy: AnyId,
    }
}

pub(super) fn check_list<T>(field: &str, list: &[T], checker: &mut Checker) {
    checker.form(field, !list.is_empty(), "a list with something in it");
    checker.length(field, list.len(), LONGEST_LIST);
}

/// Most entities that one command may name.
pub const LONGEST_LIST: usize = 100_000;

pub(super) fn check_colour(field: &str, colour: &str, checker: &mut Checker) {
    let digits = colour.strip_prefix('#').unwrap_or_default();
    let hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    checker.form(field, hex, "a colour such as `#ff8800`");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_taken_apart() {
        let check = |text: &str, expect: Option<RevExpr>| {
            assert_eq!(Rev(text.to_owned()).parse(), expect, "{text}");
        };
        let name = |name: &str, back| Some(RevExpr::Name { name: name.to_owned(), back });
        check("@", Some(RevExpr::WorkingCopy { back: 0 }));
        check("@~3", Some(RevExpr::WorkingCopy { back: 3 }));
        check("@~", Some(RevExpr::WorkingCopy { back: 1 }));
        check("op:12", Some(RevExpr::Entry(12)));
        check("main", name("main", 0));
        check("main~2", name("main", 2));
        check("b3:0f", name("b3:0f", 0));
        check("op:x", None);
        check("main~x", None);
        check("", None);
    }

    #[test]
    fn ref_names_leave_room_for_other_revisions() {
        for name in ["main", "mix/v2", "1.0", "a_b-c"] {
            assert!(is_ref_name(name), "{name}");
        }
        for name in ["", "@", "-x", "a b", "a~1", "op:1", "b3:00", "a..b", "ü"] {
            assert!(!is_ref_name(name), "{name}");
        }
    }

    #[test]
    fn a_patch_tells_absent_from_null() {
        #[derive(Deserialize)]
        struct Update {
            #[serde(default)]
            parent: Patch<u8>,
        }
        let read = |text| serde_json::from_str::<Update>(text).unwrap().parent;
        assert_eq!(read("{}"), Patch::Keep);
        assert_eq!(read(r#"{"parent": null}"#), Patch::Clear);
        assert_eq!(read(r#"{"parent": 7}"#), Patch::Set(7));
    }
}
