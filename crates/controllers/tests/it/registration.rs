//! A cluster is made known to an Argo CD on the hub, and taken back again.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_api_types::{CONFIRM_DELETE, ConditionType as Type};
use fleetwright_controllers::accounts::Accounts;
use fleetwright_controllers::hub::ensure_namespace;
use fleetwright_controllers::preview::Preview;
use fleetwright_controllers::registration::Registrations;
use fleetwright_errclass::Class;
use fleetwright_reconcile::{Cache, Controller as _, preview};
use serde_json::{Value, json};

use super::cloud::{Cloud, active};
use super::world::{ACCOUNTS, CLUSTERS, EVENTS, SECRETS, World};

/// `sha256("shop/one")` begins so.
const NAME: &str = "cluster-shop-one-cb1b5fe8";

async fn secret(world: &World, namespace: &str) -> Option<Value> {
    let found = world.hub.get(&SECRETS, Some(namespace), NAME).await?;
    Some(Value::clone(&found))
}

fn text(secret: &Value, key: &str) -> String {
    let bytes = STANDARD.decode(secret["data"][key].as_str().expect(key)).expect("base64");
    String::from_utf8(bytes).expect("text")
}

async fn finalizers(world: &World) -> Vec<String> {
    world.cluster().await.and_then(|cluster| cluster.metadata.finalizers).unwrap_or_default()
}

/// What the status says of it: `namespace/name`, and the trouble.
async fn noted(world: &World) -> Option<(String, Option<String>)> {
    let told = world.cluster().await?.status?.registration?;
    Some((format!("{}/{}", told.namespace, told.name), told.trouble))
}

/// What the account allows from now on.
async fn limit(world: &World, limits: Value) {
    let account = world.hub.get(&ACCOUNTS, None, "aws").await.expect("the account");
    let mut account = Value::clone(&account);
    account["spec"]["limits"] = limits;
    world.put(&ACCOUNTS, account).await;
}

