//! The memory, time and files of the process, as the Prometheus clients of other languages count
//! them. Read when somebody asks.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

#[derive(Debug)]
pub(super) struct Process;

/// Ticks of the clock that the kernel counts processor time with; the same on all that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => {
                let gauge = ConstGauge::new(value);
                let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
                gauge.encode(metric)
            }
            None => Ok(()),
        };
        let stat = Stat::read();
        let stat = stat.as_ref();
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            stat.map(|stat| stat.resident_bytes),
        )?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            stat.map(|stat| stat.virtual_bytes),
        )?;
        gauge(
            "process_start_time_seconds",
            "Start time of the process since the epoch in seconds",
            stat.and_then(|stat| Some(boot_time()? + stat.start_seconds)),
        )?;
        gauge("process_open_fds", "Number of open file descriptors", open_files())?;
        gauge("process_max_fds", "Maximum number of open file descriptors", most_files())?;
        if let Some(stat) = stat {
            let counter = ConstCounter::new(stat.cpu_seconds);
            let name = "process_cpu_seconds";
            let help = "Total user and system CPU time spent in seconds";
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

struct Stat {
    cpu_seconds: f64,
    start_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    /// Source: `proc_pid_stat(5)`; the fields are counted from behind the name of the program.
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<f64> = text
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let page = f64::from(u32::try_from(rustix::param::page_size()).ok()?);
        Some(Self {
            cpu_seconds: (fields.get(11)? + fields.get(12)?) / TICKS_PER_SECOND,
            start_seconds: fields.get(19)? / TICKS_PER_SECOND,
            virtual_bytes: *fields.get(20)?,
            resident_bytes: fields.get(21)? * page,
        })
    }
}

/// Returns when the machine was started, in seconds since the epoch.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(f64::from(u32::try_from(count).ok()?))
}

fn most_files() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
