//! Telemetry as a program meets it: a collector that listens, and signals from outside.

// `cfg(test)` tells clippy that the helpers in here are tests too, so they may unwrap.
#[cfg(test)]
mod it {
    mod collector;
    mod program;
    mod traces;
}
