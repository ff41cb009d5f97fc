//! The `PUT`s of Azure's own maintenance windows.

use std::collections::{BTreeMap, BTreeSet};

use azure_mgmt_containerservice::models::{
    MaintenanceConfigurationProperties, MaintenanceWindow as WireWindow, Schedule, TimeInWeek,
    WeekDay, WeeklySchedule,
};
use fleetwright_api_types::{
    AksMaintenanceConfiguration, AksSpec, Day, MaintenanceWindow, duration_seconds,
};
use fleetwright_plan::{DesiredPart, PartKey};
use serde_json::{Value, json};

use super::check::Check;
use crate::kind;

/// What AKS itself releases; in the older form of whole hours.
const DEFAULT: &str = "default";
/// The other two take one window of another form.
const MANAGED: [&str; 2] = ["aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"];
/// `MaintenanceWindow.durationHours`.
const HOURS: std::ops::RangeInclusive<i32> = 4..=24;
const DAYS: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

/// All parts, sorted by key.
pub(super) fn parts(check: &mut Check, aks: &AksSpec) -> Vec<DesiredPart> {
    let mut found = BTreeMap::new();
    for configuration in aks.maintenance_configurations.iter().flatten() {
        let name = &configuration.name;
        let field = format!("spec.aks.maintenanceConfigurations[{name}]");
        let properties = if name == DEFAULT {
            hours(check, &field, configuration)
        } else {
            check.that(MANAGED.contains(&name.as_str()), &format!("{field}.name"), || {
                format!("AKS knows {DEFAULT}, {} and {} only", MANAGED[0], MANAGED[1])
            });
            window(check, &field, configuration)
        };
        let key = PartKey { kind: kind::MAINTENANCE, name: name.clone() };
        let properties = serde_json::to_value(&properties).unwrap_or_default();
        let twice = found.insert(key, json!({"properties": properties})).is_some();
        check.that(!twice, &field, || "stands there twice".into());
    }
    found.into_iter().map(|(key, body): (PartKey, Value)| DesiredPart { key, body }).collect()
}

/// One window, once in so many weeks.
fn window(
    check: &mut Check,
    field: &str,
    declared: &AksMaintenanceConfiguration,
) -> MaintenanceConfigurationProperties {
    let mut properties = MaintenanceConfigurationProperties::new();
    let at = format!("{field}.windows");
    let [window] = declared.windows.as_slice() else {
        check.that(false, &at, || {
            format!("holds {} windows; AKS takes one here", declared.windows.len())
        });
        return properties;
    };
    let [day] = window.days.as_slice() else {
        check.that(false, &at, || {
            let days = if window.days.is_empty() { 7 } else { window.days.len() };
            format!("is open on {days} days; AKS takes one day of the week here")
        });
        return properties;
    };
    let hours = whole_hours(window).unwrap_or_default();
    check.that(HOURS.contains(&hours), &at, || {
        format!(
            "{} is not a number of whole hours between 4h and 24h, which AKS takes",
            window.duration
        )
    });
    check.that(start(window).is_some(), &at, || {
        format!("{:?} is not a time of day; write it like 02:00", window.start)
    });
    let weeks = declared.interval_weeks.unwrap_or(1);
    check.that((1..=4).contains(&weeks), &format!("{field}.intervalWeeks"), || {
        format!("{weeks} is not between 1 and 4")
    });
    let mut schedule = Schedule::new();
    schedule.weekly = Some(WeeklySchedule::new(weeks, week_day(*day)));
    let mut wire = WireWindow::new(schedule, hours, window.start.clone());
    wire.utc_offset = Some(declared.utc_offset.clone().unwrap_or_else(|| "+00:00".into()));
    properties.maintenance_window = Some(wire);
    properties
}

/// Whole hours of the week, in UTC.
fn hours(
    check: &mut Check,
    field: &str,
    declared: &AksMaintenanceConfiguration,
) -> MaintenanceConfigurationProperties {
    check.that(
        declared.interval_weeks.is_none_or(|weeks| weeks == 1),
        &format!("{field}.intervalWeeks"),
        || format!("{DEFAULT} is every week in AKS"),
    );
    let offset = declared.utc_offset.as_deref().map_or(Some(0), whole_offset);
    check.that(offset.is_some(), &format!("{field}.utcOffset"), || {
        format!("{DEFAULT} counts in whole hours of UTC; the offset must be whole hours")
    });
    let mut week: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
    for window in &declared.windows {
        let at = format!("{field}.windows");
        let hours = whole_hours(window).filter(|hours| (1..=24).contains(hours));
        check.that(hours.is_some(), &at, || {
            format!("{} is not a number of whole hours between 1h and 24h", window.duration)
        });
        let begins = start(window).filter(|(_, minute)| *minute == 0);
        check.that(begins.is_some(), &at, || {
            format!("{} is not a whole hour; {DEFAULT} counts in whole hours", window.start)
        });
        let (Some(hours), Some((hour, _)), Some(offset)) = (hours, begins, offset) else {
            continue;
        };
        let days = if window.days.is_empty() { &DAYS[..] } else { &window.days };
        for day in days {
            let first = DAYS.iter().position(|known| known == day).unwrap_or_default();
            for further in 0..hours {
                let slot = i32::try_from(first).unwrap_or_default() * 24 + hour + further - offset;
                let slot = slot.rem_euclid(7 * 24);
                let of = usize::try_from(slot / 24).unwrap_or_default();
                week.entry(of).or_default().insert(slot % 24);
            }
        }
    }
    let mut properties = MaintenanceConfigurationProperties::new();
    properties.time_in_week = week
        .into_iter()
        .map(|(day, slots)| {
            let mut time = TimeInWeek::new();
            time.day = Some(week_day(DAYS[day]));
            time.hour_slots = slots.into_iter().collect();
            time
        })
        .collect();
    properties
}

fn week_day(day: Day) -> WeekDay {
    match day {
        Day::Mon => WeekDay::Monday,
        Day::Tue => WeekDay::Tuesday,
        Day::Wed => WeekDay::Wednesday,
        Day::Thu => WeekDay::Thursday,
        Day::Fri => WeekDay::Friday,
        Day::Sat => WeekDay::Saturday,
        Day::Sun => WeekDay::Sunday,
    }
}

fn whole_hours(window: &MaintenanceWindow) -> Option<i32> {
    let seconds = duration_seconds(&window.duration)?;
    (seconds % 3600 == 0).then_some(seconds / 3600).and_then(|hours| i32::try_from(hours).ok())
}

/// Hour and minute.
fn start(window: &MaintenanceWindow) -> Option<(i32, i32)> {
    let (hour, minute) = window.start.split_once(':')?;
    let (hour, minute): (i32, i32) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour, minute))
}

/// The hours of an offset such as `+01:00`.
fn whole_offset(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    (minutes == "00").then_some(())?;
    hours.parse().ok()
}
