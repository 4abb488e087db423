//! The session: what is open, and how a command gets from typed to done.
//!
//! It knows no sockets and no threads, so that the command line can run it in
//! its own process and a test can run it without either.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use pulse_engine::registry::Registry;
use pulse_query::host::Host as Derivations;
use pulse_schemas::{
    command::{
        Command,
        project::Batch,
        reply::resolve_references,
        session::{EngineState, SessionState, Warning},
    },
    entity::{AnyEntity, Conflict, PanLaw},
    error::{ErrorBody, ErrorCode},
    frame::stream::StreamFrame,
    hash::Hash,
    job::Job,
};
use pulse_store::{
    project::Project,
    tx::{Committed, Ticket, TxMeta},
    view::View,
};
use serde_json::{Value, json};

use crate::{
    changed::changed,
    command_log::{What, hex},
    commands::{self, edit::Edit, media::ahead::Moved},
    config::Config,
    live::{ControlStream, Gesture, Live},
    model::Published,
    places::{self, Move},
    recent::Recent,
    refusal::{Refusal, Reply},
    renders::Renders,
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Caller {
    /// Whose undo it is.
    pub instance_id: String,
    pub client_id: String,
    pub author: String,
    /// Connection, where there is one: subscriptions and gestures belong to it.
    pub connection: u64,
}

impl Caller {
    /// The person at the command line.
    pub fn local(author: impl Into<String>) -> Caller {
        Caller {
            instance_id: "cli".into(),
            client_id: "pulse-cli".into(),
            author: author.into(),
            connection: 0,
        }
    }
}

/// Connections and what waits for whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub clients: u32,
    /// Commands behind the one that is being done.
    pub queued_commands: u32,
    /// Bytes that wait to be written to clients.
    pub queued_bytes: usize,
}

/// What became of a command.
pub struct Done {
    pub reply: Result<Value, ErrorBody>,
    pub events: Vec<Published>,
    /// Set when the reply promises something that is on its way to the disk.
    pub ticket: Option<Ticket>,
}

/// The open project.
pub struct Open {
    pub project: Project,
    /// The project's folder; none in memory.
    pub path: Option<PathBuf>,
}

/// Stops the audio engine and starts it again; true leaves plugins out.
pub type RestartEngine = Box<dyn FnMut(bool) -> Result<(), Refusal> + Send>;

