//! Expected texts are those of recorded answers, or of the checks' own sources where none was
//! recorded.

use serde_json::json;

use super::*;
use crate::testing::kind;

fn namespace(labels: &[(&str, &str)]) -> Value {
    let labels: Map<String, Value> =
        labels.iter().map(|(mode, text)| (format!("{PREFIX}{mode}"), json!(text))).collect();
    json!({"metadata": {"name": "ns", "labels": labels}})
}

/// What a pod with this spec is told in a namespace that enforces the level.
fn told(level: &str, spec: Value) -> String {
    let pod = json!({"metadata": {"name": "a"}, "spec": spec});
    let labels = namespace(&[("enforce", level)]);
    judge_pods(&kind("", "pods"), &pod, None, &labels).forbidden.unwrap_or_default()
}

#[test]
fn a_restricted_pod_is_told_everything_at_once() {
    let spec = json!({"containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}],
             "securityContext": {"privileged": true, "runAsUser": 0,
                                 "capabilities": {"add": ["NET_ADMIN"]}}},
            {"name": "d", "image": "i"}],
        "hostNetwork": true, "volumes": [{"name": "h", "hostPath": {"path": "/"}}]});
    let wanted = "violates PodSecurity \"restricted:latest\": host namespaces (hostNetwork=true), \
        hostPort (container \"c\" uses hostPort 80), privileged (container \"c\" must not set \
        securityContext.privileged=true), allowPrivilegeEscalation != false (containers \"c\", \"d\" \
        must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities \
        (containers \"c\", \"d\" must set securityContext.capabilities.drop=[\"ALL\"]; container \
        \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add), restricted volume \
        types (volume \"h\" uses restricted volume type \"hostPath\"), runAsNonRoot != true (pod or \
        containers \"c\", \"d\" must set securityContext.runAsNonRoot=true), runAsUser=0 (container \
        \"c\" must not set runAsUser=0), seccompProfile (pod or containers \"c\", \"d\" must set \
        securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
    assert_eq!(told("restricted", spec), wanted);
}

#[test]
fn every_check_of_the_baseline_refuses_in_its_own_words() {
    let c = |context: Value| json!({"containers": [{"name": "c", "securityContext": context}]});
    for (spec, wanted) in [
        (json!({"hostPID": true, "hostIPC": true}), "host namespaces (hostPID=true, hostIPC=true)"),
        (
            c(json!({"capabilities": {"add": ["SYS_TIME", "NET_RAW", "CHOWN"]}})),
            "non-default capabilities (container \"c\" must not include \"NET_RAW\", \"SYS_TIME\" in \
             securityContext.capabilities.add)",
        ),
        (
            json!({"volumes": [{"name": "a", "hostPath": {"path": "/"}},
                               {"name": "b", "hostPath": {"path": "/"}}]}),
            "hostPath volumes (volumes \"a\", \"b\")",
        ),
        (
            json!({"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 443}]},
                                  {"name": "b", "ports": [{"hostPort": 80}]}]}),
            "hostPorts (containers \"a\", \"b\" use hostPorts 443, 80)",
        ),
        (
            c(json!({"procMount": "Unmasked"})),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            c(json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
            "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \
             \"spc_t\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \
             \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"},
                                                   {"name": "net.ipv4.tcp_rmem", "value": "1"}]}}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}},
                   "initContainers": [{"name": "i", "securityContext":
                                       {"windowsOptions": {"hostProcess": true}}}]}),
            "hostProcess (pod and container \"i\" must not set \
             securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            c(json!({"appArmorProfile": {"type": "Unconfined"}})),
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \
             \"Unconfined\")",
        ),
    ] {
        let wanted = format!("violates PodSecurity \"baseline:latest\": {wanted}");
        assert_eq!(told("baseline", spec), wanted);
    }
    assert_eq!(told("baseline", json!({"containers": [{"name": "c"}]})), "");
    assert_eq!(told("privileged", json!({"hostPID": true})), "");
}

