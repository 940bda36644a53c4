//! A date and time of day, as templates ask for it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A second of the proleptic Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    days: i64,
    second: u32,
}

const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Moment {
    /// So many seconds after 1970 began.
    pub fn from_unix(seconds: i64) -> Self {
        Moment { days: seconds.div_euclid(86_400), second: seconds.rem_euclid(86_400) as u32 }
    }

    /// Year, month and day of the month, from 1. After Howard Hinnant, "chrono-compatible low-level date algorithms": eras of
    /// 400 years that begin in March.
    fn date(self) -> (i64, u32, u32) {
        let days = self.days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153; // 0 is March
        let day_of_month = day - (153 * month + 2) / 5 + 1;
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (year + era * 400 + next_year, month as u32, day_of_month as u32)
    }

    /// As C's `strftime` in the C locale; the character after a `%` that is not known is the error.
    pub(super) fn format(self, format: &str) -> Result<String, char> {
        let (year, month, day) = self.date();
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[self.days.rem_euclid(7) as usize]);
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(char) = chars.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            let field = match chars.next().unwrap_or('%') {
                'Y' => year.to_string(),
                'y' => format!("{:02}", year.rem_euclid(100)),
                'm' => format!("{month:02}"),
                'd' => format!("{day:02}"),
                'e' => format!("{day:2}"),
                'B' => month_name.to_owned(),
                'b' => month_name[..3].to_owned(),
                'A' => day_name.to_owned(),
                'a' => day_name[..3].to_owned(),
                'H' => format!("{hour:02}"),
                'I' => format!("{:02}", (hour + 11) % 12 + 1),
                'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
                'M' => format!("{minute:02}"),
                'S' => format!("{second:02}"),
                'F' => format!("{year}-{month:02}-{day:02}"),
                'T' => format!("{hour:02}:{minute:02}:{second:02}"),
                '%' => "%".to_owned(),
                unknown => return Err(unknown),
            };
            text.push_str(&field);
        }
        Ok(text)
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Moment::from_unix(seconds.try_into().unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn known_days() {
        let format = |seconds, format| Moment::from_unix(seconds).format(format).unwrap();
        assert_eq!(format(0, "%A %F %T"), "Thursday 1970-01-01 00:00:00");
        assert_eq!(format(951_782_400, "%d %b %Y, %a"), "29 Feb 2000, Tue");
        assert_eq!(format(1_721_952_000 + 13 * 3600 + 62, "%d %B %y %I:%M:%S %p%%"), "26 July 24 01:01:02 PM%");
        assert_eq!(format(4_102_444_799, "%Y-%m-%e %H"), "2099-12-31 23");
        assert_eq!(format(-1, "%F %H"), "1969-12-31 23");
        assert_eq!(Moment::from_unix(0).format("%Q"), Err('Q'));
    }
}
