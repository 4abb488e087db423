//! The way over the Unix socket: `cargo bench -p pulse-benches --bench ipc
//! [-- [--full] [memory|trips|pipelined|durable|events|render|tracks|start]…]`.
//!
//! Corpus: a project of 64 tracks with synth and EQ, served by this program started
//! again in a process of its own; clients are blocking ones, a thread each.
//! Gesture updates stand for commands that need no fsync: they pass through the
//! model thread, move a value in the engine and publish an event. Faders stand
//! for durable edits: answered after their group's fdatasync.
//!
//! Every connection is an instance of its own. Whatever goes wrong in any thread
//! ends the program with the reason, and the server with it.
//!
//! Caveats: clients and server share the cores, so rates are of both together;
//! in the fan-out each client decodes what it gets in a thread of its own, and
//! 100 such threads on a few cores measure the scheduler too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measuring program stops at the first error"
)]

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pulse_benches::{Folder, Times, full, heading, promise, row, show, time};
use pulse_client::{Incoming, Introduction, blocking::Client};
use pulse_schemas::codec::Encoding;
use pulse_server::{
    config::Config,
    serve::{Options, serve},
    session::Session,
    templates::Template,
};
use pulse_store::{
    project::{CreateOptions, Project},
    tx::TxMeta,
};
use serde_json::{Value, json};

const CALLERS: usize = 64;
/// Commands under way at once where many are.
const WINDOW: usize = 256;

/// The server in its own process, so that its memory is its own.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(dir: &Path) -> Server {
        Server::with(dir, None)
    }

    /// A server that opens a project when it starts.
    fn with(dir: &Path, project: Option<&Path>) -> Server {
        let socket = dir.join("bench.sock");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--serve".as_ref(), socket.as_os_str()])
            .args(project)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("\"ready\":true"), "the server said {ready:?}");
        Server { child, socket }
    }

    fn connect(&self, name: &str, encoding: Encoding) -> Client {
        static INSTANCE: AtomicUsize = AtomicUsize::new(0);
        let instance = format!("{name}-{}", INSTANCE.fetch_add(1, Ordering::Relaxed));
        let mut who = Introduction::new(name, instance);
        who.encoding = encoding;
        Client::connect_unix(&self.socket, &who).unwrap()
    }

    /// KiB that the server has in memory.
    fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Server {
    /// KiB in memory once it has stopped to grow: what plays is derived and loaded in
    /// the background, long after the first answer.
    fn settled_memory(&self) -> u64 {
        let mut last = [0; 4];
        for at in 0..120 {
            thread::sleep(Duration::from_millis(500));
            let now = self.memory();
            let before = std::mem::replace(&mut last[at % 4], now);
            if before > 0 && now < before + before / 50 {
                return now;
            }
        }
        self.memory()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connect("stop", Encoding::Json).call("client", "shutdown", json!({})).ok();
        self.child.wait().ok();
    }
}

/// Serves until it is told to stop, or until its parent is gone.
fn child(socket: &str, project: Option<&String>) {
    thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(1);
    });
    let options = Options {
        config: Config::default(),
        socket: socket.into(),
        project: project.map(Into::into),
    };
    if let Err(error) = serve(options, &mut std::io::stdout()) {
        panic!("{error}");
    }
}

/// Makes the project and tells its track channels.
fn project(server: &Server, dir: &Path) -> Vec<String> {
    let mut client = server.connect("setup", Encoding::Json);
    let path = dir.join("song");
    client.call("project", "new", json!({"path": path, "name": "Bench"})).unwrap();
    let mut track = |number| {
        let nodes = ["pulse.synth", "pulse.eq"];
        let create =
            json!({"name": format!("Track {number}"), "kind": "instrument", "nodes": nodes});
        let made = client.call("track", "create", create).unwrap();
        made["channel"].as_str().unwrap().to_owned()
    };
    (0..CALLERS).map(&mut track).collect()
}

fn begin(client: &mut Client, channel: &str) -> Value {
    let payload = json!({"target": channel, "parameter": "gainDb"});
    client.call("parameter", "beginGesture", payload).unwrap()["gesture"].clone()
}

fn update(gesture: &Value, step: usize) -> Value {
    json!({"gesture": gesture, "value": -((step % 1_000) as f64) / 100.0})
}

fn end(client: &mut Client, gesture: &Value) {
    let payload = json!({"gesture": gesture, "cancel": true});
    client.call("parameter", "endGesture", payload).unwrap();
}

