//! Seeds with crashes, strangers, lost hubs and second leaders, some run twice; and a broken rule that seeds must catch.

#[cfg(test)]
mod seeds {
    use std::collections::BTreeSet;

    use fleetwright_sim::declared::{Aks, Cloud, Declared, Eks, K3s};
    use fleetwright_sim::dice::Dice;
    use fleetwright_sim::faults::Fate;
    use fleetwright_sim::run::{self, Outcome, Scenario, seed};
    use fleetwright_sim::sabotage::Sabotage;
    use fleetwright_sim::script::{self, Action};

    /// Runs seeds: the fleet converges and nothing leaks.
    fn check(seeds: std::ops::RangeInclusive<u64>) {
        for number in seeds {
            outcome(number);
        }
    }

    /// Runs seeds twice: besides, both runs leave the same trace.
    fn check_twice(seeds: std::ops::RangeInclusive<u64>) {
        for number in seeds {
            let (once, lines) = outcome(number);
            let (again, other) = seed(number, Sabotage::None).expect("a world");
            let differ = lines.iter().zip(&other).find(|(a, b)| a != b);
            assert_eq!(once.digest, again.digest, "seed {number} differs from itself: {differ:?}");
        }
    }

    fn outcome(number: u64) -> (Outcome, Vec<String>) {
        let (outcome, lines) = seed(number, Sabotage::None).expect("a world");
        let tail = lines[lines.len().saturating_sub(60)..].join("\n");
        assert!(
            outcome.wrong.is_empty(),
            "seed {number}: {:#?}\n{tail}\nagain: cargo xtask sim --seeds 1 --from {number} --trace",
            outcome.wrong
        );
        (outcome, lines)
    }

    #[test]
    fn seeds_1_to_5_converge_and_leak_nothing_the_same_twice() {
        check_twice(1..=5);
    }

    #[test]
    fn seeds_6_to_10_converge_and_leak_nothing_the_same_twice() {
        check_twice(6..=10);
    }

    #[test]
    fn seeds_11_to_15_converge_and_leak_nothing_the_same_twice() {
        check_twice(11..=15);
    }

    #[test]
    fn seeds_16_to_20_converge_and_leak_nothing_the_same_twice() {
        check_twice(16..=20);
    }

    #[test]
    fn seeds_21_to_27_converge_and_leak_nothing() {
        check(21..=27);
    }

    #[test]
    fn seeds_28_to_34_converge_and_leak_nothing() {
        check(28..=34);
    }

    #[test]
    fn seeds_35_to_41_converge_and_leak_nothing() {
        check(35..=41);
    }

    #[test]
    fn seeds_42_to_48_converge_and_leak_nothing() {
        check(42..=48);
    }

    #[test]
    fn seeds_49_to_55_converge_and_leak_nothing() {
        check(49..=55);
    }

    /// Seeds that once found something: a leak after a hub was lost (14, 30, 41), a status lost through a stale cache (113).
    #[test]
    fn seeds_that_found_something_stay_well() {
        outcome(113);
    }

    /// What the seeds are worth: between them they must have done every kind of deed, to clusters of every cloud.
    #[test]
    fn the_seeds_hold_every_kind_of_deed_and_all_clouds() {
        let mut kinds = BTreeSet::new();
        let (mut on_eks, mut on_aks, mut on_hosts) = (0, 0, 0);
        for number in 1..=55 {
            for (_, action) in script::write(&Dice::new(number, 2)) {
                if let Action::Create(_, declared) = &action {
                    match declared.cloud {
                        Cloud::Eks(_) => on_eks += 1,
                        Cloud::Aks(_) => on_aks += 1,
                        Cloud::K3s(_) => on_hosts += 1,
                    }
                }
                let text = format!("{action:?}");
                kinds.insert(text.split(['(', ' ']).next().unwrap_or_default().to_owned());
            }
        }
        let all = [
            "AddNamespace",
            "Create",
            "Delete",
            "Drift",
            "Edit",
            "LoseTheHub",
            "Misbehave",
            "OnHost",
            "OneLeader",
            "Release",
            "SecondLeader",
            "SetLevel",
            "Vandalize",
        ];
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
        let told = format!("{on_aks} clusters on AKS, {on_eks} on EKS, {on_hosts} on hosts");
        assert!(on_aks >= 30 && on_eks >= 60 && on_hosts >= 30, "{told}");
    }

