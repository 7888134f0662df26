//! `tidegate get`: lists objects and their state.

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use kube::{
    Api, ResourceExt as _,
    api::ListParams,
    core::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};

use crate::{
    args::{GetArgs, GetFlags, GetKind, GetSource, Global, NameArg},
    client::{self, Cluster},
    kind::{self, Column, Kind},
    output, table,
};

/// Lists what the arguments ask for.
///
/// # Errors
///
/// When the cluster cannot be asked, or there is nothing to list.
pub(crate) async fn run(global: &Global, args: &GetArgs) -> anyhow::Result<()> {
    let selector = args.flags.status_selector.as_deref().map(StatusSelector::parse).transpose()?;
    let cluster = client::connect(global).await?;
    let listing = Listing { cluster, flags: &args.flags, selector };
    match &args.what {
        GetKind::All => listing.groups(&kind::ALL).await,
        GetKind::Sources { kind: GetSource::All } => listing.groups(&kind::SOURCES).await,
        GetKind::Kustomizations(name) => listing.one(&kind::KUSTOMIZATION, name).await,
        GetKind::Sources { kind: GetSource::Git(name) } => {
            listing.one(&kind::GIT_REPOSITORY, name).await
        }
        GetKind::Sources { kind: GetSource::External(name) } => {
            listing.one(&kind::EXTERNAL_ARTIFACT, name).await
        }
    }
}

struct Listing<'a> {
    cluster: Cluster,
    flags: &'a GetFlags,
    selector: Option<StatusSelector>,
}

impl Listing<'_> {
    fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        let resource = kind.resource();
        if self.flags.all_namespaces {
            Api::all_with(self.cluster.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.cluster.client.clone(), &self.cluster.namespace, &resource)
        }
    }

    /// Lists the objects of one kind; none is an error, as scripts know it from `flux`.
    async fn one(&self, kind: &Kind, NameArg { name }: &NameArg) -> anyhow::Result<()> {
        if self.flags.watch {
            return self.watch(kind, name.as_deref()).await;
        }
        let objects = self
            .objects(kind, name.as_deref())
            .await?
            .with_context(|| format!("the cluster does not know the kind {}", kind.name))?;
        if let Some(format) = self.flags.output {
            return output::document(&list(&objects), format);
        }
        if objects.is_empty() {
            match (name, self.flags.all_namespaces) {
                (Some(name), false) => bail!(
                    "{} object '{name}' not found in {:?} namespace",
                    kind.name,
                    self.cluster.namespace
                ),
                (_, true) => bail!("no {} objects found in any namespace", kind.name),
                (None, false) => {
                    bail!(
                        "no {} objects found in {:?} namespace",
                        kind.name,
                        self.cluster.namespace
                    )
                }
            }
        }
        output::print(&self.table(kind, &objects, false))
    }

    /// Lists several kinds, each under its own header; kinds without objects are left out.
    async fn groups(&self, kinds: &[&Kind]) -> anyhow::Result<()> {
        if self.flags.watch {
            bail!("--watch works on one kind at a time");
        }
        let mut tables = Vec::new();
        let mut all = Vec::new();
        for kind in kinds {
            let objects = self.objects(kind, None).await?.unwrap_or_default();
            if self.flags.output.is_some() {
                all.extend(objects);
            } else if !objects.is_empty() {
                tables.push(self.table(kind, &objects, true));
            }
        }
        match self.flags.output {
            Some(format) => output::document(&list(&all), format),
            None => output::print(&tables.join("\n")),
        }
    }

    /// Returns the selected objects, or nothing when the cluster does not know the kind.
    async fn objects(
        &self,
        kind: &Kind,
        name: Option<&str>,
    ) -> anyhow::Result<Option<Vec<DynamicObject>>> {
        let mut params = ListParams::default();
        if let Some(labels) = &self.flags.label_selector {
            params = params.labels(labels);
        }
        if let Some(name) = name {
            params = params.fields(&format!("metadata.name={name}"));
        }
        let objects = match self.api(kind).list(&params).await {
            Ok(list) => list.items,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(err) => {
                return Err(err).with_context(|| format!("failed to list {} objects", kind.name));
            }
        };
        Ok(Some(objects.into_iter().filter(|object| self.selects(object)).collect()))
    }

    /// Prints a line for every object now and at every change, until interrupted.
    async fn watch(&self, kind: &Kind, name: Option<&str>) -> anyhow::Result<()> {
        let mut config = watcher::Config::default();
        if let Some(labels) = &self.flags.label_selector {
            config = config.labels(labels);
        }
        if let Some(name) = name {
            config = config.fields(&format!("metadata.name={name}"));
        }
        let changes = watcher(self.api(kind), config).default_backoff().applied_objects();
        futures::pin_mut!(changes);
        let mut header = !self.flags.no_header;
        loop {
            let change = tokio::select! {
                change = changes.try_next() => change,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            let Some(object) = change.with_context(|| format!("failed to watch {}", kind.name))?
            else {
                return Ok(());
            };
            if self.selects(&object) {
                let columns = self.columns(kind);
                let row = self.row(kind, &object, false);
                output::print(&table::format(header.then_some(&columns), &[row]))?;
                header = false;
            }
        }
    }

    fn selects(&self, object: &DynamicObject) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.selects(object))
    }

    fn table(&self, kind: &Kind, objects: &[DynamicObject], prefixed: bool) -> String {
        let rows: Vec<_> = objects.iter().map(|object| self.row(kind, object, prefixed)).collect();
        let columns = self.columns(kind);
        table::format((!self.flags.no_header).then_some(columns.as_slice()), &rows)
    }

    fn columns(&self, kind: &Kind) -> Vec<&'static str> {
        let mut columns = Vec::new();
        if self.flags.all_namespaces {
            columns.push("NAMESPACE");
        }
        columns.push("NAME");
        if self.shows_source(kind) {
            columns.push("SOURCE");
        }
        columns.extend(kind.columns.iter().map(|column| match column {
            Column::Revision => "REVISION",
            Column::Source => "SOURCE",
            Column::Suspended => "SUSPENDED",
        }));
        columns.extend(["READY", "MESSAGE"]);
        columns
    }

    fn row(&self, kind: &Kind, object: &DynamicObject, prefixed: bool) -> Vec<String> {
        let mut row = Vec::new();
        if self.flags.all_namespaces {
            row.push(object.namespace().unwrap_or_default());
        }
        row.push(if prefixed {
            format!("{}/{}", kind.name.to_lowercase(), object.name_any())
        } else {
            object.name_any()
        });
        if self.shows_source(kind) {
            row.push(kind::source(object));
        }
        row.extend(kind.columns.iter().map(|column| match column {
            Column::Revision => shorten_digests(&kind.revision(object)),
            Column::Source => kind::source(object),
            Column::Suspended => capitalised(kind::suspended(object)),
        }));
        let (ready, message) = kind::ready(object);
        row.extend([ready, shorten_digests(&message)]);
        row
    }

    fn shows_source(&self, kind: &Kind) -> bool {
        self.flags.show_source && kind.name == kind::KUSTOMIZATION.name
    }
}

