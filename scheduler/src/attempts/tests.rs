//! Tests of the attempts of a query.

use super::*;

const LIVES: &dyn Fn(&str) -> bool = &|_| false;
const GONE: &dyn Fn(&str) -> bool = &|_| true;

fn lost(node: &str) -> QueryError {
    QueryError::new(ErrorCode::ExecutorLost, "lost an executor").on_node(node)
}

struct Query {
    attempts: Attempts,
    now: Instant,
}

impl Query {
    fn start(attempts_max: u32) -> Self {
        let limits = AttemptLimits {
            attempts_max,
            ..AttemptLimits::default()
        };
        let now = Instant::now();
        Self {
            attempts: Attempts::start(limits, Some(now + Duration::from_secs(60)), now),
            now,
        }
    }

    fn fail(&mut self, error: QueryError, executor: &str) -> Action {
        let attempt = self.attempts.current();
        let event = Event::Failed {
            attempt,
            error,
            executor: Some(executor.to_owned()),
        };
        let action = self.attempts.apply(event, self.now);
        if let Action::Pause { until } = action {
            self.now = until;
        }
        action
    }

    fn resume(&mut self, is_gone: &dyn Fn(&str) -> bool) -> Action {
        self.attempts.apply(Event::PauseOver { is_gone }, self.now)
    }
}

fn failure(action: Action) -> QueryError {
    match action {
        Action::Fail(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_executor_is_left_out_of_the_next_attempt() {
    let mut query = Query::start(4);
    let started = query.now;
    let paused = query.fail(lost("h:1"), "a");
    assert_eq!(
        paused,
        Action::Pause {
            until: started + Duration::from_millis(100)
        }
    );
    let expected = Action::Start {
        attempt: 2,
        avoid: ["a".to_owned()].into(),
    };
    assert_eq!(query.resume(GONE), expected);
    let remark = query.attempts.records()[0].remark();
    assert_eq!(
        remark.unwrap(),
        "executor h:1 was lost, the query was started again"
    );
    let done = query
        .attempts
        .apply(Event::Succeeded { attempt: 2 }, query.now);
    assert_eq!(done, Action::Go);
    assert!(query.attempts.is_ended());
}

#[test]
fn pauses_grow_and_attempts_are_bounded() {
    let mut query = Query::start(4);
    let mut pauses = Vec::new();
    for executor in ["a", "b", "c"] {
        let before = query.now;
        query.fail(lost("h:1"), executor);
        pauses.push((query.now - before).as_millis());
        assert!(matches!(query.resume(LIVES), Action::Start { .. }));
    }
    assert_eq!(pauses, [100, 400, 1600]);
    let error = failure(query.fail(lost("h:1"), "d"));
    assert!(error.message.contains("attempt 4"), "{error}");
}

#[test]
fn a_query_that_has_lost_two_executors_is_not_tried_a_third_time() {
    let mut query = Query::start(4);
    query.fail(lost("h:1"), "a");
    assert!(matches!(query.resume(GONE), Action::Start { .. }));
    query.fail(lost("h:2"), "b");
    let error = failure(query.resume(GONE));
    assert_eq!(error.code, ErrorCode::ExecutorLost);
    assert!(!error.retryable);
    for part in ["lost 2 executors", "h:1, h:2", "not started again"] {
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn an_executor_whose_loss_is_known_late_counts() {
    let mut query = Query::start(4);
    query.fail(lost("h:1"), "a");
    assert!(matches!(query.resume(LIVES), Action::Start { .. }));
    query.fail(lost("h:2"), "b");
    failure(query.resume(GONE));
}

#[test]
fn what_has_left_cannot_be_taken_back() {
    let mut query = Query::start(4);
    let released = query
        .attempts
        .apply(Event::Released { attempt: 1 }, query.now);
    assert_eq!(released, Action::Go);
    let error = failure(query.fail(lost("h:1"), "a"));
    assert!(error.message.contains("skep.result_holdback"), "{error}");
}

#[test]
fn late_messages_of_an_old_attempt_have_no_effect() {
    let mut query = Query::start(4);
    query.fail(lost("h:1"), "a");
    query.resume(GONE);
    let now = query.now;
    let late = [
        Event::Succeeded { attempt: 1 },
        Event::Released { attempt: 1 },
        Event::Failed {
            attempt: 1,
            error: lost("h:9"),
            executor: None,
        },
        Event::PauseOver { is_gone: GONE },
    ];
    for event in late {
        assert_eq!(query.attempts.apply(event, now), Action::Ignore);
    }
    assert_eq!(query.attempts.current(), 2);
    assert!(!query.attempts.is_ended());
}

#[test]
fn the_querys_own_errors_are_told_as_they_are() {
    let mut query = Query::start(4);
    let error = QueryError::new(ErrorCode::Evaluation, "division by zero");
    assert_eq!(failure(query.fail(error.clone(), "a")), error);
    assert_eq!(query.attempts.records()[0].remark(), None);
}

#[test]
fn with_one_attempt_every_error_is_told_as_it_is() {
    let mut query = Query::start(1);
    assert_eq!(failure(query.fail(lost("h:1"), "a")), lost("h:1"));
}

#[test]
fn no_attempt_starts_after_the_deadline() {
    let mut query = Query::start(4);
    query.now += Duration::from_millis(59_950);
    let error = failure(query.fail(lost("h:1"), "a"));
    assert!(error.message.contains("no time left"), "{error}");
}

#[test]
fn full_disks_and_broken_stores_are_tried_once_more() {
    for code in [ErrorCode::OutOfDisk, ErrorCode::Storage] {
        let mut query = Query::start(4);
        query.fail(QueryError::new(code, "broken"), "a");
        assert!(matches!(query.resume(LIVES), Action::Start { .. }));
        failure(query.fail(QueryError::new(code, "broken"), "b"));
    }
}

#[test]
fn a_query_can_be_stopped_in_every_state() {
    let stop = || Event::Stopped(QueryError::new(ErrorCode::Canceled, "killed"));
    let mut running = Query::start(4);
    failure(running.attempts.apply(stop(), running.now));
    let mut pausing = Query::start(4);
    pausing.fail(lost("h:1"), "a");
    failure(pausing.attempts.apply(stop(), pausing.now));
    assert_eq!(pausing.resume(GONE), Action::Ignore);
}

#[test]
fn executors_are_left_out_as_long_as_others_are_left() {
    let all = || ["a", "b", "c"];
    let none = |_: &&str| false;
    assert_eq!(choose(all(), |id| *id == "a", none), ["b", "c"]);
    assert_eq!(choose(all(), none, |id| *id != "a"), ["a"]);
    // One that has failed this query is worse than one on which others failed.
    assert_eq!(choose(["a", "b"], |id| *id == "a", |id| *id == "b"), ["b"]);
    assert_eq!(choose(["a"], |_| true, none), ["a"]);
    assert_eq!(choose([""; 0], none, none), [""; 0]);
}
