//! Replies, as the wire carries them, and references to them inside a batch.

use serde_json::{Map, Value};

use super::{
    CommandType,
    types::{Done, EditReceipt},
};

/// The payload of a command's result. An edit adds what it did to the project
/// as the field `edit`.
pub fn reply<C: CommandType>(
    reply: &C::Reply,
    receipt: Option<&EditReceipt>,
) -> Result<Value, serde_json::Error> {
    let mut payload = serde_json::to_value(reply)?;
    if let (Value::Object(fields), Some(receipt)) = (&mut payload, receipt) {
        fields.insert("edit".to_owned(), serde_json::to_value(receipt)?);
    }
    Ok(payload)
}

/// Reads the payload of a result, on the client's side.
pub fn read_reply<C: CommandType>(payload: &Value) -> Result<C::Reply, crate::codec::ValueError> {
    crate::codec::from_value("payload", payload).map(|typed| typed.value)
}

/// What an edit did, out of the payload of its result.
pub fn read_receipt(payload: &Value) -> Option<EditReceipt> {
    serde_json::from_value(payload.get("edit")?.clone()).ok()
}

impl Done {
    pub fn payload(receipt: Option<&EditReceipt>) -> Result<Value, serde_json::Error> {
        let mut fields = Map::new();
        if let Some(receipt) = receipt {
            fields.insert("edit".to_owned(), serde_json::to_value(receipt)?);
        }
        Ok(Value::Object(fields))
    }
}

/// A `"$2.track"` that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}`: `{reference}` names nothing in the replies so far; \
     `$N.field` is a field of the reply of command N of this batch, counted from 0"
)]
pub struct ReferenceError {
    pub path: String,
    pub reference: String,
}

/// Puts what earlier replies of a batch said in the place of `"$2.track"`.
pub fn resolve_references(payload: &mut Value, replies: &[Value]) -> Result<(), ReferenceError> {
    resolve(payload, replies, "payload")
}

fn resolve(value: &mut Value, replies: &[Value], path: &str) -> Result<(), ReferenceError> {
    match value {
        Value::String(text) => {
            let Some(reference) = text.strip_prefix('$') else { return Ok(()) };
            // `$$5` is the text `$5`.
            if reference.starts_with('$') {
                *value = Value::String(reference.to_owned());
                return Ok(());
            }
            let found = look_up(reference, replies).cloned();
            *value = found.ok_or_else(|| ReferenceError {
                path: path.to_owned(),
                reference: text.chars().take(100).collect(),
            })?;
            Ok(())
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| resolve(item, replies, &format!("{path}[{index}]"))),
        Value::Object(fields) => fields
            .iter_mut()
            .try_for_each(|(key, field)| resolve(field, replies, &format!("{path}.{key}"))),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// `2.copies[0].copy` in the replies.
fn look_up<'v>(reference: &str, replies: &'v [Value]) -> Option<&'v Value> {
    let (index, rest) = reference.split_once('.')?;
    let mut found = replies.get(index.parse::<usize>().ok()?)?;
    for step in rest.split('.') {
        let Some((field, indices)) = step.split_once('[') else {
            found = found.get(step)?;
            continue;
        };
        found = found.get(field)?;
        for index in indices.strip_suffix(']')?.split("][") {
            found = found.get(index.parse::<usize>().ok()?)?;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::{track, types::Copied, types::CopyOf};

    #[test]
    fn a_batch_refers_to_what_it_made() {
        let replies = [json!({"track": "trk_x"}), json!({"copies": [{"copy": "clp_y"}]})];
        let check = |mut payload: Value, expect: Result<Value, &str>| {
            let found = resolve_references(&mut payload, &replies);
            match expect {
                Ok(expect) => assert_eq!((found, payload), (Ok(()), expect)),
                Err(path) => assert_eq!(found.map_err(|error| error.path), Err(path.to_owned())),
            }
        };
        check(json!({"track": "$0.track"}), Ok(json!({"track": "trk_x"})));
        check(json!({"clips": ["$1.copies[0].copy"]}), Ok(json!({"clips": ["clp_y"]})));
        check(json!({"name": "$$0.track"}), Ok(json!({"name": "$0.track"})));
        check(json!({"clips": [1, "$1.copies[1].copy"]}), Err("payload.clips[1]"));
        for bad in ["$", "$0", "$9.track", "$0.", "$1.copies[", "$1.copies[x]", "$0.track.deep"] {
            check(json!({ "a": bad }), Err("payload.a"));
        }
    }

    #[test]
    fn the_receipt_of_an_edit_stands_beside_its_reply() {
        let receipt = EditReceipt { revision: 3, root: Default::default(), entry: Some(2) };
        let copies: Vec<CopyOf> = Vec::new();
        let answer = Copied { copies };
        let payload = reply::<track::Duplicate>(&answer, Some(&receipt)).unwrap();
        assert_eq!(read_receipt(&payload), Some(receipt));
        assert_eq!(read_reply::<track::Duplicate>(&payload), Ok(answer));
    }
}