/// A condition that objects are selected by, e.g. `ready=false`.
#[derive(Debug, PartialEq, Eq)]
struct StatusSelector {
    condition: String,
    value: String,
    equal: bool,
}

impl StatusSelector {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (condition, value, equal) = match text.split_once("!=") {
            Some((condition, value)) => (condition, value, false),
            None => match text.split_once('=') {
                Some((condition, value)) => (condition, value, true),
                None => bail!(
                    "--status-selector {text:?} is neither CONDITION=VALUE nor CONDITION!=VALUE"
                ),
            },
        };
        Ok(Self { condition: condition.to_owned(), value: value.to_owned(), equal })
    }

    /// An object without the condition is selected only by its being something else.
    fn selects(&self, object: &DynamicObject) -> bool {
        let status = kind::condition(object, &self.condition)
            .and_then(|condition| condition["status"].as_str())
            .unwrap_or_default();
        status.eq_ignore_ascii_case(&self.value) == self.equal
    }
}

/// Cuts every hexadecimal word of 40 to 128 characters to 8.
fn shorten_digests(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(start);
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let digest = (40..=128).contains(&word.len())
            && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        short.push_str(before);
        short.push_str(if digest { &word[..8] } else { word });
        rest = after;
    }
    short.push_str(rest);
    short
}

fn capitalised(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

/// Wraps objects in a `List`, without the fields that only the API server reads.
fn list(objects: &[DynamicObject]) -> Value {
    let items: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut object = object.clone();
            object.metadata.managed_fields = None;
            serde_json::to_value(object).expect("an object is representable as JSON")
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": "podinfo" },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn shortens_only_digests() {
        let sha = "450796ddb2ab6724ee1cc32a4be56da032d1cca0";
        assert_eq!(
            shorten_digests(&format!("Applied revision: main@sha1:{sha}.")),
            "Applied revision: main@sha1:450796dd."
        );
        assert_eq!(shorten_digests("feature/dead-beef@sha1"), "feature/dead-beef@sha1");
    }

    #[test]
    fn selects_by_condition_without_regard_to_case() {
        let failing = object(&json!({ "conditions": [{ "type": "Ready", "status": "False" }] }));
        assert!(StatusSelector::parse("ready=false").unwrap().selects(&failing));
        assert!(!StatusSelector::parse("ready!=false").unwrap().selects(&failing));
        assert!(StatusSelector::parse("stalled!=true").unwrap().selects(&failing));
        assert!(StatusSelector::parse("ready").is_err());
    }
}
