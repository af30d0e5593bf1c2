//! Which servers there are and how to get to one.

use super::{Flow, Place, Shell};
use crate::options::{DemoData, EXIT_CONNECTION, ServerOptions, ShellOptions};
use crate::password;
use crate::session::{Connector, FlightConnector};
use skep_client::ClientError;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The servers that are known by name.
pub(crate) struct Servers {
    first: ServerOptions,
    profiles: BTreeMap<String, ServerOptions>,
    /// Who makes the data of `\demo`.
    pub demo: Option<Arc<dyn DemoData>>,
}

impl Servers {
    pub(crate) fn new(options: &ShellOptions) -> Self {
        Self {
            first: options.server.clone(),
            profiles: options.profiles.clone(),
            demo: options.demo.clone(),
        }
    }

    /// What the prompt calls the server at that address.
    pub(crate) fn short_name<'a>(&'a self, address: &'a str) -> &'a str {
        let own = (self.first.url == address).then_some(self.first.short_name.as_deref());
        let host = address.split_once("://").map_or(address, |(_, host)| host);
        own.flatten().unwrap_or(host)
    }

    /// The server that the user means: a profile's name, or an address, for which the user and the
    /// limits are those of the first server, and no password, which is nobody else's business.
    fn named(&self, target: &str) -> Result<ServerOptions, String> {
        if let Some(profile) = self.profiles.get(target) {
            return Ok(profile.clone());
        }
        if !target.contains("://") {
            let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            let known = match names.is_empty() {
                true => "there are none in the configuration file".to_owned(),
                false => format!("there are {}", names.join(", ")),
            };
            return Err(format!(
                "no profile is called '{target}' ({known}), and an address looks like flight://host:port"
            ));
        }
        let mut client = self.first.client.clone();
        if self.first.url != target {
            client.password = None;
        }
        Ok(ServerOptions {
            url: target.to_owned(),
            client,
            name: None,
            short_name: None,
        })
    }
}

/// A way to open sessions with a server.
pub(crate) fn server_connector(server: &ServerOptions) -> Box<dyn Connector> {
    Box::new(FlightConnector::new(
        server.url.clone(),
        server.client.clone(),
    ))
}

/// Whether the server wants a password that nobody has given yet.
pub(crate) fn wants_password(error: &ClientError, server: &ServerOptions) -> bool {
    let is_login = matches!(
        error,
        ClientError::Login(QueryError {
            code: ErrorCode::Unauthenticated,
            ..
        })
    );
    is_login && server.client.password.is_none()
}

/// Why the first session could not be opened.
pub(crate) enum NotOpen {
    /// The server is not there, or does not want us.
    Failed(ClientError),
    /// Ctrl-C.
    Cancelled,
}

impl Shell {
    /// Opens the first session; asks for the password where the server wants one and somebody is there
    /// to be asked.
    pub(crate) async fn open(&mut self) -> Result<(), NotOpen> {
        let opened = match self.runner.connect().await {
            Err(error) if wants_password(&error, &self.servers.first) => {
                let mut server = self.servers.first.clone();
                let opened = self.log_in(&mut server, error).await;
                self.servers.first = server;
                opened
            }
            other => other,
        };
        match opened {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotOpen::Cancelled),
            Err(error) => Err(NotOpen::Failed(error)),
        }
    }

    /// Asks for the password that the server wants and tries again; false after Ctrl-C. Where nobody
    /// answers, `error` says what is wrong.
    async fn log_in(
        &mut self,
        server: &mut ServerOptions,
        error: ClientError,
    ) -> Result<bool, ClientError> {
        let interrupts = &mut self.runner.interrupts;
        match password::ask(&server.client.user, interrupts).await {
            password::Answer::Nothing => Err(error),
            password::Answer::Cancelled => Ok(false),
            password::Answer::Password(password) => {
                server.client.password = Some(password);
                self.runner.switch(server_connector(server)).await
            }
        }
    }

    pub(super) async fn connect_to(&mut self, target: Option<&str>, place: Place<'_>) -> Flow {
        let Some(target) = target else {
            let connector = self.runner.connector();
            let text = format!(
                "connected to {} as {}, database {}\n",
                connector.address(),
                connector.user(),
                self.runner.database()
            );
            return self.print(&text).await;
        };
        let mut server = match self.servers.named(target) {
            Ok(server) => server,
            Err(message) => return self.fail(&message, place).await,
        };
        let mut switched = self.runner.switch(server_connector(&server)).await;
        switched = match switched {
            Err(error) if self.is_interactive && wants_password(&error, &server) => {
                self.log_in(&mut server, error).await
            }
            other => other,
        };
        match switched {
            Ok(false) => {
                let still = self.runner.connector().address().to_owned();
                self.tell(&format!("cancelled: still connected to {still}\n"))
                    .await;
                Flow::Cancelled
            }
            Ok(true) => {
                let name = server.name.as_deref().unwrap_or(&server.url);
                self.tell(&format!("connected to {name}\n")).await;
                Flow::On
            }
            Err(error) => {
                let still = self.runner.connector().address().to_owned();
                self.fail(&format!("{error}\n  still connected to {still}"), place)
                    .await;
                Flow::Failed(EXIT_CONNECTION)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        let mut options = ShellOptions {
            server: ServerOptions {
                url: "flight://127.0.0.1:4242".to_owned(),
                short_name: Some("embedded".to_owned()),
                ..ServerOptions::default()
            },
            ..ShellOptions::default()
        };
        options.server.client.password = Some("secret".to_owned());
        let prod = ServerOptions {
            url: "flights://db.example:8090".to_owned(),
            ..ServerOptions::default()
        };
        options.profiles.insert("prod".to_owned(), prod);
        Servers::new(&options)
    }

    #[test]
    fn profiles_and_addresses_are_told_apart() {
        let servers = servers();
        let prod = servers.named("prod").unwrap();
        assert_eq!(prod.url, "flights://db.example:8090");
        let other = servers.named("flight://other:1").unwrap();
        assert_eq!(other.client.password, None, "a password is for one server");
        let message = servers.named("prdo").unwrap_err();
        assert!(
            message.contains("prod") && message.contains("flight://"),
            "{message}"
        );
    }

    #[test]
    fn prompts_name_the_server_in_short() {
        let servers = servers();
        assert_eq!(servers.short_name("flight://127.0.0.1:4242"), "embedded");
        assert_eq!(servers.short_name("flights://db:1"), "db:1");
    }
}
