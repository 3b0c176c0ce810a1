//! Analysis-ready rows: measured features with what the catalogues say of the same targets.

use super::builder::Builder;
use super::quality::Redshifts;
use super::{Expr, Join, JoinError, Joined, Source, case, column, text};
use crate::catalogs::Catalog;
use crate::{Field, Kind};

type Outcome<T> = Result<T, JoinError>;

/// The measured features.
const FEATURES: &str = "features";
/// What names a row of FastSpecFit and of the redshift catalogue.
const SPECTRUM_KEY: [&str; 5] = ["specprod", "targetid", "survey", "program", "healpix"];

/// A line flux that is measured here and fitted by FastSpecFit.
struct SharedLine {
    /// Ours, as in `schemas/data/lines.csv`.
    ours: &'static str,
    /// As people write it.
    label: &'static str,
    /// FastSpecFit's components that lie in our window and are always fitted.
    narrow: &'static [&'static str],
    /// Its components that may be left out of the fit; they then add nothing.
    broad: &'static [&'static str],
}

const GALAXY_LINES: [SharedLine; 9] = [
    line("oii_3728", "[OII] 3727,3730", &["oii_3726", "oii_3729"], &[]),
    line("neiii_3870", "[NeIII] 3870", &["neiii_3869"], &[]),
    line("hdelta", "Hdelta", &["hdelta"], &["hdelta_broad"]),
    line("hgamma", "Hgamma", &["hgamma"], &["hgamma_broad"]),
    line("hbeta", "Hbeta", &["hbeta"], &["hbeta_broad"]),
    line("oiii_4960", "[OIII] 4960", &["oiii_4959"], &[]),
    line("oiii_5008", "[OIII] 5008", &["oiii_5007"], &[]),
    line("halpha_nii", "Halpha + [NII] 6550,6585", &["nii_6548", "halpha", "nii_6584"], &["halpha_broad"]),
    line("sii_6725", "[SII] 6718,6733", &["sii_6716", "sii_6731"], &[]),
];

const QSO_LINES: [SharedLine; 3] = [
    line("civ_1549", "CIV 1549", &["civ_1549"], &[]),
    line("mgii_2800", "MgII 2796,2804", &["mgii_2796", "mgii_2803"], &[]),
    line("oiii_5008", "[OIII] 5008", &["oiii_5007"], &[]),
];

const fn line(
    ours: &'static str,
    label: &'static str,
    narrow: &'static [&'static str],
    broad: &'static [&'static str],
) -> SharedLine {
    SharedLine { ours, label, narrow, broad }
}

/// A row of `spectra.features` each, of one spectral class.
fn over_features<'a>(
    catalogs: &'a [Catalog],
    name: &'static str,
    spectype: &str,
    description: &str,
) -> Outcome<Builder<'a>> {
    let base = Joined { alias: FEATURES, source: Source::features(), on: Vec::new() };
    let mut join = Builder::over(catalogs, ("ard", name), base);
    join.describe(description, &["unit", "targetid", "row"]);
    join.only(column(FEATURES, "spectype").equals(text(spectype)));
    let redshifts = Redshifts(FEATURES);
    redshifts.join(&mut join)?;
    for (alias, table) in [
        ("zpix", "zpix"),
        ("metadata", "fastspec_metadata"),
        ("specphot", "fastspec_specphot"),
        ("fastspec", "fastspec"),
    ] {
        join.left(alias, table, same(&SPECTRUM_KEY))?;
    }
    redshifts.derive(&mut join)?;
    join.carry_base();
    redshifts.carry(&mut join)?;
    photometry(&mut join)?;
    Ok(join)
}

