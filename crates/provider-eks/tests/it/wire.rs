//! What goes over the wire, and in which order.

use fleetwright_errclass::Class;
use fleetwright_names::{PoolName, TAG_RELEASED, Uid};
use fleetwright_plan::{
    CloudAction, CloudStep, PartKey, PartKind, Phase, Resource, Seen, Update, UpdateState,
};
use fleetwright_provider::Provider as _;
use serde_json::{Value, json};

use crate::support::{
    Sent, access, answering, described_cluster, described_pool, desired, ok, owner, refusal, tags,
};

fn step(resource: Resource, action: CloudAction) -> CloudStep {
    CloudStep::new(desired().address, resource, (owner(), 3), action, "")
}

fn general() -> Resource {
    Resource::Pool(PoolName::new("general").expect("a name"))
}

fn lines(sent: &Sent) -> Vec<String> {
    sent.lock().expect("the log").iter().map(|(line, _)| line.clone()).collect()
}

#[tokio::test]
async fn a_cluster_is_asked_for_with_tags_access_and_token() {
    let (provider, sent) = answering(|_| ok(&described_cluster()));
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    provider.act(&access(), &create).await.expect("made");
    let sent = sent.lock().expect("the log").clone();
    assert_eq!(
        sent,
        [(
            "POST /clusters".to_owned(),
            json!({
                "name": "payments-eu-01",
                "version": "1.34",
                "roleArn": "arn:aws:iam::111122223333:role/eks-control-plane",
                "resourcesVpcConfig": {"subnetIds": ["subnet-0a", "subnet-0b"]},
                "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": true},
                "tags": tags(),
                "clientRequestToken": create.token
            })
        )]
    );
    assert_eq!(create.token.len(), 64);
}

#[tokio::test]
async fn a_pool_is_asked_for_at_its_initial_size_and_without_a_version() {
    let (provider, sent) = answering(|_| ok(&described_pool()));
    let create = step(general(), CloudAction::Create { body: desired().pools[0].body.clone() });
    provider.act(&access(), &create).await.expect("made");
    let sent = sent.lock().expect("the log").clone();
    assert_eq!(
        sent,
        [(
            "POST /clusters/payments-eu-01/node-groups".to_owned(),
            json!({
                "nodegroupName": "general",
                "scalingConfig": {"minSize": 3, "maxSize": 12, "desiredSize": 4},
                "subnets": ["subnet-0a", "subnet-0b"],
                "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
                "amiType": "AL2023_ARM_64_STANDARD",
                "nodeRole": "arn:aws:iam::111122223333:role/nodes",
                "labels": {"workload": "general"},
                "tags": crate::support::pool_tags(),
                "clientRequestToken": create.token
            })
        )]
    );
}

#[tokio::test]
async fn a_look_reads_everything_that_status_needs() {
    let (provider, _) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => ok(&described_cluster()),
        "GET /clusters/payments-eu-01/node-groups" => {
            ok(&json!({"nodegroups": ["general"], "nextToken": "more"}))
        }
        "GET /clusters/payments-eu-01/node-groups?nextToken=more" => {
            ok(&json!({"nodegroups": ["second", "Not_a_pool_of_ours"]}))
        }
        other if !other.contains("/node-groups/") => ok(&json!({})),
        _ => {
            let mut pool = described_pool();
            pool["nodegroup"]["status"] = json!("DEGRADED");
            pool["nodegroup"]["health"] = json!({"issues": [{
                "code": "AsgInstanceLaunchFailures",
                "message": "no m7g.xlarge in eu-west-1b",
                "resourceIds": ["eks-general-1"]
            }]});
            ok(&pool)
        }
    });
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    let cluster = snapshot.cluster.present().expect("present");
    assert_eq!(cluster.phase, Phase::Active);
    assert_eq!(cluster.version, "1.34");
    assert_eq!(cluster.platform_version.as_deref(), Some("eks.12"));
    assert_eq!(cluster.certificate_authority.as_deref(), Some("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(
        cluster.oidc_issuer.as_deref(),
        Some("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC")
    );
    let names: Vec<&str> = snapshot.pools.keys().map(PoolName::as_str).collect();
    assert_eq!(names, ["general", "second"], "both pages, and no name that cannot be ours");
    let Seen::Present(pool) = &snapshot.pools[&PoolName::new("general").expect("a name")] else {
        unreachable!("the pool is there")
    };
    assert_eq!((pool.phase, pool.size), (Phase::Active, 7), "it works on");
    assert_eq!(
        pool.trouble,
        "AsgInstanceLaunchFailures: no m7g.xlarge in eu-west-1b (eks-general-1)"
    );
}

