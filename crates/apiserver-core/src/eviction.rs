//! Evicting a pod: deleting it unless a PodDisruptionBudget forbids that.
//!
//! Follows the eviction subresource of kube-apiserver 1.36, texts included. Not here: the
//! controller that counts healthy pods and fills a budget's status. Whoever has none of it must
//! write the status, `observedGeneration` included, or nothing the budget selects is ever evicted.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::crud::DeleteOptions;
use crate::request::Options;
use crate::selector::LabelSelector;
use crate::status::ApiError;

/// The budget still has to be looked at by whoever counts.
const PROCESSING_RETRY_SECONDS: u64 = 10;

/// Reads the body of a POST to `pods/NAME/eviction`: how the pod is to be deleted. Clients may
/// leave out `apiVersion` and `kind`.
///
/// # Errors
/// 400 if the body is no Eviction of this pod, else as [`DeleteOptions::parse`].
pub fn parse(body: &Value, name: &str, options: &Options) -> Result<DeleteOptions, ApiError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&body["apiVersion"]), text(&body["kind"]));
    let known = matches!(api_version.as_str(), "" | "policy/v1")
        && matches!(kind.as_str(), "" | "Eviction");
    if !body.is_object() || !known {
        let message =
            format!("the body of an eviction is policy/v1 Eviction, not {api_version} {kind}");
        return Err(ApiError::bad_request(message));
    }
    if text(&body["metadata"]["name"]) != name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    DeleteOptions::parse(Some(&body["deleteOptions"]), options)
}

/// What the budgets say.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No budget is touched: delete the pod.
    Free,
    /// Store this budget, then delete the pod.
    Spend(Box<Value>),
}

/// Whether a pod may be evicted, given all PodDisruptionBudgets of its namespace.
///
/// # Errors
/// 429 when a budget forbids it, 500 when more than one selects the pod (upstream's limit too).
pub fn judge(pod: &Value, budgets: &[&Value], now: Timestamp) -> Result<Verdict, ApiError> {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let going = !pod["metadata"]["deletionTimestamp"].is_null();
    if going || matches!(phase, "Succeeded" | "Failed" | "Pending") {
        return Ok(Verdict::Free);
    }
    let mut selecting = budgets.iter().filter(|budget| selects(budget, pod));
    let Some(budget) = selecting.next() else {
        return Ok(Verdict::Free);
    };
    if selecting.next().is_some() {
        return Err(ApiError::plain_500(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does \
             not support.",
        ));
    }
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or_default();
    let (healthy, wanted) = (number("currentHealthy"), number("desiredHealthy"));
    if !is_ready(pod) {
        let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || (healthy >= wanted && wanted > 0) {
            return Ok(Verdict::Free);
        }
    }
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let generation = budget["metadata"]["generation"].as_i64().unwrap_or_default();
    if number("observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(ApiError::disruption_budget(why, Some(PROCESSING_RETRY_SECONDS)));
    }
    let allowed = number("disruptionsAllowed");
    if allowed <= 0 {
        let why = if healthy <= wanted {
            format!(
                "The disruption budget {name} needs {wanted} healthy pods and has {healthy} \
                 currently"
            )
        } else {
            format!("The disruption budget {name} does not allow evicting pods currently")
        };
        return Err(ApiError::disruption_budget(why, None));
    }
    let mut spent = (*budget).clone();
    spent["status"]["disruptionsAllowed"] = json!(allowed - 1);
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    spent["status"]["disruptedPods"][pod_name] = json!(at);
    Ok(Verdict::Spend(Box::new(spent)))
}

