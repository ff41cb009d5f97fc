//! The check itself: declared edges in, sentences out.

use super::table::{ALSO_IN_TESTS, PLACES, Place, may_use, must_not_use};

/// A workspace member with its direct dependencies.
#[derive(Debug)]
pub(super) struct Crate {
    /// The package name.
    pub(super) name: String,
    /// The last part of its folder.
    pub(super) folder: String,
    pub(super) edges: Vec<Edge>,
}

#[derive(Debug)]
pub(super) struct Edge {
    /// The package used, by its own name even where the manifest renames it.
    pub(super) to: String,
    pub(super) how: Use,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// A normal or build dependency.
    Built,
    /// A dev-dependency.
    InTests,
}

/// One sentence for each broken rule, naming the edge, both layers and the rule; sorted.
pub(super) fn violations(crates: &[Crate]) -> Vec<String> {
    let mut found: Vec<String> = crates.iter().flat_map(violations_of).collect();
    found.sort();
    found.dedup();
    found
}

fn violations_of(from: &Crate) -> Vec<String> {
    let Some(place) = place_of(&from.name) else {
        return vec![format!(
            "{} stands in no layer: add it to crates/xtask/src/layers/table.rs",
            from.name
        )];
    };
    let mut found = Vec::new();
    if from.folder != place.folder {
        found.push(format!(
            "{} lies in folder {}; its name asks for {}",
            from.name, from.folder, place.folder
        ));
    }
    for edge in &from.edges {
        found.extend(ban(place, edge).map(|why| format!("{} -> {}: {why}", from.name, edge.to)));
        if let Some(to) = place_of(&edge.to)
            && !permitted(place, to, edge.how)
        {
            found.push(upward(from, place, edge, to));
        }
    }
    found
}

fn permitted(from: &Place, to: &Place, how: Use) -> bool {
    may_use(from.layer).contains(&to.layer)
        || from.also.contains(&to.folder)
        || (how == Use::InTests && ALSO_IN_TESTS.contains(&to.folder))
}

/// Bans do not bind dev-dependencies: a test of pure code may well use tokio.
fn ban(from: &Place, edge: &Edge) -> Option<String> {
    if edge.how == Use::InTests {
        return None;
    }
    let (_, reason) = must_not_use(from.layer).iter().find(|(pattern, _)| {
        pattern.strip_suffix('*').map_or(edge.to == *pattern, |start| edge.to.starts_with(start))
    })?;
    Some(format!("layer {} must not contain it: {reason}", from.layer))
}

fn upward(from: &Crate, place: &Place, edge: &Edge, to: &Place) -> String {
    let layers = may_use(place.layer).iter().map(|layer| format!("layer {layer}"));
    let mut allowed: Vec<String> = layers.chain(place.also.iter().map(|&s| s.to_owned())).collect();
    let kind = match edge.how {
        Use::Built => "",
        Use::InTests => {
            allowed.extend(ALSO_IN_TESTS.iter().map(|&s| s.to_owned()));
            " in its tests"
        }
    };
    format!(
        "{} (layer {}) -> {} (layer {}): {} may use{kind} only {}",
        from.name,
        place.layer,
        edge.to,
        to.layer,
        from.name,
        allowed.join(", ")
    )
}

