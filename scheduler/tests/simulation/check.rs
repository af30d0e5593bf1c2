//! What has to hold at the end of every run.

use crate::world::{QUERY_TIME_MAX, World};
use skep_scheduler::members::MemberState;
use std::collections::BTreeSet;

/// How much later than its deadline a query may end, in milliseconds.
const SLACK: u64 = 1000;

pub fn check(world: &World) -> Result<(), String> {
    check_clients(world)?;
    check_commits(world)?;
    check_members(world)?;
    check_nothing_left(world)
}

fn all_rows(world: &World, query: usize) -> Vec<u32> {
    (0..world.statements[query].rows).collect()
}

fn check_clients(world: &World) -> Result<(), String> {
    for (query, client) in world.clients.iter().enumerate() {
        let Some(outcome) = &client.outcome else {
            return Err(format!("query {query} hangs"));
        };
        let ended_at = client.ended_at.unwrap_or(u64::MAX);
        if ended_at > client.submitted_at + QUERY_TIME_MAX + SLACK {
            return Err(format!("query {query} ended long after its deadline"));
        }
        let distinct: BTreeSet<u32> = client.rows.iter().copied().collect();
        if distinct.len() < client.rows.len() {
            return Err(format!(
                "query {query} returned rows twice: {:?}",
                client.rows
            ));
        }
        let is_complete = distinct.into_iter().collect::<Vec<_>>() == all_rows(world, query);
        if outcome.is_ok() && !world.statements[query].writes && !is_complete {
            return Err(format!("query {query} lost rows: {:?}", client.rows));
        }
    }
    Ok(())
}

fn check_commits(world: &World) -> Result<(), String> {
    for (query, client) in world.clients.iter().enumerate() {
        let commits = world
            .commits
            .iter()
            .filter(|commit| commit.query as usize == query);
        let commits: Vec<_> = commits.collect();
        if commits.len() > 1 {
            return Err(format!(
                "query {query} was committed {} times",
                commits.len()
            ));
        }
        let succeeded = client.outcome == Some(Ok(()));
        let is_known = !world.unknown.contains(&(query as u32));
        if world.statements[query].writes && is_known && succeeded == commits.is_empty() {
            return Err(format!(
                "query {query} was told {:?}, and {commits:?}",
                client.outcome
            ));
        }
        let Some(commit) = commits.first() else {
            continue;
        };
        let attempts: BTreeSet<_> = commit
            .files
            .iter()
            .map(|file| file.rsplit_once('-'))
            .collect();
        let attempts: BTreeSet<_> = attempts.into_iter().flatten().map(|(of, _)| of).collect();
        if attempts.len() > 1 {
            return Err(format!(
                "query {query} committed files of two attempts: {commit:?}"
            ));
        }
        let missing = commit
            .files
            .iter()
            .find(|file| !world.storage.contains_key(*file));
        if let Some(missing) = missing {
            return Err(format!(
                "query {query} committed '{missing}', which is gone"
            ));
        }
        let rows = commit.files.iter().flat_map(|file| &world.storage[file]);
        let mut rows: Vec<u32> = rows.copied().collect();
        rows.sort_unstable();
        if rows != all_rows(world, query) {
            return Err(format!("query {query} committed {rows:?}"));
        }
    }
    Ok(())
}

/// Everybody is up and reachable for a long time: all executors are members, each once.
fn check_members(world: &World) -> Result<(), String> {
    for (slot, executor) in world.executors.iter().enumerate() {
        if !executor.is_up {
            continue;
        }
        let id = executor.id(slot);
        let members = world.coordinator.members.iter();
        let states: Vec<_> = members
            .filter(|(_, member)| member.details == slot)
            .map(|(_, member)| (member.id.clone(), member.state))
            .collect();
        if states != [(id, MemberState::Active)] {
            return Err(format!("executor {slot} is {states:?}"));
        }
    }
    Ok(())
}

fn check_nothing_left(world: &World) -> Result<(), String> {
    for (slot, executor) in world.executors.iter().enumerate() {
        if !executor.tasks.is_empty() {
            return Err(format!(
                "executor {slot} still runs {:?}",
                executor.tasks.keys()
            ));
        }
    }
    let coordinator = &world.coordinator;
    let (running, queued) = (
        coordinator.admission.running(),
        coordinator.admission.queued(),
    );
    if running + queued + coordinator.queries.len() + coordinator.waiting.len() > 0 {
        return Err(format!("{running} permits and {queued} tickets are left"));
    }
    Ok(())
}
