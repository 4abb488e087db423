//! Every setting of the server, declared once.
//!
//! Later beats earlier: defaults, `pulse.toml`, `PULSE_*`, flags. A key that
//! nobody knows is an error and not a wish, because a limit with a typing
//! mistake in its name is a limit that is off.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use crate::ipc::{connection::Timing, hub::Limits};

/// What a setting holds, for documentation.
pub struct Setting {
    pub key: &'static str,
    pub doc: &'static str,
    pub kind: &'static str,
    pub default: fn() -> String,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Setting {
    /// The environment variable of the setting.
    pub fn variable(&self) -> String {
        format!("PULSE_{}", self.key.replace('.', "_").to_uppercase())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{} is not TOML: {error}", path.display())]
    Toml { path: PathBuf, error: Box<toml::de::Error> },
    #[error("{place}: there is no setting `{key}`{}; docs/reference/config.md lists them",
        meant.map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default())]
    Unknown { place: String, key: String, meant: Option<&'static str> },
    #[error("{place}: `{key}` {problem}")]
    Value { place: String, key: String, problem: String },
}

/// A value of a setting, from text.
trait Value: Sized {
    const KIND: &'static str;
    fn read(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
}

impl Value for u64 {
    const KIND: &'static str = "whole number";

    fn read(text: &str) -> Result<u64, String> {
        text.replace('_', "").parse().map_err(|_| format!("takes a whole number, found {text:?}"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn read(text: &str) -> Result<bool, String> {
        match text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(format!("takes true or false, found {text:?}")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    const KIND: &'static str = "text";

    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for Option<PathBuf> {
    const KIND: &'static str = "path";

    fn read(text: &str) -> Result<Option<PathBuf>, String> {
        Ok(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from))
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    }
}

impl Value for Option<SocketAddr> {
    const KIND: &'static str = "address:port on loopback";

    fn read(text: &str) -> Result<Option<SocketAddr>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| format!("takes an address such as 127.0.0.1:0, found {text:?}"))?;
        if !address.ip().is_loopback() {
            return Err(format!("takes an address of this machine (127.0.0.1), found {text:?}"));
        }
        Ok(Some(address))
    }

    fn show(&self) -> String {
        self.map_or_else(|| "none".to_owned(), |address| address.to_string())
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident, $key:literal: $ty:ty = $default:expr $(, $range:expr)?;)*) => {
        /// All settings. Build one with [`Config::load`].
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($(#[doc = $doc])+ pub $field: $ty,)* }

        impl Default for Config {
            fn default() -> Config {
                Config { $($field: $default,)* }
            }
        }

        /// Every setting, in the order of the reference.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            key: $key,
            doc: concat!($($doc, "\n"),+),
            kind: <$ty as Value>::KIND,
            default: || {
                let default: $ty = $default;
                Value::show(&default)
            },
            set: |config, text| {
                let value = <$ty as Value>::read(text)?;
                $(Check::check(&$range, &value)?;)?
                config.$field = value;
                Ok(())
            },
        },)*];
    };
}

/// What a setting takes beside its type.
trait Check<T> {
    fn check(&self, value: &T) -> Result<(), String>;
}

impl Check<u64> for std::ops::RangeInclusive<u64> {
    fn check(&self, value: &u64) -> Result<(), String> {
        if self.contains(value) {
            return Ok(());
        }
        Err(format!("takes {} to {}, found {value}", self.start(), self.end()))
    }
}

/// Nothing, or something in a range.
struct ZeroOr(std::ops::RangeInclusive<u64>);

impl Check<u64> for ZeroOr {
    fn check(&self, value: &u64) -> Result<(), String> {
        if *value == 0 || self.0.contains(value) {
            return Ok(());
        }
        Err(format!("takes 0, or {} to {}, found {value}", self.0.start(), self.0.end()))
    }
}

struct OneOf(&'static [&'static str]);

impl Check<String> for OneOf {
    fn check(&self, value: &String) -> Result<(), String> {
        if self.0.contains(&value.as_str()) {
            return Ok(());
        }
        Err(format!("takes {}, found {value:?}", self.0.join(", ")))
    }
}

/// Text on one line, of so many letters; nothing is fine too.
struct Line(std::ops::RangeInclusive<usize>);

impl Check<String> for Line {
    fn check(&self, value: &String) -> Result<(), String> {
        let fits = value.is_empty() || self.0.contains(&value.chars().count());
        if fits && !value.chars().any(char::is_control) {
            return Ok(());
        }
        Err(format!("takes {} to {} letters on one line", self.0.start(), self.0.end()))
    }
}

/// The system has room for so many bytes in the path of a socket.
const LONGEST_SOCKET: usize = 107;

struct SocketPath;

impl Check<Option<PathBuf>> for SocketPath {
    fn check(&self, value: &Option<PathBuf>) -> Result<(), String> {
        let length = value.as_ref().map_or(0, |path| path.as_os_str().len());
        if length <= LONGEST_SOCKET {
            return Ok(());
        }
        Err(format!("takes a path of at most {LONGEST_SOCKET} bytes, found {length}"))
    }
}

settings! {
    /// Path of the Unix socket; `pulse.sock` in the runtime folder when absent.
    server_socket, "server.socket": Option<PathBuf> = None, SocketPath;
    /// Loopback address of the TCP listener; none listens on the socket only.
    server_tcp, "server.tcp": Option<SocketAddr> = None;
    /// Token that TCP clients must know; made and printed at start when empty.
    server_token, "server.token": String = String::new(), Line(8..=256);
    /// Worker threads of the network side.
    server_threads, "server.threads": u64 = 2, 1..=64;
    /// Most clients at once.
    limits_clients, "limits.clients": u64 = 1_024, 1..=100_000;
    /// Longest message in bytes.
    limits_message_bytes, "limits.message_bytes": u64 = 16 * 1024 * 1024, 1_024..=1_073_741_824;
    /// Commands per second and connection; a second's worth may come at once.
    limits_commands_per_second, "limits.commands_per_second": u64 = 200_000, 1..=10_000_000;
    /// Subscriptions per connection.
    limits_subscriptions, "limits.subscriptions": u64 = 256, 1..=65_536;
    /// Bytes of events that may wait for a client; of answers four times as many, then it is cut off.
    limits_queue_bytes, "limits.queue_bytes": u64 = 4 * 1024 * 1024, 4_096..=1_073_741_824;
    /// Commands in one batch.
    limits_batch, "limits.batch": u64 = 10_000, 1..=1_000_000;
    /// Events kept for clients that come back.
    limits_event_history, "limits.event_history": u64 = 10_000, 0..=10_000_000;
    /// Answers kept per instance for commands that are sent again.
    limits_answer_history, "limits.answer_history": u64 = 512, 1..=1_000_000;
    /// Milliseconds from a connection to its hello.
    timing_hello_ms, "timing.hello_ms": u64 = 5_000, 1..=600_000;
    /// Milliseconds between two heartbeats.
    timing_heartbeat_ms, "timing.heartbeat_ms": u64 = 5_000, 10..=600_000;
    /// Milliseconds without a sign of life before a client with heartbeats is cut off.
    timing_silence_ms, "timing.silence_ms": u64 = 20_000, 10..=3_600_000;
    /// Milliseconds from the first byte of a message to its last.
    timing_message_ms, "timing.message_ms": u64 = 30_000, 10..=3_600_000;
    /// Milliseconds without progress of writing before a client is cut off.
    timing_write_ms, "timing.write_ms": u64 = 10_000, 10..=600_000;
    /// Audio host: `null` (no hardware), `alsa`, `jack`, or `none` (no engine).
    audio_host, "audio.host": String = "null".to_owned(),
        OneOf(&["null", "alsa", "jack", "none"]);
    /// Name of the audio device; the host's default when empty.
    audio_device, "audio.device": String = String::new(), Line(1..=256);
    /// Sample rate of playback in Hz; the project's when 0.
    audio_sample_rate, "audio.sample_rate": u64 = 0, ZeroOr(8_000..=384_000);
    /// Channels of the audio device that tracks can listen to; 0 opens no input.
    audio_inputs, "audio.inputs": u64 = 2, 0..=32;
    /// Frames per audio block.
    audio_block, "audio.block": u64 = 256, 16..=8_192;
    /// Milliseconds that tracks which nobody plays by hand are rendered ahead; 0 renders everything when the device asks.
    audio_look_ahead_ms, "audio.look_ahead_ms": u64 = 200, 0..=5_000;
    /// Milliseconds until an act on what is rendered ahead is heard: the time to render it again.
    audio_lead_ms, "audio.lead_ms": u64 = 40, 5..=1_000;
    /// Threads that render ahead; one less than there are cores when 0.
    audio_workers, "audio.workers": u64 = 0, 0..=64;
    /// Megabytes of rendered sound that playback holds ready from the render cache; 0 takes none.
    audio_ready_mb, "audio.ready_mb": u64 = 256, 0..=65_536;
    /// Largest size of the render cache in bytes.
    render_cache_bytes, "render.cache_bytes": u64 = 10 * 1024 * 1024 * 1024, 1_048_576..=1_099_511_627_776;
    /// Loopback address of the metrics page; without it there is none.
    metrics_listen, "metrics.listen": Option<SocketAddr> = None;
    /// Allows the commands of the `debug` domain.
    debug_enabled, "debug.enabled": bool = false;
}

impl Config {
    /// Defaults, then the file, then the environment, then `flags`.
    pub fn load(
        file: Option<&std::path::Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        if let Some(path) = file {
            config.read_file(path)?;
        }
        for (name, value) in environment {
            config.read_variable(&name, &value)?;
        }
        for (key, value) in flags {
            config.set("flags", key, value)?;
        }
        Ok(config)
    }

