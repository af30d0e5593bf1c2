//! What a task's session shares with the session of its statement.
//!
//! The base library starts a task's session from the defaults. Skep sends everything that differs
//! from the defaults, so that a `SET` reaches the operators on every executor.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::prelude::SessionConfig;
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use skep_protocol::proto::{self, Setting};
use skep_protocol::{QueryError, QueryId};
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// The header in which the base library hands [`TaskSession`] from the coordinator to its transport
/// and from an executor's transport to the task.
const SESSION_HEADER: HeaderName = HeaderName::from_static("x-skep-session");

/// The part of a statement's session that its tasks need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSession {
    /// The query that the task belongs to.
    pub query: QueryId,
    /// How much memory the query may use on one node, in bytes; 0 for as much as the node has.
    pub memory_limit_bytes: u64,
    /// How many streams from other nodes the plan has on one node; 0 where that is not known.
    pub node_streams: u32,
    /// DataFusion's settings that differ from the defaults, by full name.
    pub settings: Vec<(String, String)>,
}

impl TaskSession {
    /// As headers for the base library to pass on.
    ///
    /// # Errors
    /// `Internal`; base64 always makes a valid header.
    pub fn to_headers(&self) -> Result<HeaderMap, QueryError> {
        let message = proto::TaskSession {
            query_id: self.query.to_string(),
            memory_limit_bytes: self.memory_limit_bytes,
            node_streams: self.node_streams,
            settings: to_settings(&self.settings),
        };
        let text = STANDARD.encode(message.encode_to_vec());
        let value = HeaderValue::from_str(&text)
            .map_err(|error| QueryError::internal(format!("invalid session header: {error}")))?;
        Ok(HeaderMap::from_iter([(SESSION_HEADER, value)]))
    }

    /// From the headers that the base library passed on.
    ///
    /// # Errors
    /// `Internal` where they are missing or malformed.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, QueryError> {
        let malformed = || QueryError::internal("a task came without its session");
        let value = headers.get(&SESSION_HEADER).ok_or_else(malformed)?;
        let bytes = STANDARD.decode(value.as_bytes()).map_err(|_| malformed())?;
        let message = proto::TaskSession::decode(bytes.as_slice()).map_err(|_| malformed())?;
        Ok(Self {
            query: QueryId::from_str(&message.query_id).map_err(|_| malformed())?,
            memory_limit_bytes: message.memory_limit_bytes,
            node_streams: message.node_streams,
            settings: from_settings(message.settings),
        })
    }

    /// Sets the shipped settings in a task's configuration.
    ///
    /// # Errors
    /// DataFusion's, where a setting is unknown or its value is not of its type.
    pub fn apply(&self, config: &mut SessionConfig) -> Result<()> {
        for (key, value) in &self.settings {
            config.options_mut().set(key, value)?;
        }
        config.set_extension(Arc::new(self.clone()));
        Ok(())
    }

    /// The session that `context` belongs to.
    ///
    /// # Errors
    /// `Internal` where the context was not made for a query of Skep's.
    pub fn of(context: &TaskContext) -> Result<Arc<Self>, QueryError> {
        context
            .session_config()
            .get_extension::<Self>()
            .ok_or_else(|| QueryError::internal("a plan was executed outside of a query"))
    }
}

/// DataFusion's settings as they are where nobody has changed them.
static DEFAULTS: LazyLock<HashMap<String, Option<String>>> = LazyLock::new(|| {
    let entries = ConfigOptions::default().entries().into_iter();
    entries.map(|entry| (entry.key, entry.value)).collect()
});

/// The settings of DataFusion's own that differ from their defaults, by full name.
pub fn changed_settings(options: &ConfigOptions) -> Vec<(String, String)> {
    let mut changed: Vec<_> = options
        .entries()
        .into_iter()
        .filter(|entry| entry.key.starts_with("datafusion."))
        .filter(|entry| DEFAULTS.get(&entry.key) != Some(&entry.value))
        .filter_map(|entry| entry.value.map(|value| (entry.key, value)))
        .collect();
    changed.sort();
    changed
}

/// Headers as the `settings` of a `StartTask`.
pub fn headers_to_settings(headers: &HeaderMap) -> Vec<Setting> {
    headers
        .iter()
        .filter_map(|(key, value)| {
            Some(Setting {
                key: key.as_str().to_owned(),
                value: value.to_str().ok()?.to_owned(),
            })
        })
        .collect()
}

/// The headers that were sent as `settings`.
///
/// # Errors
/// `Internal` where one is not a header.
pub fn settings_to_headers(settings: Vec<Setting>) -> Result<HeaderMap, QueryError> {
    let malformed = || QueryError::internal("a task came with malformed settings");
    settings
        .into_iter()
        .map(|setting| {
            let key = HeaderName::from_str(&setting.key).map_err(|_| malformed())?;
            let value = HeaderValue::from_str(&setting.value).map_err(|_| malformed())?;
            Ok((key, value))
        })
        .collect()
}

fn to_settings(settings: &[(String, String)]) -> Vec<Setting> {
    settings
        .iter()
        .map(|(key, value)| Setting {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

fn from_settings(settings: Vec<Setting>) -> Vec<(String, String)> {
    settings
        .into_iter()
        .map(|setting| (setting.key, setting.value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::ids::QueryIdGenerator;

    #[test]
    fn a_setting_reaches_the_task() {
        let mut config = SessionConfig::new();
        config
            .options_mut()
            .set("datafusion.execution.batch_size", "77")
            .unwrap();
        config
            .options_mut()
            .set("datafusion.execution.time_zone", "+02:00")
            .unwrap();
        let query = QueryIdGenerator::new().next(chrono::Utc::now());
        let session = TaskSession {
            query,
            memory_limit_bytes: 5,
            node_streams: 7,
            settings: changed_settings(config.options()),
        };

        let settings = headers_to_settings(&session.to_headers().unwrap());
        let headers = settings_to_headers(settings).unwrap();
        let received = TaskSession::from_headers(&headers).unwrap();
        assert_eq!(received, session);

        let mut task = SessionConfig::new();
        received.apply(&mut task).unwrap();
        assert_eq!(task.options().execution.batch_size.to_string(), "77");
        let zone = &task.options().execution.time_zone;
        assert_eq!(zone.as_deref(), Some("+02:00"));
    }

    #[test]
    fn only_changes_travel() {
        assert_eq!(changed_settings(&ConfigOptions::default()), vec![]);
    }
}
