//! The Kubernetes API behind a cluster: who is let in, and the nodes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_clock::Clock as _;
use http::StatusCode;
use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::fixture::{Caller, World, pass, shop};

#[tokio::test(start_paused = true)]
async fn a_good_token_sees_the_nodes_of_the_group() {
    let world = World::new().await.with_shop().await;
    let (status, list) = world.nodes_as(&world.caller.token("shop", world.clock.now())).await;
    assert_eq!(status, StatusCode::OK);
    let nodes = list["items"].as_array().expect("items");
    assert_eq!(nodes.len(), 2);
    let zones: Vec<&Value> = nodes
        .iter()
        .map(|node| &node["metadata"]["labels"]["topology.kubernetes.io/zone"])
        .collect();
    assert!(zones.contains(&&json!("eu-central-1a")) && zones.contains(&&json!("eu-central-1b")));
    let node = &nodes[0];
    assert_eq!(node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"], "general");
    assert_eq!(node["metadata"]["labels"]["team"], "shop");
    assert_eq!(node["spec"]["taints"][0], json!({ "key": "gpu", "effect": "NoSchedule" }));
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.34.1-eks-sim");
    let conditions = node["status"]["conditions"].as_array().expect("conditions");
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready").expect("Ready");
    assert_eq!(ready["status"], "True");
    let provider = node["spec"]["providerID"].as_str().expect("an id");
    assert!(provider.starts_with("aws:///eu-central-1") && provider.contains("/i-"), "{provider}");
}

#[tokio::test(start_paused = true)]
async fn the_nodes_go_with_their_group() {
    let world = World::new().await.with_shop().await;
    world.ok("DELETE", "/clusters/shop/node-groups/general", None).await;
    pass(4).await;
    world.ok("GET", "/clusters/shop", None).await;
    let (_, list) = world.nodes_as(&world.caller.token("shop", world.clock.now())).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_15_minutes() {
    let world = World::new().await.with_shop().await;
    let now = world.clock.now();
    for (age, expect) in [(14, 200), (15, 200), (16, 401), (-4, 200), (-6, 401)] {
        let token = world.caller.token("shop", now - age.minutes());
        assert_eq!(world.nodes_as(&token).await.0.as_u16(), expect, "{age} minutes old");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_others_or_for_others_are_refused() {
    let world = World::new().await.with_shop().await;
    let now = world.clock.now();
    let own = world.caller.clone();
    let with = |change: fn(&mut Caller)| {
        let mut caller = own.clone();
        change(&mut caller);
        caller.token("shop", now)
    };
    let cases = [
        ("another cluster", own.token("shop2", now)),
        ("a signature for another region", with(|caller| caller.region = "us-east-1".to_owned())),
        ("the STS of another region", with(|caller| caller.sts_region = "us-east-1".to_owned())),
        ("another secret", with(|caller| caller.secret = "guessed".to_owned())),
        ("another key", with(|caller| caller.key = "AKIASIMULATED0000001".to_owned())),
        ("a session", with(|caller| caller.session = Some("made up".to_owned()))),
        ("no token at all", "secret".to_owned()),
        ("nothing", "k8s-aws-v1.".to_owned()),
    ];
    for (what, token) in cases {
        assert_eq!(world.nodes_as(&token).await.0, StatusCode::UNAUTHORIZED, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_with_any_part_changed_is_refused() {
    let world = World::new().await.with_shop().await;
    let url = world.caller.token_url("shop", world.clock.now());
    let signature = url.split("X-Amz-Signature=").nth(1).expect("signed");
    let other = signature.chars().rev().collect::<String>();
    let changes = [
        ("https://sts.eu-central-1.amazonaws.com/", "https://sts.eu-central-1.example.com/"),
        ("https://", "http://"),
        ("GetCallerIdentity", "GetSessionToken"),
        ("X-Amz-Expires=60", "X-Amz-Expires=61"),
        ("host%3Bx-k8s-aws-id", "host"),
        ("Version=2011-06-15", "Version=2011-06-15&Extra=1"),
        ("Version=2011-06-15", "Version=2011-06-15&Version=2011-06-15"),
        (signature, &other),
        (signature, ""),
    ];
    for (from, to) in changes {
        assert!(url.contains(from), "{from} not in {url}");
        let token = format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url.replace(from, to)));
        let (status, _) = world.nodes_as(&token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{from} as {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creator_without_permissions_is_not_let_in() {
    let world = World::new().await;
    let mut cluster = shop();
    cluster["accessConfig"]["bootstrapClusterCreatorAdminPermissions"] = json!(false);
    world.ok("POST", "/clusters", Some(cluster)).await;
    pass(8).await;
    world.ok("GET", "/clusters/shop", None).await;
    let token = world.caller.token("shop", world.clock.now());
    assert_eq!(world.nodes_as(&token).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn each_of_two_clusters_lets_in_its_own_tokens_only() {
    let world = World::new().await.with_shop().await;
    let mut second = shop();
    second["name"] = json!("second");
    world.ok("POST", "/clusters", Some(second)).await;
    pass(8).await;
    world.ok("GET", "/clusters/second", None).await;
    for (cluster, token, expect) in [
        ("shop", "shop", 200),
        ("second", "second", 200),
        ("shop", "second", 401),
        ("second", "shop", 401),
    ] {
        let shown = world.caller.token(token, world.clock.now());
        let (status, _) = world.nodes_of(cluster, &shown).await;
        assert_eq!(status.as_u16(), expect, "{cluster} with the token of {token}");
    }
}
