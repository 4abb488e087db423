//! Compressed formats, against the formula that the fixtures were made from.

use super::*;

const FRAMES: usize = 13_230;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/audio/", $name)).as_slice()
    };
}

fn fixtures() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("tone_16.flac", fixture!("tone_16.flac")),
        ("tone_24.flac", fixture!("tone_24.flac")),
        ("tone_16.aiff", fixture!("tone_16.aiff")),
        ("tone_24.aiff", fixture!("tone_24.aiff")),
        ("tone_aac.m4a", fixture!("tone_aac.m4a")),
        ("tone_adts.aac", fixture!("tone_adts.aac")),
        ("tone_alac.m4a", fixture!("tone_alac.m4a")),
        ("tone_alaw.wav", fixture!("tone_alaw.wav")),
        ("tone_headerless.mp3", fixture!("tone_headerless.mp3")),
        ("tone_ima.wav", fixture!("tone_ima.wav")),
        ("tone_lame.mp3", fixture!("tone_lame.mp3")),
        ("tone_ms.wav", fixture!("tone_ms.wav")),
        ("tone_vbr.mp3", fixture!("tone_vbr.mp3")),
        ("tone_vorbis.ogg", fixture!("tone_vorbis.ogg")),
    ]
}

fn named(name: &str) -> &'static [u8] {
    fixtures().into_iter().find(|(other, _)| *other == name).unwrap().1
}

fn tone(channel: usize, frame: i64) -> f64 {
    let (level, frequency) = [(0.5, 440.0), (0.25, 660.0)][channel];
    level * libm::sin(std::f64::consts::TAU * frequency * frame as f64 / 44_100.0)
}

/// The ratio of the tone to what is left without it, when frame 0 of the file
/// is frame `offset` of the tone.
fn snr(audio: &AudioBuffer, gain: f64, offset: i64) -> f64 {
    let (mut signal, mut error) = (0.0, 0.0);
    for channel in 0..2 {
        let data = audio.channel(channel);
        // Away from the abrupt edges, which lossy codecs smear.
        let middle = data.len() / 4..data.len() * 3 / 4;
        for frame in middle {
            let ideal = gain * tone(channel, frame as i64 + offset);
            signal += ideal * ideal;
            error += (f64::from(data[frame]) - ideal).powi(2);
        }
    }
    10.0 * libm::log10(signal / error)
}

#[test]
fn every_format_decodes_to_its_signal() {
    let check = |name: &str, frames: usize, gain: f64, offset: i64, least: f64| {
        let decoded = decode(named(name));
        let found = snr(&decoded.audio, gain, offset);
        println!("{name}: {} frames, {found:.1} dB", decoded.audio.frames());
        assert_eq!(decoded.audio.frames(), frames, "{name}");
        assert_eq!(decoded.findings, Findings::default(), "{name}");
        assert_eq!((decoded.audio.rate(), decoded.audio.channels()), (44_100, 2));
        assert!(found >= least, "{name}: {found:.1} dB");
    };
    check("tone_16.flac", FRAMES, 1.0, 0, 80.0);
    check("tone_24.flac", 4_410, 0.5, 0, 80.0);
    check("tone_16.aiff", 2_205, 1.0, 0, 80.0);
    check("tone_24.aiff", 2_205, 1.0, 0, 80.0);
    check("tone_alac.m4a", FRAMES, 1.0, 0, 80.0);
    check("tone_alaw.wav", 2_205, 1.0, 0, 30.0);
    check("tone_ima.wav", 14_238, 1.0, 0, 30.0);
    check("tone_ms.wav", 14_168, 1.0, 0, 30.0);
    check("tone_vorbis.ogg", FRAMES, 1.0, 0, 25.0);
    check("tone_lame.mp3", FRAMES, 1.0, 0, 25.0);
    check("tone_vbr.mp3", FRAMES, 1.0, 0, 35.0);
    check("tone_aac.m4a", FRAMES, 1.0, 0, 20.0);
    // Nothing in these two says how much priming the encoder put first.
    check("tone_headerless.mp3", 13 * 1_152, 1.0, -1_105, 25.0);
    check("tone_adts.aac", 14 * 1_024, 1.0, -1_024, 20.0);
}

