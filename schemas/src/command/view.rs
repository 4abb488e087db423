//! Views: what a client shows, as a snapshot and typed deltas.

use super::prelude::*;

wire! {
    /// The views that there are.
    #[derive(Copy, Eq, Hash)]
    enum ViewName {
        /// Tracks, lanes and clips in a window of time and rows.
        Arrangement,
        /// Channels with sends and nodes.
        Mixer,
        /// One track with all that belongs to it.
        Track,
        /// One clip and its notes, events or regions.
        Clip,
        /// The envelopes of a lane, with curves as they run.
        Automation,
        /// The graph of channels, with loops and delays.
        Routing,
        /// Who is rendered live, and why.
        Cohorts,
        /// Media items with availability.
        Media,
        /// Entries of the history.
        History,
        /// Branches with their commits.
        Branches,
        /// Differences between two revisions.
        Diff,
        /// Tempo, signatures, keys, markers, sections.
        Timeline,
    }
}

wire! {
    /// What a view is about.
    struct ViewQuery {
        view: ViewName,
        /// The track, clip or lane of views that show one; else the arrangement,
        /// where the active one is not meant.
        subject: Option<AnyId>,
        /// The part that is on the screen; all of it when absent.
        window: Option<Window>,
        /// The revision; the working copy when absent. Others never change.
        rev: Option<Rev>,
        /// The revision to compare with, for `diff`.
        from: Option<Rev>,
    }
}

wire! {
    /// The visible part of a view.
    #[derive(Default)]
    struct Window {
        from: Option<Ticks>,
        to: Option<Ticks>,
        /// First row: a track, a channel, an entry.
        first_row: Option<u32>,
        rows: Option<u32>,
        /// Ticks per pixel, so that what is too small to see is left out.
        resolution: Option<Ticks>,
    }
}

wire! {
    /// A view's content at one revision.
    struct ViewState {
        revision: u64,
        /// Root hash of the revision.
        root: Hash,
        /// Hash of the view's content; deltas name it.
        hash: Hash,
        /// The content; its shape depends on the view.
        data: serde_json::Value,
    }
}

wire! {
    struct ViewInfo {
        view: ViewName,
        doc: String,
        /// Kinds of entity that `subject` may name; empty means none.
        subjects: Vec<EntityKind>,
        windowed: bool,
    }
}

fn check_query(query: &ViewQuery, checker: &mut Checker) {
    if let Some(Window { from: Some(from), to: Some(to), .. }) = &query.window {
        checker.form("query.window.to", to.0 > from.0, "after `from`");
    }
    if let Some(rev) = &query.rev {
        rev.check("query.rev", checker);
    }
}

commands! {
    /// Views: what a client shows, as a snapshot and typed deltas.
    domain View;

    /// Gives a view once.
    ask Get {
        query: ViewQuery,
    } -> Got {
        state: ViewState,
    }
    check |payload, checker| check_query(&payload.query, checker);
    example r#"{"query": {"view": "arrangement", "window": {"from": 0, "to": 722534400}}}"#;

    /// Gives a view now and whatever changes in it from now on: snapshots
    /// (`view.state`) and deltas (`view.delta`), each with its position. A delta
    /// names the hash that it stands on; if that isn't the hash of what the
    /// client has, it asks for a snapshot with `view.resync`.
    put Subscribe emits ["view.state" "view.delta"] {
        query: ViewQuery,
        /// What the client has from before; if it is still right, nothing is sent.
        hash: Option<Hash>,
        /// At most so many changes per second, 1 to 60; 30 when absent.
        max_rate: Option<u8>,
    } -> ViewSubscribed {
        subscription: u32,
        /// None when `hash` is up to date.
        state: Option<ViewState>,
    }
    check |payload, checker| {
        check_query(&payload.query, checker);
        checker.range("maxRate", f64::from(payload.max_rate.unwrap_or(30)), 1.0, 60.0);
    };
    example r#"{"query": {"view": "mixer"}, "maxRate": 30}"#;

    /// Moves the window of a subscription, as scrolling does.
    put SetWindow {
        subscription: u32,
        window: Window,
    } -> WindowSet {
        state: ViewState,
    }
    example r#"{"subscription": 3, "window": {"firstRow": 20, "rows": 40}}"#;

    /// Gives the whole of a subscribed view again, and goes on from there.
    put Resync {
        subscription: u32,
    } -> Resynced {
        state: ViewState,
    }
    example r#"{"subscription": 3}"#;

    /// Ends a subscription of `view.subscribe`.
    put Unsubscribe {
        subscription: u32,
    } -> Done
    example r#"{"subscription": 3}"#;

    /// Names the views and what each takes.
    ask List {} -> ViewList {
        views: Vec<ViewInfo>,
    }
    example r#"{}"#;
}
