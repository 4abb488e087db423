//! Typed payloads out of a `Value`, with the path to whatever is wrong.
//!
//! Both encodings meet in `serde_json::Value` before a payload is typed. So
//! each of some four hundred payload structs has its reader compiled once, an
//! error names the same path in either encoding, and every number that gets
//! here is finite, because `Value` can hold no other.

use std::{cell::RefCell, fmt};

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use super::path::Path;

/// The largest whole number that an f64 counts exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;
const LONGEST_MESSAGE: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Missing,
    Type,
    Value,
    NotFinite,
}

/// What is wrong with a value, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    pub path: String,
    pub fault: Fault,
    pub message: String,
    located: bool,
}

impl ValueError {
    pub fn new(path: String, fault: Fault, message: String) -> ValueError {
        ValueError { path, fault, message, located: true }
    }

    fn bare(fault: Fault, path: &str, message: String) -> ValueError {
        let message = message.chars().take(LONGEST_MESSAGE).collect();
        ValueError { path: path.to_owned(), fault, message, located: false }
    }

    /// The innermost place wins: it is nearest to the fault.
    fn at(mut self, path: &Path<'_>) -> ValueError {
        if !self.located {
            self.located = true;
            self.path = match self.path.as_str() {
                "" => path.to_string(),
                field => path.key(field).to_string(),
            };
        }
        self
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.message)
    }
}

impl std::error::Error for ValueError {}

/// serde's names of its own data model mean nothing to a client.
fn say(found: Unexpected<'_>, expected: &dyn de::Expected) -> String {
    let expected = match expected.to_string().as_str() {
        "f64" | "f32" => "a number".to_owned(),
        "i64" | "u64" | "i32" | "u32" | "i16" | "u16" | "i8" | "u8" | "usize" => {
            format!("a whole number ({expected})")
        }
        "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => match other.strip_prefix("struct ") {
            Some(_) => "an object".to_owned(),
            None => other.to_owned(),
        },
    };
    let found = match found {
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Bool(flag) => flag.to_string(),
        other => other.to_string(),
    };
    format!("expected {expected}, found {found}")
}

