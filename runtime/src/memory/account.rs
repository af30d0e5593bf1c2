//! A bounded amount of memory that is shared fairly between those who can spill.
//!
//! Who cannot spill gets what is free. Who can spill gets what is free too while half of the whole is;
//! after that no more than an equal share of three quarters. Without the share, a sort that has just
//! begun to spill, and needs a little memory to do so, would find that its neighbours have taken what
//! it gave back; and without the last quarter, a merge that starts late would find nothing.
//!
//! The share is that of DataFusion's `FairSpillPool`; there it binds even while most of the memory is
//! free, so that a plan with many operators would spill for nothing.
//!
//! Decision: A sort that begins to spill needs a little memory, and so does a merge that starts late: above half of
//! a limit, who can spill gets an equal share of three quarters of it.

use parking_lot::Mutex;

/// Up to which part of the whole, in percent, those who can spill take what they like.
const UNSHARED_PERCENT: usize = 50;

/// Which part of the whole, in percent, they share after that.
const SHARED_PERCENT: usize = 75;

/// How much of a bounded amount is in use, and by whom.
#[derive(Debug)]
pub(super) struct Account {
    limit_bytes: usize,
    usage: Mutex<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    used_bytes: usize,
    peak_bytes: usize,
    spillable_bytes: usize,
    /// How many consumers that can spill there are.
    spillable_consumers: usize,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// How much it has already.
    pub(super) held_bytes: usize,
    /// How much more it wants.
    pub(super) additional_bytes: usize,
    /// Whether it could do with less.
    pub(super) can_spill: bool,
}

impl Account {
    /// Nothing is in use of `limit_bytes`; 0 for no limit.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            usage: Mutex::new(Usage::default()),
        }
    }

    /// How many bytes may be in use; 0 for no limit.
    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// How many bytes are in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.usage.lock().used_bytes
    }

    /// The most bytes that were in use at one time.
    pub(super) fn peak_bytes(&self) -> usize {
        self.usage.lock().peak_bytes
    }

    /// One more consumer that can spill.
    pub(super) fn add_spillable(&self) {
        self.usage.lock().spillable_consumers += 1;
    }

    /// One fewer.
    pub(super) fn remove_spillable(&self) {
        let mut usage = self.usage.lock();
        usage.spillable_consumers = usage.spillable_consumers.saturating_sub(1);
    }

    /// Takes what is asked for, or says how much is in use.
    pub(super) fn try_take(&self, request: Request) -> Result<(), usize> {
        let mut usage = self.usage.lock();
        if self.limit_bytes > 0 && !usage.allows(self.limit_bytes, request) {
            return Err(usage.used_bytes);
        }
        usage.take(request);
        Ok(())
    }

    /// Takes what is asked for, whether or not it is there.
    pub(super) fn take(&self, request: Request) {
        self.usage.lock().take(request);
    }

    /// Gives `bytes` back.
    pub(super) fn give_back(&self, bytes: usize, can_spill: bool) {
        let mut usage = self.usage.lock();
        usage.used_bytes = usage.used_bytes.saturating_sub(bytes);
        if can_spill {
            usage.spillable_bytes = usage.spillable_bytes.saturating_sub(bytes);
        }
    }
}

impl Usage {
    fn allows(&self, limit_bytes: usize, request: Request) -> bool {
        let used_after = self.used_bytes.saturating_add(request.additional_bytes);
        if used_after > limit_bytes {
            return false;
        }
        let unshared = limit_bytes / 100 * UNSHARED_PERCENT;
        if !request.can_spill || used_after <= unshared {
            return true;
        }
        let unspillable = self.used_bytes.saturating_sub(self.spillable_bytes);
        let shared = limit_bytes / 100 * SHARED_PERCENT;
        let shared = shared.min(limit_bytes.saturating_sub(unspillable));
        let share = shared / self.spillable_consumers.max(1);
        request.held_bytes.saturating_add(request.additional_bytes) <= share
    }

    fn take(&mut self, request: Request) {
        self.used_bytes = self.used_bytes.saturating_add(request.additional_bytes);
        self.peak_bytes = self.peak_bytes.max(self.used_bytes);
        if request.can_spill {
            self.spillable_bytes = self
                .spillable_bytes
                .saturating_add(request.additional_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(held_bytes: usize, additional_bytes: usize, can_spill: bool) -> Request {
        Request {
            held_bytes,
            additional_bytes,
            can_spill,
        }
    }

    #[test]
    fn without_a_limit_everything_is_granted_and_counted() {
        let account = Account::new(0);
        account.try_take(request(0, usize::MAX / 2, false)).unwrap();
        account.give_back(usize::MAX / 2, false);
        assert_eq!(
            (account.used_bytes(), account.peak_bytes()),
            (0, usize::MAX / 2)
        );
    }

    #[test]
    fn nobody_gets_more_than_there_is() {
        let account = Account::new(1000);
        account.try_take(request(0, 900, false)).unwrap();
        assert_eq!(account.try_take(request(900, 101, false)), Err(900));
        account.try_take(request(900, 100, false)).unwrap();
    }

    #[test]
    fn one_of_many_that_can_spill_may_use_what_the_others_leave() {
        let account = Account::new(1000);
        (0..10).for_each(|_| account.add_spillable());
        account.try_take(request(0, 500, true)).unwrap();
        assert_eq!(account.try_take(request(500, 100, true)), Err(500));
        // Another one is below its share.
        account.try_take(request(0, 70, true)).unwrap();
    }

    #[test]
    fn what_one_gives_back_to_spill_is_not_taken_by_its_neighbour() {
        let account = Account::new(1000);
        (0..2).for_each(|_| account.add_spillable());
        account.try_take(request(0, 375, true)).unwrap();
        account.try_take(request(0, 375, true)).unwrap();
        account.give_back(185, true);
        assert_eq!(account.try_take(request(375, 1, true)), Err(565));
        // The merge of the one that spills cannot spill itself, and finds what was given back.
        account.try_take(request(0, 250, false)).unwrap();
    }

    #[test]
    fn a_merge_that_starts_late_finds_something() {
        let account = Account::new(1000);
        account.add_spillable();
        assert!(account.try_take(request(0, 751, true)).is_err());
        account.try_take(request(0, 750, true)).unwrap();
        account.try_take(request(0, 250, false)).unwrap();
    }

    #[test]
    fn a_consumer_that_is_gone_leaves_its_share_to_the_others() {
        let account = Account::new(1000);
        (0..2).for_each(|_| account.add_spillable());
        assert!(account.try_take(request(0, 700, true)).is_err());
        account.remove_spillable();
        account.try_take(request(0, 700, true)).unwrap();
    }
}
