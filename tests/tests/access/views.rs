//! Views have rights of their own; what is kept of a statement has those of the moment in which it runs.

use crate::world::{World, code, run, tried};
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use skep_client::Client;
use skep_coordinator::service::{QueryOutcome, QueryService, SubmitRequest};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

async fn rows(client: &mut Client, sql: &str) -> Result<usize, QueryError> {
    let batches = tried(client, sql).await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

async fn fails(client: &mut Client, sql: &str, expected: ErrorCode) {
    let result = tried(client, sql).await;
    assert_eq!(code(&result), Some(expected), "{sql}: {result:?}");
}

/// `shop.orders`, which belongs to `other_user`, with two rows.
async fn with_orders(world: &mut World) {
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT, secret INT)",
        "INSERT INTO shop.orders VALUES (1, 10), (2, 20)",
        "ALTER DATABASE shop SET OWNER other_user",
        "ALTER TABLE shop.orders OWNER TO other_user",
    ] {
        world.admin(sql).await;
    }
}

#[tokio::test]
async fn a_view_reads_what_its_owner_may() {
    let mut world = World::new().await;
    with_orders(&mut world).await;
    let mut owner = world.session("other_user").await;
    let mut user = world.session("u").await;
    for sql in [
        "CREATE VIEW shop.small AS SELECT id FROM shop.orders WHERE secret < 15",
        "CREATE VIEW shop.smaller AS SELECT id FROM shop.small",
        "CREATE VIEW shop.callers WITH SECURITY INVOKER AS SELECT id FROM shop.orders",
        "CREATE VIEW shop.through AS SELECT id FROM shop.callers",
        "GRANT SELECT ON shop.smaller TO u",
        "GRANT SELECT ON shop.callers TO u",
        "GRANT SELECT ON VIEW shop.through TO USER u",
    ] {
        run(&mut owner, sql).await;
    }
    assert_eq!(rows(&mut user, "SELECT * FROM shop.smaller").await, Ok(1));
    // Neither what it reads nor what that reads can be named.
    for table in ["shop.small", "shop.orders"] {
        let sql = format!("SELECT * FROM {table}");
        fails(&mut user, &sql, ErrorCode::TableNotFound).await;
        let beside = format!("SELECT * FROM shop.smaller, {table}");
        fails(&mut user, &beside, ErrorCode::TableNotFound).await;
    }
    // With the caller's rights, and with those of whose query reads it.
    fails(&mut user, "SELECT * FROM shop.callers", ErrorCode::Semantic).await;
    assert_eq!(rows(&mut user, "SELECT * FROM shop.through").await, Ok(2));
    let both = "SELECT * FROM shop.through, shop.callers";
    fails(&mut user, both, ErrorCode::Semantic).await;
    run(&mut owner, "GRANT SELECT (id) ON shop.orders TO u").await;
    assert_eq!(rows(&mut user, "SELECT * FROM shop.callers").await, Ok(2));
    fails(
        &mut user,
        "SELECT secret FROM shop.orders",
        ErrorCode::ColumnNotFound,
    )
    .await;
    // What the owner of a view may no longer read, the view no longer reads.
    world.admin("ALTER TABLE shop.orders OWNER TO admin").await;
    world.admin("ALTER DATABASE shop SET OWNER admin").await;
    let lost = tried(&mut user, "SELECT * FROM shop.smaller").await;
    let told = lost.expect_err("its owner may not").message;
    let names = ["orders", "'shop.small'"];
    assert!(!names.iter().any(|name| told.contains(name)), "{told}");
}

#[tokio::test]
async fn only_its_owner_says_what_a_view_is() {
    let mut world = World::new().await;
    with_orders(&mut world).await;
    let mut owner = world.session("other_user").await;
    let mut user = world.session("u").await;
    for sql in [
        "CREATE VIEW shop.v AS SELECT id FROM shop.orders",
        "GRANT ALL ON shop.v TO u",
        "GRANT CREATE ON DATABASE shop TO u",
    ] {
        run(&mut owner, sql).await;
    }
    // With them, the owner's rights would read what the user likes.
    for sql in [
        "ALTER VIEW shop.v AS SELECT 1 AS secret",
        "CREATE OR REPLACE VIEW shop.v AS SELECT 1 AS secret",
        "ALTER VIEW shop.v SET TBLPROPERTIES ('skep.sql.dialect' = 'hive')",
        "ALTER VIEW shop.v UNSET TBLPROPERTIES ('skep.view.security')",
        "ALTER VIEW shop.v OWNER TO u",
    ] {
        fails(&mut user, sql, ErrorCode::PermissionDenied).await;
    }
    run(&mut user, "ALTER VIEW shop.v RENAME TO shop.w").await;
    assert_eq!(rows(&mut user, "SELECT * FROM shop.w").await, Ok(2));
    run(
        &mut owner,
        "ALTER VIEW shop.w AS SELECT secret FROM shop.orders",
    )
    .await;
    assert_eq!(rows(&mut user, "SELECT secret FROM shop.w").await, Ok(2));
    // What is there and not seen is in the way, and stays.
    run(&mut owner, "CREATE VIEW shop.hidden AS SELECT 1 AS one").await;
    let replace = "CREATE OR REPLACE VIEW shop.hidden AS SELECT 2 AS one";
    fails(&mut user, replace, ErrorCode::AlreadyExists).await;
    let own = "CREATE VIEW shop.own AS SELECT id FROM shop.w";
    assert_eq!(
        code(&tried(&mut user, own).await),
        Some(ErrorCode::ColumnNotFound)
    );
}