async fn registered(policy: &str, argocd: Value) -> World {
    let world = World::new(Cloud::default()).await;
    ensure_namespace(&world.client, "argocd").await.expect("a namespace");
    let registration = json!({"deletionPolicy": policy, "registration": {"argocd": argocd}});
    world.declare_with(registration).await;
    world.edit(json!({"metadata": {"labels": {"tier": "prod", "wave": "2"}}})).await;
    world.pass(30).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_made_known_once_it_can_be_reached() {
    let world = registered("Retain", json!({"project": "shop", "copyLabels": ["tier"]})).await;
    let found = secret(&world, "argocd").await.expect("the secret");
    assert_eq!(
        found["metadata"]["labels"],
        json!({
            "argocd.argoproj.io/secret-type": "cluster",
            "app.kubernetes.io/managed-by": "fleetwright",
            "tier": "prod",
        })
    );
    assert_eq!(found["metadata"]["annotations"]["fleetwright.dev/uid"], world.uid().await);
    assert_eq!(text(&found, "name"), "shop.one");
    assert_eq!(text(&found, "server"), "https://member.invalid");
    assert_eq!(text(&found, "project"), "shop");
    let config: Value = serde_json::from_str(&text(&found, "config")).expect("JSON");
    assert_eq!(
        config,
        json!({
            "awsAuthConfig": {"clusterName": "one", "roleARN": null},
            "tlsClientConfig": {"insecure": false, "caData": "UEVN"},
        })
    );
    assert_eq!(noted(&world).await, Some((format!("argocd/{NAME}"), None)));
    assert_eq!(
        finalizers(&world).await,
        ["fleetwright.dev/infrastructure", "fleetwright.dev/registration"]
    );
    let version = (world.version().await, found["metadata"]["resourceVersion"].clone());
    world.pass(1200).await;
    let found = secret(&world, "argocd").await.expect("the secret");
    let now = (world.version().await, found["metadata"]["resourceVersion"].clone());
    assert_eq!(version, now, "an idle registration writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_followed_and_what_others_added_stays() {
    let world = registered("Retain", json!({"project": "shop", "copyLabels": ["tier"]})).await;
    let mut theirs = secret(&world, "argocd").await.expect("the secret");
    theirs["metadata"]["labels"]["team"] = "a".into();
    theirs["data"]["shard"] = "MQ==".into();
    world.put(&SECRETS, theirs).await;
    let argocd = json!({"project": null, "copyLabels": ["wave"], "awsRoleArn": "arn:aws:iam::111122223333:role/argocd"});
    world.edit(json!({"spec": {"registration": {"argocd": argocd}}})).await;
    world.pass(20).await;
    let found = secret(&world, "argocd").await.expect("the secret");
    assert_eq!(
        found["metadata"]["labels"],
        json!({
            "argocd.argoproj.io/secret-type": "cluster",
            "app.kubernetes.io/managed-by": "fleetwright",
            "wave": "2",
            "team": "a",
        })
    );
    let keys: Vec<&String> = found["data"].as_object().expect("data").keys().collect();
    assert_eq!(keys, ["config", "name", "server", "shard"]);
    assert!(text(&found, "config").contains("role/argocd"));
    world.hub.delete(&SECRETS, Some("argocd"), NAME).await.expect("deleted by hand");
    world.pass(400).await;
    assert!(secret(&world, "argocd").await.is_some(), "it comes back");
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_is_no_longer_declared_is_taken_back() {
    let world = registered("Retain", json!({})).await;
    assert!(secret(&world, "argocd").await.is_some());
    world.edit(json!({"spec": {"registration": null}})).await;
    world.pass(20).await;
    assert!(secret(&world, "argocd").await.is_none());
    assert_eq!(finalizers(&world).await, ["fleetwright.dev/infrastructure"]);
    assert_eq!(noted(&world).await, None);
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
}

#[tokio::test(start_paused = true)]
async fn a_registration_moves_to_another_namespace() {
    let world = registered("Retain", json!({})).await;
    ensure_namespace(&world.client, "gitops").await.expect("a namespace");
    limit(&world, json!({"argocdNamespaces": ["argocd", "gitops"]})).await;
    world.edit(json!({"spec": {"registration": {"argocd": {"namespace": "gitops"}}}})).await;
    world.pass(20).await;
    assert!(secret(&world, "argocd").await.is_none());
    assert!(secret(&world, "gitops").await.is_some());
    assert_eq!(noted(&world).await, Some((format!("gitops/{NAME}"), None)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_argo_cd_is_told_and_holds_up_neither_the_cluster_nor_its_end() {
    let world = World::new(Cloud::default()).await;
    limit(&world, json!({"argocdNamespaces": ["argocd", "nowhere"]})).await;
    world.declare_with(json!({"registration": {"argocd": {}}})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.told(Type::Synced).await, "False/NotRegistered");
    let message = world.message(Type::Synced).await;
    assert!(message.contains(r#"there is no namespace "argocd"; install Argo CD"#), "{message}");
    ensure_namespace(&world.client, "argocd").await.expect("a namespace");
    world.pass(700).await;
    assert!(secret(&world, "argocd").await.is_some(), "it is tried again");
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    world.edit(json!({"spec": {"registration": {"argocd": {"namespace": "nowhere"}}}})).await;
    world.pass(20).await;
    assert!(secret(&world, "argocd").await.is_none(), "the old one goes all the same");
    assert_eq!(world.told(Type::Synced).await, "False/NotRegistered");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_strangers_secret_is_left_alone_and_named() {
    let world = World::new(Cloud::default()).await;
    ensure_namespace(&world.client, "argocd").await.expect("a namespace");
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "argocd", "name": NAME},
        "data": {"server": "eA=="},
    });
    world.put(&SECRETS, theirs).await;
    world.declare_with(json!({"registration": {"argocd": {}}})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Synced).await, "False/NotRegistered");
    let message = world.message(Type::Synced).await;
    assert!(message.contains(&format!("secret argocd/{NAME} exists and is not ours")), "{message}");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert_eq!(secret(&world, "argocd").await.expect("theirs")["data"], json!({"server": "eA=="}));
}

#[tokio::test(start_paused = true)]
async fn a_label_with_a_meaning_of_its_own_is_refused_with_its_field() {
    let world = registered("Retain", json!({"copyLabels": ["tier"]})).await;
    let argocd = json!({"copyLabels": ["tier", "app.kubernetes.io/instance"]});
    world.edit(json!({"spec": {"registration": {"argocd": argocd}}})).await;
    world.pass(20).await;
    let message = world.message(Type::Synced).await;
    assert!(message.starts_with("spec.registration.argocd.copyLabels[1]: "), "{message}");
    assert!(secret(&world, "argocd").await.is_some(), "what was there stays");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
}

#[tokio::test(start_paused = true)]
async fn an_account_may_bound_the_projects() {
    let world = registered("Retain", json!({"project": "shop"})).await;
    limit(&world, json!({"argocdProjects": ["shop", "edge"]})).await;
    world.pass(20).await;
    assert_eq!(noted(&world).await, Some((format!("argocd/{NAME}"), None)));
    let field = "spec.registration.argocd.project: ";
    for (project, told) in [
        (json!("platform"), r#"ProviderConfig aws does not allow "platform", only shop, edge"#),
        (Value::Null, "is missing; ProviderConfig aws allows shop, edge"),
    ] {
        world.edit(json!({"spec": {"registration": {"argocd": {"project": project}}}})).await;
        world.pass(20).await;
        let told = format!("{field}{told}");
        assert_eq!(world.message(Type::Synced).await, told);
        assert_eq!(noted(&world).await, Some(("/".to_owned(), Some(told))), "nowhere");
        assert!(secret(&world, "argocd").await.is_none(), "taken back");
        world.edit(json!({"spec": {"registration": {"argocd": {"project": "edge"}}}})).await;
        world.pass(20).await;
        let found = secret(&world, "argocd").await.expect("the secret");
        assert_eq!(text(&found, "project"), "edge", "made known again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_takes_the_registration_with_it() {
    let world = registered("Retain", json!({})).await;
    let account = world.hub.get(&ACCOUNTS, None, "aws").await.expect("the account");
    let mut without = Value::clone(&account);
    without["spec"]["allowedNamespaces"] = json!({"names": ["elsewhere"]});
    let field = "spec.providerConfigRef.name: ";
    let not_allowed = r#""aws" does not allow namespace "shop""#;
    for (gone, told) in [
        (Some(without), not_allowed),
        (None, r#"there is no providerconfigs.fleetwright.dev "aws""#),
    ] {
        match gone {
            Some(account) => world.put(&ACCOUNTS, account).await,
            None => {
                world.hub.delete(&ACCOUNTS, None, "aws").await.expect("deleted");
            }
        }
        world.pass(20).await;
        assert!(secret(&world, "argocd").await.is_none(), "{told}");
        let (place, trouble) = noted(&world).await.expect("told");
        assert_eq!(place, "/");
        let trouble = trouble.expect("why");
        assert!(trouble.starts_with(&format!("{field}{told}")), "{trouble}");
        let mut back = Value::clone(&account);
        back["metadata"] = json!({"name": "aws"});
        world.put(&ACCOUNTS, back).await;
        world.pass(30).await;
        assert_eq!(noted(&world).await, Some((format!("argocd/{NAME}"), None)));
        assert!(secret(&world, "argocd").await.is_some(), "made known again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_the_account_does_not_name_is_neither_written_nor_read() {
    let world = World::new(Cloud::default()).await;
    for namespace in ["argocd", "kube-system"] {
        ensure_namespace(&world.client, namespace).await.expect("a namespace");
    }
    let argocd = |namespace: &str| json!({"registration": {"argocd": {"namespace": namespace}}});
    world.declare_with(argocd("kube-system")).await;
    world.pass(30).await;
    let told = r#"spec.registration.argocd.namespace: ProviderConfig aws does not allow "kube-system", only argocd"#;
    assert!(world.message(Type::Synced).await.starts_with(told));
    assert_eq!(noted(&world).await.map(|noted| noted.0).as_deref(), Some("/"));
    assert!(secret(&world, "kube-system").await.is_none());
    assert_eq!(finalizers(&world).await, ["fleetwright.dev/infrastructure"]);
    world.edit(json!({"spec": argocd("argocd")})).await;
    world.pass(20).await;
    assert!(secret(&world, "argocd").await.is_some());
    world.edit(json!({"spec": argocd("kube-system")})).await;
    world.pass(20).await;
    assert!(
        secret(&world, "argocd").await.is_none() && secret(&world, "kube-system").await.is_none()
    );
    world.edit(json!({"spec": {"registration": null}})).await;
    world.pass(20).await;
    assert_eq!(noted(&world).await, None);
    assert_eq!(finalizers(&world).await, ["fleetwright.dev/infrastructure"]);
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    world.edit(json!({"spec": argocd("kube-system")})).await;
    world.pass(20).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_goes_is_taken_back_first_and_only_once_its_end_is_confirmed() {
    let world = registered("Delete", json!({})).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(secret(&world, "argocd").await.is_some(), "nobody has confirmed yet");
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.pass(5).await;
    assert!(secret(&world, "argocd").await.is_none());
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert_eq!(world.acts().last().map(String::as_str), Some("Delete control plane"));
}

#[tokio::test(start_paused = true)]
async fn an_observed_cluster_is_made_known_too_and_a_released_one_no_longer() {
    let world = World::new(Cloud::default()).await;
    ensure_namespace(&world.client, "argocd").await.expect("a namespace");
    world.cloud.lock().expect("the sky").cluster = Some(active([].into()));
    world.declare_with(json!({"mode": "Observe", "registration": {"argocd": {}}})).await;
    world.pass(30).await;
    assert!(secret(&world, "argocd").await.is_some());
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert!(secret(&world, "argocd").await.is_none());
    assert_eq!(world.acts(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_somebody_else_keeps_is_named_and_not_deleted_over_and_over() {
    let world = registered("Retain", json!({})).await;
    let keep = async |finalizers: Value| {
        let mut kept = secret(&world, "argocd").await.expect("the secret");
        kept["metadata"]["finalizers"] = finalizers;
        world.put(&SECRETS, kept).await;
    };
    keep(json!(["example.com/mine"])).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(120).await;
    assert_eq!(world.acts().last().map(String::as_str), Some("Release control plane"));
    assert_eq!(finalizers(&world).await, ["fleetwright.dev/registration"]);
    assert_eq!(world.told(Type::Synced).await, "False/Applying");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("a finalizer that is not ours keeps it"), "{message}");
    let events = world.hub.list(&EVENTS, Some("shop")).await;
    let told = events.iter().filter(|event| event["reason"] == "Deregistered");
    let times: i64 = told.filter_map(|event| event["count"].as_i64()).sum();
    assert_eq!(times, 1);
    keep(json!([])).await;
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_preview_shows_what_would_be_written_and_what_is_wrong() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    let account = world.hub.get(&ACCOUNTS, None, "aws").await.expect("the account");
    let account = serde_json::from_value(Value::clone(&account)).expect("an account");
    let preview = Preview::new(&world.fleet, [Arc::new(account)], []);
    let declared = |argocd: Value| {
        let cluster = world.cluster();
        async move {
            let mut cluster = cluster.await.expect("the cluster");
            cluster.spec.registration =
                Some(serde_json::from_value(json!({"argocd": argocd})).expect("a registration"));
            Arc::new(cluster)
        }
    };
    let foreseen = preview.cluster(declared(json!({})).await).await;
    let plan = foreseen.plan.expect("a plan");
    let held: Vec<String> = plan.held.iter().map(|held| held.step.to_string()).collect();
    assert_eq!(
        (plan.steps.len(), held.as_slice()),
        (0, &["+ put Argo CD cluster secret".to_owned()][..])
    );
    let wrong = declared(json!({"copyLabels": ["fleetwright.dev/class"]})).await;
    let problems = preview.problems(Arc::clone(&wrong)).await.expect("read");
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["spec.registration.argocd.copyLabels[0]"]);
    assert_eq!(preview.cluster(wrong).await.problems, problems);
}

/// A leader that has just lost the lead, or a watch that lags, decides over what was true before.
#[tokio::test(start_paused = true)]
async fn what_was_taken_back_is_not_made_known_again_over_a_stale_cache() {
    let world = registered("Retain", json!({})).await;
    let stale = Arc::new(world.cluster().await.expect("the cluster"));
    world.edit(json!({"spec": {"registration": null}})).await;
    world.pass(20).await;
    let account = world.hub.get(&ACCOUNTS, None, "aws").await.expect("the account");
    let account = serde_json::from_value(Value::clone(&account)).expect("an account");
    let (client, hub) = (world.client.clone(), world.fleet.hub.clone());
    let registrations = Registrations {
        accounts: Accounts::new(client.clone(), hub, Cache::of([Arc::new(account)])),
        clouds: world.fleet.clouds.clone(),
        client,
    };
    let progress = preview(&registrations, stale).await;
    let (desired, plan) = (progress.desired.expect("parsed"), progress.plan.expect("a plan"));
    let failure = registrations.act(&desired, &plan.steps[0]).await.expect_err("refused");
    assert_eq!(failure.class, Class::Conflict, "{failure}");
    assert!(secret(&world, "argocd").await.is_none());
}
