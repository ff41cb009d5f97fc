//! When disruptive work may start.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Windows of time in which disruptive work may start. Work that has started is not cut off at a window's end.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// IANA name of the time zone that `start` is in, for example `Europe/Berlin`. Absent: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// Which work waits for a window. Absent: all three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub governs: Vec<Governed>,
    /// The windows; any of them will do.
    #[schemars(length(min = 1, max = 20))]
    pub windows: Vec<MaintenanceWindow>,
}

/// Work that can wait for a window.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Governed {
    /// A newer Kubernetes version of control plane or pools.
    Upgrade,
    /// Nodes replaced one by one by the cloud, for example for a newer image.
    Roll,
    /// A pool replaced by a successor: create, drain, delete.
    Replace,
}

/// One window, every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceWindow {
    /// On which days it starts. Absent: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub days: Vec<Day>,
    /// Local time of the start, as `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// How long it is open, for example `4h` or `90m`; at most `24h`.
    #[schemars(regex(pattern = "^[0-9]{1,5}(s|m|h)$"))]
    pub duration: String,
}

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs, reason = "the names of the days")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Seconds of a duration as we write it: a number and `s`, `m` or `h`. `None`: not such a text, or too long to count.
#[must_use]
pub fn duration_seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration_seconds("90m"), Some(5400));
        assert_eq!(duration_seconds("4h"), Some(14_400));
        for bad in ["", "h", "4", "4d", "-4h", "+4h", "4 h", "99999999999999999999h"] {
            assert_eq!(duration_seconds(bad), None, "{bad:?}");
        }
    }
}
