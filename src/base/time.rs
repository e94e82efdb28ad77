//! Calendar time without a clock: the proleptic Gregorian calendar in UTC, without leap seconds, as the kernel counts.

use super::keep;
use super::text::Cut;

const DAY: i64 = 86_400;

/// The days from 0000-03-01, where the calendar's 400 year cycle is made to begin, to 1970-01-01.
const EPOCH: i64 = 719_468;

/// The days of a 400 year cycle.
const CYCLE: i64 = 146_097;

/// A moment: seconds since 1970-01-01T00:00:00Z, and nanoseconds, below 1 000 000 000, on top of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds, negative before 1970.
    pub secs: i64,
    /// Nanoseconds, which count forward before 1970 too.
    pub nanos: u32,
}

impl Timestamp {
    /// `2026-01-02T03:04:05.120000000Z` (RFC 3339): always nine digits, as docker's `logs --timestamps` prints.
    ///
    /// The format has years of four digits; a moment outside them becomes the nearest one inside.
    #[must_use]
    pub fn rfc3339(self) -> &'static str {
        keep::lossy(&self.rfc3339_bytes())
    }

    /// The same without the heap.
    #[must_use]
    pub fn rfc3339_bytes(self) -> [u8; 30] {
        let Timestamp { secs, nanos } = self.clamped();
        let (year, month, day) = date(secs.div_euclid(DAY));
        let second = secs.rem_euclid(DAY);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        // Where each number ends; all have fewer digits than there are zeros.
        for (mut end, mut number) in [
            (4, year),
            (7, month),
            (10, day),
            (13, second / 3600),
            (16, second / 60 % 60),
            (19, second % 60),
            (29, i64::from(nanos)),
        ] {
            while number > 0 {
                end -= 1;
                text[end] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        text
    }

    /// `2026-01-02T03:04:05.12Z`: the fraction without its final zeros, as docker's `inspect` prints and Go's `RFC3339Nano`.
    #[must_use]
    pub fn rfc3339_short(self) -> &'static str {
        let (whole, fraction) = self.rfc3339().cut(b'.').unwrap_or_default();
        let digits = fraction.bytes().rposition(|byte| matches!(byte, b'1'..=b'9')).map_or(0, |last| last + 1);
        join!("{}{}{}Z", whole, (if digits == 0 { "" } else { "." }), (&fraction[..digits]))
    }

    /// The nearest moment in the years 0000 to 9999.
    fn clamped(self) -> Timestamp {
        const FIRST: Timestamp = Timestamp { secs: days(0, 1, 1) * DAY, nanos: 0 };
        const LAST: Timestamp = Timestamp { secs: days(10_000, 1, 1) * DAY - 1, nanos: 999_999_999 };
        self.clamp(FIRST, LAST)
    }

    /// Reads a date and time as RFC 3339 (section 5.6) writes it, with any offset. Digits below the nanosecond are dropped;
    /// second 60, the leap second, is the first second of the next minute, as the kernel would count it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        let mut text = Cursor(text.as_bytes());
        let year = text.number(4)?;
        text.byte(b"-")?;
        let month = text.number(2)?;
        text.byte(b"-")?;
        let day = text.number(2)?;
        text.byte(b"Tt")?;
        let hour = text.number(2)?;
        text.byte(b":")?;
        let minute = text.number(2)?;
        text.byte(b":")?;
        let second = text.number(2)?;
        let nanos = text.fraction()?;
        let offset = text.offset()?;
        let days = days(year, month, day);
        // A day that the month lacks comes back as one of the next month.
        let valid =
            (1..=12).contains(&month) && date(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;
        let secs = days * DAY + hour * 3600 + minute * 60 + second - offset;
        (valid && text.0.is_empty()).then_some(Timestamp { secs, nanos })
    }

    /// Whole milliseconds since the clock's beginning.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.secs * 1000 + i64::from(self.nanos / 1_000_000)
    }

    /// The whole seconds from `earlier` to this moment; negative if it is the later one.
    #[must_use]
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        let borrow = i64::from(self.nanos < earlier.nanos);
        self.secs.saturating_sub(earlier.secs).saturating_sub(borrow)
    }
}

/// How long `seconds` are, roughly, in docker's words: `3 minutes`, `About an hour`.
///
/// # Source
/// The steps and their roundings are those of `HumanDuration` in docker's go-units.
#[must_use]
pub fn human_duration(seconds: i64) -> &'static str {
    let minutes = seconds / 60;
    // Hours are rounded to the nearest one, except for counting years.
    let hours = seconds.saturating_add(1800) / 3600;
    let (count, unit) = match (seconds, minutes, hours) {
        (..1, ..) => return "Less than a second",
        (1, ..) => return "1 second",
        (..60, ..) => (seconds, "seconds"),
        (_, 1, _) => return "About a minute",
        (_, ..60, _) => (minutes, "minutes"),
        (.., 1) => return "About an hour",
        (.., ..48) => (hours, "hours"),
        (.., ..336) => (hours / 24, "days"),
        (.., ..1440) => (hours / 24 / 7, "weeks"),
        (.., ..17520) => (hours / 24 / 30, "months"),
        _ => (seconds / 3600 / 24 / 365, "years"),
    };
    join!("{} {}", count, unit)
}

