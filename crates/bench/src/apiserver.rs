//! The embedded Kubernetes API under load. The figures of others are of kube-apiserver 1.20 with etcd 3.4, by the same client on
//! a machine like this one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use futures::StreamExt as _;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::samples::Samples;
use crate::{floor, load};

/// Clients at once in the parallel runs.
const CLIENTS: usize = 16;
/// Watchers of one namespace.
const WATCHERS: usize = 50;
const NAMESPACE: &str = "default";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Writes of each kind
    #[arg(long, default_value_t = 4000)]
    writes: usize,
    /// Objects of 2 KB for the figures of memory and restart; 0 leaves them out
    #[arg(long, default_value_t = 50_000)]
    objects: usize,
}

pub(crate) async fn run(program: &Path, options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let disk = floor::durable_appends(folder.path(), 300)?;
    println!(
        "Disk: a durable append of 2 KB takes {:.2} ms (p50), {:.2} ms (p99). Load average {}.\n",
        disk.percentile(0.5),
        disk.percentile(0.99),
        floor::load_average()
    );
    let hub = Hub::start(program, &data).await?;
    println!("| What | Here | kube-apiserver 1.20 |\n|---|---|---|");
    println!("| ready, empty | {:.0} ms | 3,700 ms |", millis(hub.ready_after));
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("| memory, idle | {:.0} MB | 331 MB + etcd 48 MB |", hub.resident_mb()?);
    println!();
    println!("| Operation | Rate | p50 | p99 | server CPU each |\n|---|---|---|---|---|");
    writes(&hub, options.writes).await?;
    reads(&hub, options.writes).await?;
    watches(&hub).await?;
    println!(
        "\nPeer: create 590/s with one client, 1,455/s with 16 (p99 45 ms); merge patch 1,042/s; apply 1,089/s;"
    );
    println!("GET p50 0.56 ms; LIST of 2,000 p50 59 to 81 ms; 50 watchers p99 48 to 54 ms.\n");
    if options.objects > 0 {
        many(hub, program, &data, options.objects).await?;
    }
    Ok(())
}

async fn writes(hub: &Hub, count: usize) -> Result<()> {
    let create = async |name: String| -> Result<()> {
        maps(&hub.client).create(&PostParams::default(), &map(&name, 1500)?).await?;
        Ok(())
    };
    let one = load::run(hub, (1, count / 4), async |_, n| create(format!("one-{n}")).await);
    println!("{}", one.await?.row("create 1.5 KB, 1 client"));
    let many = load::run(hub, (CLIENTS, count / CLIENTS), async |c, n| {
        create(format!("many-{c}-{n}")).await
    });
    println!("{}", many.await?.row("create 1.5 KB, 16 clients"));
    let merge = load::run(hub, (CLIENTS, count / CLIENTS), async |c, n| {
        let change = json!({"data": {"n": n.to_string()}});
        let name = format!("many-{c}-{n}");
        maps(&hub.client).patch(&name, &PatchParams::default(), &Patch::Merge(change)).await?;
        Ok(())
    });
    println!("{}", merge.await?.row("merge patch, 16 clients"));
    let apply = load::run(hub, (CLIENTS, count / CLIENTS), async |c, n| {
        let name = format!("many-{c}-{n}");
        let wish = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"applied": "yes"}});
        let params = PatchParams::apply("bench").force();
        maps(&hub.client).patch(&name, &params, &Patch::Apply(wish)).await?;
        Ok(())
    });
    match apply.await {
        Ok(took) => println!("{}", took.row("server-side apply, 16 clients")),
        Err(error) => println!("| server-side apply, 16 clients | not served: {error} | | | |"),
    }
    Ok(())
}

