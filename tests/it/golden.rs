//! Every page of the command line as its user sees it: one song, from `new` to
//! `gc`, told once for people and once in JSON, and compared with what lies in
//! `tests/golden/`. `PULSE_GOLDEN=1` writes the pages anew; read what changed.
//!
//! What differs between two runs and says nothing (ids, hashes, times, speeds) is
//! replaced by names before it is compared.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::{
    harness::{Server, pulse},
    workspace::root,
};

const QUARTER: u64 = 45_158_400;

/// Fields whose numbers belong to the machine.
const OF_THE_MACHINE: &[&str] = &[
    "wall_ms",
    "x_realtime",
    "wallMs",
    "xRealtime",
    "bytesBefore",
    "bytesAfter",
    "removedNodes",
    "freedBytes",
    "nodes",
    "pid",
    "threads",
    "load",
    "mean",
    "worst",
    "peak",
    "song_frame",
    "xruns",
    "callbacks",
    "seconds",
    "bytes",
    "rows",
    "journalRows",
    "tornBytes",
];

/// Pages that count things of the machine in words.
const COUNTING: &[&str] = &["render", "play", "doctor", "gc", "fsck", "media", "replay"];

/// One telling of the story.
struct Teller {
    dir: tempfile::TempDir,
    json: bool,
    names: Names,
    /// What each page says so far.
    pages: BTreeMap<String, String>,
}

impl Teller {
    fn new(json: bool) -> Teller {
        let dir = tempfile::tempdir().unwrap();
        Teller { dir, json, names: Names::default(), pages: BTreeMap::new() }
    }

    fn output(&self, args: &[&str]) -> Output {
        let mut command = pulse();
        let song = self.dir.path().join("song");
        let here = if song.exists() { song } else { self.dir.path().to_owned() };
        if self.json {
            command.arg("--json");
        }
        command.current_dir(here).args(args).output().unwrap()
    }

    /// Runs a command and writes what it says onto a page.
    fn say(&mut self, page: &str, args: &[&str]) {
        let output = self.output(args);
        let code = output.status.code().unwrap_or(-1);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let here = |bytes: &[u8]| process_hidden(&hide_dir(&text(bytes), self.dir.path()));
        let (out, err) = (here(&output.stdout), here(&output.stderr));
        let line = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
        let json = if self.json { " --json" } else { "" };
        let mut told = format!("$ pulse{json} {line}\n");
        told += &self.pretty(page, &out);
        for line in self.pretty(page, &err).lines() {
            let _ = writeln!(told, "! {line}");
        }
        if code != 0 {
            let _ = writeln!(told, "? {code}");
        }
        let told = self.names.hide(&hide_dir(&told, self.dir.path()));
        let page = self.pages.entry(page.to_owned()).or_default();
        page.push_str(&told);
        page.push('\n');
    }

    fn pretty(&self, page: &str, text: &str) -> String {
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) if self.json => {
                still(&mut value);
                format!("{value:#}\n")
            }
            _ if COUNTING.contains(&page) && !self.json => digits_hidden(text),
            _ => text.to_owned(),
        }
    }

    /// Something that is needed for the story and on no page.
    fn ask(&self, args: &[&str]) -> Value {
        let song = self.dir.path().join("song");
        crate::harness::run_json(&song, args)
    }
}

fn quoted(arg: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./@~:=".contains(letter);
    if !arg.is_empty() && arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}

/// Numbers of the machine become 0.
fn still(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(still),
        Value::Object(fields) => {
            for (name, field) in fields {
                if OF_THE_MACHINE.contains(&name.as_str()) && field.is_number() {
                    *field = json!(0);
                } else if name == "ahead" && field.is_object() {
                    // What the workers had done by then.
                    *field = json!({});
                } else {
                    still(field);
                }
            }
        }
        _ => {}
    }
}

fn hide_dir(text: &str, dir: &Path) -> String {
    let real = dir.canonicalize().unwrap();
    text.replace(&real.display().to_string(), "DIR").replace(&dir.display().to_string(), "DIR")
}

/// Who holds a lock: `in process 4242 on vm`.
fn process_hidden(text: &str) -> String {
    let mut parts = text.split("in process ");
    let mut hidden = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.splitn(4, [' ', '\n']).nth(3).unwrap_or_default();
        hidden += &format!("in process PID on HOST {rest}");
    }
    hidden
}

/// A `#` for every number, line by line.
fn digits_hidden(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(digits_of_line_hidden).collect();
    lines.join("\n")
}