    fn eks() -> Cloud {
        Cloud::Eks(Eks::default())
    }

    fn aks() -> Cloud {
        Cloud::Aks(Aks::default())
    }

    fn on_hosts(servers: &[u8], agents: &[u8]) -> Cloud {
        let (servers, agents) = (servers.to_vec(), agents.to_vec());
        Cloud::K3s(K3s { servers, agents, ..K3s::single("c0") })
    }

    /// What is wrong in the end when nothing goes wrong but what the script says; with the trace.
    fn told(script: Vec<(u64, Action)>, first_create: Option<Fate>) -> (Vec<String>, Vec<String>) {
        let sabotage = Sabotage::None;
        let scenario = Scenario { seed: 1, sabotage, script: Some(script), first_create };
        let (outcome, lines) = run::scenario(scenario).expect("a world");
        (outcome.wrong, lines)
    }

    /// One cluster, deleted two seconds after it was declared, while its create sits in some queue of the cloud.
    fn gone_while_the_create_is_on_its_way(cloud: Cloud, goodbye: fn(String) -> Action) {
        let create = Action::Create("c0".into(), Declared::plain(cloud));
        let script = vec![(0, create), (2, goodbye("c0".into()))];
        let (wrong, lines) = told(script, Some(Fate::LateEffect));
        assert!(lines.iter().any(|line| line.contains("(late) -> 20")), "it must arrive late");
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_create_that_arrives_after_the_deletion_is_deleted_too() {
        gone_while_the_create_is_on_its_way(eks(), Action::Delete);
        gone_while_the_create_is_on_its_way(aks(), Action::Delete);
    }

    #[test]
    fn a_create_that_arrives_after_the_release_is_released_too() {
        gone_while_the_create_is_on_its_way(eks(), Action::Release);
        gone_while_the_create_is_on_its_way(aks(), Action::Release);
    }

    /// As soon as a hub is restored from Git, its user lets a cluster go.
    #[test]
    fn a_cluster_that_is_let_go_as_soon_as_its_hub_is_restored_is_released() {
        for cloud in [eks(), aks()] {
            let script = vec![
                (0, Action::Create("c0".into(), Declared::plain(cloud))),
                (60, Action::LoseTheHub),
                (60, Action::Release("c0".into())),
            ];
            assert_eq!(told(script, None).0, Vec::<String>::new());
        }
    }

    #[test]
    fn one_server_becomes_a_cluster_and_leaves_nothing_behind() {
        let script = vec![
            (0, Action::Create("c0".into(), Declared::plain(on_hosts(&[1], &[])))),
            (120, Action::Delete("c0".into())),
        ];
        assert_eq!(told(script, None).0, Vec::<String>::new());
    }

    #[test]
    fn three_servers_and_two_agents_become_a_cluster_one_by_one() {
        let create = Action::Create("c0".into(), Declared::plain(on_hosts(&[1, 2, 3], &[11, 12])));
        assert_eq!(told(vec![(0, create)], None).0, Vec::<String>::new());
    }

    #[test]
    fn servers_are_upgraded_replaced_and_let_go() {
        let at = |minor: u16, cloud: Cloud| Declared { minor, ..Declared::plain(cloud) };
        let script = vec![
            (0, Action::Create("c0".into(), at(33, on_hosts(&[1, 2, 3], &[11])))),
            (240, Action::Edit("c0".into(), at(35, on_hosts(&[4, 2, 3], &[12])))),
            (900, Action::Release("c0".into())),
        ];
        assert_eq!(told(script, None).0, Vec::<String>::new());
    }

    #[test]
    fn creating_without_looking_is_caught() {
        let caught = (1..=6).find(|number| {
            let (broken, _) = seed(*number, Sabotage::CreateWithoutLooking).expect("a world");
            // A seed that needs longer than a broken one is given proves nothing.
            !broken.wrong.is_empty() && outcome(*number).0.seconds < run::BROKEN_LIMIT.as_secs()
        });
        assert!(caught.is_some(), "no seed noticed that the rule is broken");
    }
}
