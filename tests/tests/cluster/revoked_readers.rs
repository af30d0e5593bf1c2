//! Clients that read results from executors: one whose user is gone reads no more there either.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightEndpoint, Ticket};
use prost::Message;
use skep_client::Client;
use skep_protocol::{ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::raw;
use skep_tests::session::rows;
use tonic::Request;
use tonic::transport::Channel;

/// A client that knows no more than Flight.
struct Reader {
    coordinator: FlightServiceClient<Channel>,
    authorization: String,
}

impl Reader {
    async fn log_in(cluster: &Cluster, user: &str, password: &str) -> Self {
        let channel = raw::connect(cluster.authority()).await;
        let mut coordinator = FlightServiceClient::new(channel);
        let login = arrow_flight::BasicAuth {
            username: user.to_owned(),
            password: password.to_owned(),
        };
        let message = arrow_flight::HandshakeRequest {
            protocol_version: 0,
            payload: login.encode_to_vec().into(),
        };
        let answer = coordinator
            .handshake(futures::stream::iter([message]))
            .await;
        let token = answer
            .expect("a login")
            .metadata()
            .get("authorization")
            .cloned();
        Self {
            coordinator,
            authorization: token.expect("a token").to_str().expect("text").to_owned(),
        }
    }

    fn call<T>(&self, message: T) -> Request<T> {
        let mut call = Request::new(message);
        let token = self.authorization.parse().expect("a header");
        call.metadata_mut().insert("authorization", token);
        call
    }

    async fn endpoints(&mut self, sql: &str) -> Vec<FlightEndpoint> {
        let command = CommandStatementQuery {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let command = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let call = self.call(command);
        let info = self
            .coordinator
            .get_flight_info(call)
            .await
            .expect("a result");
        info.into_inner().endpoint
    }

    async fn set_direct(&mut self) {
        for endpoint in self.endpoints("SET skep.flight.direct = true").await {
            let call = self.call(endpoint.ticket.expect("a ticket"));
            self.coordinator.do_get(call).await.expect("set");
        }
    }

    /// Reads a share where it is, and counts its messages.
    async fn read(&self, location: &str, ticket: Ticket) -> Result<usize, QueryError> {
        let authority = location.rsplit('/').next().expect("an address");
        let mut client = FlightServiceClient::new(raw::connect(authority).await);
        let answer = client.do_get(self.call(ticket)).await;
        let mut messages = answer
            .map_err(|status| QueryError::from_status(&status))?
            .into_inner();
        let mut count = 0;
        while let Some(_message) = messages
            .message()
            .await
            .map_err(|status| QueryError::from_status(&status))?
        {
            count += 1;
        }
        Ok(count)
    }
}

/// The shares of a result that are read from executors.
fn shares(cluster: &Cluster, endpoints: Vec<FlightEndpoint>) -> Vec<(String, Ticket)> {
    let shares: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| {
            let location = endpoint.location.first().expect("a location").uri.clone();
            (location, endpoint.ticket.expect("a ticket"))
        })
        .collect();
    let of_coordinator = |location: &str| location.ends_with(cluster.authority());
    assert!(shares.iter().all(|(location, _)| !of_coordinator(location)));
    shares
}

async fn admin_of(cluster: &Cluster, table: &dataset::TableFiles) -> Client {
    let mut admin = cluster.connect().await;
    rows(&mut admin, &table.create_statement()).await;
    rows(&mut admin, "CREATE USER ada PASSWORD 'geheim'").await;
    rows(&mut admin, "CREATE USER bob PASSWORD 'geheim'").await;
    for user in ["ada", "bob"] {
        let grant = format!("GRANT SELECT ON TABLE numbers TO {user}");
        rows(&mut admin, &grant).await;
    }
    admin
}

#[tokio::test]
async fn a_user_who_is_gone_or_another_one_reads_nothing_from_executors() {
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    let setup = Setup::executors(2)
        .with_admin("geheim")
        .with_root(data.path());
    let cluster = Cluster::start(setup).await;
    let mut admin = admin_of(&cluster, &tables[0]).await;
    let sql = "SELECT * FROM numbers";

    let mut ada = Reader::log_in(&cluster, "ada", "geheim").await;
    ada.set_direct().await;
    let mut read = 0;
    for (location, ticket) in shares(&cluster, ada.endpoints(sql).await) {
        read += ada.read(&location, ticket).await.expect("her own result");
    }
    assert!(read > 0);

    let bob = Reader::log_in(&cluster, "bob", "geheim").await;
    let left = shares(&cluster, ada.endpoints(sql).await);
    let (location, ticket) = left[0].clone();
    let refused = bob
        .read(&location, ticket)
        .await
        .expect_err("another's result");
    assert_eq!(refused.code, ErrorCode::PermissionDenied, "{refused}");

    rows(&mut admin, "DROP USER ada").await;
    let (location, ticket) = left[0].clone();
    let refused = ada
        .read(&location, ticket)
        .await
        .expect_err("a user who is gone");
    assert_eq!(refused.code, ErrorCode::Unauthenticated, "{refused}");
}
