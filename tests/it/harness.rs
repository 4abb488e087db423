//! A real `pulse` in a process of its own, and connections to it that show every
//! byte: what the journeys stand on.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use pulse_schemas::{
    codec::{self, Encoding},
    envelope::{Envelope, Kind},
    frame::{
        FrameDecoder,
        stream::{self, StreamFrame},
    },
};
use serde_json::{Value, json};

/// Nothing that Pulse answers at all takes longer than this, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The short form in CI, the long one with `PULSE_SOAK=1`.
pub fn soak(short: usize, long: usize) -> usize {
    if std::env::var_os("PULSE_SOAK").is_some_and(|value| value != "0") { long } else { short }
}

/// The `pulse` beside this test in the target folder; built where it is missing.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("PULSE_BINARY") {
            return path.into();
        }
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let path = profile.join("pulse");
        if !path.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--package", "pulse-server", "--bin", "pulse", "--target-dir"]);
            build.arg(profile.parent().unwrap()).current_dir(crate::workspace::root());
            if profile.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "`pulse` does not build");
        }
        path
    })
}

/// `pulse` with a fixed author and no settings from outside.
pub fn pulse() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PULSE_") {
            command.env_remove(name);
        }
    }
    command.env("USER", "ada").env_remove("PAGER").env("NO_COLOR", "1");
    command
}

/// Runs `pulse` to its end, in `dir`.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    pulse().current_dir(dir).args(args).output().unwrap()
}

/// The JSON that a successful `pulse --json …` prints.
pub fn run_json(dir: &Path, args: &[&str]) -> Value {
    let output = pulse().current_dir(dir).arg("--json").args(args).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "pulse {args:?}: {} {out} {err}", output.status);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("pulse {args:?}: {error} in {out}"))
}

/// A folder with an empty project in it.
pub fn new_project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    run_json(dir.path(), &["new", "song"]);
    dir
}

/// `pulse serve` on the project `song` of a folder; killed when dropped.
pub struct Server {
    pub child: Child,
    pub ready: Value,
    pub socket: PathBuf,
}

impl Server {
    pub fn start(dir: &Path, settings: &[&str]) -> Server {
        Server::try_start(dir, settings).unwrap_or_else(|output| panic!("{output:?}"))
    }

    /// The output of a server that did not get as far as its ready line.
    pub fn try_start(dir: &Path, settings: &[&str]) -> Result<Server, Output> {
        Server::launch(dir, &["--json", "-p", "song", "serve"], settings)
    }

    /// A server that has no project open.
    pub fn without_project(dir: &Path, settings: &[&str]) -> Server {
        let started = Server::launch(dir, &["--json", "serve"], settings);
        started.unwrap_or_else(|output| panic!("{output:?}"))
    }

    fn launch(dir: &Path, args: &[&str], settings: &[&str]) -> Result<Server, Output> {
        let socket = dir.join("pulse.sock");
        let mut command = pulse();
        command.current_dir(dir).args(args).args(["--tcp", "127.0.0.1:0"]);
        command.arg("--socket").arg(&socket);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(child.wait_with_output().unwrap());
        }
        drain(child.stderr.take().unwrap());
        Ok(Server { child, ready: serde_json::from_str(&line).unwrap(), socket })
    }

    pub fn tcp(&self) -> &str {
        self.ready["tcp"].as_str().unwrap()
    }

    pub fn token(&self) -> &str {
        self.ready["token"].as_str().unwrap()
    }

    /// A client over the Unix socket that has said hello.
    pub fn client(&self, name: &str) -> Wire {
        let mut wire = Wire::unix(self, Encoding::MessagePack);
        wire.hello(name, None);
        wire
    }

    /// A client over TCP, in JSON, that has said hello.
    pub fn tcp_client(&self, name: &str) -> Wire {
        let mut wire = Wire::tcp(self, Encoding::Json);
        wire.hello(name, Some(self.token()));
        wire
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        // The shell's own `kill`: a small system has no other.
        let order = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "SIGTERM did not end the server");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One value of the metrics page; the server needs `metrics.listen=127.0.0.1:0`.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.ready["metrics"].as_str().unwrap()).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let line = page.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end, so that its writer never waits.
