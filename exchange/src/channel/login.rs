//! How an executor logs a client in, and asks whether one may still read: at the coordinator, which knows the
//! users.

use super::CoordinatorConnection;
use bytes::Bytes;
use prost::Message;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{CheckReaderRequest, LogInRequest, Login, Reader};
use skep_protocol::sealed::{LOGIN, READER, READER_MAY, TOKEN};
use skep_protocol::{ErrorCode, QueryError};

impl CoordinatorConnection {
    /// The token of a user who gave a name and a password, good at every node.
    ///
    /// # Errors
    /// What the coordinator says; `Network` where it cannot be reached, `PermissionDenied` where another
    /// than the cluster's coordinator answers.
    pub async fn log_in(&self, login: Login) -> Result<String, QueryError> {
        let key = self.connections.key()?;
        let request = LogInRequest {
            sealed_login: key.seal(LOGIN, &login.encode_to_vec())?,
        };
        let mut client = ClusterClient::new(self.connections.channel(&self.url)?);
        let reply = client.log_in(request).await;
        let reply = reply.map_err(|status| QueryError::from_status(&status))?;
        key.unseal(TOKEN, &reply.into_inner().sealed_token)
            .and_then(|token| String::from_utf8(token).ok())
            .ok_or_else(|| foreign("a login"))
    }

    /// Whether a client may read a result, now: its user is still there, and so is the query.
    ///
    /// # Errors
    /// Why it may not; `Network` where the coordinator cannot be reached, `PermissionDenied` where another than
    /// the cluster's coordinator answers.
    pub async fn check_reader(
        &self,
        user: String,
        token: String,
        query_id: String,
    ) -> Result<(), QueryError> {
        let key = self.connections.key()?;
        let nonce: [u8; 16] = *uuid::Uuid::new_v4().as_bytes();
        let reader = Reader {
            user,
            token,
            query_id,
            nonce: Bytes::copy_from_slice(&nonce),
        };
        let request = CheckReaderRequest {
            sealed_reader: key.seal(READER, &reader.encode_to_vec())?,
        };
        let mut client = ClusterClient::new(self.connections.channel(&self.url)?);
        let reply = client.check_reader(request).await;
        let reply = reply.map_err(|status| QueryError::from_status(&status))?;
        let answered = key.unseal(READER_MAY, &reply.into_inner().sealed_nonce);
        match answered.as_deref() == Some(nonce.as_slice()) {
            true => Ok(()),
            false => Err(foreign("a question about a reader")),
        }
    }
}

fn foreign(question: &str) -> QueryError {
    let text = format!("the answer to {question} is not of this cluster");
    QueryError::new(ErrorCode::PermissionDenied, text)
}
