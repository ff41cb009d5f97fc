//! Maintenance windows: whether one is open, and when the next one opens.

use fleetwright_api_types::{Day, Governed, Maintenance, duration_seconds};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::Problem;

/// A day has this many seconds at most; windows are no longer.
const DAY: u64 = 24 * 3600;

/// Parsed maintenance windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    zone: TimeZone,
    governs: Vec<Governed>,
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq)]
struct Window {
    days: Vec<Day>,
    start: Time,
    duration: SignedDuration,
}

/// Whether work may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowState {
    /// Now.
    Open,
    /// Not before this instant.
    Closed {
        /// When the next window opens.
        opens: Timestamp,
    },
}

impl Windows {
    /// Reads a declaration.
    ///
    /// # Errors
    /// Every problem, at its field under `spec.maintenance`.
    pub fn parse(declared: &Maintenance) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = declared.timezone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(name).unwrap_or_else(|_unknown| {
            let message = format!("{name:?} is no IANA time zone; write it like Europe/Berlin");
            problems.push(Problem::new("spec.maintenance.timezone", message));
            TimeZone::UTC
        });
        let mut windows = Vec::new();
        for (index, window) in declared.windows.iter().enumerate() {
            let field = format!("spec.maintenance.windows[{index}]");
            let start = clock_time(&window.start);
            if start.is_none() {
                let message = format!("{:?} is no time of day; write it like 02:00", window.start);
                problems.push(Problem::new(format!("{field}.start"), message));
            }
            let length = duration_seconds(&window.duration).filter(|s| (60..=DAY).contains(s));
            if length.is_none() {
                let message = format!("{:?} is not between 1m and 24h", window.duration);
                problems.push(Problem::new(format!("{field}.duration"), message));
            }
            let length = length.and_then(|seconds| i64::try_from(seconds).ok());
            if let (Some(start), Some(seconds)) = (start, length) {
                let duration = SignedDuration::from_secs(seconds);
                windows.push(Window { days: window.days.clone(), start, duration });
            }
        }
        if declared.windows.is_empty() {
            problems.push(Problem::new("spec.maintenance.windows", "names no window"));
        }
        let governs = if declared.governs.is_empty() {
            vec![Governed::Upgrade, Governed::Roll, Governed::Replace]
        } else {
            declared.governs.clone()
        };
        if problems.is_empty() { Ok(Self { zone, governs, windows }) } else { Err(problems) }
    }

    /// Whether such work has to wait for a window at all.
    #[must_use]
    pub fn governs(&self, work: Governed) -> bool {
        self.governs.contains(&work)
    }

    /// Whether a window is open at `now`, or when the next one opens.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> WindowState {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut opens = None;
        // A window of yesterday may still be open; the next one begins within a week, and one more day covers a lost hour.
        for offset in -1..=8 {
            let Ok(date) = today.checked_add(offset.days()) else { continue };
            for window in &self.windows {
                let Some(start) = self.start_on(window, date) else { continue };
                let Ok(end) = start.checked_add(window.duration) else { continue };
                if start <= now && now < end {
                    return WindowState::Open;
                }
                if start > now {
                    opens = Some(opens.map_or(start, |earlier: Timestamp| earlier.min(start)));
                }
            }
        }
        // There is always a window within eight days; at the very end of time there may be none.
        WindowState::Closed { opens: opens.unwrap_or(Timestamp::MAX) }
    }

    /// The instant in words of the windows' own time zone, for example `Tue 02:00`.
    #[must_use]
    pub fn local(&self, instant: Timestamp) -> String {
        instant.to_zoned(self.zone.clone()).strftime("%a %H:%M").to_string()
    }

    fn start_on(&self, window: &Window, date: Date) -> Option<Timestamp> {
        let wanted = window.days.is_empty() || window.days.contains(&day(date.weekday()));
        let start = wanted.then(|| date.to_datetime(window.start).to_zoned(self.zone.clone()))?;
        start.ok().map(|start| start.timestamp())
    }
}

fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