#[test]
fn a_seek_gives_the_same_bits_as_reading_from_the_start() {
    for (name, bytes) in fixtures() {
        let whole = decode(bytes).audio;
        let mut decoder = open(bytes).unwrap();
        let last = whole.frames() as u64 - 1;
        for start in [last, 0, 1_700, 600, 5_000, 9_999, 1, 12_000, 3] {
            let start = start.min(last);
            decoder.seek(start).unwrap();
            assert_eq!(decoder.position(), start);
            let mut out = AudioBuffer::silent(44_100, 2, 333);
            let count = decoder.read(&mut out.planes_mut()).unwrap();
            assert_eq!(count, 333.min((last + 1 - start) as usize), "{name} at {start}");
            for channel in 0..2 {
                let expect = &whole.channel(channel)[start as usize..start as usize + count];
                assert!(out.channel(channel)[..count] == *expect, "{name} at {start}");
            }
        }
    }
}

#[test]
fn a_long_way_back_is_exact_in_lossy_formats_too() {
    // Longer than the pre-roll, so that the seek really starts in the middle.
    for name in ["tone_headerless.mp3", "tone_adts.aac"] {
        let long = named(name).repeat(6);
        let whole = decode(&long).audio;
        let mut decoder = open(&long).unwrap();
        for start in [70_000u64, 40_000, 61_234, 20_000, 55_555] {
            decoder.seek(start).unwrap();
            let mut out = AudioBuffer::silent(44_100, 2, 4_000);
            assert_eq!(decoder.read(&mut out.planes_mut()), Ok(4_000), "{name}");
            let expect = &whole.channel(0)[start as usize..start as usize + 4_000];
            assert!(out.channel(0) == expect, "{name} at {start}");
        }
    }
}

#[test]
fn substituted_noise_is_the_same_however_it_is_reached() {
    let bytes = fixture!("noise_aac.m4a");
    let whole = decode(bytes).audio;
    assert_eq!(whole.frames(), 17 * 8_000);
    let mut decoder = open(bytes).unwrap();
    for start in [131_000u64, 65_500, 70_000, 10, 135_990, 65_536, 131_072, 65_535, 64_000] {
        decoder.seek(start).unwrap();
        let mut out = AudioBuffer::silent(8_000, 1, 3_000);
        let count = decoder.read(&mut out.planes_mut()).unwrap();
        assert_eq!(count, 3_000.min(whole.frames() - start as usize));
        let expect = &whole.channel(0)[start as usize..start as usize + count];
        assert!(out.channel(0)[..count] == *expect, "at {start}");
    }
}

#[test]
fn a_file_cut_short_keeps_its_beginning() {
    for (name, bytes) in fixtures() {
        let whole = decode(bytes).audio;
        let Ok(mut decoder) = open(&bytes[..bytes.len() * 2 / 3]) else {
            // The index of these M4A files lies behind their audio. All of the Vorbis
            // file's audio lies in one page, which is lost.
            assert!(["m4a", "ogg"].iter().any(|end| name.ends_with(end)), "{name}");
            continue;
        };
        let cut = decoder.decode_all(1 << 28).unwrap();
        let frames = cut.audio.frames();
        println!("{name}: {frames} of {}", whole.frames());
        assert!(frames > whole.frames() / 3 && frames < whole.frames(), "{name}: {frames}");
        assert!(
            cut.audio.channel(0)[..frames - 2_400.min(frames)]
                == whole.channel(0)[..frames - 2_400.min(frames)]
        );
        // Formats that state no length cannot know that something is missing.
        let states_length = !name.contains("headerless") && !name.contains("adts");
        if states_length {
            assert!(cut.findings.truncated.is_some(), "{name}");
        }
    }
}

