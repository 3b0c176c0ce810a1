//! Measured against true: how far apart, in units of what.

/// Values of one quantity, each with its truth and its standard error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulls {
    /// (measured, true, σ).
    values: Vec<(f64, f64, f64)>,
}

/// What is asked of a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Bias, mean and scatter of the pulls are those of unbiased values with honest errors.
    Calibrated,
    /// Printed only: the row's name says why.
    None,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) pulls: Pulls,
    pub(crate) demand: Demand,
}

/// Rows with fewer values say too little to be judged.
const LEAST: usize = 50;

impl Pulls {
    pub(crate) fn add(&mut self, measured: f64, truth: f64, sigma: f64) {
        self.values.push((measured, truth, sigma));
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn n(&self) -> f64 {
        self.values.len() as f64
    }

    fn pulls(&self) -> impl Iterator<Item = f64> {
        self.values.iter().map(|(measured, truth, sigma)| (measured - truth) / sigma)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.pulls().sum::<f64>() / self.n()
    }

    pub(crate) fn scatter(&self) -> f64 {
        let mean = self.mean();
        let sum: f64 = self.pulls().map(|pull| (pull - mean) * (pull - mean)).sum();
        (sum / (self.n() - 1.0)).sqrt()
    }

    /// Standard error of the mean pull.
    pub(crate) fn mean_error(&self) -> f64 {
        self.scatter() / self.n().sqrt()
    }

    /// Best estimate of a common relative bias in percent, and its standard error: residuals over
    /// true values, each with the weight of its own error.
    pub(crate) fn bias_percent(&self) -> (f64, f64) {
        let (mut signal, mut weight) = (0.0, 0.0);
        for (measured, truth, sigma) in &self.values {
            signal += (measured - truth) * truth / (sigma * sigma);
            weight += truth * truth / (sigma * sigma);
        }
        (100.0 * signal / weight, 100.0 / weight.sqrt())
    }
}

/// A bias of a tenth of σ is what second-order terms of ratios leave at S/N 10: a measured width or
/// index is skewed by 1/(S/N) of its σ, and its error estimate leans with it by as much.
const BIAS_SIGMA: f64 = 0.1;
/// The same terms relative to the value: the square of one in ten.
const BIAS_PERCENT: f64 = 1.0;
/// They change the scatter by their square; the rest is room for missing pixels.
const SCATTER: f64 = 0.05;
/// Standard errors of mean and scatter on top, so that one row of a hundred fails once in 160 seeds.
const STANDARD_ERRORS: f64 = 4.0;

impl Row {
    /// Why the row is not as it should be.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.demand == Demand::None || self.pulls.len() < LEAST {
            return None;
        }
        let (mean, scatter, n) = (self.pulls.mean(), self.pulls.scatter(), self.pulls.n());
        let most = BIAS_SIGMA + STANDARD_ERRORS / n.sqrt();
        let off = SCATTER + STANDARD_ERRORS / (2.0 * n).sqrt();
        let (bias, error) = self.pulls.bias_percent();
        let mut faults = Vec::new();
        if bias.is_nan() || bias.abs() > BIAS_PERCENT + STANDARD_ERRORS * error {
            faults.push(format!("bias {bias:.3} ± {error:.3} %"));
        }
        if mean.is_nan() || mean.abs() > most {
            faults.push(format!("mean pull {mean:.3} beyond {most:.3}"));
        }
        if scatter.is_nan() || (scatter - 1.0).abs() > off {
            faults.push(format!("pull scatter {scatter:.3} off 1 by more than {off:.3}"));
        }
        (!faults.is_empty()).then(|| format!("{}: {}", self.name, faults.join(", ")))
    }
}

/// Where a row stands in the table.
fn place(row: &Row) -> (u8, &str) {
    let name = row.name.as_str();
    let family = match name {
        _ if row.demand == Demand::None => 6,
        _ if name.contains("junctions") || name.contains("elsewhere") => 5,
        _ if name.starts_with("all ") || name.starts_with("narrow ") => 4,
        _ if name.ends_with("_ew") => 3,
        _ if name.ends_with("_flux") => 2,
        _ if name.starts_with("lick_") => 1,
        _ => 0,
    };
    (family, name)
}

/// The table as text, like beside like.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| row.pulls.len() > 1).collect();
    rows.sort_by_key(|row| place(row));
    let mut text = format!(
        "{:<52} {:>5} {:>9} {:>8} {:>8} {:>10} {:>7}\n",
        "quantity", "n", "bias %", "± %", "bias/se", "pull mean", "pull σ"
    );
    for row in rows {
        let (bias, error) = row.pulls.bias_percent();
        text.push_str(&format!(
            "{:<52} {:>5} {:>9.3} {:>8.3} {:>8.2} {:>10.3} {:>7.3}{}\n",
            row.name,
            row.pulls.len(),
            bias,
            error,
            bias / error,
            row.pulls.mean(),
            row.pulls.scatter(),
            if row.demand == Demand::None { "  stated, not judged" } else { "" },
        ));
    }
    text
}
