//! The verbs on resources: what to do and in which form to answer.

use std::sync::Arc;

use bytes::Bytes;
use fleetwright_apiserver_core::crud::{self, Part};
use fleetwright_apiserver_core::document::{Document, decode, unrecognised};
use fleetwright_apiserver_core::negotiate::{Accepted, BodyKind, accepted, body_kind, check_form};
use fleetwright_apiserver_core::request::{Options, RequestInfo, Verb, manager_of_user_agent};
use fleetwright_apiserver_core::scheme::{EVICTION_SUBRESOURCE, ResourceType, SCALE_SUBRESOURCE};
use fleetwright_apiserver_core::status::ApiError;
use fleetwright_apiserver_core::table::{TableOptions, partial_metadata, table};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::reviews::is_review;
use super::{
    JSON, add_warnings, answer, header, json as json_response, page_not_found,
    yaml as yaml_response,
};
use crate::auth::Identity;
use crate::body::ApiBody;
use crate::cluster::LogicalCluster;
use crate::listing::{Selection, shown};
use crate::operations::{Target, Written};

/// A checked request to a resource.
struct Call<'a> {
    rt: &'a Arc<ResourceType>,
    who: &'a Identity,
    info: &'a RequestInfo,
    options: &'a Options,
    accepted: Accepted,
    body: &'a [u8],
    headers: &'a HeaderMap,
}

impl Call<'_> {
    fn namespace(&self) -> Option<&str> {
        self.info.namespace.as_deref()
    }

    /// Present by the time `route` has named the verb.
    fn target(&self) -> Target<'_> {
        let name = self.info.name.as_deref().unwrap_or_default();
        Target { rt: self.rt, namespace: self.namespace(), name }
    }

    fn part(&self) -> Part {
        match self.info.subresource.as_deref() {
            None => Part::Main,
            Some("finalize") => Part::Finalize,
            Some(SCALE_SUBRESOURCE) => Part::Scale,
            Some(_) => Part::Status,
        }
    }

    fn body_kind(&self) -> Result<BodyKind, ApiError> {
        body_kind(header(self.headers, &CONTENT_TYPE), self.info.verb)
    }

    fn document(&self) -> Result<Document, ApiError> {
        self.read(Some(&self.rt.kind))
    }

    /// The body; `wanted` is the kind that an error asks for.
    fn read(&self, wanted: Option<&str>) -> Result<Document, ApiError> {
        let kind = self.body_kind()?;
        let told = || unrecognised(wanted, self.body).map(ApiError::bad_request);
        match decode(kind, self.body) {
            Err(error) if kind == BodyKind::Json => Err(told().unwrap_or(error)),
            Ok(document) if kind == BodyKind::Json && !has_names(&document.value) => {
                told().map_or(Ok(document), Err)
            }
            other => other,
        }
    }

    /// Whom `managedFields` name: settled before the call is made.
    fn manager(&self) -> &str {
        self.options.field_manager.as_deref().unwrap_or_default()
    }

    /// The `DeleteOptions` of a delete, when there are any.
    fn delete_options(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.read(None).map(|d| Some(d.value)) }
    }
}

/// Whether it is an object whose `apiVersion` and `kind` are texts, as far as they are there.
fn has_names(body: &Value) -> bool {
    let name = |key: &str| body.get(key).is_none_or(|name| name.is_string() || name.is_null());
    body.is_null() || (body.is_object() && name("apiVersion") && name("kind"))
}

/// Refuses what is announced by discovery and needs something that is not here.
fn check_subresource(info: &RequestInfo, answered: bool) -> Result<(), ApiError> {
    match info.subresource.as_deref() {
        None | Some("status" | "finalize" | "scale") => Ok(()),
        Some(_) if answered => Ok(()),
        Some(
            sub @ ("exec"
            | "attach"
            | "log"
            | "portforward"
            | "proxy"
            | "resize"
            | "ephemeralcontainers"),
        ) => Err(ApiError::not_implemented(format!(
            "{sub} needs a kubelet: no containers run behind this API server"
        ))),
        Some(_) => Err(ApiError::path_not_found()),
    }
}

