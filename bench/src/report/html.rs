//! The report as one page that needs nothing else: no script, no network.

use std::fmt::Write;

use super::{Entry, Found, Machine, Outcome, Report, Verdict, per_second, svg};

const STYLE: &str = "
:root{--ink:#1b1f24;--soft:#5b6572;--paper:#fff;--line:#d8dde3;--good:#23804a;--bad:#b5382f;--blue:#2f5fb3}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e9ed;--soft:#98a2ae;--paper:#15181c;--line:#343a42;--good:#4cb878;--bad:#e0695f;--blue:#7aa5ee}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:66rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem;border-top:1px solid var(--line);padding-top:1rem}
p{margin:.3rem 0}.soft,caption,th{color:var(--soft)}table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}
th{font-weight:500;text-align:left}td,th{padding:.2rem .9rem .2rem 0;vertical-align:middle}td.n{text-align:right}
.good{color:var(--good)}.bad{color:var(--bad)}svg{width:100%;max-width:29rem;height:auto}svg.bar{width:220px;height:14px}
svg text{font-size:11px;fill:var(--soft)}.axis,.grid,.line,.mark{fill:none;stroke:var(--line)}.axis{stroke:var(--soft)}
.line{stroke:var(--blue);stroke-width:1.6}.track{fill:var(--line);opacity:.5}.met{fill:var(--good)}.missed{fill:var(--bad)}
.mark{stroke:var(--ink);stroke-width:2}.mark.aim{stroke-dasharray:3 2}.plots{display:flex;flex-wrap:wrap;gap:1rem}.plots>*{flex:1 1 24rem}
";

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut body = String::from("<h1>Ringmail benchmark report</h1>");
    body += &machine(&report.machine);
    body += &summary(&report.scenarios);
    for entry in &report.scenarios {
        body += &scenario(entry);
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Ringmail benchmark report</title><style>{STYLE}</style>{body}</html>"
    )
}

fn machine(machine: &Machine) -> String {
    format!(
        "<p class=soft>{}, {} cores, {} MiB of memory, Linux {}, disk {}; {}. The broker has one core and the client \
         another. Ratios are against what this machine did without a broker, right before and right after.</p>",
        escape(&machine.cpu),
        machine.cores,
        machine.memory_mib,
        escape(&machine.kernel),
        escape(&machine.disk),
        escape(&machine.date)
    )
}

fn summary(entries: &[Entry]) -> String {
    let mut rows = String::new();
    for entry in entries {
        match &entry.found {
            Found::Result { outcome, verdicts } => {
                for verdict in verdicts {
                    rows += &goal_row(&outcome.figures.scenario, verdict);
                }
            }
            Found::Failure { scenario, .. } => {
                let _ = write!(rows, "<tr><td>{}<td class=bad colspan=5>failed", escape(scenario));
            }
        }
    }
    format!(
        "<table><tr><th>scenario<th>figure<th>value<th>at least<th>aim<th>solid mark: at least, dashed: aim{rows}</table>"
    )
}

fn goal_row(scenario: &str, verdict: &Verdict) -> String {
    let class = if verdict.met { "good" } else { "bad" };
    let value = verdict.value.map_or("not measured".to_owned(), |value| value.to_string());
    let goal = verdict.goal;
    format!(
        "<tr><td><a href=\"#{0}\">{0}</a><td>{1}<td class=\"n {class}\">{value}<td class=n>{2}<td class=n>{3}<td>{4}",
        escape(scenario),
        goal.figure,
        goal.at_least,
        goal.aim,
        svg::verdict(verdict)
    )
}

fn scenario(entry: &Entry) -> String {
    match &entry.found {
        Found::Result { outcome, .. } => {
            let mut text = format!(
                "<h2 id=\"{0}\">{0}</h2><p class=soft>{1}</p>",
                escape(&outcome.figures.scenario),
                escape(entry.about)
            );
            text += &figures(outcome);
            text += &limits(outcome);
            text + &plots(outcome)
        }
        Found::Failure { scenario, error } => format!(
            "<h2 id=\"{0}\">{0}</h2><p class=soft>{1}</p><p class=bad>{2}</p>",
            escape(scenario),
            escape(entry.about),
            escape(error)
        ),
    }
}

fn figures(outcome: &Outcome) -> String {
    let optional = |value: Option<f64>| value.map_or("–".to_owned(), |value| value.to_string());
    let mut rows = String::new();
    let mut row = |name: &str, value: String| {
        let _ = write!(rows, "<tr><td>{}<td class=n>{}", escape(name), escape(&value));
    };
    row("rate", per_second(outcome.figures.records_per_s, "records/s"));
    row("bandwidth", per_second(outcome.figures.bytes_per_s, "bytes/s"));
    row(&format!("share of {}", outcome.figures.limit), outcome.figures.ratio.to_string());
    row("p50, us", optional(outcome.figures.p50_us));
    row("p99, us", optional(outcome.figures.p99_us));
    row("broker CPU a record, us", optional(outcome.figures.broker_cpu_us_per_record));
    row("broker memory, MiB", outcome.figures.broker_rss_mib.to_string());
    for (name, value) in &outcome.figures.more {
        row(name, value.to_string());
    }
    format!("<table>{rows}</table>")
}

fn limits(outcome: &Outcome) -> String {
    if outcome.limits.is_empty() {
        return String::new();
    }
    let mut rows =
        String::from("<tr><th>limit of the machine<th>before<th>after<th>p50 before, us<th>p50 after, us");
    for bounds in &outcome.limits {
        let limit = bounds.before.limit;
        let _ = write!(
            rows,
            "<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{:.1}<td class=n>{:.1}",
            limit.name(),
            per_second(bounds.before.per_second, limit.unit()),
            per_second(bounds.after.per_second, limit.unit()),
            bounds.before.p50_us,
            bounds.after.p50_us
        );
    }
    format!("<table>{rows}</table>")
}

fn plots(outcome: &Outcome) -> String {
    let series = outcome.series.iter().map(svg::series);
    let curves = outcome.curves.iter().map(svg::curve);
    format!("<div class=plots>{}</div>", series.chain(curves).collect::<String>())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
