//! The equaliser: eight bands of RBJ sections in series, each of any type, on both sides, one of them,
//! the middle or the difference. Bands on less than both sides run outside the lanes.
//!
//! A band that moves walks its coefficients between the designs at the two edges of a 16-frame cell;
//! a band that changes type or slope walks from the old design to the new one in 10 ms. Both are
//! straight lines through the convex set of stable coefficients. A band at 0 dB, or off, costs
//! nothing, and is bit-equal to not being there.

// Indices of arrays that the compiler unrolls.
#![allow(clippy::needless_range_loop)]

use std::cell::Cell;

use crate::{
    dsp::{
        biquad::{Coefficients, State, WideCoefficients, WideState, run_series, run_wide},
        decibel,
        fade::{self, Fade, Segment},
        settle,
    },
    node::{
        Descriptor, NodeKind, Setup, StateVisitor, Tail,
        batch::{Batch, Core, Single, Values},
    },
    param::{ParamDesc, Unit},
    simd::{Kernel, LANES, LaneFrame, dispatch},
};

const BANDS: usize = 8;
/// Sections of the steepest cut.
const SECTIONS: usize = 4;
const CELL: usize = settle::GRID as usize;

const TYPE: usize = 0;
const FREQUENCY: usize = 1;
const GAIN: usize = 2;
const Q: usize = 3;
const SLOPE: usize = 4;
const PER_BAND: usize = 5;
const OUTPUT: usize = BANDS * PER_BAND;
/// Two more of each band, which came later.
const MORE: usize = OUTPUT + 1;
const ON: usize = 0;
const PLACE: usize = 1;
const MORE_PER_BAND: usize = 2;
const RESPONSE: usize = MORE + BANDS * MORE_PER_BAND;

const TYPES: &[&str] = &[
    "off",
    "bell",
    "lowShelf",
    "highShelf",
    "lowCut",
    "highCut",
    "notch",
    "bandPass",
    "allPass",
    "tilt",
];
const SLOPES: &[&str] = &["12dB", "24dB", "48dB", "6dB", "18dB", "36dB"];
const PLACES: &[&str] = &["stereo", "mid", "side", "left", "right"];
const RESPONSES: &[&str] = &["bilinear", "analogue"];

const BUTTERWORTH_Q: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// A Butterworth cut: whether it begins with a section of 6 dB, and the Q of the others.
struct Cut {
    first: bool,
    qs: &'static [f64],
}

/// By slope. A band's Q scales the last section that has one.
const CUTS: [Cut; 6] = [
    Cut { first: false, qs: &[BUTTERWORTH_Q] },
    Cut { first: false, qs: &[0.541_196_100_146_197, 1.306_562_964_876_376_5] },
    Cut {
        first: false,
        qs: &[
            0.509_795_579_104_159_2,
            0.601_344_886_935_045_3,
            0.899_976_223_136_415_7,
            2.562_915_447_741_506,
        ],
    },
    Cut { first: true, qs: &[] },
    Cut { first: true, qs: &[1.0] },
    Cut { first: false, qs: &[0.517_638_090_205_041_5, BUTTERWORTH_Q, 1.931_851_652_578_136_6] },
];

/// Bounds that keep the longest ring, and with it the tail, finite: see [`Eq::tail`].
const FREQUENCIES: (f64, f64) = (20.0, 22_000.0);
const GAINS: (f64, f64) = (-24.0, 24.0);
const QS: (f64, f64) = (0.1, 24.0);

