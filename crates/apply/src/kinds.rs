//! Which kinds the API serves, and whether they have namespaces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};

use crate::error::{api_message, is_not_found};
use crate::object::Subject;

/// A kind that the API serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Where its objects are.
    pub resource: ApiResource,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

/// Why a kind is not known.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// The API does not serve it.
    #[error("no matches for kind {kind:?} in version {api_version:?}")]
    Unknown {
        /// The kind.
        kind: String,
        /// The version with group.
        api_version: String,
    },
    /// The API did not say.
    #[error("failed to discover {api_version}: {message}")]
    Discovery {
        /// The version with group.
        api_version: String,
        /// What the API said.
        message: String,
    },
}

/// The kinds of one API, asked for once for each version of a group.
pub(crate) struct Kinds {
    client: Client,
    known: Mutex<HashMap<String, Arc<Vec<Kind>>>>,
}

impl Kinds {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Returns a kind at a version. A kind that is missing is asked for again: it may be new.
    pub(crate) async fn get(&self, api_version: &str, kind: &str) -> Result<Kind, KindError> {
        let find = |kinds: &[Kind]| kinds.iter().find(|it| it.resource.kind == kind).cloned();
        let known = self.lock().get(api_version).cloned();
        if let Some(found) = known.and_then(|kinds| find(&kinds)) {
            return Ok(found);
        }
        let kinds = Arc::new(self.discover(api_version).await?);
        self.lock().insert(api_version.to_owned(), kinds.clone());
        find(&kinds).ok_or_else(|| KindError::Unknown {
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        })
    }

    /// Returns a kind at a version or, where that is not served any more, at another.
    pub(crate) async fn get_any_version(&self, subject: &Subject) -> Result<Kind, KindError> {
        let unknown = match self.get(&subject.api_version, &subject.kind).await {
            Err(error @ KindError::Unknown { .. }) if !subject.group().is_empty() => error,
            other => return other,
        };
        let groups = self.client.list_api_groups().await.map_err(|error| KindError::Discovery {
            api_version: subject.group().to_owned(),
            message: api_message(&error),
        })?;
        let group = groups.groups.into_iter().find(|group| group.name == subject.group());
        for version in group.into_iter().flat_map(|group| group.versions) {
            match self.get(&version.group_version, &subject.kind).await {
                Err(KindError::Unknown { .. }) => {}
                other => return other,
            }
        }
        Err(unknown)
    }

    /// Forgets the kinds of a group; they are asked for again when they are needed.
    pub(crate) fn forget(&self, group: &str) {
        self.lock().retain(|api_version, _| {
            api_version.rsplit_once('/').map_or("", |(group, _)| group) != group
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Vec<Kind>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(&self, api_version: &str) -> Result<Vec<Kind>, KindError> {
        let listed = match api_version.split_once('/') {
            Some(_) => self.client.list_api_group_resources(api_version).await,
            None => self.client.list_core_api_resources(api_version).await,
        };
        let list = match listed {
            Ok(list) => list,
            // The version is not served; so says the missing kind.
            Err(error) if is_not_found(&error) => return Ok(Vec::new()),
            Err(error) => {
                let message = api_message(&error);
                return Err(KindError::Discovery { api_version: api_version.to_owned(), message });
            }
        };
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kinds = list.resources.into_iter().filter(|it| !it.name.contains('/')).map(|it| {
            let gvk = GroupVersionKind::gvk(group, version, &it.kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, &it.name);
            Kind { resource, namespaced: it.namespaced }
        });
        Ok(kinds.collect())
    }
}
