//! Noiseless rest-frame spectra on a grid fine enough to count as continuous.
//!
//! Nodes are spaced by 5e-6 in ln λ, so at most 0.05 Å apart wherever an arm of the spectrograph
//! looks, at any redshift. Between nodes a spectrum is linear: integrals over any interval are exact.

use crate::narrow::index_of;

/// Node spacing in ln λ.
const STEP_LN: f64 = 5e-6;

/// The wavelengths of the nodes.
pub(crate) struct Nodes {
    ln_start: f64,
    pub(crate) wave_aa: Vec<f64>,
}

/// A place between two nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    node: usize,
    /// Distance from the node in Å.
    beyond_aa: f64,
    /// The same as a share of the way to the next node.
    share: f64,
}

impl Nodes {
    pub(crate) fn new(low_aa: f64, high_aa: f64) -> Self {
        let ln_start = libm::log(low_aa);
        let count = index_of((libm::log(high_aa) - ln_start) / STEP_LN) + 2;
        let wave_aa = (0..count).map(|i| libm::exp(ln_start + i as f64 * STEP_LN)).collect();
        Self { ln_start, wave_aa }
    }

    /// Where rest wavelength `wave_aa` (its logarithm given too) lies; ends are clamped.
    pub(crate) fn place(&self, wave_aa: f64, ln_wave: f64) -> Place {
        let last = self.wave_aa.len() - 2;
        let mut node = index_of((ln_wave - self.ln_start) / STEP_LN).min(last);
        // The logarithm may round across a node.
        if self.wave_aa[node] > wave_aa && node > 0 {
            node -= 1;
        } else if self.wave_aa[node + 1] <= wave_aa && node < last {
            node += 1;
        }
        let width = self.wave_aa[node + 1] - self.wave_aa[node];
        let beyond_aa = (wave_aa - self.wave_aa[node]).clamp(0.0, width);
        Place { node, beyond_aa, share: beyond_aa / width }
    }

    /// Index of the first node at or above `wave_aa`.
    pub(crate) fn first_at(&self, wave_aa: f64) -> usize {
        let place = self.place(wave_aa, libm::log(wave_aa));
        if place.beyond_aa > 0.0 { place.node + 1 } else { place.node }
    }
}

/// Templates on common nodes. Flux and running integral of all templates lie side by side, node by
/// node, so that a pixel edge touches one stretch of memory.
pub(crate) struct Library {
    pub(crate) nodes: Nodes,
    templates: usize,
    /// Flux and integral from the first node, per node and template.
    table: Vec<[f64; 2]>,
    /// The fluxes again, template by template, for long stretches.
    fluxes: Vec<Vec<f64>>,
}

impl Library {
    /// Tabulates `fluxes`, each given at the nodes.
    pub(crate) fn new(nodes: Nodes, fluxes: Vec<Vec<f64>>) -> Self {
        let templates = fluxes.len();
        let mut table = Vec::with_capacity(nodes.wave_aa.len() * templates);
        let mut sums = vec![0.0; templates];
        for k in 0..nodes.wave_aa.len() {
            for (flux, sum) in fluxes.iter().zip(&mut sums) {
                if k > 0 {
                    *sum += 0.5 * (flux[k - 1] + flux[k]) * (nodes.wave_aa[k] - nodes.wave_aa[k - 1]);
                }
                table.push([flux[k], *sum]);
            }
        }
        Self { nodes, templates, table, fluxes }
    }

    /// ∫ Σ weight·template from the first node to `place`.
    fn integral_to(&self, place: Place, used: &[(usize, f64)]) -> f64 {
        let here = &self.table[place.node * self.templates..(place.node + 2) * self.templates];
        let mut sum = 0.0;
        for &(template, weight) in used {
            let ([low, integral], [high, _]) = (here[template], here[template + self.templates]);
            sum += weight * (integral + place.beyond_aa * (low + 0.5 * (high - low) * place.share));
        }
        sum
    }

    /// Mean of Σ weight·template in each pixel between neighbouring `edges_aa` (observed, with their
    /// logarithms) of an object at redshift `z`.
    pub(crate) fn pixel_means(
        &self,
        weights: &[f64],
        edges_aa: &[f64],
        ln_edges: &[f64],
        z: f64,
    ) -> Vec<f64> {
        let stretch = 1.0 + z;
        let ln_stretch = libm::log(stretch);
        let used: Vec<(usize, f64)> =
            weights.iter().copied().enumerate().filter(|(_, weight)| *weight > 0.0).collect();
        let integral = |edge: f64, ln_edge: f64| {
            self.integral_to(self.nodes.place(edge / stretch, ln_edge - ln_stretch), &used)
        };
        let mut before = integral(edges_aa[0], ln_edges[0]);
        let mut means = Vec::with_capacity(edges_aa.len() - 1);
        for i in 1..edges_aa.len() {
            let after = integral(edges_aa[i], ln_edges[i]);
            means.push((after - before) * stretch / (edges_aa[i] - edges_aa[i - 1]));
            before = after;
        }
        means
    }

