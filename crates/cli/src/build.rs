//! `tidegate build`: what a controller would apply, from a local directory.

mod mask;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use ::api::kustomize::{GROUP, Kustomization};
use anyhow::{Context as _, bail};
use kube::Api;
use kustomize_controller::{Variables, metadata, owner};
use serde_json::Value;

use crate::{
    args::{BuildArgs, BuildKind, BuildKustomizationArgs, Global},
    client::{self, Cluster},
    kustomize::Disk,
    output,
};

/// Prints what the arguments ask for.
///
/// # Errors
///
/// When the Kustomization cannot be found, and with the file and the field that are wrong.
pub(crate) async fn run(global: &Global, args: &BuildArgs) -> anyhow::Result<()> {
    match &args.what {
        BuildKind::Kustomization(args) => kustomization(global, args).await,
    }
}

async fn kustomization(global: &Global, args: &BuildKustomizationArgs) -> anyhow::Result<()> {
    let dir = directory(&args.path)?;
    let cluster = if args.dry_run { None } else { Some(client::connect(global).await?) };
    let namespace = match &cluster {
        Some(cluster) => cluster.namespace.clone(),
        None => global.namespace(None),
    };
    let root = match (&args.kustomization_file, &cluster) {
        (Some(file), _) => from_file(file, &args.name, &namespace)?,
        (None, Some(cluster)) => from_cluster(cluster, &args.name, &namespace)
            .await?
            .with_context(|| format!("Kustomization/{namespace}/{} not found", args.name))?,
        (None, None) => bail!("--dry-run needs --kustomization-file"),
    };
    let mut text = String::new();
    let mut sources = HashMap::new();
    for (source, path) in &args.local_sources {
        sources.insert(source.as_str(), path.as_path());
    }
    let mut seen = HashSet::from([(namespace, args.name.clone())]);
    let mut open = vec![(root, dir)];
    // A child follows its parent, before the siblings that come after it.
    while let Some((kustomization, dir)) = open.pop() {
        let objects =
            objects(&kustomization, &dir, cluster.as_ref(), args.strict_substitute).await?;
        for object in &objects {
            goyaml::write_document(object, &mut text);
            text.push_str("---\n");
        }
        if args.recursive {
            for object in objects.into_iter().filter(is_kustomization).rev() {
                if seen.insert(identity(&object)) {
                    open.push(child(object, &sources, cluster.as_ref()).await?);
                }
            }
        }
    }
    output::print(&text)
}

/// Returns the absolute path of a directory, without links in it.
fn directory(path: &Path) -> anyhow::Result<PathBuf> {
    let dir =
        path.canonicalize().with_context(|| format!("invalid resource path {}", path.display()))?;
    if !dir.is_dir() {
        bail!("invalid resource path {}: not a directory", path.display());
    }
    Ok(dir)
}

async fn from_cluster(
    cluster: &Cluster,
    name: &str,
    namespace: &str,
) -> anyhow::Result<Option<Kustomization>> {
    let api: Api<Kustomization> = Api::namespaced(cluster.client.clone(), namespace);
    let found = api.get_opt(name).await;
    found.with_context(|| format!("failed to get Kustomization/{namespace}/{name}"))
}

/// Finds a Kustomization among the objects of a file. One without a namespace is in the given one.
fn from_file(file: &Path, name: &str, namespace: &str) -> anyhow::Result<Kustomization> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read kustomization file {}", file.display()))?;
    let objects = goyaml::parse_documents(&text)
        .with_context(|| format!("failed to parse kustomization file {}", file.display()))?;
    let is_meant = |object: &Value| {
        let metadata = &object["metadata"];
        is_kustomization(object)
            && metadata["name"] == name
            && metadata["namespace"].as_str().is_none_or(|it| it.is_empty() || it == namespace)
    };
    let object = objects.into_iter().find(is_meant).with_context(|| {
        format!("no Kustomization named {name} of namespace {namespace} in {}", file.display())
    })?;
    parse(object, namespace)
        .with_context(|| format!("Kustomization {name} in {} is not valid", file.display()))
}

fn parse(mut object: Value, namespace: &str) -> anyhow::Result<Kustomization> {
    // What the controller writes has no say, and may come from another version.
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    let mut kustomization: Kustomization = serde_path_to_error::deserialize(object)?;
    if kustomization.metadata.namespace.as_ref().is_none_or(String::is_empty) {
        kustomization.metadata.namespace = Some(namespace.to_owned());
    }
    Ok(kustomization)
}

fn is_kustomization(object: &Value) -> bool {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    object["kind"] == "Kustomization" && api_version.split('/').next() == Some(GROUP)
}

/// Returns the namespace and the name of an object.
fn identity(object: &Value) -> (String, String) {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or("default");
    (namespace.to_owned(), metadata["name"].as_str().unwrap_or_default().to_owned())
}

/// Returns a Kustomization that another one applies, and the directory that it applies.
///
/// Where the cluster has it, its fields there count: others may own some of them.
async fn child(
    object: Value,
    sources: &HashMap<&str, &Path>,
    cluster: Option<&Cluster>,
) -> anyhow::Result<(Kustomization, PathBuf)> {
    let (namespace, name) = identity(&object);
    let declared =
        parse(object, &namespace).with_context(|| format!("Kustomization {name} is not valid"))?;
    let live = match cluster {
        Some(cluster) => from_cluster(cluster, &name, &namespace).await?,
        None => None,
    };
    let kustomization = live.unwrap_or(declared);
    let source = &kustomization.spec.source_ref;
    let source_namespace = source.namespace.as_deref().unwrap_or(&namespace);
    let source = format!("{}/{source_namespace}/{}", source.kind.as_str(), source.name);
    let root = sources.get(source.as_str()).with_context(|| {
        format!(
            "no directory for {source} of Kustomization {name}; add --local-sources {source}=DIR"
        )
    })?;
    let path = kustomization.spec.path.as_deref().unwrap_or_default();
    let dir = directory(&root.join(path.trim_start_matches('/')))?;
    Ok((kustomization, dir))
}

/// Builds the objects of a Kustomization as the controller would apply them.
async fn objects(
    kustomization: &Kustomization,
    dir: &Path,
    cluster: Option<&Cluster>,
    strict: bool,
) -> anyhow::Result<Vec<Value>> {
    let dir = dir.to_str().context("the path of the directory is not UTF-8")?;
    let owner = owner(kustomization);
    let failed = || format!("failed to build Kustomization/{}/{}", owner.namespace, owner.name);
    let client = cluster.map(|cluster| &cluster.client);
    let variables = Variables::load(client, kustomization, strict).await.with_context(failed)?;
    let (dir, spec) = (dir.trim_start_matches('/'), &kustomization.spec);
    let built = kustomize_controller::build(&Disk, dir, spec, None, variables.as_ref());
    let built = built.with_context(failed)?;
    let metadata = metadata(kustomization);
    let mut objects = built.objects;
    for object in &mut objects {
        mask::mask(object)?;
        owner.label(object, &metadata);
    }
    Ok(objects)
}