fn digits_of_line_hidden(text: &str) -> String {
    let mut hidden = String::new();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let number = |word: &str| word.chars().any(|letter| letter.is_ascii_digit());
        // Ids and hashes have names of their own.
        let id = word.contains('_') || word.len() > 24;
        let mut last = ' ';
        for letter in word.chars() {
            let digit = letter.is_ascii_digit() || letter == '.' && last == '#';
            match digit && number(word) && !id {
                true if last == '#' => {}
                true => {
                    last = '#';
                    hidden.push('#');
                }
                false => {
                    last = letter;
                    hidden.push(letter);
                }
            }
        }
        if words.peek().is_some() {
            hidden.push(' ');
        }
    }
    hidden
}

/// Names for what has another one in every run.
#[derive(Default)]
struct Names {
    ids: BTreeMap<String, String>,
    counts: BTreeMap<String, u32>,
}

impl Names {
    fn hide(&mut self, text: &str) -> String {
        let mut hidden = String::new();
        let mut word = String::new();
        for letter in text.chars().chain(['\n']) {
            if letter.is_ascii_alphanumeric() || letter == '_' {
                word.push(letter);
                continue;
            }
            hidden.push_str(&self.name(&word));
            word.clear();
            hidden.push(letter);
        }
        hidden.pop();
        times_hidden(&hidden)
    }

    fn name(&mut self, word: &str) -> String {
        let hex = |text: &str| text.chars().all(|letter| letter.is_ascii_hexdigit());
        let digit = word.chars().any(|letter| letter.is_ascii_digit());
        if hex(word) && digit && ([10, 16, 32, 64].contains(&word.len())) {
            return "HASH".to_owned();
        }
        let Some((prefix, rest)) = word.split_once('_') else { return word.to_owned() };
        if prefix.len() != 3 || rest.len() != 26 {
            return word.to_owned();
        }
        if let Some(known) = self.ids.get(word) {
            return known.clone();
        }
        let count = self.counts.entry(prefix.to_owned()).or_default();
        *count += 1;
        let name = format!("{prefix}_{count}");
        self.ids.insert(word.to_owned(), name.clone());
        name
    }
}

/// `2026-01-31T23:59:59.999Z` and `2026-01-31 23:59` become `TIME`.
fn times_hidden(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let digits = |at: usize, count: usize| {
        letters.get(at..at + count).is_some_and(|all| all.iter().all(char::is_ascii_digit))
    };
    let is = |at: usize, letter: char| letters.get(at) == Some(&letter);
    let mut hidden = String::new();
    let mut at = 0;
    while at < letters.len() {
        let date = digits(at, 4) && is(at + 4, '-') && digits(at + 5, 2) && is(at + 7, '-');
        let clock = digits(at + 11, 2) && is(at + 13, ':') && digits(at + 14, 2);
        if date && digits(at + 8, 2) && clock {
            hidden.push_str("TIME");
            let end = if is(at + 10, 'T') { at + 24 } else { at + 16 };
            at = end.min(letters.len());
            continue;
        }
        hidden.push(letters[at]);
        at += 1;
    }
    hidden
}

/// The song that every page is about.
fn tell(teller: &mut Teller) {
    teller.say("status", &["status"]);
    teller.say("new", &["new", "song", "--actor", "00000000000000000000000000000007"]);
    teller.say("new", &["new", "../song"]);
    teller.say("new", &["new", "../other", "--template", "nonsense"]);
    teller.say("new", &["new", "../other", "--actor", "seven"]);
    teller.say("new", &["new", "../big", "--template", "stress:2x3"]);
    teller.say("status", &["status"]);
    beginning(teller);
    versions(teller);
    conflict(teller);
    steps(teller);
    views(teller);
    sound(teller);
    media(teller);
    served(teller);
    care(teller);
}

