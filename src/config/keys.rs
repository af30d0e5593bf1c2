//! The one table of everything that can be configured. From it come the typed sections that the
//! rest of the binary reads, the TOML keys, the `SKEP_…` variables, the flags, `skep config` and
//! `docs/configuration.md`.

use super::defaults::{self, Default};
use super::kinds::{
    Address, CatalogDatabase, Choice, Color, Compare, Compression, Count, DataFormat, Directory,
    FilePath, FlightUrl, Kind, Location, LogFormat, Maybe, NodeUrl, Queries, Raw, ResultFormat,
    Roots, Scale, Secret, Size, Switch, Text, Time, Verify,
};
use super::profile::Profile;
use super::resolved::Resolved;
use super::{Command, ConfigError};
use std::collections::BTreeMap;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A table of the TOML file.
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub doc: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [Key],
}

/// Something that can be configured.
pub struct Key {
    /// Its section and name, as in `server.listen`.
    pub id: &'static str,
    /// Its name in its section.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What holds where nobody says anything.
    pub default: Default,
    /// Its flag, without dashes, and the commands that have it.
    pub flag: Option<(&'static str, &'static [Command])>,
    /// Whether values are hidden.
    pub is_secret: bool,
    /// Whether a value that cannot be read is not to be repeated.
    pub hides_input: bool,
    /// Whether its flag may be repeated.
    pub is_list: bool,
    /// Whether its flag needs no value.
    pub is_switch: bool,
    /// How values are written.
    pub syntax: fn() -> String,
    /// Checks a value and shows it as TOML.
    pub show: fn(&Raw) -> Result<Option<String>, String>,
}

impl Key {
    /// The name of its variable, as in `SKEP_SERVER_LISTEN`.
    pub fn variable(&self) -> String {
        format!("SKEP_{}", self.id.replace('.', "_").to_uppercase())
    }
}

/// Every key.
pub fn all() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])+
        [$section:ident] $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $kind:ty = $default:expr $(, --$flag:literal on [$($command:ident),+])?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug)]
            pub struct $Section {
                $($(#[doc = $doc])+ pub $key: <$kind as Kind>::Value,)+
            }
        )+

        /// Everything that is configured.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $section: $Section,)+
            /// The servers that have a name.
            pub profiles: BTreeMap<String, Profile>,
        }

        impl Config {
            /// Reads what was resolved.
            pub(super) fn from_resolved(resolved: &Resolved) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($section: $Section {
                        $($key: resolved.read::<$kind>(
                            concat!(stringify!($section), ".", stringify!($key))
                        )?,)+
                    },)+
                    profiles: BTreeMap::new(),
                })
            }
        }

        /// Every section with its keys.
        pub const SECTIONS: &[Section] = &[$(
            Section {
                name: stringify!($section),
                doc: concat!($($section_doc),+),
                keys: &[$(
                    Key {
                        id: concat!(stringify!($section), ".", stringify!($key)),
                        name: stringify!($key),
                        doc: concat!($($doc),+),
                        default: $default,
                        flag: sections!(@flag $($flag [$($command),+])?),
                        is_secret: <$kind as Kind>::IS_SECRET,
                        hides_input: <$kind as Kind>::HIDES_INPUT,
                        is_list: <$kind as Kind>::IS_LIST,
                        is_switch: <$kind as Kind>::IS_SWITCH,
                        syntax: <$kind as Kind>::syntax,
                        show: |raw| <$kind as Kind>::parse(raw).map(|value| <$kind as Kind>::show(&value)),
                    },
                )+],
            },
        )+];
    };
    (@flag) => { None };
    (@flag $flag:literal [$($command:ident),+]) => { Some(($flag, &[$(Command::$command),+])) };
}

use Default::{Computed, Fixed};

