//! Options that are refused before anything is contacted, and what a report looks like.

use super::*;
use crate::queries::parse_queries;

fn options() -> RunOptions {
    let data = DataLocation::parse("memory:///tpch", &[]).expect("a location");
    RunOptions::new(1.0, "flight://127.0.0.1:1", data)
}

async fn refusal(options: RunOptions) -> String {
    format!("{:#}", run(options).await.expect_err("refused"))
}

#[tokio::test]
async fn bad_options_are_named() {
    let error = refusal(RunOptions {
        scale: 0.001,
        ..options()
    })
    .await;
    assert!(error.contains("0.01 upwards"), "{error}");
    let error = refusal(RunOptions {
        iterations: 0,
        ..options()
    })
    .await;
    assert!(error.contains("1 to 1000"), "{error}");
    let error = refusal(RunOptions {
        queries: Vec::new(),
        ..options()
    })
    .await;
    assert!(error.contains("1 to 22"), "{error}");
    let error = refusal(RunOptions {
        scale: 3.0,
        ..options()
    })
    .await;
    assert!(error.contains("'oracle'"), "{error}");
    let error = refusal(RunOptions {
        generate: false,
        ..options()
    })
    .await;
    assert!(error.contains("no complete data"), "{error}");
    assert!("guess".parse::<Verify>().is_err());
}

#[test]
fn single_cores_come_from_the_executors() {
    let executor = |cores: &str| {
        ExecutorInfo(
            [("cores".to_string(), cores.to_string())]
                .into_iter()
                .collect(),
        )
    };
    let total = single_cores(&options(), &[executor("2"), executor("1")]).expect("known");
    assert_eq!(total, 3);
    assert!(single_cores(&options(), &[executor("2"), executor("")]).is_err());
    assert!(single_cores(&options(), &[]).is_err());
    let given = RunOptions {
        single_cores: Some(4),
        ..options()
    };
    assert_eq!(single_cores(&given, &[]).expect("given"), 4);
}

#[test]
fn a_report_prints_its_queries_and_what_went_wrong() {
    let mut right = QueryReport::new(1);
    let timed = |seconds| Timed {
        seconds,
        batches: Vec::new(),
        query_id: None,
    };
    right.add(&timed(1.5), Verification::Right);
    right.add_single(1.2);
    let mut wrong = QueryReport::new(6);
    wrong.add(
        &timed(0.25),
        Verification::Wrong("row 1, column 1 (revenue)".to_string()),
    );
    wrong.add_single(0.5);
    let mut failed = QueryReport::new(18);
    failed.fail(&anyhow::anyhow!("executor lost"));
    let options = RunOptions {
        queries: parse_queries("1,6,18").expect("a list"),
        ..options()
    };
    let reports = vec![right, wrong, failed];
    let mut report = RunReport::new(&options, reports, Vec::new(), Some(2), Instant::now());
    report.peak_memory_bytes = Some(1 << 30);
    assert!(!report.passed());

    let mut text = Vec::new();
    write_report(&report, &mut text).expect("printed");
    let text = String::from_utf8(text).expect("text");
    let expected = "\
query  time (s)  single (s)  ratio  rows  verified
-----  --------  ----------  -----  ----  --------
    1     1.500       1.200   1.25     0       yes
    6     0.250       0.500   0.50     0     WRONG
   18         -           -      -     -    FAILED

1 of 3 queries passed, 1.750 s in all, peak memory 1.00 GiB
compared with one process on 2 cores: 1.750 s against 1.700 s, ratio 1.029, geometric mean of the ratios 0.791
query 6: row 1, column 1 (revenue)
query 18: executor lost
";
    assert_eq!(text, expected);

    let json: serde_json::Value =
        serde_json::from_str(&report.to_json().expect("JSON")).expect("JSON");
    assert_eq!(json["queries"][0]["verified"], true);
    assert_eq!(json["queries"][1]["verified"], false);
    assert_eq!(json["queries"][2]["verified"], serde_json::Value::Null);
    assert_eq!(json["queries"][1]["seconds"][0], 0.25);
    assert_eq!(json["settings"]["queries"], "1,6,18");
    assert_eq!(json["passed"], false);
}
