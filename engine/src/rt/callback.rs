//! The audio thread's whole world: what a device calls for the next frames.
//!
//! Parcels are taken at the start of a call, transport acts cut it at their very
//! frame, notes and parameters go to their nodes with a frame and cut only
//! those. Whatever is replaced is given back, never freed here.

#![allow(clippy::disallowed_methods, reason = "load is time; it never reaches audio")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

use rtrb::Consumer;

use super::{
    course::{Course, Effect},
    events::{Act, Message, Waiting},
    feedback::Writer,
    handoff::{Parcel, Program, Receiver},
    log::{self, What},
    metronome::Metronome,
    outlet,
    quiet::quietly,
    scope::Scopes,
    song::Song,
    transport::{Jump, Mode},
    wake::Wake,
};
use crate::{
    event::EventBody,
    exec::{Block, Executor},
};

/// Where the transport stands, for whoever can't wait for a snapshot.
#[derive(Default)]
pub(crate) struct Place {
    pub song_frame: AtomicI64,
    /// Frames since the engine started.
    pub clock: AtomicU64,
    /// Frames that nodes have run, up to the block that runs now.
    pub ran: Arc<AtomicU64>,
    /// Messages that have been taken so far.
    pub taken: AtomicU64,
    /// The transport's mode in two bits, and whether it records in a third.
    pub mode: AtomicU64,
    /// When the last call began, in microseconds since the engine was made, at
    /// which frame of the clock, and how many frames it was asked for.
    pub began_us: AtomicU64,
    pub began_clock: AtomicU64,
    pub frames: AtomicU64,
}

/// What a callback is made of.
pub(crate) struct Parts {
    pub rate: u32,
    pub max_block: usize,
    pub receiver: Receiver,
    pub queues: Vec<Consumer<Message>>,
    pub feedback: Writer,
    pub log: log::Writer,
    pub song: Arc<Song>,
    pub xruns: Arc<AtomicU64>,
    pub place: Arc<Place>,
    /// When the engine was made.
    pub epoch: Instant,
    pub tripwire: Option<fn(bool)>,
    /// Whether others count on transport acts to happen at their frames.
    pub keeps_frames: bool,
    pub outlet: outlet::Writer,
}

/// One engine on its audio thread. Owned by one device at a time.
pub struct Callback {
    parts: Parts,
    program: Option<Box<Program>>,
    course: Course,
    waiting: Waiting,
    wake: Wake,
    metronome: Metronome,
    scopes: Scopes,
    taken: u64,
    /// The clock where this turn began.
    began: u64,
    /// Whether what is played elsewhere was told to rest.
    rests: bool,
    mix: [Vec<f32>; 2],
}

impl Callback {
    pub(crate) fn new(parts: Parts) -> Callback {
        super::quiet::install();
        let mix = || vec![0.0; parts.max_block];
        Callback {
            program: None,
            course: Course::new(parts.rate),
            waiting: Waiting::default(),
            wake: Wake::default(),
            metronome: Metronome::new(parts.rate),
            scopes: Scopes::new(),
            taken: 0,
            began: 0,
            rests: false,
            mix: [mix(), mix()],
            parts,
        }
    }

    /// Fills an interleaved buffer with the next frames. `inputs` has a slice per
    /// channel of the device, as long as the buffer has frames, or none at all.
    /// Always called on the real-time thread.
    pub fn run(&mut self, inputs: &[&[f32]], out: &mut [f32], channels: usize) {
        if let Some(tripwire) = self.parts.tripwire {
            tripwire(true);
        }
        self.turn(inputs, out, channels);
        if let Some(tripwire) = self.parts.tripwire {
            tripwire(false);
        }
    }

    fn turn(&mut self, inputs: &[&[f32]], out: &mut [f32], channels: usize) {
        let began = Instant::now();
        let frames = out.len() / channels.max(1);
        let since = began.saturating_duration_since(self.parts.epoch).as_micros() as u64;
        self.parts.place.began_us.store(since, Ordering::Relaxed);
        self.parts.place.began_clock.store(self.course.clock(), Ordering::Relaxed);
        self.parts.place.frames.store(frames as u64, Ordering::Relaxed);
        self.began = self.course.clock();
        self.parts.outlet.begin(since, frames as u64, self.parts.rate);
        let ended = quietly(|| {
            catch_unwind(AssertUnwindSafe(|| self.render(inputs, out, channels.max(1), frames)))
        });
        if ended.is_err() {
            out.fill(0.0);
            self.parts.log.note(self.course.clock(), What::Panicked);
        }
        self.parts.feedback.worked(frames as u64, began.elapsed().as_secs_f64());
        self.parts.place.song_frame.store(self.course.transport().song_frame(), Ordering::Relaxed);
        let mode = match self.course.transport().mode() {
            Mode::Stopped => 0,
            Mode::CountIn => 1,
            Mode::Playing => 2,
            Mode::Paused => 3,
        };
        let recording = u64::from(self.course.transport().recording()) << 2;
        self.parts.place.mode.store(mode | recording, Ordering::Relaxed);
        self.parts.place.ran.store(self.course.ran(), Ordering::Release);
        self.parts.place.clock.store(self.course.clock(), Ordering::Release);
        self.parts.place.taken.store(self.taken, Ordering::Release);
        self.report();
    }

