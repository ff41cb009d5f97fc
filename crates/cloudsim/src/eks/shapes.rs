//! The bodies of requests to EKS and the parts they are made of, as in the model of the service.
//!
//! A field that is not here is refused by its name. Not here are what a simulation cannot hold: outposts, capabilities,
//! certificate authorities, and the settings of single components of a control plane.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Structures in the case of the wire that know all their fields.
macro_rules! shapes {
    ($($(#[$meta:meta])* $name:ident { $($(#[$wire:meta])* $field:ident: $type:ty),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$wire])* pub(crate) $field: $type,)* }
    )* };
}

/// Keys and values.
pub(crate) type Pairs = BTreeMap<String, String>;

shapes! {
    /// The body of `CreateCluster`, and afterwards the cluster's configuration.
    ClusterRequest {
        name: String,
        role_arn: String,
        resources_vpc_config: VpcConfig,
        version: Option<String>,
        client_request_token: Option<String>,
        access_config: Option<AccessConfig>,
        kubernetes_network_config: Option<NetworkConfig>,
        logging: Option<Logging>,
        upgrade_policy: Option<UpgradePolicy>,
        bootstrap_self_managed_addons: Option<bool>,
        tags: Option<Pairs>,
        encryption_config: Option<Vec<EncryptionConfig>>,
        zonal_shift_config: Option<Switch>,
        remote_network_config: Option<RemoteNetworkConfig>,
        compute_config: Option<ComputeConfig>,
        storage_config: Option<StorageConfig>,
        deletion_protection: Option<bool>,
        control_plane_scaling_config: Option<ScalingTier>,
    }
    /// Network of the control plane.
    VpcConfig {
        subnet_ids: Option<Vec<String>>,
        security_group_ids: Option<Vec<String>>,
        endpoint_public_access: Option<bool>,
        endpoint_private_access: Option<bool>,
        public_access_cidrs: Option<Vec<String>>,
    }
    /// How principals become users.
    AccessConfig {
        authentication_mode: Option<AuthenticationMode>,
        bootstrap_cluster_creator_admin_permissions: Option<bool>,
    }
    /// Addresses of Services.
    NetworkConfig {
        service_ipv4_cidr: Option<String>,
        ip_family: Option<IpFamily>,
        elastic_load_balancing: Option<Switch>,
    }
    /// Something to turn on.
    Switch {
        enabled: Option<bool>,
    }
    /// Logs of the control plane.
    Logging {
        cluster_logging: Option<Vec<LogSetup>>,
    }
    /// Some logs, on or off.
    LogSetup {
        types: Option<Vec<LogType>>,
        enabled: Option<bool>,
    }
    /// What happens at the end of standard support.
    UpgradePolicy {
        support_type: Option<SupportType>,
    }
    /// What is encrypted with which key.
    EncryptionConfig {
        resources: Option<Vec<String>>,
        provider: Option<EncryptionProvider>,
    }
    /// A key.
    EncryptionProvider {
        key_arn: Option<String>,
    }
    /// Networks of hybrid nodes.
    RemoteNetworkConfig {
        remote_node_networks: Option<Vec<Cidrs>>,
        remote_pod_networks: Option<Vec<Cidrs>>,
    }
    /// Networks.
    Cidrs {
        cidrs: Option<Vec<String>>,
    }
    /// Machines of Auto Mode.
    ComputeConfig {
        enabled: Option<bool>,
        node_pools: Option<Vec<String>>,
        node_role_arn: Option<String>,
    }
    /// Volumes of Auto Mode.
    StorageConfig {
        block_storage: Option<Switch>,
    }
    /// How big the control plane is.
    ScalingTier {
        tier: Option<Tier>,
    }

    /// The body of `UpdateClusterConfig`.
    ConfigUpdate {
        resources_vpc_config: Option<VpcConfig>,
        logging: Option<Logging>,
        client_request_token: Option<String>,
        access_config: Option<AccessConfig>,
        upgrade_policy: Option<UpgradePolicy>,
        zonal_shift_config: Option<Switch>,
        compute_config: Option<ComputeConfig>,
        kubernetes_network_config: Option<NetworkConfig>,
        storage_config: Option<StorageConfig>,
        remote_network_config: Option<RemoteNetworkConfig>,
        deletion_protection: Option<bool>,
        control_plane_scaling_config: Option<ScalingTier>,
    }
    /// The body of `UpdateClusterVersion`.
    VersionUpdate {
        version: String,
        client_request_token: Option<String>,
        force: Option<bool>,
    }
    /// The body of `AssociateEncryptionConfig`.
    EncryptionUpdate {
        encryption_config: Vec<EncryptionConfig>,
        client_request_token: Option<String>,
    }

    /// The body of `CreateNodegroup`, and afterwards the group's configuration.
    NodegroupRequest {
        nodegroup_name: String,
        subnets: Vec<String>,
        node_role: String,
        scaling_config: Option<Scaling>,
        disk_size: Option<u32>,
        instance_types: Option<Vec<String>>,
        ami_type: Option<String>,
        capacity_type: Option<CapacityType>,
        labels: Option<Pairs>,
        taints: Option<Vec<Taint>>,
        update_config: Option<PaceConfig>,
        node_repair_config: Option<RepairConfig>,
        launch_template: Option<LaunchTemplate>,
        remote_access: Option<RemoteAccess>,
        version: Option<String>,
        release_version: Option<String>,
        client_request_token: Option<String>,
        tags: Option<Pairs>,
    }
    /// How many machines.
    Scaling {
        min_size: Option<u32>,
        max_size: Option<u32>,
        desired_size: Option<u32>,
    }
    /// Who stays away from a node.
    Taint {
        key: String,
        value: Option<String>,
        effect: TaintEffect,
    }
    /// How many machines at once.
    PaceConfig {
        max_unavailable: Option<u32>,
        max_unavailable_percentage: Option<u32>,
        update_strategy: Option<UpdateStrategy>,
    }
    /// Which machines are replaced when they are sick.
    RepairConfig {
        enabled: Option<bool>,
        max_unhealthy_node_threshold_count: Option<u32>,
        max_unhealthy_node_threshold_percentage: Option<u32>,
        max_parallel_nodes_repaired_count: Option<u32>,
        max_parallel_nodes_repaired_percentage: Option<u32>,
        node_repair_config_overrides: Option<Vec<RepairOverride>>,
    }
    /// A rule of its own for one sickness.
    RepairOverride {
        node_monitoring_condition: Option<String>,
        node_unhealthy_reason: Option<String>,
        min_repair_wait_time_mins: Option<u32>,
        repair_action: Option<RepairAction>,
    }
    /// A template of machines.
    LaunchTemplate {
        name: Option<String>,
        version: Option<String>,
        id: Option<String>,
    }
    /// Who may log on.
    RemoteAccess {
        ec2_ssh_key: Option<String>,
        source_security_groups: Option<Vec<String>>,
    }
    /// The body of `UpdateNodegroupConfig`.
    NodegroupConfigUpdate {
        labels: Option<LabelChanges>,
        taints: Option<TaintChanges>,
        scaling_config: Option<Scaling>,
        update_config: Option<PaceConfig>,
        node_repair_config: Option<RepairConfig>,
        client_request_token: Option<String>,
    }
    /// Labels to set and to take away.
    LabelChanges {
        add_or_update_labels: Option<Pairs>,
        remove_labels: Option<Vec<String>>,
    }
    /// Taints to set and to take away.
    TaintChanges {
        add_or_update_taints: Option<Vec<Taint>>,
        remove_taints: Option<Vec<Taint>>,
    }
    /// The body of `UpdateNodegroupVersion`.
    NodegroupVersionUpdate {
        version: Option<String>,
        release_version: Option<String>,
        launch_template: Option<LaunchTemplate>,
        force: Option<bool>,
        client_request_token: Option<String>,
    }

    /// The body of `CreateAddon`, and afterwards the add-on's configuration.
    AddonRequest {
        addon_name: String,
        addon_version: Option<String>,
        service_account_role_arn: Option<String>,
        resolve_conflicts: Option<ResolveConflicts>,
        client_request_token: Option<String>,
        tags: Option<Pairs>,
        configuration_values: Option<String>,
        pod_identity_associations: Option<Vec<AddonIdentity>>,
        namespace_config: Option<NamespaceConfig>,
    }
    /// The role of an add-on's service account.
    AddonIdentity {
        service_account: String,
        role_arn: String,
    }
    /// Where an add-on lives.
    NamespaceConfig {
        namespace: Option<String>,
    }
    /// The body of `UpdateAddon`.
    AddonUpdate {
        addon_version: Option<String>,
        service_account_role_arn: Option<String>,
        resolve_conflicts: Option<ResolveConflicts>,
        client_request_token: Option<String>,
        configuration_values: Option<String>,
        pod_identity_associations: Option<Vec<AddonIdentity>>,
    }

    /// The body of `CreateAccessEntry`.
    AccessEntryRequest {
        principal_arn: String,
        kubernetes_groups: Option<Vec<String>>,
        tags: Option<Pairs>,
        client_request_token: Option<String>,
        username: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    }
    /// The body of `UpdateAccessEntry`.
    AccessEntryUpdate {
        kubernetes_groups: Option<Vec<String>>,
        client_request_token: Option<String>,
        username: Option<String>,
    }
    /// The body of `AssociateAccessPolicy`.
    PolicyRequest {
        policy_arn: String,
        access_scope: AccessScope,
    }
    /// Where a policy holds.
    AccessScope {
        #[serde(rename = "type")]
        kind: Option<ScopeType>,
        namespaces: Option<Vec<String>>,
    }

    /// The body of `CreatePodIdentityAssociation`, and afterwards the association.
    PodIdentityRequest {
        namespace: String,
        service_account: String,
        role_arn: String,
        client_request_token: Option<String>,
        tags: Option<Pairs>,
        disable_session_tags: Option<bool>,
        target_role_arn: Option<String>,
        policy: Option<String>,
    }
    /// The body of `UpdatePodIdentityAssociation`.
    PodIdentityUpdate {
        role_arn: Option<String>,
        client_request_token: Option<String>,
        disable_session_tags: Option<bool>,
        target_role_arn: Option<String>,
        policy: Option<String>,
    }

    /// The body of `CreateFargateProfile`.
    FargateRequest {
        fargate_profile_name: String,
        pod_execution_role_arn: String,
        subnets: Option<Vec<String>>,
        selectors: Option<Vec<FargateSelector>>,
        client_request_token: Option<String>,
        tags: Option<Pairs>,
    }
    /// Which pods.
    FargateSelector {
        namespace: Option<String>,
        labels: Option<Pairs>,
    }
}

/// Enumerations of the model, spelled as on the wire.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident: $case:literal { $($(#[$wire:meta])* $word:ident),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = $case)]
        pub(crate) enum $name { $($(#[$wire])* $word,)* }
    )* };
}

words! {
    /// How principals become users; only upward.
    AuthenticationMode: "SCREAMING_SNAKE_CASE" { ConfigMap, ApiAndConfigMap, Api }
    /// Of Services.
    IpFamily: "lowercase" { Ipv4, Ipv6 }
    /// Logs of a control plane.
    LogType: "camelCase" { Api, Audit, Authenticator, ControllerManager, Scheduler }
    /// What happens at the end of standard support.
    SupportType: "SCREAMING_SNAKE_CASE" { Standard, Extended }
    /// How big a control plane is.
    Tier: "kebab-case" {
        Standard,
        #[serde(rename = "tier-xl")] Xl,
        #[serde(rename = "tier-2xl")] Xl2,
        #[serde(rename = "tier-4xl")] Xl4,
        #[serde(rename = "tier-8xl")] Xl8,
    }
    /// How machines are paid.
    CapacityType: "SCREAMING_SNAKE_CASE" { OnDemand, Spot, CapacityBlock }
    /// What a taint does.
    TaintEffect: "SCREAMING_SNAKE_CASE" { NoSchedule, NoExecute, PreferNoSchedule }
    /// How machines are replaced.
    UpdateStrategy: "SCREAMING_SNAKE_CASE" { Default, Minimal }
    /// What is done to a sick machine.
    RepairAction: "PascalCase" { Replace, Reboot, NoAction }
    /// Whose change wins.
    ResolveConflicts: "SCREAMING_SNAKE_CASE" { Overwrite, None, Preserve }
    /// Where a policy holds.
    ScopeType: "lowercase" { Cluster, Namespace }
}
