use super::*;

fn sine(frequency: f64, rate: u32, frames: usize) -> Vec<f32> {
    let omega = std::f64::consts::TAU * frequency / f64::from(rate);
    (0..frames).map(|n| (0.5 * libm::sin(omega * n as f64)) as f32).collect()
}

fn stretch(input: &[Vec<f32>], rate: u32, duration: f64, pitch: f64) -> AudioBuffer {
    let input = AudioBuffer::from_channels(rate, input).unwrap();
    Timestretch.stretch(&input, StretchRequest { duration, pitch }).unwrap()
}

/// Power of the best-fitting sine near `frequency` against what is left.
fn sine_snr(data: &[f32], frequency: f64, rate: u32) -> f64 {
    let mut best = f64::NEG_INFINITY;
    for offset in -60..=60 {
        // Within ± 3 cents: how exact the pitch is has its own test.
        let candidate = frequency * libm::exp2(f64::from(offset) / 20.0 / 1200.0);
        let omega = std::f64::consts::TAU * candidate / f64::from(rate);
        let (mut cc, mut ss, mut cs, mut xc, mut xs) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, sample) in data.iter().enumerate() {
            let (s, c) = libm::sincos(omega * n as f64);
            let x = f64::from(*sample);
            (cc, ss, cs) = (cc + c * c, ss + s * s, cs + c * s);
            (xc, xs) = (xc + x * c, xs + x * s);
        }
        let det = cc * ss - cs * cs;
        let (a, b) = ((xc * ss - xs * cs) / det, (xs * cc - xc * cs) / det);
        let (mut signal, mut error) = (0.0, 0.0);
        for (n, sample) in data.iter().enumerate() {
            let (s, c) = libm::sincos(omega * n as f64);
            let fit = a * c + b * s;
            signal += fit * fit;
            error += (f64::from(*sample) - fit).powi(2);
        }
        best = best.max(10.0 * libm::log10(signal / error));
    }
    best
}

#[test]
fn the_length_is_exact_for_every_ratio() {
    let input = vec![sine(440.0, 48_000, 24_001)];
    for duration in [0.25, 0.5, 0.777, 0.9, 1.0, 1.1, 1.234_567, 1.5, 2.0, 3.3] {
        let out = stretch(&input, 48_000, duration, 0.0);
        assert_eq!(out.frames(), (24_001.0 * duration).round() as usize, "{duration}");
    }
}

#[test]
fn the_end_of_a_stretched_piece_is_where_it_belongs() {
    // A click near the end: drift would move it, padding would not.
    for duration in [0.777, 1.234_567, 1.5] {
        let mut input = vec![0.0f32; 96_000];
        input[90_000..90_040].fill(0.8);
        let out = stretch(&[input], 48_000, duration, 0.0);
        let data = out.channel(0);
        let loudest = (0..data.len()).max_by(|a, b| data[*a].abs().total_cmp(&data[*b].abs()));
        let error = loudest.unwrap() as f64 / 48_000.0 - 90_020.0 * duration / 48_000.0;
        println!("x{duration}: the click is {:.2} ms off", error * 1e3);
        assert!(error.abs() < 0.01, "x{duration}: {error} s");
    }
}

#[test]
fn a_sine_stays_a_sine() {
    let input = vec![sine(440.0, 44_100, 88_200)];
    for (duration, least) in [(0.8, 40.0), (1.5, 60.0), (2.0, 50.0)] {
        let out = stretch(&input, 44_100, duration, 0.0);
        let middle = out.frames() / 4..out.frames() * 3 / 4;
        let found = sine_snr(&out.channel(0)[middle], 440.0, 44_100);
        println!("x{duration}: {found:.1} dB");
        assert!(found >= least, "x{duration}: {found:.1} dB");
    }
}

#[test]
fn the_pitch_is_within_three_cents_for_every_ratio() {
    for step in 0..60 {
        let duration = 0.5 * libm::exp2(f64::from(step) / 30.0);
        let request = StretchRequest { duration, pitch: 0.0 };
        let session = |parameters| session_config(48_000, 1, parameters);
        let best = best_parameters(parameters(request).unwrap(), session).unwrap();
        let applied = applied(session(best)).unwrap();
        let cents = 1200.0 * libm::log2(applied.achieved_pitch);
        assert!(cents.abs() <= 3.0, "x{duration}: {cents:.2} cents");
    }
}