async fn reads(hub: &Hub, count: usize) -> Result<()> {
    let get = load::run(hub, (1, count / 2), async |_, n| {
        maps(&hub.client).get(&format!("one-{}", n % (count / 4))).await?;
        Ok(())
    });
    println!("{}", get.await?.row("get, 1 client"));
    let page = u32::try_from(count.min(2000))?;
    let params = ListParams::default().limit(page);
    let list = load::run(hub, (1, 20), async |_, _| {
        // As text: what it costs to read 2,000 objects into types is the client's business.
        let request =
            kube::core::Request::new("/api/v1/namespaces/default/configmaps").list(&params)?;
        hub.client.request_text(request).await?;
        Ok(())
    });
    println!("{}", list.await?.row(&format!("list {page}, 1 client")));
    Ok(())
}

/// From the sending of a write to its arrival at each of the watchers.
async fn watches(hub: &Hub) -> Result<()> {
    let (tell, mut told) = mpsc::channel::<(String, Instant)>(100 * WATCHERS);
    let now = maps(&hub.client).list(&ListParams::default().limit(1)).await?;
    let from = now.metadata.resource_version.unwrap_or_default();
    let tasks: Vec<_> = (0..WATCHERS)
        .map(|_| tokio::spawn(watch(hub.client.clone(), from.clone(), tell.clone())))
        .collect();
    drop(tell);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut sent = std::collections::BTreeMap::new();
    let cpu = hub.cpu_ms()?;
    for number in 0..100 {
        let name = format!("seen-{number}");
        sent.insert(name.clone(), Instant::now());
        maps(&hub.client).create(&PostParams::default(), &map(&name, 1500)?).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut samples = Samples::default();
    while samples.len() < 100 * WATCHERS {
        let wait = tokio::time::timeout(Duration::from_secs(20), told.recv());
        let (name, at) = wait.await.context("watchers missed events")?.context("watchers ended")?;
        if let Some(sent) = sent.get(&name) {
            samples.add(at.duration_since(*sent));
        }
    }
    for task in &tasks {
        task.abort();
    }
    println!(
        "| write to 50 watchers | – | {:.2} ms | {:.2} ms | {:.3} ms a write |",
        samples.percentile(0.5),
        samples.percentile(0.99),
        (hub.cpu_ms()? - cpu) / 100.0
    );
    Ok(())
}

async fn watch(client: Client, from: String, tell: mpsc::Sender<(String, Instant)>) -> Result<()> {
    let stream = maps(&client).watch(&WatchParams::default(), &from).await?;
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        if let WatchEvent::Added(map) = event? {
            let at = Instant::now();
            if tell.send((map.metadata.name.unwrap_or_default(), at)).await.is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Memory, restart and a long list with many objects.
async fn many(hub: Hub, program: &Path, data: &Path, objects: usize) -> Result<()> {
    let each = objects / 64;
    let filled = load::run(&hub, (64, each), async |c, n| {
        maps(&hub.client)
            .create(&PostParams::default(), &map(&format!("fill-{c}-{n}"), 2000)?)
            .await?;
        Ok(())
    });
    let filled = filled.await?;
    println!("| With {objects} objects of 2 KB | |\n|---|---|");
    println!("| created by 64 clients | {:.0}/s |", filled.per_second());
    println!("| memory after it | {:.0} MB |", hub.resident_mb()?);
    let began = Instant::now();
    let request = kube::core::Request::new("/api/v1/namespaces/default/configmaps")
        .list(&ListParams::default())?;
    let bytes = hub.client.request_text(request).await?.len();
    println!("| list all, {} MB | {:.0} ms |", bytes / 1_000_000, millis(began.elapsed()));
    hub.kill().await?;
    let size: u64 =
        std::fs::read_dir(data)?.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
    let again = Hub::start(program, data).await?;
    println!("| ready after SIGKILL | {:.0} ms |", millis(again.ready_after));
    println!("| memory after the restart | {:.0} MB |", again.resident_mb()?);
    println!("| files | {} MB |", size / 1_000_000);
    try_join_all([again.kill()]).await?;
    Ok(())
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), NAMESPACE)
}

fn map(name: &str, bytes: usize) -> Result<ConfigMap> {
    let value: Value = json!({"metadata": {"name": name}, "data": {"payload": "x".repeat(bytes)}});
    Ok(serde_json::from_value(value)?)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