    /// The device says that it was late. Real-time safe.
    pub fn xrun(&self) {
        self.parts.xruns.fetch_add(1, Ordering::Relaxed);
    }

    fn render(&mut self, inputs: &[&[f32]], out: &mut [f32], channels: usize, frames: usize) {
        self.take_messages();
        let mut at = 0;
        while at < frames {
            self.take_parcels();
            self.transport_acts();
            let part = self.part(frames - at);
            let mut cut: [&[f32]; 32] = [&[]; 32];
            let heard = inputs.len().min(32);
            for (cut, input) in cut.iter_mut().zip(&inputs[..heard]) {
                *cut = input.get(at..at + part).unwrap_or(&[]);
            }
            self.step(part, &cut[..heard]);
            interleave(&self.mix, part, &mut out[at * channels..(at + part) * channels], channels);
            at += part;
        }
    }

    fn take_parcels(&mut self) {
        let clock = self.course.clock();
        while self.parts.receiver.next_at().is_some_and(|at| at <= clock) {
            let Some(parcel) = self.parts.receiver.receive() else { return };
            let old = match parcel {
                Parcel::Program(program) => self.take_program(program),
                Parcel::Material(at, mut material) => {
                    if let Some(program) = &mut self.program {
                        program.executor.swap_material(&mut material);
                    }
                    Parcel::Material(at, material)
                }
                Parcel::Capture(mut capture) => {
                    if let Some(program) = &mut self.program {
                        program.executor.capture(&mut capture.nodes);
                        capture.course = Some(self.course.clone());
                    }
                    Parcel::Capture(capture)
                }
                Parcel::Song(song) => Parcel::Song(std::mem::replace(&mut self.parts.song, song)),
                Parcel::Scope(slot, scope) => {
                    let plan = self.program.as_ref().map(|program| program.executor.plan());
                    Parcel::Scope(slot, self.scopes.replace(slot, scope, plan))
                }
                Parcel::Profile(profile) => match &mut self.program {
                    Some(program) => Parcel::Profile(program.executor.swap_profile(profile)),
                    None => Parcel::Profile(profile),
                },
                Parcel::Empty => Parcel::Empty,
            };
            self.parts.receiver.give_back(old);
        }
    }

    fn take_program(&mut self, mut program: Box<Program>) -> Parcel {
        if let Some(old) = &mut self.program {
            report_faults(&mut old.executor, &mut self.parts.feedback);
            program.executor.adopt(&mut old.executor);
            let gone = |key| !program.speakers.iter().any(|speaker| speaker.key == key);
            for speaker in old.speakers.iter().filter(|speaker| gone(speaker.key)) {
                let offset = self.course.clock() - self.began;
                let (key, body) = (speaker.key, EventBody::AllNotesOff);
                self.parts.outlet.say(key, offset, self.parts.rate, body);
            }
        }
        self.parts.feedback.restart(program.executor.plan().outputs.len());
        self.scopes.rebind(program.executor.plan());
        match self.program.replace(program) {
            Some(old) => Parcel::Program(old),
            None => Parcel::Empty,
        }
    }

    fn take_messages(&mut self) {
        for (index, queue) in self.parts.queues.iter_mut().enumerate() {
            while let Ok(message) = queue.pop() {
                self.waiting.push(message);
                self.taken += u64::from(index == 0);
            }
        }
        let count = self.waiting.take_lost();
        if count > 0 {
            self.parts.log.note(self.course.clock(), What::MessagesLost { count });
        }
    }

    /// Does every transport act that is due.
    fn transport_acts(&mut self) {
        while let Some(message) = self.waiting.pop_transport(self.course.clock()) {
            // A frame that nobody keeps means as soon as possible.
            let kept = self.parts.keeps_frames && message.at > 0;
            if !(kept && message.at < self.course.clock() && self.catch_up(message)) {
                self.do_act(message.act);
            }
            self.wake.keep(&self.course);
        }
        self.wake.pass(&self.course);
    }

