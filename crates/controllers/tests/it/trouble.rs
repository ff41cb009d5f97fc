//! What is told, and what is left alone, when cloud, member or namespace are not as we wish.

use fleetwright_api_types::ConditionType as Type;
use fleetwright_errclass::Class;
use fleetwright_plan::{Phase, SeenCluster};
use serde_json::json;

use super::cloud::{Cloud, active};
use super::world::{SECRETS, World};

#[tokio::test(start_paused = true)]
async fn a_cluster_comes_up_and_its_policy_with_it() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &["web"]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "True/Compliant");
    assert_eq!(
        world.cloud.lock().expect("the sky").acts,
        ["Create control plane", "Create pool web"]
    );
    assert_eq!(world.network_policies().await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_fleet_writes_nothing_and_looks_seldom() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &["web"]).await;
    world.pass(60).await;
    let (version, looks) = (world.version().await, world.cloud.lock().expect("the sky").looks);
    world.pass(900).await;
    assert_eq!(world.version().await, version, "the object was written though nothing changed");
    // One look in five minutes, give or take a tenth.
    let more = world.cloud.lock().expect("the sky").looks - looks;
    assert!((2..=4).contains(&more), "{more} looks in a quarter of an hour");
}

#[tokio::test(start_paused = true)]
async fn a_strangers_cluster_is_neither_touched_nor_told_as_ours() {
    let cloud = Cloud::default();
    cloud.lock().expect("the sky").cluster =
        Some(active([("team".into(), "theirs".into())].into()));
    let world = World::new(cloud).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "False/Provisioning");
    assert_eq!(world.told(Type::Synced).await, "False/PlanRejected");
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    assert_eq!(status.observed.and_then(|observed| observed.endpoint), None);
    assert!(world.cloud.lock().expect("the sky").acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_strangers_secret_is_neither_overwritten_nor_deleted() {
    let world = World::new(Cloud::default()).await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "shop", "name": "one-kubeconfig"}, "data": {"kubeconfig": "c2VjcmV0"},
    });
    world.put(&SECRETS, theirs).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Synced).await, "False/PlanRejected");
    world.hub.delete(&super::world::CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(120).await;
    let left = world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.expect("still there");
    assert_eq!(left["data"], json!({"kubeconfig": "c2VjcmV0"}));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_the_cloud_refuses_holds_up_nothing_else() {
    let cloud = Cloud::default();
    cloud.lock().expect("the sky").refused.insert("pool a-gpu".into(), Class::Invalid);
    let world = World::new(cloud).await;
    world.declare("Retain", &["a-gpu", "web"]).await;
    world.pass(20).await;
    assert_eq!(world.told(Type::Synced).await, "False/CloudError");
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_some());
    assert!(world.cloud.lock().expect("the sky").acts.contains(&"Create pool web".to_owned()));
    assert_eq!(world.told(Type::PoliciesCompliant).await, "True/Compliant");
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_tried_again_slowly_though_its_request_id_changes() {
    let cloud = Cloud::default();
    cloud.lock().expect("the sky").refused.insert("control plane".into(), Class::Refused);
    let world = World::new(cloud).await;
    world.declare("Retain", &[]).await;
    world.pass(600).await;
    // 30 s, 60 s, 120 s, 240 s between the tries, give or take a quarter.
    let tries = world.cloud.lock().expect("the sky").acts.len();
    assert!((4..=8).contains(&tries), "{tries} tries in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_silent_for_a_moment_changes_only_synced() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    world.cloud.lock().expect("the sky").unseen = Some("no answer".into());
    world.pass(320).await;
    assert_eq!(world.told(Type::Synced).await, "Unknown/NotSeen");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    let looks = world.cloud.lock().expect("the sky").looks;
    world.pass(600).await;
    assert_eq!(world.told(Type::Ready).await, "Unknown/NotSeen", "after five minutes it is news");
    let more = world.cloud.lock().expect("the sky").looks - looks;
    assert!(more < 400, "{more} looks in ten minutes at a silent cloud");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_is_unreachable_after_the_grace_period_and_no_earlier() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    world.cloud.lock().expect("the sky").member_silent = true;
    // The next look is due a minute after the last, and takes half a minute to give up.
    world.pass(75).await;
    assert_eq!(world.told(Type::Reachable).await, "True/GracePeriod");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "True/Compliant");
    world.pass(200).await;
    assert_eq!(world.told(Type::Reachable).await, "False/ProbeFailed");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "Unknown/Unreachable");
    assert_eq!(world.told(Type::Ready).await, "False/Unreachable");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_without_a_way_in_is_not_usable_and_one_with_a_known_way_is() {
    let world = World::new(Cloud::default()).await;
    let refused = "aks:ListClusterUserCredential: Azure answered 403";
    let look = async |authority: Option<&str>, trouble: &str| {
        let mut seen = active([].into());
        seen.certificate_authority = authority.map(str::to_owned);
        trouble.clone_into(&mut seen.trouble);
        world.cloud.lock().expect("the sky").cluster = Some(seen);
        world.annotate("touch", &format!("{authority:?} {trouble}")).await;
        world.pass(70).await;
        (world.told(Type::ControlPlaneReady).await, world.told(Type::Ready).await)
    };
    let told = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    world.declare_with(json!({"mode": "Observe"})).await;
    assert_eq!(look(None, refused).await, told("False/NoWayIn", "False/NoWayIn"));
    assert_eq!(
        world.message(Type::ControlPlaneReady).await,
        format!(
            "the control plane runs, but the cloud does not give the certificate authority of its API; {refused}"
        )
    );
    assert_eq!(look(Some("PEM"), "").await, told("True/Available", "True/Available"));
    assert_eq!(world.message(Type::ControlPlaneReady).await, "the control plane is active");
    assert_eq!(look(None, refused).await, told("True/Available", "True/Available"));
    assert_eq!(
        world.message(Type::ControlPlaneReady).await,
        format!("the control plane is active; {refused}")
    );
    assert_eq!(world.told(Type::Reachable).await, "True/Answered", "what was known is true still");
}

#[tokio::test(start_paused = true)]
async fn trouble_of_a_control_plane_is_told_in_every_phase() {
    let world = World::new(Cloud::default()).await;
    world.declare_with(json!({"mode": "Observe"})).await;
    for (phase, told) in [
        (Phase::Active, "the control plane is active; it is stopped"),
        (Phase::Updating, "usable; a change is under way; it is stopped"),
        (Phase::Deleting, "the cloud is deleting it; it is stopped"),
        (Phase::Failed, "it is stopped"),
    ] {
        let seen = SeenCluster { phase, trouble: "it is stopped".into(), ..active([].into()) };
        world.cloud.lock().expect("the sky").cluster = Some(seen);
        world.annotate("touch", told).await;
        world.pass(10).await;
        assert_eq!(world.message(Type::ControlPlaneReady).await, told);
    }
}
