//! What a user types into kubectl in a week, one after the other against one server, and what must
//! come out.

use crate::kubectl::Served;

/// A kubectl call, whether it succeeds, and texts that its output holds.
type Call = (&'static str, bool, &'static [&'static str]);

const FILES: [(&str, &str); 6] = [
    (
        "web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n  labels: {app: api}\n\
         spec:\n  replicas: 1\n  selector:\n    matchLabels: {app: api}\n  template:\n    metadata:\n\
         \u{20}     labels: {app: api}\n    spec:\n      containers:\n      - name: c\n        image: \
         nginx:1\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: api\nspec:\n  selector: \
         {app: api}\n  ports:\n  - port: 80\n    name: http\n",
    ),
    (
        "web2.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\n  labels: {app: api}\n\
         spec:\n  replicas: 3\n  selector:\n    matchLabels: {app: api}\n  template:\n    metadata:\n\
         \u{20}     labels: {app: api}\n    spec:\n      containers:\n      - name: c\n        image: \
         nginx:2\n",
    ),
    ("node.yaml", "apiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n  labels: {zone: a}\n"),
    ("typo.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: typo\ndatta:\n  a: b\n"),
    ("own.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shared\ndata:\n  a: mine\n"),
    (
        "other.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shared\ndata:\n  a: theirs\n",
    ),
];

#[rustfmt::skip]
const FIRST_WEEK: &[Call] = &[
    ("version -o yaml", true, &["serverVersion", "gitVersion: v1.33.0-test"]),
    ("api-versions", true, &["apps/v1", "rbac.authorization.k8s.io/v1", "test.fleetwright.dev/v1"]),
    ("api-resources --namespaced=false", true, &["namespaces", "clusterroles", "nodes"]),
    ("api-resources --api-group=apps", true, &["deployments", "deploy", "statefulsets"]),
    ("create namespace demo", true, &["namespace/demo created"]),
    ("create namespace demo", false, &["AlreadyExists", "namespaces \"demo\" already exists"]),
    ("get ns demo", true, &["NAME", "STATUS", "AGE", "demo", "Active"]),
    ("get ns demo -o jsonpath={.status.phase}", true, &["Active"]),
    ("config set-context --current --namespace=demo", true, &["modified"]),
    ("get serviceaccounts", true, &["default"]),
    ("create configmap cm --from-literal=k=v --from-literal=l=w", true, &["configmap/cm created"]),
    ("get cm cm -o yaml", true, &["data:\n  k: v\n  l: w", "kind: ConfigMap"]),
    ("get cm cm --show-managed-fields -o yaml", true, &["manager: kubectl-create", "f:data"]),
    ("describe cm cm", true, &["Name:         cm", "k:\n----\nv"]),
    ("create secret generic s --from-literal=pw=hunter2", true, &["secret/s created"]),
    ("get secret s", true, &["NAME", "TYPE", "DATA", "Opaque   1"]),
    ("get secret s -o jsonpath={.data.pw}", true, &["aHVudGVyMg=="]),
    ("describe secret s", true, &["pw:  7 bytes"]),
    ("create serviceaccount robot", true, &["serviceaccount/robot created"]),
    ("create token robot --duration=10m", true, &["eyJ"]),
    ("create token robot --duration=1m", false, &["may not specify a duration less than 10 minutes"]),
    ("auth whoami", true, &["Username", "admin", "system:masters"]),
    ("auth can-i delete pods", true, &["yes"]),
    ("auth can-i --list", true, &["*.*", "[*]"]),
    ("create role reader --verb=get,list --resource=configmaps", true, &["role.rbac.authorization.k8s.io/reader created"]),
    ("create rolebinding read --role=reader --serviceaccount=demo:robot", true, &["rolebinding.rbac.authorization.k8s.io/read created"]),
    ("auth can-i list configmaps --as=system:serviceaccount:demo:robot", true, &["yes"]),
    ("auth can-i list secrets --as=system:serviceaccount:demo:robot", false, &["no"]),
    ("get cm cm --as=system:serviceaccount:demo:robot", true, &["cm"]),
    ("get secrets --as=system:serviceaccount:demo:robot", false, &["Forbidden", "cannot list resource \"secrets\""]),
    ("create clusterrole all --verb=* --resource=*", true, &["created"]),
    ("get roles,rolebindings", true, &["reader", "Role/reader"]),
    ("create deployment web --image=nginx:1 --replicas=2", true, &["deployment.apps/web created"]),
    ("get deploy web", true, &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "web"]),
    ("get deploy web -o wide", true, &["CONTAINERS", "IMAGES", "nginx:1", "app=web"]),
    ("scale deploy web --replicas=5", true, &["deployment.apps/web scaled"]),
    ("get deploy web -o jsonpath={.spec.replicas}", true, &["5"]),
    ("set image deploy/web nginx=nginx:2", true, &["deployment.apps/web image updated"]),
    ("set env deploy/web A=b", true, &["deployment.apps/web env updated"]),
    ("set resources deploy/web --limits=cpu=200m", true, &["resource requirements updated"]),
    ("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}", true, &["nginx:2"]),
    ("rollout restart deploy web", true, &["restarted"]),
    ("rollout history deploy web", true, &["deployment.apps/web"]),
    ("expose deploy web --port=80", true, &["service/web exposed"]),
    ("get svc web", true, &["NAME", "TYPE", "CLUSTER-IP", "ClusterIP", "80/TCP"]),
    ("create service nodeport np --tcp=80:8080", true, &["service/np created"]),
    ("label deploy web tier=front", true, &["deployment.apps/web labeled"]),
    ("label deploy web tier=back", false, &["already has a value"]),
    ("annotate deploy web note=x", true, &["annotated"]),
];

#[rustfmt::skip]
const SECOND_WEEK: &[Call] = &[
    ("create job once --image=busybox -- true", true, &["job.batch/once created"]),
    ("create cronjob often --image=busybox --schedule=*/5_*_*_*_* -- true", true, &["cronjob.batch/often created"]),
    ("create ingress in --rule=a.example.com/*=web:80", true, &["ingress.networking.k8s.io/in created"]),
    ("create poddisruptionbudget pdb --selector=app=web --min-available=1", true, &["created"]),
    ("create quota q --hard=pods=5", true, &["resourcequota/q created"]),
    ("create priorityclass high --value=10", true, &["created"]),
    ("autoscale deploy web --max=3", true, &["autoscaled"]),
    ("run pod --image=nginx", true, &["pod/pod created"]),
    ("get pods", true, &["NAME", "READY", "STATUS", "RESTARTS", "0/1", "Pending"]),
    ("describe pod pod", true, &["Name:", "Image:", "nginx"]),
    ("logs pod", false, &["no containers run behind this API server"]),
    ("exec pod -- true", false, &["no containers run behind this API server"]),
    ("get all", true, &["pod/pod", "service/web", "deployment.apps/web", "job.batch/once"]),
    ("apply -f web.yaml", true, &["deployment.apps/api created", "service/api created"]),
    ("apply -f web.yaml", true, &["deployment.apps/api unchanged", "service/api unchanged"]),
    ("diff -f web2.yaml", false, &["-  replicas: 1", "+  replicas: 3"]),
    ("apply -f web2.yaml --dry-run=server", true, &["deployment.apps/api configured (server dry run)"]),
    ("get deploy api -o jsonpath={.spec.replicas}", true, &["1"]),
    ("apply -f web2.yaml", true, &["deployment.apps/api configured"]),
    ("get deploy api -o jsonpath={.spec.replicas}", true, &["3"]),
    ("apply --server-side -f own.yaml", true, &["configmap/shared serverside-applied"]),
    ("apply --server-side -f other.yaml --field-manager=other", false, &["conflict", "\"kubectl\"", ".data.a"]),
    ("apply --server-side -f other.yaml --field-manager=other --force-conflicts", true, &["serverside-applied"]),
    ("get cm shared -o jsonpath={.data.a}", true, &["theirs"]),
    ("apply -f typo.yaml", false, &["strict decoding error", "unknown field \"datta\""]),
    ("apply -f typo.yaml --validate=warn", true, &["Warning", "unknown field \"datta\"", "created"]),
    ("patch cm cm --type=merge -p {\"data\":{\"k\":\"x\"}}", true, &["configmap/cm patched"]),
    ("patch cm cm --type=json -p [{\"op\":\"remove\",\"path\":\"/data/l\"}]", true, &["patched"]),
    ("patch deploy api -p {\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"x\"}]}}}}", true, &["patched"]),
    ("get deploy api -o jsonpath={.spec.template.spec.containers[*].name}", true, &["d c"]),
    ("explain deploy.spec.strategy", true, &["FIELD: strategy", "rollingUpdate"]),
    ("explain pod.spec.containers --recursive", true, &["livenessProbe", "volumeMounts"]),
    ("get cm --field-selector=metadata.name=cm -o name", true, &["configmap/cm"]),
    ("get cm -A --sort-by=.metadata.name", true, &["NAMESPACE", "demo"]),
    ("get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas", true, &["web", "5"]),
    ("get deploy -l tier=front -o name", true, &["deployment.apps/web"]),
    ("get --raw /healthz", true, &["ok"]),
    ("get --raw /api/v1/namespaces/demo/configmaps/cm", true, &["\"kind\":\"ConfigMap\""]),
    ("apply -f node.yaml", true, &["node/n1 created"]),
    ("cordon n1", true, &["node/n1 cordoned"]),
    ("get nodes", true, &["n1", "SchedulingDisabled"]),
    ("taint nodes n1 a=b:NoSchedule", true, &["node/n1 tainted"]),
    ("uncordon n1", true, &["node/n1 uncordoned"]),
    ("top nodes", false, &["Metrics API not available"]),
    ("cluster-info", true, &["Kubernetes control plane"]),
    ("events", true, &["No events found"]),
    ("wait --for=jsonpath={.data.k}=x cm/cm --timeout=5s", true, &["condition met"]),
    ("rollout status deploy web --timeout=1s", false, &["timed out"]),
    ("delete cm nope", false, &["configmaps \"nope\" not found"]),
    ("delete cm nope --ignore-not-found", true, &[]),
    ("delete deploy -l tier=front", true, &["deployment.apps \"web\" deleted"]),
    ("delete deploy api --cascade=foreground", true, &["deployment.apps \"api\" deleted"]),
    ("delete pod pod --now", true, &["pod \"pod\" deleted"]),
    ("delete ns demo", true, &["namespace \"demo\" deleted"]),
    ("get ns demo", false, &["namespaces \"demo\" not found"]),
    ("delete ns default", false, &["Forbidden", "this namespace may not be deleted"]),
];

async fn play(served: &Served, calls: &[Call]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, wanted, texts) in calls {
        let (success, told) = served.run(line).await;
        let missing: Vec<&&str> = texts.iter().filter(|text| !told.contains(**text)).collect();
        if success != *wanted || !missing.is_empty() {
            wrong.push(format!("kubectl {line}\n  success {success}, missing {missing:?}\n{told}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_of_kubectl_comes_out_as_written_down() {
    let served = Served::start().await;
    for (name, text) in FILES {
        std::fs::write(served.dir.path().join(name), text).expect("written");
    }
    let mut wrong = play(&served, FIRST_WEEK).await;
    wrong.extend(play(&served, SECOND_WEEK).await);
    assert!(wrong.is_empty(), "{} calls:\n{}", wrong.len(), wrong.join("\n"));
    assert!(FIRST_WEEK.len() + SECOND_WEEK.len() >= 100);
}
