-- A store of version 1 as the first step of the migrations writes it, with one finished run.
PRAGMA application_id = 1380669266;
PRAGMA user_version = 1;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
    method TEXT NOT NULL, allocation TEXT NOT NULL, structure TEXT NOT NULL, sequential TEXT NOT NULL,
    recipe TEXT NOT NULL, fingerprint TEXT NOT NULL, model_fingerprint TEXT NOT NULL DEFAULT '',
    calibration_fingerprint TEXT NOT NULL DEFAULT '', program_version TEXT NOT NULL, device TEXT NOT NULL,
    blas TEXT NOT NULL, threads INTEGER NOT NULL, host TEXT NOT NULL, process TEXT NOT NULL, target_ratio REAL,
    kept_ratio REAL, whole_model_ratio REAL, parameters INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    folder TEXT NOT NULL DEFAULT '', export_folder TEXT NOT NULL DEFAULT '',
    calibration_reused INTEGER NOT NULL DEFAULT 0, started TEXT NOT NULL, finished TEXT NOT NULL DEFAULT '',
    seconds REAL DEFAULT 0, error TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '');
CREATE INDEX runs_fingerprint ON runs (fingerprint);
CREATE TABLE linears (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL, position INTEGER,
    rank INTEGER NOT NULL, structure TEXT NOT NULL, kept_parameters INTEGER NOT NULL,
    dense_parameters INTEGER NOT NULL, predicted_loss REAL, measured_loss REAL, total_energy REAL,
    held_out_error REAL, seconds REAL, resumed INTEGER NOT NULL, notes TEXT NOT NULL, PRIMARY KEY (run, name));
CREATE TABLE spectra (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, linear TEXT NOT NULL, length INTEGER NOT NULL,
    singular_values BLOB NOT NULL, PRIMARY KEY (run, linear));
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
    text TEXT NOT NULL, text_rows INTEGER NOT NULL, window_length INTEGER NOT NULL, window_count INTEGER NOT NULL,
    window_order TEXT NOT NULL, seed INTEGER NOT NULL, bos_per_window INTEGER NOT NULL, windows INTEGER NOT NULL,
    predicted_tokens INTEGER NOT NULL, original_perplexity REAL, original_nll BLOB NOT NULL, original_seconds REAL,
    original_tokens_per_second REAL, compressed_perplexity REAL, compressed_nll BLOB NOT NULL, compressed_seconds REAL,
    compressed_tokens_per_second REAL);
CREATE INDEX evaluations_run ON evaluations (run);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, kind TEXT NOT NULL,
    linear TEXT NOT NULL, message TEXT NOT NULL, value REAL);
CREATE INDEX events_run ON events (run);
CREATE TABLE artefacts (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, kind TEXT NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX artefacts_run ON artefacts (run);
CREATE TABLE stages (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL,
    seconds REAL, PRIMARY KEY (run, position));
INSERT INTO runs (state, name, model, method, allocation, structure, sequential, recipe, fingerprint, program_version,
    device, blas, threads, host, process, target_ratio, kept_ratio, whole_model_ratio, parameters, bytes, started,
    finished, seconds)
VALUES ('finished', 'first', 'models/small', 'svd', 'uniform', 'factors', 'dense', '{"name": "first"}', 'abc', '0.1.0',
    'cpu', 'OpenBLAS', 2, 'processor', 'boot space 1 1', 0.8, 0.79, 0.85, 1000, 4000, '2026-01-01T00:00:00.000Z',
    '2026-01-01T00:00:10.000Z', 10.0);
INSERT INTO linears VALUES (1, 'model.layers.0.mlp.up_proj', 0, 7, 'factors', 70, 100, 1.5, 1.5, 9.0, NULL, 0.25, 0,
    '["kept"]');
INSERT INTO spectra VALUES (1, 'model.layers.0.mlp.up_proj', 2, X'00000000000000400000000000000840');
