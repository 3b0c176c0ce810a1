//! Which redshifts to believe: target classes, the rule of each class, and ZWARN bit by bit.

use super::builder::Builder;
use super::{Expr, Join, JoinError, Joined, Source, case, column, text};
use crate::catalogs::Catalog;
use crate::{Field, Kind};

/// What classes and rules follow from.
const TARGETING: &str = "desitarget bit masks LRG 0, ELG 1, QSO 2, BGS_ANY 60 (Myers et al. 2023)";
/// Where the rules come from.
const RELEASES: &str = "DESI Collaboration 2024, AJ 168, 58; DESI Collaboration 2025, arXiv:2503.14745";

/// What the rule of each class says.
const RULES: [(&str, &str); 4] = [
    ("bgs", "the redshift of a BGS target is good: ZWARN = 0 and deltachi2 > 40; NULL for other targets"),
    (
        "lrg",
        "the redshift of an LRG target is good: ZWARN = 0, z < 1.5 and deltachi2 > 15; NULL for other targets",
    ),
    (
        "elg",
        "the redshift of an ELG target is good: log10(S/N of [OII]) > 0.9 - 0.2 log10(deltachi2); NULL for other targets \
         and where the emline catalogue has no [OII] flux of the target",
    ),
    (
        "qso",
        "the target is in the QSO catalogue, whose redshift, qso_z, is the one to take; false for a QSO target that is \
         not, NULL for other targets and where nothing of the catalogue's production, survey and program is loaded",
    ),
];

/// Surveys, and the column that has their targets' classes.
const CLASS_BITS: [(&str, &str); 5] = [
    ("main", "desi_target"),
    ("special", "desi_target"),
    ("sv1", "sv1_desi_target"),
    ("sv2", "sv2_desi_target"),
    ("sv3", "sv3_desi_target"),
];

/// Target classes: name, as people write it, bit.
const CLASSES: [(&str, &str, u32); 4] = [
    ("bgs", "Bright Galaxy Survey", 60),
    ("lrg", "luminous red galaxy", 0),
    ("elg", "emission-line galaxy", 1),
    ("qso", "quasar", 2),
];

/// Bits of ZWARN.
const ZWARN: [(&str, &str); 12] = [
    ("sky", "sky fibre"),
    ("little_coverage", "too little wavelength coverage"),
    ("small_delta_chi2", "chi-square too close to that of the next best fit"),
    ("negative_model", "the synthetic spectrum is negative"),
    ("many_outliers", "too many points far from the best model"),
    ("z_fitlimit", "the minimum lies at the edge of the range of redshifts"),
    ("negative_emission", "a QSO line has negative emission"),
    ("unplugged", "the fibre was unplugged or broken"),
    ("bad_target", "the targeting information is wrong"),
    ("nodata", "no data for this fibre"),
    ("bad_minfit", "the fit to the minimum of chi-square failed"),
    ("poordata", "data of poor quality"),
];

/// The table with a target's redshift, its class bits and its survey.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redshifts(pub(super) &'static str);

impl Redshifts {
    fn number(self, name: &str) -> Expr {
        column(self.0, name).wide()
    }

    /// The bit mask with the classes; NULL where the survey has none.
    fn bits(self) -> Expr {
        let survey = |name| column(self.0, "survey").equals(text(name));
        let whens = CLASS_BITS.iter().map(|(name, bits)| (survey(name), self.number(bits)));
        case(whens.collect(), Expr::Null(Kind::Int64))
    }

    /// ZWARN is 0 and the best fit is better than the next by this much.
    fn is_confident(self, deltachi2: f64) -> Expr {
        Expr::And(vec![
            self.number("zwarn").equals(Expr::Int(0)),
            self.number("deltachi2").above(Expr::Real(deltachi2)),
        ])
    }

    fn lrg_rule(self) -> Expr {
        Expr::And(vec![self.is_confident(15.0), self.number("z").below(Expr::Real(1.5))])
    }

    /// log10(S/N of [OII]) > 0.9 - 0.2 log10(deltachi2), without the logarithms: (S/N)**5 * deltachi2 > 10**4.5.
    fn elg_rule(self) -> Expr {
        const LIMIT: f64 = 31_622.776_601_683_792;
        let (snr2, deltachi2) = (|| column("oii", "snr2"), || self.number("deltachi2"));
        // No fit differs by less or more than this many, and the quotient stays within double precision.
        let is_some = Expr::And(vec![
            snr2().above(Expr::Real(0.0)),
            deltachi2().within(Expr::Real(1e-100), Expr::Real(1e100)),
        ]);
        // The square of the square is within it, too: flux and ivar are in single precision.
        let rule = snr2().times(snr2()).above(Expr::Real(LIMIT).over(snr2().sqrt().times(deltachi2())));
        let is_unknown = Expr::Or(vec![snr2().is_null(), deltachi2().is_null()]);
        case(vec![(is_unknown, Expr::Null(Kind::Bool)), (is_some, rule)], Expr::Bool(false))
    }

    /// In the QSO catalogue; NULL where it has nothing of the production, survey and program.
    fn qso_rule(self) -> Expr {
        let no = case(vec![(Expr::Present("qso_any"), Expr::Bool(false))], Expr::Null(Kind::Bool));
        case(
            vec![(is_in_qso_catalogue(), Expr::Bool(true)), (column("class", "qso"), no)],
            Expr::Null(Kind::Bool),
        )
    }