fn round_trips(server: &Server, channel: &str, encoding: Encoding) {
    let name = format!("{encoding:?}");
    let mut client = server.connect(&name, encoding);
    let gesture = begin(&mut client, channel);
    let count = if full() { 200_000 } else { 20_000 };
    let mut call = |step| {
        let payload = update(&gesture, step);
        time(|| client.call("parameter", "updateGesture", payload).unwrap()).0
    };
    (0..1_000).for_each(|step| {
        call(step);
    });
    let times = Times::of((0..count).map(call).collect::<Vec<_>>());
    end(&mut client, &gesture);
    let measured = format!(
        "p50 {}, p99 {}, p99.9 {}",
        show(times.median()),
        show(times.within(0.99)),
        show(times.within(0.999))
    );
    let held = times.median() <= Duration::from_micros(60);
    promise(&format!("round trip, gesture, {name}"), &measured, "p50 ≤ 60 µs", held);
}

/// Keeps a window of commands under way on each connection.
fn pipelined(server: &Server, channels: &[String], connections: usize, encoding: Encoding) {
    let count = if full() { 500_000 } else { 100_000 } / connections;
    let barrier = Barrier::new(connections + 1);
    let start = thread::scope(|scope| {
        for (number, channel) in channels.iter().enumerate().take(connections) {
            let barrier = &barrier;
            scope.spawn(move || {
                let mut client = server.connect(&format!("pipe-{encoding:?}-{number}"), encoding);
                let gesture = begin(&mut client, channel);
                barrier.wait();
                let post = |client: &mut Client, step| {
                    client.post("parameter", "updateGesture", update(&gesture, step)).unwrap();
                };
                (0..WINDOW).for_each(|step| post(&mut client, step));
                for step in 0..count {
                    client.answer().unwrap().1.unwrap();
                    if step + WINDOW < count {
                        post(&mut client, step + WINDOW);
                    }
                }
                barrier.wait();
                end(&mut client, &gesture);
            });
        }
        barrier.wait();
        let start = Instant::now();
        barrier.wait();
        start.elapsed()
    });
    let rate = (count * connections) as f64 / start.as_secs_f64();
    let what = format!("pipelined gestures, {connections} connections, {encoding:?}");
    promise(&what, &format!("{rate:.0}/s"), "≥ 50,000/s", rate >= 50_000.0);
}

fn durable(server: &Server, channels: &[String], callers: usize) {
    let seconds = if full() { 20 } else { 4 };
    let over = AtomicBool::new(false);
    let barrier = Barrier::new(callers + 1);
    let times = Mutex::new(Vec::new());
    let took = thread::scope(|scope| {
        for (number, channel) in channels.iter().enumerate().take(callers) {
            let (over, barrier, times) = (&over, &barrier, &times);
            scope.spawn(move || {
                let name = format!("durable-{callers}-{number}");
                let mut client = server.connect(&name, Encoding::MessagePack);
                let mut own = Vec::new();
                barrier.wait();
                for step in 0usize.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let gain = -1.0 - (step % 5_000) as f64 / 100.0;
                    let payload = json!({"channel": channel, "gainDb": gain});
                    own.push(time(|| client.call("channel", "setGain", payload).unwrap()).0);
                }
                times.lock().unwrap().append(&mut own);
            });
        }
        barrier.wait();
        let start = Instant::now();
        thread::sleep(Duration::from_secs(seconds));
        over.store(true, Ordering::Relaxed);
        start.elapsed()
    });
    let times = Times::of(times.into_inner().unwrap());
    let rate = times.len() as f64 / took.as_secs_f64();
    let (p50, p99) = (show(times.median()), show(times.within(0.99)));
    let measured = format!("{rate:.0}/s; p50 {p50}, p99 {p99}");
    let what = format!("durable edits, {callers} callers");
    match callers {
        CALLERS => promise(&what, &measured, "≥ 5,000/s", rate >= 5_000.0),
        _ => row(&what, &measured),
    }
}

