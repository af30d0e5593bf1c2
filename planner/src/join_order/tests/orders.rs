//! Random joins of all kinds, in every order that is admitted.

use super::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many statements are tried.
const STATEMENTS: u64 = 400;

/// How many orders of each.
const ORDERS_MAX: usize = 12;

/// Tables `t0` to `t5` of few values and NULLs; the last one is empty.
async fn create_tables(context: &SessionContext, random: &mut StdRng) {
    for table in 0..6 {
        let count = if table == 5 {
            0
        } else {
            random.random_range(1..5)
        };
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let mut value = || match random.random_range(0..4) {
                    0 => "CAST(NULL AS INT)".to_owned(),
                    value => format!("CAST({value} AS INT)"),
                };
                format!("({}, {})", value(), value())
            })
            .collect();
        let source = match rows.is_empty() {
            true => "VALUES (CAST(1 AS INT), CAST(1 AS INT))) AS v(a, b) WHERE a > 1".to_owned(),
            false => format!("VALUES {}) AS v(a, b)", rows.join(", ")),
        };
        let sql = format!("CREATE OR REPLACE TABLE t{table} AS SELECT * FROM ({source}");
        context.sql(&sql).await.unwrap().collect().await.unwrap();
    }
}

/// A random join: its text, and the aliases that can be seen from outside.
fn join(random: &mut StdRng, tables: usize, next: &mut usize) -> (String, Vec<String>) {
    if tables == 1 {
        let alias = format!("r{next}");
        *next += 1;
        let table = random.random_range(0..6);
        // An empty one makes most joins empty: it is rare.
        let table = if table == 5 && random.random_bool(0.7) {
            0
        } else {
            table
        };
        return (format!("t{table} AS {alias}"), vec![alias]);
    }
    let of_left = random.random_range(1..tables);
    let (left, seen_left) = join(random, of_left, next);
    let (right, seen_right) = join(random, tables - of_left, next);
    let kinds = [
        "JOIN",
        "JOIN",
        "JOIN",
        "LEFT JOIN",
        "LEFT JOIN",
        "RIGHT JOIN",
        "FULL JOIN",
        "LEFT SEMI JOIN",
        "LEFT ANTI JOIN",
        "CROSS JOIN",
    ];
    let kind = kinds[random.random_range(0..kinds.len())];
    let paren = |side: String| match side.contains("JOIN") {
        true => format!("({side})"),
        false => side,
    };
    let (left, right) = (paren(left), paren(right));
    let text = match kind {
        "CROSS JOIN" => format!("{left} CROSS JOIN {right}"),
        _ => {
            let on = condition(random, &seen_left, &seen_right);
            format!("{left} {kind} {right} ON {on}")
        }
    };
    let seen = match kind {
        "LEFT SEMI JOIN" | "LEFT ANTI JOIN" => seen_left,
        _ => [seen_left, seen_right].concat(),
    };
    (text, seen)
}

fn condition(random: &mut StdRng, left: &[String], right: &[String]) -> String {
    fn column(random: &mut StdRng, of: &[String]) -> String {
        let alias = &of[random.random_range(0..of.len())];
        format!(
            "{alias}.{}",
            if random.random_bool(0.5) { 'a' } else { 'b' }
        )
    }
    let mut conditions = Vec::new();
    for _ in 0..random.random_range(1..3) {
        let one = column(random, left);
        let other = column(random, right);
        let of = if random.random_bool(0.5) { left } else { right };
        let third = column(random, of);
        conditions.push(match random.random_range(0..12) {
            0 => format!("{one} < {other}"),
            1 => format!("({one} = {other} OR {one} IS NULL)"),
            2 => format!("coalesce({one}, 1) = {other}"),
            3 => format!("coalesce({one}, 2) = coalesce({other}, 2)"),
            4 => format!("{one} + {third} = {other}"),
            5 => format!("({one} = {other} OR {third} = 2)"),
            _ => format!("{one} = {other}"),
        });
    }
    conditions.join(" AND ")
}

