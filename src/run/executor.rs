//! `skep executor`.

use super::{EXIT_OK, cluster, server, settings};
use crate::config::keys::Config;
use anyhow::bail;
use skep_executor::Executor;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long running tasks may take to end when the executor is told to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn serve(
    config: &Config,
    storage_options: BTreeMap<String, String>,
    compute: Handle,
) -> anyhow::Result<u8> {
    let coordinator = config.executor.coordinator.to_http();
    let settings = settings::executor(config, coordinator, storage_options);
    let own = &config.executor;
    let tls = server::certificate(server::TlsPaths {
        section: "executor",
        certificate: &own.tls_certificate,
        key: &own.tls_key,
        client_authorities: &own.tls_client_authorities,
        node_authorities: &config.cluster.tls_authorities,
    });
    let tls = tls.await?;
    let addresses = [&own.advertise, &own.client_address].into_iter().flatten();
    let mut addresses = addresses.chain([&own.coordinator]);
    if let Some(address) = addresses.find(|address| address.tls && tls.is_none()) {
        bail!(
            "{address} stands for TLS, and this executor has no certificate: give it \
             executor.tls_certificate and executor.tls_key"
        );
    }
    let work_dir = settings.work_dir.join(std::process::id().to_string());
    let settings = skep_executor::ExecutorConfig {
        work_dir: work_dir.clone(),
        tls,
        cluster_secret: cluster::secret(config)?,
        ..settings
    };
    let mut executor = Executor::start(settings, compute).await?;
    eprintln!(
        "skep {} executor at {} joins the coordinator at {}",
        crate::version::SKEP,
        executor.address(),
        config.executor.coordinator
    );
    let told_to_leave = executor.told_to_leave();
    let stopped = tokio::select! {
        result = executor.wait() => result.map_err(anyhow::Error::from),
        result = server::stop_signal() => result,
        () = told_to_leave => Ok(()),
    };
    // A second signal ends what is left of its tasks.
    tokio::select! {
        () = executor.shut_down(DRAIN_PATIENCE) => {}
        _ = server::stop_signal() => {}
    }
    // Best effort: an empty directory left behind harms nobody.
    drop(std::fs::remove_dir_all(&work_dir));
    stopped?;
    Ok(EXIT_OK)
}
