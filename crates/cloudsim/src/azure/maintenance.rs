//! Maintenance configurations: when AKS may change things by itself.

use http::StatusCode;
use serde_json::Value;

use super::Call;
use super::answer::{Answer, AzureError};
use super::operations::page;
use super::shape::checked;
use super::tables::MAINTENANCE;
use crate::Shared;

const NAMES: [&str; 3] =
    ["default", "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"];
const PAGE: usize = 10;

impl Shared {
    pub(super) async fn put_maintenance(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let body = checked(&call.json()?, &MAINTENANCE, "")?;
        let name = call.route.inner.clone();
        check(&name, &body["properties"])?;
        let mut cluster = self.aks(call).await?;
        let mut properties = body["properties"].clone();
        complete(&mut properties);
        let view = cluster.view_maintenance(&name, &properties);
        let is_new = cluster.maintenance.insert(name, properties).is_none();
        self.store_aks(&cluster).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Answer::resource(status, view))
    }

    pub(super) async fn get_maintenance(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let name = &call.route.inner;
        match cluster.maintenance.get(name) {
            Some(properties) => Ok(Answer::ok(cluster.view_maintenance(name, properties))),
            None => Err(AzureError::not_found(format!(
                "Maintenance configuration '{name}' of cluster '{}' was not found.",
                cluster.name
            ))),
        }
    }

    pub(super) async fn list_maintenance(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let all = cluster.maintenance.iter();
        let items = all.map(|(name, one)| (name.clone(), cluster.view_maintenance(name, one)));
        Ok(Answer::ok(page(call, items.collect(), PAGE)))
    }

    pub(super) async fn delete_maintenance(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let mut cluster = self.aks(call).await?;
        if cluster.maintenance.remove(&call.route.inner).is_none() {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        }
        self.store_aks(&cluster).await?;
        Ok(Answer::empty(StatusCode::OK))
    }
}

/// Whether a configuration can be.
pub(super) fn check(name: &str, properties: &Value) -> Result<(), AzureError> {
    let wrong = |field: &str, reason: &str| {
        Err(AzureError::parameter(&format!("properties.{field}"), reason))
    };
    if !NAMES.contains(&name) {
        return Err(AzureError::parameter(
            "configName",
            format!("is '{name}'; there are {}", NAMES.join(", ")),
        ));
    }
    let window = &properties["maintenanceWindow"];
    let slots = properties["timeInWeek"].is_array();
    match (name == "default", slots, window.is_object()) {
        (true, false, false) => return wrong("timeInWeek", "is needed"),
        (true, _, true) | (false, false, true) => {}
        (true, true, false) => return Ok(()),
        (false, true, _) => return wrong("timeInWeek", "goes with the configuration default only"),
        (false, false, false) => return wrong("maintenanceWindow", "is needed"),
    }
    let schedules = window["schedule"].as_object().map_or(0, serde_json::Map::len);
    if schedules != 1 {
        return wrong("maintenanceWindow.schedule", "must have exactly one kind of schedule");
    }
    if window["durationHours"].is_null() {
        return wrong("maintenanceWindow.durationHours", "is needed");
    }
    let time = window["startTime"].as_str().unwrap_or_default();
    let formed = time.len() == 5
        && time.split_once(':').is_some_and(|(hour, minute)| {
            hour.parse::<u8>().is_ok_and(|n| n < 24) && minute.parse::<u8>().is_ok_and(|n| n < 60)
        });
    if formed {
        Ok(())
    } else {
        wrong("maintenanceWindow.startTime", "must be a time such as 02:30")
    }
}

/// AKS fills in the offset, and the day from which on it counts.
fn complete(properties: &mut Value) {
    if properties["maintenanceWindow"].is_object() {
        super::shape::fill(
            &mut properties["maintenanceWindow"],
            serde_json::json!({ "utcOffset": "+00:00", "startDate": "2026-11-22" }),
        );
    }
}
