//! Variants: A, B and C of a track or a clip, to switch between in no time.

use super::prelude::*;

commands! {
    /// Variants: A, B and C of a track or a clip, to switch between in no time.
    domain Variant;

    /// Keeps the present state of a track or a clip as a variant of it.
    edit Create [timeline mixer] {
        /// A track or a clip.
        subject: AnyId,
        /// `A`, `B` and so on when absent.
        name: Option<String>,
        /// Play it from now on, so that edits go into it.
        #[serde(default)]
        activate: bool,
    } -> Created {
        variant: VariantId,
    }
    check |payload, checker| {
        let kind = matches!(payload.subject.kind, EntityKind::Track | EntityKind::Clip);
        checker.form("subject", kind, "the id of a track or a clip");
    };
    example r#"{"subject": "trk_1", "name": "B", "activate": true}"#;

    /// Deletes a variant. The one that plays gives way to the original.
    edit Delete [timeline mixer] {
        variant: VariantId,
    } -> Deleted
    example r#"{"variant": "var_1"}"#;

    /// Renames a variant.
    set Rename [timeline] {
        variant: VariantId,
        name: String,
    } -> Done
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"variant": "var_1", "name": "Darker"}"#;

    /// Chooses what plays.
    set Activate [timeline mixer] {
        subject: AnyId,
        /// Null is the original.
        variant: Option<VariantId>,
    } -> Done
    example r#"{"subject": "trk_1", "variant": "var_1"}"#;

    /// Writes a variant into the original, which becomes like it.
    edit Apply [timeline mixer] {
        variant: VariantId,
        /// Delete the variant afterwards.
        #[serde(default)]
        consume: bool,
    } -> Applied {
        changes: Vec<super::version::EntityDiff>,
    }
    example r#"{"variant": "var_1"}"#;

    /// Makes a branch whose tip has the variant in the place of its original, and goes there if
    /// asked. The present branch stays as it is.
    act Promote emits ["version.moved" "version.switched"] {
        variant: VariantId,
        branch: String,
        #[serde(default)]
        switch: bool,
    } -> Promoted {
        commit: Hash,
        branch: super::version::BranchInfo,
    }
    check |payload, checker| check_ref_name("branch", &payload.branch, checker);
    example r#"{"variant": "var_1", "branch": "darker"}"#;

    /// Compares two variants of one subject, or a variant with the original.
    ask Diff {
        from: Option<VariantId>,
        to: VariantId,
    } -> Compared {
        changes: Vec<super::version::EntityDiff>,
    }
    example r#"{"to": "var_1"}"#;

    /// Lists the variants of a track or a clip.
    ask List {
        subject: Option<AnyId>,
    } -> Variants {
        variants: Vec<Variant>,
        active: Option<VariantId>,
    }
    example r#"{"subject": "trk_1"}"#;
}
