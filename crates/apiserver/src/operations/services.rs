//! Services get their addresses and node ports where it is known what others have.

use fleetwright_apiserver_core::crud::services::{Taken, allocate, wants_allocation};
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::status::ApiError;
use serde_json::Value;

use crate::cluster::LogicalCluster;

impl LogicalCluster {
    /// Completes a Service that is about to be stored; other kinds stay as they are.
    ///
    /// Two that are created in the same instant see each other only if one is stored: they get the same address only if
    /// their uids hash alike.
    pub(super) fn allocate(
        &self,
        rt: &ResourceType,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        if !rt.is("", "services") || !wants_allocation(object, old) {
            return Ok(());
        }
        let own = &object["metadata"]["uid"];
        // Without a revision there is always an answer.
        let now = self.tables.list(&rt.group_resource(), None, None, None);
        let services = now.map(|now| now.objects).unwrap_or_default();
        let others = services.iter().map(|service| &*service.value);
        let taken = Taken::by(others.filter(|other| other["metadata"]["uid"] != *own));
        allocate(rt, object, old, &taken)
    }
}