macro_rules! bands {
    ($($number:literal $hz:literal),* $(,)?) => {
        &[
            $(
                ParamDesc::choice(
                    concat!("band", $number, "Type"),
                    concat!("Band ", $number, " type"),
                    TYPES,
                    0,
                ),
                ParamDesc::new(
                    concat!("band", $number, "Frequency"),
                    concat!("Band ", $number, " frequency"),
                    Unit::Hertz,
                    FREQUENCIES,
                    $hz,
                )
                .exponential(),
                ParamDesc::new(
                    concat!("band", $number, "Gain"),
                    concat!("Band ", $number, " gain"),
                    Unit::Decibel,
                    GAINS,
                    0.0,
                ),
                ParamDesc::new(
                    concat!("band", $number, "Q"),
                    concat!("Band ", $number, " Q"),
                    Unit::Ratio,
                    QS,
                    BUTTERWORTH_Q,
                )
                .exponential(),
                ParamDesc::choice(
                    concat!("band", $number, "Slope"),
                    concat!("Band ", $number, " slope"),
                    SLOPES,
                    0,
                ),
            )*
            ParamDesc::new("output", "Output", Unit::Decibel, (-24.0, 24.0), 0.0),
            $(
                ParamDesc::switch(
                    concat!("band", $number, "On"),
                    concat!("Band ", $number, " on"),
                    true,
                ),
                ParamDesc::choice(
                    concat!("band", $number, "Place"),
                    concat!("Band ", $number, " place"),
                    PLACES,
                    0,
                ),
            )*
            ParamDesc::choice("response", "Response", RESPONSES, 0),
        ]
    };
}

const PARAMS: &[ParamDesc] = bands![
    1 40.0, 2 100.0, 3 250.0, 4 600.0, 5 1500.0, 6 3500.0, 7 8000.0, 8 16000.0,
];

static DESCRIPTOR: Descriptor = {
    let mut descriptor = Descriptor::effect("pulse.eq", "Equaliser", PARAMS);
    descriptor.linear = true;
    descriptor
};

pub static KIND: NodeKind = {
    let mut kind = NodeKind::new(&DESCRIPTOR, Single::<Eq>::boxed);
    kind.lanes = Some(Batch::<Eq>::boxed);
    kind
};

type Design = [Coefficients; SECTIONS];
const FLAT: Design = [Coefficients::IDENTITY; SECTIONS];

/// The continuous parameters of a band.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shape {
    hz: f64,
    gain_db: f64,
    q: f64,
}

/// The setting of a band as a number: type, slope, response and place. Off is zero.
fn code(kind: u64, slope: u64, analogue: bool, place: u64) -> u64 {
    if kind == 0 {
        return 0;
    }
    // Older settings come first, so that saved states of older versions read the same.
    kind & 7 | slope << 3 | (kind >> 3) << 6 | u64::from(analogue) << 7 | place << 8
}

fn kind_of(code: u64) -> u64 {
    code & 7 | (code >> 6 & 1) << 3
}

fn place_of(code: u64) -> u64 {
    code >> 8
}

/// Off, but where the band was.
fn off_at(place: u64) -> u64 {
    place << 8
}

/// The sections of a band, a pure function of its parameters.
fn design(code: u64, shape: &Shape, rate: f64) -> Design {
    let Shape { hz, gain_db, q } = *shape;
    let mut out = FLAT;
    let slope = code >> 3 & 7;
    if code >> 7 & 1 == 1 {
        match kind_of(code) {
            1 => out[0] = Coefficients::analogue_bell(hz, q, gain_db, rate),
            2 => out[0] = Coefficients::analogue_low_shelf(hz, q, gain_db, rate),
            3 => out[0] = Coefficients::analogue_high_shelf(hz, q, gain_db, rate),
            4 => cut(&mut out, slope, q, Coefficients::first_high_pass(hz, rate), |q| {
                Coefficients::analogue_high_pass(hz, q, rate)
            }),
            5 => cut(&mut out, slope, q, Coefficients::first_low_pass(hz, rate), |q| {
                Coefficients::analogue_low_pass(hz, q, rate)
            }),
            6 => out[0] = Coefficients::notch(hz, q, rate),
            7 => out[0] = Coefficients::analogue_band_pass(hz, q, rate),
            8 => out[0] = Coefficients::all_pass(hz, q, rate),
            9 => out[0] = tilted(Coefficients::analogue_high_shelf(hz, q, gain_db, rate), gain_db),
            _ => {}
        }
        return out;
    }
    match kind_of(code) {
        1 => out[0] = Coefficients::bell(hz, q, gain_db, rate),
        2 => out[0] = Coefficients::low_shelf(hz, q, gain_db, rate),
        3 => out[0] = Coefficients::high_shelf(hz, q, gain_db, rate),
        4 => cut(&mut out, slope, q, Coefficients::first_high_pass(hz, rate), |q| {
            Coefficients::high_pass(hz, q, rate)
        }),
        5 => cut(&mut out, slope, q, Coefficients::first_low_pass(hz, rate), |q| {
            Coefficients::low_pass(hz, q, rate)
        }),
        6 => out[0] = Coefficients::notch(hz, q, rate),
        7 => out[0] = Coefficients::band_pass(hz, q, rate),
        8 => out[0] = Coefficients::all_pass(hz, q, rate),
        9 => out[0] = tilted(Coefficients::high_shelf(hz, q, gain_db, rate), gain_db),
        _ => {}
    }
    out
}

