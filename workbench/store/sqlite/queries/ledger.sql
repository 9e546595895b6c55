-- name: balance
SELECT amount_micro FROM balance WHERE account = ? AND unit = ?

-- name: all_balances
SELECT account, unit, amount_micro FROM balance

-- name: balances
SELECT unit, amount_micro FROM balance WHERE account = ? ORDER BY unit

-- name: take
-- The condition is what nobody can overspend.
UPDATE balance SET amount_micro = amount_micro - ?, rev = rev + 1
WHERE account = ? AND unit = ? AND amount_micro >= ?

-- name: add
INSERT INTO balance (account, unit, amount_micro) VALUES (?, ?, ?)
ON CONFLICT (account, unit)
DO UPDATE SET amount_micro = amount_micro + excluded.amount_micro, rev = rev + 1

-- name: last_chain
SELECT chain FROM ledger ORDER BY seq DESC LIMIT 1

-- name: insert
INSERT INTO ledger (id, account, unit, kind, amount_micro, generation_id, attempt_key, reason,
                    rate_version, created_at, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING *

-- name: page_all
SELECT * FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?

-- name: page_account
SELECT * FROM ledger INDEXED BY ledger_account
WHERE account = ? AND unit = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: insert_price
INSERT INTO price (model, version, unit, amount_micro, set_by, created_at)
VALUES (:model, 1 + coalesce((SELECT max(version) FROM price WHERE model = :model), 0),
        :unit, :amount_micro, :set_by, :now)
RETURNING version

-- name: prices
-- The highest version of each model is in force (bare columns follow max()).
SELECT model, unit, amount_micro, max(version) AS version FROM price GROUP BY model
