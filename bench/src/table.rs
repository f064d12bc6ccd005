//! The result: rows of figures, as text for people and as JSON for programs.

use serde_json::{Value, json};

use crate::servers::Implementation;

const COLUMNS: usize = Implementation::ALL.len();

/// One measure of all implementations.
pub(crate) struct Row {
    pub(crate) measure: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// For each round, a figure for each implementation in the order of [`Implementation::ALL`].
    pub(crate) rounds: Vec<[f64; COLUMNS]>,
    pub(crate) bar: Option<Bar>,
}

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// What nodetls has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    /// The ratio to tokio-openssl.
    RatioAtLeast(f64),
    /// The ratio to tokio-openssl.
    RatioAtMost(f64),
    /// The figure itself.
    Below(f64),
}

impl Bar {
    fn is_met(self, row: &Row) -> bool {
        match self {
            Self::RatioAtLeast(bar) => row.ratio() >= bar,
            Self::RatioAtMost(bar) => row.ratio() <= bar,
            Self::Below(bar) => row.spread(0).median < bar,
        }
    }

    fn text(self) -> String {
        match self {
            Self::RatioAtLeast(bar) => format!("ratio ≥ {bar:.2}"),
            Self::RatioAtMost(bar) => format!("ratio ≤ {bar:.2}"),
            Self::Below(bar) => format!("< {bar}"),
        }
    }
}

/// Median and extremes of all rounds.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (lower, upper) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self { median: f64::midpoint(lower, upper), min: figures[0], max: figures[figures.len() - 1] }
    }
}

impl Row {
    fn spread(&self, column: usize) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round[column]).collect())
    }

    /// nodetls ÷ tokio-openssl: the median of the rounds' own ratios, in which most of the noise cancels out.
    fn ratio(&self) -> f64 {
        Spread::of(self.rounds.iter().map(|round| round[0] / round[1]).collect()).median
    }

    fn cells(&self, judged: bool) -> Vec<String> {
        let better = match self.better {
            Better::More => "more",
            Better::Less => "less",
        };
        let mut cells = vec![self.measure.to_owned(), self.unit.to_owned(), better.to_owned()];
        for column in 0..COLUMNS {
            let Spread { median, min, max } = self.spread(column);
            cells.push(format!("{median:.0} ({min:.0}..{max:.0})"));
        }
        cells.push(format!("{:.2}", self.ratio()));
        cells.push(self.bar.map_or_else(String::new, |bar| match (judged, bar.is_met(self)) {
            (false, _) => bar.text(),
            (true, true) => format!("{} OK", bar.text()),
            (true, false) => format!("{} MISSED", bar.text()),
        }));
        cells
    }
}

/// The table for people.
pub(crate) fn text(rows: &[Row], judged: bool) -> String {
    let names = Implementation::ALL.map(Implementation::name);
    let header = ["measure", "unit", "better", names[0], names[1], names[2], "ratio", "bar"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| row.cells(judged)));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::from("Medians (lowest..highest). Ratio: nodetls ÷ tokio-openssl.\n\n");
    for line in lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    if !judged {
        text.push_str("\nA quick run: everything works, but the figures mean nothing.\n");
    }
    text
}

/// The same as JSON.
pub(crate) fn json(rows: &[Row], judged: bool) -> Value {
    let rows: Vec<Value> = rows.iter().map(|row| row_json(row, judged)).collect();
    json!({ "rows": rows, "judged": judged })
}

fn row_json(row: &Row, judged: bool) -> Value {
    let figure = |(column, implementation): (usize, Implementation)| {
        let Spread { median, min, max } = row.spread(column);
        (implementation.name().to_owned(), json!({ "median": median, "min": min, "max": max }))
    };
    let figures: serde_json::Map<_, _> = Implementation::ALL.into_iter().enumerate().map(figure).collect();
    json!({
        "measure": row.measure,
        "unit": row.unit,
        "better": if row.better == Better::More { "more" } else { "less" },
        "figures": figures,
        "ratio": row.ratio(),
        "bar": row.bar.map(Bar::text),
        "met": row.bar.filter(|_| judged).map(|bar| bar.is_met(row)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rounds: Vec<[f64; COLUMNS]>, better: Better, bar: Bar) -> Row {
        Row { measure: "a measure", unit: "units", better, rounds, bar: Some(bar) }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        let rounds = vec![[2.0, 1.0, 0.0], [30.0, 10.0, 0.0], [4.0, 4.0, 0.0]];
        let row = row(rounds, Better::More, Bar::RatioAtLeast(2.1));
        assert_eq!(row.ratio(), 2.0);
        assert_eq!(
            row.cells(true)[3..],
            ["4 (2..30)", "4 (1..10)", "0 (0..0)", "2.00", "ratio ≥ 2.10 MISSED"]
        );
    }

    #[test]
    fn an_even_number_of_rounds_has_a_median_between_the_middle_ones() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn a_quick_run_is_not_judged() {
        let row = row(vec![[1.0, 1.0, 1.0]], Better::Less, Bar::Below(2.0));
        assert_eq!(row.cells(false)[7], "< 2");
        assert_eq!(row.cells(true)[7], "< 2 OK");
        assert_eq!(json(&[row], false)["rows"][0]["met"], Value::Null);
    }
}
