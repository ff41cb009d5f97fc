//! Waiting for a state, with a limit and a word on the way.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two lines about what is missing.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What one look found.
#[derive(Debug)]
pub enum Look {
    /// It is so.
    Done,
    /// Not yet; the text says what is there instead.
    Waiting(String),
}

/// Looks until it is done. Errors of a look count as not yet: servers restart, objects come late.
///
/// # Errors
/// After `limit`, with what was seen last.
pub fn until(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Look>) -> Result<()> {
    let began = now();
    let mut told = began;
    loop {
        let seen = match look() {
            Ok(Look::Done) => return Ok(()),
            Ok(Look::Waiting(seen)) => seen,
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() >= limit {
            bail!("not within {} s: {what}; last seen: {seen}", limit.as_secs());
        }
        if told.elapsed() >= TELL_EVERY {
            told = now();
            println!("    … {} s, {what}: {seen}", began.elapsed().as_secs());
        }
        pause(PAUSE);
    }
}

#[allow(clippy::disallowed_methods, reason = "other processes are waited for, in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[allow(clippy::disallowed_methods, reason = "other processes are waited for, in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_never_comes_is_told_with_what_was_there() {
        let never = || Ok(Look::Waiting("phase Creating".to_owned()));
        let error = until("the cluster is Ready", Duration::ZERO, never).unwrap_err();
        let wanted = "not within 0 s: the cluster is Ready; last seen: phase Creating";
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn an_error_of_a_look_is_only_a_look_that_saw_nothing() {
        let mut looks = 0;
        let found = until("it comes", Duration::from_secs(5), || {
            looks += 1;
            if looks < 2 { bail!("connection refused") } else { Ok(Look::Done) }
        });
        assert!(found.is_ok() && looks == 2);
    }
}
