-- Times: integer UTC milliseconds. Ids: 26-character ULIDs (assets: SHA-256). Amounts: micro-units.
-- Every table whose rows are shown carries rev; each change of a row raises it and writes a change.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,          -- workspace_id, feed_id, feed_floor, created_at, ...
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE preference (            -- small durable settings of a user ('' = of the workspace)
    owner TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,             -- JSON
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    title      TEXT NOT NULL,
    owner      TEXT NOT NULL,
    team       TEXT,
    visibility TEXT NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'team', 'workspace')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    deleted_by TEXT,
    rev        INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX project_owner ON project (owner, seq);

CREATE TABLE topic (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    project_id   TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    title        TEXT NOT NULL,
    title_source TEXT NOT NULL DEFAULT 'none' CHECK (title_source IN ('none', 'prompt', 'model', 'user')),
    cover_generation_id TEXT,
    cover_chosen INTEGER NOT NULL DEFAULT 0,   -- 1: a person set the cover
    owner        TEXT NOT NULL,
    team         TEXT,
    visibility   TEXT NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'team', 'workspace')),
    meta         TEXT NOT NULL DEFAULT '{}',
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER,
    deleted_by   TEXT,
    rev          INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX topic_project ON topic (project_id, seq);
CREATE INDEX topic_owner ON topic (owner, seq);
CREATE INDEX topic_shared ON topic (visibility, team) WHERE visibility <> 'private';
CREATE INDEX topic_trash ON topic (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE batch (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    topic_id        TEXT NOT NULL REFERENCES topic (id) ON DELETE CASCADE,
    operation       TEXT NOT NULL,
    source          TEXT NOT NULL,             -- api, widget, sweep, map, chat, upload, folder, bundle
    prompt          TEXT NOT NULL,             -- what the user wrote
    negative_prompt TEXT,
    provider        TEXT,
    model           TEXT,
    width           INTEGER,
    height          INTEGER,
    n               INTEGER NOT NULL,
    seed            INTEGER,
    params          TEXT NOT NULL DEFAULT '{}',
    priority        INTEGER NOT NULL DEFAULT 0,
    client_key      TEXT,
    provenance      TEXT NOT NULL DEFAULT '{}',
    owner           TEXT NOT NULL,
    team            TEXT,
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER,
    deleted_by      TEXT,
    rev             INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX batch_topic ON batch (topic_id, seq);
CREATE UNIQUE INDEX batch_client_key ON batch (owner, client_key) WHERE client_key IS NOT NULL;
CREATE INDEX batch_trash ON batch (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE job (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    batch_id   TEXT NOT NULL REFERENCES batch (id) ON DELETE CASCADE,
    provider   TEXT NOT NULL,
    model      TEXT NOT NULL,
    lane       TEXT NOT NULL,                  -- jobs of one lane share a limit (default: the provider)
    owner      TEXT NOT NULL,
    priority   INTEGER NOT NULL DEFAULT 0,
    state      TEXT NOT NULL CHECK (state IN ('held', 'queued', 'running', 'unknown', 'ended')),
    hold       TEXT CHECK (hold IN ('paused', 'retry', 'upload')),
    run_at     INTEGER,                        -- for hold = retry: not before this time
    attempt    INTEGER NOT NULL DEFAULT 0,     -- claims so far; part of the fence
    tries      INTEGER NOT NULL DEFAULT 0,     -- submissions that ended in a retryable failure
    deaths     INTEGER NOT NULL DEFAULT 0,     -- workers that died in it
    runner_id  TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    claimed_at INTEGER,
    ended_at   INTEGER
) STRICT;
CREATE INDEX job_claim ON job (lane, owner, priority DESC, seq) WHERE state = 'queued';
CREATE INDEX job_running ON job (runner_id, lane, owner) WHERE state = 'running';
CREATE INDEX job_due ON job (run_at) WHERE state = 'held' AND hold = 'retry';
CREATE INDEX job_held ON job (owner, hold) WHERE state = 'held';
CREATE INDEX job_batch ON job (batch_id);

CREATE TABLE asset (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,          -- SHA-256 of the bytes, hex
    kind        TEXT NOT NULL DEFAULT 'image',
    mime        TEXT NOT NULL,
    width       INTEGER NOT NULL,
    height      INTEGER NOT NULL,
    size_bytes  INTEGER NOT NULL,
    frames      INTEGER NOT NULL DEFAULT 1,
    duration_ms INTEGER,
    source      TEXT NOT NULL CHECK (source IN ('generation', 'upload', 'folder')),
    created_at  INTEGER NOT NULL,
    rev         INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE variant (                          -- thumbnails and other derived files
    asset_id   TEXT NOT NULL REFERENCES asset (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,                   -- thumbnail
    size       INTEGER NOT NULL,                -- pixels of the longer side
    mime       TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (asset_id, role, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation (
    seq          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    batch_id     TEXT NOT NULL REFERENCES batch (id) ON DELETE CASCADE,
    topic_id     TEXT NOT NULL REFERENCES topic (id) ON DELETE CASCADE,
    job_id       TEXT REFERENCES job (id) ON DELETE SET NULL,
    idx          INTEGER NOT NULL,
    operation    TEXT NOT NULL,
    source       TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('pending', 'queued', 'processing', 'completed', 'failed', 'cancelled')),
    detail_key   TEXT,
    detail_args  TEXT NOT NULL DEFAULT '{}',
    progress     REAL NOT NULL DEFAULT 0 CHECK (progress >= 0 AND progress <= 1),
    step         INTEGER,
    total_steps  INTEGER,
    attempt      INTEGER NOT NULL DEFAULT 0,
    preview      INTEGER NOT NULL DEFAULT 0,
    prompt_sent  TEXT,                          -- NULL: exactly the batch's prompt
    provider     TEXT,
    model        TEXT,
    width        INTEGER,
    height       INTEGER,
    seed         INTEGER,
    params       TEXT,                          -- NULL: the batch's
    asset_id     TEXT REFERENCES asset (id),
    error_kind   TEXT,
    error_key    TEXT,
    error_args   TEXT NOT NULL DEFAULT '{}',
    charged      INTEGER NOT NULL DEFAULT 0,
    reserved_micro INTEGER NOT NULL DEFAULT 0,  -- what is reserved in the ledger right now
    cost_micro   INTEGER NOT NULL DEFAULT 0,
    unit         TEXT,
    rate_version INTEGER,
    retry_of     TEXT,
    cached_from  TEXT,
    owner        TEXT NOT NULL,
    team         TEXT,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    deleted_at   INTEGER,
    deleted_by   TEXT,
    rev          INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX generation_batch ON generation (batch_id, idx, seq);
CREATE INDEX generation_topic ON generation (topic_id, seq);
CREATE INDEX generation_owner ON generation (owner, seq);
CREATE INDEX generation_status ON generation (status, seq);
CREATE INDEX generation_without_image ON generation (owner, status, seq) WHERE status IN ('failed', 'cancelled');
CREATE INDEX generation_job ON generation (job_id);
CREATE INDEX generation_asset ON generation (asset_id, seq) WHERE asset_id IS NOT NULL;
CREATE INDEX generation_retry ON generation (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX generation_trash ON generation (deleted_at) WHERE deleted_at IS NOT NULL;

-- Key columns first: integrity_check of SQLite 3.40 reports NULLs that are not there in a table
-- WITHOUT ROWID that has another column between them.
CREATE TABLE input (
    generation_id TEXT NOT NULL REFERENCES generation (id) ON DELETE CASCADE,
    role          TEXT NOT NULL CHECK (role IN ('reference', 'source', 'mask')),
    position      INTEGER NOT NULL,
    asset_id      TEXT NOT NULL REFERENCES asset (id),
    PRIMARY KEY (generation_id, role, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX input_asset ON input (asset_id);

CREATE TABLE attempt (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    job_id        TEXT NOT NULL,
    generation_id TEXT,
    number        INTEGER NOT NULL,
    provider      TEXT NOT NULL,
    model         TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    request_sha   TEXT,
    state         TEXT NOT NULL CHECK (state IN ('intent', 'submitted', 'done', 'failed', 'cancelled', 'unknown', 'abandoned')),
    remote_id     TEXT,
    remote        TEXT NOT NULL DEFAULT '{}',
    resumable     INTEGER NOT NULL DEFAULT 0,
    runner_id     TEXT,
    started_at    INTEGER NOT NULL,
    sent_at       INTEGER,
    finished_at   INTEGER,
    cost_micro    INTEGER,
    unit          TEXT,
    usage         TEXT NOT NULL DEFAULT '{}',
    error_kind    TEXT,
    error_message TEXT
) STRICT;
CREATE INDEX attempt_job ON attempt (job_id, seq);
CREATE UNIQUE INDEX attempt_remote ON attempt (provider, remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE runner (
    id         TEXT PRIMARY KEY,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    title      TEXT NOT NULL,
    runs_jobs  INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE judgement (
    owner         TEXT NOT NULL,
    generation_id TEXT NOT NULL REFERENCES generation (id) ON DELETE CASCADE,
    rating        INTEGER NOT NULL DEFAULT 0 CHECK (rating BETWEEN 0 AND 5),
    favourite     INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1)),
    tags          TEXT NOT NULL DEFAULT '[]',   -- sorted JSON list
    note          TEXT NOT NULL DEFAULT '',
    updated_at    INTEGER NOT NULL,
    rev           INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (generation_id, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE price (                            -- per image, by model; the highest version is in force
    model        TEXT NOT NULL,
    version      INTEGER NOT NULL,
    unit         TEXT NOT NULL,
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    set_by       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (                           -- append-only; balance = sum
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    account       TEXT NOT NULL,
    unit          TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('grant', 'reserve', 'settle', 'release', 'refund')),
    amount_micro  INTEGER NOT NULL,
    generation_id TEXT,                         -- no foreign key: bookings outlive purged pictures
    attempt_key   TEXT,                         -- which reservation: unique with kind
    reason        TEXT NOT NULL DEFAULT '',
    rate_version  INTEGER,
    created_at    INTEGER NOT NULL,
    chain         TEXT NOT NULL                 -- SHA-256 over the previous chain and this row
) STRICT;
CREATE INDEX ledger_account ON ledger (account, unit, seq);
CREATE INDEX ledger_generation ON ledger (generation_id) WHERE generation_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_once ON ledger (attempt_key, kind) WHERE attempt_key IS NOT NULL;
CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE balance (                          -- sum of the ledger, kept in the same transactions
    account      TEXT NOT NULL,
    unit         TEXT NOT NULL,
    amount_micro INTEGER NOT NULL,
    rev          INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (account, unit)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    topic_id      TEXT NOT NULL REFERENCES topic (id) ON DELETE CASCADE,
    role          TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
    text          TEXT NOT NULL,
    batch_id      TEXT REFERENCES batch (id) ON DELETE SET NULL,
    generation_id TEXT REFERENCES generation (id) ON DELETE SET NULL,
    asset_id      TEXT REFERENCES asset (id),
    meta          TEXT NOT NULL DEFAULT '{}',
    owner         TEXT NOT NULL,
    team          TEXT,
    created_at    INTEGER NOT NULL,
    deleted_at    INTEGER,
    deleted_by    TEXT,
    rev           INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX message_topic ON message (topic_id, seq);
CREATE INDEX message_asset ON message (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX message_batch ON message (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX message_generation ON message (generation_id) WHERE generation_id IS NOT NULL;

CREATE TABLE collection (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    title      TEXT NOT NULL,
    frozen_at  INTEGER,
    hash       TEXT,
    owner      TEXT NOT NULL,
    team       TEXT,
    visibility TEXT NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'team', 'workspace')),
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    deleted_by TEXT,
    rev        INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE collection_item (
    collection_id TEXT NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    generation_id TEXT REFERENCES generation (id) ON DELETE SET NULL,
    asset_id      TEXT NOT NULL REFERENCES asset (id),
    PRIMARY KEY (collection_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX collection_item_asset ON collection_item (asset_id);
CREATE INDEX collection_item_generation ON collection_item (generation_id);

CREATE TABLE folder (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    topic_id   TEXT NOT NULL REFERENCES topic (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    mode       TEXT NOT NULL CHECK (mode IN ('watch', 'export', 'two-way')),
    marker     TEXT,
    device     INTEGER,
    status     TEXT NOT NULL DEFAULT 'paused',
    owner      TEXT NOT NULL,
    team       TEXT,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    deleted_by TEXT,
    rev        INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX folder_topic ON folder (topic_id);

CREATE TABLE folder_entry (                     -- journal: one row per file seen
    seq          INTEGER PRIMARY KEY,
    folder_id    TEXT NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
    path         BLOB NOT NULL,                 -- bytes, relative to the folder
    display_name TEXT NOT NULL,
    dev          INTEGER,
    ino          INTEGER,
    size_bytes   INTEGER,
    mtime_ns     INTEGER,
    ctime_ns     INTEGER,
    sha256       TEXT,
    asset_id     TEXT REFERENCES asset (id),
    generation_id TEXT REFERENCES generation (id) ON DELETE SET NULL,
    state        TEXT NOT NULL,
    last_seen_scan INTEGER,
    tries        INTEGER NOT NULL DEFAULT 0,
    next_try_at  INTEGER,
    error_code   TEXT,
    UNIQUE (folder_id, path)
) STRICT;
CREATE INDEX folder_entry_sha ON folder_entry (folder_id, sha256);
CREATE INDEX folder_entry_asset ON folder_entry (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX folder_entry_generation ON folder_entry (generation_id) WHERE generation_id IS NOT NULL;

CREATE TABLE change (                           -- AUTOINCREMENT: a seq is never used again
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    entity     TEXT NOT NULL,
    entity_id  TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('insert', 'update', 'delete')),
    rev        INTEGER NOT NULL,
    data       TEXT NOT NULL,                   -- JSON of the changed fields, each ≤ 1 KiB
    omitted    TEXT,                            -- JSON list of the names of longer fields
    topic_id   TEXT,
    owner      TEXT,
    team       TEXT,
    visibility TEXT NOT NULL DEFAULT 'private',
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX change_entity ON change (entity, entity_id, seq);
CREATE INDEX change_at ON change (at);

CREATE TABLE log (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    level     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    entity    TEXT,
    entity_id TEXT,
    text      TEXT NOT NULL,
    data      TEXT NOT NULL DEFAULT '{}',
    owner     TEXT
) STRICT;

CREATE VIRTUAL TABLE prompt_search USING fts5 (
    prompt, content='batch', content_rowid='seq', tokenize='unicode61', prefix='2 3'
);
CREATE TRIGGER prompt_search_insert AFTER INSERT ON batch BEGIN
    INSERT INTO prompt_search (rowid, prompt) VALUES (new.seq, new.prompt);
END;
CREATE TRIGGER prompt_search_delete AFTER DELETE ON batch BEGIN
    INSERT INTO prompt_search (prompt_search, rowid, prompt) VALUES ('delete', old.seq, old.prompt);
END;
CREATE TRIGGER prompt_search_update AFTER UPDATE OF prompt ON batch WHEN old.prompt IS NOT new.prompt BEGIN
    INSERT INTO prompt_search (prompt_search, rowid, prompt) VALUES ('delete', old.seq, old.prompt);
    INSERT INTO prompt_search (rowid, prompt) VALUES (new.seq, new.prompt);
END;