/// Our own packages are `fleetwright` and `fleetwright-*`; others have no place.
fn place_of(package: &str) -> Option<&'static Place> {
    let folder = match package.strip_prefix("fleetwright-") {
        Some(folder) => folder,
        None if package == "fleetwright" => package,
        None => return None,
    };
    // The program's folder is its whole name, so `fleetwright-fleetwright` is nobody.
    PLACES.iter().find(|place| {
        place.folder == folder && (folder == "fleetwright") == (package == "fleetwright")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, built: &[&str], in_tests: &[&str]) -> Crate {
        let edges = |names: &[&str], how| -> Vec<Edge> {
            names.iter().map(|&to| Edge { to: to.to_owned(), how }).collect()
        };
        let mut all = edges(built, Use::Built);
        all.extend(edges(in_tests, Use::InTests));
        let name = format!("fleetwright-{folder}");
        Crate { name, folder: folder.to_owned(), edges: all }
    }

    #[test]
    fn a_graph_that_only_points_down_passes() {
        let crates = [
            package("names", &["serde"], &["tokio"]),
            package("api-types", &["fleetwright-names", "kube-core"], &[]),
            package("plan", &["fleetwright-api-types"], &["tokio"]),
            package("provider", &["fleetwright-plan", "tower"], &[]),
            package(
                "provider-eks",
                &["fleetwright-provider", "aws-sdk-eks"],
                &["fleetwright-cloudsim"],
            ),
            package("providers", &["fleetwright-provider-eks"], &[]),
            package("controllers", &["fleetwright-reconcile", "kube"], &["fleetwright-apiserver"]),
            package("cloudsim", &["fleetwright-apiserver", "fleetwright-telemetry"], &[]),
            package("sim", &["fleetwright-controllers", "fleetwright-cloudsim"], &[]),
        ];
        assert_eq!(violations(&crates), Vec::<String>::new());
    }

    #[test]
    fn an_upward_edge_names_both_layers_and_the_rule() {
        let crates = [package("plan", &["fleetwright-reconcile"], &[])];
        assert_eq!(
            violations(&crates),
            ["fleetwright-plan (layer 1 pure) -> fleetwright-reconcile (layer 4 control): \
              fleetwright-plan may use only layer 0 words"]
        );
    }

    #[test]
    fn providers_do_not_know_each_other_but_the_registry_knows_them() {
        let crates = [
            package("provider-eks", &["fleetwright-provider-aks"], &[]),
            package("providers", &["fleetwright-provider-aks", "fleetwright-provider-eks"], &[]),
        ];
        assert_eq!(
            violations(&crates),
            ["fleetwright-provider-eks (layer 3 providers) -> fleetwright-provider-aks \
              (layer 3 providers): fleetwright-provider-eks may use only layer 0 words, \
              layer 1 pure, layer 2 contract"]
        );
    }

    #[test]
    fn nothing_depends_on_tests_not_even_in_tests() {
        let crates = [
            package("controllers", &[], &["fleetwright-sim"]),
            package("e2e", &["fleetwright-xtask"], &[]),
        ];
        let found = violations(&crates);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].ends_with(
            "fleetwright-controllers may use in its tests only layer 0 words, layer 1 pure, \
             layer 2 contract, reconcile, apiserver, cloudsim"
        ));
    }

    #[test]
    fn control_and_server_meet_only_over_the_wire() {
        let crates = [
            package("controllers", &["fleetwright-apiserver", "fleetwright-provider-eks"], &[]),
            package("apiserver", &["fleetwright-controllers", "fleetwright-provider"], &[]),
        ];
        assert_eq!(violations(&crates).len(), 4);
    }

    #[test]
    fn what_a_layer_must_not_contain_is_refused_with_the_reason() {
        let crates = [
            package("names", &["kube", "tokio-util"], &[]),
            package("plan", &["fleetwright-clock", "rand_chacha"], &["rand"]),
            package("provider", &["aws-config"], &[]),
            package("provider-eks", &["kube-client"], &[]),
            package("reconcile", &["aws-sdk-eks", "kube"], &[]),
        ];
        let found = violations(&crates);
        let edges: Vec<&str> = found.iter().filter_map(|text| text.split(": ").next()).collect();
        assert_eq!(
            edges,
            [
                "fleetwright-names -> kube",
                "fleetwright-names -> tokio-util",
                "fleetwright-plan -> fleetwright-clock",
                "fleetwright-plan -> rand_chacha",
                "fleetwright-provider -> aws-config",
                "fleetwright-provider-eks -> kube-client",
                "fleetwright-reconcile -> aws-sdk-eks",
            ]
        );
        assert_eq!(
            found[2],
            "fleetwright-plan -> fleetwright-clock: layer 1 pure must not contain it: \
             pure code has no clock; take the time as input"
        );
    }

    #[test]
    fn a_crate_without_a_place_or_in_another_folder_fails() {
        let mut moved = package("plan", &[], &[]);
        moved.folder = "planner".to_owned();
        assert_eq!(
            violations(&[package("helpers", &["fleetwright-fleetwright"], &[]), moved]),
            [
                "fleetwright-helpers stands in no layer: \
                 add it to crates/xtask/src/layers/table.rs",
                "fleetwright-plan lies in folder planner; its name asks for plan",
            ]
        );
    }
}