fn drain(mut pipe: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = pipe.read_to_string(&mut text);
        if std::env::var_os("PULSE_TEST_LOG").is_some() {
            println!("{text}");
        }
    });
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Socket::Unix(stream) => stream,
            Socket::Tcp(stream) => stream,
        }
    }

    fn set_timeout(&self, timeout: Duration) {
        match self {
            Socket::Unix(stream) => stream.set_read_timeout(Some(timeout)).unwrap(),
            Socket::Tcp(stream) => stream.set_read_timeout(Some(timeout)).unwrap(),
        }
    }
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

enum Next {
    Message(Box<Envelope>),
    Frame(StreamFrame),
}

/// One connection, without the comfort of the client library.
pub struct Wire {
    socket: Socket,
    decoder: FrameDecoder,
    pub encoding: Encoding,
    /// Events that came while somebody waited for an answer.
    pub events: VecDeque<Envelope>,
    /// Binary frames that came while somebody waited for a message.
    pub frames: VecDeque<StreamFrame>,
    prefix: String,
    next: u64,
}

impl Wire {
    pub fn unix(server: &Server, encoding: Encoding) -> Wire {
        Wire::over(Socket::Unix(UnixStream::connect(&server.socket).unwrap()), encoding)
    }

    pub fn tcp(server: &Server, encoding: Encoding) -> Wire {
        let stream = TcpStream::connect(server.tcp()).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire::over(Socket::Tcp(stream), encoding)
    }

    fn over(socket: Socket, encoding: Encoding) -> Wire {
        socket.set_timeout(PATIENCE);
        Wire {
            socket,
            decoder: FrameDecoder::new(1 << 28),
            encoding,
            events: VecDeque::new(),
            frames: VecDeque::new(),
            prefix: "c".into(),
            next: 0,
        }
    }

    /// Introduces the client as the only instance of `name`.
    pub fn hello(&mut self, name: &str, token: Option<&str>) -> Value {
        let payload = json!({
            "clientId": name, "instanceId": format!("{name}-1"), "author": name,
            "protocols": [1], "token": token, "capabilities": {"deltas": true},
        });
        self.ok("client.hello", payload)
    }

    /// Where ids of commands start, for an instance that comes back.
    pub fn with_prefix(mut self, prefix: &str) -> Wire {
        self.prefix = prefix.into();
        self
    }

