//! Notes of ours in a body: keys that begin with `_`, for `diff` and `act`; no cloud sees them.

use serde_json::Value;

/// The body of a step as the cloud gets it: without our notes, which stand at the top only.
#[must_use]
pub fn wire_request(body: &Value) -> Value {
    match body {
        Value::Object(map) => {
            let sent = map.iter().filter(|(key, _)| !key.starts_with('_'));
            Value::Object(sent.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}
