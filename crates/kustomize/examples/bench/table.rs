//! Tables of plain text.

use crate::measure::{Figures, Programs};

/// A table that is printed row by row.
pub(crate) struct Table {
    /// Seconds of processors for an object in the row before.
    before: Option<f64>,
}

impl Table {
    /// Prints the head.
    pub(crate) fn new(programs: &Programs, title: &str) -> Self {
        println!(
            "\n{title:<30} {:>7} {:>10} {:>8} {:>10} {:>8} {:>7} {:>7} {:>10} {:>7} {:>10} {:>7}",
            "objects",
            "ours",
            "MB",
            if programs.kubectl.is_some() { "kubectl" } else { "" },
            "MB",
            "time",
            "memory",
            "objects/s",
            "MB/s",
            "cpu us/obj",
            "growth",
        );
        Self { before: None }
    }

    /// Prints what a build took. Growth is the time of processors for an object against that in the row
    /// above.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    pub(crate) fn row(&mut self, name: &str, figures: &Figures) {
        let Figures { own, kubectl, inside, objects, bytes } = *figures;
        let ms = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let mb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        let [time, memory, faster, smaller] = match kubectl {
            None => [const { String::new() }; 4],
            Some(other) => [
                ms(other.time),
                mb(other.memory),
                format!("{:.1}x", other.time.as_secs_f64() / own.time.as_secs_f64()),
                format!("{:.1}x", other.memory as f64 / own.memory as f64),
            ],
        };
        let seconds = inside.as_secs_f64();
        let each = own.cpu.as_secs_f64() / objects.max(1) as f64;
        let growth = self.before.replace(each).map(|before| format!("{:.2}", each / before));
        println!(
            "{name:<30} {objects:>7} {:>10} {:>8} {time:>10} {memory:>8} {faster:>7} {smaller:>7} {:>10.0} {:>7.1} {:>10.1} {:>7}",
            ms(own.time),
            mb(own.memory),
            objects as f64 / seconds,
            bytes as f64 / 1e6 / seconds,
            each * 1e6,
            growth.unwrap_or_default(),
        );
    }
}
