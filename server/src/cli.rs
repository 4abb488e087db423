//! The command line: a thin client of the session, in its own process or over
//! the socket of a server that holds the project.

mod access;
mod care;
mod demo;
mod edit;
mod media;
mod output;
mod play;
mod render;
mod replay;
mod serve;
mod versions;
mod view;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};

use self::output::{Failure, Output};

/// Version control, rendering and a server for music projects.
#[derive(Parser, Debug)]
#[command(
    name = "pulse",
    version,
    propagate_version = true,
    after_help = "Start with `pulse demo`: it builds a song, branches it, merges it and renders it.\n\
                  `pulse help COMMAND` shows examples of each command."
)]
pub struct Cli {
    /// Project folder; the nearest one upward from here when absent.
    #[arg(short, long, global = true, value_name = "DIR", env = "PULSE_PROJECT")]
    project: Option<PathBuf>,
    /// Print one JSON document on stdout; logs stay on stderr.
    #[arg(long, global = true)]
    json: bool,
    /// Who edits, as history and commits will say.
    #[arg(long, global = true, value_name = "NAME", env = "PULSE_AUTHOR")]
    author: Option<String>,
    /// Say less; twice for nothing but errors.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaFormat {
    Json,
    Ts,
    Md,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The whole story in one command: a song, branches, a merge, sound.
    #[command(
        after_help = "Examples:\n  pulse demo\n  pulse demo /tmp/demo\n\nIt ends with WAV files in Renders/ of the folder."
    )]
    Demo {
        /// `pulse-demo` here when absent; a demo that is there is replaced.
        dir: Option<PathBuf>,
    },
    /// Make a project in a new folder.
    #[command(
        after_help = "Examples:\n  pulse new morning\n  pulse new big --template stress:200x50"
    )]
    New {
        dir: PathBuf,
        /// `empty`, `demo`, or `stress:TRACKSxCLIPS`.
        #[arg(long, default_value = "empty")]
        template: String,
        /// 32 hex digits from which ids are made, for tests and replays.
        #[arg(long, hide = true)]
        actor: Option<String>,
    },
    /// What is open, what is edited, what is missing.
    #[command(after_help = "Example:\n  pulse status\n  pulse --json status | jq .dirty")]
    Status,
    /// Commits of a branch, newest first.
    #[command(after_help = "Examples:\n  pulse log\n  pulse log mix-b -n 3")]
    Log {
        /// Where to start; the current branch when absent.
        rev: Option<String>,
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        count: u32,
    },
    /// One commit and what it changed.
    #[command(after_help = "Examples:\n  pulse show @\n  pulse show 3f2a\n  pulse show v1.0")]
    Show {
        #[arg(default_value = "@")]
        rev: String,
    },
    /// What differs between two revisions, in words.
    #[command(
        after_help = "Examples:\n  pulse diff                what you have not committed\n  \
                      pulse diff main mix-b     two branches\n  \
                      pulse diff @~1 @"
    )]
    Diff {
        /// The older side; the last commit when absent.
        from: Option<String>,
        /// The newer side; the working copy when absent.
        to: Option<String>,
        /// Listen to it: writes a.wav, b.wav and difference.wav into this folder.
        #[arg(long, value_name = "DIR")]
        audio: Option<PathBuf>,
    },
    /// Keep what was edited as a commit.
    #[command(after_help = "Example:\n  pulse commit -m \"Chorus with double-time hats\"")]
    Commit {
        #[arg(short, long)]
        message: String,
        /// Also when nothing was edited.
        #[arg(long)]
        allow_empty: bool,
    },
    /// List branches, or make one.
    #[command(
        after_help = "Examples:\n  pulse branch\n  pulse branch mix-b\n  pulse branch old --at v1.0"
    )]
    Branch {
        name: Option<String>,
        #[arg(long)]
        at: Option<String>,
    },
    /// Go to a branch, or look at a tag or commit; unsaved edits stay parked where they were made.
    #[command(after_help = "Example:\n  pulse switch mix-b")]
    Switch {
        name: String,
        /// Unsaved edits whose branch was moved since: adopt them there, discard them (`pulse undo`
        /// brings them back), or show both sides and stay here.
        #[arg(long, value_enum)]
        draft: Option<versions::DraftWord>,
    },
    /// Name a revision for good.
    #[command(after_help = "Examples:\n  pulse tag v1.0\n  pulse tag sent-to-label --at main~2")]
    Tag {
        name: Option<String>,
        #[arg(long)]
        at: Option<String>,
    },
    /// Merge a branch into this one.
    #[command(after_help = "Examples:\n  pulse merge mix-b --preview\n  pulse merge mix-b")]
    Merge {
        branch: String,
        /// Say what would happen and do nothing.
        #[arg(long)]
        preview: bool,
        #[arg(short, long)]
        message: Option<String>,
    },
    /// List conflicts, or decide them.
    #[command(after_help = "Examples:\n  pulse resolve                     list them\n  \
                      pulse resolve --ours              keep ours everywhere\n  \
                      pulse resolve cnf_… --value -3.5  decide one by a value")]
    Resolve {
        /// Conflicts to decide; all of them when absent.
        conflicts: Vec<String>,
        #[arg(long, group = "side")]
        ours: bool,
        #[arg(long, group = "side")]
        theirs: bool,
        #[arg(long, group = "side")]
        base: bool,
        /// A value of one's own, as JSON.
        #[arg(long, group = "side", value_name = "JSON")]
        value: Option<String>,
    },
    /// Undo your latest edit.
    #[command(
        after_help = "Examples:\n  pulse undo\n  pulse undo --context mixer   the last change of the mixer"
    )]
    Undo {
        /// mixer, timeline, routing, media, timebase or global.
        #[arg(long)]
        context: Option<String>,
        #[arg(short = 'n', long, default_value_t = 1)]
        count: u32,
    },
    /// Do again what was undone.
    #[command(after_help = "Example:\n  pulse redo")]
    Redo {
        #[arg(long)]
        context: Option<String>,
        #[arg(short = 'n', long, default_value_t = 1)]
        count: u32,
    },
    /// Take back what a commit did, or only part of it.
    #[command(
        after_help = "Examples:\n  pulse revert 3f2a\n  pulse revert --only mixer 3f2a\n  pulse revert --only trk_… 3f2a"
    )]
    Revert {
        rev: String,
        /// An entity id or a context: only that part.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Do here what a commit did elsewhere, or only part of it.
    #[command(after_help = "Examples:\n  pulse pick mix-b\n  pulse pick --only trk_… mix-b")]
    Pick {
        rev: String,
        #[arg(long)]
        only: Vec<String>,
    },
    /// Play the project through an audio device.
    #[command(
        after_help = "Examples:\n  pulse play\n  pulse play mix-b --from 17.1.0\n  pulse play --host jack --seconds 10"
    )]
    Play(play::Arguments),
    /// List audio devices.
    #[command(after_help = "Example:\n  pulse devices")]
    Devices,
    /// Render the mix or stems to files.
    #[command(
        after_help = "Examples:\n  pulse render -o mix.wav\n  pulse render -o mix.flac --bits 16 --rev v1.0\n  \
                      pulse render -o part.wav --from 9.1 --to 17.1\n  pulse render --stems stems"
    )]
    Render(render::Arguments),
    /// Do any command of the table.
    #[command(
        name = "do",
        after_help = "Examples:\n  pulse do track.create '{\"name\": \"Bass\", \"kind\": \"instrument\"}'\n  \
                      pulse do history.list\n\nDo several, one per line of stdin, with `pulse do -`."
    )]
    Do {
        /// DOMAIN.NAME, or `-` to read `DOMAIN.NAME JSON` lines from stdin.
        name: String,
        /// The payload; `{}` when absent.
        payload: Option<String>,
    },
    /// Show the project: arrangement, mixer, track, clip, automation, routing, cohorts, media,
    /// history, branches, diff, timeline.
    #[command(after_help = "Examples:\n  pulse view arrangement\n  pulse view mixer\n  \
                      pulse view routing --format dot | dot -Tsvg > routing.svg\n  \
                      pulse view track trk_…\n  \
                      pulse view arrangement '{\"rev\": \"main~1\", \"window\": {\"rows\": 8}}'")]
    View {
        name: String,
        /// `{"subject": ID, "window": {…}, "rev": REV}`, or only the id of the subject.
        query: Option<String>,
        #[arg(long, default_value = "text")]
        format: view::Format,
    },
    /// The contract: every command with schema and example.
    #[command(
        after_help = "Examples:\n  pulse schema --format md | less\n  pulse schema --format ts > pulse.d.ts"
    )]
    Schema {
        #[arg(long, default_value = "json")]
        format: SchemaFormat,
    },
    /// Serve the project to clients.
    #[command(
        after_help = "Examples:\n  pulse serve\n  pulse serve --tcp 127.0.0.1:0 --set limits.clients=8\n\n\
                      Prints one JSON line with the addresses once it accepts connections."
    )]
    Serve {
        #[arg(long)]
        socket: Option<PathBuf>,
        /// Loopback address; clients need the token of the ready line.
        #[arg(long, value_name = "ADDR")]
        tcp: Option<String>,
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Any setting: `--set limits.clients=8`.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Send a command to the running server.
    #[command(after_help = "Example:\n  pulse call session.status")]
    Call {
        name: String,
        payload: Option<String>,
        #[arg(long)]
        socket: Option<PathBuf>,
    },
    /// Print events of the running server as they happen.
    #[command(after_help = "Example:\n  pulse watch project history")]
    Watch {
        /// Domains; all when absent.
        domains: Vec<String>,
        #[arg(long)]
        socket: Option<PathBuf>,
        /// Stop after so many events.
        #[arg(short = 'n', long)]
        count: Option<u64>,
    },
    /// The project's files: list them, add some, find lost ones again.
    #[command(
        after_help = "Examples:\n  pulse media list --missing\n  pulse media add kick.wav snare.wav --tag drums\n  \
                      pulse media relink /media/disk/Samples"
    )]
    Media {
        #[command(subcommand)]
        command: media::Command,
    },
    /// Do a log of commands again and check every step.
    ///
    /// `debug.logCommands` writes the log. A log that starts with `project.new` is
    /// replayed into a new folder; any other onto a copy of the project as it was
    /// when the log began.
    #[command(
        after_help = "Examples:\n  pulse replay session.jsonl           check it and keep nothing\n  \
                      pulse replay session.jsonl again     keep the project in `again`"
    )]
    Replay {
        log: PathBuf,
        /// A folder that is not there yet, or a copy of the project; a passing one when absent.
        dir: Option<PathBuf>,
    },
    /// Check every file of the project; repair what can be repaired.
    #[command(after_help = "Examples:\n  pulse fsck\n  pulse fsck --repair")]
    Fsck {
        #[arg(long)]
        repair: bool,
    },
    /// Free what nothing reaches any more.
    #[command(after_help = "Example:\n  pulse gc")]
    Gc,
    /// What this machine and this project have, and what is missing.
    #[command(after_help = "Examples:\n  pulse doctor\n  pulse --json doctor | jq .checks")]
    Doctor,
    /// Completions for a shell.
    #[command(after_help = "Example:\n  pulse completions bash > /etc/bash_completion.d/pulse")]
    Completions { shell: clap_complete::Shell },
}

