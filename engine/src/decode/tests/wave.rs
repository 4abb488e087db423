//! WAV: every encoding, every header that is met in the wild.

use super::*;

fn check(tag: u16, bits: u16, data: &[u8], expect: &[f32]) {
    let wave = Wave { tag, bits, channels: 1, rate: 48_000, data };
    assert_eq!(decode(&wave.file()).audio.channel(0), expect, "tag {tag}, {bits} bits");
}

#[test]
fn every_encoding_maps_to_the_right_samples() {
    check(1, 8, &[0, 64, 128, 255], &[-1.0, -0.5, 0.0, 127.0 / 128.0]);
    check(1, 16, &[0, 0x80, 1, 0, 0xFF, 0x7F], &[-1.0, 1.0 / 32768.0, 32767.0 / 32768.0]);
    check(1, 24, &[0, 0, 0x80, 1, 0, 0], &[-1.0, 1.0 / 8_388_608.0]);
    check(1, 20, &[0, 0, 0x80, 0x10, 0, 0], &[-1.0, 16.0 / 8_388_608.0]);
    check(1, 32, &[0, 0, 0, 0x80, 0, 0, 0, 0x40], &[-1.0, 0.5]);
    check(3, 32, &[1.5f32.to_le_bytes(), (-1e-30f32).to_le_bytes()].concat(), &[1.5, -1e-30]);
    check(3, 64, &[0.1f64.to_le_bytes(), (-2.0f64).to_le_bytes()].concat(), &[0.1, -2.0]);
}

#[test]
fn the_header_is_reported() {
    let data = [0u8; 36];
    let info = *open(&Wave { tag: 1, bits: 24, channels: 3, rate: 96_000, data: &data }.file())
        .unwrap()
        .info();
    assert_eq!((info.rate, info.channels, info.frames), (96_000, 3, 4));
    assert_eq!(info.samples, SampleKind::Integer { bits: 24 });
    assert_eq!(info.container, Container::Wav);
}

fn extensible(tag: u16, valid: u16, bits: u16) -> Vec<u8> {
    let mut format = Wave { tag: 0xFFFE, bits, channels: 2, rate: 44_100, data: &[] }.format();
    format.extend(22u16.to_le_bytes());
    format.extend(valid.to_le_bytes());
    format.extend(3u32.to_le_bytes());
    format.extend(tag.to_le_bytes());
    format.extend([0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113]);
    format
}

#[test]
fn an_extensible_header_means_what_its_guid_says() {
    let float = [0.25f32.to_le_bytes(), (-0.5f32).to_le_bytes()].concat();
    let file = riff(&[(b"fmt ", &extensible(3, 32, 32)), (b"data", &float)]);
    assert_eq!(decode(&file).audio.channel(1), [-0.5]);
    let file = riff(&[(b"fmt ", &extensible(1, 20, 24)), (b"data", &[0, 0, 64, 0, 0, 192])]);
    assert_eq!(decode(&file).audio.planes(), [[0.5].as_slice(), &[-0.5]]);
    assert_eq!(open(&file).unwrap().info().samples, SampleKind::Integer { bits: 20 });
}

#[test]
fn other_chunks_and_odd_sizes_are_stepped_over() {
    let format = Wave { tag: 1, bits: 8, channels: 1, rate: 8_000, data: &[] }.format();
    let file = riff(&[
        (b"JUNK", &[7; 33]),
        (b"fmt ", &format),
        (b"LIST", &[1, 2, 3]),
        (b"data", &[128, 192, 64]),
        (b"id3 ", &[9; 10]),
    ]);
    assert_eq!(decode(&file).audio.channel(0), [0.0, 0.5, -0.5]);
}

#[test]
fn rf64_and_bw64_take_their_size_from_ds64() {
    for form in [b"RF64", b"BW64"] {
        let format = Wave { tag: 1, bits: 16, channels: 1, rate: 48_000, data: &[] }.format();
        let mut sizes = [0u8; 28];
        sizes[8] = 4;
        let mut file = riff(&[
            (b"ds64", &sizes),
            (b"fmt ", &format),
            (b"data", &[0, 64, 0, 192]),
            (b"LIST", &[1; 8]),
        ]);
        file[0..4].copy_from_slice(form);
        file[4..8].copy_from_slice(&[255; 4]);
        let size = 12 + 36 + 24 + 4;
        file[size..size + 4].copy_from_slice(&[255; 4]);
        assert_eq!(decode(&file).audio.channel(0), [0.5, -0.5]);
    }
}

