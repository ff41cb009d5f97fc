//! Fifty seeds with crashes, each run twice; and a broken rule that seeds must catch.

#[cfg(test)]
mod seeds {
    use fleetwright_sim::faults::Fate;
    use fleetwright_sim::run::{self, Scenario, seed};
    use fleetwright_sim::sabotage::Sabotage;
    use fleetwright_sim::script::Action;

    /// Runs seeds twice: the fleet converges, nothing leaks, and both runs leave the same trace.
    fn check(seeds: std::ops::RangeInclusive<u64>) {
        let mut crashes = 0;
        for number in seeds {
            let (once, lines) = seed(number, Sabotage::None).expect("a world");
            let tail = lines[lines.len().saturating_sub(60)..].join("\n");
            assert!(
                once.wrong.is_empty(),
                "seed {number}: {:#?}\n{tail}\nagain: cargo xtask sim --seeds 1 --from {number} --trace",
                once.wrong
            );
            let (again, other) = seed(number, Sabotage::None).expect("a world");
            let differ = lines.iter().zip(&other).find(|(a, b)| a != b);
            assert_eq!(once.digest, again.digest, "seed {number} differs from itself: {differ:?}");
            crashes += once.crashes;
        }
        assert!(crashes > 20, "ten seeds should crash the hub more than 20 times, saw {crashes}");
    }

    #[test]
    fn seeds_1_to_10_converge_and_leak_nothing() {
        check(1..=10);
    }

    #[test]
    fn seeds_11_to_20_converge_and_leak_nothing() {
        check(11..=20);
    }

    #[test]
    fn seeds_21_to_30_converge_and_leak_nothing() {
        check(21..=30);
    }

    #[test]
    fn seeds_31_to_40_converge_and_leak_nothing() {
        check(31..=40);
    }

    #[test]
    fn seeds_41_to_50_converge_and_leak_nothing() {
        check(41..=50);
    }

    /// One cluster, deleted two seconds after it was declared, while its create sits in some queue of the cloud.
    fn deleted_while_the_create_is_on_its_way(goodbye: fn(String) -> Action) -> Vec<String> {
        let script = vec![(0, Action::Create("c0".into(), Vec::new())), (2, goodbye("c0".into()))];
        let scenario = Scenario {
            seed: 1,
            sabotage: Sabotage::None,
            script: Some(script),
            first_create: Some(Fate::LateEffect),
        };
        let (outcome, lines) = run::scenario(scenario).expect("a world");
        assert!(
            lines.iter().any(|line| line.contains("(late) -> 200")),
            "the create must arrive late"
        );
        outcome.wrong
    }

    #[test]
    fn a_create_that_arrives_after_the_deletion_is_deleted_too() {
        assert_eq!(deleted_while_the_create_is_on_its_way(Action::Delete), Vec::<String>::new());
    }

    #[test]
    fn a_create_that_arrives_after_the_release_is_released_too() {
        assert_eq!(deleted_while_the_create_is_on_its_way(Action::Release), Vec::<String>::new());
    }

    #[test]
    fn creating_without_looking_is_caught() {
        let caught = (1..=6).find(|number| {
            let (outcome, _) = seed(*number, Sabotage::CreateWithoutLooking).expect("a world");
            !outcome.wrong.is_empty()
        });
        assert!(caught.is_some(), "no seed noticed that the rule is broken");
    }
}
