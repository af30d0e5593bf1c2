//! Numbers for tests that look random and are the same for the same seed.

/// Where the numbers come from: xorshift, which is good enough for choosing.
pub(crate) struct Random(u64);

impl Random {
    /// From the variable `SKEP_TEST_SEED`, or else `default`. Printed, so that a failure can be had
    /// again.
    pub(crate) fn from_environment(default: u64) -> Self {
        let seed = std::env::var("SKEP_TEST_SEED");
        let seed = seed.map_or(default, |text| text.parse().unwrap());
        println!("SKEP_TEST_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 33) % bound as u64) as usize
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
