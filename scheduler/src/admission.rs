//! Which queries run now and which wait: at most so many run, at most so many wait, first come, first served.

use std::collections::VecDeque;

/// How many queries may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// How many run at the same time.
    pub running_max: usize,
    /// How many more may wait.
    pub queued_max: usize,
}

/// Names a query that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What becomes of a query that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It runs.
    Now,
    /// It waits.
    Queued(Ticket),
    /// It is refused: so many wait already.
    Refused {
        /// How many wait.
        queued: usize,
    },
}

/// Who runs and who waits.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    running: usize,
    queued: VecDeque<Ticket>,
    next: u64,
}

impl Admission {
    /// Nobody runs yet.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            running: 0,
            queued: VecDeque::new(),
            next: 0,
        }
    }

    /// A query comes in.
    pub fn arrive(&mut self) -> Admitted {
        if self.running < self.limits.running_max {
            self.running += 1;
            return Admitted::Now;
        }
        if self.queued.len() >= self.limits.queued_max {
            return Admitted::Refused {
                queued: self.queued.len(),
            };
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.queued.push_back(ticket);
        Admitted::Queued(ticket)
    }

    /// A query that ran has ended, or gives its permit back; returns the one that runs in its place.
    pub fn release(&mut self) -> Option<Ticket> {
        match self.queued.pop_front() {
            Some(next) => Some(next),
            None => {
                self.running = self.running.saturating_sub(1);
                None
            }
        }
    }

    /// A query does not wait any longer; false where it was admitted already.
    pub fn give_up(&mut self, ticket: Ticket) -> bool {
        let before = self.queued.len();
        self.queued.retain(|queued| *queued != ticket);
        self.queued.len() < before
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.queued.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(running_max: usize, queued_max: usize) -> Admission {
        Admission::new(AdmissionLimits {
            running_max,
            queued_max,
        })
    }

    #[test]
    fn first_come_first_served() {
        let mut admission = admission(1, 2);
        assert_eq!(admission.arrive(), Admitted::Now);
        let Admitted::Queued(first) = admission.arrive() else {
            panic!("it waits");
        };
        let Admitted::Queued(second) = admission.arrive() else {
            panic!("it waits");
        };
        assert_eq!(admission.arrive(), Admitted::Refused { queued: 2 });
        assert_eq!(admission.release(), Some(first));
        assert_eq!(admission.release(), Some(second));
        assert_eq!(admission.release(), None);
        assert_eq!((admission.running(), admission.queued()), (0, 0));
    }

    #[test]
    fn who_gives_up_is_not_admitted() {
        let mut admission = admission(1, 2);
        admission.arrive();
        let Admitted::Queued(first) = admission.arrive() else {
            panic!("it waits");
        };
        assert!(admission.give_up(first));
        assert_eq!(admission.release(), None);
        assert!(!admission.give_up(first));
    }
}
