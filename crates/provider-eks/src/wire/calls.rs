//! Every call of EKS that we make: its name, the SDK's builder for it, and which members go into path or query.

use aws_sdk_eks::Client;
use fleetwright_errclass::Class;
use fleetwright_provider::CloudError;
use serde_json::Value;

use super::Raw;
use crate::error::{Call, cloud_error};

/// One row per call. The members named in a row are set on the SDK's builder, which puts them into path or query; all
/// others are the body (botocore's model, `location`). Each call has an error type of its own, so this is no table of data.
macro_rules! calls {
    ($($operation:literal => $method:ident($($setter:ident: $member:literal),*);)*) => {
        /// The members of a call that are not in its body.
        pub(super) fn labels(operation: &str) -> &'static [&'static str] {
            match operation {
                $($operation => &[$($member),*],)*
                _ => &[],
            }
        }

        /// Sends one call, with the body that `raw` holds.
        pub(super) async fn send(
            client: &Client,
            call: &Call<'_>,
            (input, raw): (&Value, &Raw),
        ) -> Result<(), CloudError> {
            match call.operation {
                $($operation => {
                    let request = client.$method()$(.$setter(text(input, $member)))*;
                    Box::pin(request.customize().interceptor(raw.clone()).send())
                        .await
                        .map(drop)
                        .map_err(|error| cloud_error(call, &error))
                })*
                "UntagResource" => untag(client, call, (input, raw)).await,
                _ => {
                    let words = "we do not know how to send this; report it";
                    Err(call.error(Class::Bug, "UnknownOperation", words))
                }
            }
        }
    };
}

calls! {
    "DescribeCluster" => describe_cluster(set_name: "name");
    "DescribeNodegroup" => describe_nodegroup(set_cluster_name: "clusterName", set_nodegroup_name: "nodegroupName");
    "DescribeAddon" => describe_addon(set_cluster_name: "clusterName", set_addon_name: "addonName");
    "DescribeAccessEntry" => describe_access_entry(set_cluster_name: "clusterName", set_principal_arn: "principalArn");
    "DescribePodIdentityAssociation" => describe_pod_identity_association(set_cluster_name: "clusterName", set_association_id: "associationId");
    "DescribeFargateProfile" => describe_fargate_profile(set_cluster_name: "clusterName", set_fargate_profile_name: "fargateProfileName");
    "DescribeUpdate" => describe_update(set_name: "name", set_update_id: "updateId", set_nodegroup_name: "nodegroupName", set_addon_name: "addonName");
    "ListClusters" => list_clusters(set_next_token: "nextToken");
    "ListNodegroups" => list_nodegroups(set_cluster_name: "clusterName", set_next_token: "nextToken");
    "ListAddons" => list_addons(set_cluster_name: "clusterName", set_next_token: "nextToken");
    "ListAccessEntries" => list_access_entries(set_cluster_name: "clusterName", set_next_token: "nextToken");
    "ListAssociatedAccessPolicies" => list_associated_access_policies(set_cluster_name: "clusterName", set_principal_arn: "principalArn", set_next_token: "nextToken");
    "ListPodIdentityAssociations" => list_pod_identity_associations(set_cluster_name: "clusterName", set_namespace: "namespace", set_service_account: "serviceAccount", set_next_token: "nextToken");
    "ListFargateProfiles" => list_fargate_profiles(set_cluster_name: "clusterName", set_next_token: "nextToken");
    "ListUpdates" => list_updates(set_name: "name", set_nodegroup_name: "nodegroupName", set_addon_name: "addonName", set_next_token: "nextToken");
    "ListInsights" => list_insights(set_cluster_name: "clusterName");
    "CreateCluster" => create_cluster();
    "CreateNodegroup" => create_nodegroup(set_cluster_name: "clusterName");
    "CreateAddon" => create_addon(set_cluster_name: "clusterName");
    "CreateAccessEntry" => create_access_entry(set_cluster_name: "clusterName");
    "CreatePodIdentityAssociation" => create_pod_identity_association(set_cluster_name: "clusterName");
    "CreateFargateProfile" => create_fargate_profile(set_cluster_name: "clusterName");
    "UpdateClusterConfig" => update_cluster_config(set_name: "name");
    "UpdateClusterVersion" => update_cluster_version(set_name: "name");
    "AssociateEncryptionConfig" => associate_encryption_config(set_cluster_name: "clusterName");
    "UpdateNodegroupConfig" => update_nodegroup_config(set_cluster_name: "clusterName", set_nodegroup_name: "nodegroupName");
    "UpdateNodegroupVersion" => update_nodegroup_version(set_cluster_name: "clusterName", set_nodegroup_name: "nodegroupName");
    "UpdateAddon" => update_addon(set_cluster_name: "clusterName", set_addon_name: "addonName");
    "UpdateAccessEntry" => update_access_entry(set_cluster_name: "clusterName", set_principal_arn: "principalArn");
    "AssociateAccessPolicy" => associate_access_policy(set_cluster_name: "clusterName", set_principal_arn: "principalArn");
    "DisassociateAccessPolicy" => disassociate_access_policy(set_cluster_name: "clusterName", set_principal_arn: "principalArn", set_policy_arn: "policyArn");
    "UpdatePodIdentityAssociation" => update_pod_identity_association(set_cluster_name: "clusterName", set_association_id: "associationId");
    "TagResource" => tag_resource(set_resource_arn: "resourceArn");
    "DeleteCluster" => delete_cluster(set_name: "name");
    "DeleteNodegroup" => delete_nodegroup(set_cluster_name: "clusterName", set_nodegroup_name: "nodegroupName");
    "DeleteAddon" => delete_addon(set_cluster_name: "clusterName", set_addon_name: "addonName");
    "DeleteAccessEntry" => delete_access_entry(set_cluster_name: "clusterName", set_principal_arn: "principalArn");
    "DeletePodIdentityAssociation" => delete_pod_identity_association(set_cluster_name: "clusterName", set_association_id: "associationId");
    "DeleteFargateProfile" => delete_fargate_profile(set_cluster_name: "clusterName", set_fargate_profile_name: "fargateProfileName");
}

fn text(input: &Value, member: &str) -> Option<String> {
    input[member].as_str().map(str::to_owned)
}

/// The only call with a list in its query.
async fn untag(
    client: &Client,
    call: &Call<'_>,
    (input, raw): (&Value, &Raw),
) -> Result<(), CloudError> {
    let keys = input["tagKeys"].as_array().into_iter().flatten();
    let keys: Vec<String> = keys.filter_map(|key| key.as_str().map(str::to_owned)).collect();
    let request = client
        .untag_resource()
        .set_resource_arn(text(input, "resourceArn"))
        .set_tag_keys(Some(keys));
    Box::pin(request.customize().interceptor(raw.clone()).send())
        .await
        .map(drop)
        .map_err(|error| cloud_error(call, &error))
}
