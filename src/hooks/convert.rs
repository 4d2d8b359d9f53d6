//! Between JSON and the values of scripts.

use rhai::{Array, Dynamic, Map};
use serde_json::{Number, Value};

use super::failure::{Failure, Kind};

/// How deep an answer may be nested.
const DEPTH: usize = 16;

/// A JSON value for a script; `null` is `()`.
pub fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(is) => Dynamic::from(*is),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Dynamic::from_int(whole),
            None => Dynamic::from_float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => Dynamic::from(text.as_str().to_owned()),
        Value::Array(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect()),
        Value::Object(members) => Dynamic::from_map(
            members.iter().map(|(name, value)| (name.as_str().into(), to_dynamic(value))).collect(),
        ),
    }
}

/// What a script gave, as JSON.
pub fn from_dynamic(value: &Dynamic) -> Result<Value, Failure> {
    convert(value, 0)
}

fn convert(value: &Dynamic, depth: usize) -> Result<Value, Failure> {
    let refused = |why: String| Failure::new(Kind::BadAnswer, why);
    if depth > DEPTH {
        return Err(refused(format!("its answer is nested deeper than {DEPTH}")));
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(is) = value.as_bool() {
        return Ok(Value::Bool(is));
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        let number = Number::from_f64(number);
        return number.map(Value::Number).ok_or_else(|| refused("it gave no number".to_owned()));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::String(letter.to_string()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let items = items.iter().map(|item| convert(item, depth + 1));
        return Ok(Value::Array(items.collect::<Result<_, _>>()?));
    }
    if let Some(members) = value.read_lock::<Map>() {
        let members =
            members.iter().map(|(name, value)| Ok((name.to_string(), convert(value, depth + 1)?)));
        return Ok(Value::Object(members.collect::<Result<_, Failure>>()?));
    }
    Err(refused(format!("it gave {}, which JSON has not", value.type_name())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_comes_back_as_it_went() {
        let value = json!({
            "a": [1, -2, 2.5, "x", true, null, { "b": {} }],
            "big": i64::MAX,
            "ü": "ß",
        });
        assert_eq!(from_dynamic(&to_dynamic(&value)), Ok(value));
    }

    #[test]
    fn what_json_has_not_is_refused() {
        for value in [Dynamic::from_float(f64::NAN), Dynamic::from(rhai::FnPtr::new("f").unwrap())]
        {
            assert!(from_dynamic(&value).is_err());
        }
        let deep = (0..DEPTH + 2).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert!(from_dynamic(&deep).is_err());
    }
}
