//! What every namespace holds without anybody asking: the ServiceAccount `default`, and where the
//! cluster has a certificate authority, its certificate as ConfigMap `kube-root-ca.crt`.
//!
//! Upstream a controller makes both a moment later; here they come in the same commit as the
//! namespace: a store never has one without the other, and readers see them at nearly the same
//! moment, the namespace first.

use std::sync::{Arc, OnceLock};

use fleetwright_clock::Ids;
use serde_json::{Value, json};

use super::{Stage, namespaces};
use crate::tables::{Place, Tables};

const SERVICE_ACCOUNTS: &str = "serviceaccounts";
const CONFIG_MAPS: &str = "configmaps";
const DEFAULT_ACCOUNT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";
/// Whom `managedFields` name for what the server does by itself, as upstream's controllers.
pub(super) const MANAGER: &str = "kube-controller-manager";

/// What the writer needs to furnish namespaces.
#[derive(Debug)]
pub(crate) struct Household {
    pub(crate) ids: Arc<dyn Ids>,
    /// PEM of the authority that signs this server's certificates.
    pub(crate) ca: OnceLock<String>,
    /// Whether anything is done unasked. A bare API server, as upstream's without its controller
    /// manager, only does what it is told.
    pub(crate) keeps: bool,
}

impl Stage {
    pub(in crate::writer) fn furnish_all(&mut self, tables: &Arc<Tables>, namespaces: &[String]) {
        namespaces.iter().for_each(|namespace| self.furnish(tables, namespace));
    }

    /// Puts what a namespace lacks. A namespace on its way out gets nothing.
    pub(super) fn furnish(&mut self, tables: &Arc<Tables>, namespace: &str) {
        let household = Arc::clone(&self.household);
        if !household.keeps || !self.namespace_lives(tables, namespace) {
            return;
        }
        let place = |name: &str| -> Place { (namespace.to_owned(), name.to_owned()) };
        let account = place(DEFAULT_ACCOUNT);
        if self.current(tables, SERVICE_ACCOUNTS, &account).is_none() {
            let mut object = json!({"kind": "ServiceAccount", "apiVersion": "v1"});
            object["metadata"] = self.birth(&account);
            self.put(tables, SERVICE_ACCOUNTS, account, object, None);
        }
        let Some(ca) = household.ca.get() else { return };
        let bundle = place(ROOT_CA);
        match self.current(tables, CONFIG_MAPS, &bundle) {
            Some(old) if old.value["data"]["ca.crt"] == *ca => {}
            Some(old) => {
                let mut object = (*old.value).clone();
                object["data"] = json!({"ca.crt": ca});
                self.put(tables, CONFIG_MAPS, bundle, object, Some(old));
            }
            None => {
                let mut object =
                    json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"ca.crt": ca}});
                object["metadata"] = self.birth(&bundle);
                let fields = json!({"f:data": {".": {}, "f:ca.crt": {}}});
                object["metadata"]["managedFields"] = json!([{
                    "manager": MANAGER, "operation": "Update", "apiVersion": "v1",
                    "time": namespaces::seconds(self.now), "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }]);
                self.put(tables, CONFIG_MAPS, bundle, object, None);
            }
        }
    }

    /// Whether the object is one that [`Stage::furnish`] puts.
    pub(super) fn is_furniture(resource: &str, place: &Place) -> bool {
        matches!(
            (resource, place.1.as_str()),
            (SERVICE_ACCOUNTS, DEFAULT_ACCOUNT) | (CONFIG_MAPS, ROOT_CA)
        )
    }

    fn birth(&self, place: &Place) -> Value {
        json!({"name": place.1, "namespace": place.0, "uid": self.household.ids.uid(),
            "creationTimestamp": namespaces::seconds(self.now)})
    }
}
