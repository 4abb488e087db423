//! Bytes that nobody wrote on purpose: no panic, no memory by claim.

use proptest::prelude::*;

use super::*;

/// Files here are tiny; more frames than this would have to be invented.
const MOST_FRAMES: u64 = 1 << 22;

fn cases(short: u32) -> ProptestConfig {
    let soak = std::env::var_os("PULSE_SOAK").is_some();
    ProptestConfig { cases: if soak { short * 100 } else { short }, ..Default::default() }
}

/// Opens, reads everything, seeks: each may fail, none may panic or run away.
fn exercise(bytes: &[u8]) {
    let Ok(mut decoder) = open(bytes) else { return };
    let info = *decoder.info();
    assert!(info.channels <= MAX_CHANNELS && info.rate <= MAX_RATE);
    let mut out = AudioBuffer::silent(info.rate, info.channels, 4096);
    let mut total = 0;
    while let Ok(count) = decoder.read(&mut out.planes_mut()) {
        total += count as u64;
        if count == 0 || total > MOST_FRAMES {
            break;
        }
    }
    let _ = decoder.seek(info.frames / 2);
    let _ = decoder.read(&mut out.planes_mut());
}

fn seed_file(kind: usize) -> Vec<u8> {
    match kind {
        0 => Wave { tag: 1, bits: 16, channels: 2, rate: 48_000, data: &[5; 400] }.file(),
        1 => Wave { tag: 3, bits: 32, channels: 1, rate: 48_000, data: &[5; 400] }.file(),
        2 => include_bytes!("../../../../tests/fixtures/audio/tone_lame.mp3").to_vec(),
        3 => include_bytes!("../../../../tests/fixtures/audio/tone_vorbis.ogg").to_vec(),
        4 => include_bytes!("../../../../tests/fixtures/audio/tone_aac.m4a").to_vec(),
        5 => include_bytes!("../../../../tests/fixtures/audio/tone_16.aiff").to_vec(),
        6 => include_bytes!("../../../../tests/fixtures/audio/tone_ima.wav").to_vec(),
        7 => include_bytes!("../../../../tests/fixtures/audio/tone_adts.aac").to_vec(),
        _ => include_bytes!("../../../../tests/fixtures/audio/tone_24.flac").to_vec(),
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_wave_header_with_any_bytes_changed_is_survived(
        changes in prop::collection::vec((0usize..60, any::<u8>()), 1..8),
        kind in 0usize..2,
    ) {
        let mut file = seed_file(kind);
        for (at, value) in changes {
            file[at] = value;
        }
        exercise(&file);
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(&bytes);
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn any_file_with_bytes_changed_or_cut_is_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        near_start in any::<bool>(),
        cut in any::<prop::sample::Index>(),
        kind in 0usize..9,
    ) {
        let mut file = seed_file(kind);
        let range = if near_start { 200.min(file.len()) } else { file.len() };
        for (at, value) in changes {
            file[at.index(range)] = value;
        }
        let length = if near_start { file.len() } else { cut.index(file.len()) };
        exercise(&file[..length]);
    }
}
