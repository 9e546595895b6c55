-- Limits on what may be spent, by people: of everybody, of one user, in one topic.
CREATE TABLE cap (
    scope        TEXT NOT NULL CHECK (scope IN ('everybody', 'user', 'topic')),
    subject      TEXT NOT NULL,                 -- '' | user | topic id
    unit         TEXT NOT NULL,
    period       TEXT NOT NULL CHECK (period IN ('day', 'total')),
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    set_by       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, unit, period)
) STRICT, WITHOUT ROWID;

-- What was spent since a time.
CREATE INDEX ledger_time ON ledger (unit, created_at);
