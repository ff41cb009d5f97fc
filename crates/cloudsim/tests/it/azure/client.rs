//! The simulated Azure through Microsoft's own Python SDK, over TLS: its pollers, pages, conditions and exceptions. What
//! is called and expected is in `tests/python/azure_client.py`.

use std::time::Duration;

use fleetwright_cloudsim::{
    AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_MOUNT_PATH, AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID,
    SECRET_ACCESS_KEY,
};

use crate::python::Script;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_polls_pages_and_finds_every_answer_as_its_model_says() {
    let script = Script {
        name: "azure_client.py",
        package: "azure/mgmt/containerservice",
        mount: AZURE_MOUNT_PATH,
        environment: vec![
            ("AZURE_TENANT_ID", AZURE_TENANT_ID),
            ("AZURE_CLIENT_ID", AZURE_CLIENT_ID),
            ("AZURE_CLIENT_SECRET", AZURE_CLIENT_SECRET),
            ("AZURE_SUBSCRIPTION_ID", AZURE_SUBSCRIPTION_ID),
            ("SIMULATION_TOKEN", SECRET_ACCESS_KEY),
        ],
        // Less than a second, which is what one is told to wait for at least: nobody waits.
        latency: Duration::from_millis(700),
    };
    script.runs().await;
}