impl Open {
    /// The folder as clients see it; empty in memory.
    pub fn shown_path(&self) -> String {
        self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

pub struct Session {
    pub config: Arc<Config>,
    pub registry: Arc<Registry>,
    /// How new channels pan: at 0 dB in the middle, so that neither a track nor a group around
    /// it changes a level. A replay has what its log had.
    pub pan_law: PanLaw,
    pub state: SessionState,
    pub open: Option<Open>,
    /// What follows from the open project, once somebody asked.
    pub derived: Option<Derivations>,
    pub live: Live,
    /// When the process began to serve it.
    pub started: std::time::Instant,
    /// Events of the command that is being done.
    pub outbox: Vec<Published>,
    /// The last transaction of the command that is being done.
    pub ticket: Option<Ticket>,
    /// What everybody should know until it is over.
    pub warnings: Vec<Warning>,
    /// Warnings that somebody took away while their cause is still there.
    pub dismissed: BTreeSet<String>,
    /// Work that goes on in the background, as its owner reports it.
    pub jobs: Vec<Job>,
    pub renders: Renders,
    pub engine: EngineState,
    /// Set while an audio engine is attached.
    pub restart_engine: Option<RestartEngine>,
    /// What goes on around the session, as its host sees it.
    pub traffic: Traffic,
    pub recent: Recent,
    /// Where this process takes commands, for whoever finds the project locked.
    pub socket: Option<String>,
    /// The command that is being done, and what the history calls it.
    pub doing: (String, String),
    /// Where time comes from; a replay puts the log's own clock here.
    pub clock: fn() -> i64,
    /// The time of what is being done: one, however long it takes, so that a replay
    /// can give it again.
    pub time: i64,
    /// The state of the project that the playback was shown last.
    shown: Option<Hash>,
}

impl Session {
    pub fn new(config: Arc<Config>) -> Session {
        Session {
            config,
            registry: Arc::new(Registry::standard()),
            pan_law: PanLaw::Balance,
            state: SessionState::Unloaded,
            open: None,
            derived: None,
            live: Live::default(),
            started: std::time::Instant::now(),
            outbox: Vec::new(),
            ticket: None,
            warnings: Vec::new(),
            dismissed: BTreeSet::new(),
            jobs: Vec::new(),
            renders: Renders::default(),
            engine: EngineState::Stopped,
            restart_engine: None,
            traffic: Traffic::default(),
            recent: Recent::of_user(),
            socket: None,
            doing: Default::default(),
            clock: || crate::clock::now().0,
            time: crate::clock::now().0,
            shown: None,
        }
    }

    /// A session over a project that is open already.
    pub fn over(config: Arc<Config>, project: Project) -> Session {
        let mut session = Session::new(config);
        let path = project.dir().map(std::path::Path::to_owned);
        session.open = Some(Open { project, path });
        session.state = SessionState::Loaded;
        session
    }

    /// A reply waits for all that its command wrote: commits, branches and tags come without a
    /// ticket of their own.
    fn promise(&mut self, before: Option<u64>) {
        let open = self.open.as_ref().filter(|open| Some(open.project.seq()) != before);
        let ticket = open.map(|open| open.project.ticket());
        if let Some(ticket) = ticket.filter(|ticket| !ticket.is_durable()) {
            self.ticket = Some(ticket);
        }
    }

    /// Does one command.
    pub fn execute(
        &mut self,
        caller: &Caller,
        command: &Command,
        expect_revision: Option<u64>,
    ) -> Done {
        self.outbox.clear();
        self.ticket = None;
        self.time = (self.clock)();
        let counters = self.counters();
        let spec = command.spec();
        self.doing = (spec.full_name(), spec.summary());
        let before = self.open.as_ref().map(|open| open.project.seq());
        let reply = self.check_revision(expect_revision).and_then(|()| {
            if spec.is_edit() {
                self.edit(caller, command)
            } else if spec.read_only() && !commands::loads(command) {
                commands::ask(self, caller, command)
            } else {
                commands::act(self, caller, command)
            }
        });
        if !spec.read_only() || commands::loads(command) {
            self.show();
        }
        match reply {
            Ok(reply) => {
                self.promise(before);
                if !spec.read_only() && !commands::tells_by_itself(command) {
                    let (domain, name) = (spec.domain.name(), spec.name);
                    self.outbox.insert(0, Published { domain, name, payload: reply.clone() });
                }
                self.log_command(caller, command, expect_revision, counters, None);
                Done {
                    reply: Ok(reply),
                    events: std::mem::take(&mut self.outbox),
                    ticket: self.ticket.take(),
                }
            }
            Err(Refusal(error)) => {
                self.log_command(caller, command, expect_revision, counters, Some(&error.code));
                Done { reply: Err(error), events: Vec::new(), ticket: None }
            }
        }
    }

    /// Called many times a second: what moves by itself. The transport is told
    /// about thirty times a second while it plays.
    pub fn tick(&mut self) -> Vec<Published> {
        const EVERY: std::time::Duration = std::time::Duration::from_millis(33);
        let due = self.live.told.is_none_or(|told| told.elapsed() >= EVERY);
        if !due || !self.live.transport.is_moving() {
            return Vec::new();
        }
        self.live.told = Some(std::time::Instant::now());
        let Ok(state) = commands::transport::state(self) else { return Vec::new() };
        let payload = json!({ "state": state });
        vec![Published { domain: "transport", name: "state", payload }]
    }

    /// Has the playback play what the project holds now, where that is new to it.
    pub fn show(&mut self) {
        let open = self.open.as_ref();
        let root = open.map(|open| open.project.root());
        if root == self.shown {
            return;
        }
        self.shown = root;
        let cache = self.cache_slot();
        self.live.playback.keep_clips_in(cache);
        let open = self.open.as_ref();
        let view = open.map(|open| (open.project.view(), open.path.clone()));
        let revision = view.as_ref().map(|(view, path)| (view, path.as_deref()));
        self.live.playback.follow(revision);
    }

    /// Plays through `playback` from now on.
    pub fn attach(&mut self, playback: Box<dyn crate::playback::Playback>) {
        self.live.playback = playback;
        self.live.playback.set_roles(&self.live.roles);
        let seeds = commands::cohort::seeds(self);
        self.live.playback.set_seeds(&seeds);
        let Live { meters, playback, .. } = &mut self.live;
        for stream in meters.values() {
            if let Err(reason) = playback.watch(stream.number, stream.kind, &stream.channels) {
                tracing::warn!(reason, "a stream of meters ends with its engine");
            }
        }
        self.engine = self.live.playback.state();
        self.shown = None;
        self.show();
    }

    fn check_revision(&self, expected: Option<u64>) -> Result<(), Refusal> {
        let Some(expected) = expected else { return Ok(()) };
        let found = self.project()?.seq();
        if found == expected {
            return Ok(());
        }
        let text = format!("the project is at revision {found}, not at {expected}");
        Err(Refusal::new(ErrorCode::ConflictStale, text).with("revision", found))
    }

    /// The open project, or the error that says that none is.
    pub fn project(&self) -> Result<&Project, Refusal> {
        self.open.as_ref().map(|open| &open.project).ok_or_else(|| self.nothing_open())
    }

    pub fn project_mut(&mut self) -> Result<&mut Project, Refusal> {
        if self.open.is_none() {
            return Err(self.nothing_open());
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.project),
            None => Err(Refusal::internal("no project")),
        }
    }

    fn nothing_open(&self) -> Refusal {
        let state = serde_json::to_value(self.state).unwrap_or_default();
        Refusal::new(ErrorCode::SessionState, "no project is open").with("state", state)
    }

    pub fn view(&self) -> Result<View, Refusal> {
        Ok(self.project()?.view())
    }

    /// What a transaction of this caller is noted with.
    pub fn meta(&self, caller: &Caller, command: &Command) -> Result<TxMeta, Refusal> {
        let spec = command.spec();
        let payload = command.payload()?;
        let log = json!({"domain": spec.domain.name(), "name": spec.name, "payload": payload});
        Ok(TxMeta {
            label: spec.summary().trim_end_matches('.').to_owned(),
            contexts: Vec::new(),
            author: caller.author.clone(),
            client: caller.instance_id.clone(),
            command: serde_json::to_vec(&log)?,
            coalesce: None,
            time: self.time,
        })
    }

    /// The same for acts which the store names itself.
    pub fn unlabelled(&self, caller: &Caller, command: &Command) -> Result<TxMeta, Refusal> {
        Ok(TxMeta { label: String::new(), ..self.meta(caller, command)? })
    }

    /// One transaction for one edit or for a batch of them.
    fn edit(&mut self, caller: &Caller, command: &Command) -> Reply {
        let reply = self.try_edit(caller, command);
        self.settle_files(reply.is_ok());
        reply
    }

    fn try_edit(&mut self, caller: &Caller, command: &Command) -> Reply {
        let meta = self.meta(caller, command)?;
        if let Some(done) = commands::whole(self, command, &meta) {
            let (mut reply, committed) = done?;
            if let Value::Object(fields) = &mut reply {
                fields.insert("edit".to_owned(), receipt(&committed));
            }
            self.committed(committed);
            return Ok(reply);
        }
        let registry = Arc::clone(&self.registry);
        let limit = usize::try_from(self.config.limits_batch).unwrap_or(usize::MAX);
        let now = meta.time;
        let Session { open, live, .. } = self;
        let Some(Open { project, path }) = open else { return Err(self.nothing_open()) };
        live.events.clear();
        let mut tx = project.begin(meta);
        let mut edit = Edit {
            tx: &mut tx,
            registry: &registry,
            pan_law: self.pan_law,
            author: &caller.author,
            caller,
            live,
            folder: path.as_deref(),
            now,
        };
        let mut reply = match command {
            Command::Project(pulse_schemas::command::project::Command::Batch(batch)) => {
                run_batch(&mut edit, batch, limit)?
            }
            command => commands::edit(&mut edit, command)?,
        };
        self.doing.1 = tx.label().to_owned();
        let committed = tx.commit()?;
        if let Value::Object(fields) = &mut reply {
            fields.insert("edit".to_owned(), receipt(&committed));
        }
        self.committed(committed);
        Ok(reply)
    }

    /// Removes the originals of files that were moved, once the edit that says so is durable and
    /// it is noted where they went: until then they are what the project names after a crash, and
    /// without a note what older versions name. Of an edit that failed, it removes the copies.
    fn settle_files(&mut self, done: bool) {
        let touched = self.live.facts.take_touched();
        let gone = match done {
            false => touched.made,
            true if touched.moved.is_empty() => return,
            true => match self.note_moves(&touched.moved) {
                Ok(()) => touched.moved.into_iter().map(|moved| moved.from).collect(),
                Err(Refusal(error)) => {
                    return tracing::warn!(%error.message, "the originals of moved files stay");
                }
            },
        };
        for path in gone {
            if let Err(error) = commands::media::files::remove(&path) {
                let file = path.display();
                tracing::warn!(%error, %file, "a file that is not needed any more stays");
            }
        }
    }

    fn note_moves(&self, moved: &[Moved]) -> Result<(), Refusal> {
        self.ticket.as_ref().map_or(Ok(()), Ticket::wait).map_err(Refusal::internal)?;
        let folder = self.open.as_ref().and_then(|open| open.path.as_deref());
        let Some(folder) = folder else {
            return Err(Refusal::internal("a project in memory keeps no notes of moves"));
        };
        let moves: Vec<Move> =
            moved.iter().map(|it| Move::new(folder, &it.from, &it.to, it.file.as_ref())).collect();
        places::note(folder, &moves).map_err(Refusal::internal)
    }

    /// Runs several edits of the server's own as one transaction.
    pub fn transact<R>(
        &mut self,
        meta: TxMeta,
        work: impl FnOnce(&mut Edit<'_, '_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let result = self.try_transact(meta, work);
        self.settle_files(result.is_ok());
        result
    }

    fn try_transact<R>(
        &mut self,
        meta: TxMeta,
        work: impl FnOnce(&mut Edit<'_, '_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let registry = Arc::clone(&self.registry);
        let (author, now) = (meta.author.clone(), meta.time);
        let caller = Caller { instance_id: meta.client.clone(), ..Caller::local(author.clone()) };
        let Session { open, live, .. } = self;
        let Some(Open { project, path }) = open else { return Err(self.nothing_open()) };
        let mut tx = project.begin(meta);
        let mut edit = Edit {
            tx: &mut tx,
            registry: &registry,
            pan_law: self.pan_law,
            author: &author,
            caller: &caller,
            live,
            folder: path.as_deref(),
            now,
        };
        let result = work(&mut edit)?;
        self.doing.1 = tx.label().to_owned();
        let committed = tx.commit()?;
        self.committed(committed);
        Ok(result)
    }

    /// Notes a transaction: its event, its ticket, what follows from it.
    pub fn committed(&mut self, committed: Committed) {
        if let Some(derived) = &mut self.derived
            && let Some(open) = &self.open
            && derived.root() == committed.played.0
            && open.project.view().root() == committed.played.1
        {
            derived.apply(&committed.changes, open.project.view());
        }
        if !committed.changes.is_empty() {
            self.outbox.push(Published {
                domain: "project",
                name: "changed",
                payload: json!(changed(&committed, &self.doing.0, &self.doing.1)),
            });
        }
        let is_conflict = |entity: &Option<Arc<AnyEntity>>| {
            matches!(entity.as_deref(), Some(AnyEntity::Conflict(_)))
        };
        let mut changes = committed.changes.list.iter();
        if changes.any(|change| is_conflict(&change.before) || is_conflict(&change.after)) {
            let conflicts = self.view().ok().and_then(|view| view.all::<Conflict>().ok());
            let remaining = conflicts.map_or(0, |conflicts| conflicts.len());
            self.publish("version", "conflictsChanged", json!({ "remaining": remaining }));
        }
        if let Err(Refusal(error)) = commands::cohort::follow(self, &committed) {
            tracing::warn!(%error.message, "the cohorts could not be assigned");
        }
        self.outbox.append(&mut self.live.events);
        self.ticket = Some(committed.ticket);
    }

    /// Moves on in the session's life and tells everybody.
    pub fn enter(&mut self, state: SessionState) -> Result<(), Refusal> {
        self.state = state;
        self.settled()
    }

    /// Tells where the session stands: its state, and whether there is something to save.
    pub fn settled(&mut self) -> Result<(), Refusal> {
        let dirty = match &self.open {
            Some(open) => open.project.is_dirty()?,
            None => false,
        };
        let project = self.open.as_ref().map(Open::shown_path);
        self.publish(
            "session",
            "changed",
            json!({"state": self.state, "dirty": dirty, "project": project}),
        );
        Ok(())
    }

    /// Lets go of what a connection held. What it had moved becomes an edit: a
    /// cable that is pulled must not undo a turn of a knob that everybody heard.
    pub fn let_go(&mut self, caller: &Caller) -> Vec<Published> {
        self.outbox.clear();
        self.time = (self.clock)();
        let counters = self.counters();
        let own = |holder: &crate::live::Holder| holder.connection == caller.connection;
        let gestures: Vec<Gesture> =
            self.live.gestures.extract_if(.., |_, it| own(&it.holder)).map(|(_, it)| it).collect();
        let streams: Vec<ControlStream> =
            self.live.controls.extract_if(.., |_, it| own(&it.holder)).map(|(_, it)| it).collect();
        let Live { meters, playback, .. } = &mut self.live;
        for (number, _) in meters.extract_if(.., |_, it| it.connection == caller.connection) {
            playback.unwatch(number);
        }
        for open in self.live.editors.values_mut() {
            open.remove(&caller.connection);
        }
        self.live.editors.retain(|_, open| !open.is_empty());
        let seeds = commands::cohort::seeds(self);
        self.live.playback.set_seeds(&seeds);
        self.doing.0 = "parameter.endGesture".to_owned();
        for gesture in gestures {
            let meta = self.own_meta(caller, "Move a parameter");
            let commit = |edit: &mut Edit<'_, '_>| {
                commands::parameter::commit_gesture(edit, &gesture, false)
            };
            if let Err(Refusal(error)) = self.transact(meta, commit) {
                tracing::warn!(%error.message, "a gesture of a client that left is lost");
            }
        }
        self.doing.0 = "gesture.close".to_owned();
        for stream in streams {
            if let Err(Refusal(error)) = self.commit_stream(caller, stream) {
                tracing::warn!(%error.message, "a stream of a client that left is lost");
            }
        }
        // Also where nothing is heard of it: an editor that is closed changes what
        // comes later.
        self.log(What::Left {}, Some(caller), counters, None, 0);
        std::mem::take(&mut self.outbox)
    }

    /// Makes what a stream moved one edit.
    pub fn commit_stream(&mut self, caller: &Caller, stream: ControlStream) -> Result<(), Refusal> {
        if stream.moved.is_empty() {
            return Ok(());
        }
        let meta = self.own_meta(caller, "Move parameters");
        self.transact(meta, |edit| {
            commands::gesture::commit_moved(edit, &stream.targets, stream.moved, false)
        })
    }

    /// Takes in a binary frame of a gesture.
    pub fn stream(&mut self, caller: &Caller, body: &[u8]) -> Result<Vec<Published>, Refusal> {
        self.outbox.clear();
        let frame = StreamFrame::read(body);
        let frame =
            frame.map_err(|error| Refusal::new(ErrorCode::FrameBinary, error.to_string()))?;
        self.time = (self.clock)();
        let counters = self.counters();
        commands::gesture::frame(self, caller, &frame)?;
        if self.live.command_log.is_some() {
            self.log(What::Stream(hex(body)), Some(caller), counters, None, 0);
        }
        Ok(std::mem::take(&mut self.outbox))
    }

    fn own_meta(&self, caller: &Caller, label: &str) -> TxMeta {
        TxMeta {
            author: caller.author.clone(),
            time: self.time,
            ..TxMeta::new(label, caller.instance_id.clone())
        }
    }

    /// Tells everybody something that they should know; the last word about one thing stands.
    pub fn warn(&mut self, warning: Warning) {
        self.publish("session", "warningAdded", json!({ "warning": warning }));
        self.warnings.retain(|known| known.id != warning.id);
        self.warnings.push(warning);
    }

    /// Takes a warning away for everybody.
    pub fn unwarn(&mut self, id: &str) {
        let before = self.warnings.len();
        self.warnings.retain(|warning| warning.id != id);
        if self.warnings.len() < before {
            self.publish("session", "warningCleared", json!({ "id": id }));
        }
    }

    /// Adds an event to the command that is being done.
    pub fn publish(&mut self, domain: &'static str, name: &'static str, payload: Value) {
        self.outbox.push(Published { domain, name, payload });
    }
}

/// What an edit did, as its reply says it.
pub fn receipt(committed: &Committed) -> Value {
    let changed = !committed.changes.is_empty();
    json!({
        "revision": committed.seq,
        "root": committed.after,
        "entry": changed.then_some(committed.seq),
    })
}

/// Commands of one batch, each able to name what an earlier one made.
fn run_batch(edit: &mut Edit<'_, '_>, batch: &Batch, limit: usize) -> Reply {
    if batch.commands.len() > limit {
        let text = format!("a batch takes {limit} commands, this one has {}", batch.commands.len());
        return Err(Refusal::new(ErrorCode::LimitReached, text).with("limit", "limits.batch"));
    }
    let mut replies: Vec<Value> = Vec::new();
    let mut told = Vec::new();
    for (index, call) in batch.commands.iter().enumerate() {
        let reply = run_call(edit, call, &replies).map_err(|cause| failed(index, cause))?;
        told.push(json!({"domain": call.domain, "name": call.name, "payload": reply.clone()}));
        replies.push(reply);
    }
    edit.label(batch.label.clone().unwrap_or_else(|| format!("{} edits", replies.len())));
    Ok(json!({ "replies": told }))
}

fn failed(index: usize, Refusal(cause): Refusal) -> Refusal {
    let text = format!("command {index} of the batch failed: {}", cause.message);
    let cause = serde_json::to_value(cause).unwrap_or_default();
    Refusal::new(ErrorCode::BatchFailed, text).with("index", index).with("cause", cause)
}

fn run_call(
    edit: &mut Edit<'_, '_>,
    call: &pulse_schemas::command::Call,
    replies: &[Value],
) -> Reply {
    let mut payload = call.payload.clone();
    resolve_references(&mut payload, replies).map_err(|error| {
        Refusal::new(ErrorCode::PayloadInvalid, error.to_string()).with("path", error.path)
    })?;
    let decoded = pulse_schemas::command::decode(&call.domain, &call.name, &payload);
    let command = decoded.map_err(|error| Refusal(error.body()))?.value;
    let nested =
        matches!(command, Command::Project(pulse_schemas::command::project::Command::Batch(_)));
    if !command.spec().is_edit() || nested {
        let name = command.spec().full_name();
        let text = format!("`{name}` can't stand in a batch");
        return Err(Refusal::new(ErrorCode::BatchForbidden, text));
    }
    commands::edit(edit, &command)
}

#[cfg(test)]
mod tests {
    use pulse_schemas::command::decode;
    use pulse_store::project::CreateOptions;

    use super::*;

    fn session() -> Session {
        let options = CreateOptions {
            actor: Some(pulse_schemas::id::ActorId(7)),
            ..CreateOptions::default()
        };
        let project = Project::in_memory(options).unwrap();
        let mut session = Session::over(Arc::new(Config::default()), project);
        session.clock = || 0;
        session.transact(TxMeta::new("Set up", "test"), crate::templates::empty).unwrap();
        session
    }

    fn run(session: &mut Session, name: &str, payload: Value) -> Result<Value, ErrorBody> {
        let (domain, name) = name.split_once('.').unwrap();
        let command = decode(domain, name, &payload).unwrap().value;
        session.execute(&Caller::local("Ada"), &command, None).reply
    }

    #[test]
    fn a_track_comes_with_channel_and_lane() {
        let mut session = session();
        let payload = json!({"name": "Bass", "kind": "instrument", "nodes": ["pulse.eq"]});
        let reply = run(&mut session, "track.create", payload).unwrap();
        assert!(reply["channel"].is_string() && reply["lane"].is_string(), "{reply}");
        let tracks = run(&mut session, "track.list", json!({})).unwrap();
        assert_eq!(tracks["tracks"][0]["name"], "Bass");
    }

    #[test]
    fn a_batch_is_all_or_nothing_and_names_what_it_made() {
        let mut session = session();
        let root = session.project().unwrap().root();
        let call = |name: &str, payload: Value| json!({"domain": "track", "name": name, "payload": payload});
        let broken = json!({"commands": [
            call("create", json!({"name": "A"})),
            call("rename", json!({"track": "trk_00000000000000000000000000", "name": "B"})),
        ]});
        let error = run(&mut session, "project.batch", broken).unwrap_err();
        assert_eq!((error.code.as_str(), &error.details["index"]), ("batch.failed", &json!(1)));
        assert_eq!(session.project().unwrap().root(), root);
        let linked = json!({"commands": [
            call("create", json!({"name": "A"})),
            call("rename", json!({"track": "$0.track", "name": "B"})),
        ]});
        run(&mut session, "project.batch", linked).unwrap();
        let tracks = run(&mut session, "track.list", json!({})).unwrap();
        assert_eq!(tracks["tracks"][0]["name"], "B");
    }

    #[test]
    fn an_edit_of_a_stale_revision_is_refused() {
        let mut session = session();
        let command = decode("track", "create", &json!({})).unwrap().value;
        let done = session.execute(&Caller::local("Ada"), &command, Some(999));
        assert_eq!(done.reply.unwrap_err().code, "conflict.stale");
    }

    #[test]
    fn a_duplicate_has_everything_of_the_original_under_new_ids() {
        let mut session = session();
        let made = run(&mut session, "track.create", json!({"nodes": ["pulse.eq"]})).unwrap();
        let reply =
            run(&mut session, "track.duplicate", json!({"tracks": [made["track"]]})).unwrap();
        let copies = reply["copies"].as_array().unwrap();
        assert_eq!(copies.len(), 4, "track, channel, lane, node: {reply}");
        assert!(copies.iter().all(|of| of["original"] != of["copy"]));
    }
}