fn actions() -> [CloudAction; 4] {
    let update = Update {
        what: "config".into(),
        differences: Vec::new(),
        body: json!({"operation": "UpdateNodegroupConfig", "input": {}}),
        governed: None,
        upgrade: None,
    };
    // A claim of what the step does not name: it says that an earlier life of uid 0abc had it.
    let from = Some(Uid::new("0abc").expect("a uid"));
    let claim = CloudAction::Claim { tags: owner().tags(), from };
    [CloudAction::Delete, CloudAction::Release, CloudAction::Update(update), claim]
}

#[tokio::test]
async fn nothing_is_destroyed_whose_tags_do_not_say_ours() {
    let mut earlier = owner();
    earlier.uid = Uid::new("0000").expect("a uid");
    let mut other = owner();
    other.hub = fleetwright_names::HubId::new("cd34").expect("a hub id");
    for tags in [json!({}), json!(earlier.tags()), json!(other.tags())] {
        for action in actions() {
            let tags = tags.clone();
            let (provider, sent) = answering(move |_| {
                let mut pool = described_pool();
                pool["nodegroup"]["tags"] = tags.clone();
                ok(&pool)
            });
            let error =
                provider.act(&access(), &step(general(), action)).await.expect_err("not ours");
            assert_eq!((error.class, error.code), (Class::Refused, "NotOurs"));
            assert_eq!(lines(&sent), ["GET /clusters/payments-eu-01/node-groups/general"]);
        }
    }
}

#[tokio::test]
async fn what_is_gone_or_going_needs_no_delete() {
    let (provider, sent) = answering(|_| refusal(404, "ResourceNotFoundException", "No cluster"));
    for action in [CloudAction::Delete, CloudAction::Release] {
        provider.act(&access(), &step(Resource::Cluster, action)).await.expect("gone is fine");
    }
    assert_eq!(lines(&sent), ["GET /clusters/payments-eu-01", "GET /clusters/payments-eu-01"]);

    let (provider, sent) = answering(|_| {
        let mut cluster = described_cluster();
        cluster["cluster"]["status"] = json!("DELETING");
        ok(&cluster)
    });
    provider
        .act(&access(), &step(Resource::Cluster, CloudAction::Delete))
        .await
        .expect("going is fine");
    assert_eq!(lines(&sent), ["GET /clusters/payments-eu-01"]);
}

#[tokio::test]
async fn gone_between_the_look_and_the_delete_is_gone() {
    let (provider, _) = answering(|line| match line {
        "DELETE /clusters/payments-eu-01" => {
            refusal(404, "ResourceNotFoundException", "No cluster")
        }
        _ => ok(&described_cluster()),
    });
    provider
        .act(&access(), &step(Resource::Cluster, CloudAction::Delete))
        .await
        .expect("gone is fine");
}

#[tokio::test]
async fn a_release_tags_before_it_untags_and_is_done_once() {
    const ARN: &str = "arn%3Aaws%3Aeks%3Aeu-west-1%3A111122223333%3Acluster%2Fpayments-eu-01";
    let (provider, sent) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => ok(&described_cluster()),
        _ => ok(&json!({})),
    });
    let release = step(Resource::Cluster, CloudAction::Release);
    provider.act(&access(), &release).await.expect("released");
    assert_eq!(
        lines(&sent),
        [
            "GET /clusters/payments-eu-01".to_owned(),
            format!("POST /tags/{ARN}"),
            format!(
                "DELETE /tags/{ARN}?tagKeys=fleetwright.dev%2Fhub&tagKeys=fleetwright.dev%2Fobject&tagKeys=fleetwright.dev%2Fuid"
            ),
        ]
    );
    let tagged: Value = sent.lock().expect("the log")[1].1.clone();
    assert_eq!(tagged, json!({"tags": {TAG_RELEASED: "0001"}}));

    let (provider, sent) = answering(|_| {
        let mut cluster = described_cluster();
        cluster["cluster"]["tags"] = json!({TAG_RELEASED: "0001"});
        ok(&cluster)
    });
    provider.act(&access(), &release).await.expect("released before");
    assert_eq!(lines(&sent), ["GET /clusters/payments-eu-01"]);
}

