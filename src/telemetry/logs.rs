//! Log lines on stderr.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Targets that talk too much at `info`, or show statements; quiet unless named in the filter.
const QUIET: &str = "sqlx=warn,rdkafka=warn,librdkafka=warn";

/// Form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For eyes; in color on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not one.
    #[error("{from} is no filter of levels by target, such as info or warn,rollcall=debug")]
    Filter {
        /// `RUST_LOG` or `log.filter`.
        from: &'static str,
    },
    /// Somebody has set up logging before.
    #[error("logging is set up already")]
    Twice,
}

/// Begins logging; `RUST_LOG` wins over `filter`.
///
/// A panic is logged with its place and without its words, which may hold values (P9).
///
/// # Errors
/// The filter that counts is none, or logging has begun before.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    let rust_log = std::env::vars_os().find(|(name, _)| name == "RUST_LOG").map(|(_, value)| value);
    let filter = match rust_log.filter(|value| !value.is_empty()) {
        Some(value) => parse(&value.to_string_lossy(), "RUST_LOG")?,
        None => parse(filter, "log.filter")?,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match format {
        Format::Human => {
            let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(lines.with_ansi(color)).try_init()
        }
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    if begun.is_err() {
        return Err(InitError::Twice);
    }
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked at {place}");
    }));
    Ok(())
}

fn parse(filter: &str, from: &'static str) -> Result<EnvFilter, InitError> {
    // Later directives win, so what the user says of a quiet target counts.
    match EnvFilter::builder().parse(format!("{QUIET},{filter}")) {
        Ok(filter) => Ok(filter),
        Err(_) => Err(InitError::Filter { from }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chatty_targets_are_quiet_unless_named() {
        assert!(parse("info", "x").unwrap().to_string().contains("sqlx=warn"));
        let named = parse("info,sqlx=debug", "x").unwrap().to_string();
        assert!(named.contains("sqlx=debug") && !named.contains("sqlx=warn"), "{named}");
        assert!(parse("info,=nonsense=", "x").is_err());
    }
}
