//! The filter of the log, while the process runs.

use std::sync::OnceLock;

/// Changes the filter of the subscriber that the process installed.
type Reload = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

static RELOAD: OnceLock<Reload> = OnceLock::new();

/// Called once by whoever installs the subscriber.
pub fn install(reload: Reload) {
    // A second one exists only where a process starts a server twice, in tests.
    let _ = RELOAD.set(reload);
}

pub fn set_filter(filter: &str) -> Result<(), String> {
    let reload = RELOAD.get();
    reload.map_or_else(|| Err("this process writes no log of its own".to_owned()), |it| it(filter))
}

/// The filter that somebody asked for. salsa tells of every query at the level of news, which is
/// thousands of lines per edit; it speaks where the filter names it.
pub fn full(filter: &str) -> String {
    if filter.contains("salsa") { filter.to_owned() } else { format!("{filter},salsa=warn") }
}

#[cfg(test)]
mod tests {
    use super::full;

    #[test]
    fn salsa_speaks_only_where_it_is_named() {
        assert_eq!(full("info"), "info,salsa=warn");
        assert_eq!(full("warn,salsa=info"), "warn,salsa=info");
    }
}