#[tokio::test]
async fn half_a_list_of_owned_things_is_an_error() {
    let (provider, _) = answering(|line| match line {
        "GET /clusters" => ok(&json!({"clusters": ["payments-eu-01", "other"]})),
        "GET /clusters/payments-eu-01" => ok(&described_cluster()),
        "GET /clusters/other" => refusal(500, "ServerException", "oops"),
        _ => ok(&json!({"nodegroups": []})),
    });
    let error = provider
        .list_owned(&access(), &desired().address, &owner().hub)
        .await
        .expect_err("the second cluster could not be read");
    assert_eq!(error.class, Class::Transient);
}

#[tokio::test]
async fn a_claim_writes_all_tags_and_takes_the_mark_of_a_release_away() {
    let (provider, sent) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => {
            let mut cluster = described_cluster();
            cluster["cluster"]["tags"] = json!({TAG_RELEASED: "0000"});
            ok(&cluster)
        }
        _ => ok(&json!({})),
    });
    let claim = CloudAction::Claim { tags: tags(), from: None };
    let receipt = provider.act(&access(), &step(Resource::Cluster, claim)).await.expect("claimed");
    let calls: Vec<&str> = receipt.calls.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(calls, ["eks:TagResource", "eks:UntagResource"]);
    assert_eq!(sent.lock().expect("the log")[1].1, json!({"tags": tags()}));
}

#[tokio::test]
async fn an_entry_and_its_policies_are_calls_of_their_own() {
    let (provider, sent) = answering(|_| ok(&json!({})));
    let principal = "arn:aws:iam::111122223333:role/ops";
    let policy = json!({
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "accessScope": {"type": "cluster"}
    });
    let body = json!({
        "clusterName": "payments-eu-01", "principalArn": principal, "tags": tags(), "_policies": [policy]
    });
    let key = PartKey { kind: PartKind::new("access entry"), name: principal.into() };
    let create = step(Resource::Part(key), CloudAction::Create { body });
    provider.act(&access(), &create).await.expect("made");
    let path = "POST /clusters/payments-eu-01/access-entries";
    let sent = sent.lock().expect("the log").clone();
    assert_eq!(
        sent,
        [
            (path.to_owned(), json!({"principalArn": principal, "tags": tags()})),
            (
                format!("{path}/arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fops/access-policies"),
                policy
            ),
        ]
    );
}

#[tokio::test]
async fn the_last_change_of_what_changes_is_read() {
    let (provider, _) = answering(|line| match line {
        "GET /clusters/payments-eu-01" => {
            let mut cluster = described_cluster();
            cluster["cluster"]["status"] = json!("UPDATING");
            ok(&cluster)
        }
        "GET /clusters/payments-eu-01/updates" => ok(&json!({"updateIds": ["old", "new"]})),
        "GET /clusters/payments-eu-01/updates/old" => ok(&json!({"update": {
            "id": "old", "status": "Successful", "type": "LoggingUpdate", "createdAt": 1_700_000_000.5
        }})),
        "GET /clusters/payments-eu-01/updates/new" => ok(&json!({"update": {
            "id": "new", "status": "Failed", "type": "EndpointAccessUpdate", "createdAt": 1_700_000_100,
            "errors": [{"errorCode": "OperationNotPermitted", "errorMessage": "no"}]
        }})),
        _ => ok(&json!({})),
    });
    let snapshot = provider.observe(&access(), &desired().address, None).await;
    let update = snapshot.cluster.present().and_then(|cluster| cluster.last_update.clone());
    let update = update.expect("a change");
    assert_eq!((update.id.as_str(), update.what.as_str()), ("new", "endpoint"));
    assert_eq!(update.state, UpdateState::Failed);
    assert_eq!(update.trouble, "OperationNotPermitted: no");
    assert_eq!(update.at.to_string(), "2023-11-14T22:15:00Z");
}
