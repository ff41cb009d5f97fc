//! The controllers against an embedded hub and a cloud that says what the test wants.

#[cfg(test)]
mod it {
    mod deletion;
    mod trouble;
    mod world;
}