sections! {
    /// The coordinator: its doors and what it keeps.
    [server] ServerConfig {
        /// Where clients and executors connect.
        listen: Address = Computed("127.0.0.1:8090; any free port for an engine inside the shell or the benchmark", defaults::server_listen),
            --"listen" on [Standalone, Coordinator];
        /// Where the catalog and managed tables are kept, unless `server.catalog` and `server.warehouse`
        /// say otherwise. With a catalog in it, one coordinator uses it at a time.
        data_dir: Directory = Computed("$XDG_DATA_HOME/skep, or ~/.local/share/skep", defaults::data_dir),
            --"data-dir" on [Skep, Standalone, Coordinator, TpchGenerate, TpchRun, Catalog];
        /// The catalog's database: a file in `server.data_dir`, or a PostgreSQL database, which several
        /// coordinators may share. What one of them changes, the others see within a second. A password in
        /// a flag can be seen in the machine's list of processes; one in the variable or in a file cannot.
        catalog: CatalogDatabase = Fixed("sqlite"),
            --"catalog" on [Skep, Standalone, Coordinator, TpchRun, Catalog];
        /// Below which directory managed tables go whose database has no location of its own. Coordinators
        /// that share a catalog need one that all of them and all executors reach.
        warehouse: Maybe<Location> = Fixed("none"),
            --"warehouse" on [Skep, Standalone, Coordinator, TpchRun];
        /// How many executors run inside the coordinator's process.
        executors: Count<0, 64> = Computed("2; 0 for `skep coordinator`", defaults::executors),
            --"executors" on [Skep, Standalone, Coordinator, TpchRun];
        /// Below which places, besides `server.data_dir`, clients of a server may create tables. An engine
        /// inside the shell or the benchmark opens whatever its user may read.
        allow_roots: Roots = Fixed(""),
            --"allow-root" on [Standalone, Coordinator];
        /// The password of the user `admin`, who is made at the start where there is no user yet. As soon as
        /// there is a user, everybody has to log in.
        first_admin_password: Maybe<Secret> = Fixed("none");
        /// Lets whoever reaches the port run any statement. Without it, a server that listens on any address
        /// but loopback does not start before there is a user.
        insecure_let_anyone_in: Switch = Fixed("false"),
            --"insecure-let-anyone-in" on [Standalone, Coordinator];
        /// How long a login holds. A client that is connected for longer has to log in again.
        login_lifetime: Time<1000> = Fixed("24h");
        /// The server's certificate, as PEM, with those between it and its authority. With it, clients and
        /// executors have to use TLS. The file is read again when it changes. `skep tls init` makes one for trying out.
        tls_certificate: Maybe<FilePath> = Fixed("none"),
            --"tls-certificate" on [Standalone, Coordinator];
        /// The private key of the certificate, as PEM.
        tls_key: Maybe<FilePath> = Fixed("none"),
            --"tls-key" on [Standalone, Coordinator];
        /// The authorities, as PEM, one of which has to have signed the certificate that every client shows
        /// then.
        tls_client_authorities: Maybe<FilePath> = Fixed("none"),
            --"tls-client-authorities" on [Standalone, Coordinator];
        /// How long a result may wait until its client comes for it. Its query is cancelled then.
        result_wait: Time<1000> = Fixed("5min");
        /// How many connections may be open. One more is closed at once.
        max_connections: Count<1, 1_000_000> = Fixed("10000");
    }

    /// Executors, those in processes of their own and those inside a coordinator's.
    [executor] ExecutorConfig {
        /// The coordinator that `skep executor` joins.
        coordinator: NodeUrl = Fixed("flight://127.0.0.1:8090"),
            --"coordinator" on [Executor];
        /// Where the executor serves the exchange.
        listen: Address = Computed("127.0.0.1:8091; any free port for executors inside another process", defaults::executor_listen),
            --"listen" on [Executor];
        /// Under which address other processes reach this executor, where it is not the one that it
        /// listens on: behind address translation, or when it listens on 0.0.0.0.
        advertise: Maybe<NodeUrl> = Fixed("none"),
            --"advertise" on [Executor];
        /// Under which address clients reach this executor, where they read results from it (the session's
        /// setting skep.flight.direct) and other processes reach it under another one.
        client_address: Maybe<NodeUrl> = Fixed("none"),
            --"client-address" on [Executor];
        /// The certificate of an executor in a process of its own, as PEM: with it, the other nodes, and
        /// clients that read results from the executor, have to use TLS. Executors inside a coordinator's
        /// process have the server's. All nodes of a cluster have one, or none has.
        tls_certificate: Maybe<FilePath> = Fixed("none"),
            --"tls-certificate" on [Executor];
        /// The private key of the certificate, as PEM.
        tls_key: Maybe<FilePath> = Fixed("none"),
            --"tls-key" on [Executor];
        /// The authorities, as PEM, one of which has to have signed the certificate that clients show.
        tls_client_authorities: Maybe<FilePath> = Fixed("none"),
            --"tls-client-authorities" on [Executor];
        /// How many cores each executor computes with.
        cores: Count<1, 1024> = Computed("all cores, divided by the executors of the process", defaults::cores),
            --"cores" on [Skep, Standalone, Coordinator, Executor, TpchRun];
        /// How much memory the queries of each executor may use together.
        memory_limit: Size<{ 64 * MIB }> = Computed("70 % of the machine's or container's memory, divided by the executors of the process", defaults::memory_limit),
            --"memory-limit" on [Skep, Standalone, Coordinator, Executor, TpchRun];
        /// Where executors spill. Each makes a directory of its own in it and removes it when it ends.
        work_dir: Directory = Computed("$XDG_CACHE_HOME/skep/work, or ~/.cache/skep/work", defaults::work_dir),
            --"work-dir" on [Skep, Standalone, Coordinator, Executor, TpchRun];
        /// How much each executor may spill at a time.
        spill_limit: Size<0> = Fixed("100GiB"),
            --"spill-limit" on [Skep, Standalone, Coordinator, Executor, TpchRun];
    }

    /// What the processes of a cluster have in common. All of them need the same values.
    [cluster] ClusterConfig {
        /// What executors and coordinator prove to each other that they know. Without it, executors join a
        /// coordinator that listens on loopback alone, and only as the same user of the same machine.
        secret: Maybe<Secret> = Fixed("none");
        /// A file whose first line is that secret. `skep cluster init` makes one.
        secret_file: Maybe<FilePath> = Fixed("none");
        /// The authorities, as PEM, that have signed the certificates of the cluster's nodes, where they are
        /// not those in each node's own certificate file. With certificates (`server.tls_certificate`,
        /// `executor.tls_certificate`), nodes reach each other over TLS alone, and both sides show theirs.
        tls_authorities: Maybe<FilePath> = Fixed("none");
        /// How often an executor reports to the coordinator.
        heartbeat_interval: Time<10> = Fixed("1s");
        /// After how long without a report an executor counts as lost.
        heartbeat_timeout: Time<100> = Fixed("4s");
        /// How long a query waits when there is no executor.
        executor_wait: Time<0> = Fixed("10s");
    }

    /// The bounds of queries.
    [query] QueryConfig {
        /// How many queries run at a time.
        max_running: Count<1, 1000> = Fixed("16");
        /// How many more may wait for their turn.
        max_queued: Count<0, 100_000> = Fixed("200");
        /// How long a query may wait for its turn.
        queue_timeout: Time<0> = Fixed("5min");
        /// How long a statement's text may be.
        statement_bytes_max: Size<{ KIB }> = Fixed("1MiB");
        /// How long a query may run before it is cancelled.
        max_run_time: Time<1> = Fixed("4h");
        /// How long a statement waits for a client that reads nothing of its result, or sends nothing of its
        /// rows, before it is cancelled. After ten seconds of that its place among those that run goes to
        /// the next.
        client_wait: Time<1> = Fixed("1h");
        /// How much of a query's result waits on the coordinator for its client to fetch it.
        result_buffer: Size<{ MIB }> = Fixed("32MiB");
    }

    /// The catalog and the files that it owns.
    [catalog] CatalogConfig {
        /// How old a file must be before VACUUM removes it, where no version of any table needs it: longer
        /// than any statement writes.
        vacuum_safe_age: Time<0> = Fixed("24h");
        /// How often the coordinator does what VACUUM does by itself, for all tables and for what dropped
        /// ones have left; 0 for never.
        vacuum_interval: Time<0> = Fixed("6h");
    }

    /// How data moves between executors and to the coordinator.
    [exchange] ExchangeConfig {
        /// How long a consumer's right to fetch a task's output holds.
        ticket_lifetime: Time<1000> = Fixed("10min");
        /// How much of one partition may be under way between two nodes before its producer waits.
        stream_window: Size<{ 64 * KIB }> = Fixed("2MiB");
        /// How batches are compressed towards other hosts; towards the same host they never are.
        compression: Choice<Compression> = Fixed("lz4");
        /// How long connecting to a node may take.
        connect_timeout: Time<1> = Fixed("3s");
        /// After how much silence a node is asked whether it is still there.
        keep_alive_interval: Time<10> = Fixed("2s");
        /// How long its answer may take.
        keep_alive_timeout: Time<10> = Fixed("3s");
    }

    /// The shell. A section `[profile.NAME]` with any of `connect`, `user`, `password_file` and `ca_file`
    /// names another server, for `--profile NAME` and `\c NAME`.
    [shell] ShellConfig {
        /// The profile that `connect`, `user`, `password_file` and `ca_file` come from where nothing else
        /// gives them.
        profile: Maybe<Text> = Fixed("none"),
            --"profile" on [Shell];
        /// The server that `skep shell` connects to.
        connect: FlightUrl = Fixed("flight://127.0.0.1:8090"),
            --"connect" on [Shell];
        /// The name to log in with.
        user: Text = Fixed("anonymous"),
            --"user" on [Shell];
        /// The password to log in with. Where a server wants one and none is given, it is asked for.
        password: Maybe<Secret> = Fixed("none");
        /// A file whose first line is the password to log in with.
        password_file: Maybe<FilePath> = Fixed("none"),
            --"password-file" on [Shell];
        /// For `flights://`: a file with the certificates, in PEM, of the authorities to trust in place of the
        /// system's own.
        ca_file: Maybe<FilePath> = Fixed("none"),
            --"ca-file" on [Shell];
        /// How rows are shown.
        format: Choice<ResultFormat> = Fixed("auto"),
            --"format" on [Skep, Shell];
        /// Whether messages and tables have colours.
        color: Choice<Color> = Computed("`auto`; `never` where NO_COLOR is set", defaults::color);
        /// The command that long results at a terminal go through.
        pager: Maybe<Text> = Computed("$PAGER, or `less -S`", defaults::pager);
        /// The command that `\e` opens a file with.
        editor: Text = Computed("$VISUAL, $EDITOR, or `vi`", defaults::editor);
        /// A file of statements and commands that runs first at a terminal, where it exists.
        init_file: FilePath = Computed("$XDG_CONFIG_HOME/skep/init.sql, or ~/.config/skep/init.sql", defaults::init_file);
        /// Where the statements that were typed are kept.
        history_file: FilePath = Computed("$XDG_STATE_HOME/skep/history, or ~/.local/state/skep/history", defaults::history_file);
    }

    /// The TPC-H benchmark.
    [tpch] TpchConfig {
        /// A running cluster to measure, instead of one that is started for it.
        connect: Maybe<FlightUrl> = Fixed("none"),
            --"connect" on [TpchRun];
        /// How much data: 1 is about a gigabyte of text.
        scale: Scale = Fixed("1"),
            --"scale" on [TpchGenerate, TpchRun];
        /// How many files each large table has; `none` for as many as suit its size.
        parts: Maybe<Count<1, 10_000>> = Fixed("none"),
            --"parts" on [TpchGenerate, TpchRun];
        /// The format of the files.
        format: Choice<DataFormat> = Fixed("parquet"),
            --"format" on [TpchGenerate];
        /// Where the data is; it is generated there when it is missing.
        output: Location = Computed("tpch/sf<scale> in `server.data_dir`", defaults::tpch_output),
            --"output" on [TpchGenerate];
        /// Which queries to run.
        queries: Queries = Fixed("all"),
            --"queries" on [TpchRun];
        /// How often to run each.
        iterations: Count<1, 1000> = Fixed("1"),
            --"iterations" on [TpchRun];
        /// What results are compared with: `answers` are kept for scales 0.01 and 1.
        verify: Choice<Verify> = Computed("`answers` for scales 0.01 and 1, `oracle` for others", defaults::verify),
            --"verify" on [TpchRun];
        /// What times are compared with.
        compare: Maybe<Choice<Compare>> = Fixed("none"),
            --"compare" on [TpchRun];
        /// Whether to show each query's plan before running it.
        explain: Switch = Fixed("false"),
            --"explain" on [TpchRun];
        /// A file for the report as JSON.
        json: Maybe<FilePath> = Fixed("none"),
            --"json" on [TpchRun];
    }

    /// What the process says of itself, on standard error.
    [log] LogConfig {
        /// Which events: a level, or directives such as `info,skep_exchange=debug`.
        level: Text = Computed("`info` for servers, `warn` for other commands", defaults::log_level),
            --"log-level" on [Skep, Standalone, Coordinator, Executor, Shell, TpchGenerate, TpchRun, Catalog];
        /// How they look.
        format: Choice<LogFormat> = Fixed("text"),
            --"log-format" on [Skep, Standalone, Coordinator, Executor, Shell, TpchGenerate, TpchRun, Catalog];
    }
}
