-- The schemas, and positions on the sky as numbers that a B-tree can search.
--
-- HEALPix after Gorski et al. 2005 (ApJ 622, 759), nested numbering; angles in degrees, ICRS.

CREATE SCHEMA IF NOT EXISTS ops;
CREATE SCHEMA IF NOT EXISTS catalog;
CREATE SCHEMA IF NOT EXISTS spectra;
CREATE SCHEMA IF NOT EXISTS ml;
COMMENT ON SCHEMA ops IS 'What was run and loaded: migrations, runs, the ledger.';
COMMENT ON SCHEMA catalog IS 'Positions on the sky; catalogues keyed by TARGETID.';
COMMENT ON SCHEMA spectra IS 'What was measured on spectra.';
COMMENT ON SCHEMA ml IS 'Models, embeddings, neighbours, anomaly scores.';

-- The bits of a number below 2^29, moved to the even places of one below 2^58.
CREATE FUNCTION catalog.spread_bits(n bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v bigint := n;
BEGIN
    v := (v | (v << 16)) & 281470681808895;      -- 0x0000FFFF0000FFFF
    v := (v | (v << 8)) & 71777214294589695;     -- 0x00FF00FF00FF00FF
    v := (v | (v << 4)) & 1085102592571150095;   -- 0x0F0F0F0F0F0F0F0F
    v := (v | (v << 2)) & 3689348814741910323;   -- 0x3333333333333333
    RETURN (v | (v << 1)) & 6148914691236517205; -- 0x5555555555555555
END $$;

CREATE FUNCTION catalog.healpix29(ra double precision, "dec" double precision) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    nside CONSTANT bigint := 536870912; -- 2^29
    z double precision;
    quarters double precision; -- longitude in quarter turns, 0 <= quarters < 4
    wide double precision;
    high double precision;
    rising bigint;
    falling bigint;
    face bigint;
    x bigint;
    y bigint;
BEGIN
    IF NOT ("dec" BETWEEN -90 AND 90) OR NOT (abs(ra) < 'Infinity') THEN
        RETURN NULL;
    END IF;
    z := sind("dec");
    quarters := ra / 90 - 4 * floor(ra / 360);
    IF quarters >= 4 OR quarters < 0 THEN
        quarters := 0; -- a longitude so little below 0 that it rounds to a full turn
    END IF;
    IF abs(z) <= 2.0 / 3.0 THEN
        wide := nside * (0.5 + quarters);
        high := nside * (z * 0.75);
        rising := floor(wide - high)::bigint;  -- number of the ascending edge line
        falling := floor(wide + high)::bigint; -- number of the descending edge line
        face := CASE
            WHEN rising / nside = falling / nside THEN (rising / nside) | 4
            WHEN rising < falling THEN rising / nside
            ELSE falling / nside + 8
        END;
        x := falling % nside;
        y := nside - rising % nside - 1;
    ELSE
        face := least(3, floor(quarters)::bigint);
        wide := quarters - face;
        -- sqrt(3 (1 - |z|)), which loses its digits near the poles
        high := CASE
            WHEN abs(z) < 0.99 THEN nside * sqrt(3 * (1 - abs(z)))
            ELSE nside * cosd("dec") / sqrt((1 + abs(z)) / 3)
        END;
        rising := least(nside - 1, floor(wide * high)::bigint);
        falling := least(nside - 1, floor((1 - wide) * high)::bigint);
        IF z >= 0 THEN
            x := nside - falling - 1;
            y := nside - rising - 1;
        ELSE
            face := face + 8;
            x := rising;
            y := falling;
        END IF;
    END IF;
    RETURN (face << 58) | catalog.spread_bits(x) | (catalog.spread_bits(y) << 1);
END $$;
COMMENT ON FUNCTION catalog.healpix29 IS
    'Nested HEALPix pixel at order 29 of a position (deg); NULL where it is none. Order k: shift right by 2 (29 - k).';

CREATE FUNCTION catalog.angular_distance(
    ra1 double precision, dec1 double precision, ra2 double precision, dec2 double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 2 * asind(least(1, sqrt(
    sind((dec2 - dec1) / 2) ^ 2 + cosd(dec1) * cosd(dec2) * sind((ra2 - ra1) / 2) ^ 2
)));
COMMENT ON FUNCTION catalog.angular_distance IS 'Great-circle distance (deg) by the haversine formula.';

-- From a position, as a unit vector, to the centre of a pixel (rad).
CREATE FUNCTION catalog.pixel_separation(
    level integer, face integer, x bigint, y bigint,
    at_x double precision, at_y double precision, at_z double precision
) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    nside CONSTANT bigint := 1::bigint << level;
    -- Rings are counted from the north pole; a face's southernmost corner lies on ring (2, 3 or 4) nside.
    ring CONSTANT bigint := (2 + face / 4) * nside - x - y - 1;
    in_north CONSTANT boolean := ring < nside;
    in_south CONSTANT boolean := ring > 3 * nside;
    -- A quarter of the ring's pixels.
    quarter CONSTANT bigint := CASE WHEN in_north THEN ring WHEN in_south THEN 4 * nside - ring ELSE nside END;
    -- Longitude of the face's centre, in eighths of a turn.
    eighth CONSTANT integer := CASE WHEN face / 4 = 1 THEN 2 * (face % 4) ELSE 2 * (face % 4) + 1 END;
    phi CONSTANT double precision := pi() / 4 * (eighth * quarter + x - y) / quarter;
    cap double precision;
    z double precision;
    across double precision;
BEGIN
    IF in_north OR in_south THEN
        cap := quarter::double precision ^ 2 / (3 * nside::double precision ^ 2);
        z := CASE WHEN in_north THEN 1 - cap ELSE cap - 1 END;
        across := sqrt(cap * (2 - cap));
    ELSE
        z := (2 * nside - ring) * 2 / (3 * nside::double precision);
        across := sqrt((1 - z) * (1 + z));
    END IF;
    -- By the chord, which keeps its digits at small angles.
    RETURN 2 * asin(least(1, sqrt(
        (at_x - across * cos(phi)) ^ 2 + (at_y - across * sin(phi)) ^ 2 + (at_z - z) ^ 2
    ) / 2));
END $$;

-- The largest distance from the centre of a pixel of this level to one of its corners (rad): the pixel north of
-- (z, phi) = (2/3, pi / 4 nside) has it.
CREATE FUNCTION catalog.pixel_reach(level integer) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    nside CONSTANT double precision := 2.0 ^ level;
    z1 CONSTANT double precision := 2.0 / 3.0;
    z2 CONSTANT double precision := 1 - (1 - 1 / nside) ^ 2 / 3;
    phi CONSTANT double precision := pi() / (4 * nside);
    across1 CONSTANT double precision := sqrt((1 - z1) * (1 + z1));
    across2 CONSTANT double precision := sqrt((1 - z2) * (1 + z2));
BEGIN
    RETURN 2 * asin(sqrt(
        (across1 * cos(phi) - across2) ^ 2 + (across1 * sin(phi)) ^ 2 + (z1 - z2) ^ 2
    ) / 2);
END $$;

CREATE FUNCTION catalog.cone_ranges(ra double precision, "dec" double precision, radius_deg double precision)
RETURNS TABLE (lo bigint, hi bigint)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 30 AS $$
#variable_conflict use_column
DECLARE
    radius double precision;
    at_x CONSTANT double precision := cosd("dec") * cosd(ra);
    at_y CONSTANT double precision := cosd("dec") * sind(ra);
    at_z CONSTANT double precision := sind("dec");
    -- How far a pixel of each level reaches from its centre, with room for rounding.
    reach double precision[];
    deepest integer;
BEGIN
    IF NOT ("dec" BETWEEN -90 AND 90) OR NOT (radius_deg BETWEEN 0 AND 180) THEN
        RAISE EXCEPTION 'a cone needs -90 <= dec <= 90 and 0 <= radius <= 180 degrees, not dec % and radius %',
            "dec", radius_deg USING ERRCODE = 'invalid_parameter_value';
    END IF;
    radius := radians(radius_deg);
    SELECT array_agg(catalog.pixel_reach(level) * (1 + 1e-7) + 1e-12 ORDER BY level)
        INTO reach FROM generate_series(0, 29) AS level;
    -- Pixels a quarter of the cone wide leave some tens of ranges, not much larger than the cone.
    SELECT coalesce(min(level), 29) INTO deepest
        FROM generate_series(0, 29) AS level WHERE reach[level + 1] <= radius / 4;
    RETURN QUERY
    WITH RECURSIVE tree(level, face, x, y, separation) AS (
        SELECT 0, face, 0::bigint, 0::bigint, catalog.pixel_separation(0, face, 0, 0, at_x, at_y, at_z)
        FROM generate_series(0, 11) AS face
        UNION ALL
        SELECT t.level + 1, t.face, 2 * t.x + (q & 1), 2 * t.y + (q >> 1),
            catalog.pixel_separation(
                t.level + 1, t.face, 2 * t.x + (q & 1), 2 * t.y + (q >> 1), at_x, at_y, at_z
            )
        FROM tree t CROSS JOIN generate_series(0, 3) AS q
        WHERE t.level < deepest
            AND t.separation <= radius + reach[t.level + 1]  -- touched
            AND t.separation > radius - reach[t.level + 1]   -- but not wholly inside
    ), leaf AS (
        SELECT ((t.face::bigint << (2 * t.level)) | catalog.spread_bits(t.x) | (catalog.spread_bits(t.y) << 1))
                << (58 - 2 * t.level) AS first,
            1::bigint << (58 - 2 * t.level) AS count
        FROM tree t
        WHERE t.separation <= radius + reach[t.level + 1]
            AND (t.level = deepest OR t.separation <= radius - reach[t.level + 1])
    ), marked AS (
        SELECT l.first, l.first + l.count AS past,
            l.first IS DISTINCT FROM lag(l.first + l.count) OVER (ORDER BY l.first) AS is_start
        FROM leaf l
    ), numbered AS (
        SELECT m.first, m.past, count(*) FILTER (WHERE m.is_start) OVER (ORDER BY m.first) AS island FROM marked m
    )
    SELECT min(n.first), max(n.past) - 1 FROM numbered n GROUP BY n.island ORDER BY 1;
END $$;
COMMENT ON FUNCTION catalog.cone_ranges IS
    'Ranges of healpix29, both ends included, that hold every position within radius_deg of (ra, dec), and some more.';
