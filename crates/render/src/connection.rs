//! The connection Secret: a contract with every client of a member (`api.md`, "The connection Secret is a contract").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_api_types::{Connection, MANAGED_BY};
use fleetwright_names::{ObjectKey, Uid};
use serde_json::{Value, json};

/// The type of connection Secrets; nothing else has it.
pub const CONNECTION_TYPE: &str = "fleetwright.dev/kubeconfig";

/// The name of the connection Secret of a cluster.
#[must_use]
pub fn connection_secret_name(cluster: &str) -> String {
    format!("{cluster}-kubeconfig")
}

/// The Secret that tells clients how to reach a cluster: keys `kubeconfig`, `endpoint`, `certificate-authority`.
///
/// The kubeconfig holds no credential: it calls `command` (our own program) with `token` and the arguments `sign_in`, for example
/// `--provider=eks`, `--region=…`, so a token is made from the client's own identity and never stored.
#[must_use]
pub fn connection_secret(
    cluster: &ObjectKey,
    uid: &Uid,
    sign_in: &[String],
    connection: &Connection,
    command: &[String],
) -> Value {
    let ca = STANDARD.encode(&connection.certificate_authority);
    let kubeconfig = kubeconfig(cluster, sign_in, connection, command);
    // JSON is YAML, and needs no writer of its own.
    let kubeconfig = serde_json::to_string_pretty(&kubeconfig).unwrap_or_default();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": CONNECTION_TYPE,
        "metadata": {
            "namespace": cluster.namespace,
            "name": connection_secret_name(&cluster.name),
            "labels": {"app.kubernetes.io/managed-by": MANAGED_BY},
            "ownerReferences": [{
                "apiVersion": "fleetwright.dev/v1alpha1",
                "kind": "ManagedCluster",
                "name": cluster.name,
                "uid": uid.as_str(),
            }],
        },
        "data": {
            "certificate-authority": ca,
            "endpoint": STANDARD.encode(&connection.endpoint),
            "kubeconfig": STANDARD.encode(kubeconfig),
        },
    })
}

fn kubeconfig(
    cluster: &ObjectKey,
    sign_in: &[String],
    connection: &Connection,
    command: &[String],
) -> Value {
    let ca = STANDARD.encode(&connection.certificate_authority);
    let mut server = json!({"server": connection.endpoint, "certificate-authority-data": ca});
    if let Some(proxy) = &connection.proxy_url {
        server["proxy-url"] = proxy.as_str().into();
    }
    let name = cluster.to_string();
    let (program, first) = command.split_first().map_or(("fleetwright", &[][..]), |(p, f)| (p, f));
    let mut args = first.to_vec();
    args.push("token".to_owned());
    args.extend_from_slice(sign_in);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [{"name": name, "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": program,
            "args": args,
            "interactiveMode": "Never",
            "installHint": "this kubeconfig asks the fleetwright program for a token; put it on PATH",
        }}}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Connection {
        Connection {
            endpoint: "https://example".into(),
            certificate_authority: "PEM".into(),
            proxy_url: None,
        }
    }

    fn sign_in() -> Vec<String> {
        ["--provider=eks", "--region=eu-west-1", "--cluster=payments-eu-01"].map(Into::into).into()
    }

    fn secret() -> Value {
        connection_secret(
            &ObjectKey::namespaced("payments", "payments-eu"),
            &Uid::new("1a").expect("uid"),
            &sign_in(),
            &direct(),
            &["/opt/fleetwright".to_owned()],
        )
    }

    #[test]
    fn the_secret_has_three_keys_and_no_token() {
        let secret = secret();
        let keys: Vec<&String> = secret["data"].as_object().expect("data").keys().collect();
        assert_eq!(keys, ["certificate-authority", "endpoint", "kubeconfig"]);
        assert_eq!(secret["type"], "fleetwright.dev/kubeconfig");
    }

    #[test]
    fn the_kubeconfig_asks_our_program_for_a_token() {
        let text = STANDARD
            .decode(secret()["data"]["kubeconfig"].as_str().expect("text"))
            .expect("base64");
        let config: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(config["users"][0]["user"]["exec"]["command"], "/opt/fleetwright");
        assert_eq!(
            config["users"][0]["user"]["exec"]["args"],
            json!(["token", "--provider=eks", "--region=eu-west-1", "--cluster=payments-eu-01"])
        );
    }

    #[test]
    fn the_secret_belongs_to_its_cluster_and_goes_with_it() {
        assert_eq!(
            secret()["metadata"],
            json!({
                "namespace": "payments",
                "name": "payments-eu-kubeconfig",
                "labels": {"app.kubernetes.io/managed-by": "fleetwright"},
                "ownerReferences": [{
                    "apiVersion": "fleetwright.dev/v1alpha1",
                    "kind": "ManagedCluster",
                    "name": "payments-eu",
                    "uid": "1a",
                }],
            })
        );
    }

    #[test]
    fn endpoint_and_authority_are_plain_base64() {
        assert_eq!(secret()["data"]["endpoint"], "aHR0cHM6Ly9leGFtcGxl");
        assert_eq!(secret()["data"]["certificate-authority"], "UEVN");
    }

    #[test]
    fn the_kubeconfig_has_one_context_that_is_current() {
        let config = kubeconfig(
            &ObjectKey::namespaced("shop", "eu"),
            &sign_in(),
            &direct(),
            &["/bin/fw".to_owned(), "--simulate".to_owned()],
        );
        assert_eq!(config["current-context"], "shop/eu");
        assert_eq!(
            config["contexts"],
            json!([{"name": "shop/eu", "context": {"cluster": "shop/eu", "user": "shop/eu"}}])
        );
        assert_eq!(
            config["clusters"],
            json!([{"name": "shop/eu", "cluster": {"server": "https://example", "certificate-authority-data": "UEVN"}}])
        );
        assert_eq!(config["users"][0]["user"]["exec"]["args"][0], "--simulate");
        assert_eq!(config["users"][0]["user"]["exec"]["args"][1], "token");
        let users = config["users"][0]["user"].as_object().expect("a user");
        assert_eq!(users.keys().collect::<Vec<_>>(), ["exec"], "no stored credential");
    }

    #[test]
    fn a_declared_proxy_is_in_the_kubeconfig() {
        let proxied = Connection { proxy_url: Some("http://proxy:3128".into()), ..direct() };
        let key = ObjectKey::namespaced("shop", "eu");
        let config = kubeconfig(&key, &sign_in(), &proxied, &[]);
        assert_eq!(config["clusters"][0]["cluster"]["proxy-url"], "http://proxy:3128");
        let config = kubeconfig(&key, &sign_in(), &direct(), &[]);
        assert_eq!(config["clusters"][0]["cluster"].get("proxy-url"), None);
    }
}
