//! K3s's guide to the CIS benchmark, as settings and files.

use std::collections::BTreeMap;

use super::settings::Setting;
use crate::body::Texts;
use crate::hosts::ManagedFile;

/// Kernel settings that `protect-kernel-defaults` asks for.
const SYSCTLS: &str = "# Written by Fleetwright; K3s's protect-kernel-defaults asks for these.\n\
                       vm.panic_on_oom=0\n\
                       vm.overcommit_memory=1\n\
                       kernel.panic=10\n\
                       kernel.panic_on_oops=1\n";

/// Pod Security as the guide has it, and limits that keep one server from being flooded.
const ADMISSION: &str = r"# Written by Fleetwright; a change by hand is undone.
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults:
      enforce: restricted
      enforce-version: latest
      audit: restricted
      audit-version: latest
      warn: restricted
      warn-version: latest
    exemptions:
      usernames: []
      runtimeClasses: []
      namespaces: [kube-system, cis-operator-system]
- name: EventRateLimit
  configuration:
    apiVersion: eventratelimit.admission.k8s.io/v1alpha1
    kind: Configuration
    limits:
    - type: Server
      qps: 5000
      burst: 20000
";

/// Who did what; never what was in it, since that may be a secret.
const AUDIT_POLICY: &str = "# Written by Fleetwright; a change by hand is undone.\n\
                            apiVersion: audit.k8s.io/v1\n\
                            kind: Policy\n\
                            rules:\n\
                            - level: Metadata\n";

/// Suites with forward secrecy and authenticated encryption only.
const CIPHERS: &str = "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,\
                       TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
                       TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,\
                       TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
                       TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,\
                       TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hard {
    pub(super) cis: bool,
    pub(super) audit: bool,
}

/// Files of a host.
pub(super) fn files(hard: Hard, is_server: bool, files: &mut Texts) {
    if hard.cis {
        files.insert(ManagedFile::Sysctls, SYSCTLS.to_owned());
    }
    if hard.cis && is_server {
        files.insert(ManagedFile::Admission, ADMISSION.to_owned());
    }
    if hard.audit && is_server {
        files.insert(ManagedFile::AuditPolicy, AUDIT_POLICY.to_owned());
    }
}

/// Settings of a host; those of users are added behind ours.
pub(super) fn settings(hard: Hard, is_server: bool, all: &mut BTreeMap<String, Setting>) {
    let path = ManagedFile::path;
    let mut api: Vec<String> = Vec::new();
    if hard.cis {
        all.insert("protect-kernel-defaults".to_owned(), Setting::One("true".to_owned()));
        let kubelet = ["streaming-connection-idle-timeout=5m", CIPHERS].map(str::to_owned);
        ahead(all, "kubelet-arg", kubelet.to_vec());
        api.push("enable-admission-plugins=NodeRestriction,EventRateLimit".to_owned());
        api.push(format!("admission-control-config-file={}", path(ManagedFile::Admission)));
        api.push("service-account-extend-token-expiration=false".to_owned());
    }
    if hard.audit {
        api.push(format!("audit-policy-file={}", path(ManagedFile::AuditPolicy)));
        api.push("audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log".to_owned());
        api.extend(
            ["audit-log-maxage=30", "audit-log-maxbackup=10", "audit-log-maxsize=100"]
                .map(str::to_owned),
        );
    }
    if is_server {
        if hard.cis {
            let gc = vec!["terminated-pod-gc-threshold=100".to_owned()];
            ahead(all, "kube-controller-manager-arg", gc);
        }
        if !api.is_empty() {
            ahead(all, "kube-apiserver-arg", api);
        }
    }
}

fn ahead(all: &mut BTreeMap<String, Setting>, key: &str, mut ours: Vec<String>) {
    match all.remove(key) {
        Some(Setting::One(theirs)) => ours.push(theirs),
        Some(Setting::Many(theirs)) => ours.extend(theirs),
        None => {}
    }
    all.insert(key.to_owned(), Setting::Many(ours));
}
