//! When a CronJob runs: the five fields of cron, and the names for common ones.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// How far ahead a time is looked for: a 29th of February comes within eight years.
const HORIZON: i32 = 8 * 366;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A parsed schedule; a bit stands for each value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both fields for days are restricted: either will do.
    either_day: bool,
}

impl Schedule {
    /// Parses a schedule, `None` if it is broken. Times are those of UTC.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let is_open = |field: &str| field.starts_with(['*', '?']);
        let sundays = field(weekdays, 0, 7, &DAYS)?;
        Some(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: (sundays | (sundays >> 7)) & 0x7f,
            either_day: !is_open(days) && !is_open(weekdays),
        })
    }

    /// Returns the first time after the given one.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = TimeZone::UTC.to_datetime(after);
        let from = after.with().second(0).subsec_nanosecond(0).build().ok()?;
        let from = from.checked_add(1.minute()).ok()?;
        let mut date = from.date();
        for _ in 0..HORIZON {
            if self.has_day(date) {
                let begin = if date == from.date() { from } else { date.at(0, 0, 0, 0) };
                if let Some(found) = self.in_day(begin) {
                    return TimeZone::UTC.to_timestamp(found).ok();
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let fits = if self.either_day { day || weekday } else { day && weekday };
        fits && has(self.months, date.month())
    }

    fn in_day(&self, from: DateTime) -> Option<DateTime> {
        for hour in from.hour()..24 {
            let first = if hour == from.hour() { from.minute() } else { 0 };
            let minute = (first..60).find(|minute| has(self.minutes, *minute));
            if let (true, Some(minute)) = (has(self.hours, hour), minute) {
                return Some(from.date().at(hour, minute, 0, 0));
            }
        }
        None
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits & (1 << value) != 0)
}

/// Parses one field: `*`, `1,2`, `1-5`, `*/15`, `10-40/10`, `mon-fri`.
fn field(text: &str, lowest: u32, highest: u32, words: &[&str]) -> Option<u64> {
    let value = |text: &str| {
        let name = text.to_lowercase();
        let number = match words.iter().position(|known| *known == name) {
            Some(at) => u32::try_from(at).ok()? + lowest,
            None => text.parse().ok()?,
        };
        (lowest..=highest).contains(&number).then_some(number)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (lowest, highest),
            Some((first, last)) => (value(first)?, value(last)?),
            // A step without an end goes on to the last.
            None if step.is_some() => (value(range)?, highest),
            None => (value(range)?, value(range)?),
        };
        if first > last {
            return None;
        }
        for number in (first..=last).step_by(step.unwrap_or(1)) {
            bits |= 1 << number;
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_time() {
        let after: Timestamp = "2026-11-24T14:07:30Z".parse().unwrap(); // a Tuesday
        for (schedule, expected) in [
            ("* * * * *", "2026-11-24T14:08:00Z"),
            ("*/15 * * * *", "2026-11-24T14:15:00Z"),
            ("7 14 * * *", "2026-11-25T14:07:00Z"),
            ("30 6-8 * * *", "2026-11-25T06:30:00Z"),
            ("0 0 1 * *", "2026-12-01T00:00:00Z"),
            ("0 9 * * mon-fri", "2026-11-25T09:00:00Z"),
            ("0 9 * * 7", "2026-11-29T09:00:00Z"),
            ("0 0 1 * sun", "2026-11-29T00:00:00Z"),
            ("0 0 29 feb *", "2028-02-29T00:00:00Z"),
            ("50/5 14 * * *", "2026-11-24T14:50:00Z"),
            ("@hourly", "2026-11-24T15:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
        ] {
            let next = Schedule::parse(schedule).unwrap().next(after).unwrap();
            assert_eq!(next.to_string(), expected, "{schedule}");
        }
        assert_eq!(Schedule::parse("0 0 31 2 *").unwrap().next(after), None);
    }

    #[test]
    fn refuses_broken_schedules() {
        for schedule in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "x * * * *"]
        {
            assert_eq!(Schedule::parse(schedule), None, "{schedule}");
        }
    }
}
