//! The table of `docs/ARCHITECTURE.md`, "Layers: who may depend on whom", as data.

use std::fmt;

use self::Layer::{Contract, Control, DataPlane, Program, Providers, Pure, Server, Tests, Words};

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layer {
    Words,
    Pure,
    Contract,
    Providers,
    Control,
    Server,
    Program,
    DataPlane,
    Tests,
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Words => "0 words",
            Self::Pure => "1 pure",
            Self::Contract => "2 contract",
            Self::Providers => "3 providers",
            Self::Control => "4 control",
            Self::Server => "5 server",
            Self::Program => "6 program",
            Self::DataPlane => "D data plane",
            Self::Tests => "T tests",
        })
    }
}

/// Where a crate stands. It may use the layers below that [`may_use`] names, and `also`.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder under `crates/`; the package is `fleetwright-<folder>`.
    pub(super) folder: &'static str,
    pub(super) layer: Layer,
    /// Single crates beyond the layer's rule; within a layer this gives the order.
    pub(super) also: &'static [&'static str],
}

const fn place(folder: &'static str, layer: Layer, also: &'static [&'static str]) -> Place {
    Place { folder, layer, also }
}

/// Every crate that may exist. A crate that is not here fails the check.
pub(super) const PLACES: &[Place] = &[
    place("api-types", Words, &[]),
    place("dataplane-types", Words, &[]),
    place("names", Words, &[]),
    place("errclass", Words, &[]),
    place("clock", Words, &[]),
    place("plan", Pure, &[]),
    // Rendering starts from what `plan` calls desired; both stay pure.
    place("render", Pure, &["plan"]),
    place("apiserver-kinds", Pure, &[]),
    place("apiserver-apply", Pure, &[]),
    place("apiserver-core", Pure, &["apiserver-apply", "apiserver-kinds"]),
    place("provider", Contract, &[]),
    place("telemetry", Contract, &[]),
    place("provider-eks", Providers, &[]),
    place("provider-aks", Providers, &[]),
    place("provider-k3s", Providers, &[]),
    place("providers", Providers, &["provider-eks", "provider-aks", "provider-k3s"]),
    place("reconcile", Control, &[]),
    place("controllers", Control, &["reconcile"]),
    place("verbs", Control, &["reconcile", "controllers"]),
    place("apiserver", Server, &["telemetry"]),
    place("cloudsim", Server, &["telemetry", "apiserver"]),
    place("fleetwright", Program, &[]),
    place("proxy", DataPlane, &["dataplane-types", "names", "errclass", "telemetry"]),
    place("gateway", DataPlane, &["dataplane-types", "names", "errclass", "telemetry"]),
    place("runtime", DataPlane, &["dataplane-types", "names", "errclass", "telemetry"]),
    place("sim", Tests, &[]),
    place("e2e", Tests, &[]),
    place("xtask", Tests, &[]),
];

/// Tests may besides use these, for a counterpart on the other side of the wire.
pub(super) const ALSO_IN_TESTS: &[&str] = &["apiserver", "cloudsim"];

/// The layers that a layer may use whole.
pub(super) fn may_use(layer: Layer) -> &'static [Layer] {
    match layer {
        Words | Pure => &[Words],
        Contract | Server => &[Words, Pure],
        Providers | Control => &[Words, Pure, Contract],
        Program => &[Words, Pure, Contract, Providers, Control, Server],
        DataPlane => &[],
        Tests => &[Words, Pure, Contract, Providers, Control, Server, Program, DataPlane],
    }
}

/// External packages that a layer must not use directly in what it builds, with the reason. A
/// final `*` stands for any ending.
pub(super) fn must_not_use(layer: Layer) -> &'static [(&'static str, &'static str)] {
    match layer {
        Words => &[
            ("kube", FACADE),
            ("kube-client", FACADE),
            ("kube-runtime", FACADE),
            ("tokio*", "words are data, without a runtime"),
            ("hyper*", "words are data, without I/O"),
            ("aws-*", "words are data, without an SDK"),
            ("azure_*", "words are data, without an SDK"),
        ],
        Pure => &[
            ("kube", FACADE),
            ("kube-client", FACADE),
            ("kube-runtime", FACADE),
            ("tokio*", ASYNC),
            ("futures*", ASYNC),
            ("async-trait", ASYNC),
            ("hyper*", "pure code does no I/O"),
            ("redb", "pure code touches no files"),
            ("tempfile", "pure code touches no files"),
            ("rand*", "pure code has no randomness; take the value as input"),
            ("uuid", "pure code has no randomness; take the value as input"),
            ("fleetwright-clock", "pure code has no clock; take the time as input"),
            ("aws-*", "pure code knows no SDK"),
            ("azure_*", "pure code knows no SDK"),
        ],
        Contract => &[
            ("kube", NO_CLIENT),
            ("kube-client", NO_CLIENT),
            ("kube-runtime", NO_CLIENT),
            ("aws-*", "the contract knows no cloud SDK"),
            ("azure_*", "the contract knows no cloud SDK"),
        ],
        Providers => {
            &[("kube", NO_CLIENT), ("kube-client", NO_CLIENT), ("kube-runtime", NO_CLIENT)]
        }
        Control => &[
            ("aws-*", "control reaches clouds through the provider contract"),
            ("azure_*", "control reaches clouds through the provider contract"),
            ("russh*", "control reaches hosts through the provider contract"),
        ],
        Server | Program | DataPlane | Tests => &[],
    }
}

const FACADE: &str = "layers 0 and 1 name kube-core and kube-derive, never the facade or a client";
const ASYNC: &str = "pure code is not async";
const NO_CLIENT: &str = "steps on a cluster's own API belong to controllers";