/// A file of four chunks: format, sound, a name of three letters.
fn aiff(form: u32, sound: u32, samples: &[i16]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"FORM");
    put(&form.to_be_bytes());
    put(b"AIFFCOMM");
    put(&18u32.to_be_bytes());
    put(&1u16.to_be_bytes());
    put(&100u32.to_be_bytes());
    put(&16u16.to_be_bytes());
    // 44,100 as an 80-bit number.
    put(&[0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0]);
    put(b"SSND");
    put(&sound.to_be_bytes());
    put(&[0; 8]);
    samples.iter().for_each(|sample| put(&sample.to_be_bytes()));
    put(b"NAME");
    put(&3u32.to_be_bytes());
    put(b"abc\0");
    file
}

#[test]
fn an_aiff_that_ends_anywhere_gives_its_whole_frames_and_says_what_is_missing() {
    let samples: Vec<i16> = (0..100).map(|n| n * 300 - 15_000).collect();
    let file = aiff(46 + 8 + 200 + 12, 208, &samples);
    let whole = decode(&file);
    assert_eq!((whole.audio.frames(), whole.findings), (100, Findings::default()));
    for length in 0..file.len() {
        let opened = open(&file[..length]);
        let (readable, rest) = (length.saturating_sub(54) / 2, length >= 254);
        match (opened, readable) {
            (Err(OpenError::Empty), 0) => {}
            (Err(OpenError::Damaged { .. } | OpenError::UnknownFormat), 0) if length < 46 => {}
            (Ok(mut decoder), 1..) => {
                let cut = decoder.decode_all(1 << 20).unwrap();
                let readable = readable.min(100);
                assert_eq!(cut.audio.channel(0), &whole.audio.channel(0)[..readable]);
                // Nothing of the sound is missing when only the name is cut off.
                let missing = Truncation { declared: 100, readable: readable as u64 };
                assert_eq!(cut.findings.truncated, (!rest).then_some(missing), "{length}");
                decoder.seek(readable as u64 / 2).unwrap();
                let mut out = AudioBuffer::silent(44_100, 1, 100);
                let count = decoder.read(&mut out.planes_mut()).unwrap();
                assert_eq!(count, readable - readable / 2, "{length}");
            }
            (opened, _) => panic!("{length}: {:?}", opened.map(|decoder| *decoder.info())),
        }
    }
}

#[test]
fn an_aiff_whose_sizes_were_never_written_reads_to_its_end() {
    let samples: Vec<i16> = (0..100).map(|n| n * 300 - 15_000).collect();
    let mut file = aiff(0, 0, &samples);
    file.truncate(54 + 71);
    let found = decode(&file);
    assert_eq!((found.audio.frames(), found.findings), (35, Findings::default()));
}

#[test]
fn damage_in_the_middle_stays_there() {
    for name in ["tone_lame.mp3", "tone_vorbis.ogg", "tone_16.flac"] {
        let mut bytes = named(name).to_vec();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0x55);
        let Ok(mut decoder) = open(&bytes) else { continue };
        let decoded = decoder.decode_all(1 << 28).unwrap();
        assert!(decoded.audio.frames() <= FRAMES, "{name}");
        assert!(decoded.audio.channel(0)[..2_000] == decode(named(name)).audio.channel(0)[..2_000]);
    }
}

#[test]
fn a_codec_we_lack_is_named() {
    let error = open(fixture!("tone_opus.ogg")).unwrap_err();
    assert_eq!(error, OpenError::UnsupportedCodec { codec: "Opus".into() });
}

#[test]
fn wav_and_flac_of_one_sound_are_one_content() {
    let mut data = Vec::new();
    let audio = decode(named("tone_16.flac"));
    for frame in 0..audio.audio.frames() {
        for channel in 0..2 {
            let sample = audio.audio.channel(channel)[frame] * 32_768.0;
            data.extend((sample as i16).to_le_bytes());
        }
    }
    let wave = Wave { tag: 1, bits: 16, channels: 2, rate: 44_100, data: &data }.file();
    assert_eq!(decode(&wave).content_id, audio.content_id);
    assert_eq!(decode(named("tone_alac.m4a")).content_id, audio.content_id);
}
