//! STS: who calls, roles that are taken on, and how far they reach.

use fleetwright_clock::Clock as _;
use fleetwright_cloudsim::{Fault, FaultKind};
use serde_json::json;

use crate::fixture::{Caller, World, pass};

const ROLE: &str = "arn:aws:iam::111122223333:role/ops";
const ASSUME: &str = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=night&DurationSeconds=900\
     &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fops";

/// What stands in the first element of that name.
fn within<'a>(xml: &'a str, name: &str) -> &'a str {
    let after = xml.split(&format!("<{name}>")).nth(1).unwrap_or_default();
    after.split(&format!("</{name}>")).next().unwrap_or_default()
}

/// A caller in the role, as STS lets in.
async fn as_ops(world: &World) -> Caller {
    let (status, xml) = world.sts(ASSUME).await;
    assert_eq!(status.as_u16(), 200, "{xml}");
    let part = |name| within(&xml, name).to_owned();
    Caller {
        key: part("AccessKeyId"),
        secret: part("SecretAccessKey"),
        session: Some(part("SessionToken")),
        ..Caller::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_calls_until_it_expires_also_over_a_restart() {
    let world = World::new().await;
    let caller = as_ops(&world).await;
    let mut world = world.restart().await;
    let base = std::mem::replace(&mut world.caller, caller.clone());
    assert_eq!(world.ok("GET", "/clusters", None).await, json!({ "clusters": [] }));
    let (_, xml) = world.sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(within(&xml, "Arn"), "arn:aws:sts::111122223333:assumed-role/ops/night");
    assert_eq!(within(&xml, "Account"), "111122223333");
    world.caller.secret = base.secret.clone();
    let said = world.said("GET", "/clusters", None).await;
    assert!(said.starts_with("403 InvalidSignatureException"), "{said}");
    world.caller = caller;
    pass(901).await;
    let expired =
        "403 ExpiredTokenException: The security token included in the request is expired";
    assert_eq!(world.said("GET", "/clusters", None).await, expired);
    let (status, xml) = world.sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!((status.as_u16(), within(&xml, "Code")), (403, "ExpiredToken"));
}

#[tokio::test(start_paused = true)]
async fn roles_are_refused_by_faults_and_by_their_external_id() {
    let world = World::new().await;
    world.sim.require_external_id(ROLE, Some("team-a")).await.expect("stored");
    for (more, expect) in [("", 403), ("&ExternalId=team-b", 403), ("&ExternalId=team-a", 200)] {
        let (status, xml) = world.sts(&format!("{ASSUME}{more}")).await;
        assert_eq!(status.as_u16(), expect, "{more}: {xml}");
    }
    world.sim.require_external_id(ROLE, None).await.expect("stored");
    let denied = Fault {
        kind: FaultKind::Denied,
        cluster: None,
        pool: None,
        operation: Some("AssumeRole".to_owned()),
        times: None,
    };
    world.sim.add_fault(denied).await.expect("stored");
    let (status, xml) = world.sts(ASSUME).await;
    assert_eq!((status.as_u16(), within(&xml, "Code")), (403, "AccessDenied"));
    let (status, _) = world.sts("Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_member_lets_in_the_sessions_of_roles_that_have_an_access_entry() {
    let world = World::new().await.with_shop().await;
    let caller = as_ops(&world).await;
    let token = || caller.token("shop", world.clock.now());
    assert_eq!(world.nodes_as(&token()).await.0.as_u16(), 401);
    let entries = "/clusters/shop/access-entries";
    world.ok("POST", entries, Some(json!({ "principalArn": ROLE }))).await;
    // Let in, and known to nobody's role: an entry without a policy grants nothing.
    assert_eq!(world.nodes_as(&token()).await.0.as_u16(), 403);
    let own = "arn%3Aaws%3Aiam%3A%3A111122223333%3Auser%2Fsimulated";
    assert_eq!(
        world.nodes_as(&world.caller.token("shop", world.clock.now())).await.0.as_u16(),
        200
    );
    world.ok("DELETE", &format!("{entries}/{own}"), None).await;
    let creator = world.nodes_as(&world.caller.token("shop", world.clock.now())).await;
    assert_eq!(creator.0.as_u16(), 401, "the creator is one entry among others");
    assert_eq!(world.nodes_as(&token()).await.0.as_u16(), 403);
    pass(901).await;
    assert_eq!(world.nodes_as(&token()).await.0.as_u16(), 401, "the session has expired");
}

#[tokio::test(start_paused = true)]
async fn entries_count_only_when_the_cluster_asks_for_them() {
    let world = World::new().await;
    let mut old = crate::fixture::shop();
    old["accessConfig"]["authenticationMode"] = json!("CONFIG_MAP");
    world.ok("POST", "/clusters", Some(old)).await;
    pass(8).await;
    let said = world.said("GET", "/clusters/shop/access-entries", None).await;
    let expect = "400 InvalidRequestException: The cluster's authentication mode must be set to one of [API, \
                  API_AND_CONFIG_MAP] to perform this operation.";
    assert_eq!(said, expect);
    assert_eq!(
        world.nodes_as(&world.caller.token("shop", world.clock.now())).await.0.as_u16(),
        200
    );
    let both = json!({ "accessConfig": { "authenticationMode": "API_AND_CONFIG_MAP" } });
    world.updated("/clusters/shop/update-config", both).await;
    let entries = world.ok("GET", "/clusters/shop/access-entries", None).await;
    let expect = json!({ "accessEntries": ["arn:aws:iam::111122223333:user/simulated"] });
    assert_eq!(entries, expect, "the creator stays in");
}
