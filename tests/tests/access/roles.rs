//! Roles, who may grant, what the server's own privileges are for, and places.

use crate::world::{World, code, run, tried};
use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cells;

async fn fails(client: &mut Client, sql: &str, expected: ErrorCode) -> String {
    let result = tried(client, sql).await;
    assert_eq!(code(&result), Some(expected), "{sql}: {result:?}");
    result.expect_err("it fails").message
}

async fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    cells::rows(&run(client, sql).await)
}

#[tokio::test]
async fn who_may_grant() {
    let mut world = World::new().await;
    let mut user = world.session("u").await;
    let mut other = world.session("other_user").await;
    fails(&mut user, "CREATE ROLE x", ErrorCode::PermissionDenied).await;
    for sql in [
        "GRANT s TO USER other_user",
        "GRANT other TO USER u",
        "GRANT nothing TO USER u",
    ] {
        // Whether there is such a role is not told.
        fails(&mut user, sql, ErrorCode::PermissionDenied).await;
    }
    world
        .admin("GRANT ROLE s TO USER u WITH ADMIN OPTION")
        .await;
    run(&mut user, "GRANT s TO USER other_user").await;
    assert_eq!(
        rows(&mut other, "SHOW CURRENT ROLES").await,
        [["public"], ["s"]]
    );
    fails(&mut other, "GRANT s TO ROLE r", ErrorCode::PermissionDenied).await;
    run(&mut user, "REVOKE s FROM USER other_user").await;
    world.admin("REVOKE ADMIN OPTION FOR s FROM USER u").await;
    fails(
        &mut user,
        "GRANT s TO USER other_user",
        ErrorCode::PermissionDenied,
    )
    .await;

    world.admin("CREATE TABLE own.t (a INT)").await;
    world
        .admin("GRANT SELECT ON own.t TO other_user WITH GRANT OPTION")
        .await;
    let grant = "GRANT SELECT (a) ON own.t TO ROLE r";
    run(&mut other, grant).await;
    fails(
        &mut other,
        "GRANT INSERT ON own.t TO ROLE r",
        ErrorCode::PermissionDenied,
    )
    .await;
    fails(
        &mut other,
        "GRANT ALL ON own.t TO ROLE r",
        ErrorCode::PermissionDenied,
    )
    .await;
    fails(
        &mut other,
        "GRANT SELECT ON DATABASE own TO r",
        ErrorCode::PermissionDenied,
    )
    .await;
    fails(
        &mut other,
        "GRANT SELECT ON CATALOG TO r",
        ErrorCode::PermissionDenied,
    )
    .await;
    fails(
        &mut other,
        "GRANT MANAGE USERS TO other_user",
        ErrorCode::PermissionDenied,
    )
    .await;
    fails(
        &mut other,
        "GRANT ALL ON LOCATION '/' TO r",
        ErrorCode::PermissionDenied,
    )
    .await;
    world
        .admin("REVOKE GRANT OPTION FOR SELECT ON own.t FROM other_user")
        .await;
    fails(&mut other, grant, ErrorCode::PermissionDenied).await;
    for (sql, expected) in [
        ("GRANT SELECT ON own.t TO nobody", ErrorCode::UserNotFound),
        ("GRANT SELECT ON own.nothing TO u", ErrorCode::TableNotFound),
        ("GRANT INSERT (a) ON own.t TO u", ErrorCode::InvalidState),
        ("GRANT SELECT (x) ON own.t TO u", ErrorCode::ColumnNotFound),
        ("GRANT MANAGE USERS ON own.t TO u", ErrorCode::InvalidState),
        ("GRANT CREATE ON own.t TO u", ErrorCode::InvalidState),
        ("GRANT r TO ROLE s", ErrorCode::InvalidState),
        ("REVOKE other FROM u", ErrorCode::InvalidState),
        ("DROP ROLE nothing", ErrorCode::UserNotFound),
    ] {
        let mut admin = world.session("admin").await;
        fails(&mut admin, sql, expected).await;
    }
}

#[tokio::test]
async fn a_role_counts_while_it_is_enabled() {
    let mut world = World::new().await;
    world.admin("CREATE DATABASE d").await;
    world.admin("CREATE TABLE d.t (a INT)").await;
    world.admin("GRANT SELECT ON d.t TO s").await;
    let mut user = world.session("u").await;
    let read = "SELECT * FROM d.t";
    run(&mut user, read).await;
    run(&mut user, "SET ROLE NONE").await;
    fails(&mut user, read, ErrorCode::DatabaseNotFound).await;
    assert_eq!(rows(&mut user, "SHOW CURRENT ROLES").await, [["public"]]);
    run(&mut user, "SET ROLE s").await;
    run(&mut user, read).await;
    for role in ["other", "nothing", "admin"] {
        let sql = format!("SET ROLE {role}");
        let message = fails(&mut user, &sql, ErrorCode::PermissionDenied);
        assert_eq!(
            message.await,
            format!("user 'u' does not have role '{role}'")
        );
    }
    // Other sessions of the user have their own.
    run(&mut user, "SET ROLE NONE").await;
    let mut another = world.session("u").await;
    run(&mut another, read).await;
    world.admin("DROP ROLE s").await;
    fails(&mut another, read, ErrorCode::DatabaseNotFound).await;
}