/// When each value came, until `last` is there. Values are the latest of their
/// parameter: who is slow gets fewer of them, and the last one always.
fn listen(server: &Server, number: usize, last: i64, ready: &Barrier) -> Vec<(i64, Instant)> {
    let mut client = server.connect(&format!("ear-{number}"), Encoding::MessagePack);
    let topics = json!({"topics": [{"domain": "parameter", "names": ["gesture"]}]});
    client.call("client", "subscribe", topics).unwrap();
    ready.wait();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(value, _)| *value != last) {
        match client.next(Duration::from_secs(10)) {
            Ok(Some(Incoming::Event(event))) if event.name == "gesture" => {
                let value = event.payload["value"].as_f64().unwrap_or(0.0);
                seen.push(((value * -100.0).round() as i64, Instant::now()));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    seen
}

fn fan_out(server: &Server, channel: &str, clients: usize) {
    // A thousand threads that decode measure little but the scheduler; so fewer events.
    let (slow, burst) = if clients < 1_000 { (100usize, 2_000usize) } else { (50, 200) };
    let last = i64::try_from(slow + burst).unwrap();
    let ready = Arc::new(Barrier::new(clients + 1));
    let mut sent = Vec::new();
    let heard: Vec<Vec<(i64, Instant)>> = thread::scope(|scope| {
        let ears: Vec<_> = (0..clients)
            .map(|number| {
                let ready = Arc::clone(&ready);
                scope.spawn(move || listen(server, number, last, &ready))
            })
            .collect();
        ready.wait();
        let mut client = server.connect(&format!("mouth-{clients}"), Encoding::MessagePack);
        let gesture = begin(&mut client, channel);
        let update = |step: usize| json!({"gesture": gesture, "value": -(step as f64) / 100.0});
        for step in 1..=slow {
            thread::sleep(Duration::from_millis(4));
            sent.push(Instant::now());
            client.call("parameter", "updateGesture", update(step)).unwrap();
        }
        thread::sleep(Duration::from_millis(100));
        sent.push(Instant::now());
        for step in slow + 1..=slow + burst {
            client.post("parameter", "updateGesture", update(step)).unwrap();
            if (step - slow) % 100 == 0 {
                (0..100).for_each(|_| drop(client.answer().unwrap()));
            }
        }
        let heard = ears.into_iter().map(|ear| ear.join().unwrap()).collect();
        end(&mut client, &gesture);
        heard
    });
    let at = |seen: &[(i64, Instant)], step: usize| {
        seen.iter().find(|(value, _)| *value == step as i64).map(|(_, at)| *at)
    };
    let everybody = |step: usize| -> Option<Instant> {
        heard.iter().map(|seen| at(seen, step)).collect::<Option<Vec<_>>>()?.into_iter().max()
    };
    let lags = (1..=slow).filter_map(|step| Some(everybody(step)? - sent[step - 1]));
    let lags = Times::of(lags.collect::<Vec<_>>());
    let burst_heard: usize =
        heard.iter().flatten().filter(|(value, _)| *value > slow as i64).count();
    let whole = heard.iter().filter(|seen| at(seen, slow + burst).is_some()).count();
    let end = everybody(slow + burst).map(|end| (end - sent[slow]).as_secs_f64());
    let rate = end.map_or(0.0, |end| burst_heard as f64 / end);
    let measured = format!(
        "until the last has it p50 {}, p99 {} ({} of {slow} reached all); {rate:.0} deliveries/s \
         in a burst of {burst}; {whole} of {clients} have the last value",
        show(lags.median()),
        show(lags.within(0.99)),
        lags.len(),
    );
    row(&format!("an event to {clients} clients"), &measured);
}

/// Whether a part was asked for: all are, where none is named (`-- trips durable`).
fn wanted(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|it| !it.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|it| it == part)
}

/// Files that this process may have open.
fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(0)
}

/// Round trips while the server renders: a render never holds the model thread.
fn under_render(server: &Server, channels: &[String], dir: &Path) {
    let mut client = server.connect("renders", Encoding::MessagePack);
    let found = client.call("project", "find", json!({"kind": "lane", "page": {"limit": 64}}));
    let lanes = found.unwrap()["entities"].clone();
    let bar = 4 * 45_158_400u64;
    for lane in lanes.as_array().unwrap() {
        let notes: Vec<Value> = (0..64u64)
            .map(|bars| json!({"pitch": 40 + bars % 24, "start": bars * bar, "length": bar}))
            .collect();
        let clip = json!({"lane": lane["id"], "start": 0, "length": 64 * bar, "notes": notes});
        client.call("clip", "create", clip).unwrap();
    }
    let path = dir.join("mix.wav");
    let job = client.call("rendering", "render", json!({"path": path})).unwrap()["job"].clone();
    let gesture = begin(&mut client, &channels[0]);
    let mut times = Vec::new();
    let mut over = false;
    while !over && times.len() < 20_000 {
        for step in 0..500 {
            let payload = update(&gesture, step);
            times.push(time(|| client.call("parameter", "updateGesture", payload).unwrap()).0);
        }
        let progress = client.call("rendering", "progress", json!({"job": job})).unwrap();
        over = progress["job"]["state"] != "running";
    }
    end(&mut client, &gesture);
    client.call("rendering", "cancel", json!({"job": job})).ok();
    let times = Times::of(times);
    let (p50, p99) = (show(times.median()), show(times.within(0.99)));
    let measured = format!("p50 {p50}, p99 {p99}, over {} commands", times.len());
    row("round trip, gesture, while 64 tracks are rendered", &measured);
}