/// A shelf moved down by half its gain: the lows lose what the highs win.
fn tilted(shelf: Coefficients, gain_db: f64) -> Coefficients {
    if gain_db == 0.0 { shelf } else { shelf.scaled(decibel::db_to_gain(-0.5 * gain_db)) }
}

fn cut(
    out: &mut Design,
    slope: u64,
    q: f64,
    first: Coefficients,
    section: impl Fn(f64) -> Coefficients,
) {
    let cut = &CUTS[(slope as usize).min(CUTS.len() - 1)];
    if cut.first {
        out[0] = first;
    }
    let slots = &mut out[usize::from(cut.first)..];
    for (i, (butterworth, slot)) in cut.qs.iter().zip(slots).enumerate() {
        let last = i + 1 == cut.qs.len();
        *slot = section(if last { butterworth * (q / BUTTERWORTH_Q) } else { *butterworth });
    }
}

#[derive(Clone, Copy)]
struct Band {
    fade: Fade,
    states: [[State; 2]; SECTIONS],
    /// The setting and shape at the end of the present call, and what they amount to.
    code: u64,
    shape: Shape,
    rest: Design,
    /// The same of the call before, which is where a moving band starts.
    before: (u64, Shape, Design),
}

impl Default for Band {
    fn default() -> Self {
        Self {
            fade: Fade::default(),
            states: Default::default(),
            code: 0,
            shape: Shape::default(),
            rest: FLAT,
            before: (0, Shape::default(), FLAT),
        }
    }
}

impl Band {
    /// True if the band stands still during the call, and does the same to both sides.
    fn update(&mut self, band: usize, values: &Values<'_>, rate: f64, stereo: bool) -> bool {
        let first = band * PER_BAND;
        if values.changed {
            let code = wanted_code(band, values, stereo);
            let shape = read(first, |index| values.end(index));
            if code != self.code || shape != self.shape {
                self.before = (self.code, self.shape, self.rest);
                (self.code, self.shape) = (code, shape);
                self.rest = design(code, &shape, rate);
            }
        }
        self.fade.is_settled(self.code) && place_of(self.code) == 0
    }

    /// The setting to go to next: a band that changes its place goes flat on its way.
    fn next_code(&self) -> u64 {
        match self.fade.target() {
            Some(now) if place_of(now) != place_of(self.code) && kind_of(now) != 0 => {
                off_at(place_of(now))
            }
            _ => self.code,
        }
    }

    fn design_at(&self, code: u64, shape: &Shape, rate: f64) -> Design {
        if (code, *shape) == (self.code, self.shape) {
            self.rest
        } else if (code, *shape) == (self.before.0, self.before.1) {
            self.before.2
        } else {
            design(code, shape, rate)
        }
    }

