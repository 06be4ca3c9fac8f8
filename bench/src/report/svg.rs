//! Plots as inline SVG. Colours are the page's, by class.

use std::fmt::Write;

use super::{Curve, Series, Verdict};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 26.0;

/// Places values on the plot's area.
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        LEFT + share(value, self.x) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - share(value, self.y) * (HEIGHT - TOP - BOTTOM)
    }

    fn line(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (x, y) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(x), self.y(y));
        }
        format!(r#"<path class="line" d="{path}"/>"#)
    }
}

/// Where a value lies between two bounds, 0 to 1; in the middle if they are equal.
fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    if high > low { (value - low) / (high - low) } else { 0.5 }
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#)
}

fn frame(title: &str, body: &str) -> String {
    let title = text(LEFT, 14.0, "start", title);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>{title}{body}</svg>"#
    )
}

fn grid(axes: &Axes, y: f64, label: &str) -> String {
    let height = axes.y(y);
    let line = format!(r#"<path class="grid" d="M{LEFT} {height:.1}H{:.1}"/>"#, WIDTH - RIGHT);
    line + &text(LEFT - 6.0, height + 4.0, "end", label)
}

/// A line over time, from zero.
pub fn series(series: &Series) -> String {
    let top = series.points.iter().map(|point| point.1).fold(0.0, f64::max);
    let end = series.points.last().map_or(1.0, |point| point.0);
    let axes = Axes { x: (0.0, end), y: (0.0, if top > 0.0 { top * 1.05 } else { 1.0 }) };
    let mut body = String::new();
    for step in [0.0, 0.5, 1.0] {
        body += &grid(&axes, top * step, &short(top * step));
    }
    body += &text(WIDTH - RIGHT, HEIGHT - 8.0, "end", &format!("{end:.1} s"));
    body += &axes.line(series.points.iter().copied());
    frame(series.name, &body)
}

/// A latency distribution: the x axis gives each nine the same room, the y axis is logarithmic.
pub fn curve(curve: &Curve) -> String {
    let nines = |share: f64| -(1.0 - share).max(1e-5).log10();
    let log = |us: f64| us.max(0.1).log10();
    let logs = curve.points.iter().map(|point| log(point.1));
    let low = logs.clone().fold(f64::INFINITY, f64::min).floor();
    let high = logs.fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
    if !low.is_finite() {
        return frame(curve.name, "");
    }
    let axes = Axes { x: (0.0, 5.0), y: (low, high) };
    let mut body = String::new();
    for decade in low as i32..=high as i32 {
        body += &grid(&axes, f64::from(decade), &microseconds(10f64.powi(decade)));
    }
    for (share, label) in [(0.5, "50%"), (0.9, "90%"), (0.99, "99%"), (0.999, "99.9%"), (1.0, "max")] {
        let anchor = if share < 1.0 { "middle" } else { "end" };
        body += &text(axes.x(nines(share)), HEIGHT - 8.0, anchor, label);
    }
    body += &axes.line(curve.points.iter().map(|&(share, us)| (nines(share), log(us))));
    frame(curve.name, &body)
}

/// How far a figure is from its goal: a bar for the figure, a mark for the minimum, one for the aim. Further right is
/// better in both directions, and the minimum is always at the same place.
pub fn verdict(verdict: &Verdict) -> String {
    const BAR_WIDTH: f64 = 220.0;
    const MINIMUM: f64 = 0.5;
    let goal = verdict.goal;
    let standing = |value: f64| if goal.more { value / goal.at_least } else { goal.at_least / value };
    let place = |value: f64| (standing(value) * MINIMUM).clamp(0.0, 1.0) * BAR_WIDTH;
    let class = if verdict.met { "met" } else { "missed" };
    let length = verdict.value.filter(|value| *value > 0.0).map_or(0.0, place);
    let bars = format!(
        r#"<rect class="track" width="{BAR_WIDTH}" height="14"/><rect class="{class}" width="{length:.1}" height="14"/>"#
    );
    let (at_least, aim) = (place(goal.at_least), place(goal.aim));
    let marks =
        format!(r#"<path class="mark" d="M{at_least:.1} 0v14"/><path class="mark aim" d="M{aim:.1} 0v14"/>"#);
    format!(r#"<svg class="bar" viewBox="0 0 {BAR_WIDTH} 14" role="img">{bars}{marks}</svg>"#)
}

fn short(value: f64) -> String {
    super::per_second(value, "").trim_end().replace(' ', "")
}

fn microseconds(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} s", v / 1e6),
        v if v >= 1e3 => format!("{} ms", v / 1e3),
        v => format!("{v} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Outcome};

    #[test]
    fn plots_of_nothing_are_still_plots() {
        assert!(series(&Series { name: "x", points: vec![] }).ends_with("</svg>"));
        assert!(curve(&Curve { name: "x", points: vec![] }).ends_with("</svg>"));
    }

    #[test]
    fn points_stay_inside_the_frame() {
        let axes = Axes { x: (0.0, 10.0), y: (0.0, 5.0) };
        assert_eq!((axes.x(0.0), axes.x(10.0)), (LEFT, WIDTH - RIGHT));
        assert_eq!((axes.y(0.0), axes.y(5.0)), (HEIGHT - BOTTOM, TOP));
        assert_eq!(share(3.0, (3.0, 3.0)), 0.5);
    }

    #[test]
    fn a_bar_beyond_its_aim_is_cut_at_the_end() {
        let mut outcome = Outcome::new("x");
        outcome.figures.ratio = 100.0;
        let bar = verdict(&Goal::more("ratio", 0.5, 0.9).judge(&outcome));
        assert!(bar.contains(r#"class="met" width="220.0""#), "{bar}");
    }
}
