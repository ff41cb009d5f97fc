//! Server-side apply to an object that is not there: it is made.

use fleetwright_apiserver_core::crud::{self, Birth};
use fleetwright_apiserver_core::document::Document;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::status::ApiError;

use super::{Target, Written};
use crate::admission::Asked;
use crate::cluster::LogicalCluster;
use crate::writer::{Expect, WriteError};

impl LogicalCluster {
    /// Makes the object that a configuration describes, or nothing if somebody made it meanwhile.
    pub(crate) async fn create_applied(
        &self,
        target: Target<'_>,
        config: &Document,
        options: &Options,
    ) -> Result<Option<Written>, ApiError> {
        let Target { rt, namespace, name } = target;
        let ids = &self.shared().ids;
        let birth = Birth { uid: ids.uid(), suffix: ids.suffix() };
        let context = self.context(rt, namespace, options);
        let mut admitted = crud::apply_new(&context, name, config, birth)?;
        self.allocate(rt, &mut admitted.object, None)?;
        self.receive_pod(rt, &mut admitted.object)?;
        let told = self.admit(target, Asked::create(&admitted.object, options))?;
        admitted.warnings.extend(told);
        match self.store(target, Expect::Absent, Some(admitted.object), options).await {
            Ok(value) => Ok(Some(Written { value, warnings: admitted.warnings })),
            Err(WriteError::Exists) => Ok(None),
            Err(error) => Err(self.explain(target, error)),
        }
    }
}
