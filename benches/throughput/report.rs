//! The figures as a table and as JSON.

use crate::face::Figures;
use crate::machine;
use crate::measure::Measured;
use crate::options::Options;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::Path;

/// All runs, with what they ran on.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    runs: Vec<(String, Vec<Measured>)>,
    /// Of the HTTP face.
    pub(crate) face: Option<Figures>,
}

impl Report {
    pub(crate) async fn new(options: &Options) -> Result<Self> {
        Ok(Self { machine: machine::describe(options).await?, runs: Vec::new(), face: None })
    }

    pub(crate) fn add(&mut self, run: &str, measured: Measured) {
        eprintln!(
            "  {run}: {:.1} s, {:.0} records/s",
            measured.seconds,
            measured.records_per_second()
        );
        match self.runs.iter_mut().find(|(name, _)| name == run) {
            Some((_, rounds)) => rounds.push(measured),
            None => self.runs.push((run.to_owned(), vec![measured])),
        }
    }

    /// The round in the middle.
    fn median(&self, run: &str) -> Option<&Measured> {
        let (_, rounds) = self.runs.iter().find(|(name, _)| name == run)?;
        let mut sorted: Vec<_> = rounds.iter().collect();
        sorted.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        sorted.get(sorted.len() / 2).copied()
    }

    /// What the goals are about: name, value, goal, whether it is reached.
    fn goals(&self) -> Vec<(&'static str, f64, &'static str, bool)> {
        let speed = |run| self.median(run).map(Measured::records_per_second);
        let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
        let bare = ["bare, 1 connection", "bare, 2 connections", "bare, 4 connections"];
        let best = bare.iter().filter_map(|run| speed(run)).reduce(f64::max);
        let worker = self.median("rollcall");
        let memory = |run: &str| Some(self.median(run)?.worker.as_ref()?.peak_memory as f64);
        let mut goals = Vec::new();
        let mut goal = |name, value: Option<f64>, text, reached: fn(f64) -> bool| {
            if let Some(value) = value {
                goals.push((name, value, text, reached(value)));
            }
        };
        let rollcall = speed("rollcall");
        goal(
            "rollcall / bare on one connection",
            ratio(rollcall, speed(bare[0])),
            "≥ 0.7",
            |v| v >= 0.7,
        );
        goal("rollcall / bare at its best", ratio(rollcall, best), "", |_| true);
        goal("rollcall / naive", ratio(rollcall, speed("naive")), "≥ 5", |v| v >= 5.0);
        goal("plain / rollcall", ratio(speed("plain"), rollcall), "", |_| true);
        goal(
            "CPU of worker / Postgres",
            worker.filter(|m| m.postgres_cpu > 0.0).map(|m| m.client_cpu / m.postgres_cpu),
            "≤ 1",
            |v| v <= 1.0,
        );
        goal(
            "peak memory of the worker, MB",
            memory("rollcall").map(|bytes| bytes / 1e6),
            "≤ 150",
            |v| v <= 150.0,
        );
        let items = |run| self.median(run).map(Measured::items_per_second);
        goal(
            "mixed / enrollments, items",
            ratio(items("rollcall, mixed"), items("rollcall")),
            "≥ 0.8",
            |v| v >= 0.8,
        );
        goal(
            "full / empty tables",
            ratio(speed("rollcall, full tables"), rollcall),
            "≥ 0.8",
            |v| v >= 0.8,
        );
        goal(
            "peak memory, backlog × 3 / × 1",
            ratio(memory("rollcall, backlog × 3"), memory("rollcall, backlog × 1")),
            "≤ 1.1",
            |v| v <= 1.1,
        );
        let proof = |run: &str| Some(self.median(run)?.proof.as_ref()?.peak_memory as f64);
        goal(
            "memory of reconcile, × 3 / × 1",
            ratio(proof("rollcall, backlog × 3"), proof("rollcall, backlog × 1")),
            "≤ 1.1",
            |v| v <= 1.1,
        );
        goals.extend(self.face.iter().flat_map(Figures::goals));
        goals
    }