    /// Goes where an act that comes too late would have led in time; false where
    /// that can't be told any more.
    fn catch_up(&mut self, message: Message) -> bool {
        let now = self.course.clock();
        let found = self.wake.as_if(message.at, message.act, &self.parts.song, now);
        let Some((course, reset)) = found else { return false };
        let by = course.transport().frame() - self.course.transport().frame();
        self.course = course;
        self.follow(Effect { jump: Jump { by, release: true, landed: true }, reset });
        true
    }

    fn do_act(&mut self, act: Act) {
        if let Act::Metronome { on, gain } = act {
            (self.metronome.on, self.metronome.gain) = (on, gain);
        }
        let effect = self.course.act(act, &self.parts.song);
        self.follow(effect);
    }

    fn follow(&mut self, effect: Effect) {
        let Some(program) = &mut self.program else { return };
        program.executor.jump(effect.jump.by);
        if effect.jump.release {
            let frame = self.course.transport().frame();
            program.executor.tell_players(EventBody::AllNotesOff, frame);
        }
        if effect.reset {
            program.executor.reset();
            self.tell_outside(EventBody::AllSoundOff);
        }
        let Some(program) = &mut self.program else { return };
        if effect.jump.landed {
            program.executor.chase(self.course.transport().frame());
        }
    }

    /// Frames that can be run without looking up.
    fn part(&self, left: usize) -> usize {
        let mut part = left.min(self.parts.max_block) as u64;
        part = part.min(self.course.span());
        let due = self.parts.receiver.next_at().filter(|&at| at > self.course.clock());
        if let Some(at) = due {
            part = part.min(at - self.course.clock());
        }
        if let Some(at) = self.waiting.next_transport() {
            part = part.min(at - self.course.clock());
        }
        part.max(1) as usize
    }

    /// Runs frames in which the transport goes straight on.
    fn step(&mut self, frames: usize, inputs: &[&[f32]]) {
        self.mix.iter_mut().for_each(|side| side[..frames].fill(0.0));
        if self.course.transport().mode() != Mode::Paused {
            self.node_acts(frames);
            self.play(frames, inputs);
            self.speak();
            self.click(frames);
        } else {
            self.rest_outside();
            self.scopes.rest(frames);
        }
        self.fade(frames);
        let effect = self.course.advance(frames as u64);
        self.follow(effect);
    }

    /// Notes and parameters of the coming frames.
    fn node_acts(&mut self, frames: usize) {
        let (clock, frame) = (self.course.clock(), self.course.transport().frame());
        let transport = self.course.transport();
        let monitored = transport.mode() != Mode::Playing || transport.recording();
        let (program, log) = (&mut self.program, &mut self.parts.log);
        self.waiting.take(
            clock + frames as u64,
            |act| !act.is_transport(),
            |message| {
                let Some(program) = program.as_mut() else { return };
                if let Act::Played { event, auto: true, .. } = message.act
                    && !monitored
                    && matches!(event.body, EventBody::NoteOn { .. })
                {
                    return;
                }
                let at = frame + message.at.saturating_sub(clock) as i64;
                if let Err(what) = tell(&mut program.executor, message.act, at) {
                    log.note(clock, what);
                }
            },
        );
    }

    fn play(&mut self, frames: usize, inputs: &[&[f32]]) {
        self.parts.place.ran.store(self.course.ran(), Ordering::Release);
        let Some(program) = &mut self.program else { return self.scopes.rest(frames) };
        let song = &*self.parts.song;
        let now = self.course.now(song);
        let block = Block::live(self.course.transport().frame(), frames, &now, inputs);
        match &mut program.crew {
            Some(crew) => program.executor.process_with(crew, &block),
            None => program.executor.process(&block),
        }
        for output in 0..program.executor.plan().outputs.len() {
            let [left, right] = program.executor.output_pair(output);
            self.parts.feedback.level(output, [&left[..frames], &right[..frames]]);
        }
        self.scopes.hear(frames, |output, take| {
            take(program.executor.output_pair(output));
        });
        program.executor.played(frames);
        if let Some(master) = program.master {
            let sides = program.executor.output_pair(master);
            for (mix, side) in self.mix.iter_mut().zip(sides) {
                mix[..frames].copy_from_slice(&side[..frames]);
            }
        }
        if program.executor.has_new_faults() {
            report_faults(&mut program.executor, &mut self.parts.feedback);
        }
    }