impl LogicalCluster {
    pub(super) async fn serve_resource(
        &self,
        who: &Identity,
        parts: &Parts,
        info: &RequestInfo,
        body: &Bytes,
    ) -> Result<Response<ApiBody>, ApiError> {
        let RequestInfo { group, version, resource, .. } = info;
        let scheme = self.scheme();
        let Some(rt) = scheme.find(group, version, resource) else {
            // As upstream: what only a definition could serve is no path at all.
            let builtin = scheme.types().any(|rt| rt.group == *group && !rt.custom);
            return if builtin { Err(ApiError::path_not_found()) } else { Ok(page_not_found()) };
        };
        rt.check(info)?;
        let evicts = info.subresource.as_deref() == Some(EVICTION_SUBRESOURCE);
        let reviews = is_review(info);
        if !reviews && rt.builtin.is_some_and(|kind| !kind.is_stored()) {
            return Err(ApiError::path_not_found());
        }
        check_subresource(info, evicts || reviews)?;
        let mut options = Options::parse(parts.uri.query().unwrap_or_default(), info.verb)?;
        if info.verb == Verb::Patch {
            options.check_patch(body_kind(header(&parts.headers, &CONTENT_TYPE), info.verb)?)?;
        }
        let agent = header(&parts.headers, &USER_AGENT).unwrap_or(&who.user);
        options.field_manager.get_or_insert_with(|| manager_of_user_agent(agent));
        let options = &options;
        let accepted = accepted(header(&parts.headers, &ACCEPT), options)?;
        let call = Call { rt, who, info, options, accepted, body, headers: &parts.headers };
        let mut response = self.serve_verb(&call, evicts, reviews).await?;
        if let Some(told) = &rt.deprecation {
            add_warnings(&mut response, std::slice::from_ref(told));
        }
        Ok(response)
    }

    async fn serve_verb(
        &self,
        call: &Call<'_>,
        evicts: bool,
        reviews: bool,
    ) -> Result<Response<ApiBody>, ApiError> {
        let Call { who, info, options, accepted, headers, .. } = *call;
        let lists = matches!(info.verb, Verb::List | Verb::DeleteCollection);
        if info.verb != Verb::Watch {
            check_form(header(headers, &ACCEPT), call.rt, lists)?;
        }
        match info.verb {
            Verb::Get => self.serve_get(call),
            Verb::List => self.list_response(&self.selection(call)?, options, accepted),
            Verb::Watch => self.watch_response(self.selection(call)?, options, accepted),
            Verb::Create if evicts => self.serve_eviction(call).await,
            Verb::Create if reviews => {
                let body = call.document()?.value;
                let answered = self.review(who, info, body, call.manager()).await?;
                Ok(self.object_response(StatusCode::CREATED, call, &answered))
            }
            Verb::Create => self.serve_create(call).await,
            Verb::Update | Verb::Patch => self.serve_change(call).await,
            Verb::Delete => self.serve_delete(call).await,
            Verb::DeleteCollection => self.serve_delete_collection(call).await,
        }
    }

    fn selection(&self, call: &Call<'_>) -> Result<Selection, ApiError> {
        let Call { rt, info, options, .. } = call;
        Selection::parse(rt, info.namespace.as_deref(), info.name.as_deref(), options)
    }

    fn serve_get(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        self.check_not_future(call.options.revision()?)?;
        let object = self.stored(call.target())?;
        if call.part() == Part::Scale {
            return Ok(json_response(&crud::show_scale(call.rt, &object.value)?));
        }
        if call.accepted == Accepted::Json && !call.options.pretty {
            return Ok(answer(StatusCode::OK, JSON, shown(call.rt, &object)));
        }
        Ok(self.object_response(StatusCode::OK, call, &object.value))
    }

    /// Refuses to answer from a past that the caller says is past.
    pub(crate) fn check_not_future(&self, wanted: Option<u64>) -> Result<(), ApiError> {
        let current = self.tables.revision();
        match wanted {
            Some(wanted) if wanted > current => {
                Err(ApiError::timeout_too_large_rv(current, wanted))
            }
            _ => Ok(()),
        }
    }

    async fn serve_create(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let body = call.document()?;
        self.check_grant(call.who, call.rt, call.namespace(), &body.value)?;
        let written = self.create(call.rt, call.namespace(), body, call.options).await?;
        Ok(self.written_response(StatusCode::CREATED, call, &written))
    }

    async fn serve_eviction(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        self.evict(call.target(), &call.document()?.value, call.options).await?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Success", "code": 201});
        Ok(answer(StatusCode::CREATED, JSON, done.to_string()))
    }

