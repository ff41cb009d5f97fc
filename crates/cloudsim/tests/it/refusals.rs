//! What EKS does not accept: signatures, values, operations.

use bytes::Bytes;
use fleetwright_clock::Clock as _;
use fleetwright_cloudsim::MOUNT_PATH;
use http::{Request, StatusCode};
use jiff::ToSpan as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{Caller, World, general, pass, shop};

#[tokio::test(start_paused = true)]
async fn requests_without_a_good_signature_are_refused_and_not_counted() {
    let world = World::new().await;
    let now = world.clock.now();
    let list = |change: fn(&mut Caller)| {
        let mut caller = Caller::default();
        change(&mut caller);
        caller.signed("GET", "/clusters", None, now)
    };
    let unsigned =
        Request::get("https://eks.simulated/clusters").body(Bytes::new()).expect("valid");
    let mut stripped = list(|_| {});
    stripped.headers_mut().remove("x-amz-date");
    let mut garbled = list(|_| {});
    let garbage = http::HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=a/b");
    garbled.headers_mut().insert("authorization", garbage);
    let cases = [
        (unsigned, "MissingAuthenticationTokenException"),
        (stripped, "IncompleteSignatureException"),
        (garbled, "IncompleteSignatureException"),
        (list(|c| c.key = "AKIAOTHER".to_owned()), "UnrecognizedClientException"),
        (list(|c| c.session = Some("made up".to_owned())), "UnrecognizedClientException"),
        (list(|c| c.secret = "guessed".to_owned()), "InvalidSignatureException"),
        (list(|c| c.service = "sts".to_owned()), "InvalidSignatureException"),
        (list(|c| c.region = "nowhere".to_owned()), "InvalidSignatureException"),
        (
            Caller::default().signed("GET", "/clusters", None, now - 6.minutes()),
            "InvalidSignatureException",
        ),
        (
            Caller::default().signed("GET", "/clusters", None, now + 6.minutes()),
            "InvalidSignatureException",
        ),
    ];
    for (request, code) in cases {
        let answer = world.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.error.as_str()), (403, code), "{}", answer.body);
    }
    assert!(world.sim.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_changed_after_signing_is_refused() {
    let world = World::new().await;
    let sign = || world.caller.signed("POST", "/clusters", Some(shop()), world.clock.now());
    let mut body = sign();
    *body.body_mut() = Bytes::from(shop().to_string().replace("shop", "mine"));
    let mut path = sign();
    *path.uri_mut() = "https://eks.simulated/clusters/".parse().expect("a URI");
    let mut query = sign();
    *query.uri_mut() = "https://eks.simulated/clusters?x=1".parse().expect("a URI");
    let mut host = sign();
    *host.uri_mut() = "https://eks.elsewhere/clusters".parse().expect("a URI");
    let mut kind = sign();
    kind.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
    for request in [body, path, query, host, kind] {
        assert_eq!(world.send(request).await.error, "InvalidSignatureException");
    }
    assert_eq!(world.send(sign()).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_prefix_is_part_of_the_signature_but_not_of_the_route() {
    let mut world = World::new().await;
    world.caller.mount = MOUNT_PATH.to_owned();
    world.ok("POST", "/clusters", Some(shop())).await;
    // Behind the API server's router, which takes the prefix off.
    let router = world.api.router("simulated-aws").mount(MOUNT_PATH, world.sim.eks());
    let request = world.caller.signed("GET", "/clusters/shop", None, world.clock.now());
    let request = request.map(http_body_util::Full::new);
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn clusters_with_bad_values_are_refused() {
    let world = World::new().await;
    let cases: &[(&str, Value, &str)] = &[
        ("/name", json!("-shop"), "The provided cluster name '-shop' must start"),
        ("/roleArn", json!("role"), "Invalid role ARN: 'role'."),
        ("/version", json!("1.29"), "unsupported Kubernetes version: 1.29"),
        (
            "/resourcesVpcConfig/subnetIds",
            json!(["subnet-0a"]),
            "Subnets specified must be in at least 2",
        ),
        (
            "/resourcesVpcConfig/subnetIds",
            json!(["subnet-0a", "x"]),
            "The subnet ID 'x' does not exist.",
        ),
        ("/tags", json!({ "aws:a": "b" }), "The tag 'aws:a' has a prefix"),
        (
            "/accessConfig/authenticationMode",
            json!("NONE"),
            "The body cannot be read, or names what is not",
        ),
    ];
    for (pointer, value, message) in cases {
        let mut cluster = shop();
        *cluster.pointer_mut(pointer).expect("a field") = value.clone();
        let answer = world.call("POST", "/clusters", Some(cluster)).await;
        let expect = format!("400 InvalidParameterException: {message}");
        assert!(answer.line().starts_with(&expect), "{}", answer.line());
    }
    let mut outpost = shop();
    outpost["outpostConfig"] = json!({ "outpostArns": [] });
    let answer = world.call("POST", "/clusters", Some(outpost)).await;
    assert!(
        answer.line().contains("not simulated: unknown field `outpostConfig`"),
        "{}",
        answer.line()
    );
    assert_eq!(world.sim.inventory().await, []);
}

#[tokio::test(start_paused = true)]
async fn node_groups_with_bad_values_are_refused() {
    let world = World::new().await;
    world.ok("POST", "/clusters", Some(shop())).await;
    pass(8).await;
    let sizes = |min: u32, desired: u32, max: u32| json!({ "minSize": min, "maxSize": max, "desiredSize": desired });
    let cases: &[(&str, Value, &str)] = &[
        (
            "nodegroupName",
            json!("a b"),
            "InvalidParameterException: The provided node group name 'a b'",
        ),
        ("scalingConfig", sizes(3, 2, 3), "InvalidParameterException: Minimum capacity 3 can't"),
        ("scalingConfig", sizes(0, 4, 3), "InvalidParameterException: desired capacity 4 can't"),
        ("scalingConfig", sizes(0, 0, 0), "InvalidParameterException: maxSize must be at least 1"),
        (
            "scalingConfig",
            sizes(0, 0, 451),
            "ResourceLimitExceededException: A node group can have",
        ),
        (
            "version",
            json!("1.35"),
            "InvalidParameterException: Requested Nodegroup version 1.35 is newer",
        ),
        (
            "instanceTypes",
            json!(["big"]),
            "InvalidParameterException: The following supplied instance",
        ),
        ("amiType", json!("LFS"), "InvalidParameterException: The AMI type LFS"),
        ("capacityType", json!("FREE"), "InvalidParameterException: The body cannot be read"),
        ("labels", json!({ "a": "b c" }), "InvalidParameterException: The label 'a=b c'"),
        ("subnets", json!([]), "InvalidParameterException: Subnets specified must be"),
    ];
    for (field, value, message) in cases {
        let mut group = general();
        group[*field] = value.clone();
        let answer = world.call("POST", "/clusters/shop/node-groups", Some(group)).await;
        assert!(answer.line().starts_with(&format!("400 {message}")), "{}", answer.line());
        assert_eq!(answer.body["clusterName"], "shop");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_that_are_not_simulated_say_so() {
    let world = World::new().await;
    let answer = world.call("GET", "/clusters/shop/capabilities", None).await;
    let expect = "400 UnsupportedOperationException: ListCapabilities is not simulated: the simulated EKS has no \
                  outposts, connectors, capabilities, identity providers and certificate authorities.";
    assert_eq!(answer.line(), expect);
    let answer = world.call("GET", "/", None).await;
    assert_eq!(answer.line(), "404 UnknownOperationException: GET / is no operation of EKS.");
}
