//! Times as people say them.

use std::time::Duration;

use jiff::Timestamp;

/// `38 s`, `12 m`, `33 h`, `5 d`: one unit, rounded down.
pub(crate) fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} m", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// As [`rough`], without the space, as kubectl prints ages.
pub(crate) fn age(span: Duration) -> String {
    rough(span).replace(' ', "")
}

/// From `earlier` to `later`; nothing when that is backwards.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let told = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!([told(38), told(119), told(120), told(7200)], ["38 s", "119 s", "2 m", "2 h"]);
        assert_eq!([told(33 * 3600 + 59), told(5 * 86_400)], ["33 h", "5 d"]);
        assert_eq!(age(Duration::from_secs(125)), "2m");
    }
}