    async fn serve_change(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let kind = call.body_kind()?;
        let body = call.document()?;
        let (target, part) = (call.target(), call.part());
        if kind == BodyKind::ApplyPatch && part == Part::Main && self.stored(target).is_err() {
            self.authorize_creation(call.who, call.info)?;
            self.check_grant(call.who, call.rt, target.namespace, &body.value)?;
            if let Some(written) = self.create_applied(target, &body, call.options).await? {
                return Ok(self.written_response(StatusCode::CREATED, call, &written));
            }
        }
        let written = match call.info.verb {
            Verb::Patch => {
                self.change(target, part, call.options, |context, old| {
                    let next = crud::patch(context, target.name, part, old, (kind, &body))?;
                    self.check_grant(call.who, call.rt, target.namespace, &next.object)?;
                    Ok(next)
                })
                .await?
            }
            _ => {
                self.change(target, part, call.options, |context, old| {
                    let next = crud::update(context, target.name, part, old, body.clone())?;
                    self.check_grant(call.who, call.rt, target.namespace, &next.object)?;
                    Ok(next)
                })
                .await?
            }
        };
        if part == Part::Scale {
            let mut response = json_response(&crud::show_scale(call.rt, &written.value)?);
            add_warnings(&mut response, &written.warnings);
            return Ok(response);
        }
        Ok(self.written_response(StatusCode::OK, call, &written))
    }

    async fn serve_delete(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let body = call.delete_options()?;
        let Target { rt, namespace, name } = call.target();
        let left = self.remove(rt, namespace, name, body.as_ref(), call.options).await?;
        Ok(self.object_response(StatusCode::OK, call, &left))
    }

    async fn serve_delete_collection(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<ApiBody>, ApiError> {
        let body = call.delete_options()?;
        let selection = self.selection(call)?;
        let (revision, objects) = self.selected(&selection);
        let mut items = Vec::with_capacity(objects.len());
        for object in objects {
            let (namespace, name) = &object.place;
            let namespace = (!namespace.is_empty()).then_some(namespace.as_str());
            match self.remove(call.rt, namespace, name, body.as_ref(), call.options).await {
                Ok(_) => items.push((*object.value).clone()),
                // Somebody else was faster: gone is gone.
                Err(error) if error.code() == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let metadata = json!({"resourceVersion": revision.to_string()});
        Ok(json_response(&fleetwright_apiserver_core::table::list(call.rt, items, metadata)))
    }

    fn written_response(
        &self,
        status: StatusCode,
        call: &Call<'_>,
        written: &Written,
    ) -> Response<ApiBody> {
        let name = written.value["metadata"]["name"].as_str().unwrap_or_default();
        let plain = call.accepted == Accepted::Json && !call.options.pretty;
        // What was just stored has its bytes already; what was only tried, or overtaken, has not.
        let stored = plain.then(|| self.stored(Target { name, ..call.target() }).ok()).flatten();
        let stored = stored.filter(|object| Arc::ptr_eq(&object.value, &written.value));
        let mut response = match stored {
            Some(object) => answer(status, JSON, shown(call.rt, &object)),
            None => self.object_response(status, call, &written.value),
        };
        add_warnings(&mut response, &written.warnings);
        response
    }

    fn object_response(
        &self,
        status: StatusCode,
        call: &Call<'_>,
        object: &Value,
    ) -> Response<ApiBody> {
        let other = (!call.rt.storage && object["kind"] == *call.rt.kind).then(|| {
            let mut other = object.clone();
            other["apiVersion"] = json!(call.rt.api_version());
            other
        });
        let object = other.as_ref().unwrap_or(object);
        // A deletion's Status has no other form than its own.
        let plain = call.accepted == Accepted::Json || object["kind"] == "Status";
        let rendered = match call.accepted {
            _ if plain => None,
            Accepted::Json | Accepted::Yaml => None,
            Accepted::PartialMetadata => Some(partial_metadata(object)),
            Accepted::Table(include) => {
                let revision = object["metadata"]["resourceVersion"].clone();
                let metadata = json!({"resourceVersion": revision});
                let options =
                    TableOptions { include, now: self.shared().clock.now(), columns: true };
                Some(table(call.rt, std::iter::once(object), metadata, options))
            }
        };
        let shown = rendered.as_ref().unwrap_or(object);
        if call.accepted == Accepted::Yaml {
            let mut response = yaml_response(shown);
            *response.status_mut() = status;
            return response;
        }
        let text = if call.options.pretty { format!("{shown:#}\n") } else { shown.to_string() };
        answer(status, JSON, text)
    }
}
