//! A server with an administrator and a user, whose tables cases are tried on.

use arrow::record_batch::RecordBatch;
use skep_client::{Client, ClientError, ClientOptions};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::functions::FunctionSet;
use skep_tests::embedded::EmbeddedCluster;
use skep_tests::session::engine_error;

/// The password of everybody.
const PASSWORD: &str = "correct horse battery staple";

/// A server, and its administrator's session.
pub struct World {
    pub cluster: EmbeddedCluster,
    pub admin: Client,
}

impl World {
    /// With the users `u` and `other_user`, the roles `r`, `s` and `other`, of which `u` has `r` and by it `s`, and
    /// the database `own`, which is theirs and has the table `mine`.
    pub async fn new() -> Self {
        let cluster = EmbeddedCluster::start(1, FunctionSet::default()).await;
        let mut first = cluster.connect().await;
        run(
            &mut first,
            &format!("CREATE USER admin PASSWORD '{PASSWORD}' ADMIN"),
        )
        .await;
        let admin = connect(&cluster, "admin").await;
        let mut world = Self { cluster, admin };
        for user in ["u", "other_user"] {
            world
                .admin(&format!("CREATE USER {user} PASSWORD '{PASSWORD}'"))
                .await;
        }
        for sql in [
            "CREATE ROLE r",
            "CREATE ROLE s",
            "CREATE ROLE other",
            "GRANT ROLE s TO ROLE r",
            "GRANT r TO USER u",
            "CREATE DATABASE own",
            "ALTER DATABASE own SET OWNER u",
            "CREATE TABLE own.mine (a INT, b INT) PARTITIONED BY (p INT)",
            "INSERT INTO own.mine VALUES (5, 5, 5)",
        ] {
            world.admin(sql).await;
        }
        world
    }

    /// Runs a statement that must succeed as the administrator.
    pub async fn admin(&mut self, sql: &str) {
        run(&mut self.admin, sql).await;
    }

    /// A session of a user.
    pub async fn session(&self, user: &str) -> Client {
        connect(&self.cluster, user).await
    }
}

async fn connect(cluster: &EmbeddedCluster, user: &str) -> Client {
    let options = ClientOptions {
        user: user.to_owned(),
        password: Some(PASSWORD.to_owned()),
        ..ClientOptions::default()
    };
    let client = Client::connect(&cluster.url, options).await;
    client.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a statement that must succeed.
pub async fn run(client: &mut Client, sql: &str) -> Vec<RecordBatch> {
    match tried(client, sql).await {
        Ok(batches) => batches,
        Err(error) => panic!("{error}\n{sql}"),
    }
}

/// Runs a statement to its end.
pub async fn tried(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let done = async { client.execute(sql).await?.collect().await };
    done.await.map_err(|error: ClientError| engine_error(error))
}

/// Prepares a statement and runs it to its end.
pub async fn tried_prepared(
    client: &mut Client,
    sql: &str,
) -> Result<Vec<RecordBatch>, QueryError> {
    let done = async { client.execute_with(sql, &[]).await?.collect().await };
    done.await.map_err(|error: ClientError| engine_error(error))
}

/// The code of an error, or that there was none.
pub fn code<T>(result: &Result<T, QueryError>) -> Option<ErrorCode> {
    result.as_ref().err().map(|error| error.code)
}