#[tokio::test]
async fn users_are_managed_by_those_who_may() {
    let mut world = World::new().await;
    let mut user = world.session("u").await;
    let create = "CREATE USER new PASSWORD 'x'";
    fails(&mut user, create, ErrorCode::PermissionDenied).await;
    world.admin("GRANT MANAGE USERS TO ROLE r").await;
    run(&mut user, create).await;
    run(&mut user, "ALTER USER new PASSWORD 'y'").await;
    run(&mut user, "CREATE ROLE mine").await;
    run(&mut user, "GRANT mine TO USER new").await;
    // Nobody makes themselves more than they are.
    for sql in [
        "CREATE USER boss PASSWORD 'x' ADMIN",
        "ALTER USER admin PASSWORD 'x'",
        "DROP USER admin",
        "GRANT other TO USER u",
        "GRANT KILL QUERIES TO u",
    ] {
        fails(&mut user, sql, ErrorCode::PermissionDenied).await;
    }
    run(&mut user, "DROP USER new").await;
    run(&mut user, "DROP ROLE mine").await;
    let mut admin = world.session("admin").await;
    fails(&mut admin, "DROP USER admin", ErrorCode::InvalidState).await;
    fails(&mut admin, "DROP USER u", ErrorCode::InvalidState).await;
    run(&mut admin, "ALTER DATABASE own SET OWNER admin").await;
    run(&mut admin, "DROP USER u").await;
    assert!(user.execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn the_queries_of_others_are_theirs() {
    let mut world = World::new().await;
    let mut user = world.session("u").await;
    let mut other = world.session("other_user").await;
    run(&mut other, "SELECT 41 + 1 AS told_to_nobody").await;
    let shown = "SHOW QUERIES";
    let text = |rows: Vec<Vec<String>>| format!("{rows:?}");
    let all = rows(&mut world.admin, shown).await;
    let found = all
        .iter()
        .find(|row| row.iter().any(|cell| cell.contains("AS told_to_nobody")));
    let id = found.expect("an administrator sees it")[0].clone();
    assert!(!text(rows(&mut user, shown).await).contains("told_to_nobody"));
    for sql in [
        format!("DESCRIBE QUERY '{id}'"),
        format!("SHOW PROFILE '{id}'"),
        format!("KILL QUERY '{id}'"),
    ] {
        let of_others = fails(&mut user, &sql, ErrorCode::QueryNotFound).await;
        let missing = id.chars().rev().collect::<String>();
        let unknown = sql.replace(&id, &missing);
        let of_none = fails(&mut user, &unknown, ErrorCode::QueryNotFound);
        let of_none = of_none.await;
        assert_eq!(of_others.replace(&id, ""), of_none.replace(&missing, ""));
    }
    world.admin("GRANT VIEW QUERIES TO u").await;
    assert!(text(rows(&mut user, shown).await).contains("told_to_nobody"));
    run(&mut user, &format!("DESCRIBE QUERY '{id}'")).await;
    fails(
        &mut user,
        &format!("KILL QUERY '{id}'"),
        ErrorCode::PermissionDenied,
    )
    .await;
    world.admin("GRANT KILL QUERIES TO u").await;
    fails(
        &mut user,
        &format!("KILL QUERY '{id}'"),
        ErrorCode::QueryNotFound,
    )
    .await;
    fails(&mut user, "VACUUM DRY RUN", ErrorCode::PermissionDenied).await;
    world.admin("GRANT MANAGE CLUSTER TO u").await;
    run(&mut user, "VACUUM DRY RUN").await;
}

#[tokio::test]
async fn places_are_used_by_those_who_may() {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().canonicalize().expect("a path");
    let place = place.display();
    for name in ["open", "closed"] {
        let sql = format!("COPY (SELECT 7 AS a) TO '{place}/{name}/x.parquet'");
        world.admin(&sql).await;
    }
    std::os::unix::fs::symlink(format!("{place}/closed"), format!("{place}/open/link"))
        .expect("a link");
    let mut user = world.session("u").await;
    let actions = |directory: &str, number: u32| {
        let at = format!("{place}/{directory}");
        [
            ("SELECT", format!("SELECT * FROM '{at}/x.parquet'")),
            (
                "SELECT",
                format!("SELECT * FROM read_parquet('{at}/x.parquet')"),
            ),
            (
                "SELECT",
                format!("SELECT * FROM read_parquet('{at}/*.parquet')"),
            ),
            ("SELECT", format!("DESCRIBE '{at}/x.parquet'")),
            ("SELECT", format!("COPY own.c FROM '{at}/x.parquet'")),
            (
                "SELECT",
                format!("LOAD DATA LOCAL INPATH '{at}/x.parquet' INTO TABLE own.c"),
            ),
            (
                "SELECT, DELETE",
                format!("LOAD DATA INPATH '{at}/x.parquet' INTO TABLE own.c"),
            ),
            (
                "CREATE",
                format!("CREATE EXTERNAL TABLE own.e{number} (a BIGINT) LOCATION '{at}/'"),
            ),
            (
                "CREATE",
                format!("CREATE TABLE own.m{number} (a INT) LOCATION '{at}/new{number}/'"),
            ),
            (
                "CREATE",
                format!("ALTER DATABASE own SET LOCATION '{at}/db/'"),
            ),
            (
                "INSERT, DELETE",
                format!("COPY (SELECT 1 AS a) TO '{at}/y.parquet'"),
            ),
            (
                "INSERT, DELETE",
                format!("INSERT OVERWRITE DIRECTORY '{at}/out{number}/' SELECT 1 AS a"),
            ),
        ]
    };
    world.admin("CREATE TABLE own.c (a BIGINT)").await;
    let is_closed = |code: Option<ErrorCode>| code == Some(ErrorCode::PermissionDenied);
    for (number, directory) in [(1, "open"), (2, "closed"), (3, "open/link"), (4, "nowhere")] {
        for (_, sql) in actions(directory, number) {
            let result = tried(&mut user, &sql).await;
            assert!(is_closed(code(&result)), "{sql}: {result:?}");
        }
    }
    for (index, (privileges, sql)) in actions("open", 5).into_iter().enumerate() {
        let grant = format!("GRANT {privileges} ON LOCATION '{place}/open' TO u");
        world.admin(&grant).await;
        run(&mut user, &sql).await;
        world.admin("DROP TABLE IF EXISTS own.e5").await;
        for directory in ["closed", "open/link", "openly"] {
            let sql = &actions(directory, 6)[index].1;
            let result = tried(&mut user, sql).await;
            assert!(is_closed(code(&result)), "{sql}: {result:?}");
        }
        world
            .admin(&grant.replace("GRANT", "REVOKE").replace(" TO u", " FROM u"))
            .await;
        let sql = &actions("open", 7)[index].1;
        let result = tried(&mut user, sql).await;
        assert!(is_closed(code(&result)), "{sql}: {result:?}");
        if privileges == "SELECT, DELETE" {
            world
                .admin(&format!("COPY (SELECT 7 AS a) TO '{place}/open/x.parquet'"))
                .await;
        }
    }
}

#[tokio::test]
async fn grants_are_shown_to_those_whom_they_concern() {
    let mut world = World::new().await;
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (a INT)",
        "GRANT SELECT (a) ON d.t TO ROLE r",
        "GRANT INSERT ON DATABASE d TO u WITH GRANT OPTION",
        "GRANT ALL ON d.t TO other_user",
    ] {
        world.admin(sql).await;
    }
    let mut user = world.session("u").await;
    let shown = rows(&mut user, "SHOW GRANT ON TABLE d.t").await;
    let expected = ["TABLE", "d", "t", "a", "r", "ROLE", "SELECT", "NO", "admin"];
    assert!(
        shown.contains(&expected.map(str::to_owned).to_vec()),
        "{shown:?}"
    );
    assert!(!format!("{shown:?}").contains("DELETE"), "{shown:?}");
    let all = rows(&mut world.admin, "SHOW GRANT USER other_user ON TABLE d.t").await;
    assert_eq!(all.len(), 6, "{all:?}");
    assert_eq!(
        rows(&mut user, "SHOW ROLES").await,
        [["public"], ["r"], ["s"]]
    );
    assert_eq!(
        rows(&mut user, "SHOW ROLE GRANT USER u").await,
        [["r", "NO", "admin"]]
    );
    fails(
        &mut user,
        "SHOW ROLE GRANT USER other_user",
        ErrorCode::PermissionDenied,
    )
    .await;
    let members = rows(&mut world.admin, "SHOW PRINCIPALS s").await;
    assert_eq!(members, [["r", "ROLE", "NO", "admin"]]);
    let privileges =
        "SELECT grantee, table_name, privilege_type FROM information_schema.table_privileges";
    // What the user could revoke.
    assert_eq!(
        rows(&mut user, privileges).await,
        [["other_user", "t", "INSERT"]]
    );
    let columns = "SELECT grantee, column_name FROM information_schema.column_privileges";
    assert_eq!(rows(&mut user, columns).await, [["r", "a"]]);
    let enabled = "SELECT role_name FROM information_schema.enabled_roles ORDER BY 1";
    assert_eq!(rows(&mut user, enabled).await, [["public"], ["r"], ["s"]]);
    run(&mut user, "SET ROLE NONE").await;
    assert_eq!(rows(&mut user, enabled).await, [["public"]]);
    let applicable = "SELECT role_name FROM information_schema.applicable_roles ORDER BY 1";
    assert_eq!(rows(&mut user, applicable).await, [["r"], ["s"]]);
}
