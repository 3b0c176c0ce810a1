-- Every table, from the definitions in schemas/src (`make sql`).

CREATE TABLE ops.migration (
    "version" integer NOT NULL,
    "name" text NOT NULL,
    "sha256" text NOT NULL,
    "applied_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("version")
);
COMMENT ON TABLE ops.migration IS 'One row per migration of this schema.';
COMMENT ON COLUMN ops.migration."version" IS 'number of the migration [ucd: meta.version]';
COMMENT ON COLUMN ops.migration."name" IS 'its file [ucd: meta.file]';
COMMENT ON COLUMN ops.migration."sha256" IS 'SHA-256 of its text [ucd: meta.checksum]';
COMMENT ON COLUMN ops.migration."applied_at" IS 'when it was applied [ucd: time.creation]';

CREATE TABLE ops.run (
    "run_id" text NOT NULL,
    "record" jsonb NOT NULL,
    "loaded_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("run_id")
);
COMMENT ON TABLE ops.run IS 'One row per run of the program: who, where, when, how long. No result depends on it.';
COMMENT ON COLUMN ops.run."run_id" IS 'time and number of the run [ucd: meta.id;meta.main]';
COMMENT ON COLUMN ops.run."record" IS 'the run record: run file, versions, host, device, stages, seconds [ucd: meta.note]';
COMMENT ON COLUMN ops.run."loaded_at" IS 'when it was loaded [ucd: time.creation]';

CREATE TABLE ops.ledger (
    "stage" text NOT NULL,
    "unit" text NOT NULL,
    "stage_hash" text NOT NULL,
    "state" text NOT NULL,
    "reason" text,
    "rows_in" bigint NOT NULL,
    "rows" jsonb NOT NULL,
    "inputs" jsonb NOT NULL,
    "outputs" jsonb NOT NULL,
    "notes" jsonb NOT NULL,
    PRIMARY KEY ("stage", "unit")
);
COMMENT ON TABLE ops.ledger IS 'One row per stage and unit: how it ended, what it read and left.';
COMMENT ON COLUMN ops.ledger."stage" IS 'stage of the pipeline [ucd: meta.code]';
COMMENT ON COLUMN ops.ledger."unit" IS 'unit of work [ucd: meta.id.part]';
COMMENT ON COLUMN ops.ledger."stage_hash" IS 'digest of the settings, constants and versions it was made under [ucd: meta.version]';
COMMENT ON COLUMN ops.ledger."state" IS 'done, empty, skipped, failed or missing_upstream [ucd: meta.code.status]';
COMMENT ON COLUMN ops.ledger."reason" IS 'why it is not done; NULL where it is [ucd: meta.note]';
COMMENT ON COLUMN ops.ledger."rows_in" IS 'rows of the input [ucd: meta.number]';
COMMENT ON COLUMN ops.ledger."rows" IS 'rows by state, then by reason; they add up to rows_in [ucd: meta.number]';
COMMENT ON COLUMN ops.ledger."inputs" IS 'files read: path, bytes, sha256 [ucd: meta.file]';
COMMENT ON COLUMN ops.ledger."outputs" IS 'files left: path, bytes, sha256 [ucd: meta.file]';
COMMENT ON COLUMN ops.ledger."notes" IS 'what is worth knowing and failed nothing [ucd: meta.note]';

CREATE TABLE ops.load (
    "dataset" text NOT NULL,
    "model_hash" text NOT NULL,
    "unit" text NOT NULL,
    "sha256" text NOT NULL,
    "stage_hash" text NOT NULL,
    "rows" bigint NOT NULL,
    "loaded_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("dataset", "model_hash", "unit")
);
COMMENT ON TABLE ops.load IS 'One row per file in the database: the same digest is not loaded twice.';
COMMENT ON COLUMN ops.load."dataset" IS 'table the rows are in, as schema.table [ucd: meta.table]';
COMMENT ON COLUMN ops.load."model_hash" IS 'model the rows belong to; empty text where to none [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ops.load."unit" IS 'unit of work [ucd: meta.id.part]';
COMMENT ON COLUMN ops.load."sha256" IS 'SHA-256 of the file the rows come from [ucd: meta.checksum]';
COMMENT ON COLUMN ops.load."stage_hash" IS 'stage hash of the rows [ucd: meta.version]';
COMMENT ON COLUMN ops.load."rows" IS 'rows loaded [ucd: meta.number]';
COMMENT ON COLUMN ops.load."loaded_at" IS 'when they became visible [ucd: time.creation]';

