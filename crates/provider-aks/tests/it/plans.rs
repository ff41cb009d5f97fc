//! Plan cases: a declaration, what Azure tells, and the lines of the plan between.

#[path = "plans/control_plane.rs"]
mod control_plane;
#[path = "plans/pools.rs"]
mod pools;
#[path = "plans/whose.rs"]
mod whose;

const NONE: &[&str] = &[];
/// Where the example is.
const AT: &str = "aks:westeurope/SUB/rg-retail/retail-we";
