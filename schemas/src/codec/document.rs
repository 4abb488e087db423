//! Bytes to `Value` and back, in the two encodings of the wire.
//!
//! MessagePack can say what `Value` can't hold: NaN, infinities, raw bytes,
//! extension types. serde_json would turn a NaN into `null` in silence; here
//! each is an error with the path to it.

use std::{cell::RefCell, fmt, io::Cursor};

use serde::Serialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{path::Path, value::Fault, value::ValueError};

/// Deeper nesting is refused in both encodings (serde_json's own limit).
pub const MAX_DEPTH: usize = 128;

/// How envelopes are written on one connection.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Encoding {
    Json,
    MessagePack,
}

impl Encoding {
    /// A JSON object starts with a brace or white space, a MessagePack map
    /// with 0x80–0x8f, 0xde or 0xdf: the first byte tells them apart, so a
    /// hello needs no agreement beforehand.
    pub fn sniff(body: &[u8]) -> Option<Encoding> {
        match body.first()? {
            b'{' | b' ' | b'\t' | b'\r' | b'\n' => Some(Encoding::Json),
            0x80..=0x8f | 0xde | 0xdf => Some(Encoding::MessagePack),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("not JSON: {message}")]
    Json { message: String },
    #[error("not MessagePack: {message} (at byte {offset})")]
    MessagePack { message: String, offset: u64 },
    #[error("{extra} bytes follow after the end of the document")]
    Trailing { extra: u64 },
    #[error("neither a JSON object nor a MessagePack map: the first byte is {first:#04x}")]
    Unrecognised { first: u8 },
    #[error("{0}")]
    Value(ValueError),
}

/// Reads one document that fills `bytes`.
pub fn read(encoding: Encoding, bytes: &[u8]) -> Result<Value, DocumentError> {
    match encoding {
        Encoding::Json => serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::Json { message: error.to_string() }),
        Encoding::MessagePack => read_message_pack(bytes),
    }
}

/// Appends one document to `out`.
pub fn write(
    encoding: Encoding,
    value: &impl Serialize,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    match encoding {
        Encoding::Json => serde_json::to_writer(out, value)
            .map_err(|error| WriteError { message: error.to_string() }),
        Encoding::MessagePack => rmp_serde::encode::write_named(out, value)
            .map_err(|error| WriteError { message: error.to_string() }),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message can't be encoded: {message}")]
pub struct WriteError {
    pub message: String,
}

fn read_message_pack(bytes: &[u8]) -> Result<Value, DocumentError> {
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(bytes));
    deserializer.set_max_depth(MAX_DEPTH);
    let fault = RefCell::new(None);
    let seed = Build { path: &Path::Root(""), fault: &fault };
    match seed.deserialize(&mut deserializer) {
        Ok(value) => match bytes.len() as u64 - deserializer.position() {
            0 => Ok(value),
            extra => Err(DocumentError::Trailing { extra }),
        },
        Err(error) => Err(match fault.into_inner() {
            Some(fault) => DocumentError::Value(fault),
            None => DocumentError::MessagePack {
                message: error.to_string(),
                offset: deserializer.position(),
            },
        }),
    }
}

#[derive(Clone, Copy)]
struct Build<'p> {
    path: &'p Path<'p>,
    fault: &'p RefCell<Option<ValueError>>,
}

impl Build<'_> {
    fn refuse<T, E: de::Error>(&self, fault: Fault, message: &str) -> Result<T, E> {
        let error = ValueError::new(self.path.to_string(), fault, message.to_owned());
        *self.fault.borrow_mut() = Some(error);
        Err(E::custom(message))
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a number, text, an array or a map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Value, E> {
        Ok(Value::from(whole))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Value, E> {
        Ok(Value::from(whole))
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Value, E> {
        match Number::from_f64(float) {
            Some(number) => Ok(Value::Number(number)),
            None => self.refuse(Fault::NotFinite, "the number is not finite"),
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bytes<E: de::Error>(self, _bytes: &[u8]) -> Result<Value, E> {
        self.refuse(Fault::Type, "raw bytes have no place in an envelope")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Value, D::Error> {
        self.refuse(Fault::Type, "extension types have no place in an envelope")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = self.path.index(items.len());
            match access.next_element_seed(Build { path: &path, fault: self.fault })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = access.next_key_seed(Build { path: self.path, fault: self.fault })? {
            let Value::String(key) = key else {
                return self.refuse(Fault::Type, "the keys of a map are text");
            };
            let path = self.path.key(&key);
            let value = access.next_value_seed(Build { path: &path, fault: self.fault })?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        let found = match read(Encoding::MessagePack, bytes) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn message_pack_that_json_could_not_say_is_an_error_with_its_path() {
        check(&[0x81, 0xa1, b'a', 0x92, 0x01, 0xc3], r#"{"a":[1,true]}"#);
        let nan = [&[0x81, 0xa1, b'a', 0x92, 0x01, 0xcb][..], &f64::NAN.to_be_bytes()].concat();
        check(&nan, "`a[1]`: the number is not finite");
        let infinite = [&[0x81, 0xa1, b'a', 0xca][..], &f32::INFINITY.to_be_bytes()].concat();
        check(&infinite, "`a`: the number is not finite");
        check(&[0x81, 0xa1, b'a', 0xc4, 0x01, 0], "`a`: raw bytes have no place in an envelope");
        check(
            &[0x81, 0xa1, b'a', 0xd4, 0x01, 0],
            "`a`: extension types have no place in an envelope",
        );
        check(&[0x81, 0x01, 0x02], "``: the keys of a map are text");
        check(&[0x80, 0x80], "1 bytes follow after the end of the document");
    }

    #[test]
    fn a_huge_claimed_length_allocates_nothing() {
        for bytes in [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff]] {
            assert!(matches!(
                read(Encoding::MessagePack, &bytes),
                Err(DocumentError::MessagePack { .. })
            ));
        }
        assert!(read(Encoding::MessagePack, &[0xdb, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn nesting_has_a_limit_in_both_encodings() {
        assert!(read(Encoding::Json, "[".repeat(10_000).as_bytes()).is_err());
        assert!(read(Encoding::MessagePack, &[0x91; 10_000]).is_err());
    }

    #[test]
    fn both_encodings_keep_every_number_exact() {
        let value = json!({"i": i64::MIN, "u": u64::MAX, "f": 0.1, "n": null, "s": "ü"});
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut bytes = Vec::new();
            write(encoding, &value, &mut bytes).unwrap();
            assert_eq!(Encoding::sniff(&bytes), Some(encoding));
            assert_eq!(read(encoding, &bytes), Ok(value.clone()));
        }
    }
}
