//! Tokens of Entra, and who is let in where.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_cloudsim::{AZURE_CLIENT_SECRET, AZURE_TENANT_ID};
use serde_json::json;

use super::{AKS_SCOPE, ARM_SCOPE, Ask, SHOP, SHOP_NAME, aks, arm_url};
use crate::fixture::{World, pass};

impl World {
    async fn as_bearer(&self, token: &str) -> super::Said {
        let headers = vec![("authorization", format!("Bearer {token}"))];
        self.ask(Ask { method: "GET", path: arm_url(SHOP), body: None, headers }).await
    }

    /// The kubeconfig of `shop`.
    async fn kubeconfig(&self, operation: &str) -> String {
        let said = self.arm_ok("POST", &format!("{SHOP}/{operation}?format=exec"), None).await;
        let value = said["kubeconfigs"][0]["value"].as_str().expect("a value");
        String::from_utf8(STANDARD.decode(value).expect("base64")).expect("text")
    }

    async fn opens_shop(&self, token: &str) -> u16 {
        let member = self.sim.member("westeurope", SHOP_NAME).expect("a member");
        self.nodes_at(&member, token).await.0.as_u16()
    }
}

fn field(kubeconfig: &str, name: &str) -> String {
    let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn entra_gives_tokens_to_the_one_application_and_says_why_not() {
    let world = World::new().await;
    let given = world.token_for(AZURE_TENANT_ID, AZURE_CLIENT_SECRET, ARM_SCOPE).await;
    assert_eq!((given.status, &given.body["expires_in"]), (200, &json!(3599)));
    assert_eq!(given.body["token_type"], "Bearer");
    for (tenant, secret, scope, status, error, code) in [
        (AZURE_TENANT_ID, "guess", ARM_SCOPE, 401, "invalid_client", 7_000_215),
        ("other", AZURE_CLIENT_SECRET, ARM_SCOPE, 400, "invalid_request", 90_002),
        (
            AZURE_TENANT_ID,
            AZURE_CLIENT_SECRET,
            "https://graph.microsoft.com/.default",
            400,
            "invalid_resource",
            500_011,
        ),
    ] {
        let said = world.token_for(tenant, secret, scope).await;
        assert_eq!((said.status, &said.body["error"]), (status, &json!(error)));
        assert_eq!(said.body["error_codes"], json!([code]));
        let text = said.body["error_description"].as_str().expect("a text");
        assert!(text.starts_with(&format!("AADSTS{code}: ")), "{text}");
        assert!(!text.contains(secret) || secret == AZURE_CLIENT_SECRET, "{text}");
        assert!(!text.contains(AZURE_CLIENT_SECRET), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_resource_manager_wants_a_token_for_itself_that_has_not_expired() {
    let world = World::new().await;
    let path = arm_url(SHOP);
    let headers = vec![("authorization", String::new())];
    let said = world.ask(Ask { method: "GET", path, body: None, headers }).await;
    assert!(said.line().starts_with("401 InvalidAuthenticationToken: "), "{}", said.line());
    assert!(said.header("www-authenticate").starts_with("Bearer authorization_uri="));
    let member = world.bearer(AKS_SCOPE).await;
    let said = world.as_bearer(&member).await.line();
    assert!(said.starts_with("401 InvalidAuthenticationTokenAudience: "), "{said}");
    let token = world.bearer(ARM_SCOPE).await;
    assert_eq!(world.as_bearer(&token).await.status, 404, "it is good");
    pass(3_600).await;
    let said = world.as_bearer(&token).await.line();
    assert!(said.starts_with("401 ExpiredAuthenticationToken: "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_entra_is_opened_by_its_own_token_alone() {
    let world = World::new().await.with_aks().await;
    let kubeconfig = world.kubeconfig("listClusterUserCredential").await;
    let server = field(&kubeconfig, "server");
    assert!(server.starts_with("https://127.0.0.1:6443/clusters/aks-shop-"), "{server}");
    let authority = STANDARD.decode(field(&kubeconfig, "certificate-authority-data"));
    assert_eq!(authority.expect("base64"), b"simulated PEM");
    let token = field(&kubeconfig, "token");
    assert_eq!(world.opens_shop(&token).await, 200);
    let entra = world.bearer(AKS_SCOPE).await;
    assert_eq!(world.opens_shop(&entra).await, 401);
    let (path, mut other) = (SHOP.replace("shop", "other"), aks());
    other["properties"]["dnsPrefix"] = json!("other");
    world.arm_done("PUT", &path, Some(other)).await;
    let name = SHOP_NAME.replace("shop", "other");
    let member = world.sim.member("westeurope", &name).expect("a member");
    assert_eq!(world.nodes_at(&member, &token).await.0.as_u16(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_with_entra_is_opened_by_tokens_for_aks() {
    let world = World::new().await.with_aks().await;
    let own = field(&world.kubeconfig("listClusterUserCredential").await, "token");
    let sign_in = |local_off: bool| {
        json!({ "location": "westeurope", "properties": {
            "aadProfile": { "managed": true }, "disableLocalAccounts": local_off,
        } })
    };
    world.arm_done("PUT", SHOP, Some(sign_in(false))).await;
    let kubeconfig = world.kubeconfig("listClusterUserCredential").await;
    assert_eq!(
        (field(&kubeconfig, "token"), field(&kubeconfig, "command")),
        (String::new(), "kubelogin".to_owned())
    );
    let admin = field(&world.kubeconfig("listClusterAdminCredential").await, "token");
    let (entra, arm) = (world.bearer(AKS_SCOPE).await, world.bearer(ARM_SCOPE).await);
    for (token, status) in [(&entra, 200), (&admin, 200), (&own, 401), (&arm, 401)] {
        assert_eq!(world.opens_shop(token).await, status);
    }
    world.arm_done("PUT", SHOP, Some(sign_in(true))).await;
    assert_eq!((world.opens_shop(&entra).await, world.opens_shop(&admin).await), (200, 401));
    let said = world.arm_said("POST", &format!("{SHOP}/listClusterAdminCredential"), None).await;
    assert!(said.starts_with("400 BadRequest: Getting static credential is not allowed"), "{said}");
    pass(3_600).await;
    assert_eq!(world.opens_shop(&entra).await, 401, "it has expired");
}

#[tokio::test(start_paused = true)]
async fn there_are_no_credentials_before_a_control_plane_runs() {
    let world = World::new().await;
    world.arm_ok("PUT", SHOP, Some(aks())).await;
    let said = world.arm_said("POST", &format!("{SHOP}/listClusterUserCredential"), None).await;
    assert!(said.starts_with("409 OperationNotAllowed: "), "{said}");
}
