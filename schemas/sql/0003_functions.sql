-- Questions asked in SQL, and what the loader may do to partitions.

CREATE FUNCTION spectra.cone(ra double precision, "dec" double precision, radius_deg double precision)
RETURNS TABLE (features spectra.features, distance double precision)
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
#variable_conflict use_column
DECLARE
    span record;
BEGIN
    -- A range at a time: each is a plain search of the B-tree, whatever the planner thinks of joins.
    FOR span IN SELECT r.lo, r.hi FROM catalog.cone_ranges(cone.ra, cone."dec", cone.radius_deg) r LOOP
        RETURN QUERY
        SELECT f, catalog.angular_distance(cone.ra, cone."dec", f.ra, f."dec")
        FROM spectra.features f
        WHERE f.healpix29 BETWEEN span.lo AND span.hi
            AND catalog.angular_distance(cone.ra, cone."dec", f.ra, f."dec") <= cone.radius_deg;
    END LOOP;
END $$;
COMMENT ON FUNCTION spectra.cone IS
    'Rows of spectra.features within radius_deg of (ra, dec), with their distance (deg), in no order: SELECT (c.features).*, c.distance FROM spectra.cone(150, 2.2, 0.1) c.';

-- The schema that holds pgvector.
CREATE FUNCTION ml.vector_schema() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
RETURN (
    SELECT n.nspname::text FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'
);

-- The spectrum that `similar` starts from: the target's vector with the highest S/N.
CREATE FUNCTION ml.similar_query(target bigint, model text, unit_prefix text) RETURNS ml.embeddings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found ml.embeddings;
    hashes text[];
    reasons text;
    wanted CONSTANT text := similar_query.model;
BEGIN
    SELECT array_agg(m.model_hash) INTO hashes FROM ml.models m
        WHERE wanted IS NULL OR m.name = wanted OR m.model_hash = wanted;
    IF hashes IS NULL THEN
        RAISE EXCEPTION 'no model%', coalesce(' ' || wanted, ' in the database') USING
            ERRCODE = 'no_data_found', HINT = 'SELECT name, model_hash FROM ml.models lists them.';
    END IF;
    SELECT array_agg(DISTINCT e.model_hash) INTO hashes FROM ml.embeddings e
        WHERE e.targetid = similar_query.target AND e.model_hash = ANY (hashes) AND e.embedding IS NOT NULL
            AND (similar_query.unit_prefix IS NULL OR starts_with(e.unit, similar_query.unit_prefix));
    IF cardinality(hashes) > 1 THEN
        RAISE EXCEPTION 'target % has vectors under several models: name one of %', similar_query.target,
            (SELECT string_agg(m.name || ' (' || m.model_hash || ')', ', ' ORDER BY m.name, m.model_hash)
             FROM ml.models m WHERE m.model_hash = ANY (hashes))
            USING ERRCODE = 'cardinality_violation';
    END IF;
    IF hashes IS NULL THEN
        SELECT string_agg(DISTINCT e.unit || ': ' || coalesce(e.reason, e.state), ', ') INTO reasons
            FROM ml.embeddings e WHERE e.targetid = similar_query.target
            AND (similar_query.unit_prefix IS NULL OR starts_with(e.unit, similar_query.unit_prefix));
        IF reasons IS NOT NULL THEN
            RAISE EXCEPTION 'target % has no vector (%)', similar_query.target, reasons USING ERRCODE = 'no_data_found';
        END IF;
        SELECT string_agg(f.unit || ': ' || coalesce(f.reason, 'spectype ' || coalesce(f.spectype, 'unknown')), ', ')
            INTO reasons FROM spectra.features f WHERE f.targetid = similar_query.target
            AND (similar_query.unit_prefix IS NULL OR starts_with(f.unit, similar_query.unit_prefix));
        IF reasons IS NOT NULL THEN
            RAISE EXCEPTION 'target % was not embedded (%)', similar_query.target, reasons USING ERRCODE = 'no_data_found';
        END IF;
        RAISE EXCEPTION 'no target %', similar_query.target || coalesce(' in units ' || similar_query.unit_prefix || '...', '')
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT e.* INTO found FROM ml.embeddings e
        WHERE e.model_hash = hashes[1] AND e.targetid = similar_query.target AND e.embedding IS NOT NULL
            AND (similar_query.unit_prefix IS NULL OR starts_with(e.unit, similar_query.unit_prefix))
        ORDER BY e.amplitude_snr DESC NULLS LAST, e.unit LIMIT 1;
    RETURN found;
END $$;

