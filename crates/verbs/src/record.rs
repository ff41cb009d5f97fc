//! `fleetwright history`: what was done for one cluster, as text.

use fleetwright_controllers::history::Line;

use crate::table;

/// A table, oldest first.
#[must_use]
pub fn text(lines: &[Line]) -> Vec<String> {
    if lines.is_empty() {
        return vec!["nothing was done yet".to_owned()];
    }
    let head = ["AT", "ACTOR", "GENERATION", "OPERATION", "ON", "PLAN", "REQUEST", "RESULT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|line| {
        vec![
            format!("{:.0}", line.at),
            line.actor.clone(),
            line.generation.to_string(),
            line.operation.clone(),
            line.resource.clone(),
            line.plan.clone(),
            line.request_id.clone().unwrap_or_default(),
            line.result.clone(),
        ]
    }));
    table::align(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_a_row() {
        let line = Line {
            at: "2026-11-22T11:00:00.123Z".parse().expect("a time"),
            actor: "controller 1f".to_owned(),
            object: "shop/one".to_owned(),
            generation: 3,
            operation: "eks:CreateCluster".to_owned(),
            resource: "control plane".to_owned(),
            plan: "0123456789ab".to_owned(),
            request_id: Some("7f1c".to_owned()),
            result: "done".to_owned(),
        };
        assert_eq!(
            text(&[line]),
            [
                "AT                    ACTOR          GENERATION  OPERATION          ON             PLAN          REQUEST  RESULT",
                "2026-11-22T11:00:00Z  controller 1f  3           eks:CreateCluster  control plane  0123456789ab  7f1c     done",
            ]
        );
        assert_eq!(text(&[]), ["nothing was done yet"]);
    }
}
