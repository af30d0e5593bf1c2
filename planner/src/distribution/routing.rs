//! Which executor runs which task.
//!
//! Task *i* of a stage goes to the same executor in every query as long as the cluster is the same:
//! the files that a task reads depend on its number, so executors find their footers cached. Stages of
//! one task all go to one executor per query, another for each query.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    NetworkBoundaryExt, RouteTasksEvent, RouteTasksEventResponse, RouteTasksHandler,
};
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_runtime::error::to_datafusion;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use url::Url;

/// Routes the tasks of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Router {
    seed: usize,
    executors: Vec<Url>,
}

impl Router {
    /// Routes the tasks of `query` over `executors`.
    pub(crate) fn new(query: &QueryId, mut executors: Vec<Url>) -> Self {
        executors.sort();
        let mut hasher = DefaultHasher::new();
        query.hash(&mut hasher);
        Self {
            seed: hasher.finish() as usize,
            executors,
        }
    }

    /// How many executors there are.
    pub(crate) fn executor_count(&self) -> usize {
        self.executors.len()
    }

    /// The executors of a stage's tasks, in the order of the tasks; `None` where there is no executor.
    fn route(&self, tasks: usize) -> Option<Vec<Url>> {
        let count = self.executors.len();
        if count == 0 {
            return None;
        }
        let first = match tasks < count {
            true => self.seed % count,
            false => 0,
        };
        let chosen = (0..tasks).map(|task| self.executors[(first + task) % count].clone());
        Some(chosen.collect())
    }

    /// Where a task of `plan` would run, for people.
    pub(crate) fn describe(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        stage: usize,
        task: usize,
    ) -> Option<String> {
        let mut tasks = None;
        // The walk itself never fails.
        let _ = plan.apply(|node| {
            if let Some(boundary) = node.as_network_boundary()
                && boundary.input_stage().num() == stage
            {
                tasks = Some(boundary.input_stage().task_count());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        let routed = self.route(tasks?)?;
        let url = routed.get(task)?;
        Some(format!(
            "{}:{}",
            url.host_str()?,
            url.port_or_known_default()?
        ))
    }
}

impl RouteTasksHandler for Router {
    fn handle(&self, event: RouteTasksEvent) -> Option<Result<RouteTasksEventResponse>> {
        Some(match self.route(event.task_count) {
            Some(urls) => Ok(RouteTasksEventResponse::new(urls)),
            None => Err(to_datafusion(QueryError::new(
                ErrorCode::NoExecutors,
                "there is no executor in this cluster",
            ))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::ids::QueryIdGenerator;

    fn executors(count: usize) -> Vec<Url> {
        (0..count)
            .map(|number| format!("http://h:{}", 9 - number).parse().unwrap())
            .collect()
    }

    #[test]
    fn the_same_task_goes_to_the_same_executor() {
        let ids = QueryIdGenerator::new();
        let now = chrono::Utc::now();
        let first = Router::new(&ids.next(now), executors(3)).route(3);
        let mut reversed = executors(3);
        reversed.reverse();
        let second = Router::new(&ids.next(now), reversed).route(3);
        assert_eq!(first, second);
    }

    #[test]
    fn the_tasks_of_a_stage_are_spread() {
        let router = Router::new(
            &QueryIdGenerator::new().next(chrono::Utc::now()),
            executors(3),
        );
        for tasks in 1..=7 {
            let routed = router.route(tasks).unwrap();
            assert_eq!(routed.len(), tasks);
            let distinct: std::collections::HashSet<_> = routed.iter().collect();
            assert_eq!(distinct.len(), tasks.min(3));
        }
    }

    #[test]
    fn single_tasks_of_many_queries_use_all_executors() {
        let ids = QueryIdGenerator::new();
        let used: std::collections::HashSet<_> = (0..100)
            .filter_map(|_| Router::new(&ids.next(chrono::Utc::now()), executors(3)).route(1))
            .collect();
        assert_eq!(used.len(), 3);
    }

    #[test]
    fn without_executors_there_is_no_route() {
        let router = Router::new(&QueryIdGenerator::new().next(chrono::Utc::now()), vec![]);
        assert_eq!(router.route(1), None);
    }
}