    /// What holds where one stands: `pulse.toml` if there is one, then the
    /// environment.
    pub fn here() -> Result<Config, ConfigError> {
        let file = std::path::Path::new("pulse.toml");
        Config::load(Some(file).filter(|file| file.exists()), std::env::vars(), &[])
    }

    fn read_file(&mut self, path: &std::path::Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let table: toml::Table = text
            .parse()
            .map_err(|error| ConfigError::Toml { path: path.to_owned(), error: Box::new(error) })?;
        let place = path.display().to_string();
        for (section, value) in table {
            match value {
                toml::Value::Table(inner) => {
                    for (name, value) in inner {
                        self.set(&place, &format!("{section}.{name}"), &plain(&value))?;
                    }
                }
                value => self.set(&place, &section, &plain(&value))?,
            }
        }
        Ok(())
    }

    /// `PULSE_LIMITS_CLIENTS`. A variable that names a section and no setting
    /// of it is an error; others, such as `PULSE_AUTHOR`, are not ours.
    fn read_variable(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let Some(rest) = name.strip_prefix("PULSE_") else { return Ok(()) };
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
            return self.set("environment", setting.key, value);
        }
        let section = rest.split('_').next().unwrap_or_default().to_lowercase();
        let ours = SETTINGS.iter().any(|setting| setting.key.split('.').next() == Some(&section));
        if !ours {
            return Ok(());
        }
        let key = rest.to_lowercase().replacen('_', ".", 1);
        self.set("environment", &key, value)
    }