/// From nothing to the first answer, with a large project.
fn start_up(dir: &Path, run: &Path, tracks: u32, clips: u32) {
    let path = dir.join(format!("large-{tracks}x{clips}"));
    let options = CreateOptions { name: "Large".into(), ..CreateOptions::default() };
    let project = Project::create(&path, options).unwrap();
    let mut session = Session::over(Arc::new(Config::default()), project);
    let stress = Template::Stress { tracks, clips };
    let made = time(|| session.transact(TxMeta::new("Fill", ""), |edit| stress.build(edit)));
    made.1.unwrap();
    let open = session.open.take().unwrap();
    open.project.close().unwrap();
    let (took, (server, mut client)) = time(|| {
        let server = Server::with(run, Some(&path));
        let mut client = server.connect("first", Encoding::MessagePack);
        client.call("session", "status", json!({})).unwrap();
        (server, client)
    });
    let window = json!({"query": {"view": "arrangement", "window": {"rows": 40}}});
    let view = time(|| client.call("view", "get", window).unwrap()).0;
    let info = time(|| client.call("project", "info", json!({})).unwrap()).0;
    let (counted, report) = time(|| client.call("diagnostics", "report", json!({})).unwrap());
    let entities = report["store"]["entities"].as_u64().unwrap_or(0);
    let memory = server.memory() / 1024;
    let settled = server.settled_memory() / 1024;
    let measured = format!(
        "{}; then the first 40 tracks {}, `project.info` {}, `diagnostics.report` {}; {memory} MiB \
         in memory by then, {settled} MiB once all can play; made in {}",
        show(took),
        show(view),
        show(info),
        show(counted),
        show(made.0)
    );
    row(&format!("start to the first answer, {entities} entities"), &measured);
}

/// What a track costs where there are many: the first and the last hundred.
fn many_tracks(server: &Server, count: usize) {
    let mut client = server.connect("tracks", Encoding::MessagePack);
    let mut make = |count: usize| {
        let create = json!({"kind": "instrument", "nodes": ["pulse.synth", "pulse.eq"]});
        let times =
            (0..count).map(|_| time(|| client.call("track", "create", create.clone()).unwrap()).0);
        Times::of(times.collect::<Vec<_>>())
    };
    let first = make(100);
    make(count - 200);
    let last = make(100);
    let measured =
        format!("the first hundred {}, the last {}", show(first.median()), show(last.median()));
    row(&format!("`track.create`, {count} one after another, durable"), &measured);
}

fn memory(server: &Server) {
    let count = 200u64;
    // What a server takes in the background after its start is nobody's.
    let steady = |_: &u32| {
        let before = server.memory();
        thread::sleep(Duration::from_millis(500));
        server.memory() == before
    };
    (0..20).find(steady);
    let before = server.memory();
    let clients: Vec<Client> = (0..count)
        .map(|number| {
            let mut client = server.connect(&format!("idle-{number}"), Encoding::MessagePack);
            let topics = json!({"topics": [{"domain": "parameter"}]});
            client.call("client", "subscribe", topics).unwrap();
            client
        })
        .collect();
    let grown = server.memory().saturating_sub(before);
    drop(clients);
    let measured = format!("{} KiB of {before} KiB before", grown / count);
    row("memory of one more client, idle and subscribed", &measured);
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--serve") {
        return child(&arguments[at + 1], arguments.get(at + 2));
    }
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Other threads wait for this one at a barrier; there is nothing to wait for.
        report(panic);
        std::process::exit(1);
    }));
    let dir = Folder::on_disk("ipc").unwrap();
    // A path of a socket has room for a hundred letters only.
    let run = Folder::for_socket("ipc").unwrap();
    let server = Server::start(run.path());
    let channels = project(&server, dir.path());
    heading("ipc, Unix socket");
    if wanted("memory") {
        memory(&server);
    }
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        if wanted("trips") {
            round_trips(&server, &channels[0], encoding);
        }
    }
    if wanted("pipelined") {
        pipelined(&server, &channels, 1, Encoding::Json);
        pipelined(&server, &channels, 1, Encoding::MessagePack);
        pipelined(&server, &channels, 4, Encoding::MessagePack);
    }
    if wanted("durable") {
        durable(&server, &channels, 1);
        durable(&server, &channels, CALLERS);
    }
    if wanted("events") {
        [1, 10, 100].iter().for_each(|clients| fan_out(&server, &channels[0], *clients));
        match open_files() {
            ..=2_200 => row("an event to 1000 clients", "not run: `ulimit -n 4096` first"),
            _ => fan_out(&server, &channels[0], 1_000),
        }
    }
    if wanted("render") {
        under_render(&server, &channels, dir.path());
    }
    if wanted("tracks") {
        many_tracks(&server, 2_000);
    }
    drop(server);
    if wanted("start") {
        start_up(dir.path(), run.path(), 40, 50);
        if full() {
            start_up(dir.path(), run.path(), 400, 500);
        }
    }
}