fn beginning(teller: &mut Teller) {
    teller.say(
        "do",
        &[
            "do",
            "track.create",
            r#"{"name": "Bass", "kind": "instrument", "nodes": ["pulse.synth", "pulse.eq"]}"#,
        ],
    );
    let lanes = teller.ask(&["do", "project.find", r#"{"kind": "lane"}"#]);
    let lane = &lanes["entities"][0]["id"];
    let notes = json!([{"pitch": 36, "start": 0, "length": QUARTER}, {"pitch": 43, "start": 2 * QUARTER, "length": QUARTER}]);
    let clip =
        json!({"lane": lane, "start": 0, "length": 8 * QUARTER, "name": "Riff", "notes": notes});
    teller.say("do", &["do", "clip.create", &clip.to_string()]);
    teller.say("do", &["do", "track.list"]);
    teller.say("do", &["do", "track.creat"]);
    teller.say("do", &["do", "trak.create"]);
    teller.say("do", &["do", "track.create", r#"{"name": 3}"#]);
    teller.say("do", &["do", "track.create", "{"]);
    teller.say("do", &["do", "nonsense"]);
    teller.say("status", &["status"]);
    teller.say("diff", &["diff"]);
}

fn bass(teller: &Teller) -> Value {
    let reply = teller.ask(&["do", "channel.list"]);
    let all = reply["channels"].as_array().unwrap();
    let track = |channel: &&Value| channel["channelKind"] == "track";
    all.iter().find(track).unwrap_or(&all[0])["id"].clone()
}

fn gain(teller: &mut Teller, value: i32) {
    let payload = json!({"channel": bass(teller), "gainDb": value});
    teller.ask(&["do", "channel.setGain", &payload.to_string()]);
}

fn versions(teller: &mut Teller) {
    teller.say("commit", &["commit", "-m", "Bass line"]);
    teller.say("commit", &["commit", "-m", "Nothing"]);
    teller.say("commit", &["commit"]);
    teller.say("status", &["status"]);
    teller.say("diff", &["diff"]);
    teller.say("branch", &["branch", "idea"]);
    teller.say("branch", &["branch", "idea"]);
    teller.say("branch", &["branch"]);
    teller.say("tag", &["tag", "v1"]);
    teller.say("tag", &["tag", "v1"]);
    teller.say("tag", &["tag"]);
    gain(teller, -6);
    teller.say("diff", &["diff"]);
    teller.ask(&["commit", "-m", "Quieter"]);
    teller.say("log", &["log"]);
    teller.say("log", &["log", "idea", "-n", "1"]);
    teller.say("log", &["log", "nowhere"]);
    teller.say("show", &["show", "main"]);
    teller.say("show", &["show", "nowhere"]);
    teller.say("diff", &["diff", "idea", "main"]);
    teller.say("diff", &["diff", "nowhere"]);
    teller.say("switch", &["switch", "nowhere"]);
    teller.say("switch", &["switch", "v1"]);
    teller.say("status", &["status"]);
    teller.say("commit", &["commit", "--allow-empty", "-m", "Nowhere"]);
    teller.say("switch", &["switch", "idea"]);
    teller.say("branch", &["branch"]);
}

/// Both sides move one fader.
fn conflict(teller: &mut Teller) {
    teller.ask(&["do", "track.create", r#"{"name": "Drums"}"#]);
    teller.ask(&["commit", "-m", "Drums"]);
    teller.say("switch", &["switch", "main"]);
    teller.say("merge", &["merge", "idea", "--preview"]);
    teller.say("merge", &["merge", "idea"]);
    teller.say("merge", &["merge", "idea"]);
    teller.say("merge", &["merge", "nowhere"]);
    teller.say("resolve", &["resolve"]);
    teller.ask(&["branch", "louder"]);
    gain(teller, -3);
    teller.ask(&["commit", "-m", "A little louder"]);
    teller.ask(&["switch", "louder"]);
    gain(teller, -12);
    teller.ask(&["commit", "-m", "Much quieter"]);
    teller.say("merge", &["merge", "main", "--preview"]);
    teller.say("merge", &["merge", "main"]);
    teller.say("status", &["status"]);
    teller.say("resolve", &["resolve"]);
    teller.say("resolve", &["resolve", "--value", "x"]);
    teller.say("resolve", &["resolve", "--theirs"]);
    teller.say("resolve", &["resolve", "--theirs"]);
    teller.ask(&["commit", "-m", "Together"]);
    teller.say("log", &["log", "-n", "2"]);
}

fn steps(teller: &mut Teller) {
    gain(teller, -9);
    teller.say("undo", &["undo"]);
    teller.say("redo", &["redo"]);
    teller.say("redo", &["redo"]);
    teller.say("undo", &["undo", "--context", "mixer"]);
    teller.say("undo", &["undo", "--context", "nonsense"]);
    teller.say("revert", &["revert", "main"]);
    teller.say("revert", &["revert", "--only", "timeline", "main"]);
    teller.say("revert", &["revert", "nowhere"]);
    teller.ask(&["switch", "idea"]);
    teller.say("pick", &["pick", "main"]);
    teller.say("pick", &["pick", "--only", "timeline", "main"]);
    teller.say("pick", &["pick", "nowhere"]);
    teller.ask(&["commit", "-m", "Picked", "--allow-empty"]);
    teller.ask(&["switch", "main"]);
}

fn views(teller: &mut Teller) {
    let names =
        ["arrangement", "mixer", "routing", "cohorts", "media", "branches", "history", "timeline"];
    for name in names {
        teller.say("view", &["view", name]);
    }
    teller.say("view", &["view", "diff", r#"{"from": "v1", "rev": "main"}"#]);
    let track = of_kind(teller, "track");
    teller.say("view", &["view", "track", &track]);
    let clip = of_kind(teller, "clip");
    teller.say("view", &["view", "clip", &clip]);
    let lane = swell(teller, &track);
    teller.say("view", &["view", "automation", &lane]);
    teller.say("view", &["view", "mixer", r#"{"window": {"rows": 1}}"#]);
    teller.say("view", &["view", "clip", &track]);
    teller.say("view", &["view", "automation"]);
    teller.say("view", &["view", "routing", "--format", "dot"]);
    teller.say("view", &["view", "mixer", "--format", "dot"]);
    teller.say("view", &["view", "nonsense"]);
    teller.say("schema", &["schema", "--format", "nonsense"]);
    teller.say("completions", &["completions", "nonsense"]);
}

/// The first entity of a kind.
fn of_kind(teller: &Teller, kind: &str) -> String {
    let find = json!({"kind": kind, "page": {"limit": 1}}).to_string();
    let found = teller.ask(&["do", "project.find", &find]);
    found["entities"][0]["id"].as_str().unwrap().to_owned()
}

/// Gives a track a curve; the lane that it lies on.
fn swell(teller: &mut Teller, track: &str) -> String {
    let lane = json!({"track": track, "kind": "automation", "name": "Swell"}).to_string();
    let lane = teller.ask(&["do", "lane.create", &lane])["lane"].clone();
    let target = json!({"target": bass(teller), "parameter": "gainDb"});
    let points = json!([
        {"at": 0, "value": -24.0, "shape": "linear"},
        {"at": 4 * QUARTER, "value": -3.0, "shape": "hold"},
        {"at": 8 * QUARTER, "value": -12.0, "shape": "linear"},
    ]);
    let owner = json!({"lane": {"lane": lane}});
    let envelope = json!({"owner": owner, "target": target, "points": points});
    teller.ask(&["do", "automation.createEnvelope", &envelope.to_string()]);
    lane.as_str().unwrap().to_owned()
}

fn sound(teller: &mut Teller) {
    teller.say("render", &["render", "-o", "../mix.wav", "--from", "1.1.1", "--to", "2.1.1"]);
    teller.say("render", &["render", "-o", "../mix.wav", "--from", "1.1.1", "--to", "2.1.1"]);
    teller.say("render", &["render", "-o", "../mix.xyz"]);
    teller.say("render", &["render"]);
    teller.say("render", &["render", "-o", "../mix.wav", "--rev", "nowhere"]);
    teller.say("play", &["play", "--host", "nonsense"]);
    teller.say("play", &["play", "--host", "null", "--seconds", "1"]);
}

fn media(teller: &mut Teller) {
    let kick = root().join("tests/fixtures/audio");
    let kick = first_wav(&kick).expect("a sound among the fixtures");
    fs::copy(kick, teller.dir.path().join("kick.wav")).unwrap();
    teller.say("media", &["media", "list"]);
    teller.say("media", &["media", "add", "../kick.wav", "--tag", "drums"]);
    teller.say("media", &["media", "add", "../kick.wav"]);
    teller.say("media", &["media", "add", "../nowhere.wav"]);
    teller.say("media", &["media", "add"]);
    teller.say("media", &["media", "list"]);
    teller.say("view", &["view", "media"]);
    fs::remove_dir_all(teller.dir.path().join("song/Media")).unwrap();
    teller.say("media", &["media", "list", "--missing"]);
    teller.say("status", &["status"]);
    teller.say("media", &["media", "relink", "."]);
    teller.say("media", &["media", "relink", ".."]);
    teller.say("media", &["media", "relink", "../nowhere"]);
    teller.say("media", &["media", "list", "--missing"]);
}

/// A wave file below a folder, the first by name.
fn first_wav(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let wav = |path: &&PathBuf| path.extension().is_some_and(|it| it == "wav");
    entries.iter().find(wav).cloned()
}

/// The same pages while a server has the project.
fn served(teller: &mut Teller) {
    teller.say("call", &["call", "session.status", "--socket", "../nowhere.sock"]);
    teller.say("serve", &["serve", "--set", "limits.client=3"]);
    teller.say("serve", &["serve", "--set", "limits.clients=0"]);
    teller.say("serve", &["serve", "--tcp", "8.8.8.8:1"]);
    let mut server = Server::start(teller.dir.path(), &[]);
    teller.say("serve", &["serve", "--socket", "../other.sock"]);
    let socket = server.socket.display().to_string();
    teller.say("call", &["call", "track.list", "--socket", &socket]);
    teller.say("call", &["call", "track.creat", "--socket", &socket]);
    teller.say("call", &["call", "track", "--socket", &socket]);
    teller.say("status", &["status"]);
    teller.say("fsck", &["fsck"]);
    teller.say("fsck", &["fsck", "--repair"]);
    teller.say("gc", &["gc"]);
    teller.say("watch", &["watch", "nonsense", "--socket", &socket]);
    assert_eq!(server.terminate().code(), Some(0));
}

fn care(teller: &mut Teller) {
    teller.say("fsck", &["fsck"]);
    teller.say("gc", &["gc"]);
    teller.say("doctor", &["doctor"]);
    fs::write(teller.dir.path().join("log.jsonl"), "{}\n").unwrap();
    teller.say("replay", &["replay", "../log.jsonl"]);
    teller.say("replay", &["replay", "../nowhere.jsonl"]);
    let log = root().join("tests/compat/v1/commands.jsonl");
    fs::copy(log, teller.dir.path().join("log.jsonl")).unwrap();
    teller.say("replay", &["replay", "../log.jsonl", "../again"]);
    teller.say("replay", &["replay", "../log.jsonl", "../again"]);
}

fn compare(name: &str, found: &str, stale: &mut Vec<String>) {
    let path = root().join("tests/golden").join(name);
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known == found {
        return;
    }
    if std::env::var_os("PULSE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
        return;
    }
    let pairs = known.lines().zip(found.lines());
    let at = pairs.take_while(|(known, found)| known == found).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
    stale.push(format!("{name}:{}: was {:?}, is {:?}", at + 1, line(&known), line(found)));
}

fn check(pages: impl IntoIterator<Item = (String, String)>) {
    let mut stale = Vec::new();
    for (name, page) in pages {
        compare(&name, &page, &mut stale);
    }
    assert!(stale.is_empty(), "PULSE_GOLDEN=1 writes them anew:\n{}", stale.join("\n"));
}

#[test]
fn pages_for_people_are_as_they_were() {
    let mut teller = Teller::new(false);
    tell(&mut teller);
    check(teller.pages.into_iter().map(|(page, text)| (format!("{page}.txt"), text)));
}

#[test]
fn pages_for_programs_are_as_they_were() {
    let mut teller = Teller::new(true);
    tell(&mut teller);
    check(teller.pages.into_iter().map(|(page, text)| (format!("{page}.json.txt"), text)));
}

/// The commands that `pulse help` lists.
fn subcommands(args: &[&str]) -> Vec<String> {
    let output = pulse().args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let named = listed.take_while(|line| line.starts_with("  "));
    named
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.trim().split(' ').next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_has_a_help_page_with_examples_and_golden_pages() {
    let mut pages = vec![("help/pulse.txt".to_owned(), help(&[]))];
    for name in subcommands(&["--help"]) {
        pages.push((format!("help/{name}.txt"), help(&[&name])));
        let inner = if name == "media" { subcommands(&[&name, "--help"]) } else { Vec::new() };
        for part in inner {
            pages.push((format!("help/{name}-{part}.txt"), help(&[&name, &part])));
        }
    }
    let without: Vec<_> =
        pages.iter().filter(|(_, page)| !page.contains("pulse ")).map(|(name, _)| name).collect();
    assert!(without.is_empty(), "no examples in {without:?}");
    for (name, page) in &pages {
        let example = page.contains("Example") || name == "help/pulse.txt";
        assert!(example, "{name} has no example");
        let command = name.trim_start_matches("help/").trim_end_matches(".txt");
        let golden = root().join(format!("tests/golden/{command}.txt"));
        // These end with numbers of the machine only, and have journeys of their own.
        let elsewhere = ["pulse", "demo", "devices"].contains(&command) || command.contains('-');
        assert!(elsewhere || golden.exists(), "`pulse {command}` is on no golden page");
    }
    check(pages);
}

fn help(command: &[&str]) -> String {
    let output = pulse().args(command).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
