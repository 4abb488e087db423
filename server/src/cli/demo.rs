//! `pulse demo`: the whole story in one command.
//!
//! It does nothing that a user could not: every step is a command of the
//! table, given to a project in a folder that is there afterwards to play with.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use pulse_engine::registry::Registry;
use pulse_schemas::{
    command::decode,
    error::{ErrorBody, ErrorCode},
};
use pulse_store::{
    cache::DiskCache,
    project::{CreateOptions, Project},
    rev::Rev,
    tx::TxMeta,
};
use serde_json::{Value, json};

use super::{
    access::{Place, io},
    output::{Failure, Output},
    render::{numbers, told},
    versions::changes,
};
use crate::{
    refusal::Refusal,
    rendering::{Outcome, Renderer, RenderingError, Request, Watch, audible_diff, open_cache},
    session::{Caller, Session},
    templates::Template,
};

struct Demo<'a> {
    output: &'a Output,
    session: Session,
    caller: Caller,
    cache: DiskCache,
    registry: Registry,
    dir: PathBuf,
    sound: PathBuf,
    steps: Vec<Value>,
}

pub fn demo(place: &Place, output: &Output, dir: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    let dir = dir.unwrap_or_else(|| PathBuf::from("pulse-demo"));
    if dir.exists() && !was_demo(&dir) {
        let text = format!("{} exists and is no demo; choose another folder", dir.display());
        return Err(ErrorBody::new(ErrorCode::ProjectExists, text).into());
    }
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|error| io(&error, &dir))?;
    }
    let mut demo = Demo::new(place, output, dir)?;
    demo.tell()?;
    let seconds = began.elapsed().as_secs_f64();
    let Demo { session, steps, dir, .. } = demo;
    if let Some(open) = session.open {
        open.project.close().map_err(Refusal::from)?;
    }
    let value = json!({"dir": dir, "seconds": seconds, "steps": steps});
    Ok(output.result(&value, |output| {
        format!(
            "\n{}\nThe project is in {}; try `pulse -p {} log`.\n",
            output.bold(&format!("All of it took {seconds:.1} s.")),
            dir.display(),
            dir.display()
        )
    }))
}

/// Written into the folder, so that only a demo is ever replaced by a demo.
const MARK: &str = ".pulse-demo";

fn was_demo(dir: &Path) -> bool {
    dir.join(MARK).is_file()
}

