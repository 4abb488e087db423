use super::*;

const RATE: u32 = 48_000;

fn sine(frequency: f64, level: f64, frames: usize) -> Vec<f32> {
    let omega = std::f64::consts::TAU * frequency / f64::from(RATE);
    (0..frames).map(|n| (level * libm::sin(omega * n as f64)) as f32).collect()
}

fn noise(frames: u64) -> Vec<f32> {
    (0..frames).map(|n| crate::math::random_bipolar(5, n) as f32).collect()
}

fn overview(data: &[Vec<f32>], piece: usize) -> WaveOverview {
    let mut builder = OverviewBuilder::new(RATE, data.len());
    for start in (0..data[0].len()).step_by(piece) {
        let end = (start + piece).min(data[0].len());
        let part: Vec<&[f32]> = data.iter().map(|plane| &plane[start..end]).collect();
        builder.push(&part).unwrap();
    }
    builder.snapshot()
}

#[test]
fn every_level_of_an_overview_is_true() {
    for frames in [1usize, 255, 256, 257, 1_024, 5_000, 70_001] {
        let data = noise(frames as u64);
        let overview = overview(std::slice::from_ref(&data), 300);
        assert_eq!(overview.blocks(overview.levels() - 1), 1);
        for level in 0..overview.levels() {
            let size = WaveOverview::block_frames(level) as usize;
            assert_eq!(overview.blocks(level), frames.div_ceil(size));
            for (n, part) in data.chunks(size).enumerate() {
                let peak = overview.block(level, n)[0];
                let min = part.iter().copied().fold(f32::INFINITY, f32::min);
                let max = part.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let power: f64 = part.iter().map(|s| f64::from(*s).powi(2)).sum();
                let rms = (power / part.len() as f64).sqrt();
                assert_eq!((peak.min, peak.max), (min, max), "{frames} frames, level {level}");
                assert!((f64::from(peak.rms) - rms).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn an_overview_does_not_depend_on_how_audio_arrives() {
    let data = vec![noise(33_333), sine(100.0, 0.5, 33_333)];
    let whole = overview(&data, usize::MAX);
    for piece in [1, 100, 256, 4_097] {
        assert_eq!(overview(&data, piece), whole);
    }
}

#[test]
fn an_overview_survives_its_bytes_and_refuses_others() {
    for frames in [0usize, 1, 256, 100_000] {
        let whole = overview(&[noise(frames as u64), vec![0.25; frames]], 5_000);
        let bytes = whole.to_bytes();
        assert_eq!(WaveOverview::from_bytes(&bytes), Ok(whole));
        let (expected, found) = (bytes.len() as u64, bytes.len() as u64 + 1);
        let longer = [bytes.as_slice(), &[0]].concat();
        let error = WaveOverview::from_bytes(&longer);
        assert_eq!(error, Err(OverviewError::Length { expected, found }));
    }
    assert_eq!(WaveOverview::from_bytes(b"PLSOVW01"), Err(OverviewError::Format));
    let mut hostile = overview(&[vec![0.0; 10]], 10).to_bytes();
    hostile[16..24].fill(0xFF);
    assert!(matches!(WaveOverview::from_bytes(&hostile), Err(OverviewError::Length { .. })));
}

#[test]
fn a_view_gets_the_level_of_its_zoom() {
    let overview = overview(&[noise(300_000)], 300_000);
    let check = |frames_per_pixel, level| assert_eq!(overview.level_for(frames_per_pixel), level);
    check(1, 0);
    check(256, 0);
    check(1_023, 0);
    check(1_024, 1);
    check(5_000, 2);
    check(u64::MAX, overview.levels() - 1);
}

#[test]
fn a_full_scale_sine_reads_one_in_its_bin() {
    let bin = 100;
    let frequency = f64::from(bin) * f64::from(RATE) / 4_096.0;
    let spectrum = spectrum_of(&sine(frequency, 1.0, 200_000), 4_096);
    let found = spectrum[bin as usize];
    assert!((found - 1.0).abs() < 0.03, "{found}");
    let floor = spectrum[bin as usize + 400];
    assert!(20.0 * libm::log10(f64::from(floor)) < -60.0, "{floor}");
}

#[test]
fn an_onset_is_found_where_it_is() {
    let mut data = vec![0.0f32; 96_000];
    let starts = [12_000usize, 40_000, 70_000];
    for start in starts {
        let burst = noise(6_000);
        for (n, sample) in burst.iter().enumerate() {
            data[start + n] = sample * libm::exp(-(n as f64) / 1_500.0) as f32 * 0.5;
        }
    }
    let mut onsets = OnsetEnvelope::new(RATE);
    data.chunks(777).for_each(|piece| onsets.push(piece));
    let hop = onsets.hop();
    let envelope = onsets.finish();
    assert_eq!(envelope.len(), 96_000usize.div_ceil(hop));
    let highest = envelope.iter().copied().fold(0.0f32, f32::max);
    let peaks: Vec<usize> = (1..envelope.len() - 1)
        .filter(|&n| envelope[n] > 0.5 * highest)
        .filter(|&n| envelope[n] > envelope[n - 1] && envelope[n] >= envelope[n + 1])
        .collect();
    assert_eq!(peaks.len(), 3, "{peaks:?}");
    for (peak, start) in peaks.iter().zip(starts) {
        let error = (peak * hop) as f64 - start as f64;
        assert!(error.abs() <= 2.0 * hop as f64, "{error} frames off");
    }
}

#[test]
fn a_chord_lights_its_pitch_classes() {
    let mut data = vec![0.0f32; 96_000];
    for frequency in [261.626, 329.628, 391.995] {
        let tone = sine(frequency, 0.3, 96_000);
        data.iter_mut().zip(tone).for_each(|(sum, sample)| *sum += sample);
    }
    let mut chroma = Chroma::new(RATE);
    data.chunks(1_000).for_each(|piece| chroma.push(piece));
    let rows = chroma.finish();
    let row = &rows[12 * 20..12 * 21];
    for (class, energy) in row.iter().enumerate() {
        assert_eq!([0, 4, 7].contains(&class), *energy > 0.5, "class {class}: {energy}");
    }
}

#[test]
fn a_tone_lies_in_its_mel_band() {
    let mut mels = MelSpectra::new(RATE, 40);
    sine(1_000.0, 0.5, 48_000).chunks(999).for_each(|piece| mels.push(piece));
    let rows = mels.finish();
    assert_eq!(rows.len(), 40 * 48_000usize.div_ceil(512));
    let row = &rows[40 * 30..40 * 31];
    let loudest = (0..40).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    // 24 kHz is 61.2 mel, 1 kHz 15 mel: band centres lie 61.2 / 41 mel apart.
    assert_eq!(loudest, 9);
}

#[test]
fn features_do_not_depend_on_how_audio_arrives() {
    let data = noise(30_000);
    let onsets = |piece| {
        let mut onsets = OnsetEnvelope::new(RATE);
        data.chunks(piece).for_each(|part| onsets.push(part));
        onsets.finish()
    };
    let chroma = |piece| {
        let mut chroma = Chroma::new(RATE);
        data.chunks(piece).for_each(|part| chroma.push(part));
        chroma.finish()
    };
    assert_eq!(onsets(123), onsets(30_000));
    assert_eq!(chroma(4_567), chroma(30_000));
    assert!(OnsetEnvelope::new(RATE).finish().is_empty());
}

#[test]
fn mono_is_the_mean() {
    let mut out = Vec::new();
    mix_to_mono(&[&[1.0, 0.5], &[0.0, -0.5]], &mut out);
    assert_eq!(out, [0.5, 0.0]);
}