/// A random order among those that are admitted; `None` where a wrong turn was taken.
fn random_order(graph: &JoinGraph<'_>, random: &mut StdRng) -> Option<JoinTree> {
    let all = graph.region.all();
    let mut parts: Vec<JoinTree> = all.iter().map(JoinTree::Relation).collect();
    while parts.len() > 1 {
        let mut pairs = Vec::new();
        for one in 0..parts.len() {
            for other in 0..parts.len() {
                let (left, right) = (parts[one].relations(), parts[other].relations());
                if one != other
                    && graph.is_edge(left, right)
                    && let Some(applied) = graph.applied(left, right)
                    && !applied.is_swapped
                {
                    pairs.push((one, other, applied));
                }
            }
        }
        if pairs.is_empty() {
            return None;
        }
        let (one, other, applied) = pairs.swap_remove(random.random_range(0..pairs.len()));
        let (first, second) = (one.min(other), one.max(other));
        let later = parts.swap_remove(second);
        let earlier = parts.swap_remove(first);
        let (left, right) = match one < other {
            true => (earlier, later),
            false => (later, earlier),
        };
        parts.push(JoinTree::Join(Box::new(Joined {
            left,
            right,
            applied,
            method: Method {
                builds_left: random.random_bool(0.5),
                is_broadcast: false,
                cost: 1.0,
            },
            rows: 10.0,
            row_bytes: 8.0,
        })));
    }
    parts.pop()
}

#[tokio::test]
async fn every_order_has_the_rows_of_the_one_that_was_written() {
    let context = context();
    let state = context.state();
    let scans = ScanProfiles::default();
    let (mut orders, mut padded, mut moved) = (0, 0, 0);
    for seed in 0..STATEMENTS {
        let random = &mut StdRng::seed_from_u64(seed);
        create_tables(&context, random).await;
        let tables = random.random_range(3..7);
        let (text, seen) = join(random, tables, &mut 0);
        let columns: Vec<String> = seen
            .iter()
            .flat_map(|alias| {
                [
                    format!("{alias}.a AS {alias}a"),
                    format!("{alias}.b AS {alias}b"),
                ]
            })
            .collect();
        let sql = format!("SELECT {} FROM {text}", columns.join(", "));
        let plan = optimised(&context, &sql).await;
        let expected = rows(&state, &plan).await;
        let best = reordered(plan.clone(), &scans, state.config_options(), MACHINE).unwrap();
        let shown = best.display_indent();
        let found = rows(&state, &best).await;
        assert_eq!(found, expected, "{seed}: {sql}\n{shown}\n{plan:?}");
        let Some(extracted) = region_of(&plan) else {
            continue;
        };
        let region = extracted.region(&Estimator::new(&scans));
        let graph = JoinGraph::new(&region);
        assert!(best_order(&graph, MACHINE).is_some(), "{seed}: {sql}");
        padded += usize::from(graph.is_strict);
        for _ in 0..ORDERS_MAX {
            let Some(tree) = random_order(&graph, random) else {
                moved += 1;
                continue;
            };
            orders += 1;
            let joined = rebuild(&extracted, &graph, &tree).unwrap();
            let found = replaced(&plan, joined);
            let shown = found.display_indent();
            assert_eq!(
                rows(&state, &found).await,
                expected,
                "{seed}: {sql}\n{shown}\n{plan:?}"
            );
        }
    }
    assert!(orders > 2_000, "{orders} orders, {moved} dead ends");
    assert!(padded > 50, "{padded}");
}

/// The plan with another topmost region.
fn replaced(plan: &LogicalPlan, region: LogicalPlan) -> LogicalPlan {
    if let LogicalPlan::Join(_) = plan
        && extract(plan).unwrap().is_some()
    {
        return region;
    }
    let mut region = Some(region);
    let inputs = plan
        .inputs()
        .into_iter()
        .map(|input| match region_of(input) {
            Some(_) if region.is_some() => replaced(input, region.take().unwrap()),
            _ => input.clone(),
        });
    let inputs = inputs.collect();
    plan.with_new_exprs(plan.expressions(), inputs).unwrap()
}