/// Columns that must equal those of the same name in the features.
fn same(names: &[&'static str]) -> Vec<(&'static str, Expr)> {
    names.iter().map(|name| (*name, column(FEATURES, *name))).collect()
}

fn photometry(join: &mut Builder<'_>) -> Outcome<()> {
    join.carry_all("zpix", "", &["morphtype", "photsys", "release", "brickid", "brick_objid"])?;
    for band in ["g", "r", "z", "w1", "w2"] {
        join.carry_all("zpix", "", &[&format!("flux_{band}"), &format!("flux_ivar_{band}")])?;
    }
    join.carry_all("zpix", "", &["fiberflux_g", "fiberflux_r", "fiberflux_z"])
}

/// (RELEASE << 40) | (BRICKID << 16) | OBJID of the photometry; NULL where one of them is missing or too large.
fn legacy_id() -> Expr {
    let part = |name: &str| column("zpix", name).wide();
    let fits = |name, bits: u32| part(name).within(Expr::Int(0), Expr::Int((1 << bits) - 1));
    let id = part("release")
        .times(Expr::Int(1 << 40))
        .plus(part("brickid").times(Expr::Int(1 << 16)))
        .plus(part("brick_objid"));
    let all = Expr::And(vec![fits("release", 23), fits("brickid", 24), fits("brick_objid", 16)]);
    case(vec![(all, id)], Expr::Null(Kind::Int64))
}

/// Flux of FastSpecFit for the lines that are measured here, and how far apart the two are.
fn shared_lines(join: &mut Builder<'_>, lines: &[SharedLine]) -> Outcome<()> {
    for item in lines {
        for part in item.narrow.iter().chain(item.broad) {
            let names = [format!("{part}_flux"), format!("{part}_flux_ivar")];
            join.carry_all("fastspec", "fastspec_", &names.each_ref().map(String::as_str))?;
        }
        let (ours, label) = (item.ours, item.label);
        let text = format!(
            "{label}: flux measured here less FastSpecFit's ({}), over the square root of the sum of their variances, \
             which are not independent: both have the same pixels",
            item.narrow.iter().chain(item.broad).copied().collect::<Vec<_>>().join(" + ")
        );
        join.add(
            Field::new(format!("{ours}_pull"), Kind::Float64, text).ucd("stat.value;spect.line"),
            pull(item),
        );
    }
    Ok(())
}

/// (ours - theirs) / sqrt(1 / ivar of ours + 1 / ivar of theirs); NULL where one is missing.
fn pull(item: &SharedLine) -> Expr {
    let flux = |part: &str| column("fastspec", format!("{part}_flux")).wide();
    let ivar = |part: &str| column("fastspec", format!("{part}_flux_ivar")).wide();
    let (zero, one) = (|| Expr::Real(0.0), || Expr::Real(1.0));
    // Single precision throughout: no quotient or sum of theirs leaves double precision.
    let is_fitted = |part: &str| Expr::And(vec![flux(part).is_some(), ivar(part).above(zero())]);
    let ours = column(FEATURES, format!("{}_flux", item.ours)).wide();
    let our_ivar = column(FEATURES, format!("{}_flux_ivar", item.ours)).wide();
    let mut known = vec![ours.clone().is_some(), our_ivar.clone().above(zero())];
    let (mut difference, mut variance) = (ours, one().over(our_ivar));
    for part in item.narrow {
        known.push(is_fitted(part));
        difference = difference.minus(flux(part));
        variance = variance.plus(one().over(ivar(part)));
    }
    for part in item.broad {
        let where_fitted = |value| case(vec![(is_fitted(part), value)], zero());
        difference = difference.minus(where_fitted(flux(part)));
        variance = variance.plus(where_fitted(one().over(ivar(part))));
    }
    case(vec![(Expr::And(known), difference.over(variance.sqrt()))], Expr::Null(Kind::Float64))
}

/// The group of the galaxy: by its Legacy Surveys id, for the group catalogue has no TARGETID.
fn groups(join: &mut Builder<'_>) -> Outcome<()> {
    let specprod = || ("specprod", column(FEATURES, "specprod"));
    join.left("galaxy", "gfinder_galaxies", vec![specprod(), ("ls_id", legacy_id())])?;
    join.left("link", "gfinder_links", vec![specprod(), ("igal", column("galaxy", "igal"))])?;
    join.left("grp", "gfinder_groups", vec![specprod(), ("igrp", column("link", "igrp"))])?;
    let text =
        "Legacy Surveys identifier (RELEASE << 40) | (BRICKID << 16) | OBJID of the target's photometry";
    join.add(Field::new("ls_id", Kind::Int64, text).ucd("meta.id"), legacy_id());
    join.carry("link", "igrp", "group_id")?;
    join.carry("link", "rank", "group_rank")?;
    for (name, as_name) in
        [("rich", "group_rich"), ("grp_z", "group_z"), ("grp_logm", "group_logm"), ("grp_logl", "group_logl")]
    {
        join.carry("grp", name, as_name)?;
    }
    Ok(())
}

/// Algorithms of V2 with the aliases of their tables: galaxies of both caps, and zones.
const V2: [(&str, [&str; 2], &str); 3] = [
    ("VIDE", ["vide_ngc", "vide_sgc"], "vide"),
    ("REVOLVER", ["revolver_ngc", "revolver_sgc"], "revolver"),
    ("ZOBOV", ["zobov_ngc", "zobov_sgc"], "zobov"),
];
/// The galaxies that DESIVAST's voids were found among.
const VOID_SAMPLE: &str = "DESIVAST_BGS_VOLLIM";

/// Zone and voids of the galaxy, by every algorithm that says of a galaxy which zone it is in.
fn voids(join: &mut Builder<'_>) -> Outcome<()> {
    for (algorithm, [ngc, sgc], zones) in V2 {
        let all = |cap: Expr| {
            vec![
                ("specprod", column(FEATURES, "specprod")),
                ("sample", text(VOID_SAMPLE)),
                ("algorithm", text(algorithm)),
                ("cap", cap),
            ]
        };
        for (alias, cap) in [(ngc, "NGC"), (sgc, "SGC")] {
            let own = vec![("targetid", column(FEATURES, "targetid"))];
            join.left(alias, "v2_galzone", [all(text(cap)), own].concat())?;
        }
        let is_in = |alias| column(alias, "gal").is_some();
        let cap = case(vec![(is_in(ngc), text("NGC")), (is_in(sgc), text("SGC"))], Expr::Null(Kind::Text));
        let of_either = |name: &str| case(vec![(is_in(ngc), column(ngc, name))], column(sgc, name));
        join.left(zones, "v2_zonevoid", [all(cap.clone()), vec![("zone", of_either("zone"))]].concat())?;
        let text = format!(
            "galactic cap whose V2 {algorithm} catalogue has the galaxy: NGC or SGC; NULL where neither has"
        );
        join.add(Field::new(format!("{zones}_cap"), Kind::Text, text).ucd("meta.id;obs.field"), cap);
        for name in ["zone", "depth", "edge", "out"] {
            join.carry_as(ngc, name, &format!("{zones}_{name}"), of_either(name))?;
        }
        join.carry_all(zones, &format!("{zones}_"), &["void0", "void1"])?;
    }
    Ok(())
}

/// Classes of active nuclei.
fn nuclei(join: &mut Builder<'_>) -> Outcome<()> {
    join.left("agngal", "agngal", same(&SPECTRUM_KEY))?;
    join.carry_all("agngal", "agngal_", &["agn_maskbits", "opt_uv_type", "ir_type"])
}

/// Stellar populations as FastSpecFit has them.
fn galaxy_physics(join: &mut Builder<'_>) -> Outcome<()> {
    join.carry("metadata", "z", "fastspec_z")?;
    for name in ["vdisp", "tauv", "age", "zzsun", "logmstar", "sfr"] {
        join.carry_all("specphot", "fastspec_", &[name, &format!("{name}_ivar")])?;
    }
    let breaks = ["dn4000", "dn4000_obs", "dn4000_ivar", "dn4000_model", "dn4000_model_ivar"];
    join.carry_all("specphot", "fastspec_", &breaks)?;
    for band in ["u", "g", "r", "i", "z"] {
        let names = [format!("absmag01_sdss_{band}"), format!("absmag01_ivar_sdss_{band}")];
        join.carry_all("specphot", "fastspec_", &names.each_ref().map(String::as_str))?;
    }
    for (blue, red) in [("u", "r"), ("g", "r")] {
        let magnitude = |band| column("specphot", format!("absmag01_sdss_{band}")).wide();
        let text = format!(
            "rest-frame colour: absmag01_sdss_{blue} - absmag01_sdss_{red} of FastSpecFit, bands at z = 0.1"
        );
        let field =
            Field::new(format!("fastspec_{blue}{red}01"), Kind::Float64, text).unit("mag").ucd("phot.color");
        join.add(field, magnitude(blue).minus(magnitude(red)));
    }
    join.carry_all("specphot", "fastspec_", &["rchi2", "rchi2_phot"])
}

/// Continuum luminosities, masses and outflows of quasars.
fn qso_physics(join: &mut Builder<'_>) -> Outcome<()> {
    join.left("bal", "bal", same(&["specprod", "targetid", "survey", "program"]))?;
    join.left("zlya", "zlya", same(&["specprod", "targetid"]))?;
    join.left("qmassiron", "qmassiron", same(&["specprod", "targetid", "program"]))?;
    join.carry_all("qso", "qso_", &["zerr", "zwarn", "z_rr", "z_qn", "qso_maskbits"])?;
    join.carry("metadata", "z", "fastspec_z")?;
    for name in ["logl_1450", "logl_1700", "logl_3000", "logl_5100"] {
        join.carry_all("specphot", "fastspec_", &[name, &format!("{name}_ivar")])?;
    }
    join.carry_all("zlya", "zlya_", &["z", "zerr", "zwarn"])?;
    const TROUGHS: [&str; 8] =
        ["bal_prob", "bi_civ", "err_bi_civ", "nciv_2000", "ai_civ", "err_ai_civ", "nciv_450", "snr_civ"];
    for alias in ["bal", "zlya"] {
        join.carry_all(alias, &format!("{alias}_"), &TROUGHS)?;
    }
    let declared = join.declared("qmassiron")?;
    let keys = ["targetid", "program", "healpix", "ra", "dec"];
    for column in &declared.columns {
        let name = column.field.name.as_str();
        if !keys.contains(&name) {
            join.carry("qmassiron", name, &format!("qmassiron_{name}"))?;
        }
    }
    Ok(())
}

/// `ard.galaxy_ard`.
pub(super) fn galaxy(catalogs: &[Catalog]) -> Outcome<Join> {
    let mut join = over_features(
        catalogs,
        "galaxy_ard",
        "GALAXY",
        "One row for every row of spectra.features whose SPECTYPE is GALAXY, whatever its state: what was measured here, \
         and what the catalogues say of the same spectrum or target. A catalogue's columns are NULL where it has no row \
         of the target or is not loaded.",
    )?;
    galaxy_physics(&mut join)?;
    shared_lines(&mut join, &GALAXY_LINES)?;
    nuclei(&mut join)?;
    groups(&mut join)?;
    voids(&mut join)?;
    join.finish()
}

/// `ard.qso_ard`.
pub(super) fn qso(catalogs: &[Catalog]) -> Outcome<Join> {
    let mut join = over_features(
        catalogs,
        "qso_ard",
        "QSO",
        "One row for every row of spectra.features whose SPECTYPE is QSO, whatever its state: what was measured here, and \
         what the catalogues say of the same spectrum or target. A catalogue's columns are NULL where it has no row of \
         the target or is not loaded. Absorbers, of which a target may have several, are tables of their own.",
    )?;
    qso_physics(&mut join)?;
    shared_lines(&mut join, &QSO_LINES)?;
    nuclei(&mut join)?;
    join.finish()
}
