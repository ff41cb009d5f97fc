//! The versions of Kubernetes, and until when EKS cares for them.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::answer::{EksError, seconds};
use super::cluster::DEFAULT_VERSION;
use super::{Call, check, page};
use crate::Shared;

/// Minor version, release, end of standard and of extended support. The user guide has these dates up to 1.34; the
/// later ones follow its rule of 14 and 26 months.
const VERSIONS: [(u32, Date, Date, Date); 7] = [
    (30, date(2024, 5, 23), date(2025, 7, 23), date(2026, 7, 23)),
    (31, date(2024, 9, 26), date(2025, 11, 26), date(2026, 11, 26)),
    (32, date(2025, 1, 23), date(2026, 3, 23), date(2027, 3, 23)),
    (33, date(2025, 5, 29), date(2026, 7, 29), date(2027, 7, 29)),
    (34, date(2025, 10, 2), date(2026, 12, 2), date(2027, 12, 2)),
    (35, date(2026, 1, 27), date(2027, 3, 27), date(2028, 3, 27)),
    (36, date(2026, 6, 2), date(2027, 8, 2), date(2028, 8, 2)),
];

impl Shared {
    pub(super) fn describe_cluster_versions(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let all = |name: &str| page::parameters(call.query, name);
        let is = |name: &str| all(name).first().is_some_and(|value| value == "true");
        let wanted = all("clusterVersions");
        for version in &wanted {
            check::version(version)?;
        }
        let statuses: Vec<String> = all("status").into_iter().chain(all("versionStatus")).collect();
        let mut items = Vec::new();
        for (minor, released, standard_until, extended_until) in VERSIONS {
            let version = format!("1.{minor}");
            let default = version == DEFAULT_VERSION;
            let (status, upper) = match today {
                today if today <= standard_until => ("standard-support", "STANDARD_SUPPORT"),
                today if today <= extended_until => ("extended-support", "EXTENDED_SUPPORT"),
                _ => ("unsupported", "UNSUPPORTED"),
            };
            let named = wanted.contains(&version);
            let by_status = statuses.iter().all(|one| one == status || one == upper);
            let shown = named || is("includeAll") || upper != "UNSUPPORTED" || !statuses.is_empty();
            if !shown
                || !by_status
                || (!wanted.is_empty() && !named)
                || (is("defaultOnly") && !default)
            {
                continue;
            }
            let item = json!({
                "clusterVersion": version,
                "clusterType": "eks",
                "defaultPlatformVersion": "eks.1",
                "defaultVersion": default,
                "releaseDate": at(released),
                "endOfStandardSupportDate": at(standard_until),
                "endOfExtendedSupportDate": at(extended_until),
                "status": status,
                "versionStatus": upper,
                "kubernetesPatchVersion": format!("{version}.1"),
            });
            items.push((version, item));
        }
        page::page_of(&page::Asked::by(call.query), "clusterVersions", items)
    }
}

/// The beginning of a day, in the form of the wire.
fn at(day: Date) -> f64 {
    day.to_zoned(TimeZone::UTC).map_or(0.0, |start| seconds(start.timestamp()))
}