    /// Sends what nodes said for others, and an end to those who fall silent.
    fn speak(&mut self) {
        self.rests = false;
        let Some(program) = &mut self.program else { return };
        let (rate, start) = (self.parts.rate, self.course.clock() - self.began);
        for speaker in &mut program.speakers {
            let said = program.executor.said(speaker.node);
            let ended = said.is_none() && !speaker.silent;
            speaker.silent = said.is_none();
            if ended {
                self.parts.outlet.say(speaker.key, start, rate, EventBody::AllNotesOff);
            }
            for event in said.unwrap_or_default() {
                let offset = start + u64::from(event.offset);
                self.parts.outlet.say(speaker.key, offset, rate, event.body);
            }
        }
        let count = self.parts.outlet.take_lost();
        if count > 0 {
            self.parts.log.note(self.course.clock(), What::MessagesLost { count });
        }
    }

    /// Notes that are played elsewhere don't wait for the next play as voices do.
    fn rest_outside(&mut self) {
        if !std::mem::replace(&mut self.rests, true) {
            self.tell_outside(EventBody::AllNotesOff);
        }
    }

    fn tell_outside(&mut self, body: EventBody) {
        let offset = self.course.clock() - self.began;
        for speaker in self.program.iter().flat_map(|program| &program.speakers) {
            self.parts.outlet.say(speaker.key, offset, self.parts.rate, body);
        }
    }

    fn click(&mut self, frames: usize) {
        let [left, right] = &mut self.mix;
        let out = [&mut left[..frames], &mut right[..frames]];
        let (song, place) = (&*self.parts.song, self.course.transport().song_frame());
        match (self.course.transport().mode(), self.course.transport().counted()) {
            (_, Some(counted)) => self.metronome.count(song, place, counted, out),
            (Mode::Playing, _) => self.metronome.play(song, place, out),
            _ => self.metronome.rest(out),
        }
    }

    /// Applies the gain that pause and panic move, then shows the sum.
    fn fade(&mut self, frames: usize) {
        let [left, right] = &mut self.mix;
        if !self.course.is_full() {
            let sides = left[..frames].iter_mut().zip(&mut right[..frames]);
            for (offset, (left, right)) in sides.enumerate() {
                let gain = self.course.gain(offset);
                *left *= gain;
                *right *= gain;
            }
        }
        self.parts.feedback.master(&left[..frames], &right[..frames]);
    }

    fn report(&mut self) {
        let (transport, clock) = (self.course.transport(), self.course.clock());
        let serial = self.program.as_ref().map_or(0, |program| program.serial);
        let xruns = self.parts.xruns.load(Ordering::Relaxed);
        self.parts.feedback.send(|snapshot| {
            snapshot.serial = serial;
            snapshot.clock = clock;
            snapshot.mode = transport.mode();
            snapshot.recording = transport.recording();
            snapshot.song_frame = transport.song_frame();
            snapshot.xruns = xruns;
        });
    }
}

/// Real-time safe.
pub(crate) fn tell(executor: &mut Executor, act: Act, frame: i64) -> Result<(), What> {
    let (Act::Event { node, .. }
    | Act::Played { node, .. }
    | Act::Param { node, .. }
    | Act::Bypass { node, .. }) = act
    else {
        return Ok(());
    };
    let index = executor.plan().find(node).ok_or(What::NodeUnknown)?;
    let fits = match act {
        Act::Event { event, .. } | Act::Played { event, .. } => {
            executor.send_event(index, frame, event)
        }
        Act::Param { param, value, .. } => executor.set_param(index, param, value, frame),
        Act::Bypass { on, .. } => {
            executor.set_bypass(index, on);
            true
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(What::NodeFull) }
}

/// Real-time safe.
fn report_faults(executor: &mut Executor, feedback: &mut Writer) {
    let mut failed = [0u32; 64];
    let mut count = 0;
    executor.new_faults(|node| {
        if count < failed.len() {
            failed[count] = node;
            count += 1;
        }
    });
    for &node in &failed[..count] {
        let key = executor.plan().nodes[node as usize].key;
        feedback.fault(key, executor.has_panicked(node).unwrap_or(false));
    }
}

/// A single channel hears the mean of both sides; more than two stay silent.
fn interleave(mix: &[Vec<f32>; 2], frames: usize, out: &mut [f32], channels: usize) {
    let clean = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
    let sides = mix[0][..frames].iter().zip(&mix[1][..frames]);
    for (frame, (&left, &right)) in out.chunks_exact_mut(channels).zip(sides) {
        match frame {
            [only] => *only = clean((left + right) * 0.5),
            [first, second, rest @ ..] => {
                (*first, *second) = (clean(left), clean(right));
                rest.fill(0.0);
            }
            [] => {}
        }
    }
}
