-- Who may do what: the reader selects and asks, the loader also fills the tables, the owner does the rest.

GRANT USAGE ON SCHEMA ops, catalog, spectra, ml TO specmill_reader, specmill_loader;
GRANT SELECT ON ALL TABLES IN SCHEMA ops, catalog, spectra, ml TO specmill_reader, specmill_loader;
GRANT INSERT, DELETE ON spectra.features, ml.models, ml.embeddings, ml.neighbors, ml.scores TO specmill_loader;
GRANT INSERT, UPDATE, DELETE ON ops.run, ops.ledger, ops.load TO specmill_loader;

-- Tables made later: partitions, and what later migrations bring.
ALTER DEFAULT PRIVILEGES IN SCHEMA ops GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA catalog GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA spectra GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ml GRANT SELECT ON TABLES TO specmill_reader, specmill_loader;
ALTER DEFAULT PRIVILEGES IN SCHEMA ml GRANT INSERT, DELETE ON TABLES TO specmill_loader;

-- Functions are for everybody unless somebody says so.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA catalog, spectra, ml FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA catalog, spectra TO specmill_reader, specmill_loader;
GRANT EXECUTE ON FUNCTION
    ml.vector_schema, ml.similar_query, ml.similar, ml.partition_name TO specmill_reader, specmill_loader;
GRANT EXECUTE ON FUNCTION
    ml.open_model, ml.prepare_replacement, ml.attach_replacement, ml.drop_partition TO specmill_loader;