    /// `samples` start at frame `at` of the call.
    fn process<const N: usize>(
        &mut self,
        band: usize,
        values: &Values<'_>,
        at: usize,
        samples: &mut [[f64; N]],
        rate: f64,
        fade_length: u64,
    ) {
        let first = band * PER_BAND;
        let moving = (first..first + PER_BAND).any(|index| !values.ramp(index).is_constant());
        let mut done = 0;
        while done < samples.len() {
            let next = self.next_code();
            let part = self.fade.advance(next, samples.len() - done, fade_length);
            let samples = &mut samples[done..done + part.frames];
            let start = if moving { read(first, |i| values.start(i)) } else { self.shape };
            let from = at + done;
            let position = |i: usize| if moving { values.position(from + i) } else { 1.0 };
            let stands = !(moving || part.is_moving());
            let code = if kind_of(part.to) == 0 { part.from } else { part.to };
            in_place(place_of(code), samples, |first, samples| match samples {
                Part::Both(samples) if stands => self.stand(first, samples),
                Part::Both(samples) => self.walk(first, &part, &start, rate, position, samples),
                Part::One(samples) if stands => self.stand(first, samples),
                Part::One(samples) => self.walk(first, &part, &start, rate, position, samples),
            });
            if place_of(code) != 0 && kind_of(part.to) == 0 && self.fade.is_settled(part.to) {
                // What is flat now will ring in another place next.
                self.states = Default::default();
            }
            done += part.frames;
        }
    }

    /// Fixed coefficients; sections that would change nothing are left out. `first` is the channel
    /// whose state goes with the first sample of a frame.
    fn stand<const N: usize>(&mut self, first: usize, samples: &mut [[f64; N]]) {
        for (c, states) in self.rest.iter().zip(&mut self.states) {
            if is_idle(c, states) {
                continue;
            }
            let mut wide = WideState::<N>::gather(|channel| states[first + channel]);
            run_wide(&mut wide, &WideCoefficients::gather(|_| *c), samples);
            for (channel, state) in states[first..].iter_mut().enumerate().take(N) {
                *state = wide.get(channel);
            }
        }
    }

    /// Coefficients on their way, both within the cell and between two settings.
    fn walk<const N: usize>(
        &mut self,
        first: usize,
        part: &Segment,
        start: &Shape,
        rate: f64,
        position: impl Fn(usize) -> f64,
        samples: &mut [[f64; N]],
    ) {
        let to = (self.design_at(part.to, start, rate), self.design_at(part.to, &self.shape, rate));
        let from = if part.is_moving() {
            (self.design_at(part.from, start, rate), self.design_at(part.from, &self.shape, rate))
        } else {
            to
        };
        for (section, states) in self.states.iter_mut().enumerate() {
            let flat = [&from.0, &from.1, &to.0, &to.1]
                .iter()
                .all(|design| is_idle(&design[section], states));
            if flat {
                continue;
            }
            for (i, sample) in samples.iter_mut().enumerate() {
                let walk = position(i);
                let mut c = to.0[section].toward(&to.1[section], walk);
                if part.is_moving() {
                    let old = from.0[section].toward(&from.1[section], walk);
                    c = old.toward(&c, part.position(i));
                }
                for (sample, state) in sample.iter_mut().zip(states[first..].iter_mut()) {
                    *sample = state.step(&c, *sample);
                }
            }
        }
    }
}

fn wanted_code(band: usize, values: &Values<'_>, stereo: bool) -> u64 {
    let (first, more) = (band * PER_BAND, MORE + band * MORE_PER_BAND);
    let place = values.choice(more + PLACE);
    // A mono signal is its own middle and its own left.
    let is_there = stereo || ![2, 4].contains(&place);
    let on = values.is_on(more + ON) && is_there;
    let kind = if on { values.choice(first + TYPE) } else { 0 };
    let place = if stereo { place } else { 0 };
    code(kind, values.choice(first + SLOPE), values.choice(RESPONSE) == 1, place)
}