/// Parses the arguments, does it, says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json, cli.quiet, cli.color);
    init_log(&cli);
    match run(cli, &output) {
        Ok(code) => code,
        Err(failure) => output.failure(&failure),
    }
}

fn init_log(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (0, 0) => "warn",
        (0, 1) => "info",
        (0, _) => "debug",
        _ => "error",
    };
    let filter = std::env::var("PULSE_LOG_FILTER").unwrap_or_else(|_| level.to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(crate::log::full(&filter)))
        .with_writer(std::io::stderr)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    crate::log::install(Box::new(move |filter| {
        let filter = tracing_subscriber::EnvFilter::try_new(crate::log::full(filter));
        let filter = filter.map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    }));
    // A second subscriber exists only in tests, which need none.
    let _ = subscriber.try_init();
}

fn run(cli: Cli, output: &Output) -> Result<ExitCode, Failure> {
    let place =
        access::Place { project: cli.project, author: cli.author.unwrap_or_else(default_author) };
    match cli.command {
        Command::Demo { dir } => demo::demo(&place, output, dir),
        Command::New { dir, template, actor } => {
            edit::new(&place, output, &dir, &template, actor.as_deref())
        }
        Command::Status => versions::status(&place, output),
        Command::Log { rev, count } => versions::log(&place, output, rev, count),
        Command::Show { rev } => versions::show(&place, output, rev),
        Command::Diff { from, to, audio: None } => versions::diff(&place, output, from, to),
        Command::Diff { from, to, audio: Some(folder) } => {
            render::diff_audio(&place, output, from.as_deref(), to.as_deref(), &folder)
        }
        Command::Play(arguments) => play::play(&place, output, &arguments),
        Command::Devices => play::devices(output),
        Command::Render(arguments) => render::render(&place, output, &arguments),
        Command::Commit { message, allow_empty } => {
            versions::commit(&place, output, message, allow_empty)
        }
        Command::Branch { name, at } => versions::branch(&place, output, name, at),
        Command::Switch { name, draft } => versions::switch(&place, output, name, draft),
        Command::Tag { name, at } => versions::tag(&place, output, name, at),
        Command::Merge { branch, preview, message } => {
            versions::merge(&place, output, branch, preview, message)
        }
        Command::Resolve { conflicts, ours, theirs, base, value } => {
            let side = versions::Side::of(ours, theirs, base, value)?;
            versions::resolve(&place, output, conflicts, side)
        }
        Command::Undo { context, count } => versions::undo(&place, output, context, count),
        Command::Redo { context, count } => versions::redo(&place, output, context, count),
        Command::Revert { rev, only } => versions::apply(&place, output, "revert", rev, &only),
        Command::Pick { rev, only } => versions::apply(&place, output, "pick", rev, &only),
        Command::Do { name, payload } => edit::run(&place, output, &name, payload),
        Command::View { name, query, format } => {
            view::view(&place, output, &name, query.as_deref(), format)
        }
        Command::Schema { format } => edit::schema(output, format),
        Command::Serve { socket, tcp, config, set } => {
            serve::serve(&place, output, socket, tcp, config, &set)
        }
        Command::Call { name, payload, socket } => {
            serve::call(&place, output, &name, payload, socket)
        }
        Command::Watch { domains, socket, count } => {
            serve::watch(&place, output, domains, socket, count)
        }
        Command::Media { command } => media::media(&place, output, command),
        Command::Replay { log, dir } => replay::replay(output, &log, dir.as_deref()),
        Command::Fsck { repair } => care::fsck(&place, output, repair),
        Command::Gc => care::gc(&place, output),
        Command::Doctor => care::doctor(&place, output),
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pulse", &mut out);
            output.text(&String::from_utf8_lossy(&out));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The name of the user, as the system knows it.
fn default_author() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "someone".to_owned())
}

/// The parser, for the reference of the command line and for tests.
pub fn parser() -> clap::Command {
    Cli::command()
}