    /// Raw bytes; false when the server has closed.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.stream().write_all(bytes).is_ok()
    }

    /// A frame around any body.
    pub fn write_frame(&mut self, body: &[u8]) -> bool {
        let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        self.write(&bytes)
    }

    pub fn envelope(&mut self, name: &str, payload: Value) -> Envelope {
        let (domain, command) = name.split_once('.').unwrap();
        self.next += 1;
        Envelope::command(format!("{}{}", self.prefix, self.next), domain, command, payload)
    }

    pub fn post(&mut self, envelope: &Envelope) -> bool {
        let mut bytes = Vec::new();
        codec::encode_frame(self.encoding, envelope, 1 << 28, &mut bytes).unwrap();
        self.write(&bytes)
    }

    /// The next message of any kind; none when the server has closed. Binary frames
    /// are put aside.
    pub fn receive(&mut self) -> Option<Envelope> {
        loop {
            match self.read()? {
                Next::Message(envelope) => return Some(*envelope),
                Next::Frame(frame) => self.frames.push_back(frame),
            }
        }
    }

    /// The next binary frame of a stream; messages are put aside.
    pub fn frame(&mut self, stream: u32) -> StreamFrame {
        loop {
            if let Some(at) = self.frames.iter().position(|frame| frame.stream == stream) {
                return self.frames.remove(at).unwrap();
            }
            match self.read().expect("the server closed instead of a frame") {
                Next::Message(envelope) => self.events.push_back(*envelope),
                Next::Frame(frame) => self.frames.push_back(frame),
            }
        }
    }

    fn read(&mut self) -> Option<Next> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.decoder.next().unwrap() {
                Some(body) if stream::is_stream(body) => {
                    return Some(Next::Frame(StreamFrame::read(body).unwrap()));
                }
                Some(body) => {
                    return Some(Next::Message(Box::new(codec::decode_any(body).unwrap().1)));
                }
                None => match self.socket.stream().read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(count) => self.decoder.push(&buffer[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                        return None;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => panic!("nothing to read: {error}"),
                },
            }
        }
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> Vec<Envelope> {
        std::iter::from_fn(|| self.receive()).collect()
    }

    /// The answer to a command; events are put aside.
    pub fn answer(&mut self, id: &str) -> Envelope {
        loop {
            let envelope = self.receive().expect("the server closed instead of an answer");
            if envelope.cid.as_deref() == Some(id) {
                return envelope;
            }
            self.events.push_back(envelope);
        }
    }

    pub fn ask(&mut self, envelope: &Envelope) -> Envelope {
        assert!(self.post(envelope), "the server has closed");
        self.answer(&envelope.id)
    }

    pub fn call(&mut self, name: &str, payload: Value) -> Envelope {
        let envelope = self.envelope(name, payload);
        self.ask(&envelope)
    }

    pub fn ok(&mut self, name: &str, payload: Value) -> Value {
        let reply = self.call(name, payload.clone());
        assert_eq!(reply.kind, Kind::Event, "{name} {payload}: {:?}", reply.error);
        reply.payload
    }

    /// The error body of a command that has to fail with `code`.
    pub fn refused(&mut self, name: &str, payload: Value, code: &str) -> Value {
        let reply = self.call(name, payload);
        let error = reply.error.unwrap_or_else(|| panic!("{name} should fail with {code}"));
        assert_eq!(error.code.as_str(), code, "{error:?}");
        serde_json::to_value(error).unwrap()
    }

    /// The next event of this name, wherever it is; others stay.
    pub fn event(&mut self, name: &str) -> Envelope {
        let is = |event: &Envelope| format!("{}.{}", event.domain, event.name) == name;
        loop {
            if let Some(at) = self.events.iter().position(is) {
                return self.events.remove(at).unwrap();
            }
            let event = self.receive().expect("the server closed instead of an event");
            self.events.push_back(event);
        }
    }

    pub fn subscribe(&mut self, domains: &[&str], since: Option<Value>) -> Value {
        let topics: Vec<_> = domains.iter().map(|domain| json!({"domain": domain})).collect();
        self.ok("client.subscribe", json!({"topics": topics, "since": since}))
    }

    /// Root hash and revision of the open project.
    pub fn state(&mut self) -> (String, u64) {
        let info = &self.ok("project.info", json!({}))["info"];
        (info["root"].as_str().unwrap().to_owned(), info["revision"].as_u64().unwrap())
    }

    /// Every entity of the project.
    pub fn snapshot(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = Value::Null;
        loop {
            let page = self.ok("project.snapshot", json!({"after": after}));
            all.extend(page["entities"].as_array().unwrap().iter().cloned());
            if page["more"] != true {
                return all;
            }
            after = id_of(all.last().unwrap()).into();
        }
    }
}

/// The id of a record, which has its kind around it.
pub fn id_of(entity: &Value) -> String {
    let find = |value: &Value| value.get("id").and_then(Value::as_str).map(str::to_owned);
    let inner = || entity.as_object()?.values().find_map(find);
    find(entity).or_else(inner).unwrap_or_else(|| panic!("no id in {entity}"))
}

/// Checks the files of the project that nobody has open.
pub fn check_files(dir: &Path) {
    let report = run_json(dir, &["-p", "song", "fsck"]);
    assert_eq!(report["clean"], true, "{report}");
}

/// Numbers that are the same in every run: splitmix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }
}
