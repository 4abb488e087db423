//! Media: files that clips name by id, and what became of them.

use super::prelude::*;

wire! {
    #[derive(Copy, Eq, Default)]
    enum CopyMode {
        /// Copy the file into the project.
        #[default]
        Copy,
        /// Leave it where it is and refer to it.
        Reference,
        /// Move it into the project.
        Move,
    }
}

wire! {
    /// What to list.
    #[derive(Default)]
    struct MediaFilter {
        /// Part of the name or path, in any case.
        text: Option<String>,
        kind: Option<MediaKind>,
        availability: Option<Availability>,
        lifecycle: Option<Lifecycle>,
        tag: Option<String>,
        /// Items that no clip plays.
        #[serde(default)]
        unused: bool,
    }
}

commands! {
    /// Media: files that clips name by id, and what became of them. Nothing is
    /// ever forgotten: an item whose file is away keeps tags and analyses.
    domain Media;

    /// Brings a file into the project.
    edit Import [media] emits ["job.progress"] {
        /// Absolute path.
        path: String,
        #[serde(default)]
        mode: CopyMode,
        name: Option<String>,
        #[serde(default)]
        tags: BTreeSet<String>,
    } -> Imported {
        media: MediaId,
        /// The project had the same content already, under this item.
        duplicate: bool,
        item: MediaItem,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "/home/ada/Samples/kick.wav", "tags": ["drums"]}"#;

    /// Makes an item for a file that is in the project's `Media/` already.
    edit Register [media] {
        /// Relative to the project's `Media/`.
        path: String,
        name: Option<String>,
        origin: Option<MediaOrigin>,
    } -> Registered {
        media: MediaId,
        item: MediaItem,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"path": "loops/break.flac"}"#;

    /// Reserves an item and a path for a recording or a render to come. It is
    /// `pending` and enters no commit.
    edit Reserve [media] {
        name: String,
        kind: Option<MediaKind>,
        origin: Option<MediaOrigin>,
        /// File extension: `wav`.
        extension: Option<String>,
    } -> Reserved {
        media: MediaId,
        /// Absolute path to write to.
        path: String,
    }
    check |payload, checker| checker.required("name", &payload.name);
    example r#"{"name": "Vocal take 3", "origin": "recorded"}"#;

    /// Says that the file of a reserved item is complete: it is read and hashed.
    edit Finalise [media] {
        media: MediaId,
    } -> Finalised {
        item: MediaItem,
    }
    example r#"{"media": "med_1"}"#;

    /// Gives a reserved item up; its file is moved to the project's trash.
    edit Discard [media] {
        media: MediaId,
    } -> Done
    example r#"{"media": "med_1"}"#;

    /// Renames an item, or sets attributes; null removes one.
    set Update [media] {
        media: MediaId,
        name: Option<String>,
        #[serde(default)]
        attributes: BTreeMap<String, Option<String>>,
    } -> Done
    example r#"{"media": "med_1", "name": "Kick 2", "attributes": {"bpm": "128"}}"#;

    /// Takes items out of the project. Items in use stay, unless `force`: then
    /// their clips play silence. Files stay.
    edit Remove [media] {
        media: Vec<MediaId>,
        #[serde(default)]
        force: bool,
    } -> Deleted
    check |payload, checker| check_list("media", &payload.media, checker);
    example r#"{"media": ["med_1"]}"#;

    /// Moves an item's file, or changes between copy and reference.
    edit Relocate [media] {
        media: MediaId,
        /// Absolute path; into the project when absent.
        path: Option<String>,
        #[serde(default)]
        mode: CopyMode,
    } -> Relocated {
        item: MediaItem,
    }
    example r#"{"media": "med_1", "mode": "copy"}"#;

    /// Finds missing files again, by name, size and content, under these folders.
    edit Relink [media] emits ["job.progress"] {
        /// Absolute paths.
        roots: Vec<String>,
        /// All missing items when empty.
        #[serde(default)]
        media: Vec<MediaId>,
        /// Take a file of the same name and length whose content differs.
        #[serde(default)]
        loose: bool,
    } -> Relinked {
        found: Vec<RelinkedItem>,
        /// Still missing.
        missing: Vec<MediaId>,
    }
    check |payload, checker| check_list("roots", &payload.roots, checker);
    example r#"{"roots": ["/media/disk/Samples"]}"#;

    /// Points an item at another file. With other content, everything that was
    /// derived from the old content is made anew.
    edit Replace [media] {
        media: MediaId,
        path: String,
    } -> Replaced {
        item: MediaItem,
        same_content: bool,
    }
    check |payload, checker| checker.required("path", &payload.path);
    example r#"{"media": "med_1", "path": "/home/ada/kick-new.wav"}"#;

    /// Looks at the files again: which are there, which changed.
    act Refresh emits ["media.availabilityChanged"] {
        #[serde(default)]
        media: Vec<MediaId>,
    } -> Refreshed {
        changed: Vec<MediaId>,
        missing: Vec<MediaId>,
    }
    example r#"{}"#;

    /// Lists items.
    ask List {
        #[serde(default)]
        filter: MediaFilter,
        #[serde(default)]
        page: Page,
    } -> Items {
        items: Vec<MediaItem>,
        total: u64,
        more: bool,
    }
    example r#"{"filter": {"kind": "audio", "text": "kick"}}"#;

    /// Tells everything about an item.
    ask Details {
        media: MediaId,
    } -> MediaDetails {
        item: MediaItem,
        /// What is true now.
        availability: Availability,
        /// Absolute path, where there is one.
        path: Option<String>,
        analyses: Vec<AnalysisArtefact>,
        clips: Vec<ClipId>,
    }
    example r#"{"media": "med_1"}"#;

    /// Gives the peaks of a stretch of an item, for drawing.
    ask Waveform {
        media: MediaId,
        /// First frame.
        #[serde(default)]
        start: u64,
        /// Frames; 0 is to the end.
        #[serde(default)]
        length: u64,
        /// How many pairs to give, 1 to 16,384.
        points: u32,
    } -> Peaks {
        channels: u16,
        sample_rate: u32,
        /// Minimum and maximum by turns, channel after channel within a point.
        peaks: Vec<f32>,
    }
    check |payload, checker| {
        checker.range("points", f64::from(payload.points), 1.0, 16_384.0);
    };
    example r#"{"media": "med_1", "points": 1024}"#;
}

wire! {
    struct RelinkedItem {
        media: MediaId,
        path: String,
        /// The content is the same as before.
        same_content: bool,
    }
}
