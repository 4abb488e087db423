//! How fast a client may speak.

use std::time::{Duration, Instant};

/// A token bucket that holds one second's worth.
pub struct Rate {
    per_second: f64,
    tokens: f64,
    last: Option<Instant>,
}

impl Rate {
    pub fn new(per_second: u32) -> Rate {
        let per_second = f64::from(per_second.max(1));
        Rate { per_second, tokens: per_second, last: None }
    }

    /// Takes one, or says how long to wait for it.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = self.last.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_fine_and_a_flood_is_not() {
        let mut rate = Rate::new(10);
        let start = Instant::now();
        assert!((0..10).all(|_| rate.take(start).is_ok()));
        assert_eq!(rate.take(start), Err(Duration::from_millis(100)));
        assert!(rate.take(start + Duration::from_millis(150)).is_ok());
        assert!(rate.take(start + Duration::from_millis(150)).is_err());
    }
}
