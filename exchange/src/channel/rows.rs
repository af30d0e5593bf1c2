//! How a task reads rows that only the coordinator has: from the door by which its executor joined.

use super::partition::{self, Messages, Source};
use super::{Connections, window_bytes};
use crate::node_name::node_name;
use crate::rows::to_flight;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use futures::stream::BoxStream;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{RowsRequest, RowsTicket};
use skep_runtime::error::to_datafusion;
use std::sync::Arc;
use tonic::Status;
use tonic::transport::Channel;
use url::Url;

/// The coordinator, as the tasks of an executor find it in their session.
#[derive(Clone, Debug)]
pub struct CoordinatorConnection {
    /// The executor's connections.
    pub connections: Connections,
    /// Where the coordinator listens.
    pub url: Url,
}

impl CoordinatorConnection {
    /// A share of the rows that `ticket` stands for, under the same rule about their end as in the
    /// exchange.
    ///
    /// # Errors
    /// `ResourcesExhausted` where the query has no memory for the window.
    pub(crate) fn read(
        &self,
        ticket: RowsTicket,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let window_bytes = window_bytes(self.connections.limits(), context);
        let channel = self
            .connections
            .channel_with_window(&self.url, window_bytes)
            .map_err(to_datafusion)?;
        let request = RowsRequest {
            ticket: Some(ticket),
            compression: self.connections.compression(&self.url).to_owned(),
        };
        let source = Source {
            io: self.connections.io().clone(),
            node: node_name(&self.url),
            window_bytes: window_bytes as usize,
        };
        partition::open(source, ask(channel, request), partition, metrics, context)
    }
}

async fn ask(channel: Channel, request: RowsRequest) -> Result<Messages, Status> {
    let mut client = ClusterClient::new(channel).max_decoding_message_size(usize::MAX);
    let messages = client.read_rows(request).await?.into_inner();
    Ok(messages.map(|message| message.map(to_flight)).boxed())
}