#[test]
fn a_hardened_pod_is_restricted_enough_whoever_says_so() {
    let context = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    let own = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let by_pod = json!({"securityContext": context,
        "containers": [{"name": "c", "securityContext": own}]});
    assert_eq!(told("restricted", by_pod), "");
    let mut own = own;
    own["runAsNonRoot"] = json!(true);
    own["seccompProfile"] = json!({"type": "Localhost"});
    let by_container = json!({"containers": [{"name": "c", "securityContext": own}]});
    assert_eq!(told("restricted", by_container), "");
}

#[test]
fn a_version_means_the_checks_of_its_time() {
    let spec = json!({"containers": [{"name": "c", "securityContext": {
        "allowPrivilegeEscalation": false, "runAsUser": 0}}],
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}});
    let pod = json!({"metadata": {}, "spec": spec});
    let labels = namespace(&[("enforce", "restricted"), ("enforce-version", "v1.21")]);
    assert_eq!(judge_pods(&kind("", "pods"), &pod, None, &labels).forbidden, None);
    let labels = namespace(&[("enforce", "restricted"), ("enforce-version", "v1.23")]);
    let told = judge_pods(&kind("", "pods"), &pod, None, &labels).forbidden;
    assert!(told.is_some_and(|text| text.starts_with("violates PodSecurity \"restricted:v1.23\"")));
}

#[test]
fn what_makes_pods_is_only_warned() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "nginx:1"}]}});
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"template": template}});
    let labels = namespace(&[("warn", "restricted"), ("enforce", "restricted")]);
    let verdict = judge_pods(&kind("apps", "deployments"), &deployment, None, &labels);
    let wanted = "would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false \
        (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted \
        capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), \
        runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), \
        seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \
        \"RuntimeDefault\" or \"Localhost\")";
    assert_eq!((verdict.forbidden, verdict.warnings), (None, vec![wanted.to_owned()]));
    // An update that leaves the template alone says nothing.
    let again = judge_pods(&kind("apps", "deployments"), &deployment, Some(&deployment), &labels);
    assert_eq!(again, Verdict::default());
}

#[test]
fn labels_that_mean_nothing_are_refused_unless_they_were_there() {
    let bad = namespace(&[("enforce", "strict"), ("warn-version", "v1.x")]);
    let none = Vec::<Box<Value>>::new;
    let causes = judge_namespace(&bad, None, none).causes;
    let found: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let wanted = [
        "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one \
         of privileged, baseline, restricted",
        "metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"v1.x\": must be \
         \"latest\" or \"v1.x\"",
    ];
    assert_eq!(found, wanted);
    assert_eq!(judge_namespace(&bad, Some(&bad), none), Verdict::default());
    // Until it is put right, such a label asks for the most.
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "c"}]}});
    assert!(judge_pods(&kind("", "pods"), &pod, None, &bad).forbidden.is_some());
}

#[test]
fn raising_the_level_warns_of_the_pods_that_are_there() {
    let pod = |name: &str, spec: Value| Box::new(json!({"metadata": {"name": name}, "spec": spec}));
    let plain = json!({"containers": [{"name": "c"}]});
    let pods = || {
        let host = json!({"containers": [{"name": "c"}], "hostPID": true});
        vec![pod("a", plain.clone()), pod("b", plain.clone()), pod("c", host)]
    };
    let (old, new) =
        (namespace(&[("enforce", "baseline")]), namespace(&[("enforce", "restricted")]));
    let rest = "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, \
                seccompProfile";
    let wanted = [
        "existing pods in namespace \"ns\" violate the new PodSecurity enforce level \
         \"restricted:latest\""
            .to_owned(),
        format!("a (and 1 other pod): {rest}"),
        format!("c: host namespaces, {rest}"),
    ];
    assert_eq!(judge_namespace(&new, Some(&old), pods).warnings, wanted);
    assert_eq!(judge_namespace(&old, Some(&new), pods), Verdict::default());
}
