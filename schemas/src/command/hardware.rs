//! Hardware: which devices there are and which are used.

use super::prelude::*;

wire! {
    struct AudioDevice {
        /// Stable for one machine: `jack:system`.
        id: String,
        name: String,
        /// `alsa`, `jack`, `null`.
        host: String,
        inputs: u16,
        outputs: u16,
        rates: Vec<u32>,
        /// Frames per block, smallest and largest.
        block_min: Option<u32>,
        block_max: Option<u32>,
        default: bool,
        active: bool,
    }
}

wire! {
    struct MidiPort {
        id: String,
        name: String,
        input: bool,
        active: bool,
    }
}

wire! {
    /// The device as it runs.
    struct AudioConfig {
        host: String,
        device: Option<String>,
        rate: u32,
        block: u32,
        inputs: u16,
        outputs: u16,
        /// Milliseconds from input to output.
        latency_ms: f64,
        running: bool,
        xruns: u64,
    }
}

commands! {
    /// Hardware: which devices there are and which are used. Part of the
    /// machine, not of the project.
    domain Hardware;

    /// Lists audio devices and MIDI ports.
    ask List {
        /// Look again instead of giving what is known.
        #[serde(default)]
        refresh: bool,
    } -> Devices {
        audio: Vec<AudioDevice>,
        midi: Vec<MidiPort>,
    }
    example r#"{"refresh": true}"#;

    /// Chooses the audio device and how it runs. Falls back to the null device
    /// if it fails, and says so.
    put Choose emits ["hardware.changed" "session.engineChanged"] {
        /// `alsa`, `jack`, `null`; the present one when absent.
        host: Option<String>,
        device: Option<String>,
        rate: Option<u32>,
        block: Option<u32>,
    } -> Chosen {
        config: AudioConfig,
    }
    check |payload, checker| {
        checker.range("rate", f64::from(payload.rate.unwrap_or(48_000)), 8_000.0, 384_000.0);
        checker.range("block", f64::from(payload.block.unwrap_or(128)), 1.0, 8_192.0);
    };
    example r#"{"host": "jack", "rate": 48000, "block": 128}"#;

    /// Opens or closes MIDI ports.
    put SetMidi emits ["hardware.changed"] {
        ports: Vec<String>,
        active: bool,
    } -> Done
    check |payload, checker| check_list("ports", &payload.ports, checker);
    example r#"{"ports": ["Launchpad"], "active": true}"#;

    /// Says which device fills a role of the project on this machine.
    put MapRole emits ["hardware.changed"] {
        role: HardwareRoleId,
        /// Null takes the mapping away.
        device: Option<String>,
        #[serde(default)]
        first_channel: u16,
    } -> Done
    example r#"{"role": "hwr_1", "device": "jack:system", "firstChannel": 2}"#;

    /// Tells how the device runs.
    ask Status {} -> HardwareStatus {
        config: AudioConfig,
        /// Roles of the project that nothing fills here.
        unmapped: Vec<HardwareRoleId>,
    }
    example r#"{}"#;
}