    /// Sets one key, from anywhere.
    pub fn set(&mut self, place: &str, key: &str, value: &str) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let meant = SETTINGS
                .iter()
                .map(|setting| setting.key)
                .filter(|known| similar(known, key))
                .min_by_key(|known| known.len().abs_diff(key.len()));
            return Err(ConfigError::Unknown {
                place: place.to_owned(),
                key: key.to_owned(),
                meant,
            });
        };
        (setting.set)(self, value).map_err(|problem| ConfigError::Value {
            place: place.to_owned(),
            key: key.to_owned(),
            problem,
        })
    }

    pub fn limits(&self) -> Limits {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Limits {
            max_message_bytes: size(self.limits_message_bytes),
            max_commands_per_second: u32::try_from(self.limits_commands_per_second)
                .unwrap_or(u32::MAX),
            max_subscriptions: size(self.limits_subscriptions),
            max_queue_bytes: size(self.limits_queue_bytes),
            max_clients: size(self.limits_clients),
            max_batch: size(self.limits_batch),
            event_history: size(self.limits_event_history),
            answer_history: size(self.limits_answer_history),
        }
    }

    pub fn timing(&self) -> Timing {
        Timing {
            hello: Duration::from_millis(self.timing_hello_ms),
            heartbeat: Duration::from_millis(self.timing_heartbeat_ms),
            silence: Duration::from_millis(self.timing_silence_ms),
            message: Duration::from_millis(self.timing_message_ms),
            write: Duration::from_millis(self.timing_write_ms),
        }
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether two keys have the same last part or start alike.
fn similar(known: &str, key: &str) -> bool {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let shared = known.chars().zip(key.chars()).take_while(|(a, b)| a == b).count();
    last(known) == last(key) || shared * 3 >= known.len() * 2
}

/// The reference of all settings, as Markdown.
pub struct Reference;

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Settings\n")?;
        writeln!(
            f,
            "Generated from `server/src/config.rs` by `just gen`. Later beats earlier: the \
             default, `pulse.toml`, the variable, the flag (`--set key=value`).\n"
        )?;
        writeln!(f, "| key | variable | takes | default | meaning |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for setting in SETTINGS {
            let (key, variable, kind) = (setting.key, setting.variable(), setting.kind);
            let (default, doc) = ((setting.default)(), setting.doc.trim());
            writeln!(f, "| `{key}` | `{variable}` | {kind} | `{default}` | {doc} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        toml: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<Config, String> {
        let mut config = Config::default();
        let pair = |(key, value): &(&str, &str)| (key.to_string(), value.to_string());
        let folder = std::env::temp_dir().join(format!("pulse-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{:x}.toml", blake3::hash(toml.as_bytes()).as_bytes()[0]));
        std::fs::write(&path, toml).unwrap();
        config.read_file(&path).map_err(|error| error.to_string())?;
        let flags: Vec<_> = flags.iter().map(pair).collect();
        Config::load(Some(&path), environment.iter().map(pair), &flags)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn later_beats_earlier() {
        let toml = "[limits]\nclients = 2\nbatch = 3\nsubscriptions = 4\n";
        let environment = [("PULSE_LIMITS_BATCH", "30"), ("PULSE_LIMITS_SUBSCRIPTIONS", "40")];
        let config = load(toml, &environment, &[("limits.subscriptions", "400")]).unwrap();
        assert_eq!(
            (config.limits_clients, config.limits_batch, config.limits_subscriptions),
            (2, 30, 400)
        );
    }

    /// For every setting a value that it does not take, and words of what it says.
    const WRONG: &[(&str, &str, &str)] = &[
        ("audio.block", "15", "takes 16 to 8192"),
        ("audio.device", "\u{7}", "takes 1 to 256 letters on one line"),
        ("audio.host", "speaker", "takes null, alsa, jack, none"),
        ("audio.inputs", "33", "takes 0 to 32"),
        ("audio.lead_ms", "4", "takes 5 to 1000"),
        ("audio.look_ahead_ms", "5001", "takes 0 to 5000"),
        ("audio.ready_mb", "65537", "takes 0 to 65536"),
        ("audio.sample_rate", "7999", "takes 0, or 8000 to 384000"),
        ("audio.workers", "65", "takes 0 to 64"),
        ("debug.enabled", "maybe", "takes true or false"),
        ("limits.answer_history", "0", "takes 1 to"),
        ("limits.batch", "0", "takes 1 to"),
        ("limits.clients", "0", "takes 1 to"),
        ("limits.commands_per_second", "0", "takes 1 to"),
        ("limits.event_history", "10000001", "takes 0 to"),
        ("limits.message_bytes", "1023", "takes 1024 to"),
        ("limits.queue_bytes", "4095", "takes 4096 to"),
        ("limits.subscriptions", "0", "takes 1 to"),
        ("metrics.listen", "8.8.8.8:80", "takes an address of this machine"),
        ("render.cache_bytes", "1", "takes 1048576 to"),
        ("server.socket", LONG, "takes a path of at most 107 bytes"),
        ("server.tcp", "0.0.0.0:80", "takes an address of this machine"),
        ("server.threads", "0", "takes 1 to 64"),
        ("server.token", "short", "takes 8 to 256 letters on one line"),
        ("timing.heartbeat_ms", "9", "takes 10 to"),
        ("timing.hello_ms", "0", "takes 1 to"),
        ("timing.message_ms", "9", "takes 10 to"),
        ("timing.silence_ms", "9", "takes 10 to"),
        ("timing.write_ms", "9", "takes 10 to"),
    ];

    const LONG: &str = "/a-folder-with-a-long-name/a-folder-with-a-long-name/\
                        a-folder-with-a-long-name/a-folder-with-a-long-name/pulse.sock";

    /// What each limit does to who breaks it is in `tests/it/limits.rs`.
    #[test]
    fn every_setting_is_documented_and_has_a_value_that_it_does_not_take() {
        for setting in SETTINGS {
            assert!(setting.doc.trim().len() > 10, "{} says nothing", setting.key);
            let wrong = WRONG.iter().find(|(key, ..)| *key == setting.key);
            let Some((key, value, words)) = wrong else {
                panic!("`{}` has no value in WRONG that it does not take", setting.key);
            };
            let mut config = Config::default();
            let error = config.set("test", key, value).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(key), "{error}");
            assert_eq!(config, Config::default());
            let default = (setting.default)();
            if !["none", "\"\""].contains(&default.as_str()) {
                config.set("test", key, default.trim_matches('"')).unwrap();
                assert_eq!(config, Config::default(), "{key}");
            }
        }
        assert_eq!(WRONG.len(), SETTINGS.len(), "a key of WRONG is no setting");
    }

    #[test]
    fn a_wrong_setting_says_what_is_wrong() {
        let check = |toml: &str, environment: &[(&str, &str)], expect: &str| {
            let error = load(toml, environment, &[]).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("[limits]\nclient = 2\n", &[], "there is no setting `limits.client` (did you mean");
        check("[limits]\nclients = 0\n", &[], "`limits.clients` takes 1 to 100000, found 0");
        check("[limits]\nclients = \"many\"\n", &[], "takes a whole number");
        check("[server]\ntcp = \"10.0.0.1:80\"\n", &[], "takes an address of this machine");
        check("", &[("PULSE_LIMITS_CLIENT", "3")], "environment: there is no setting");
        check("", &[("PULSE_DEBUG_ENABLED", "maybe")], "takes true or false");
        check("limits = 3\n", &[], "there is no setting `limits`");
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        assert_eq!(load("", &[("PULSE_AUTHOR", "Ada"), ("PATH", "x")], &[]), Ok(Config::default()));
    }

    #[test]
    fn the_reference_in_the_docs_is_the_one_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/config.md");
        if std::env::var_os("PULSE_GEN").is_some() {
            std::fs::write(path, Reference.to_string()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == Reference.to_string(),
            "`just gen` writes docs/reference/config.md anew"
        );
    }
}