    /// Σ weight·template at the nodes from `low_aa` to `high_aa`, with one node to spare on each side.
    pub(crate) fn fine(&self, weights: &[f64], low_aa: f64, high_aa: f64) -> Fine {
        let first = self.nodes.first_at(low_aa).saturating_sub(2);
        let last = (self.nodes.first_at(high_aa) + 2).min(self.nodes.wave_aa.len());
        let mut flux = vec![0.0; last - first];
        for (weight, template) in weights.iter().zip(&self.fluxes).filter(|(weight, _)| **weight > 0.0) {
            for (sum, value) in flux.iter_mut().zip(&template[first..last]) {
                *sum += weight * value;
            }
        }
        Fine { wave_aa: self.nodes.wave_aa[first..last].to_vec(), flux }
    }
}

/// A stretch of a fine spectrum.
pub(crate) struct Fine {
    pub(crate) wave_aa: Vec<f64>,
    pub(crate) flux: Vec<f64>,
}

impl Fine {
    /// ∫ g(λ, F) dλ from `low_aa` to `high_aa` by the trapezoidal rule, the ends interpolated.
    pub(crate) fn integrate(&self, low_aa: f64, high_aa: f64, g: impl Fn(f64, f64) -> f64) -> f64 {
        let first = self.wave_aa.partition_point(|&wave| wave <= low_aa);
        let last = self.wave_aa.partition_point(|&wave| wave < high_aa);
        if first == 0 || last >= self.wave_aa.len() || first > last {
            return 0.0;
        }
        let at = |right: usize, wave: f64| {
            let (w0, w1) = (self.wave_aa[right - 1], self.wave_aa[right]);
            let share = (wave - w0) / (w1 - w0);
            self.flux[right - 1] * (1.0 - share) + self.flux[right] * share
        };
        let mut before = (low_aa, g(low_aa, at(first, low_aa)));
        let mut sum = 0.0;
        for i in first..last {
            let here = (self.wave_aa[i], g(self.wave_aa[i], self.flux[i]));
            sum += 0.5 * (before.1 + here.1) * (here.0 - before.0);
            before = here;
        }
        let end = (high_aa, g(high_aa, at(last, high_aa)));
        sum + 0.5 * (before.1 + end.1) * (end.0 - before.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Library {
        let nodes = Nodes::new(3000.0, 4000.0);
        let flux: Vec<f64> = nodes.wave_aa.iter().map(|wave| 2.0 * wave).collect();
        Library::new(nodes, vec![flux])
    }

    #[test]
    fn pixel_means_of_a_straight_line_are_its_values_at_the_centres() {
        let library = ramp();
        let edges: Vec<f64> = (0..50).map(|i| 3700.0 + 0.8 * f64::from(i)).collect();
        let ln: Vec<f64> = edges.iter().map(|&edge| libm::log(edge)).collect();
        let means = library.pixel_means(&[1.5], &edges, &ln, 0.1);
        for (i, mean) in means.iter().enumerate() {
            let centre = 0.5 * (edges[i] + edges[i + 1]) / 1.1;
            // Differences of a running integral near 2e6 over 0.7 Å: 1e-9 relative.
            assert!((mean / (3.0 * centre) - 1.0).abs() < 1e-8);
        }
    }

    #[test]
    fn fine_integrals_of_a_straight_line_are_exact() {
        let fine = ramp().fine(&[1.0], 3100.0, 3500.0);
        let integral = fine.integrate(3123.4, 3345.6, |_, flux| flux);
        let exact = 3345.6 * 3345.6 - 3123.4 * 3123.4;
        assert!((integral / exact - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nodes_are_at_most_a_twentieth_of_an_angstrom_apart_where_arms_look() {
        let nodes = Nodes::new(1300.0, 9900.0);
        for z in [0.0, 0.5, 1.6] {
            let reddest = nodes.first_at(9824.4 / (1.0 + z));
            let step = (nodes.wave_aa[reddest] - nodes.wave_aa[reddest - 1]) * (1.0 + z);
            assert!(step < 0.05, "{step}");
        }
    }
}
