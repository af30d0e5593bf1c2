//! The scheduler's state machines together in a simulated cluster: a virtual clock, and seeded faults of
//! executors, links, disks and of the coordinator. Every seed is checked: no row lost or doubled, no two
//! attempts committed, no query hung, nothing left behind. A seed that fails prints itself; run it alone
//! with `SKEP_SIMULATION_SEED=…`, and more of them with `SKEP_SIMULATION_SEEDS=…`.

#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/coordinator.rs"]
mod coordinator;
#[path = "simulation/executor.rs"]
mod executor;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/world.rs"]
mod world;

use world::{Rules, Totals, World};

/// How many seeds are run where nobody says otherwise.
const SEEDS: u64 = 4000;

/// How many seeds a rule that is switched off may stay unnoticed.
const SEEDS_UNTIL_NOTICED: u64 = 3000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn run(seed: u64, rules: Rules) -> Result<Totals, String> {
    let mut world = World::new(seed, rules);
    world.run();
    check::check(&world).map(|()| world.totals)
}

#[test]
fn no_seed_loses_doubles_hangs_or_leaves_anything() {
    let seeds = match number("SKEP_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SKEP_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let is_one = seeds.end - seeds.start == 1;
    let mut totals = Totals::default();
    for seed in seeds {
        match run(seed, Rules::default()) {
            Ok(more) => totals.add(&more),
            Err(what) => panic!("SKEP_SIMULATION_SEED={seed}: {what}"),
        }
    }
    println!("{totals:?}");
    if !is_one {
        // Otherwise the simulation proves nothing.
        assert!(totals.succeeded * 10 > totals.queries * 5, "{totals:?}");
        assert!(totals.succeeded_later > 0, "{totals:?}");
        assert!(totals.lost_two > 0 && totals.suspended > 0, "{totals:?}");
        assert!(
            totals.stale_ends > 0 && totals.late_messages > 0,
            "{totals:?}"
        );
        assert!(totals.refused_joins > 0 && totals.drained > 0, "{totals:?}");
    }
}

#[test]
fn a_seed_runs_the_same_way_again() {
    let first = run(7, Rules::default()).unwrap();
    assert_eq!(first, run(7, Rules::default()).unwrap());
}

/// Whether the checks find what goes wrong without a rule.
fn is_noticed(rules: Rules) -> bool {
    (0..SEEDS_UNTIL_NOTICED).any(|seed| run(seed, rules).is_err())
}

#[test]
fn without_fences_around_attempts_rows_are_doubled_or_lost() {
    assert!(is_noticed(Rules {
        fences_attempts: false,
        ..Rules::default()
    }));
}

#[test]
fn without_generations_an_executor_that_joined_again_is_lost() {
    assert!(is_noticed(Rules {
        has_generations: false,
        ..Rules::default()
    }));
}

#[test]
fn without_holding_results_back_rows_are_doubled() {
    assert!(is_noticed(Rules {
        holds_back: false,
        ..Rules::default()
    }));
}

#[test]
fn without_further_attempts_more_queries_fail() {
    let count = |rules| {
        let mut totals = Totals::default();
        for seed in 0..300 {
            totals.add(&run(seed, rules).unwrap());
        }
        totals.failed
    };
    let with = count(Rules::default());
    let without = count(Rules {
        tries_again: false,
        ..Rules::default()
    });
    assert!(without * 2 > with * 3, "{without} and {with}");
}