#[test]
fn a_header_that_was_never_finished_reads_to_the_end() {
    for claimed in [0u32, u32::MAX] {
        let mut file =
            Wave { tag: 1, bits: 16, channels: 1, rate: 48_000, data: &[0, 64, 0, 192, 7] }.file();
        file.truncate(file.len() - 1);
        file[4..8].copy_from_slice(&0u32.to_le_bytes());
        file[40..44].copy_from_slice(&claimed.to_le_bytes());
        assert_eq!(decode(&file).audio.channel(0), [0.5, -0.5]);
    }
}

#[test]
fn a_truncated_file_keeps_what_is_readable_and_says_so() {
    let data: Vec<u8> = (0..400u32).flat_map(|n| (n as i16).to_le_bytes()).collect();
    let mut file = Wave { tag: 1, bits: 16, channels: 2, rate: 48_000, data: &data }.file();
    file.truncate(44 + 101 * 4 + 3);
    let decoded = decode(&file);
    assert_eq!(decoded.audio.frames(), 101);
    assert_eq!(decoded.findings.truncated, Some(Truncation { declared: 200, readable: 101 }));
}

#[test]
fn nan_and_infinity_become_silence_and_are_counted() {
    let samples = [0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5];
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let decoded = decode(&Wave { tag: 3, bits: 32, channels: 1, rate: 48_000, data: &data }.file());
    assert_eq!(decoded.audio.channel(0), [0.5, 0.0, 0.0, 0.0, -0.5]);
    assert_eq!(decoded.findings.replaced_samples, 3);
    let beyond = 1e300f64.to_le_bytes();
    let decoded =
        decode(&Wave { tag: 3, bits: 64, channels: 1, rate: 48_000, data: &beyond }.file());
    assert_eq!(decoded.findings.replaced_samples, 1);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let check = |file: &[u8], expect: OpenError| {
        assert_eq!(open(file).unwrap_err(), expect);
    };
    let wave = |channels, rate| Wave { tag: 1, bits: 8, channels, rate, data: &[128; 512] }.file();
    check(&[], OpenError::Empty);
    check(b"not audio at all, just some text in a file", OpenError::UnknownFormat);
    check(&wave(1, 0), OpenError::Rate { rate: 0 });
    check(&wave(1, 50), OpenError::Rate { rate: 50 });
    check(&wave(1, u32::MAX), OpenError::Rate { rate: u32::MAX });
    check(&wave(0, 48_000), OpenError::Channels { channels: 0 });
    check(&wave(65, 48_000), OpenError::Channels { channels: 65 });
    let empty = Wave { tag: 1, bits: 16, channels: 2, rate: 48_000, data: &[] };
    check(&empty.file(), OpenError::Empty);
    check(&riff(&[(b"fmt ", &empty.format())]), OpenError::Empty);
    let reason = "the audio comes before its `fmt ` chunk".to_owned();
    check(&riff(&[(b"data", &[0; 4])]), OpenError::Damaged { reason });
}

#[test]
fn a_failing_medium_is_an_error_and_not_an_end() {
    let data = vec![0u8; 400_000];
    let file = Wave { tag: 1, bits: 16, channels: 2, rate: 48_000, data: &data }.file();
    let media = Failing { inner: Cursor::new(file), good: 200_000 };
    let mut decoder = Decoder::open(Box::new(media), None).unwrap();
    let error = decoder.decode_all(1 << 30).unwrap_err();
    assert!(matches!(error, DecodeError::Io { frame, .. } if frame > 10_000), "{error:?}");
    assert_eq!(decoder.findings().truncated, None);
}

#[test]
fn the_memory_limit_is_checked_before_memory_is_taken() {
    let file = Wave { tag: 1, bits: 8, channels: 1, rate: 48_000, data: &[128; 100] }.file();
    let error = open(&file).unwrap().decode_all(399).unwrap_err();
    assert_eq!(error, DecodeError::TooLarge { needed: 400, limit: 399 });
    assert_eq!(open(&file).unwrap().decode_all(400).unwrap().audio.frames(), 100);
}

#[test]
fn the_content_id_is_of_the_sound_and_not_of_the_file() {
    let format = Wave { tag: 1, bits: 16, channels: 1, rate: 48_000, data: &[] }.format();
    let data = [1u8; 64];
    let plain = decode(&riff(&[(b"fmt ", &format), (b"data", &data)])).content_id;
    let tagged = riff(&[(b"LIST", &[3; 20]), (b"fmt ", &format), (b"data", &data)]);
    assert_eq!(decode(&tagged).content_id, plain);
    assert_eq!(open(&tagged).unwrap().content_id(), Ok(plain));
    let mut other = data;
    other[63] ^= 1;
    assert_ne!(decode(&riff(&[(b"fmt ", &format), (b"data", &other)])).content_id, plain);
    let rate = Wave { tag: 1, bits: 16, channels: 1, rate: 44_100, data: &data };
    assert_ne!(decode(&rate.file()).content_id, plain);
}
