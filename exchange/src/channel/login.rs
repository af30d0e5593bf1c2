//! How an executor logs a client in: at the coordinator, which knows the users.

use super::CoordinatorConnection;
use prost::Message;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{LogInRequest, Login};
use skep_protocol::sealed::{LOGIN, TOKEN};
use skep_protocol::{ErrorCode, QueryError};

impl CoordinatorConnection {
    /// The token of a user who gave a name and a password, good at every node.
    ///
    /// # Errors
    /// What the coordinator says; `Network` where it cannot be reached, `PermissionDenied` where another
    /// than the cluster's coordinator answers.
    pub async fn log_in(&self, user: String, password: String) -> Result<String, QueryError> {
        let key = self.connections.key()?;
        let login = Login { user, password }.encode_to_vec();
        let request = LogInRequest {
            sealed_login: key.seal(LOGIN, &login)?,
        };
        let mut client = ClusterClient::new(self.connections.channel(&self.url)?);
        let reply = client.log_in(request).await;
        let reply = reply.map_err(|status| QueryError::from_status(&status))?;
        key.unseal(TOKEN, &reply.into_inner().sealed_token)
            .and_then(|token| String::from_utf8(token).ok())
            .ok_or_else(|| {
                let text = "the answer to a login is not of this cluster";
                QueryError::new(ErrorCode::PermissionDenied, text)
            })
    }
}
