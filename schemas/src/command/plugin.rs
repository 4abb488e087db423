//! Plugins: what is installed, and instances in the project.

use super::prelude::*;

wire! {
    struct PluginInfo {
        id: String,
        /// `clap`, `vst3`, `lv2`, `wasm`.
        format: String,
        name: String,
        vendor: String,
        version: String,
        category: String,
        favourite: bool,
        /// Crashed at a scan and is not loaded.
        blocked: bool,
    }
}

commands! {
    /// Plugins: what is installed, and instances in the project.
    domain Plugin;

    /// Lists installed plugins.
    ask List {
        text: Option<String>,
        format: Option<String>,
        #[serde(default)]
        page: Page,
    } -> Plugins {
        plugins: Vec<PluginInfo>,
    }
    example r#"{"text": "reverb"}"#;

    /// Looks for plugins, each in a process of its own.
    act Scan emits ["plugin.changed" "job.progress"] {
        /// Scan again what has not changed.
        #[serde(default)]
        full: bool,
    } -> ScanStarted {
        job: JobId,
    }
    example r#"{}"#;

    /// Marks a plugin, or says that it must not be loaded.
    put Update emits ["plugin.changed"] {
        id: String,
        favourite: Option<bool>,
        blocked: Option<bool>,
    } -> Done
    example r#"{"id": "com.example.reverb", "favourite": true}"#;

    /// Lists the presets of a plugin.
    ask Presets {
        id: String,
    } -> PresetList {
        presets: Vec<String>,
    }
    example r#"{"id": "com.example.reverb"}"#;

    /// Loads a preset into an instance.
    edit LoadPreset [mixer] {
        node: NodeId,
        preset: String,
    } -> Done
    example r#"{"node": "nod_1", "preset": "Large hall"}"#;

    /// Keeps an instance's state as a preset.
    put SavePreset emits ["plugin.changed"] {
        node: NodeId,
        preset: String,
    } -> Done
    example r#"{"node": "nod_1", "preset": "My hall"}"#;

    /// Starts an instance again whose process has died.
    act Restart {
        node: NodeId,
    } -> Done
    example r#"{"node": "nod_1"}"#;

    /// Opens the window of an instance.
    put OpenEditor {
        node: NodeId,
    } -> Done
    example r#"{"node": "nod_1"}"#;

    /// Closes the window of an instance.
    put CloseEditor {
        node: NodeId,
    } -> Done
    example r#"{"node": "nod_1"}"#;
}