    /// Joins what the rules need, and derives what they say.
    pub(super) fn join(self, join: &mut Builder<'_>) -> Result<(), JoinError> {
        let own = |names: &[&'static str]| names.iter().map(|name| (*name, column(self.0, *name))).collect();
        join.left("emline", "emline", own(&["specprod", "targetid", "survey", "program", "healpix"]))?;
        join.left("qso", "qso", own(&["specprod", "targetid", "survey", "program"]))?;
        join.ask("qso_any", "qso", own(&["specprod", "survey", "program"]))
    }

    /// Derives classes and what the rules say.
    pub(super) fn derive(self, join: &mut Builder<'_>) -> Result<(), JoinError> {
        let (flux, ivar) =
            (|| column("emline", "oii_flux").wide(), || column("emline", "oii_flux_ivar").wide());
        let is_known = Expr::And(vec![flux().is_some(), ivar().is_some()]);
        // Below zero there is no line to be sure of.
        let is_positive = flux().above(Expr::Real(0.0));
        let snr2 = case(vec![(is_positive, flux().times(flux()).times(ivar()))], Expr::Real(0.0));
        let snr2 = case(vec![(is_known, snr2)], Expr::Null(Kind::Float64));
        join.derive("target", vec![("bits", self.bits())])?;
        join.derive("oii", vec![("snr2", snr2)])?;
        let is = CLASSES.map(|(class, _, bit)| (class, column("target", "bits").bit(bit)));
        join.derive("class", is.to_vec())?;
        let of = |class, rule| (class, case(vec![(column("class", class), rule)], Expr::Null(Kind::Bool)));
        let good = vec![
            of("bgs", self.is_confident(40.0)),
            of("lrg", self.lrg_rule()),
            of("elg", self.elg_rule()),
            ("qso", self.qso_rule()),
        ];
        join.derive("good", good)
    }

    /// Classes, what the rule of each says, and the redshift of the QSO catalogue.
    pub(super) fn carry(self, join: &mut Builder<'_>) -> Result<(), JoinError> {
        for (class, label, bit) in CLASSES {
            let text = format!(
                "{label} target: bit {bit} of DESI_TARGET, in SV of SVn_DESI_TARGET; NULL where the survey has no such mask"
            );
            let field =
                Field::new(format!("is_{class}"), Kind::Bool, text).ucd("meta.code.class").source(TARGETING);
            join.add(field, column("class", class));
        }
        for (class, text) in RULES {
            let field = Field::new(format!("good_z_{class}"), Kind::Bool, text)
                .ucd("meta.code.qual")
                .source(RELEASES);
            join.add(field, column("good", class));
        }
        let text = "the redshift is good by the rule of one of the target's classes; NULL where none says so and one is \
                    unknown, and for targets of no class";
        let field = Field::new("good_z", Kind::Bool, text).ucd("meta.code.qual").source(RELEASES);
        join.add(field, good_by_any());
        join.carry("qso", "z", "qso_z")
    }
}

fn good_by_any() -> Expr {
    let (is, good) = (|class| column("class", class), |class| column("good", class));
    let mut any: Vec<Expr> = CLASSES.iter().map(|(class, ..)| is(*class)).collect();
    // A class that the target is not of says nothing against it.
    let mut rules: Vec<Expr> =
        CLASSES.iter().map(|(class, ..)| Expr::And(vec![is(*class), good(*class)])).collect();
    any.push(is_in_qso_catalogue());
    rules.push(is_in_qso_catalogue());
    case(vec![(Expr::Or(any), Expr::Or(rules))], Expr::Null(Kind::Bool))
}

fn is_in_qso_catalogue() -> Expr {
    column("qso", "targetid").is_some()
}

/// Every row of `catalog.zpix`, with its classes and the rules of good redshifts.
pub(super) fn zpix_quality(catalogs: &[Catalog]) -> Result<Join, JoinError> {
    let declared = catalogs.iter().find_map(|catalog| catalog.table("zpix"));
    let missing =
        || JoinError { join: "zpix_quality", problem: "no declaration has a table `zpix`".to_owned() };
    let base =
        Joined { alias: "zpix", source: Source::catalog(declared.ok_or_else(missing)?), on: Vec::new() };
    let mut join = Builder::over(catalogs, ("catalog", "zpix_quality"), base);
    join.describe(
        "One row for every row of catalog.zpix: its target classes, whether its redshift is good by the rule of each, and \
         the bits of ZWARN.",
        &["unit", "row"],
    );
    let redshifts = Redshifts("zpix");
    redshifts.join(&mut join)?;
    redshifts.derive(&mut join)?;
    for name in ["unit", "row", "specprod", "targetid", "survey", "program", "healpix"] {
        join.carry("zpix", name, name)?;
    }
    for name in ["z", "zerr", "zwarn", "deltachi2", "spectype", "subtype"] {
        join.carry("zpix", name, name)?;
    }
    redshifts.carry(&mut join)?;
    for (bit, (name, text)) in (0..).zip(ZWARN) {
        let field = Field::new(format!("zwarn_{name}"), Kind::Bool, format!("bit {bit} of ZWARN: {text}"))
            .ucd("meta.code.qual")
            .source("redrock (S. Bailey et al.), zwarning.py");
        join.add(field, redshifts.number("zwarn").bit(bit));
    }
    join.finish()
}