/// What a band works on.
enum Part<'a, const N: usize> {
    Both(&'a mut [[f64; N]]),
    One(&'a mut [[f64; 1]]),
}

/// Runs a band where it belongs. Only stereo signals have other places than the first.
fn in_place<const N: usize>(
    place: u64,
    samples: &mut [[f64; N]],
    mut run: impl FnMut(usize, Part<'_, N>),
) {
    if place == 0 || N < 2 {
        return run(0, Part::Both(samples));
    }
    let mut cell = [[0.0; 1]; CELL];
    let cell = &mut cell[..samples.len()];
    let value = |sample: &[f64; N]| match place {
        1 => 0.5 * (sample[0] + sample[N - 1]),
        2 => 0.5 * (sample[0] - sample[N - 1]),
        3 => sample[0],
        _ => sample[N - 1],
    };
    for (one, sample) in cell.iter_mut().zip(&*samples) {
        one[0] = value(sample);
    }
    run(usize::from(place == 2 || place == 4), Part::One(cell));
    for (one, sample) in cell.iter().zip(samples) {
        let change = one[0] - value(sample);
        match place {
            1 => sample.iter_mut().for_each(|side| *side += change),
            2 => (sample[0], sample[N - 1]) = (sample[0] + change, sample[N - 1] - change),
            3 => sample[0] = one[0],
            _ => sample[N - 1] = one[0],
        }
    }
}

fn read(first: usize, value: impl Fn(usize) -> f64) -> Shape {
    Shape {
        hz: value(first + FREQUENCY),
        gain_db: value(first + GAIN),
        q: value(first + Q).max(QS.0),
    }
}

/// Running the section would give back its input bit for bit.
fn is_idle(c: &Coefficients, states: &[State; 2]) -> bool {
    c.is_identity() && states[0].is_silent() && states[1].is_silent()
}

#[derive(Default)]
struct Eq {
    rate: f64,
    stereo: bool,
    fade_length: u64,
    bands: [Band; BANDS],
    output: f64,
}

impl Eq {
    fn process_channels<const N: usize>(
        &mut self,
        values: &Values<'_>,
        mut planes: [&mut [f32]; N],
    ) {
        let frames = planes.first().map_or(0, |plane| plane.len());
        let output_start = decibel::db_to_gain(values.start(OUTPUT));
        let output_moves = !values.ramp(OUTPUT).is_constant();
        let mut scratch = [[0.0; N]; CELL];
        for (from, to, due) in settle::cells(values.frame as u64, frames) {
            if due {
                self.settle();
            }
            let samples = &mut scratch[..to - from];
            for (i, sample) in samples.iter_mut().enumerate() {
                *sample = std::array::from_fn(|channel| widen(planes[channel][from + i]));
            }
            for (number, band) in self.bands.iter_mut().enumerate() {
                band.process(number, values, from, samples, self.rate, self.fade_length);
            }
            for (i, sample) in samples.iter().enumerate() {
                let mut gain = self.output;
                if output_moves {
                    gain = output_start + (gain - output_start) * values.position(from + i);
                }
                for (plane, sample) in planes.iter_mut().zip(sample) {
                    plane[from + i] = (sample * gain) as f32;
                }
            }
        }
    }

    fn settle(&mut self) {
        for band in &mut self.bands {
            band.states.iter_mut().flatten().for_each(State::settle);
        }
    }
}

/// Adding zero turns −0 into 0, so that leaving out an idle section never shows.
#[inline(always)]
fn widen(sample: f32) -> f64 {
    f64::from(sample) + 0.0
}

impl Core for Eq {
    type Wide = Wide;

    fn prepare(&mut self, setup: &Setup) {
        self.rate = setup.rate();
        self.stereo = setup.channels > 1;
        self.fade_length = fade::length(self.rate);
        self.bands = Default::default();
    }

    fn update(&mut self, values: &Values<'_>) -> bool {
        let mut at_rest = !values.moving;
        for (number, band) in self.bands.iter_mut().enumerate() {
            at_rest &= band.update(number, values, self.rate, self.stereo);
        }
        if values.changed {
            self.output = decibel::db_to_gain(values.end(OUTPUT));
        }
        at_rest
    }

    fn process(&mut self, values: &Values<'_>, left: &mut [f32], right: &mut [f32]) {
        if self.stereo {
            self.process_channels(values, [left, right]);
        } else {
            self.process_channels(values, [left]);
        }
    }

    fn process_wide(
        cores: &mut [Self; LANES],
        wide: &mut Wide,
        frame: i64,
        left: &mut [LaneFrame],
        right: &mut [LaneFrame],
    ) {
        for core in cores.iter_mut() {
            for band in &mut core.bands {
                band.fade.advance(band.code, left.len(), core.fade_length);
            }
        }
        if right.is_empty() {
            dispatch(Run { cores, wide, frame, planes: [left] });
        } else {
            dispatch(Run { cores, wide, frame, planes: [left, right] });
        }
    }

    fn visit(&mut self, visitor: &mut dyn StateVisitor) {
        for band in &mut self.bands {
            band.fade.visit(visitor);
            for state in band.states.iter_mut().flatten() {
                visitor.f64(&mut state.s1);
                visitor.f64(&mut state.s2);
            }
        }
    }

    fn reset(&mut self) {
        for band in &mut self.bands {
            band.fade = Fade::default();
            band.states = Default::default();
        }
    }

    /// The bell of the lowest frequency, highest Q and highest gain rings longest: its pole has the
    /// Q of the band times the square root of its gain, and falls by 120 dB in 2·ln(10)·3·Q/(π·f).
    fn tail(&self) -> Tail {
        let pole_q = QS.1 * decibel::db_to_gain(0.5 * GAINS.1);
        let seconds =
            6.0 * std::f64::consts::LN_10 * pole_q / (std::f64::consts::PI * FREQUENCIES.0);
        Tail::Frames((seconds * self.rate) as u64)
    }
}

/// The sections in use, gathered, with the states of either channel.
struct Wide {
    bank: Vec<Section>,
    /// Where the cells of both channels wait between two passes.
    cells: [[[f64; LANES]; CELL]; 2],
}

/// One section of every lane.
#[derive(Clone, Copy)]
struct Section {
    band: usize,
    section: usize,
    states: [WideState<LANES>; 2],
    c: WideCoefficients<LANES>,
}

impl Default for Wide {
    fn default() -> Self {
        Self { bank: Vec::with_capacity(BANDS * SECTIONS), cells: [[[0.0; LANES]; CELL]; 2] }
    }
}

struct Run<'a, const CHANNELS: usize> {
    cores: &'a mut [Eq; LANES],
    wide: &'a mut Wide,
    frame: i64,
    planes: [&'a mut [LaneFrame]; CHANNELS],
}

/// Sections that one pass takes: with four, the coefficients of eight lanes still fit the registers
/// of AVX-512 beside the states.
const PASS: usize = 4;

impl<const CHANNELS: usize> Run<'_, CHANNELS> {
    /// Collects every section that any lane needs; the bank's capacity covers all of them.
    #[inline(always)]
    fn gather(&mut self) {
        self.wide.bank.clear();
        for band in 0..BANDS {
            for section in 0..SECTIONS {
                let idle = self.cores.iter().all(|core| {
                    let band = &core.bands[band];
                    is_idle(&band.rest[section], &band.states[section])
                });
                if !idle {
                    let of = |lane: usize| &self.cores[lane].bands[band];
                    let states = std::array::from_fn(|channel| {
                        WideState::gather(|lane| of(lane).states[section][channel])
                    });
                    let c = WideCoefficients::gather(|lane| of(lane).rest[section]);
                    self.wide.bank.push(Section { band, section, states, c });
                }
            }
        }
    }

    #[inline(always)]
    fn scatter(&mut self) {
        for Section { band, section, states, .. } in &self.wide.bank {
            for (lane, core) in self.cores.iter_mut().enumerate() {
                for (channel, wide) in states.iter().enumerate().take(CHANNELS) {
                    core.bands[*band].states[*section][channel] = wide.get(lane);
                }
            }
        }
    }
}

impl<const CHANNELS: usize> Kernel for Run<'_, CHANNELS> {
    #[inline(always)]
    fn run(mut self) {
        self.gather();
        let mut output = [0.0; LANES];
        for (output, core) in output.iter_mut().zip(self.cores.iter()) {
            *output = core.output;
        }
        let frames = self.planes[0].len();
        let Wide { bank, cells } = &mut *self.wide;
        let Some(cells) = cells.first_chunk_mut() else { return };
        for (from, to, due) in settle::cells(self.frame as u64, frames) {
            if due {
                for section in bank.iter_mut() {
                    section.states[..CHANNELS].iter_mut().for_each(|state| state.settle());
                }
            }
            let planes = self.planes.each_mut().map(|plane| &mut plane[from..to]);
            run_cell(bank, &output, cells, planes);
        }
        self.scatter();
    }
}

