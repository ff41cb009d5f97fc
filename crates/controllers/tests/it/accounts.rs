//! Accounts: credentials that end, Secrets that are read anew, a ProviderConfig that is gone.

use fleetwright_api_types::ConditionType as Type;
use fleetwright_controllers::hub::ensure_namespace;
use serde_json::{Value, json};

use super::cloud::{Cloud, active};
use super::world::{ACCOUNTS, CLUSTERS, SECRETS, World};

#[tokio::test(start_paused = true)]
async fn who_we_are_in_the_cloud_is_told() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "True/Valid");
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    let account = status.observed.and_then(|observed| observed.account);
    assert_eq!(account.as_deref(), Some("111122223333"));
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_told_at_once_and_asked_again_slowly() {
    let world = World::new(Cloud::default()).await;
    world.cloud.lock().expect("the sky").credentials = Some("Expired".into());
    world.declare("Retain", &[]).await;
    world.pass(10).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "False/Expired");
    assert_eq!(world.told(Type::Synced).await, "False/Unauthorized");
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    assert_eq!(status.last_error.map(|error| error.code).as_deref(), Some("Expired"));
    let looks = world.cloud.lock().expect("the sky").looks;
    world.pass(600).await;
    let more = world.cloud.lock().expect("the sky").looks - looks;
    assert!((8..=12).contains(&more), "{more} looks in ten minutes");
    assert!(world.acts().is_empty(), "nothing is written blindly");
    world.cloud.lock().expect("the sky").credentials = None;
    world.pass(90).await;
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
}

#[tokio::test(start_paused = true)]
async fn the_accounts_secret_comes_from_our_own_namespace_and_never_into_the_status() {
    let world = World::new(Cloud::default()).await;
    world.put(&ACCOUNTS, json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
        "spec": {
            "allowedNamespaces": {"names": ["shop"]},
            "aws": {"identity": {"type": "Secret", "secretRef": {"name": "keys"}}},
        },
    })).await;
    let secret = |namespace: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": "keys"},
            "data": {"aws_access_key_id": "QUtJQQ==", "aws_secret_access_key": "aHVudGVyMg=="},
        })
    };
    // One of the same name beside the cluster is nothing to us.
    world.put(&SECRETS, secret("shop")).await;
    world.declare("Retain", &[]).await;
    world.pass(10).await;
    assert_eq!(world.cloud.lock().expect("the sky").secret, None);
    ensure_namespace(&world.client, "fleetwright-system").await.expect("a namespace");
    world.put(&SECRETS, secret("fleetwright-system")).await;
    world.annotate("touch", "1").await;
    world.pass(10).await;
    assert_eq!(
        world.cloud.lock().expect("the sky").secret.as_deref(),
        Some(&["aws_access_key_id".to_owned(), "aws_secret_access_key".to_owned()][..])
    );
    let found = world.hub.get(&CLUSTERS, Some("shop"), "one").await.expect("the cluster");
    assert!(!Value::clone(&found).to_string().contains("hunter2"));
}

/// The ProviderConfig's role was changed to one of another account: nothing is there, and that is no news.
#[tokio::test(start_paused = true)]
async fn credentials_of_another_account_neither_make_a_second_cluster_nor_lose_the_first() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    let made = world.acts().len();
    world.cloud.lock().expect("the sky").elsewhere = Some("999988887777".into());
    world.pass(900).await;
    assert_eq!(world.acts().len(), made, "{:?}", world.acts());
    assert_eq!(world.told(Type::Synced).await, "Unknown/NotSeen");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(900).await;
    assert!(world.cluster().await.is_some(), "the object stays while its cluster cannot be seen");
    world.cloud.lock().expect("the sky").elsewhere = None;
    world.pass(900).await;
    assert!(world.cluster().await.is_none(), "released, and gone");
    assert_eq!(world.acts().last().map(String::as_str), Some("Release control plane"));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_without_its_account_says_what_to_apply_again() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    world.hub.delete(&ACCOUNTS, None, "aws").await.expect("deleted");
    world.pass(5).await;
    assert_eq!(world.told(Type::Reachable).await, "Unknown/NoAccount");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(120).await;
    assert_eq!(world.told(Type::Synced).await, "False/InvalidConfiguration");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("apply it again"), "{message}");
    assert!(message.contains("fleetwright forget shop/one"), "{message}");
    world.put(&ACCOUNTS, json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
        "spec": {"allowedNamespaces": {"names": ["shop"]}, "aws": {"identity": {"type": "Environment"}}},
    })).await;
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert_eq!(world.acts().last().map(String::as_str), Some("Release control plane"));
}

#[tokio::test(start_paused = true)]
async fn an_observed_cluster_goes_without_its_account() {
    let world = World::new(Cloud::default()).await;
    world.cloud.lock().expect("the sky").cluster = Some(active([].into()));
    world.declare_with(json!({"mode": "Observe"})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    world.hub.delete(&ACCOUNTS, None, "aws").await.expect("deleted");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn credentials_that_nobody_renews_are_told_before_they_end() {
    let world = World::new(Cloud::default()).await;
    let ends = world.now() + jiff::SignedDuration::from_mins(30);
    world.cloud.lock().expect("the sky").ends = Some(ends);
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "True/Valid");
    world.pass(1170).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "True/Valid", "ten minutes are left");
    world.pass(330).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "False/ExpiringSoon");
    let message = world.message(Type::CredentialsValid).await;
    assert!(message.contains("only until 2026-01-01T00:30:00Z"), "{message}");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    world.cloud.lock().expect("the sky").ends = None;
    world.pass(330).await;
    assert_eq!(world.told(Type::CredentialsValid).await, "True/Valid", "somebody renewed them");
}
