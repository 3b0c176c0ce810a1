"""Writes indices.csv: the Lick/IDS bands, converted once from air to vacuum.

Usage: python3 make_indices.py > indices.csv    (standard library only)

Bands: Worthey et al. 1994 ApJS 94 687, Worthey & Ottaviani 1997 ApJS 111 377 (Hdelta, Hgamma),
Trager et al. 1998 ApJS 116 1. Air to vacuum: Morton 2000 ApJS 130 403 eq. 8 gives n(vacuum
wavelength); the vacuum wavelength is the fixed point of vac = air * n(vac).
"""

# name, label, band, blue sideband, red sideband (air, Angstrom), type
W94, WO97 = "Worthey+94", "Worthey & Ottaviani 97"
BANDS_AIR = [
    ("hdelta_a", "HdeltaA", 4083.500, 4122.250, 4041.600, 4079.750, 4128.500, 4161.000, "angstrom", WO97),
    ("hdelta_f", "HdeltaF", 4091.000, 4112.250, 4057.250, 4088.500, 4114.750, 4137.250, "angstrom", WO97),
    ("hgamma_a", "HgammaA", 4319.750, 4363.500, 4283.500, 4319.750, 4367.250, 4419.750, "angstrom", WO97),
    ("hgamma_f", "HgammaF", 4331.250, 4352.250, 4283.500, 4319.750, 4354.750, 4384.750, "angstrom", WO97),
    ("cn1", "CN1", 4142.125, 4177.125, 4080.125, 4117.625, 4244.125, 4284.125, "mag", W94),
    ("cn2", "CN2", 4142.125, 4177.125, 4083.875, 4096.375, 4244.125, 4284.125, "mag", W94),
    ("ca4227", "Ca4227", 4222.250, 4234.750, 4211.000, 4219.750, 4241.000, 4251.000, "angstrom", W94),
    ("g4300", "G4300", 4281.375, 4316.375, 4266.375, 4282.625, 4318.875, 4335.125, "angstrom", W94),
    ("fe4383", "Fe4383", 4369.125, 4420.375, 4359.125, 4370.375, 4442.875, 4455.375, "angstrom", W94),
    ("ca4455", "Ca4455", 4452.125, 4474.625, 4445.875, 4454.625, 4477.125, 4492.125, "angstrom", W94),
    ("fe4531", "Fe4531", 4514.250, 4559.250, 4504.250, 4514.250, 4560.500, 4579.250, "angstrom", W94),
    ("fe4668", "Fe4668", 4634.000, 4720.250, 4611.500, 4630.250, 4742.750, 4756.500, "angstrom", W94),
    ("hbeta", "Hbeta", 4847.875, 4876.625, 4827.875, 4847.875, 4876.625, 4891.625, "angstrom", W94),
    ("fe5015", "Fe5015", 4977.750, 5054.000, 4946.500, 4977.750, 5054.000, 5065.250, "angstrom", W94),
    ("mg1", "Mg1", 5069.125, 5134.125, 4895.125, 4957.625, 5301.125, 5366.125, "mag", W94),
    ("mg2", "Mg2", 5154.125, 5196.625, 4895.125, 4957.625, 5301.125, 5366.125, "mag", W94),
    ("mgb", "Mgb", 5160.125, 5192.625, 5142.625, 5161.375, 5191.375, 5206.375, "angstrom", W94),
    ("fe5270", "Fe5270", 5245.650, 5285.650, 5233.150, 5248.150, 5285.650, 5318.150, "angstrom", W94),
    ("fe5335", "Fe5335", 5312.125, 5352.125, 5304.625, 5315.875, 5353.375, 5363.375, "angstrom", W94),
    ("fe5406", "Fe5406", 5387.500, 5415.000, 5376.250, 5387.500, 5415.000, 5425.000, "angstrom", W94),
    ("fe5709", "Fe5709", 5696.625, 5720.375, 5672.875, 5696.625, 5722.875, 5736.625, "angstrom", W94),
    ("fe5782", "Fe5782", 5776.625, 5796.625, 5765.375, 5775.375, 5797.875, 5811.625, "angstrom", W94),
    ("nad", "NaD", 5876.875, 5909.375, 5860.625, 5875.625, 5922.125, 5948.125, "angstrom", W94),
    ("tio1", "TiO1", 5936.625, 5994.125, 5816.625, 5849.125, 6038.625, 6103.625, "mag", W94),
    ("tio2", "TiO2", 6189.625, 6272.125, 6066.625, 6141.625, 6372.625, 6415.125, "mag", W94),
]

HEADER = """\
# Lick/IDS absorption indices: bands in vacuum, Angstrom; the *_air_aa columns keep the published air values.
# Made by make_indices.py (Morton 2000 ApJS 130 403 inverted); band values after Trager et al. 1998 ApJS 116 1.
# type: angstrom = equivalent width (atomic), mag = -2.5 log10 of the mean flux ratio (molecular).
"""


def refractive_index(vac_aa):
    """n of standard air at a vacuum wavelength (Morton 2000, eq. 8)."""
    s2 = (1e4 / vac_aa) ** 2
    return 1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - s2) + 1.5998e-4 / (38.9 - s2)


def vacuum(air_aa):
    """Vacuum wavelength of an air wavelength; converges in three steps (n varies by 1e-6)."""
    vac_aa = air_aa
    for _ in range(10):
        vac_aa = air_aa * refractive_index(vac_aa)
    return vac_aa


def main():
    names = ["band_lo", "band_hi", "blue_lo", "blue_hi", "red_lo", "red_hi"]
    print(HEADER, end="")
    print(
        ",".join(
            ["name", "label", *(f"{n}_aa" for n in names), "type", *(f"{n}_air_aa" for n in names), "source"]
        )
    )
    for name, label, *air, kind, source in BANDS_AIR:
        vac = [f"{vacuum(a):.4f}" for a in air]
        print(",".join([name, label, *vac, kind, *(f"{a:.3f}" for a in air), source]))


if __name__ == "__main__":
    main()