type CellOf<const CHANNELS: usize> = [[[f64; LANES]; CELL]; CHANNELS];

/// All sections over at most a cell: the first pass reads the planes, the last writes them.
#[inline(always)]
fn run_cell<const CHANNELS: usize>(
    bank: &mut [Section],
    gain: &[f64; LANES],
    cells: &mut CellOf<CHANNELS>,
    mut planes: [&mut [LaneFrame]; CHANNELS],
) {
    let passes = bank.len().div_ceil(PASS).max(1);
    for pass in 0..passes {
        let first = pass * PASS;
        let sections = &mut bank[first..];
        let ends = (pass == 0, pass + 1 == passes);
        let planes = planes.each_mut().map(|plane| &mut **plane);
        match sections.len() {
            0 => run_pass::<0, CHANNELS>(sections, ends, gain, cells, planes),
            1 => run_pass::<1, CHANNELS>(sections, ends, gain, cells, planes),
            2 => run_pass::<2, CHANNELS>(sections, ends, gain, cells, planes),
            3 => run_pass::<3, CHANNELS>(sections, ends, gain, cells, planes),
            _ => run_pass::<PASS, CHANNELS>(sections, ends, gain, cells, planes),
        }
    }
}

#[inline(always)]
fn run_pass<const K: usize, const CHANNELS: usize>(
    sections: &mut [Section],
    ends: (bool, bool),
    gain: &[f64; LANES],
    cells: &mut CellOf<CHANNELS>,
    planes: [&mut [LaneFrame]; CHANNELS],
) {
    let mut states = [[WideState::REST; CHANNELS]; K];
    let mut c = [WideCoefficients::FLAT; K];
    for k in 0..K {
        c[k] = sections[k].c;
        for channel in 0..CHANNELS {
            states[k][channel] = sections[k].states[channel];
        }
    }
    let frames = planes[0].len().min(CELL);
    let planes = planes.map(|plane| Cell::from_mut(&mut plane[..frames]).as_slice_of_cells());
    let cells =
        cells.each_mut().map(|cell| Cell::from_mut(&mut cell[..frames]).as_slice_of_cells());
    // Loops over indices, because an array's `map` and iterator are calls that may stay at the
    // baseline, or move whole arrays about.
    let read = |i: usize| {
        let mut x = [[0.0; LANES]; CHANNELS];
        for channel in 0..CHANNELS {
            let frame = planes[channel][i].get();
            for lane in 0..LANES {
                x[channel][lane] = widen(frame[lane]);
            }
        }
        x
    };
    let write = |i: usize, x: [[f64; LANES]; CHANNELS]| {
        for channel in 0..CHANNELS {
            let mut frame = [0.0; LANES];
            for lane in 0..LANES {
                frame[lane] = (x[channel][lane] * gain[lane]) as f32;
            }
            planes[channel][i].set(frame);
        }
    };
    let resume = |i: usize| {
        let mut x = [[0.0; LANES]; CHANNELS];
        for channel in 0..CHANNELS {
            x[channel] = cells[channel][i].get();
        }
        x
    };
    let put_by = |i: usize, x: [[f64; LANES]; CHANNELS]| {
        for channel in 0..CHANNELS {
            cells[channel][i].set(x[channel]);
        }
    };
    match ends {
        (true, true) => run_series(&mut states, &c, frames, read, write),
        (true, false) => run_series(&mut states, &c, frames, read, put_by),
        (false, false) => run_series(&mut states, &c, frames, resume, put_by),
        (false, true) => run_series(&mut states, &c, frames, resume, write),
    }
    for k in 0..K {
        for channel in 0..CHANNELS {
            sections[k].states[channel] = states[k][channel];
        }
    }
}

#[cfg(test)]
mod tests;