CREATE TABLE spectra.features (
    "unit" text NOT NULL,
    "targetid" bigint NOT NULL,
    "row" integer NOT NULL,
    "state" text NOT NULL,
    "reason" text,
    "specprod" text NOT NULL,
    "survey" text,
    "program" text,
    "nside" integer,
    "healpix" bigint,
    "tileid" integer,
    "petal" smallint,
    "night" integer,
    "ra" double precision,
    "dec" double precision,
    "objtype" text,
    "z" double precision,
    "zerr" real,
    "zwarn" bigint,
    "deltachi2" double precision,
    "spectype" text,
    "subtype" text,
    "coadd_fiberstatus" integer,
    "ebv" real,
    "desi_target" bigint,
    "bgs_target" bigint,
    "mws_target" bigint,
    "scnd_target" bigint,
    "cmx_target" bigint,
    "sv1_desi_target" bigint,
    "sv1_bgs_target" bigint,
    "sv1_mws_target" bigint,
    "sv1_scnd_target" bigint,
    "sv2_desi_target" bigint,
    "sv2_bgs_target" bigint,
    "sv2_mws_target" bigint,
    "sv2_scnd_target" bigint,
    "sv3_desi_target" bigint,
    "sv3_bgs_target" bigint,
    "sv3_mws_target" bigint,
    "sv3_scnd_target" bigint,
    "tsnr2_bgs" real,
    "tsnr2_elg" real,
    "tsnr2_gpbbackup" real,
    "tsnr2_gpbbright" real,
    "tsnr2_gpbdark" real,
    "tsnr2_lrg" real,
    "tsnr2_lya" real,
    "tsnr2_qso" real,
    "flags" integer NOT NULL,
    "n_good_pixels" integer NOT NULL,
    "n_masked_pixels" integer NOT NULL,
    "n_bad_pixels" integer NOT NULL,
    "snr_b" real,
    "snr_r" real,
    "snr_z" real,
    "snr_1450" real,
    "snr_5100" real,
    "ivar_scale_b" real,
    "ivar_scale_r" real,
    "ivar_scale_z" real,
    "dn4000" real,
    "dn4000_ivar" real,
    "dn4000_flag" smallint,
    "dn4000_w" real,
    "dn4000_w_ivar" real,
    "dn4000_w_flag" smallint,
    "d4000" real,
    "d4000_ivar" real,
    "d4000_flag" smallint,
    "d4000_w" real,
    "d4000_w_ivar" real,
    "d4000_w_flag" smallint,
    "lick_hdelta_a" real,
    "lick_hdelta_a_err" real,
    "lick_hdelta_a_good" real,
    "lick_hdelta_a_flag" smallint,
    "lick_hdelta_f" real,
    "lick_hdelta_f_err" real,
    "lick_hdelta_f_good" real,
    "lick_hdelta_f_flag" smallint,
    "lick_hgamma_a" real,
    "lick_hgamma_a_err" real,
    "lick_hgamma_a_good" real,
    "lick_hgamma_a_flag" smallint,
    "lick_hgamma_f" real,
    "lick_hgamma_f_err" real,
    "lick_hgamma_f_good" real,
    "lick_hgamma_f_flag" smallint,
    "lick_cn1" real,
    "lick_cn1_err" real,
    "lick_cn1_good" real,
    "lick_cn1_flag" smallint,
    "lick_cn2" real,
    "lick_cn2_err" real,
    "lick_cn2_good" real,
    "lick_cn2_flag" smallint,
    "lick_ca4227" real,
    "lick_ca4227_err" real,
    "lick_ca4227_good" real,
    "lick_ca4227_flag" smallint,
    "lick_g4300" real,
    "lick_g4300_err" real,
    "lick_g4300_good" real,
    "lick_g4300_flag" smallint,
    "lick_fe4383" real,
    "lick_fe4383_err" real,
    "lick_fe4383_good" real,
    "lick_fe4383_flag" smallint,
    "lick_ca4455" real,
    "lick_ca4455_err" real,
    "lick_ca4455_good" real,
    "lick_ca4455_flag" smallint,
    "lick_fe4531" real,
    "lick_fe4531_err" real,
    "lick_fe4531_good" real,
    "lick_fe4531_flag" smallint,
    "lick_fe4668" real,
    "lick_fe4668_err" real,
    "lick_fe4668_good" real,
    "lick_fe4668_flag" smallint,
    "lick_hbeta" real,
    "lick_hbeta_err" real,
    "lick_hbeta_good" real,
    "lick_hbeta_flag" smallint,
    "lick_fe5015" real,
    "lick_fe5015_err" real,
    "lick_fe5015_good" real,
    "lick_fe5015_flag" smallint,
    "lick_mg1" real,
    "lick_mg1_err" real,
    "lick_mg1_good" real,
    "lick_mg1_flag" smallint,
    "lick_mg2" real,
    "lick_mg2_err" real,
    "lick_mg2_good" real,
    "lick_mg2_flag" smallint,
    "lick_mgb" real,
    "lick_mgb_err" real,
    "lick_mgb_good" real,
    "lick_mgb_flag" smallint,
    "lick_fe5270" real,
    "lick_fe5270_err" real,
    "lick_fe5270_good" real,
    "lick_fe5270_flag" smallint,
    "lick_fe5335" real,
    "lick_fe5335_err" real,
    "lick_fe5335_good" real,
    "lick_fe5335_flag" smallint,
    "lick_fe5406" real,
    "lick_fe5406_err" real,
    "lick_fe5406_good" real,
    "lick_fe5406_flag" smallint,
    "lick_fe5709" real,
    "lick_fe5709_err" real,
    "lick_fe5709_good" real,
    "lick_fe5709_flag" smallint,
    "lick_fe5782" real,
    "lick_fe5782_err" real,
    "lick_fe5782_good" real,
    "lick_fe5782_flag" smallint,
    "lick_nad" real,
    "lick_nad_err" real,
    "lick_nad_good" real,
    "lick_nad_flag" smallint,
    "lick_tio1" real,
    "lick_tio1_err" real,
    "lick_tio1_good" real,
    "lick_tio1_flag" smallint,
    "lick_tio2" real,
    "lick_tio2_err" real,
    "lick_tio2_good" real,
    "lick_tio2_flag" smallint,
    "lick_fe_mean" real,
    "lick_mgfe" real,
    "lick_mgfe_prime" real,
    "lyalpha_flux" real,
    "lyalpha_flux_ivar" real,
    "lyalpha_ew" real,
    "lyalpha_ew_ivar" real,
    "lyalpha_cont" real,
    "lyalpha_good" real,
    "lyalpha_flag" smallint,
    "nv_1240_flux" real,
    "nv_1240_flux_ivar" real,
    "nv_1240_ew" real,
    "nv_1240_ew_ivar" real,
    "nv_1240_cont" real,
    "nv_1240_good" real,
    "nv_1240_flag" smallint,
    "lyalpha_nv_flux" real,
    "lyalpha_nv_flux_ivar" real,
    "lyalpha_nv_ew" real,
    "lyalpha_nv_ew_ivar" real,
    "lyalpha_nv_cont" real,
    "lyalpha_nv_good" real,
    "lyalpha_nv_flag" smallint,
    "siliv_1397_flux" real,
    "siliv_1397_flux_ivar" real,
    "siliv_1397_ew" real,
    "siliv_1397_ew_ivar" real,
    "siliv_1397_cont" real,
    "siliv_1397_good" real,
    "siliv_1397_flag" smallint,
    "civ_1549_flux" real,
    "civ_1549_flux_ivar" real,
    "civ_1549_ew" real,
    "civ_1549_ew_ivar" real,
    "civ_1549_cont" real,
    "civ_1549_good" real,
    "civ_1549_flag" smallint,
    "heii_1640_flux" real,
    "heii_1640_flux_ivar" real,
    "heii_1640_ew" real,
    "heii_1640_ew_ivar" real,
    "heii_1640_cont" real,
    "heii_1640_good" real,
    "heii_1640_flag" smallint,
    "aliii_1857_flux" real,
    "aliii_1857_flux_ivar" real,
    "aliii_1857_ew" real,
    "aliii_1857_ew_ivar" real,
    "aliii_1857_cont" real,
    "aliii_1857_good" real,
    "aliii_1857_flag" smallint,
    "siliii_1892_flux" real,
    "siliii_1892_flux_ivar" real,
    "siliii_1892_ew" real,
    "siliii_1892_ew_ivar" real,
    "siliii_1892_cont" real,
    "siliii_1892_good" real,
    "siliii_1892_flag" smallint,
    "ciii_1909_flux" real,
    "ciii_1909_flux_ivar" real,
    "ciii_1909_ew" real,
    "ciii_1909_ew_ivar" real,
    "ciii_1909_cont" real,
    "ciii_1909_good" real,
    "ciii_1909_flag" smallint,
    "ciii_1909_complex_flux" real,
    "ciii_1909_complex_flux_ivar" real,
    "ciii_1909_complex_ew" real,
    "ciii_1909_complex_ew_ivar" real,
    "ciii_1909_complex_cont" real,
    "ciii_1909_complex_good" real,
    "ciii_1909_complex_flag" smallint,
    "mgii_2796_flux" real,
    "mgii_2796_flux_ivar" real,
    "mgii_2796_ew" real,
    "mgii_2796_ew_ivar" real,
    "mgii_2796_cont" real,
    "mgii_2796_good" real,
    "mgii_2796_flag" smallint,
    "mgii_2804_flux" real,
    "mgii_2804_flux_ivar" real,
    "mgii_2804_ew" real,
    "mgii_2804_ew_ivar" real,
    "mgii_2804_cont" real,
    "mgii_2804_good" real,
    "mgii_2804_flag" smallint,
    "mgii_2800_flux" real,
    "mgii_2800_flux_ivar" real,
    "mgii_2800_ew" real,
    "mgii_2800_ew_ivar" real,
    "mgii_2800_cont" real,
    "mgii_2800_good" real,
    "mgii_2800_flag" smallint,
    "nev_3347_flux" real,
    "nev_3347_flux_ivar" real,
    "nev_3347_ew" real,
    "nev_3347_ew_ivar" real,
    "nev_3347_cont" real,
    "nev_3347_good" real,
    "nev_3347_flag" smallint,
    "nev_3427_flux" real,
    "nev_3427_flux_ivar" real,
    "nev_3427_ew" real,
    "nev_3427_ew_ivar" real,
    "nev_3427_cont" real,
    "nev_3427_good" real,
    "nev_3427_flag" smallint,
    "oii_3727_flux" real,
    "oii_3727_flux_ivar" real,
    "oii_3727_ew" real,
    "oii_3727_ew_ivar" real,
    "oii_3727_cont" real,
    "oii_3727_good" real,
    "oii_3727_flag" smallint,
    "oii_3730_flux" real,
    "oii_3730_flux_ivar" real,
    "oii_3730_ew" real,
    "oii_3730_ew_ivar" real,
    "oii_3730_cont" real,
    "oii_3730_good" real,
    "oii_3730_flag" smallint,
    "oii_3728_flux" real,
    "oii_3728_flux_ivar" real,
    "oii_3728_ew" real,
    "oii_3728_ew_ivar" real,
    "oii_3728_cont" real,
    "oii_3728_good" real,
    "oii_3728_flag" smallint,
    "neiii_3870_flux" real,
    "neiii_3870_flux_ivar" real,
    "neiii_3870_ew" real,
    "neiii_3870_ew_ivar" real,
    "neiii_3870_cont" real,
    "neiii_3870_good" real,
    "neiii_3870_flag" smallint,
    "h6_flux" real,
    "h6_flux_ivar" real,
    "h6_ew" real,
    "h6_ew_ivar" real,
    "h6_cont" real,
    "h6_good" real,
    "h6_flag" smallint,
    "hepsilon_flux" real,
    "hepsilon_flux_ivar" real,
    "hepsilon_ew" real,
    "hepsilon_ew_ivar" real,
    "hepsilon_cont" real,
    "hepsilon_good" real,
    "hepsilon_flag" smallint,
    "hdelta_flux" real,
    "hdelta_flux_ivar" real,
    "hdelta_ew" real,
    "hdelta_ew_ivar" real,
    "hdelta_cont" real,
    "hdelta_good" real,
    "hdelta_flag" smallint,
    "hgamma_flux" real,
    "hgamma_flux_ivar" real,
    "hgamma_ew" real,
    "hgamma_ew_ivar" real,
    "hgamma_cont" real,
    "hgamma_good" real,
    "hgamma_flag" smallint,
    "oiii_4364_flux" real,
    "oiii_4364_flux_ivar" real,
    "oiii_4364_ew" real,
    "oiii_4364_ew_ivar" real,
    "oiii_4364_cont" real,
    "oiii_4364_good" real,
    "oiii_4364_flag" smallint,
    "hei_4473_flux" real,
    "hei_4473_flux_ivar" real,
    "hei_4473_ew" real,
    "hei_4473_ew_ivar" real,
    "hei_4473_cont" real,
    "hei_4473_good" real,
    "hei_4473_flag" smallint,
    "heii_4687_flux" real,
    "heii_4687_flux_ivar" real,
    "heii_4687_ew" real,
    "heii_4687_ew_ivar" real,
    "heii_4687_cont" real,
    "heii_4687_good" real,
    "heii_4687_flag" smallint,
    "hbeta_flux" real,
    "hbeta_flux_ivar" real,
    "hbeta_ew" real,
    "hbeta_ew_ivar" real,
    "hbeta_cont" real,
    "hbeta_good" real,
    "hbeta_flag" smallint,
    "oiii_4960_flux" real,
    "oiii_4960_flux_ivar" real,
    "oiii_4960_ew" real,
    "oiii_4960_ew_ivar" real,
    "oiii_4960_cont" real,
    "oiii_4960_good" real,
    "oiii_4960_flag" smallint,
    "oiii_5008_flux" real,
    "oiii_5008_flux_ivar" real,
    "oiii_5008_ew" real,
    "oiii_5008_ew_ivar" real,
    "oiii_5008_cont" real,
    "oiii_5008_good" real,
    "oiii_5008_flag" smallint,
    "nii_5756_flux" real,
    "nii_5756_flux_ivar" real,
    "nii_5756_ew" real,
    "nii_5756_ew_ivar" real,
    "nii_5756_cont" real,
    "nii_5756_good" real,
    "nii_5756_flag" smallint,
    "hei_5877_flux" real,
    "hei_5877_flux_ivar" real,
    "hei_5877_ew" real,
    "hei_5877_ew_ivar" real,
    "hei_5877_cont" real,
    "hei_5877_good" real,
    "hei_5877_flag" smallint,
    "oi_6302_flux" real,
    "oi_6302_flux_ivar" real,
    "oi_6302_ew" real,
    "oi_6302_ew_ivar" real,
    "oi_6302_cont" real,
    "oi_6302_good" real,
    "oi_6302_flag" smallint,
    "siii_6314_flux" real,
    "siii_6314_flux_ivar" real,
    "siii_6314_ew" real,
    "siii_6314_ew_ivar" real,
    "siii_6314_cont" real,
    "siii_6314_good" real,
    "siii_6314_flag" smallint,
    "oi_siii_6308_flux" real,
    "oi_siii_6308_flux_ivar" real,
    "oi_siii_6308_ew" real,
    "oi_siii_6308_ew_ivar" real,
    "oi_siii_6308_cont" real,
    "oi_siii_6308_good" real,
    "oi_siii_6308_flag" smallint,
    "nii_6550_flux" real,
    "nii_6550_flux_ivar" real,
    "nii_6550_ew" real,
    "nii_6550_ew_ivar" real,
    "nii_6550_cont" real,
    "nii_6550_good" real,
    "nii_6550_flag" smallint,
    "halpha_flux" real,
    "halpha_flux_ivar" real,
    "halpha_ew" real,
    "halpha_ew_ivar" real,
    "halpha_cont" real,
    "halpha_good" real,
    "halpha_flag" smallint,
    "nii_6585_flux" real,
    "nii_6585_flux_ivar" real,
    "nii_6585_ew" real,
    "nii_6585_ew_ivar" real,
    "nii_6585_cont" real,
    "nii_6585_good" real,
    "nii_6585_flag" smallint,
    "halpha_nii_flux" real,
    "halpha_nii_flux_ivar" real,
    "halpha_nii_ew" real,
    "halpha_nii_ew_ivar" real,
    "halpha_nii_cont" real,
    "halpha_nii_good" real,
    "halpha_nii_flag" smallint,
    "sii_6718_flux" real,
    "sii_6718_flux_ivar" real,
    "sii_6718_ew" real,
    "sii_6718_ew_ivar" real,
    "sii_6718_cont" real,
    "sii_6718_good" real,
    "sii_6718_flag" smallint,
    "sii_6733_flux" real,
    "sii_6733_flux_ivar" real,
    "sii_6733_ew" real,
    "sii_6733_ew_ivar" real,
    "sii_6733_cont" real,
    "sii_6733_good" real,
    "sii_6733_flag" smallint,
    "sii_6725_flux" real,
    "sii_6725_flux_ivar" real,
    "sii_6725_ew" real,
    "sii_6725_ew_ivar" real,
    "sii_6725_cont" real,
    "sii_6725_good" real,
    "sii_6725_flag" smallint,
    "ariii_7138_flux" real,
    "ariii_7138_flux_ivar" real,
    "ariii_7138_ew" real,
    "ariii_7138_ew_ivar" real,
    "ariii_7138_cont" real,
    "ariii_7138_good" real,
    "ariii_7138_flag" smallint,
    "oii_7322_flux" real,
    "oii_7322_flux_ivar" real,
    "oii_7322_ew" real,
    "oii_7322_ew_ivar" real,
    "oii_7322_cont" real,
    "oii_7322_good" real,
    "oii_7322_flag" smallint,
    "oii_7332_flux" real,
    "oii_7332_flux_ivar" real,
    "oii_7332_ew" real,
    "oii_7332_ew_ivar" real,
    "oii_7332_cont" real,
    "oii_7332_good" real,
    "oii_7332_flag" smallint,
    "oii_7327_flux" real,
    "oii_7327_flux_ivar" real,
    "oii_7327_ew" real,
    "oii_7327_ew_ivar" real,
    "oii_7327_cont" real,
    "oii_7327_good" real,
    "oii_7327_flag" smallint,
    "siii_9071_flux" real,
    "siii_9071_flux_ivar" real,
    "siii_9071_ew" real,
    "siii_9071_ew_ivar" real,
    "siii_9071_cont" real,
    "siii_9071_good" real,
    "siii_9071_flag" smallint,
    "siii_9533_flux" real,
    "siii_9533_flux_ivar" real,
    "siii_9533_ew" real,
    "siii_9533_ew_ivar" real,
    "siii_9533_cont" real,
    "siii_9533_good" real,
    "siii_9533_flag" smallint,
    "synth_flux_g" real,
    "synth_flux_ivar_g" real,
    "synth_coverage_g" real,
    "synth_fiber_ratio_g" real,
    "synth_flux_r" real,
    "synth_flux_ivar_r" real,
    "synth_coverage_r" real,
    "synth_fiber_ratio_r" real,
    "synth_flux_z" real,
    "synth_flux_ivar_z" real,
    "synth_coverage_z" real,
    "synth_fiber_ratio_z" real,
    "coadd_sha256" text,
    "stage_hash" text NOT NULL,
    "healpix29" bigint GENERATED ALWAYS AS (catalog.healpix29(ra, "dec")) STORED,
    PRIMARY KEY ("unit", "targetid")
);
COMMENT ON TABLE spectra.features IS 'One row for every row of every coadd that could be read, in the coadd''s order, measured or not: `state` says how the target ended and `reason` why (a unit that failed as a whole has no file; the ledger counts its rows); measured columns are NULL unless `state` is `done`. Indices and lines are measured on the observed 0.8 Angstrom pixels, arms combined, Galactic extinction removed, at DESI''s resolution.';
COMMENT ON COLUMN spectra.features."unit" IS 'unit of work the row belongs to; with targetid the primary key [ucd: meta.id.part]';
COMMENT ON COLUMN spectra.features."targetid" IS 'DESI target identifier; may be negative [ucd: meta.id;meta.main] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."row" IS 'row of the coadd file, from 0 [ucd: meta.record]';
COMMENT ON COLUMN spectra.features."state" IS 'done, empty, skipped, failed or missing_upstream [ucd: meta.code.status]';
COMMENT ON COLUMN spectra.features."reason" IS 'why the target was not measured; NULL where it was [ucd: meta.note]';
COMMENT ON COLUMN spectra.features."specprod" IS 'spectroscopic production [ucd: meta.version]';
COMMENT ON COLUMN spectra.features."survey" IS 'survey; for tiles from the tiles table, else NULL [ucd: meta.dataset]';
COMMENT ON COLUMN spectra.features."program" IS 'program; for tiles from the tiles table, else NULL [ucd: meta.dataset]';
COMMENT ON COLUMN spectra.features."nside" IS 'HEALPix nside of the unit; NULL for tiles [ucd: pos.healpix]';
COMMENT ON COLUMN spectra.features."healpix" IS 'nested HEALPix pixel of the unit; NULL for tiles [ucd: pos.healpix]';
COMMENT ON COLUMN spectra.features."tileid" IS 'tile; NULL for HEALPix units [ucd: meta.id;obs.field]';
COMMENT ON COLUMN spectra.features."petal" IS 'petal of a tile unit [ucd: meta.id;instr]';
COMMENT ON COLUMN spectra.features."night" IS 'last night of a tile unit, YYYYMMDD [ucd: time.epoch]';
COMMENT ON COLUMN spectra.features."ra" IS 'right ascension of the target (ICRS) [unit: deg] [ucd: pos.eq.ra;meta.main] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."dec" IS 'declination of the target (ICRS) [unit: deg] [ucd: pos.eq.dec;meta.main] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."objtype" IS 'TGT, SKY, BAD or blank [ucd: meta.code.class] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."z" IS 'redshift, as fitted [ucd: src.redshift] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."zerr" IS 'standard error of z [ucd: stat.error;src.redshift] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."zwarn" IS 'ZWARN bit mask [ucd: meta.code.qual] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."deltachi2" IS 'chi-square difference to the next best fit [ucd: stat.fit.chi2] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."spectype" IS 'GALAXY, QSO or STAR, as fitted [ucd: src.class] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."subtype" IS 'subtype, as fitted [ucd: src.class] [source: redrock REDSHIFTS or the catalogue the run names]';
COMMENT ON COLUMN spectra.features."coadd_fiberstatus" IS 'COADD_FIBERSTATUS bit mask [ucd: meta.code.qual] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."ebv" IS 'Galactic E(B-V) used [unit: mag] [ucd: phot.color.excess] [source: coadd FIBERMAP (Schlegel, Finkbeiner & Davis 1998)]';
COMMENT ON COLUMN spectra.features."desi_target" IS 'DESI_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."bgs_target" IS 'BGS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."mws_target" IS 'MWS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."scnd_target" IS 'SCND_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."cmx_target" IS 'CMX_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv1_desi_target" IS 'SV1_DESI_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv1_bgs_target" IS 'SV1_BGS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv1_mws_target" IS 'SV1_MWS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv1_scnd_target" IS 'SV1_SCND_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv2_desi_target" IS 'SV2_DESI_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv2_bgs_target" IS 'SV2_BGS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv2_mws_target" IS 'SV2_MWS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv2_scnd_target" IS 'SV2_SCND_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv3_desi_target" IS 'SV3_DESI_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv3_bgs_target" IS 'SV3_BGS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv3_mws_target" IS 'SV3_MWS_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."sv3_scnd_target" IS 'SV3_SCND_TARGET bit mask [ucd: meta.code] [source: coadd FIBERMAP]';
COMMENT ON COLUMN spectra.features."tsnr2_bgs" IS 'squared BGS template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_elg" IS 'squared ELG template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_gpbbackup" IS 'squared GPBBACKUP template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_gpbbright" IS 'squared GPBBRIGHT template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_gpbdark" IS 'squared GPBDARK template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_lrg" IS 'squared LRG template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_lya" IS 'squared LYA template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."tsnr2_qso" IS 'squared QSO template S/N, summed over the arms [ucd: stat.snr] [source: coadd SCORES]';
COMMENT ON COLUMN spectra.features."flags" IS 'bit mask: 1 not corrected for Galactic extinction (no EBV); 2 pixels that are not finite or have negative ivar were counted as missing; 4 ZWARN is not 0; 8 an arm is absent or was dropped by COADD_FIBERSTATUS [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."n_good_pixels" IS 'pixels of the combined spectrum with ivar > 0 [ucd: meta.number]';
COMMENT ON COLUMN spectra.features."n_masked_pixels" IS 'pixels of the combined spectrum with ivar > 0 whose MASK is not 0 (every input of the pixel was masked): rule `masked` keeps their flux, which may be wrong, in every measurement; rule `dr1` leaves none [ucd: meta.number]';
COMMENT ON COLUMN spectra.features."n_bad_pixels" IS 'arm pixels that were not finite or had negative ivar [ucd: meta.number]';
COMMENT ON COLUMN spectra.features."snr_b" IS 'median S/N per square root of Angstrom of the b arm, before combining; pixels with ivar 0 count as 0 [unit: Angstrom**-0.5] [ucd: stat.snr] [source: definition of MEDIAN_COADD_SNR in desispec.specscore]';
COMMENT ON COLUMN spectra.features."snr_r" IS 'median S/N per square root of Angstrom of the r arm, before combining; pixels with ivar 0 count as 0 [unit: Angstrom**-0.5] [ucd: stat.snr] [source: definition of MEDIAN_COADD_SNR in desispec.specscore]';
COMMENT ON COLUMN spectra.features."snr_z" IS 'median S/N per square root of Angstrom of the z arm, before combining; pixels with ivar 0 count as 0 [unit: Angstrom**-0.5] [ucd: stat.snr] [source: definition of MEDIAN_COADD_SNR in desispec.specscore]';
COMMENT ON COLUMN spectra.features."snr_1450" IS 'median S/N per square root of Angstrom within rest 1420 to 1480 Angstrom [unit: Angstrom**-0.5] [ucd: stat.snr;em.wl]';
COMMENT ON COLUMN spectra.features."snr_5100" IS 'median S/N per square root of Angstrom within rest 5050 to 5150 Angstrom [unit: Angstrom**-0.5] [ucd: stat.snr;em.wl]';
COMMENT ON COLUMN spectra.features."ivar_scale_b" IS 'factor by which ivar should be multiplied to describe the scatter of the b arm''s pixels about a smooth continuum (robust) [ucd: stat.fit.param]';
COMMENT ON COLUMN spectra.features."ivar_scale_r" IS 'factor by which ivar should be multiplied to describe the scatter of the r arm''s pixels about a smooth continuum (robust) [ucd: stat.fit.param]';
COMMENT ON COLUMN spectra.features."ivar_scale_z" IS 'factor by which ivar should be multiplied to describe the scatter of the z arm''s pixels about a smooth continuum (robust) [ucd: stat.fit.param]';
COMMENT ON COLUMN spectra.features."dn4000" IS 'Dn(4000) narrow, plain mean of f_nu, observed spectrum [ucd: spect.continuum] [source: Balogh+99 ApJ 527 54]';
COMMENT ON COLUMN spectra.features."dn4000_ivar" IS 'inverse variance of dn4000 [ucd: stat.weight;spect.continuum]';
COMMENT ON COLUMN spectra.features."dn4000_flag" IS 'bit mask, 0 = dn4000 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."dn4000_w" IS 'Dn(4000) narrow, inverse-variance weighted mean of f_nu, observed spectrum [ucd: spect.continuum] [source: Balogh+99 ApJ 527 54]';
COMMENT ON COLUMN spectra.features."dn4000_w_ivar" IS 'inverse variance of dn4000_w [ucd: stat.weight;spect.continuum]';
COMMENT ON COLUMN spectra.features."dn4000_w_flag" IS 'bit mask, 0 = dn4000_w measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."d4000" IS 'D(4000) wide, plain mean of f_nu, observed spectrum [ucd: spect.continuum] [source: Bruzual 83 ApJ 273 105]';
COMMENT ON COLUMN spectra.features."d4000_ivar" IS 'inverse variance of d4000 [ucd: stat.weight;spect.continuum]';
COMMENT ON COLUMN spectra.features."d4000_flag" IS 'bit mask, 0 = d4000 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."d4000_w" IS 'D(4000) wide, inverse-variance weighted mean of f_nu, observed spectrum [ucd: spect.continuum] [source: Bruzual 83 ApJ 273 105]';
COMMENT ON COLUMN spectra.features."d4000_w_ivar" IS 'inverse variance of d4000_w [ucd: stat.weight;spect.continuum]';
COMMENT ON COLUMN spectra.features."d4000_w_flag" IS 'bit mask, 0 = d4000_w measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_hdelta_a" IS 'HdeltaA index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey & Ottaviani 97]';
COMMENT ON COLUMN spectra.features."lick_hdelta_a_err" IS 'standard error of lick_hdelta_a [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_hdelta_a_good" IS 'fraction of the pixels behind lick_hdelta_a that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_hdelta_a_flag" IS 'bit mask, 0 = lick_hdelta_a measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_hdelta_f" IS 'HdeltaF index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey & Ottaviani 97]';
COMMENT ON COLUMN spectra.features."lick_hdelta_f_err" IS 'standard error of lick_hdelta_f [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_hdelta_f_good" IS 'fraction of the pixels behind lick_hdelta_f that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_hdelta_f_flag" IS 'bit mask, 0 = lick_hdelta_f measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_hgamma_a" IS 'HgammaA index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey & Ottaviani 97]';
COMMENT ON COLUMN spectra.features."lick_hgamma_a_err" IS 'standard error of lick_hgamma_a [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_hgamma_a_good" IS 'fraction of the pixels behind lick_hgamma_a that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_hgamma_a_flag" IS 'bit mask, 0 = lick_hgamma_a measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_hgamma_f" IS 'HgammaF index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey & Ottaviani 97]';
COMMENT ON COLUMN spectra.features."lick_hgamma_f_err" IS 'standard error of lick_hgamma_f [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_hgamma_f_good" IS 'fraction of the pixels behind lick_hgamma_f that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_hgamma_f_flag" IS 'bit mask, 0 = lick_hgamma_f measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_cn1" IS 'CN1 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_cn1_err" IS 'standard error of lick_cn1 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_cn1_good" IS 'fraction of the pixels behind lick_cn1 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_cn1_flag" IS 'bit mask, 0 = lick_cn1 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_cn2" IS 'CN2 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_cn2_err" IS 'standard error of lick_cn2 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_cn2_good" IS 'fraction of the pixels behind lick_cn2 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_cn2_flag" IS 'bit mask, 0 = lick_cn2 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_ca4227" IS 'Ca4227 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_ca4227_err" IS 'standard error of lick_ca4227 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_ca4227_good" IS 'fraction of the pixels behind lick_ca4227 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_ca4227_flag" IS 'bit mask, 0 = lick_ca4227 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_g4300" IS 'G4300 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_g4300_err" IS 'standard error of lick_g4300 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_g4300_good" IS 'fraction of the pixels behind lick_g4300 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_g4300_flag" IS 'bit mask, 0 = lick_g4300 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe4383" IS 'Fe4383 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe4383_err" IS 'standard error of lick_fe4383 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe4383_good" IS 'fraction of the pixels behind lick_fe4383 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe4383_flag" IS 'bit mask, 0 = lick_fe4383 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_ca4455" IS 'Ca4455 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_ca4455_err" IS 'standard error of lick_ca4455 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_ca4455_good" IS 'fraction of the pixels behind lick_ca4455 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_ca4455_flag" IS 'bit mask, 0 = lick_ca4455 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe4531" IS 'Fe4531 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe4531_err" IS 'standard error of lick_fe4531 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe4531_good" IS 'fraction of the pixels behind lick_fe4531 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe4531_flag" IS 'bit mask, 0 = lick_fe4531 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe4668" IS 'Fe4668 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe4668_err" IS 'standard error of lick_fe4668 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe4668_good" IS 'fraction of the pixels behind lick_fe4668 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe4668_flag" IS 'bit mask, 0 = lick_fe4668 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_hbeta" IS 'Hbeta index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_hbeta_err" IS 'standard error of lick_hbeta [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_hbeta_good" IS 'fraction of the pixels behind lick_hbeta that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_hbeta_flag" IS 'bit mask, 0 = lick_hbeta measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5015" IS 'Fe5015 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5015_err" IS 'standard error of lick_fe5015 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5015_good" IS 'fraction of the pixels behind lick_fe5015 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5015_flag" IS 'bit mask, 0 = lick_fe5015 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_mg1" IS 'Mg1 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_mg1_err" IS 'standard error of lick_mg1 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_mg1_good" IS 'fraction of the pixels behind lick_mg1 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_mg1_flag" IS 'bit mask, 0 = lick_mg1 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_mg2" IS 'Mg2 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_mg2_err" IS 'standard error of lick_mg2 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_mg2_good" IS 'fraction of the pixels behind lick_mg2 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_mg2_flag" IS 'bit mask, 0 = lick_mg2 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_mgb" IS 'Mgb index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_mgb_err" IS 'standard error of lick_mgb [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_mgb_good" IS 'fraction of the pixels behind lick_mgb that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_mgb_flag" IS 'bit mask, 0 = lick_mgb measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5270" IS 'Fe5270 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5270_err" IS 'standard error of lick_fe5270 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5270_good" IS 'fraction of the pixels behind lick_fe5270 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5270_flag" IS 'bit mask, 0 = lick_fe5270 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5335" IS 'Fe5335 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5335_err" IS 'standard error of lick_fe5335 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5335_good" IS 'fraction of the pixels behind lick_fe5335 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5335_flag" IS 'bit mask, 0 = lick_fe5335 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5406" IS 'Fe5406 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5406_err" IS 'standard error of lick_fe5406 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5406_good" IS 'fraction of the pixels behind lick_fe5406 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5406_flag" IS 'bit mask, 0 = lick_fe5406 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5709" IS 'Fe5709 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5709_err" IS 'standard error of lick_fe5709 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5709_good" IS 'fraction of the pixels behind lick_fe5709 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5709_flag" IS 'bit mask, 0 = lick_fe5709 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe5782" IS 'Fe5782 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_fe5782_err" IS 'standard error of lick_fe5782 [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_fe5782_good" IS 'fraction of the pixels behind lick_fe5782 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_fe5782_flag" IS 'bit mask, 0 = lick_fe5782 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_nad" IS 'NaD index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: Angstrom] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_nad_err" IS 'standard error of lick_nad [unit: Angstrom] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_nad_good" IS 'fraction of the pixels behind lick_nad that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_nad_flag" IS 'bit mask, 0 = lick_nad measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_tio1" IS 'TiO1 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_tio1_err" IS 'standard error of lick_tio1 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_tio1_good" IS 'fraction of the pixels behind lick_tio1 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_tio1_flag" IS 'bit mask, 0 = lick_tio1 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_tio2" IS 'TiO2 index, > 0 for absorption, rest frame, at DESI''s resolution and not on the Lick/IDS system; bands in vacuum [unit: mag] [ucd: spect.index] [source: Worthey+94]';
COMMENT ON COLUMN spectra.features."lick_tio2_err" IS 'standard error of lick_tio2 [unit: mag] [ucd: stat.error;spect.index]';
COMMENT ON COLUMN spectra.features."lick_tio2_good" IS 'fraction of the pixels behind lick_tio2 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lick_tio2_flag" IS 'bit mask, 0 = lick_tio2 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lick_fe_mean" IS 'mean of Fe5270 and Fe5335 [unit: Angstrom] [ucd: spect.index] [source: Gonzalez 1993]';
COMMENT ON COLUMN spectra.features."lick_mgfe" IS 'sqrt(Mgb * <Fe>) [unit: Angstrom] [ucd: spect.index] [source: Gonzalez 1993]';
COMMENT ON COLUMN spectra.features."lick_mgfe_prime" IS 'sqrt(Mgb * (0.72 Fe5270 + 0.28 Fe5335)) [unit: Angstrom] [ucd: spect.index] [source: Thomas, Maraston & Bender 2003]';
COMMENT ON COLUMN spectra.features."lyalpha_flux" IS 'Lyalpha 1216 flux in its window above the local continuum; > 0 for emission; NULL: blended, see lyalpha_nv_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: continuum windows of Shen+19 ApJS 241 34; blue one lies in the forest]';
COMMENT ON COLUMN spectra.features."lyalpha_flux_ivar" IS 'inverse variance of lyalpha_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."lyalpha_ew" IS 'rest-frame equivalent width of Lyalpha 1216, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."lyalpha_ew_ivar" IS 'inverse variance of lyalpha_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."lyalpha_cont" IS 'local continuum at Lyalpha 1216, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."lyalpha_good" IS 'fraction of the pixels behind lyalpha that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lyalpha_flag" IS 'bit mask, 0 = lyalpha measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nv_1240_flux" IS 'NV 1240 flux in its window above the local continuum; > 0 for emission; NULL: blended, see lyalpha_nv_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: as lyalpha]';
COMMENT ON COLUMN spectra.features."nv_1240_flux_ivar" IS 'inverse variance of nv_1240_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nv_1240_ew" IS 'rest-frame equivalent width of NV 1240, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nv_1240_ew_ivar" IS 'inverse variance of nv_1240_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nv_1240_cont" IS 'local continuum at NV 1240, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nv_1240_good" IS 'fraction of the pixels behind nv_1240 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nv_1240_flag" IS 'bit mask, 0 = nv_1240 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_flux" IS 'Lyalpha + NV flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_flux_ivar" IS 'inverse variance of lyalpha_nv_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_ew" IS 'rest-frame equivalent width of Lyalpha + NV, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_ew_ivar" IS 'inverse variance of lyalpha_nv_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_cont" IS 'local continuum at Lyalpha + NV, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_good" IS 'fraction of the pixels behind lyalpha_nv that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."lyalpha_nv_flag" IS 'bit mask, 0 = lyalpha_nv measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."siliv_1397_flux" IS 'SiIV 1397 (with OIV] 1402) flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: continuum windows of Shen & Liu 2012 ApJ 753 125]';
COMMENT ON COLUMN spectra.features."siliv_1397_flux_ivar" IS 'inverse variance of siliv_1397_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."siliv_1397_ew" IS 'rest-frame equivalent width of SiIV 1397 (with OIV] 1402), > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siliv_1397_ew_ivar" IS 'inverse variance of siliv_1397_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siliv_1397_cont" IS 'local continuum at SiIV 1397 (with OIV] 1402), observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."siliv_1397_good" IS 'fraction of the pixels behind siliv_1397 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."siliv_1397_flag" IS 'bit mask, 0 = siliv_1397 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."civ_1549_flux" IS 'CIV 1549 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window and sidebands: Shen+11 ApJS 194 45 (section 3.4)]';
COMMENT ON COLUMN spectra.features."civ_1549_flux_ivar" IS 'inverse variance of civ_1549_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."civ_1549_ew" IS 'rest-frame equivalent width of CIV 1549, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."civ_1549_ew_ivar" IS 'inverse variance of civ_1549_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."civ_1549_cont" IS 'local continuum at CIV 1549, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."civ_1549_good" IS 'fraction of the pixels behind civ_1549 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."civ_1549_flag" IS 'bit mask, 0 = civ_1549 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."heii_1640_flux" IS 'HeII 1640 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: as civ_1549 (Shen+11)]';
COMMENT ON COLUMN spectra.features."heii_1640_flux_ivar" IS 'inverse variance of heii_1640_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."heii_1640_ew" IS 'rest-frame equivalent width of HeII 1640, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."heii_1640_ew_ivar" IS 'inverse variance of heii_1640_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."heii_1640_cont" IS 'local continuum at HeII 1640, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."heii_1640_good" IS 'fraction of the pixels behind heii_1640 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."heii_1640_flag" IS 'bit mask, 0 = heii_1640 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."aliii_1857_flux" IS 'AlIII 1857 flux in its window above the local continuum; > 0 for emission; NULL: blended, see ciii_1909_complex_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: continuum windows of Shen+19 ApJS 241 34 (red one cut at 2010)]';
COMMENT ON COLUMN spectra.features."aliii_1857_flux_ivar" IS 'inverse variance of aliii_1857_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."aliii_1857_ew" IS 'rest-frame equivalent width of AlIII 1857, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."aliii_1857_ew_ivar" IS 'inverse variance of aliii_1857_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."aliii_1857_cont" IS 'local continuum at AlIII 1857, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."aliii_1857_good" IS 'fraction of the pixels behind aliii_1857 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."aliii_1857_flag" IS 'bit mask, 0 = aliii_1857 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."siliii_1892_flux" IS 'SiIII] 1892 flux in its window above the local continuum; > 0 for emission; NULL: blended, see ciii_1909_complex_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: continuum windows of Shen+19 ApJS 241 34 (red one cut at 2010)]';
COMMENT ON COLUMN spectra.features."siliii_1892_flux_ivar" IS 'inverse variance of siliii_1892_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."siliii_1892_ew" IS 'rest-frame equivalent width of SiIII] 1892, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siliii_1892_ew_ivar" IS 'inverse variance of siliii_1892_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siliii_1892_cont" IS 'local continuum at SiIII] 1892, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."siliii_1892_good" IS 'fraction of the pixels behind siliii_1892 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."siliii_1892_flag" IS 'bit mask, 0 = siliii_1892 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."ciii_1909_flux" IS 'CIII] 1909 flux in its window above the local continuum; > 0 for emission; NULL: blended, see ciii_1909_complex_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (Vanden Berk+01); window: +-5000 km/s (this project); sidebands: continuum windows of Shen+19 ApJS 241 34 (red one cut at 2010)]';
COMMENT ON COLUMN spectra.features."ciii_1909_flux_ivar" IS 'inverse variance of ciii_1909_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."ciii_1909_ew" IS 'rest-frame equivalent width of CIII] 1909, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ciii_1909_ew_ivar" IS 'inverse variance of ciii_1909_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ciii_1909_cont" IS 'local continuum at CIII] 1909, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."ciii_1909_good" IS 'fraction of the pixels behind ciii_1909 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."ciii_1909_flag" IS 'bit mask, 0 = ciii_1909 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_flux" IS 'AlIII + SiIII] + CIII] flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_flux_ivar" IS 'inverse variance of ciii_1909_complex_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_ew" IS 'rest-frame equivalent width of AlIII + SiIII] + CIII], > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_ew_ivar" IS 'inverse variance of ciii_1909_complex_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_cont" IS 'local continuum at AlIII + SiIII] + CIII], observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_good" IS 'fraction of the pixels behind ciii_1909_complex that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."ciii_1909_complex_flag" IS 'bit mask, 0 = ciii_1909_complex measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."mgii_2796_flux" IS 'MgII 2796 flux in its window above the local continuum; > 0 for emission; NULL: blended, see mgii_2800_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST); window: Shen+11 ApJS 194 45 (2700-2900); sidebands: the inner 60 A of Shen+11''s continuum windows 2200-2700 and 2900-3090]';
COMMENT ON COLUMN spectra.features."mgii_2796_flux_ivar" IS 'inverse variance of mgii_2796_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."mgii_2796_ew" IS 'rest-frame equivalent width of MgII 2796, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2796_ew_ivar" IS 'inverse variance of mgii_2796_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2796_cont" IS 'local continuum at MgII 2796, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."mgii_2796_good" IS 'fraction of the pixels behind mgii_2796 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."mgii_2796_flag" IS 'bit mask, 0 = mgii_2796 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."mgii_2804_flux" IS 'MgII 2804 flux in its window above the local continuum; > 0 for emission; NULL: blended, see mgii_2800_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST); window: Shen+11 ApJS 194 45 (2700-2900); sidebands: the inner 60 A of Shen+11''s continuum windows 2200-2700 and 2900-3090]';
COMMENT ON COLUMN spectra.features."mgii_2804_flux_ivar" IS 'inverse variance of mgii_2804_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."mgii_2804_ew" IS 'rest-frame equivalent width of MgII 2804, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2804_ew_ivar" IS 'inverse variance of mgii_2804_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2804_cont" IS 'local continuum at MgII 2804, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."mgii_2804_good" IS 'fraction of the pixels behind mgii_2804 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."mgii_2804_flag" IS 'bit mask, 0 = mgii_2804 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."mgii_2800_flux" IS 'MgII 2796,2804 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window and sidebands: as members]';
COMMENT ON COLUMN spectra.features."mgii_2800_flux_ivar" IS 'inverse variance of mgii_2800_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."mgii_2800_ew" IS 'rest-frame equivalent width of MgII 2796,2804, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2800_ew_ivar" IS 'inverse variance of mgii_2800_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."mgii_2800_cont" IS 'local continuum at MgII 2796,2804, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."mgii_2800_good" IS 'fraction of the pixels behind mgii_2800 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."mgii_2800_flag" IS 'bit mask, 0 = mgii_2800 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nev_3347_flux" IS '[NeV] 3347 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."nev_3347_flux_ivar" IS 'inverse variance of nev_3347_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nev_3347_ew" IS 'rest-frame equivalent width of [NeV] 3347, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nev_3347_ew_ivar" IS 'inverse variance of nev_3347_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nev_3347_cont" IS 'local continuum at [NeV] 3347, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nev_3347_good" IS 'fraction of the pixels behind nev_3347 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nev_3347_flag" IS 'bit mask, 0 = nev_3347 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nev_3427_flux" IS '[NeV] 3427 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."nev_3427_flux_ivar" IS 'inverse variance of nev_3427_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nev_3427_ew" IS 'rest-frame equivalent width of [NeV] 3427, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nev_3427_ew_ivar" IS 'inverse variance of nev_3427_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nev_3427_cont" IS 'local continuum at [NeV] 3427, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nev_3427_good" IS 'fraction of the pixels behind nev_3427 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nev_3427_flag" IS 'bit mask, 0 = nev_3427 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_3727_flux" IS '[OII] 3727 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oii_3728_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."oii_3727_flux_ivar" IS 'inverse variance of oii_3727_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_3727_ew" IS 'rest-frame equivalent width of [OII] 3727, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3727_ew_ivar" IS 'inverse variance of oii_3727_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3727_cont" IS 'local continuum at [OII] 3727, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_3727_good" IS 'fraction of the pixels behind oii_3727 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_3727_flag" IS 'bit mask, 0 = oii_3727 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_3730_flux" IS '[OII] 3730 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oii_3728_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."oii_3730_flux_ivar" IS 'inverse variance of oii_3730_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_3730_ew" IS 'rest-frame equivalent width of [OII] 3730, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3730_ew_ivar" IS 'inverse variance of oii_3730_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3730_cont" IS 'local continuum at [OII] 3730, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_3730_good" IS 'fraction of the pixels behind oii_3730 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_3730_flag" IS 'bit mask, 0 = oii_3730 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_3728_flux" IS '[OII] 3727,3730 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."oii_3728_flux_ivar" IS 'inverse variance of oii_3728_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_3728_ew" IS 'rest-frame equivalent width of [OII] 3727,3730, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3728_ew_ivar" IS 'inverse variance of oii_3728_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_3728_cont" IS 'local continuum at [OII] 3727,3730, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_3728_good" IS 'fraction of the pixels behind oii_3728 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_3728_flag" IS 'bit mask, 0 = oii_3728 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."neiii_3870_flux" IS '[NeIII] 3870 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: line-free gaps (H6 begins at 3883.7)]';
COMMENT ON COLUMN spectra.features."neiii_3870_flux_ivar" IS 'inverse variance of neiii_3870_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."neiii_3870_ew" IS 'rest-frame equivalent width of [NeIII] 3870, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."neiii_3870_ew_ivar" IS 'inverse variance of neiii_3870_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."neiii_3870_cont" IS 'local continuum at [NeIII] 3870, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."neiii_3870_good" IS 'fraction of the pixels behind neiii_3870 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."neiii_3870_flag" IS 'bit mask, 0 = neiii_3870 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."h6_flux" IS 'H6 3890 (with HeI 3890) flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: line-free gaps ([NeIII] ends at 3876.3; Ca K begins at 3924)]';
COMMENT ON COLUMN spectra.features."h6_flux_ivar" IS 'inverse variance of h6_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."h6_ew" IS 'rest-frame equivalent width of H6 3890 (with HeI 3890), > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."h6_ew_ivar" IS 'inverse variance of h6_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."h6_cont" IS 'local continuum at H6 3890 (with HeI 3890), observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."h6_good" IS 'fraction of the pixels behind h6 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."h6_flag" IS 'bit mask, 0 = h6 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hepsilon_flux" IS 'Hepsilon 3971 (with [NeIII] 3969) flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: between Ca K and H; redwards of Hepsilon]';
COMMENT ON COLUMN spectra.features."hepsilon_flux_ivar" IS 'inverse variance of hepsilon_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hepsilon_ew" IS 'rest-frame equivalent width of Hepsilon 3971 (with [NeIII] 3969), > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hepsilon_ew_ivar" IS 'inverse variance of hepsilon_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hepsilon_cont" IS 'local continuum at Hepsilon 3971 (with [NeIII] 3969), observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hepsilon_good" IS 'fraction of the pixels behind hepsilon that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hepsilon_flag" IS 'bit mask, 0 = hepsilon measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hdelta_flux" IS 'Hdelta 4103 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."hdelta_flux_ivar" IS 'inverse variance of hdelta_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hdelta_ew" IS 'rest-frame equivalent width of Hdelta 4103, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hdelta_ew_ivar" IS 'inverse variance of hdelta_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hdelta_cont" IS 'local continuum at Hdelta 4103, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hdelta_good" IS 'fraction of the pixels behind hdelta that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hdelta_flag" IS 'bit mask, 0 = hdelta measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hgamma_flux" IS 'Hgamma 4342 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: between G band and line; beyond [OIII] 4364]';
COMMENT ON COLUMN spectra.features."hgamma_flux_ivar" IS 'inverse variance of hgamma_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hgamma_ew" IS 'rest-frame equivalent width of Hgamma 4342, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hgamma_ew_ivar" IS 'inverse variance of hgamma_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hgamma_cont" IS 'local continuum at Hgamma 4342, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hgamma_good" IS 'fraction of the pixels behind hgamma that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hgamma_flag" IS 'bit mask, 0 = hgamma measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oiii_4364_flux" IS '[OIII] 4364 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: gap between Hgamma and line; redwards of line]';
COMMENT ON COLUMN spectra.features."oiii_4364_flux_ivar" IS 'inverse variance of oiii_4364_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oiii_4364_ew" IS 'rest-frame equivalent width of [OIII] 4364, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_4364_ew_ivar" IS 'inverse variance of oiii_4364_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_4364_cont" IS 'local continuum at [OIII] 4364, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oiii_4364_good" IS 'fraction of the pixels behind oiii_4364 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oiii_4364_flag" IS 'bit mask, 0 = oiii_4364 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hei_4473_flux" IS 'HeI 4473 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."hei_4473_flux_ivar" IS 'inverse variance of hei_4473_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hei_4473_ew" IS 'rest-frame equivalent width of HeI 4473, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hei_4473_ew_ivar" IS 'inverse variance of hei_4473_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hei_4473_cont" IS 'local continuum at HeI 4473, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hei_4473_good" IS 'fraction of the pixels behind hei_4473 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hei_4473_flag" IS 'bit mask, 0 = hei_4473 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."heii_4687_flux" IS 'HeII 4687 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."heii_4687_flux_ivar" IS 'inverse variance of heii_4687_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."heii_4687_ew" IS 'rest-frame equivalent width of HeII 4687, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."heii_4687_ew_ivar" IS 'inverse variance of heii_4687_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."heii_4687_cont" IS 'local continuum at HeII 4687, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."heii_4687_good" IS 'fraction of the pixels behind heii_4687 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."heii_4687_flag" IS 'bit mask, 0 = heii_4687 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hbeta_flux" IS 'Hbeta 4863 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."hbeta_flux_ivar" IS 'inverse variance of hbeta_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hbeta_ew" IS 'rest-frame equivalent width of Hbeta 4863, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hbeta_ew_ivar" IS 'inverse variance of hbeta_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hbeta_cont" IS 'local continuum at Hbeta 4863, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hbeta_good" IS 'fraction of the pixels behind hbeta that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hbeta_flag" IS 'bit mask, 0 = hbeta measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oiii_4960_flux" IS '[OIII] 4960 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: line-free gaps beside line]';
COMMENT ON COLUMN spectra.features."oiii_4960_flux_ivar" IS 'inverse variance of oiii_4960_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oiii_4960_ew" IS 'rest-frame equivalent width of [OIII] 4960, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_4960_ew_ivar" IS 'inverse variance of oiii_4960_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_4960_cont" IS 'local continuum at [OIII] 4960, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oiii_4960_good" IS 'fraction of the pixels behind oiii_4960 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oiii_4960_flag" IS 'bit mask, 0 = oiii_4960 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oiii_5008_flux" IS '[OIII] 5008 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: line-free gaps beside line]';
COMMENT ON COLUMN spectra.features."oiii_5008_flux_ivar" IS 'inverse variance of oiii_5008_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oiii_5008_ew" IS 'rest-frame equivalent width of [OIII] 5008, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_5008_ew_ivar" IS 'inverse variance of oiii_5008_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oiii_5008_cont" IS 'local continuum at [OIII] 5008, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oiii_5008_good" IS 'fraction of the pixels behind oiii_5008 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oiii_5008_flag" IS 'bit mask, 0 = oiii_5008 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nii_5756_flux" IS '[NII] 5756 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."nii_5756_flux_ivar" IS 'inverse variance of nii_5756_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nii_5756_ew" IS 'rest-frame equivalent width of [NII] 5756, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_5756_ew_ivar" IS 'inverse variance of nii_5756_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_5756_cont" IS 'local continuum at [NII] 5756, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nii_5756_good" IS 'fraction of the pixels behind nii_5756 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nii_5756_flag" IS 'bit mask, 0 = nii_5756 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."hei_5877_flux" IS 'HeI 5877 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."hei_5877_flux_ivar" IS 'inverse variance of hei_5877_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."hei_5877_ew" IS 'rest-frame equivalent width of HeI 5877, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hei_5877_ew_ivar" IS 'inverse variance of hei_5877_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."hei_5877_cont" IS 'local continuum at HeI 5877, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."hei_5877_good" IS 'fraction of the pixels behind hei_5877 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."hei_5877_flag" IS 'bit mask, 0 = hei_5877 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oi_6302_flux" IS '[OI] 6302 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oi_siii_6308_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."oi_6302_flux_ivar" IS 'inverse variance of oi_6302_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oi_6302_ew" IS 'rest-frame equivalent width of [OI] 6302, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oi_6302_ew_ivar" IS 'inverse variance of oi_6302_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oi_6302_cont" IS 'local continuum at [OI] 6302, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oi_6302_good" IS 'fraction of the pixels behind oi_6302 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oi_6302_flag" IS 'bit mask, 0 = oi_6302 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."siii_6314_flux" IS '[SIII] 6314 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oi_siii_6308_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."siii_6314_flux_ivar" IS 'inverse variance of siii_6314_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."siii_6314_ew" IS 'rest-frame equivalent width of [SIII] 6314, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_6314_ew_ivar" IS 'inverse variance of siii_6314_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_6314_cont" IS 'local continuum at [SIII] 6314, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."siii_6314_good" IS 'fraction of the pixels behind siii_6314 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."siii_6314_flag" IS 'bit mask, 0 = siii_6314 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_flux" IS '[OI] 6302 + [SIII] 6314 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_flux_ivar" IS 'inverse variance of oi_siii_6308_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_ew" IS 'rest-frame equivalent width of [OI] 6302 + [SIII] 6314, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_ew_ivar" IS 'inverse variance of oi_siii_6308_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_cont" IS 'local continuum at [OI] 6302 + [SIII] 6314, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_good" IS 'fraction of the pixels behind oi_siii_6308 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oi_siii_6308_flag" IS 'bit mask, 0 = oi_siii_6308 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nii_6550_flux" IS '[NII] 6550 flux in its window above the local continuum; > 0 for emission; NULL: blended, see halpha_nii_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."nii_6550_flux_ivar" IS 'inverse variance of nii_6550_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nii_6550_ew" IS 'rest-frame equivalent width of [NII] 6550, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_6550_ew_ivar" IS 'inverse variance of nii_6550_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_6550_cont" IS 'local continuum at [NII] 6550, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nii_6550_good" IS 'fraction of the pixels behind nii_6550 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nii_6550_flag" IS 'bit mask, 0 = nii_6550 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."halpha_flux" IS 'Halpha 6565 flux in its window above the local continuum; > 0 for emission; NULL: blended, see halpha_nii_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."halpha_flux_ivar" IS 'inverse variance of halpha_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."halpha_ew" IS 'rest-frame equivalent width of Halpha 6565, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."halpha_ew_ivar" IS 'inverse variance of halpha_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."halpha_cont" IS 'local continuum at Halpha 6565, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."halpha_good" IS 'fraction of the pixels behind halpha that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."halpha_flag" IS 'bit mask, 0 = halpha measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."nii_6585_flux" IS '[NII] 6585 flux in its window above the local continuum; > 0 for emission; NULL: blended, see halpha_nii_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."nii_6585_flux_ivar" IS 'inverse variance of nii_6585_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."nii_6585_ew" IS 'rest-frame equivalent width of [NII] 6585, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_6585_ew_ivar" IS 'inverse variance of nii_6585_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."nii_6585_cont" IS 'local continuum at [NII] 6585, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."nii_6585_good" IS 'fraction of the pixels behind nii_6585 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."nii_6585_flag" IS 'bit mask, 0 = nii_6585 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."halpha_nii_flux" IS 'Halpha + [NII] 6550,6585 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."halpha_nii_flux_ivar" IS 'inverse variance of halpha_nii_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."halpha_nii_ew" IS 'rest-frame equivalent width of Halpha + [NII] 6550,6585, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."halpha_nii_ew_ivar" IS 'inverse variance of halpha_nii_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."halpha_nii_cont" IS 'local continuum at Halpha + [NII] 6550,6585, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."halpha_nii_good" IS 'fraction of the pixels behind halpha_nii that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."halpha_nii_flag" IS 'bit mask, 0 = halpha_nii measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."sii_6718_flux" IS '[SII] 6718 flux in its window above the local continuum; > 0 for emission; NULL: blended, see sii_6725_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."sii_6718_flux_ivar" IS 'inverse variance of sii_6718_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."sii_6718_ew" IS 'rest-frame equivalent width of [SII] 6718, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6718_ew_ivar" IS 'inverse variance of sii_6718_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6718_cont" IS 'local continuum at [SII] 6718, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."sii_6718_good" IS 'fraction of the pixels behind sii_6718 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."sii_6718_flag" IS 'bit mask, 0 = sii_6718 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."sii_6733_flux" IS '[SII] 6733 flux in its window above the local continuum; > 0 for emission; NULL: blended, see sii_6725_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."sii_6733_flux_ivar" IS 'inverse variance of sii_6733_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."sii_6733_ew" IS 'rest-frame equivalent width of [SII] 6733, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6733_ew_ivar" IS 'inverse variance of sii_6733_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6733_cont" IS 'local continuum at [SII] 6733, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."sii_6733_good" IS 'fraction of the pixels behind sii_6733 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."sii_6733_flag" IS 'bit mask, 0 = sii_6733 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."sii_6725_flux" IS '[SII] 6718,6733 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."sii_6725_flux_ivar" IS 'inverse variance of sii_6725_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."sii_6725_ew" IS 'rest-frame equivalent width of [SII] 6718,6733, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6725_ew_ivar" IS 'inverse variance of sii_6725_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."sii_6725_cont" IS 'local continuum at [SII] 6718,6733, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."sii_6725_good" IS 'fraction of the pixels behind sii_6725 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."sii_6725_flag" IS 'bit mask, 0 = sii_6725 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."ariii_7138_flux" IS '[ArIII] 7138 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."ariii_7138_flux_ivar" IS 'inverse variance of ariii_7138_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."ariii_7138_ew" IS 'rest-frame equivalent width of [ArIII] 7138, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ariii_7138_ew_ivar" IS 'inverse variance of ariii_7138_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."ariii_7138_cont" IS 'local continuum at [ArIII] 7138, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."ariii_7138_good" IS 'fraction of the pixels behind ariii_7138 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."ariii_7138_flag" IS 'bit mask, 0 = ariii_7138 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_7322_flux" IS '[OII] 7322 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oii_7327_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."oii_7322_flux_ivar" IS 'inverse variance of oii_7322_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_7322_ew" IS 'rest-frame equivalent width of [OII] 7322, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7322_ew_ivar" IS 'inverse variance of oii_7322_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7322_cont" IS 'local continuum at [OII] 7322, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_7322_good" IS 'fraction of the pixels behind oii_7322 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_7322_flag" IS 'bit mask, 0 = oii_7322 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_7332_flux" IS '[OII] 7332 flux in its window above the local continuum; > 0 for emission; NULL: blended, see oii_7327_flux [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."oii_7332_flux_ivar" IS 'inverse variance of oii_7332_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_7332_ew" IS 'rest-frame equivalent width of [OII] 7332, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7332_ew_ivar" IS 'inverse variance of oii_7332_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7332_cont" IS 'local continuum at [OII] 7332, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_7332_good" IS 'fraction of the pixels behind oii_7332 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_7332_flag" IS 'bit mask, 0 = oii_7332 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."oii_7327_flux" IS '[OII] 7322,7332 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: mean of members; window: union of members; sidebands: as members]';
COMMENT ON COLUMN spectra.features."oii_7327_flux_ivar" IS 'inverse variance of oii_7327_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."oii_7327_ew" IS 'rest-frame equivalent width of [OII] 7322,7332, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7327_ew_ivar" IS 'inverse variance of oii_7327_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."oii_7327_cont" IS 'local continuum at [OII] 7322,7332, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."oii_7327_good" IS 'fraction of the pixels behind oii_7327 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."oii_7327_flag" IS 'bit mask, 0 = oii_7327 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."siii_9071_flux" IS '[SIII] 9071 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."siii_9071_flux_ivar" IS 'inverse variance of siii_9071_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."siii_9071_ew" IS 'rest-frame equivalent width of [SIII] 9071, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_9071_ew_ivar" IS 'inverse variance of siii_9071_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_9071_cont" IS 'local continuum at [SIII] 9071, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."siii_9071_good" IS 'fraction of the pixels behind siii_9071 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."siii_9071_flag" IS 'bit mask, 0 = siii_9071 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."siii_9533_flux" IS '[SIII] 9533 flux in its window above the local continuum; > 0 for emission [unit: 1e-17 erg.s**-1.cm**-2] [ucd: phot.flux;spect.line] [source: wave: fastspecfit 3.6.1 emlines.ecsv (NIST/Chianti/Vanden Berk+01); window: +-500 km/s; sidebands: this project: 1500 km/s wide, from 1000 km/s outwards past other lines]';
COMMENT ON COLUMN spectra.features."siii_9533_flux_ivar" IS 'inverse variance of siii_9533_flux, continuum fit included [unit: 1e34 erg**-2.s**2.cm**4] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."siii_9533_ew" IS 'rest-frame equivalent width of [SIII] 9533, > 0 for emission [unit: Angstrom] [ucd: spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_9533_ew_ivar" IS 'inverse variance of siii_9533_ew [unit: Angstrom**-2] [ucd: stat.weight;spect.line.eqWidth]';
COMMENT ON COLUMN spectra.features."siii_9533_cont" IS 'local continuum at [SIII] 9533, observed frame [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: spect.continuum]';
COMMENT ON COLUMN spectra.features."siii_9533_good" IS 'fraction of the pixels behind siii_9533 that are good; NULL where it is off the spectrum [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."siii_9533_flag" IS 'bit mask, 0 = siii_9533 measured; 1 off the spectrum; 2 too few good pixels; 4 continuum not positive; 8 blended, see its group; 16 measured, some pixels bridged (the ivar leaves the bridging out); 32 numbers degenerate [ucd: meta.code.qual]';
COMMENT ON COLUMN spectra.features."synth_flux_g" IS 'synthetic g-band flux (AB) of the spectrum, as observed: extinction not removed [unit: nanomaggy] [ucd: phot.flux;em.opt] [source: Legacy Surveys filter curves (DECam, BASS, MzLS)]';
COMMENT ON COLUMN spectra.features."synth_flux_ivar_g" IS 'inverse variance of synth_flux_g [unit: nanomaggy**-2] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."synth_coverage_g" IS 'fraction of the g curve''s weight that good pixels cover [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."synth_fiber_ratio_g" IS 'synth_flux_g over FIBERFLUX_G [ucd: arith.ratio;phot.flux]';
COMMENT ON COLUMN spectra.features."synth_flux_r" IS 'synthetic r-band flux (AB) of the spectrum, as observed: extinction not removed [unit: nanomaggy] [ucd: phot.flux;em.opt] [source: Legacy Surveys filter curves (DECam, BASS, MzLS)]';
COMMENT ON COLUMN spectra.features."synth_flux_ivar_r" IS 'inverse variance of synth_flux_r [unit: nanomaggy**-2] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."synth_coverage_r" IS 'fraction of the r curve''s weight that good pixels cover [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."synth_fiber_ratio_r" IS 'synth_flux_r over FIBERFLUX_R [ucd: arith.ratio;phot.flux]';
COMMENT ON COLUMN spectra.features."synth_flux_z" IS 'synthetic z-band flux (AB) of the spectrum, as observed: extinction not removed [unit: nanomaggy] [ucd: phot.flux;em.opt] [source: Legacy Surveys filter curves (DECam, BASS, MzLS)]';
COMMENT ON COLUMN spectra.features."synth_flux_ivar_z" IS 'inverse variance of synth_flux_z [unit: nanomaggy**-2] [ucd: stat.weight;phot.flux]';
COMMENT ON COLUMN spectra.features."synth_coverage_z" IS 'fraction of the z curve''s weight that good pixels cover [ucd: stat.value]';
COMMENT ON COLUMN spectra.features."synth_fiber_ratio_z" IS 'synth_flux_z over FIBERFLUX_Z [ucd: arith.ratio;phot.flux]';
COMMENT ON COLUMN spectra.features."coadd_sha256" IS 'SHA-256 of the coadd file; NULL where the run took no digests [ucd: meta.checksum]';
COMMENT ON COLUMN spectra.features."stage_hash" IS 'digest of the settings, constants and stage version behind the row [ucd: meta.version]';
COMMENT ON COLUMN spectra.features."healpix29" IS 'nested HEALPix pixel of (ra, dec) at order 29; NULL where the position is unknown [ucd: pos.healpix] [source: Gorski et al. 2005]';

CREATE TABLE ml.models (
    "model_hash" text NOT NULL,
    "name" text NOT NULL,
    "version" integer NOT NULL,
    "class" text NOT NULL,
    "embedder" text NOT NULL,
    "dimension" integer NOT NULL,
    "n_pixels" integer NOT NULL,
    "grid_log10_first" double precision NOT NULL,
    "grid_dlog10" double precision NOT NULL,
    "sample_sha256" text NOT NULL,
    "explained_variance" real[],
    "card" jsonb NOT NULL,
    "card_markdown" text NOT NULL,
    PRIMARY KEY ("model_hash")
);
COMMENT ON TABLE ml.models IS 'One row per model: what made the vectors of its hash, what it is for and not for.';
COMMENT ON COLUMN ml.models."model_hash" IS 'content hash of the model [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ml.models."name" IS 'its name in the run file [ucd: meta.title]';
COMMENT ON COLUMN ml.models."version" IS 'version of the embedder [ucd: meta.version]';
COMMENT ON COLUMN ml.models."class" IS 'spectral class it is for: GALAXY or QSO [ucd: src.class]';
COMMENT ON COLUMN ml.models."embedder" IS 'how spectra become vectors [ucd: meta.code]';
COMMENT ON COLUMN ml.models."dimension" IS 'elements of a vector [ucd: meta.number]';
COMMENT ON COLUMN ml.models."n_pixels" IS 'pixels of the rest-frame grid [ucd: meta.number]';
COMMENT ON COLUMN ml.models."grid_log10_first" IS 'log10 of the first rest wavelength in Angstrom [ucd: em.wl]';
COMMENT ON COLUMN ml.models."grid_dlog10" IS 'step of log10 of the wavelength [ucd: spect.binSize]';
COMMENT ON COLUMN ml.models."sample_sha256" IS 'digest of the spectra it was fitted to [ucd: meta.checksum]';
COMMENT ON COLUMN ml.models."explained_variance" IS 'share of the sample''s variance each component explains [ucd: stat.variance]';
COMMENT ON COLUMN ml.models."card" IS 'the model card [ucd: meta.note]';
COMMENT ON COLUMN ml.models."card_markdown" IS 'the model card, to be read [ucd: meta.note]';

CREATE TABLE ml.embeddings (
    "model_hash" text NOT NULL,
    "unit" text NOT NULL,
    "targetid" bigint NOT NULL,
    "row" integer NOT NULL,
    "state" text NOT NULL,
    "reason" text,
    "z" double precision NOT NULL,
    "good_pixel_fraction" real NOT NULL,
    "amplitude" real,
    "amplitude_snr" real,
    "constraint" real,
    "chi2_reduced" real,
    "n_good_pixels" integer NOT NULL,
    "embedding" vector,
    "embedding_variance" real[],
    CONSTRAINT "vector_where_done" CHECK ((state = 'done') = (embedding IS NOT NULL)),
    PRIMARY KEY ("model_hash", "unit", "targetid")
) PARTITION BY LIST ("model_hash");
COMMENT ON TABLE ml.embeddings IS 'One row for every spectrum of the model''s class: its vector under one model. `state` says whether there is one and `reason` why not; (model_hash, unit, targetid) is the key.';
COMMENT ON COLUMN ml.embeddings."model_hash" IS 'content hash of the model; see the model''s card [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ml.embeddings."unit" IS 'unit of work the row belongs to [ucd: meta.id.part]';
COMMENT ON COLUMN ml.embeddings."targetid" IS 'DESI target identifier [ucd: meta.id;meta.main]';
COMMENT ON COLUMN ml.embeddings."row" IS 'row of the coadd file, from 0 [ucd: meta.record]';
COMMENT ON COLUMN ml.embeddings."state" IS 'done or empty [ucd: meta.code.status]';
COMMENT ON COLUMN ml.embeddings."reason" IS 'why there is no vector: coverage (too few good pixels, or a component that they leave open), amplitude (the spectrum does not rise above noise, or is negative), variance (an element is known worse than its scatter over the sample); NULL where there is one [ucd: meta.note]';
COMMENT ON COLUMN ml.embeddings."z" IS 'redshift the spectrum was moved to rest with [ucd: src.redshift]';
COMMENT ON COLUMN ml.embeddings."good_pixel_fraction" IS 'share of the model''s pixels with ivar > 0 [ucd: obs.param]';
COMMENT ON COLUMN ml.embeddings."amplitude" IS 'scale a of the model''s mean spectrum in this one, fitted with ivar weights [unit: 1e-17 erg.s**-1.cm**-2.Angstrom**-1] [ucd: phot.flux.density]';
COMMENT ON COLUMN ml.embeddings."amplitude_snr" IS 'amplitude over its standard error [ucd: stat.snr]';
COMMENT ON COLUMN ml.embeddings."constraint" IS 'smallest share of a component''s power, given the components before it, that the good pixels cover: 1 where they determine all of them, 0 where one is not determined [ucd: stat.fit.param]';
COMMENT ON COLUMN ml.embeddings."chi2_reduced" IS 'chi-square of flux / amplitude about mean + components, over good pixels - components; neighbouring pixels of the rest-frame grid are correlated, so 1 is not expected where the grid is finer than the data. A raw anomaly score: larger is stranger [ucd: stat.fit.chi2]';
COMMENT ON COLUMN ml.embeddings."n_good_pixels" IS 'pixels with ivar > 0 in the fit [ucd: meta.number]';
COMMENT ON COLUMN ml.embeddings."embedding" IS 'coefficients of the model''s components, each divided by its standard deviation over the model''s sample; NULL unless state is done. Vectors of different model_hash must never be compared [ucd: stat.value] [source: Bailey 2012, PASP 124, 1015]';
COMMENT ON COLUMN ml.embeddings."embedding_variance" IS 'variance of each element of embedding: the diagonal of the inverse normal matrix, in the same scale [ucd: stat.variance] [source: Bailey 2012, PASP 124, 1015]';

CREATE TABLE ml.neighbors (
    "model_hash" text NOT NULL,
    "metric" text NOT NULL,
    "unit" text NOT NULL,
    "targetid" bigint NOT NULL,
    "rank" smallint NOT NULL,
    "neighbor_unit" text NOT NULL,
    "neighbor_targetid" bigint NOT NULL,
    "distance" real NOT NULL,
    "same_target" boolean NOT NULL,
    "reciprocal" boolean NOT NULL,
    PRIMARY KEY ("model_hash", "metric", "unit", "targetid", "rank")
) PARTITION BY LIST ("model_hash");
COMMENT ON TABLE ml.neighbors IS 'Exact nearest neighbours of every embedded spectrum among all others of its model, by brute force; the row itself is left out, other observations of the same target are not. (model_hash, metric, unit, targetid, rank) is the key.';
COMMENT ON COLUMN ml.neighbors."model_hash" IS 'content hash of the model the vectors come from [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ml.neighbors."metric" IS 'l2 (Euclidean distance of the vectors) or cosine (1 - cosine of their angle) [ucd: meta.code]';
COMMENT ON COLUMN ml.neighbors."unit" IS 'unit of work of the target [ucd: meta.id.part]';
COMMENT ON COLUMN ml.neighbors."targetid" IS 'DESI target identifier [ucd: meta.id;meta.main]';
COMMENT ON COLUMN ml.neighbors."rank" IS '1 for the nearest; ties are in the order of (unit, targetid) [ucd: meta.number]';
COMMENT ON COLUMN ml.neighbors."neighbor_unit" IS 'unit of work of the neighbour [ucd: meta.id.part]';
COMMENT ON COLUMN ml.neighbors."neighbor_targetid" IS 'TARGETID of the neighbour [ucd: meta.id]';
COMMENT ON COLUMN ml.neighbors."distance" IS 'distance in the metric [ucd: stat.value]';
COMMENT ON COLUMN ml.neighbors."same_target" IS 'the neighbour is another observation of the same TARGETID, in another unit [ucd: meta.code]';
COMMENT ON COLUMN ml.neighbors."reciprocal" IS 'the target is among the neighbour''s own nearest neighbours [ucd: meta.code]';

CREATE TABLE ml.scores (
    "model_hash" text NOT NULL,
    "metric" text NOT NULL,
    "unit" text NOT NULL,
    "targetid" bigint NOT NULL,
    "n_neighbors" smallint NOT NULL,
    "knn_distance" real,
    "knn_mean_distance" real,
    "reconstruction_chi2" real NOT NULL,
    PRIMARY KEY ("model_hash", "metric", "unit", "targetid")
) PARTITION BY LIST ("model_hash");
COMMENT ON TABLE ml.scores IS 'Raw anomaly scores of every embedded spectrum: not calibrated for class, redshift or signal-to-noise. (model_hash, metric, unit, targetid) is the key.';
COMMENT ON COLUMN ml.scores."model_hash" IS 'content hash of the model the vectors come from [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ml.scores."metric" IS 'l2 (Euclidean distance of the vectors) or cosine (1 - cosine of their angle) [ucd: meta.code]';
COMMENT ON COLUMN ml.scores."unit" IS 'unit of work of the target [ucd: meta.id.part]';
COMMENT ON COLUMN ml.scores."targetid" IS 'DESI target identifier [ucd: meta.id;meta.main]';
COMMENT ON COLUMN ml.scores."n_neighbors" IS 'neighbours of other TARGETIDs that knn_distance rests on; fewer than asked for where there are no more [ucd: meta.number]';
COMMENT ON COLUMN ml.scores."knn_distance" IS 'distance to the n_neighbors-th nearest spectrum of another TARGETID; larger is stranger, NULL where there is no other [ucd: stat.value]';
COMMENT ON COLUMN ml.scores."knn_mean_distance" IS 'mean distance to the n_neighbors nearest spectra of other TARGETIDs; larger is stranger [ucd: stat.mean]';
COMMENT ON COLUMN ml.scores."reconstruction_chi2" IS 'chi2_reduced of the embedding; larger is stranger [ucd: stat.fit.chi2]';

CREATE TABLE ml.vector_index (
    "index_name" text NOT NULL,
    "model_hash" text NOT NULL,
    "metric" text NOT NULL,
    "method" text NOT NULL,
    "parameters" jsonb NOT NULL,
    "bytes" bigint NOT NULL,
    "seconds" double precision NOT NULL,
    "built_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("index_name")
);
COMMENT ON TABLE ml.vector_index IS 'One row per vector index: how it was built.';
COMMENT ON COLUMN ml.vector_index."index_name" IS 'name of the index, in schema ml [ucd: meta.id;meta.main]';
COMMENT ON COLUMN ml.vector_index."model_hash" IS 'model whose vectors it holds [ucd: meta.id;meta.modelled]';
COMMENT ON COLUMN ml.vector_index."metric" IS 'l2 or cosine [ucd: meta.code]';
COMMENT ON COLUMN ml.vector_index."method" IS 'hnsw or ivfflat [ucd: meta.code]';
COMMENT ON COLUMN ml.vector_index."parameters" IS 'precision (vector or halfvec), and m and ef_construction, or lists [ucd: meta.note]';
COMMENT ON COLUMN ml.vector_index."bytes" IS 'size on disk [unit: byte] [ucd: phys.size]';
COMMENT ON COLUMN ml.vector_index."seconds" IS 'time to build [unit: s] [ucd: time.duration]';
COMMENT ON COLUMN ml.vector_index."built_at" IS 'when it was built [ucd: time.creation]';

CREATE TABLE ml.recall (
    "index_name" text NOT NULL,
    "ef_search" integer NOT NULL,
    "k" integer NOT NULL,
    "recall" double precision NOT NULL,
    "n_queries" integer NOT NULL,
    "milliseconds_per_query" double precision NOT NULL,
    "measured_at" timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY ("index_name", "ef_search", "k"),
    FOREIGN KEY ("index_name") REFERENCES ml.vector_index ON DELETE CASCADE
);
COMMENT ON TABLE ml.recall IS 'How much of the exact nearest neighbours each vector index finds.';
COMMENT ON COLUMN ml.recall."index_name" IS 'the index [ucd: meta.id]';
COMMENT ON COLUMN ml.recall."ef_search" IS 'hnsw.ef_search, or ivfflat.probes [ucd: meta.number]';
COMMENT ON COLUMN ml.recall."k" IS 'neighbours asked for [ucd: meta.number]';
COMMENT ON COLUMN ml.recall."recall" IS 'share of the exact k nearest neighbours that the index finds [ucd: stat.probability]';
COMMENT ON COLUMN ml.recall."n_queries" IS 'queries it was measured with [ucd: meta.number]';
COMMENT ON COLUMN ml.recall."milliseconds_per_query" IS 'mean time of a query [unit: ms] [ucd: time.duration]';
COMMENT ON COLUMN ml.recall."measured_at" IS 'when it was measured [ucd: time.epoch]';
