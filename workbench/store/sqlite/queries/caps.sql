-- What counts is what completed pictures cost, and what is reserved for those on their way.

-- name: of
SELECT * FROM cap
WHERE unit = :unit AND (
    scope = 'everybody'
    OR (scope = 'user' AND subject = :user)
    OR (scope = 'topic' AND subject = :topic)
)

-- name: all
SELECT * FROM cap ORDER BY scope, subject, unit, period

-- name: put
INSERT INTO cap (scope, subject, unit, period, amount_micro, set_by, created_at)
VALUES (:scope, :subject, :unit, :period, :amount_micro, :set_by, :now)
ON CONFLICT (scope, subject, unit, period)
DO UPDATE SET amount_micro = excluded.amount_micro, set_by = excluded.set_by,
              created_at = excluded.created_at

-- name: remove
DELETE FROM cap WHERE scope = ? AND subject = ? AND unit = ? AND period = ?

-- name: everybody_total
SELECT -coalesce(sum(amount_micro), 0) FROM ledger WHERE unit = :unit AND kind <> 'grant'

-- name: user_total
SELECT -coalesce(sum(amount_micro), 0) FROM ledger
WHERE account = :user AND unit = :unit AND kind <> 'grant'

-- name: topic_total
SELECT -coalesce(sum(l.amount_micro), 0)
FROM generation AS g CROSS JOIN ledger AS l ON l.generation_id = g.id
WHERE g.topic_id = :topic AND l.unit = :unit

-- name: day
-- Of a picture that was asked for before that day, what comes back now belongs to its own day;
-- what was reserved more since, because it was changed while it waited, does not.
SELECT -coalesce(sum(l.amount_micro), 0) FROM ledger AS l INDEXED BY ledger_time
WHERE l.unit = :unit AND l.created_at >= :since AND l.kind <> 'grant'
  AND (:user IS NULL OR l.account = :user)
  AND (:topic IS NULL OR l.generation_id IN (SELECT id FROM generation WHERE topic_id = :topic))
  AND (l.kind = 'reserve' OR NOT EXISTS (
    SELECT 1 FROM ledger AS earlier
    WHERE earlier.generation_id = l.generation_id
      AND earlier.kind = 'reserve' AND earlier.created_at < :since
  ))

-- name: spend
-- What was spent and reserved, by something; {key} comes from a closed list. Bookings outlive
-- pictures that were deleted for good.
SELECT {key} AS what, l.unit AS unit, -sum(l.amount_micro) AS spent_micro,
       count(DISTINCT CASE WHEN l.kind = 'settle' THEN l.generation_id END) AS images,
       sum(l.kind = 'settle' AND l.reason = :unknown) AS not_known
FROM ledger AS l
LEFT JOIN generation AS g ON g.id = l.generation_id
LEFT JOIN topic AS t ON t.id = g.topic_id
WHERE l.kind <> 'grant' AND (:everybody OR l.account = :user) AND l.created_at >= :since
GROUP BY 1, 2
ORDER BY 1, 2
