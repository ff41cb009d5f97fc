use super::*;

/// Roles and bindings by namespace (empty for none) and name.
#[derive(Default)]
struct Table {
    roles: BTreeMap<(String, String), Arc<Value>>,
    bindings: BTreeMap<String, Vec<Arc<Value>>>,
}

impl Table {
    fn role(mut self, namespace: &str, name: &str, rules: Value) -> Self {
        let role = Arc::new(json!({"rules": rules}));
        self.roles.insert((namespace.to_owned(), name.to_owned()), role);
        self
    }

    fn bind(mut self, namespace: &str, role: (&str, &str), subject: Value) -> Self {
        let (kind, name) = role;
        let binding = json!({"roleRef": {"kind": kind, "name": name}, "subjects": [subject]});
        self.bindings.entry(namespace.to_owned()).or_default().push(Arc::new(binding));
        self
    }
}

impl Roles for Table {
    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        self.roles.get(&(namespace.unwrap_or_default().to_owned(), name.to_owned())).cloned()
    }

    fn bindings(&self, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.bindings.get(namespace.unwrap_or_default()).cloned().unwrap_or_default()
    }
}

fn may(table: &Table, user: &str, verb: &str, target: ActionTarget<'_>) -> bool {
    let groups = ["dev".to_owned(), AUTHENTICATED.to_owned()];
    allows(table, &Subject { user, groups: &groups }, &Action { verb, target })
}

fn secrets<'a>(namespace: Option<&'a str>, name: Option<&'a str>) -> ActionTarget<'a> {
    ActionTarget::Resource { group: "", resource: "secrets", namespace, name }
}

#[test]
fn a_role_holds_in_its_namespace_and_a_cluster_role_wherever_it_is_bound() {
    let read = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]);
    let alice = json!({"kind": "User", "name": "alice"});
    let table = Table::default()
        .role("a", "r", read.clone())
        .role("", "r", read)
        .bind("a", ("Role", "r"), alice.clone())
        .bind("b", ("ClusterRole", "r"), alice);
    assert!(may(&table, "alice", "get", secrets(Some("a"), Some("x"))));
    assert!(may(&table, "alice", "list", secrets(Some("b"), None)));
    assert!(!may(&table, "alice", "list", secrets(Some("c"), None)));
    assert!(!may(&table, "alice", "list", secrets(None, None)));
    assert!(!may(&table, "alice", "delete", secrets(Some("a"), Some("x"))));
    assert!(!may(&table, "bob", "get", secrets(Some("a"), Some("x"))));
}

#[test]
fn groups_and_service_accounts_are_bound_by_name() {
    let read = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let account = json!({"kind": "ServiceAccount", "name": "sa", "namespace": "b"});
    let table = Table::default()
        .role("", "r", read)
        .bind("a", ("ClusterRole", "r"), json!({"kind": "Group", "name": "dev"}))
        .bind("c", ("ClusterRole", "r"), account);
    assert!(may(&table, "whoever", "get", secrets(Some("a"), None)));
    assert!(may(&table, "system:serviceaccount:b:sa", "get", secrets(Some("c"), None)));
    assert!(!may(&table, "system:serviceaccount:c:sa", "get", secrets(Some("c"), None)));
}

#[test]
fn names_subresources_and_paths_are_matched_as_upstream() {
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["one"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"]},
        {"nonResourceURLs": ["/metrics", "/debug/*"], "verbs": ["get"]}]);
    let table = Table::default().role("", "r", rules).bind(
        "",
        ("ClusterRole", "r"),
        json!({"kind": "User", "name": "alice"}),
    );
    assert!(may(&table, "alice", "get", secrets(Some("a"), Some("one"))));
    assert!(!may(&table, "alice", "get", secrets(Some("a"), Some("two"))));
    assert!(!may(&table, "alice", "get", secrets(Some("a"), None)));
    let apps = |resource| ActionTarget::Resource {
        group: "apps",
        resource,
        namespace: Some("a"),
        name: Some("x"),
    };
    assert!(may(&table, "alice", "get", apps("deployments/scale")));
    assert!(!may(&table, "alice", "get", apps("deployments")));
    assert!(may(&table, "alice", "get", ActionTarget::Path("/debug/pprof")));
    assert!(!may(&table, "alice", "get", ActionTarget::Path("/debugger")));
}

#[test]
fn everybody_may_look_around_and_masters_may_do_everything() {
    let table = Table::default();
    assert!(may(&table, "alice", "get", ActionTarget::Path("/apis/apps/v1")));
    assert!(!may(&table, "alice", "get", ActionTarget::Path("/metrics")));
    let nobody = Subject { user: ANONYMOUS, groups: &[UNAUTHENTICATED.to_owned()] };
    let get = |path| Action { verb: "get", target: ActionTarget::Path(path) };
    assert!(allows(&table, &nobody, &get("/version")));
    assert!(!allows(&table, &nobody, &get("/apis")));
    let master = Subject { user: "root", groups: &[MASTERS.to_owned()] };
    assert!(allows(&table, &master, &get("/metrics")));
}

#[test]
fn cluster_admin_can_be_bound_without_being_an_object() {
    let table = Table::default()
        .bind("", ("ClusterRole", "cluster-admin"), json!({"kind": "User", "name": "alice"}))
        .bind("", ("ClusterRole", "view"), json!({"kind": "User", "name": "bob"}));
    assert!(may(&table, "alice", "delete", secrets(None, None)));
    assert!(!may(&table, "bob", "get", secrets(Some("a"), None)));
}

#[test]
fn rights_that_are_not_held_are_listed_one_by_one() {
    let held = [json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]})];
    let wanted = [
        json!({"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "list"]}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}),
    ];
    let texts = [
        r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
        r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
    ];
    assert_eq!(not_held(&held, &wanted), texts);
    assert!(not_held(&everything(), &wanted).is_empty());
}

#[test]
fn a_refusal_reads_as_upstreams() {
    let list = Action { verb: "list", target: secrets(Some("a"), None) };
    let wanted = r#"User "al" cannot list resource "secrets" in API group "" in the namespace "a""#;
    assert_eq!(list.refusal("al"), wanted);
    let all = Action { verb: "list", target: secrets(None, None) };
    let wanted = r#"User "al" cannot list resource "secrets" in API group "" at the cluster scope"#;
    assert_eq!(all.refusal("al"), wanted);
}