/// The day's number, 0 being 1970-01-01. A month or day beyond its range gives some other day.
///
/// Years are counted from March, so that the leap day is the last one and the months before it fall into a pattern:
/// month `m` after March starts on day `(153 m + 2) / 5`.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    cycle * CYCLE + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - EPOCH
}

/// The year, month and day of the day numbered `days`: the reverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    // Take out the leap days before `day`: one each 4 years (1461 days), except each 100 (36 524), but the one at the cycle's end.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// The text that is still to be read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Takes the next byte if it is one of `set`.
    fn byte(&mut self, set: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| set.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    fn digit(&mut self) -> Option<i64> {
        Some(i64::from(self.byte(b"0123456789")? - b'0'))
    }

    /// Takes a number of exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// Takes the fraction, if there is one, as nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        if self.byte(b".").is_none() {
            return Some(0);
        }
        let mut unit = 100_000_000;
        let mut nanos = self.digit()? * unit;
        while let Some(digit) = self.digit() {
            unit /= 10;
            nanos += digit * unit;
        }
        Some(nanos as u32)
    }

    /// Takes `Z` or `+hh:mm`, as seconds to the east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.byte(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hour = self.number(2)?;
        self.byte(b":")?;
        let minute = self.number(2)?;
        (hour < 24 && minute < 60).then_some(sign * (hour * 3600 + minute * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64, nanos: u32) -> Timestamp {
        Timestamp { secs, nanos }
    }

    #[test]
    fn known_moments_are_written_and_read() {
        // From `date -u -d @N`; the third is the zero time that docker prints for "never".
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.000000000Z"),
            (-62_135_596_800, "0001-01-01T00:00:00.000000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000000Z"),
            (2_147_483_648, "2038-01-19T03:14:08.000000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000000Z"),
            (-62_167_219_200, "0000-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(at(secs, 0).rfc3339(), text);
            assert_eq!(Timestamp::parse(text), Some(at(secs, 0)), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let length = |year: i64, month: i64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (1800, 1, 1);
        for number in days(1800, 1, 1)..=days(2210, 1, 1) {
            assert_eq!(date(number), (year, month, day));
            assert_eq!(days(year, month, day), number);
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn random_moments_come_back_from_their_texts() {
        let mut random = 0x5eed_u64;
        for _ in 0..10_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let moment = at((random % 315_569_520_000) as i64 - 62_167_219_200, (random >> 20) as u32 % 1_000_000_000);
            assert_eq!(Timestamp::parse(moment.rfc3339()), Some(moment));
            assert_eq!(Timestamp::parse(moment.rfc3339_short()), Some(moment));
        }
    }

    #[test]
    fn the_short_form_drops_final_zeros_and_nothing_else() {
        for (nanos, text) in [(0, "00Z"), (120_000_000, "00.12Z"), (1, "00.000000001Z"), (999_999_990, "00.99999999Z")]
        {
            assert_eq!(at(0, nanos).rfc3339_short(), format!("1970-01-01T00:00:{text}"));
        }
    }

    #[test]
    fn moments_outside_the_format_become_the_nearest_inside() {
        assert_eq!(at(i64::MAX, 0).rfc3339(), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(at(i64::MIN, 5).rfc3339(), "0000-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn offsets_fractions_and_leap_seconds_are_understood() {
        for (text, secs, nanos) in [
            // The examples of RFC 3339, section 5.8.
            ("1985-04-12T23:20:50.52Z", 482_196_050, 520_000_000),
            ("1996-12-19T16:39:57-08:00", 851_042_397, 0),
            ("1990-12-31T23:59:60Z", 662_688_000, 0),
            ("1990-12-31T15:59:60-08:00", 662_688_000, 0),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_173, 870_000_000),
            ("1970-01-01t00:00:00.1234567899z", 0, 123_456_789),
            ("1970-01-01T00:00:00+23:59", -86_340, 0),
        ] {
            assert_eq!(Timestamp::parse(text), Some(at(secs, nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_or_time_is_refused() {
        for text in [
            "",
            "1970",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-01-32T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-04-31T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:61Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+00:60",
            "1970-01-01T00:00:00+0000",
            "1970-01-01T00:00:00Zz",
            "+970-01-01T00:00:00Z",
            "1970-1-01T00:00:00Z",
            "197\u{660}-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_between_moments_are_whole_and_signed() {
        assert_eq!(at(10, 5).seconds_since(at(8, 6)), 1);
        assert_eq!(at(10, 5).seconds_since(at(8, 5)), 2);
        assert_eq!(at(8, 5).seconds_since(at(10, 5)), -2);
        assert_eq!(at(i64::MIN, 0).seconds_since(at(i64::MAX, 1)), i64::MIN);
    }

    #[test]
    fn durations_are_worded_as_docker_words_them() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        // The cases of go-units' own test, and the edges between the steps.
        for (seconds, text) in [
            (i64::MIN, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (3 * 60, "3 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * 60 + 59, "About an hour"),
            (HOUR + 30 * 60, "2 hours"),
            (3 * HOUR + 59 * 60, "4 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (7 * DAY, "7 days"),
            (14 * DAY, "2 weeks"),
            (30 * DAY, "4 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (365 * DAY, "12 months"),
            (2 * 365 * DAY - HOUR, "24 months"),
            (2 * 365 * DAY, "2 years"),
            (i64::MAX, "292471208677 years"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds} seconds");
        }
    }
}