impl de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> ValueError {
        ValueError::bare(Fault::Value, "", message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> ValueError {
        ValueError::bare(Fault::Type, "", say(found, expected))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> ValueError {
        ValueError::bare(Fault::Value, "", say(found, expected))
    }

    fn missing_field(field: &'static str) -> ValueError {
        ValueError::bare(Fault::Missing, field, "this field is required".to_owned())
    }
}

/// A typed value, and the fields that its type doesn't know.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed<T> {
    pub value: T,
    /// Paths of the fields that were tolerated and not read.
    pub ignored: Vec<String>,
}

/// Reads `value` as a `T`; `root` names it in paths (`payload`).
pub fn from_value<'de, T: Deserialize<'de>>(
    root: &str,
    value: &'de Value,
) -> Result<Typed<T>, ValueError> {
    let ignored = RefCell::new(Vec::new());
    let path = Path::Root(root);
    let reader = Reader { value, path: &path, ignored: &ignored };
    let value = T::deserialize(reader).map_err(|error| error.at(&path))?;
    Ok(Typed { value, ignored: ignored.into_inner() })
}

#[derive(Clone, Copy)]
struct Reader<'de, 'p> {
    value: &'de Value,
    path: &'p Path<'p>,
    ignored: &'p RefCell<Vec<String>>,
}

impl<'de> Reader<'de, '_> {
    fn dispatch<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => visit_number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items, next: 0, reader: self }),
            Value::Object(fields) => visitor.visit_map(Fields::new(fields, self)),
        }
    }

    /// A whole number that came as a float (`3.0`, from a language that has
    /// only floats) is a whole number.
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Number(number) if number.is_f64() => {
                let float = number.as_f64().unwrap_or(f64::NAN);
                if float.trunc() == float && float.abs() <= EXACT {
                    visitor.visit_i64(float as i64)
                } else {
                    Err(de::Error::invalid_value(Unexpected::Float(float), &"a whole number"))
                }
            }
            _ => self.dispatch(visitor),
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(
    number: &serde_json::Number,
    visitor: V,
) -> Result<V::Value, ValueError> {
    if let Some(whole) = number.as_u64() {
        visitor.visit_u64(whole)
    } else if let Some(whole) = number.as_i64() {
        visitor.visit_i64(whole)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.integer(visitor).map_err(|error| error.at(self.path))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.dispatch(visitor).map_err(|error| error.at(self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|error| error.at(self.path))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self).map_err(|error| error.at(self.path))
    }

    /// An f64 that no f32 holds would become infinite without a word.
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let too_large = self.value.as_f64().is_some_and(|float| float.abs() > f64::from(f32::MAX));
        if too_large {
            let message = "the number is too large for 32 bits".to_owned();
            return Err(ValueError::bare(Fault::NotFinite, "", message).at(self.path));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let (variant, content) = match self.value {
            Value::String(name) => (name, None),
            Value::Object(fields) if fields.len() == 1 => match fields.iter().next() {
                Some((name, content)) => (name, Some(content)),
                None => return self.deserialize_any(visitor),
            },
            other => {
                let expected = &"a name, or an object with one field";
                return Err(<ValueError as de::Error>::invalid_type(unexpected(other), expected)
                    .at(self.path));
            }
        };
        visitor
            .visit_enum(Variant { name: variant, content, reader: self })
            .map_err(|error| error.at(self.path))
    }

    /// A struct is an object: serde alone would read an array as one, too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if self.value.is_object() {
            return self.deserialize_any(visitor);
        }
        Err(<ValueError as de::Error>::invalid_type(unexpected(self.value), &"an object")
            .at(self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.ignored.borrow_mut().push(self.path.to_string());
        visitor.visit_unit()
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    forward_to_deserialize_any! {
        bool f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(flag) => Unexpected::Bool(*flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => Unexpected::Unsigned(whole),
            (None, Some(whole)) => Unexpected::Signed(whole),
            (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items<'de, 'p> {
    items: &'de [Value],
    next: usize,
    reader: Reader<'de, 'p>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        let Some(value) = self.items.get(self.next) else { return Ok(None) };
        let path = self.reader.path.index(self.next);
        self.next += 1;
        seed.deserialize(Reader { value, path: &path, ignored: self.reader.ignored })
            .map(Some)
            .map_err(|error| error.at(&path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Fields<'de, 'p> {
    fields: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
    reader: Reader<'de, 'p>,
}

impl<'de, 'p> Fields<'de, 'p> {
    fn new(fields: &'de Map<String, Value>, reader: Reader<'de, 'p>) -> Fields<'de, 'p> {
        Fields { fields: fields.iter(), current: None, reader }
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        let Some((key, value)) = self.fields.next() else { return Ok(None) };
        self.current = Some((key, value));
        let path = self.reader.path.key(key);
        let deserializer = de::value::BorrowedStrDeserializer::new(key);
        seed.deserialize(deserializer).map(Some).map_err(|error: ValueError| error.at(&path))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = self.reader.path.key(key);
        seed.deserialize(Reader { value, path: &path, ignored: self.reader.ignored })
            .map_err(|error| error.at(&path))
    }
}

struct Variant<'de, 'p> {
    name: &'de str,
    content: Option<&'de Value>,
    reader: Reader<'de, 'p>,
}

impl<'de> Variant<'de, '_> {
    fn with_content<T>(
        self,
        read: impl FnOnce(Reader<'de, '_>) -> Result<T, ValueError>,
    ) -> Result<T, ValueError> {
        let path = self.reader.path.key(self.name);
        let value = self.content.unwrap_or(&Value::Null);
        read(Reader { value, path: &path, ignored: self.reader.ignored })
            .map_err(|error| error.at(&path))
    }
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), ValueError> {
        let name = de::value::BorrowedStrDeserializer::<ValueError>::new(self.name);
        let value = seed.deserialize(name)?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(other) => {
                Err(de::Error::invalid_type(unexpected(other), &"nothing beside this name"))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        self.with_content(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.with_content(|reader| reader.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.with_content(|reader| reader.deserialize_any(visitor))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::TrackId;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)]
    struct Payload {
        track: Option<TrackId>,
        #[serde(default)]
        notes: Vec<Note>,
        shape: Option<Shape>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Note {
        pitch: u8,
        velocity: f32,
        start: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)]
    enum Shape {
        Flat,
        Ramp { to: f64 },
    }

    fn check(value: Value, expect: &str) {
        let found = match from_value::<Payload>("payload", &value) {
            Ok(typed) => format!("ignored {:?}", typed.ignored),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn an_error_names_the_path_to_the_field() {
        let note = json!({"pitch": 60, "velocity": 0.5, "start": 0});
        check(
            json!({"notes": [note, {"pitch": "C", "velocity": 1, "start": 0}]}),
            "`payload.notes[1].pitch`: expected a whole number (u8), found the text \"C\"",
        );
        check(
            json!({"notes": [{"pitch": 300, "velocity": 1, "start": 0}]}),
            "`payload.notes[0].pitch`: expected a whole number (u8), found 300",
        );
        check(
            json!({"notes": [{"pitch": 1, "start": 0}]}),
            "`payload.notes[0].velocity`: this field is required",
        );
        check(
            json!({"notes": [{"pitch": 1, "velocity": 1e300, "start": 0}]}),
            "`payload.notes[0].velocity`: the number is too large for 32 bits",
        );
        check(
            json!({"notes": [{"pitch": 1, "velocity": 1, "start": 0.5}]}),
            "`payload.notes[0].start`: expected a whole number, found 0.5",
        );
        check(
            json!({"track": "clp_00000000000000000000000000"}),
            "`payload.track`: expected the id of a track (`trk_…`), found one of a clip (`clp_…`)",
        );
        check(
            json!({"shape": {"ramp": {"to": "far"}}}),
            "`payload.shape.ramp.to`: expected a number, found the text \"far\"",
        );
        check(
            json!({"shape": "round"}),
            "`payload.shape`: unknown variant `round`, expected `flat` or `ramp`",
        );
        check(json!([]), "`payload`: expected an object, found an array");
        check(json!(7), "`payload`: expected an object, found 7");
    }

    #[test]
    fn unknown_fields_are_tolerated_and_named() {
        check(
            json!({"nmae": 1, "notes": [{"pitch": 1, "velocity": 1, "start": 3.0, "x": 0}]}),
            "ignored [\"payload.nmae\", \"payload.notes[0].x\"]",
        );
    }
}