#[test]
fn pitch_moves_and_length_stays() {
    let input = vec![sine(440.0, 48_000, 96_000)];
    let out = stretch(&input, 48_000, 1.0, 7.0);
    assert_eq!(out.frames(), 96_000);
    let found = sine_snr(&out.channel(0)[24_000..72_000], 440.0 * libm::exp2(7.0 / 12.0), 48_000);
    println!("+7 semitones: {found:.1} dB");
    assert!(found > 30.0, "{found}");
}

#[test]
fn an_attack_is_not_heard_before_it_comes() {
    let mut input = vec![0.0f32; 48_000];
    for n in 0..9_600 {
        let decay = libm::exp(-(n as f64) / 1_500.0);
        let noise = crate::math::random_bipolar(3, n as u64);
        input[24_000 + n] = (0.8 * decay * noise) as f32;
    }
    let out = stretch(&[input], 48_000, 1.5, 0.0);
    let data = out.channel(0);
    let power = |range: std::ops::Range<usize>| {
        let count = range.len() as f64;
        data[range].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / count
    };
    // 5 to 25 ms ahead of where the attack belongs, against the attack itself.
    let before = power(36_000 - 1_200..36_000 - 240);
    let found = 10.0 * libm::log10(before / power(36_000..36_960));
    println!("pre-echo: {found:.1} dB");
    assert!(found <= -20.0, "{found:.1} dB");
}

#[test]
fn rates_and_channel_counts_outside_the_crate_work_too() {
    for rate in [8_000, 22_050, 88_200, 192_000] {
        let input: Vec<Vec<f32>> = (0..3).map(|_| sine(440.0, rate, rate as usize / 2)).collect();
        let out = stretch(&input, rate, 1.5, 0.0);
        assert_eq!((out.rate(), out.channels()), (rate, 3));
        assert_eq!(out.frames(), (f64::from(rate / 2) * 1.5).round() as usize);
        let middle = out.frames() / 4..out.frames() * 3 / 4;
        assert!(sine_snr(&out.channel(2)[middle], 440.0, rate) > 40.0, "{rate} Hz");
    }
}

#[test]
fn the_same_request_gives_the_same_bits() {
    let input = vec![sine(330.0, 48_000, 20_000), sine(550.0, 48_000, 20_000)];
    assert_eq!(stretch(&input, 48_000, 1.3, -2.0), stretch(&input, 48_000, 1.3, -2.0));
}

#[test]
fn what_cannot_be_stretched_says_why() {
    let input = AudioBuffer::silent(48_000, 1, 1_000);
    for (duration, pitch) in [(0.1, 0.0), (33.0, 0.0), (f64::NAN, 0.0), (1.0, 30.0)] {
        let found = Timestretch.stretch(&input, StretchRequest { duration, pitch });
        assert!(matches!(found, Err(StretchError::Range { .. })), "{duration} {pitch}");
    }
    let broken = AudioBuffer::from_channels(48_000, &[[0.0, f32::NAN]]).unwrap();
    let found = Timestretch.stretch(&broken, StretchRequest { duration: 2.0, pitch: 0.0 });
    assert_eq!(found, Err(StretchError::NotFinite { frame: 1 }));
    let empty = AudioBuffer::silent(48_000, 2, 0);
    let found = Timestretch.stretch(&empty, StretchRequest { duration: 2.0, pitch: 0.0 });
    assert_eq!(found.unwrap().frames(), 0);
}

/// The same on every machine; where they change, [`Stretcher::version`] and that of `pulse.lane` have
/// to change, too.
#[test]
fn the_bits_are_those_of_the_last_version() {
    let check = |duration: f64, pitch: f64, expect: expect_test::Expect| {
        let out = stretch(&[sine(440.0, 48_000, 24_001)], 48_000, duration, pitch);
        let mut hasher = blake3::Hasher::new();
        out.channel(0).iter().for_each(|sample| _ = hasher.update(&sample.to_le_bytes()));
        expect.assert_eq(&hasher.finalize().to_hex()[..16]);
    };
    check(1.5, 0.0, expect_test::expect!["5a7d9dc34493fbd3"]);
    check(0.8, 3.0, expect_test::expect!["1f85bfec6c448760"]);
}
