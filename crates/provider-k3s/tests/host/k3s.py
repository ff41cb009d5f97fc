#!/usr/bin/python3 -SE
"""A stand-in for K3s's binary: as much as our scripts see of the real one. VERSION is replaced by the test.

Servers keep the list of nodes and give it to each other; a node is ready while its process answers. `node-ip` of the configuration
is the address that a node listens at, so that several nodes may share a network."""

import sys

if sys.argv[1:] == ["--version"]:
    print("k3s version VERSION (0123abcd)\ngo version go1.24.0")
    sys.exit()

import http.client, json, os, socket, subprocess, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = "/var/lib/rancher/k3s"
STATE = DATA + "/server/db/etcd/state.json"
TOKEN = DATA + "/server/token"
TURN = "fleetwright.dev/in-turn"
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBLDCB36ADAgECAhRXMLemAjXmQvvVhitkySXPvhu4CDAFBgMrZXAwDDEKMAgG
A1UEAwwBYTAeFw0yNjExMjMwMzQ0MTNaFw0zNjExMjAwMzQ0MTNaMAwxCjAIBgNV
BAMMAWEwKjAFBgMrZXADIQCyaWiZ/nDQHS4eTg/hy2FtUE9PhuoclYDVaBCjMoni
e6NTMFEwHQYDVR0OBBYEFCfJ5U2DMqUf7pBAWCqX9UJ22wLiMB8GA1UdIwQYMBaA
FCfJ5U2DMqUf7pBAWCqX9UJ22wLiMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA
2J/OnZvGeB6qwUtuxN6amc0OLATjvbDsGNIsGKM2P9taKUc2s+oSNCn8S5RgXJNE
38XKCUo9Rx0/bJE/9CsyAQ==
-----END CERTIFICATE-----
"""


def settings():
    found, folder = {}, "/etc/rancher/k3s/config.yaml.d"
    more = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for path in ["/etc/rancher/k3s/config.yaml"] + [folder + "/" + name for name in more]:
        if os.path.exists(path):
            for line in open(path):
                key, colon, value = line.partition(":")
                if colon and not line.startswith((" ", "-", "#")):
                    found[key] = value.strip().strip("\"'")
    return found


CONFIG = settings()
ADDRESS = CONFIG.get("node-ip", "127.0.0.1")
NAME = CONFIG.get("node-name", os.uname().nodename).lower()


def ask(address, port, path, body=None, wait=2):
    connection = http.client.HTTPConnection(address, port, timeout=wait)
    try:
        connection.request("POST" if body is not None else "GET", path, json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def alive(node):
    try:
        return ask(node["address"], 10250, "/version", wait=1)[1]
    except OSError:
        return None


class Cluster:
    """What the servers keep."""

    def __init__(self):
        self.lock = threading.RLock()
        self.state = json.load(open(STATE)) if os.path.exists(STATE) else {"turn": 0, "nodes": {}}

    def peers(self):
        return [n for n in self.state["nodes"].values() if n["server"] and n["name"] != NAME]

    def catch_up(self, more=()):
        for address in [peer["address"] for peer in self.peers()] + list(more):
            try:
                theirs = ask(address, 6443, "/state")[1]
            except OSError:
                continue
            if theirs["turn"] >= self.state["turn"]:
                self.state = theirs

    def change(self, how):
        with self.lock:
            how(self.state["nodes"])
            self.state["turn"] += 1
            self.keep()
            for peer in self.peers():
                try:
                    ask(peer["address"], 6443, "/state", self.state)
                except OSError:
                    pass

    def keep(self):
        with open(STATE + ".new", "w") as file:
            json.dump(self.state, file)
        os.rename(STATE + ".new", STATE)

    def member(self, node):
        if not node["server"]:
            return "none"
        return "voter" if time.time() - node["joined"] > 1 else "learner"

    def ready(self):
        """Whether more than half of the voters answer."""
        voters = [n for n in self.state["nodes"].values() if self.member(n) == "voter"]
        there = [n for n in voters if n["name"] == NAME or alive(n)]
        return 2 * len(there) > len(voters) or not voters


class Refused(Exception):
    pass


def node_lines(cluster):
    for name, node in sorted(cluster.state["nodes"].items()):
        version = alive(node)
        line = {"name": name, "uid": node["uid"], "version": version or node["version"], "ready": version is not None}
        line["unready_since"] = "" if version else "2027-01-15T08:00:00Z"
        line["unschedulable"] = node["unschedulable"]
        line["address"] = node["address"]
        line["etcd"] = cluster.member(node)
        line["roles"] = ["control-plane", "etcd"] if node["server"] else []
        line["in_turn"] = node["turn"]
        yield "fw1 node=" + json.dumps(line, separators=(",", ":")) + "\n"


def patch(cluster, name, text):
    wanted = json.loads(text)

    def how(nodes):
        nodes[name]["unschedulable"] = bool(wanted["spec"]["unschedulable"])
        nodes[name]["turn"] = wanted["metadata"]["annotations"][TURN]

    cluster.change(how)
    return "node/%s patched\n" % name


def blocked():
    path = "/run/standin/budget"
    return open(path).read().split() if os.path.exists(path) else []


def kubectl(cluster, words):
    """What the API server answers to the commands that our scripts give, and to no others."""
    if not cluster.ready():
        raise Refused("Error from server: etcdserver: request timed out")
    nodes = cluster.state["nodes"]
    while words and words[0] in ("--kubeconfig", "--request-timeout", "--namespace"):
        words = words[2:]
    verb, rest = words[0], words[1:]
    if words[:3] == ["get", "--raw", "/readyz"]:
        return "ok"
    if words[:2] == ["get", "nodes"]:
        return "".join(node_lines(cluster))
    if words[:2] == ["get", "node"]:
        node = nodes.get(words[2])
        return "" if node is None else "%s %s" % ("cordoned" if node["unschedulable"] else "open", node["turn"] or "")
    if words[:2] == ["get", "pods"]:
        return "".join(pod + "\n" for pod in blocked())
    if words[:2] == ["patch", "node"] and words[2] in nodes:
        return patch(cluster, words[2], words[-1])
    if verb == "drain":
        if not nodes[rest[0]]["unschedulable"]:
            raise Refused("the script should have looked")
        if blocked() and "--disable-eviction" not in rest:
            lines = ["error when evicting pods/%r -n %r (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget."
                     % tuple(pod.split("/")[::-1]) for pod in blocked()]
            raise Refused("Warning: ignoring DaemonSet-managed Pods: kube-system/svclb\n" + "\n".join(lines) + "\nerror: global timeout reached")
        return "node/%s drained\n" % rest[0]
    if words[:2] == ["delete", "node"]:
        if rest[1] not in nodes:
            return ""
        cluster.change(lambda nodes: nodes.pop(rest[1]))
        return 'node "%s" deleted\n' % rest[1]
    if words[:3] == ["create", "token", "fleetwright"]:
        if not os.path.exists(DATA + "/server/manifests/fleetwright.yaml"):
            raise Refused('error: failed to create token: serviceaccounts "fleetwright" not found')
        return "eyJhbGciOiJSUzI1NiJ9.%s.swordfish\n" % words[-1]
    raise Refused("error: nobody sends this: " + " ".join(words))


def handler(cluster):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, body):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self):
            self.answer(200, "VERSION" if self.path == "/version" else cluster.state)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/state":
                with cluster.lock:
                    if body["turn"] > cluster.state["turn"]:
                        cluster.state = body
                        cluster.keep()
                self.answer(200, None)
            elif self.path == "/join":
                token = open(TOKEN).read()
                if body["token"].strip() not in (token.strip(), token.strip().rsplit(":", 1)[1]):
                    return self.answer(401, "not authorized")
                node = body["node"]

                def how(nodes):
                    was = nodes.get(node["name"], {})
                    keep = {key: was[key] for key in ("uid", "unschedulable", "turn", "joined") if key in was}
                    nodes[node["name"]] = {**node, **keep}

                cluster.change(how)
                self.answer(200, {"token": token, "state": cluster.state})
            else:
                try:
                    self.answer(200, [0, kubectl(cluster, body), ""])
                except Refused as why:
                    self.answer(200, [1, "", str(why) + "\n"])

    return Handler


def listen(address, port, cluster):
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer((address, port), handler(cluster))
    threading.Thread(target=server.serve_forever, daemon=True).start()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def own_node(server):
    with open("/proc/sys/kernel/random/uuid") as file:
        uid = file.read().strip()
    return {"name": NAME, "uid": uid, "address": ADDRESS, "server": server, "version": "VERSION",
            "unschedulable": False, "turn": None, "joined": time.time()}


def join(server):
    """Asks for ever, as the real one does; a token that is refused ends it."""
    token = open(CONFIG["token-file"]).read()
    host = CONFIG["server"].removeprefix("https://").rsplit(":", 1)[0]
    while True:
        try:
            status, answer = ask(host, 6443, "/join", {"token": token, "node": own_node(server)})
        except OSError:
            time.sleep(0.2)
            continue
        if status != 200:
            sys.exit("level=fatal msg=\"starting kubernetes: token CA hash does not match\"")
        return answer


def ready():
    if "NOTIFY" in os.environ:
        open(os.environ["NOTIFY"], "w").close()
    if os.environ.get("NOTIFY_SOCKET"):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
        notify.send(b"READY=1")
    while True:
        time.sleep(3600)


def container():
    """What goes on when K3s stops: a shim with a container below it."""
    shim = DATA + "/data/current/bin/containerd-shim"
    if not os.path.exists(shim):
        os.makedirs(os.path.dirname(shim), exist_ok=True)
        subprocess.run(["cp", "/bin/dash", shim], check=True)
        subprocess.Popen([shim, "-c", "sleep 31415 & wait"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)


def serve():
    fresh = not os.path.exists(STATE)
    for folder in ("server/db/etcd", "server/db/snapshots", "server/tls", "agent/etc", "server/manifests"):
        os.makedirs(DATA + "/" + folder, exist_ok=True)
    cluster = Cluster()
    if fresh and "server" in CONFIG:
        answer = join(True)
        write(TOKEN, answer["token"])
        cluster.state = answer["state"]
    elif fresh:
        file = CONFIG.get("token-file")
        secret = open(file).read().strip() if file else os.urandom(16).hex()
        write(TOKEN, "K100123::server:%s\n" % secret)
        cluster.state["nodes"][NAME] = {**own_node(True), "joined": 0}
    else:
        cluster.catch_up()
        if "server" in CONFIG:
            write(TOKEN, open(CONFIG["token-file"]).read())
        node = cluster.state["nodes"].get(NAME)
        if node is None:
            sys.exit("level=fatal msg=\"this server is a not a member of the etcd cluster\"")
        node["address"] = ADDRESS
    cluster.keep()
    for name in ("client-ca.nochain", "server-ca", "server-ca.nochain", "serving-kube-apiserver"):
        write(DATA + "/server/tls/%s.crt" % name, CERTIFICATE)
    write(DATA + "/agent/client-kubelet.crt", CERTIFICATE)
    write("/etc/rancher/k3s/k3s.yaml",
          'apiVersion: v1\nkind: Config\nclusters: [{cluster: {server: "https://127.0.0.1:6443"}}]\n')
    container()
    listen(ADDRESS, 10250, cluster)
    listen(ADDRESS, 6443, cluster)
    ready()


def main(words):
    os.umask(0o077)
    if words == ["server"]:
        serve()
    elif words == ["agent"]:
        os.makedirs(DATA + "/agent/etc", exist_ok=True)
        join(False)
        listen(ADDRESS, 10250, None)
        container()
        ready()
    elif words[:1] == ["kubectl"]:
        try:
            status, out, err = ask(ADDRESS, 6443, "/kubectl", words[1:], wait=10)[1]
        except OSError:
            sys.exit("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?")
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(status)
    elif words == ["secrets-encrypt", "status"]:
        on = "Enabled" if CONFIG.get("secrets-encryption") == "true" else "Disabled"
        print("Encryption Status: %s\nCurrent Rotation Stage: start\nServer Encryption Hashes: All hashes match" % on)
    else:
        sys.exit(2)


main(sys.argv[1:])
