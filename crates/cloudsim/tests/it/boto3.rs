//! The simulated cloud through Amazon's own Python SDK, over TLS: waiters, paginators, and every answer held against
//! the model of its service. What is called and expected is in `tests/python/drive.py`.

use std::time::Duration;

use fleetwright_cloudsim::{ACCESS_KEY_ID, MOUNT_PATH, SECRET_ACCESS_KEY};

use crate::python::Script;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_waits_pages_and_finds_every_answer_as_its_model_says() {
    let script = Script {
        name: "drive.py",
        package: "boto3",
        mount: MOUNT_PATH,
        environment: vec![
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            // No files and profiles of whoever runs this.
            ("AWS_CONFIG_FILE", "none"),
            ("AWS_SHARED_CREDENTIALS_FILE", "none"),
        ],
        // Some fifty looks at the clock.
        latency: Duration::from_secs(1),
    };
    script.runs().await;
}
