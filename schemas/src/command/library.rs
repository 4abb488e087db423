//! The global library: everything on this machine that could be used.

use super::prelude::*;

wire! {
    /// One file of the library.
    struct LibraryItem {
        /// Hash of the file.
        file: Hash,
        path: String,
        name: String,
        kind: MediaKind,
        duration: Option<Flicks>,
        bpm: Option<f64>,
        key: Option<String>,
        tags: BTreeSet<String>,
        favourite: bool,
        /// How near it is to what was asked for, 0 to 1.
        score: Option<f64>,
    }
}

wire! {
    struct FacetCount {
        value: String,
        count: u64,
    }
}

wire! {
    /// A folder that is scanned.
    struct LibraryRoot {
        path: String,
        items: u64,
        available: bool,
        scanning: bool,
    }
}

commands! {
    /// The global library: everything on this machine that could be used.
    domain Library;

    /// Adds a folder to the library and scans it.
    put AddRoot emits ["library.changed" "job.progress"] {
        path: String,
    } -> RootAdded {
        job: JobId,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/home/ada/Samples"}"#;

    /// Takes a folder out of the library. Files stay.
    put RemoveRoot emits ["library.changed"] {
        path: String,
    } -> Done
    example r#"{"path": "/home/ada/Samples"}"#;

    /// Lists the folders of the library.
    ask Roots {} -> RootList {
        roots: Vec<LibraryRoot>,
    }
    example r#"{}"#;

    /// Scans folders again.
    act Scan emits ["library.changed" "job.progress"] {
        /// All folders when absent.
        path: Option<String>,
    } -> Scanning {
        job: JobId,
    }
    example r#"{}"#;

    /// Searches by words, facets and ranges.
    ask Search {
        text: Option<String>,
        kind: Option<MediaKind>,
        #[serde(default)]
        tags: BTreeSet<String>,
        bpm_min: Option<f64>,
        bpm_max: Option<f64>,
        key: Option<String>,
        duration_min: Option<Flicks>,
        duration_max: Option<Flicks>,
        #[serde(default)]
        favourites: bool,
        #[serde(default)]
        page: Page,
    } -> SearchReply {
        items: Vec<LibraryItem>,
        total: u64,
        /// Counts per facet (`tags`, `key`).
        facets: BTreeMap<String, Vec<FacetCount>>,
    }
    example r#"{"text": "kick", "bpmMin": 120, "bpmMax": 130}"#;

    /// Finds what sounds like an item.
    ask Similar {
        file: Hash,
        #[serde(default)]
        page: Page,
    } -> SimilarReply {
        items: Vec<LibraryItem>,
    }
    example r#"{"file": "b3:1"}"#;

    /// Tags items or marks them.
    put Update emits ["library.changed"] {
        files: Vec<Hash>,
        #[serde(default)]
        add_tags: BTreeSet<String>,
        #[serde(default)]
        remove_tags: BTreeSet<String>,
        favourite: Option<bool>,
    } -> Done
    check |payload, checker| check_list("files", &payload.files, checker);
    example r#"{"files": ["b3:1"], "favourite": true}"#;

    /// Gives the points of the map of sounds in a window.
    ask Cloud {
        x_min: f64,
        x_max: f64,
        y_min: f64,
        y_max: f64,
        /// Most points to give.
        limit: Option<u32>,
    } -> CloudReply {
        points: Vec<CloudPoint>,
    }
    example r#"{"xMin": -1, "xMax": 1, "yMin": -1, "yMax": 1}"#;

    /// Plays an item without putting it into the project.
    put Preview {
        file: Hash,
        /// Follow the project's tempo.
        #[serde(default)]
        sync: bool,
    } -> Done
    example r#"{"file": "b3:1", "sync": true}"#;

    /// Ends a preview.
    put StopPreview {} -> Done
    example r#"{}"#;
}

wire! {
    struct CloudPoint {
        file: Hash,
        x: f64,
        y: f64,
    }
}