impl<'a> Demo<'a> {
    fn new(place: &Place, output: &'a Output, dir: PathBuf) -> Result<Demo<'a>, Failure> {
        let time = crate::clock::now().0;
        let options = CreateOptions {
            name: "Demo song".into(),
            author: place.author.clone(),
            time,
            ..CreateOptions::default()
        };
        let project = Project::create(&dir, options).map_err(Refusal::from)?;
        let sound = dir.join("Renders");
        std::fs::create_dir_all(&sound).map_err(|error| io(&error, &sound))?;
        std::fs::write(dir.join(MARK), "").map_err(|error| io(&error, &dir))?;
        let config = super::access::config()?;
        let cache = open_cache(&dir, config.render_cache_bytes)
            .map_err(|error| Refusal::from(RenderingError::from(error)))?;
        let mut session = Session::over(Arc::new(config), project);
        let meta =
            TxMeta { author: place.author.clone(), time, ..TxMeta::new("Write the song", "cli") };
        session.transact(meta, |edit| Template::Demo.build(edit))?;
        Ok(Demo {
            output,
            session,
            caller: place.caller(),
            cache,
            registry: Registry::standard(),
            dir,
            sound,
            steps: Vec::new(),
        })
    }

    fn step(&mut self, title: &str) {
        if !self.output.json {
            self.output.text(&format!("\n{}\n", self.output.bold(title)));
        }
        self.steps.push(json!({ "title": title }));
    }

    fn say(&mut self, text: &str) {
        if !self.output.json {
            self.output.text(text);
        }
    }

    fn fact(&mut self, name: &str, value: Value) {
        if let Some(Value::Object(step)) = self.steps.last_mut() {
            step.insert(name.into(), value);
        }
    }

    fn call(&mut self, name: &str, payload: Value) -> Result<Value, Failure> {
        let (domain, command) = name.split_once('.').unwrap_or((name, ""));
        let typed = decode(domain, command, &payload).map_err(|error| error.body())?;
        let done = self.session.execute(&self.caller, &typed.value, None);
        let reply = done.reply?;
        if let Some(ticket) = done.ticket {
            ticket.wait().map_err(Refusal::internal)?;
        }
        Ok(reply)
    }

    /// The id of a channel, by the name that the song gave it.
    fn channel(&mut self, name: &str) -> Result<Value, Failure> {
        let reply = self.call("channel.list", json!({}))?;
        let channels = reply["channels"].as_array().cloned().unwrap_or_default();
        channels
            .into_iter()
            .find(|channel| channel["name"] == name)
            .map(|channel| channel["id"].clone())
            .ok_or_else(|| Refusal::internal(format!("the demo lost its channel {name}")).into())
    }

    fn gain(&mut self, channel: &str, db: f64) -> Result<(), Failure> {
        let channel = self.channel(channel)?;
        self.call("channel.setGain", json!({"channel": channel, "gainDb": db}))?;
        Ok(())
    }

    /// A parameter of the node of a kind in a channel.
    fn set(&mut self, channel: &str, kind: &str, name: &str, value: f64) -> Result<(), Failure> {
        let channel = self.channel(channel)?;
        let reply = self.call("node.list", json!({"channel": channel}))?;
        let nodes = reply["nodes"].as_array().cloned().unwrap_or_default();
        let node = nodes
            .iter()
            .find(|node| node["nodeKind"] == kind)
            .map(|node| node["id"].clone())
            .ok_or_else(|| Refusal::internal(format!("the demo lost its {kind}")))?;
        let payload = json!({"target": node, "parameter": name, "value": value});
        self.call("parameter.setValue", payload)?;
        Ok(())
    }

    fn commit(&mut self, message: &str) -> Result<(), Failure> {
        self.call("version.commit", json!({"message": message}))?;
        self.say(&format!("  committed: {message}\n"));
        Ok(())
    }

    fn render(&mut self, name: &str) -> Result<Outcome, Failure> {
        let view = self.session.view()?;
        let renderer = Renderer::new(view, &self.registry, Some(&self.dir), &self.cache);
        let path = self.sound.join(format!("{name}.wav"));
        let outcome =
            renderer.mix(&Request::default(), &path, &Watch::default()).map_err(Refusal::from)?;
        self.say(&format!("  {} ", path.display()));
        self.say(&numbers(&told(&outcome.json())));
        self.fact("render", told(&outcome.json()));
        Ok(outcome)
    }

    fn tell(&mut self) -> Result<(), Failure> {
        self.write()?;
        self.branch()?;
        self.merge()?;
        self.listen()?;
        self.undo()
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.step("1. A song: drums, bass, chords, lead, a reverb send, a side chain, a sweep");
        self.commit("The song")?;
        self.render("1-song")?;
        self.step("   Render it again: everything is known");
        let again = self.render("1-song")?;
        self.fact("rendered", json!(again.report.rendered));
        Ok(())
    }

    fn branch(&mut self) -> Result<(), Failure> {
        self.step("2. A branch with a brighter mix, while main gets a quieter one");
        self.call("version.branch", json!({"name": "bright", "switch": true}))?;
        self.gain("Lead", -2.0)?;
        self.gain("Bass", -2.5)?;
        self.set("Chords", "pulse.filter", "resonance", 1.6)?;
        self.commit("Brighter: lead up, bass up, chords with an edge")?;
        self.render("2-bright")?;
        self.call("version.switch", json!({"to": "main"}))?;
        self.gain("Bass", -7.0)?;
        self.set("Space", "pulse.reverb", "decay", 3.0)?;
        self.commit("Darker: bass down, a longer room")?;
        self.step("   What differs between the two");
        let diff = self.call("version.diff", json!({"from": "main", "to": "bright"}))?;
        let page = changes(self.output, &diff);
        self.say(&page);
        self.fact("counts", diff["counts"].clone());
        Ok(())
    }

    fn merge(&mut self) -> Result<(), Failure> {
        self.step("3. Merge: what does not clash is joined, what does is asked about");
        let merged = self.call("version.merge", json!({"from": "bright"}))?;
        let conflicts = merged["conflicts"].as_array().cloned().unwrap_or_default();
        for conflict in &conflicts {
            self.say(&format!(
                "  conflict: {} of the bass channel: main says {}, bright says {}\n",
                conflict["field"].as_str().unwrap_or_default(),
                conflict["ours"].as_str().unwrap_or("nothing"),
                conflict["theirs"].as_str().unwrap_or("nothing"),
            ));
        }
        self.fact("conflicts", json!(conflicts.len()));
        if !conflicts.is_empty() {
            self.call("version.resolve", json!({"take": "theirs"}))?;
            self.say("  decided: theirs\n");
        }
        if merged["commit"].is_null() {
            self.commit("Merge bright")?;
        }
        self.render("3-merged")?;
        Ok(())
    }

    fn listen(&mut self) -> Result<(), Failure> {
        self.step("4. Listen to the difference between the first version and the merge");
        let base = Rev::parse("@~2").map_err(Refusal::internal)?;
        let first = self.session.project()?.view_at(&base).map_err(Refusal::from)?;
        let now = self.session.view()?;
        let folder = self.sound.join("4-difference");
        let of = |view| Renderer::new(view, &self.registry, Some(&self.dir), &self.cache);
        let found = audible_diff(
            &of(first),
            &of(now),
            &Request::default(),
            &[],
            Some(&folder),
            &Watch::default(),
        )
        .map_err(Refusal::from)?;
        let rate = found.outcome.rate;
        for difference in &found.differences {
            let told = difference.json(rate);
            self.say(&format!(
                "  apart from {:.2} s to {:.2} s, by up to {:.1} dB: {}\n",
                told["start_s"].as_f64().unwrap_or_default(),
                told["end_s"].as_f64().unwrap_or_default(),
                told["peak_db"].as_f64().unwrap_or_default(),
                difference.causes.first().map_or("", |cause| cause.text.as_str())
            ));
        }
        self.say(&format!("  {} ", folder.join("difference.wav").display()));
        self.say(&numbers(&told(&found.outcome.json())));
        Ok(())
    }

    fn undo(&mut self) -> Result<(), Failure> {
        self.step("5. Undo: edits go back one by one, and their sound is still known");
        let before = self.session.project()?.root();
        self.gain("Drums", -1.0)?;
        self.set("Lead", "pulse.delay", "feedback", 0.6)?;
        self.set("Chords", "pulse.synth", "cutoff", 2_000.0)?;
        let undone = self.call("history.undo", json!({"count": 3}))?;
        for step in undone["undone"].as_array().into_iter().flatten() {
            self.say(&format!("  undone: {}\n", step["label"].as_str().unwrap_or_default()));
        }
        let after = self.session.project()?.root();
        if before != after {
            return Err(Refusal::internal("undo did not lead back").into());
        }
        self.say(&format!("  the project is {} again\n", after.short()));
        let outcome = self.render("5-undone")?;
        self.fact("rendered", json!(outcome.report.rendered));
        Ok(())
    }
}
