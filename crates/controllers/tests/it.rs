//! The controllers against an embedded hub and a cloud that says what the test wants.

#[cfg(test)]
mod it {
    mod accounts;
    mod brakes;
    mod cloud;
    mod deletion;
    mod drift;
    mod emptying;
    mod histories;
    mod members;
    mod modes;
    mod registration;
    mod trouble;
    mod world;
}