#[tokio::test]
async fn a_query_that_views_keep_to_themselves_is_not_told() {
    let mut world = World::new().await;
    with_orders(&mut world).await;
    let mut owner = world.session("other_user").await;
    run(
        &mut owner,
        "CREATE VIEW shop.v AS SELECT id FROM shop.orders",
    )
    .await;
    run(&mut owner, "GRANT SELECT ON shop.v TO u").await;
    let mut user = world.session("u").await;
    for sql in ["SHOW CREATE VIEW shop.v", "DESCRIBE FORMATTED shop.v"] {
        fails(&mut user, sql, ErrorCode::PermissionDenied).await;
    }
    let told = "SELECT 1 FROM information_schema.views WHERE view_definition IS NOT NULL";
    assert_eq!(rows(&mut user, told).await, Ok(0));
    assert_eq!(rows(&mut owner, told).await, Ok(1));
    for column in ["database", "\" files\".\"0\"", "x"] {
        let sql = format!("EXPLAIN VERBOSE SELECT * FROM shop.v WHERE id = {column}");
        assert!(tried(&mut user, &sql).await.is_err());
    }
}

/// The tables that plans have for files are shared by a statement and the views that it names.
#[tokio::test]
async fn files_that_a_view_reads_cannot_be_named_beside_it() {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("secret");
    for sql in [
        format!(
            "COPY (SELECT 7 AS a, 8 AS b) TO '{}/x.parquet'",
            place.display()
        ),
        format!(
            "CREATE VIEW own.v AS SELECT a FROM read_parquet('{}/x.parquet')",
            place.display()
        ),
        "GRANT SELECT ON own.v TO u".to_owned(),
    ] {
        world.admin(&sql).await;
    }
    let mut user = world.session("u").await;
    assert_eq!(rows(&mut user, "SELECT a FROM own.v").await, Ok(1));
    for name in ["\" files\".\"0\"", "skep.\" files\".\"0\"", "` files`.`0`"] {
        for sql in [
            format!("SELECT * FROM own.v, {name}"),
            format!("SELECT * FROM {name}, own.v"),
            format!("WITH c AS (SELECT * FROM {name}) SELECT * FROM c, own.v"),
        ] {
            assert!(tried(&mut user, &sql).await.is_err(), "{sql}");
        }
    }
}

/// Runs what was prepared before.
async fn run_kept(world: &World, request: SubmitRequest) -> Result<usize, QueryError> {
    let submitted = world.cluster.engine.submit(request).await?;
    match submitted.outcome {
        QueryOutcome::Rows(rows) => {
            let batches: Vec<RecordBatch> = rows.try_collect().await?;
            Ok(batches.iter().map(RecordBatch::num_rows).sum())
        }
        _ => panic!("it has rows"),
    }
}

#[tokio::test]
async fn a_kept_plan_is_asked_for_again() {
    let mut world = World::new().await;
    with_orders(&mut world).await;
    world.admin("GRANT SELECT ON shop.orders TO ROLE r").await;
    let session = world.cluster.engine.open_session("u").expect("a session");
    let sql = "SELECT id FROM shop.orders";
    let described = world.cluster.engine.describe(&session, sql).await;
    let plan = described.expect("it may be read").plan;
    let request = |sql: &str| SubmitRequest {
        session: session.clone(),
        sql: sql.to_owned(),
        parameters: Vec::new(),
        prepared: Some(Arc::clone(&plan)),
        direct: None,
    };
    assert_eq!(run_kept(&world, request(sql)).await, Ok(2));
    let plain = SubmitRequest {
        prepared: None,
        ..request("SET ROLE NONE")
    };
    world.cluster.engine.submit(plain).await.expect("it is set");
    let refused = run_kept(&world, request(sql)).await;
    assert_eq!(code(&refused), Some(ErrorCode::DatabaseNotFound));
    let plain = SubmitRequest {
        prepared: None,
        ..request("SET ROLE ALL")
    };
    world.cluster.engine.submit(plain).await.expect("it is set");
    assert_eq!(run_kept(&world, request(sql)).await, Ok(2));
    world
        .admin("REVOKE SELECT ON shop.orders FROM ROLE r")
        .await;
    let refused = run_kept(&world, request(sql)).await;
    assert_eq!(code(&refused), Some(ErrorCode::DatabaseNotFound));
}