const fn day(weekday: Weekday) -> Day {
    match weekday {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_api_types::MaintenanceWindow;

    use super::*;

    /// `ZONE`, then windows as `DAYS HH:MM LENGTH`, the days apart by commas, `-` for every day.
    fn declared(zone: &str, windows: &[&str]) -> Maintenance {
        let window = |text: &&str| {
            let [days, start, duration] = text.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{text:?} is no window")
            };
            let days = days.split(',').filter(|word| *word != "-");
            let days = days.map(|word| {
                serde_json::from_value(serde_json::json!(word)).expect("a day of the week")
            });
            let (start, duration) = (start.into(), duration.into());
            MaintenanceWindow { days: days.collect(), start, duration }
        };
        let windows = windows.iter().map(window).collect();
        Maintenance { timezone: Some(zone.into()), governs: Vec::new(), windows }
    }

    fn instant(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// `open`, or when the next window opens.
    #[track_caller]
    fn check(zone: &str, windows: &[&str], expect: &[(&str, &str)]) {
        let parsed = Windows::parse(&declared(zone, windows)).expect("windows");
        for (now, expected) in expect {
            let found = match parsed.at(instant(now)) {
                WindowState::Open => "open".to_owned(),
                WindowState::Closed { opens } => opens.to_string(),
            };
            assert_eq!(found, *expected, "at {now}");
        }
    }

    #[test]
    fn a_window_is_open_from_its_first_second_to_before_its_last() {
        check(
            "UTC",
            &["Tue 02:00 4h"],
            &[
                ("2026-11-23T10:00:00Z", "2026-11-24T02:00:00Z"),
                ("2026-11-24T01:59:59Z", "2026-11-24T02:00:00Z"),
                ("2026-11-24T02:00:00Z", "open"),
                ("2026-11-24T05:59:59Z", "open"),
                ("2026-11-24T06:00:00Z", "2026-12-01T02:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_window_without_days_opens_every_day() {
        check(
            "UTC",
            &["- 02:00 1h"],
            &[
                ("2026-11-24T03:00:00Z", "2026-11-25T02:00:00Z"),
                ("2026-11-25T02:30:00Z", "open"),
                ("2026-12-31T23:59:59Z", "2027-01-01T02:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_starts_on() {
        check(
            "UTC",
            &["Sat 22:00 6h"],
            &[
                ("2026-11-28T21:59:00Z", "2026-11-28T22:00:00Z"),
                ("2026-11-29T03:59:59Z", "open"),
                ("2026-11-29T04:00:00Z", "2026-12-05T22:00:00Z"),
                ("2026-11-29T22:30:00Z", "2026-12-05T22:00:00Z"),
            ],
        );
    }

    #[test]
    fn a_window_of_a_whole_day_leaves_no_gap() {
        check(
            "UTC",
            &["- 06:00 24h"],
            &[("2026-11-24T05:59:59Z", "open"), ("2026-11-24T06:00:00Z", "open")],
        );
    }

    #[test]
    fn of_several_windows_any_will_do_and_the_next_one_counts() {
        check(
            "UTC",
            &["Thu 10:00 1h", "Tue 02:00 1h", "Mon,Wed 23:30 1h"],
            &[
                ("2026-11-23T10:00:00Z", "2026-11-23T23:30:00Z"),
                ("2026-11-24T00:29:00Z", "open"),
                ("2026-11-24T00:30:00Z", "2026-11-24T02:00:00Z"),
                ("2026-11-24T12:00:00Z", "2026-11-25T23:30:00Z"),
                ("2026-11-26T00:45:00Z", "2026-11-26T10:00:00Z"),
                ("2026-11-26T11:00:00Z", "2026-11-30T23:30:00Z"),
            ],
        );
    }

    #[test]
    fn days_are_those_of_the_time_zone() {
        // Tuesday 02:00 in Auckland is Monday afternoon in UTC; in Los Angeles it is Tuesday morning.
        check(
            "Pacific/Auckland",
            &["Tue 02:00 1h"],
            &[
                ("2026-11-23T12:59:59Z", "2026-11-23T13:00:00Z"),
                ("2026-11-23T13:00:00Z", "open"),
                ("2026-11-24T02:00:00Z", "2026-11-30T13:00:00Z"),
            ],
        );
        check(
            "America/Los_Angeles",
            &["Tue 02:00 1h"],
            &[("2026-11-24T02:00:00Z", "2026-11-24T10:00:00Z"), ("2026-11-24T10:59:00Z", "open")],
        );
    }

    #[test]
    fn the_hour_that_is_skipped_in_spring_moves_a_window_back_by_it() {
        // On 2026-03-29 Berlin goes from 02:00 to 03:00: 02:30 does not exist and is read as 03:30, which is 01:30 UTC.
        check(
            "Europe/Berlin",
            &["Sun 02:30 1h"],
            &[
                ("2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
                ("2026-03-29T01:29:59Z", "2026-03-29T01:30:00Z"),
                ("2026-03-29T02:29:59Z", "open"),
                ("2026-03-29T02:30:00Z", "2026-04-05T00:30:00Z"),
            ],
        );
    }

    #[test]
    fn a_window_over_the_skipped_hour_keeps_its_length() {
        // 01:00 in winter time is 00:00 UTC; three hours later it is 05:00 in summer time.
        check(
            "Europe/Berlin",
            &["Sun 01:00 3h"],
            &[
                ("2026-03-29T00:00:00Z", "open"),
                ("2026-03-29T02:59:59Z", "open"),
                ("2026-03-29T03:00:00Z", "2026-04-04T23:00:00Z"),
            ],
        );
    }

    #[test]
    fn the_hour_that_comes_twice_in_autumn_opens_a_window_once() {
        // On 2026-10-25 Berlin has 02:30 twice; the first one, 00:30 UTC, counts.
        check(
            "Europe/Berlin",
            &["Sun 02:30 30m"],
            &[
                ("2026-10-25T00:29:59Z", "2026-10-25T00:30:00Z"),
                ("2026-10-25T00:59:59Z", "open"),
                ("2026-10-25T01:00:00Z", "2026-11-01T01:30:00Z"),
                ("2026-10-25T01:30:00Z", "2026-11-01T01:30:00Z"),
            ],
        );
    }

    #[test]
    fn without_a_time_zone_hours_are_utc() {
        let mut maintenance = declared("UTC", &["Tue 02:00 4h"]);
        maintenance.timezone = None;
        let windows = Windows::parse(&maintenance).expect("windows");
        assert_eq!(windows.at(instant("2026-11-24T02:00:00Z")), WindowState::Open);
    }

    #[test]
    fn an_instant_is_told_in_the_words_of_the_time_zone() {
        let windows =
            Windows::parse(&declared("Europe/Berlin", &["Tue 02:00 4h"])).expect("windows");
        assert_eq!(windows.local(instant("2026-11-24T01:00:00Z")), "Tue 02:00");
        assert_eq!(windows.local(instant("2026-07-07T00:00:00Z")), "Tue 02:00");
    }

    #[test]
    fn what_is_not_named_is_governed_whole() {
        let mut maintenance = declared("UTC", &["Tue 02:00 4h"]);
        let governs = |maintenance: &Maintenance| {
            let windows = Windows::parse(maintenance).expect("windows");
            [Governed::Upgrade, Governed::Roll, Governed::Replace].map(|work| windows.governs(work))
        };
        assert_eq!(governs(&maintenance), [true, true, true]);
        maintenance.governs = vec![Governed::Roll];
        assert_eq!(governs(&maintenance), [false, true, false]);
    }

    #[test]
    fn every_problem_is_told_at_its_field() {
        let maintenance = declared(
            "Europe/Berlim",
            &["Tue 2:00 4h", "Tue 02:00 25h", "Tue 24:00 30s", "- 02:60 1h"],
        );
        let problems = Windows::parse(&maintenance).expect_err("no windows");
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                r#"spec.maintenance.timezone: "Europe/Berlim" is no IANA time zone; write it like Europe/Berlin"#,
                r#"spec.maintenance.windows[0].start: "2:00" is no time of day; write it like 02:00"#,
                r#"spec.maintenance.windows[1].duration: "25h" is not between 1m and 24h"#,
                r#"spec.maintenance.windows[2].start: "24:00" is no time of day; write it like 02:00"#,
                r#"spec.maintenance.windows[2].duration: "30s" is not between 1m and 24h"#,
                r#"spec.maintenance.windows[3].start: "02:60" is no time of day; write it like 02:00"#,
            ]
        );
        let none = Windows::parse(&declared("UTC", &[])).expect_err("no windows");
        assert_eq!(none, [Problem::new("spec.maintenance.windows", "names no window")]);
    }

    #[test]
    fn signs_are_no_digits() {
        let problems = Windows::parse(&declared("UTC", &["Tue +2:00 4h"])).expect_err("no window");
        assert_eq!(problems[0].field, "spec.maintenance.windows[0].start");
    }
}