CREATE FUNCTION ml.similar(
    target bigint, model text DEFAULT NULL, k integer DEFAULT 10,
    z_min double precision DEFAULT NULL, z_max double precision DEFAULT NULL,
    unit_prefix text DEFAULT NULL, metric text DEFAULT 'l2'
) RETURNS TABLE (
    rank integer, unit text, targetid bigint, z double precision, distance double precision, same_target boolean
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET hnsw.iterative_scan = strict_order SET hnsw.ef_search = 100
SET ivfflat.iterative_scan = relaxed_order SET ivfflat.probes = 1
SET enable_indexscan = on
AS $$
#variable_conflict use_column
DECLARE
    vectors CONSTANT text := ml.vector_schema();
    query ml.embeddings;
    parameters jsonb;
    dimension integer;
    operator text;
    indexed text;
    statement text;
    found record;
BEGIN
    IF NOT coalesce("similar".k BETWEEN 1 AND 10000, false) THEN
        RAISE EXCEPTION 'k must be 1 to 10000, not %', "similar".k USING ERRCODE = 'invalid_parameter_value';
    END IF;
    operator := CASE "similar".metric WHEN 'l2' THEN '<->' WHEN 'cosine' THEN '<=>' END;
    IF operator IS NULL THEN
        RAISE EXCEPTION 'metric must be l2 or cosine, not %', "similar".metric USING ERRCODE = 'invalid_parameter_value';
    END IF;
    query := ml.similar_query("similar".target, "similar".model, "similar".unit_prefix);
    EXECUTE format('SELECT %I.vector_dims($1)', vectors) INTO dimension USING query.embedding;
    SELECT i.parameters INTO parameters FROM ml.vector_index i
        WHERE i.model_hash = query.model_hash AND i.metric = "similar".metric ORDER BY i.built_at DESC, i.index_name LIMIT 1;
    -- What the index holds: the vectors, or their halves, of which more are taken and measured again.
    indexed := format('%I.%I(%s)', vectors, coalesce(parameters ->> 'precision', 'vector'), dimension);
    PERFORM set_config('hnsw.ef_search', least(1000, greatest(100, 4 * "similar".k))::text, true);
    IF parameters ? 'lists' THEN
        PERFORM set_config('ivfflat.probes', ceil(sqrt((parameters ->> 'lists')::float8))::text, true);
    END IF;
    statement := format($sql$
        SELECT array_agg(f.unit ORDER BY f.distance, f.unit, f.targetid) AS units,
            array_agg(f.targetid ORDER BY f.distance, f.unit, f.targetid) AS targets,
            array_agg(f.z ORDER BY f.distance, f.unit, f.targetid) AS redshifts,
            array_agg(f.distance ORDER BY f.distance, f.unit, f.targetid) AS distances
        FROM (
            SELECT c.unit, c.targetid, c.z, c.embedding OPERATOR(%1$I.%2$s) $1 AS distance
            FROM (
                SELECT e.unit, e.targetid, e.z, e.embedding FROM ml.embeddings e
                WHERE e.model_hash = %3$L AND e.embedding IS NOT NULL AND (e.unit, e.targetid) <> ($2, $3)
                    AND ($6 IS NULL OR e.z >= $6) AND ($7 IS NULL OR e.z <= $7)
                ORDER BY e.embedding::%4$s OPERATOR(%1$I.%2$s) $1::%4$s LIMIT $4
            ) c ORDER BY 4, 1, 2 LIMIT $5
        ) f $sql$,
        vectors, operator, query.model_hash, indexed);
    EXECUTE statement INTO found USING query.embedding, query.unit, query.targetid,
        CASE WHEN parameters ->> 'precision' = 'halfvec' THEN 4 * "similar".k ELSE "similar".k END, "similar".k,
        "similar".z_min, "similar".z_max;
    IF coalesce(cardinality(found.units), 0) < "similar".k THEN
        -- A narrow filter can exhaust an index scan: then every row is measured.
        PERFORM set_config('enable_indexscan', 'off', true);
        EXECUTE statement INTO found USING query.embedding, query.unit, query.targetid, "similar".k, "similar".k,
            "similar".z_min, "similar".z_max;
    END IF;
    RETURN QUERY
    SELECT n.rank::integer, n.unit, n.targetid, n.z, n.distance, n.targetid = query.targetid
    FROM unnest(found.units, found.targets, found.redshifts, found.distances)
        WITH ORDINALITY AS n(unit, targetid, z, distance, rank);
END $$;
COMMENT ON FUNCTION ml.similar IS
    'The k spectra nearest to a target''s vector under a model, by its index where there is one. model: name or hash, needed where the target has vectors under several. unit_prefix: of the unit whose spectrum is asked about; else the one with the highest amplitude_snr.';

-- For the loader: it owns nothing, these functions act for the owner, each on one partition of one model.

CREATE FUNCTION ml.partition_name(parent text, model_hash text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT coalesce(parent IN ('embeddings', 'neighbors', 'scores'), false) THEN
        RAISE EXCEPTION 'ml.% has no partitions', parent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT coalesce(model_hash ~ '^[0-9a-f]{16,64}$', false) THEN
        RAISE EXCEPTION '% is not the hash of a model', model_hash USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN parent || '_' || left(model_hash, 16);
END $$;
COMMENT ON FUNCTION ml.partition_name IS 'Name, in schema ml, of a model''s partition of embeddings, neighbors or scores.';

CREATE FUNCTION ml.open_model(model_hash text, dimension integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition CONSTANT text := ml.partition_name('embeddings', model_hash);
    rule CONSTANT text := format('%I.vector_dims(embedding) = %s', ml.vector_schema(), dimension);
BEGIN
    IF NOT coalesce(dimension BETWEEN 1 AND 16000, false) THEN
        RAISE EXCEPTION 'a model of dimension %', dimension USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('specmill ' || partition, 0));
    IF to_regclass('ml.' || partition) IS NULL THEN
        -- Made aside, then attached: sessions that load other models are not stopped.
        EXECUTE format(
            'CREATE TABLE ml.%I (LIKE ml.embeddings INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS, '
            'CONSTRAINT one_model CHECK (model_hash = %L), CONSTRAINT one_dimension CHECK (%s))',
            partition, model_hash, rule);
        EXECUTE format('ALTER TABLE ml.embeddings ATTACH PARTITION ml.%I FOR VALUES IN (%L)', partition, model_hash);
    ELSIF NOT EXISTS (
        SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass('ml.' || partition)
            AND c.conname = 'one_dimension' AND pg_get_constraintdef(c.oid) ~ ('= ' || dimension || '\)')
    ) OR NOT EXISTS (
        SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass('ml.' || partition)
            AND c.conname = 'one_model' AND strpos(pg_get_constraintdef(c.oid), quote_literal(model_hash)) > 0
    ) THEN
        RAISE EXCEPTION 'ml.% belongs to another model or dimension than % of %', partition, model_hash, dimension
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN partition;
END $$;
COMMENT ON FUNCTION ml.open_model IS
    'Makes a model''s partition of ml.embeddings where there is none, and gives its name. Last in the model''s transaction: others wait for its end.';

CREATE FUNCTION ml.prepare_replacement(parent text, model_hash text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition CONSTANT text := ml.partition_name(parent, model_hash);
    replacement CONSTANT text := partition || '_next';
BEGIN
    IF parent = 'embeddings' THEN
        RAISE EXCEPTION 'embeddings are replaced unit by unit' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Who replaces is alone on the parent, from here on: two would wait for each other when they attach. Readers go on.
    EXECUTE format('LOCK TABLE ml.%I IN SHARE UPDATE EXCLUSIVE MODE', parent);
    -- With its indexes, so that nothing is left to do when nobody may read the parent.
    EXECUTE format(
        'CREATE TABLE ml.%I (LIKE ml.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING COMMENTS, '
        'CONSTRAINT one_model CHECK (model_hash = %L))', replacement, parent, model_hash);
    RETURN replacement;
END $$;
COMMENT ON FUNCTION ml.prepare_replacement IS
    'Makes an empty table beside a model''s partition of ml.neighbors or ml.scores, and gives its name; ml.attach_replacement, in the same transaction, puts it in the partition''s place.';

CREATE FUNCTION ml.drop_partition(parent text, model_hash text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS ml.%I', ml.partition_name(parent, model_hash));
    IF parent = 'embeddings' THEN
        DELETE FROM ml.vector_index i WHERE i.model_hash = drop_partition.model_hash;
    END IF;
END $$;
COMMENT ON FUNCTION ml.drop_partition IS 'Removes a model''s partition of embeddings, neighbors or scores, with its indexes.';

CREATE FUNCTION ml.attach_replacement(parent text, model_hash text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition CONSTANT text := ml.partition_name(parent, model_hash);
BEGIN
    PERFORM ml.drop_partition(parent, model_hash);
    EXECUTE format('ALTER TABLE ml.%I RENAME TO %I', partition || '_next', partition);
    EXECUTE format('ALTER TABLE ml.%I ATTACH PARTITION ml.%I FOR VALUES IN (%L)', parent, partition, model_hash);
END $$;
COMMENT ON FUNCTION ml.attach_replacement IS
    'Puts the table of ml.prepare_replacement in the place of the model''s partition, which is dropped.';
