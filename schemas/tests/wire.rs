//! The wire from bytes to commands: round trips in both encodings, hostile
//! bytes, and the corpus of the fuzz targets.

use proptest::prelude::*;
use pulse_schemas::{
    codec::{self, Encoding},
    command,
    envelope::{Cause, Envelope, Kind, Party, Position, Priority, Timestamp},
    error::{ErrorBody, ErrorCode},
    frame::{DEFAULT_LIMIT, FrameDecoder, stream::StreamFrame},
};
use serde_json::{Map, Value, json};

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

fn cases(ci: u32) -> ProptestConfig {
    let factor = if std::env::var_os("PULSE_SOAK").is_some() { 1_000 } else { 1 };
    ProptestConfig::with_cases(ci * factor)
}

fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-z]{1,8}", any_value(), 0..6)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

prop_compose! {
    fn any_envelope()(
        id in "[!-~]{1,40}",
        cid in prop::option::of("[!-~]{1,40}"),
        ts in prop::option::of(-62_167_219_200_000i64..253_402_300_799_999),
        kind in prop::sample::select(vec![Kind::Command, Kind::Event, Kind::Snapshot]),
        priority in prop::sample::select(vec![Priority::Realtime, Priority::Low]),
        payload in any_object(),
        failed in any::<bool>(),
        expect_revision in prop::option::of(any::<u64>()),
        position in prop::option::of((any::<u64>(), any::<u64>())),
        author in prop::option::of(".{0,12}"),
        extra in prop::option::of(any_value()),
    ) -> Envelope {
        let error = ErrorBody::new(ErrorCode::ConflictStale, "stale").with("revision", 7);
        Envelope {
            cid,
            ts: ts.map(Timestamp),
            kind: if failed { Kind::Error } else { kind },
            priority,
            origin: Party::Aura,
            error: failed.then_some(error),
            expect_revision,
            position: position.map(|(epoch, sequence)| Position { epoch, sequence }),
            by: author.map(|author| Cause {
                client_id: "aura".into(),
                instance_id: "1".into(),
                author,
            }),
            extra: extra.map(|value| ("later".to_owned(), value)).into_iter().collect(),
            ..Envelope::command(id, "track", "create", payload)
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn envelopes_survive_both_encodings(envelope in any_envelope()) {
        for encoding in ENCODINGS {
            let mut frame = Vec::new();
            codec::encode_frame(encoding, &envelope, DEFAULT_LIMIT, &mut frame).unwrap();
            let mut decoder = FrameDecoder::new(DEFAULT_LIMIT);
            decoder.push(&frame);
            let body = decoder.next().unwrap().unwrap();
            prop_assert_eq!(codec::decode_any(body).unwrap(), (encoding, envelope.clone()));
        }
    }

    #[test]
    fn any_bytes_are_an_envelope_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    /// Payloads that are nearly right: an example with one value replaced.
    #[test]
    fn a_spoilt_payload_is_a_command_or_an_error(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let specs: Vec<_> = command::all().collect();
        let spec = specs[which.index(specs.len())];
        let mut payload = spec.example();
        let places = count(&payload);
        replace(&mut payload, &mut place.index(places), &value);
        match spec.decode(&payload) {
            Ok(typed) => {
                let again = typed.value.payload().unwrap();
                prop_assert_eq!(spec.decode(&again).unwrap().value, typed.value);
            }
            Err(error) => {
                let body = error.body();
                let path = body.details["path"].as_str().unwrap();
                prop_assert!(path.starts_with("payload"), "{} at {}", spec.full_name(), path);
            }
        }
    }
}

/// Values in a tree, the tree itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value that comes `left`-th.
fn replace(value: &mut Value, left: &mut usize, by: &Value) {
    if *left == 0 {
        *value = by.clone();
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, left, by)),
        _ => {}
    }
}

/// All that a server does with bytes before a handler sees them.
fn exercise(bytes: &[u8]) {
    let mut decoder = FrameDecoder::new(4096);
    decoder.push(bytes);
    while let Ok(Some(body)) = decoder.next() {
        read_body(body);
    }
    read_body(bytes);
}

fn read_body(body: &[u8]) {
    let _ = StreamFrame::read(body);
    for encoding in ENCODINGS {
        if let Ok(envelope) = codec::decode(encoding, body) {
            let _ = command::decode(&envelope.domain, &envelope.name, &envelope.payload);
            let mut again = Vec::new();
            assert_eq!(codec::encode(encoding, &envelope, &mut again), Ok(()));
            assert_eq!(codec::decode(encoding, &again), Ok(envelope));
        }
    }
}

#[test]
fn every_command_survives_the_wire_in_both_encodings() {
    for spec in command::all() {
        let envelope = Envelope::command("1", spec.domain.name(), spec.name, spec.example());
        let expect = spec.decode(&envelope.payload).unwrap();
        for encoding in ENCODINGS {
            let mut body = Vec::new();
            codec::encode(encoding, &envelope, &mut body).unwrap();
            exercise(&body);
            let read = codec::decode(encoding, &body).unwrap();
            let typed = command::decode(&read.domain, &read.name, &read.payload).unwrap();
            assert_eq!(typed, expect, "{}", spec.full_name());
        }
    }
}

#[test]
fn a_number_that_is_none_is_refused_with_its_path() {
    let mut payload = Map::new();
    payload.insert("notes".into(), json!([{"pitch": 60}, {"pitch": "here"}]));
    let envelope = Envelope::command("1", "note", "add", Value::Object(payload));
    let mut body = Vec::new();
    codec::encode(Encoding::MessagePack, &envelope, &mut body).unwrap();
    // The text "here" gives way to a NaN, byte by byte.
    let at = body.windows(5).position(|bytes| bytes == b"\xa4here").unwrap();
    body.splice(at..at + 5, [0xca].into_iter().chain(f32::NAN.to_be_bytes()));
    let error = codec::decode(Encoding::MessagePack, &body).unwrap_err();
    assert_eq!(error.body.known(), Some(ErrorCode::PayloadNotFinite));
    assert_eq!(error.body.details["path"], "payload.notes[1].pitch");
}

/// What the fuzz targets found, and seeds for them.
#[test]
#[allow(clippy::disallowed_methods, reason = "reads the corpus")]
fn the_corpus_does_no_harm() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        exercise(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 20, "the corpus is gone");
}