    /// Prints the medians, the ratios and the goals.
    pub(crate) fn print(&self) {
        let machine = |name: &str| self.machine.get(name).map_or(String::new(), plain_text);
        println!(
            "{} × {}, {}, Linux {}, load before {}",
            machine("cores"),
            machine("cpu"),
            machine("memory"),
            machine("kernel"),
            machine("load_before")
        );
        let postgres =
            self.machine.pointer("/postgres/server_version").map_or(String::new(), plain_text);
        println!(
            "Postgres {postgres} (fsync on), Kafka {}, librdkafka {}, rollcall {}\n",
            machine("kafka"),
            machine("librdkafka"),
            machine("rollcall")
        );
        match &self.face {
            Some(figures) => figures.print(),
            None => self.print_runs(),
        }
        println!();
        for (name, value, goal, reached) in self.goals() {
            let verdict = match (goal, reached) {
                ("", _) => String::new(),
                (goal, true) => format!("goal {goal}: reached"),
                (goal, false) => format!("goal {goal}: NOT reached"),
            };
            println!("{name:<36} {value:>8.2}   {verdict}");
        }
        if let Some(difference) = self.difference() {
            println!("\nCareful: {difference}");
        }
    }

    fn print_runs(&self) {
        println!(
            "{:<24} {:>8} {:>10} {:>10} {:>28} {:>8}",
            "", "seconds", "records/s", "rows/s", "CPU s / 100,000 records", "WAL"
        );
        println!(
            "{:<24} {:>8} {:>10} {:>10} {:>9} {:>9} {:>8} {:>8}",
            "", "", "", "", "client", "Postgres", "Kafka", "B/record"
        );
        for (run, _) in &self.runs {
            let Some(m) = self.median(run) else { continue };
            println!(
                "{run:<24} {:>8.1} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>8.2} {:>8.0}",
                m.seconds,
                m.records_per_second(),
                m.rows_per_second(),
                m.per_100k(m.client_cpu),
                m.per_100k(m.postgres_cpu),
                m.per_100k(m.kafka_cpu),
                m.wal_bytes as f64 / m.records as f64
            );
        }
        for (run, _) in &self.runs {
            let Some((m, worker)) = self.median(run).and_then(|m| Some((m, m.worker.as_ref()?)))
            else {
                continue;
            };
            println!(
                "\n{run}: {:.0} items/s; applied after {:.1} s, published after {:.1} s; {:.1} s from the start of the process; {:.0} transactions; {:.0} MB at most",
                m.items_per_second(),
                worker.applied_seconds,
                m.seconds,
                worker.wall_seconds,
                worker.transactions,
                worker.peak_memory as f64 / 1e6
            );
            let stages: Vec<_> =
                worker.stages.iter().map(|(stage, s)| format!("{stage} {s:.1}")).collect();
            println!("  seconds by stage, summed over lanes: {}", stages.join(", "));
            if let Some(proof) = &m.proof {
                println!(
                    "  proved by reconcile in {:.1} s, with {:.0} MB at most",
                    proof.seconds,
                    proof.peak_memory as f64 / 1e6
                );
            }
        }
    }

    /// Bare and Rollcall must have written the same.
    fn difference(&self) -> Option<String> {
        let (bare, rollcall) = (self.median("bare, 1 connection")?, self.median("rollcall")?);
        let differs = |table: &&str| bare.tables.get(*table) != rollcall.tables.get(*table);
        let tables =
            ["inbox", "names", "registrants", "memberships", "membership_history", "outbox"];
        let different: Vec<_> = tables.iter().filter(|table| differs(table)).copied().collect();
        if !different.is_empty() {
            return Some(format!("bare and rollcall wrote other rows: {}", different.join(", ")));
        }
        let (bare, rollcall) = (bare.body_bytes, rollcall.body_bytes);
        (bare != rollcall).then(|| format!("bodies: bare {bare} bytes, rollcall {rollcall}"))
    }

    /// Writes everything, every round.
    pub(crate) fn write(&self, path: Option<&Path>) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let goals: Vec<_> = self
            .goals()
            .into_iter()
            .map(|(name, value, goal, reached)| {
                json!({"name": name, "value": value, "goal": goal, "reached": reached})
            })
            .collect();
        let runs: Vec<_> = self
            .runs
            .iter()
            .map(|(run, rounds)| {
                let median = self.median(run);
                json!({
                    "run": run,
                    "records_per_second": median.map(Measured::records_per_second),
                    "items_per_second": median.map(Measured::items_per_second),
                    "rows_per_second": median.map(Measured::rows_per_second),
                    "rounds": rounds,
                })
            })
            .collect();
        let all = json!({"machine": self.machine, "runs": runs, "http": self.face, "goals": goals});
        std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
            .with_context(|| path.display().to_string())
    }
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