/// A budget without a selector protects nothing, one with an empty selector everything.
fn selects(budget: &Value, pod: &Value) -> bool {
    let selector = &budget["spec"]["selector"];
    !selector.is_null() && LabelSelector::from_object(selector).is_ok_and(|s| s.matches(pod))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|c| c["type"] == "Ready").any(|c| c["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str, ready: &str) -> Value {
        json!({"metadata": {"name": "db-0", "labels": {"app": "db"}},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}})
    }

    fn budget(name: &str, status: &Value) -> Value {
        json!({"metadata": {"name": name, "generation": 1},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
            "status": status})
    }

    fn verdict(pod: &Value, budgets: &[Value]) -> Result<Verdict, (u16, String)> {
        let budgets: Vec<&Value> = budgets.iter().collect();
        judge(pod, &budgets, Timestamp::UNIX_EPOCH).map_err(|error| {
            let why = error.causes().first().map(|cause| cause.message.clone());
            (error.code(), why.unwrap_or_else(|| error.to_string()))
        })
    }

    #[test]
    fn a_budget_that_allows_it_is_spent() {
        let allowing = json!({"disruptionsAllowed": 2, "observedGeneration": 1});
        let spent = json!({"disruptionsAllowed": 1, "observedGeneration": 1,
            "disruptedPods": {"db-0": "1970-01-01T00:00:00Z"}});
        let found = verdict(&pod("Running", "True"), &[budget("db", &allowing)]);
        assert_eq!(found, Ok(Verdict::Spend(Box::new(budget("db", &spent)))));
    }

    #[test]
    fn a_budget_without_room_forbids_it_and_says_what_it_counts() {
        let full = json!({"disruptionsAllowed": 0, "observedGeneration": 1, "currentHealthy": 1,
            "desiredHealthy": 1});
        let why = "The disruption budget db needs 1 healthy pods and has 1 currently";
        let found = verdict(&pod("Running", "True"), &[budget("db", &full)]);
        assert_eq!(found, Err((429, why.to_owned())));
    }

    #[test]
    fn a_budget_nobody_has_looked_at_forbids_it() {
        let why = "The disruption budget db is still being processed by the server.";
        let found = verdict(&pod("Running", "True"), &[budget("db", &json!({}))]);
        assert_eq!(found, Err((429, why.to_owned())));
    }

    #[test]
    fn finished_waiting_and_unselected_pods_need_no_budget() {
        let full = [budget("db", &json!({}))];
        for phase in ["Succeeded", "Failed", "Pending"] {
            assert_eq!(verdict(&pod(phase, "False"), &full), Ok(Verdict::Free));
        }
        let mut other = pod("Running", "True");
        other["metadata"]["labels"]["app"] = json!("web");
        assert_eq!(verdict(&other, &full), Ok(Verdict::Free));
        let mut blind = full.clone();
        blind[0]["spec"]["selector"] = Value::Null;
        assert_eq!(verdict(&pod("Running", "True"), &blind), Ok(Verdict::Free));
    }

    #[test]
    fn an_unhealthy_pod_goes_where_the_healthy_ones_suffice() {
        let status = json!({"disruptionsAllowed": 0, "observedGeneration": 1, "currentHealthy": 2,
            "desiredHealthy": 2});
        let enough = budget("db", &status);
        assert_eq!(verdict(&pod("Running", "False"), &[enough]), Ok(Verdict::Free));
        let mut always = budget("db", &json!({"observedGeneration": 1}));
        always["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
        assert_eq!(verdict(&pod("Running", "False"), &[always]), Ok(Verdict::Free));
    }

    #[test]
    fn two_budgets_over_one_pod_are_an_error() {
        let two = [budget("a", &json!({})), budget("b", &json!({}))];
        let found = verdict(&pod("Running", "True"), &two).map_err(|(code, _)| code);
        assert_eq!(found, Err(500));
    }

    #[test]
    fn the_body_must_name_the_pod_of_the_path() {
        let options = Options::default();
        let read = |body: Value| parse(&body, "db-0", &options).map_err(|error| error.to_string());
        let kube = json!({"deleteOptions": null, "metadata": {"name": "db-0"}});
        assert_eq!(read(kube), Ok(DeleteOptions::default()));
        let mismatch = "name in URL does not match name in Eviction object";
        assert_eq!(read(json!({"metadata": {"name": "x"}})), Err(mismatch.to_owned()));
        let pod = read(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0"}}));
        let wrong = "the body of an eviction is policy/v1 Eviction, not v1 Pod";
        assert_eq!(pod, Err(wrong.to_owned()));
        let dry = read(json!({"metadata": {"name": "db-0"}, "deleteOptions": {"dryRun": ["All"],
            "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}}));
        let wanted = DeleteOptions {
            grace_period_seconds: Some(0),
            uid: Some("u".to_owned()),
            dry_run: true,
            ..DeleteOptions::default()
        };
        assert_eq!(dry, Ok(wanted));
    }
}
