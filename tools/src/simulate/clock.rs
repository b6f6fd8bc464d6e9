//! The real time, for how long the simulation itself may take, and for the date of a long run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now. The simulated worlds have clocks of their own.
#[expect(clippy::disallowed_methods, reason = "what is measured is the simulator, not the broker")]
pub fn now() -> Instant {
    Instant::now()
}

/// Today, as `2026-11-25`, in UTC.
#[expect(clippy::disallowed_methods, reason = "the date of a report")]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    date(since.as_secs() / 86_400)
}

/// The date of a day since 1970 (Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> String {
    // Eras of 400 years, which begin on the 1st of March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (20_782, "2026-11-25"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
