-- What pages of the interface show. :user, :team and :all say who asks; what they may not see, and
-- what lies in the trash, is not there.

-- name: generations
-- Behind generations.select.
WHERE g.id IN (SELECT value FROM json_each(:ids))
  AND (:all OR g.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL

-- name: of_batches
-- Behind generations.select; the caller has checked the batches. The last of an index is its latest.
WHERE g.batch_id IN (SELECT value FROM json_each(:ids)) AND g.deleted_at IS NULL
ORDER BY b.seq DESC, g.idx, g.seq

-- name: batches
SELECT b.* FROM json_each(:ids) AS wanted
CROSS JOIN batch AS b ON b.id = wanted.value
CROSS JOIN topic AS t ON t.id = b.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE (:all OR b.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND b.deleted_at IS NULL AND t.deleted_at IS NULL AND p.deleted_at IS NULL

-- name: topics
SELECT t.*, c.asset_id AS cover_asset FROM json_each(:ids) AS wanted
CROSS JOIN topic AS t ON t.id = wanted.value
CROSS JOIN project AS p ON p.id = t.project_id
LEFT JOIN generation AS c ON c.id = t.cover_generation_id
WHERE (:all OR t.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND t.deleted_at IS NULL AND p.deleted_at IS NULL

-- name: projects
SELECT p.* FROM json_each(:ids) AS wanted
CROSS JOIN project AS p ON p.id = wanted.value
WHERE (:all OR p.owner = :user OR p.visibility = 'workspace'
       OR (p.visibility = 'team' AND p.team = :team))
  AND p.deleted_at IS NULL

-- name: assets
SELECT a.* FROM json_each(?) AS wanted CROSS JOIN asset AS a ON a.id = wanted.value

-- name: pictures
SELECT g.id AS generation_id, a.*
FROM json_each(:ids) AS wanted
CROSS JOIN generation AS g ON g.id = wanted.value
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
CROSS JOIN asset AS a ON a.id = g.asset_id
WHERE (:all OR g.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL

-- name: active_batches
-- What has not ended is little: one walk over all of it. A generation that a later one of its index
-- stands before is not shown, and does not make its batch active.
SELECT DISTINCT b.seq, b.id
FROM generation AS g INDEXED BY generation_status
CROSS JOIN batch AS b ON b.id = g.batch_id
WHERE g.status IN ('pending', 'queued', 'processing') AND g.topic_id = :topic
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at IS NULL
  )
ORDER BY b.seq DESC LIMIT :limit

-- name: older
SELECT * FROM batch INDEXED BY batch_topic
WHERE topic_id = :topic AND seq < :seq AND deleted_at IS NULL
ORDER BY seq DESC LIMIT :limit

-- name: newer
SELECT * FROM batch INDEXED BY batch_topic
WHERE topic_id = :topic AND seq > :seq AND deleted_at IS NULL
ORDER BY seq LIMIT :limit

-- name: walk_next
-- Pictures in the order of the feed (batches newest first, indices upwards) behind a place.
SELECT g.id
FROM batch AS b INDEXED BY batch_topic
CROSS JOIN generation AS g INDEXED BY generation_batch ON g.batch_id = b.id
WHERE b.topic_id = :topic AND b.seq <= :batch AND b.deleted_at IS NULL
  AND (b.seq < :batch OR g.idx > :idx)
  AND g.status = 'completed' AND g.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at IS NULL
  )
ORDER BY b.seq DESC, g.idx
LIMIT :limit

-- name: walk_previous
SELECT g.id
FROM batch AS b INDEXED BY batch_topic
CROSS JOIN generation AS g INDEXED BY generation_batch ON g.batch_id = b.id
WHERE b.topic_id = :topic AND b.seq >= :batch AND b.deleted_at IS NULL
  AND (b.seq > :batch OR g.idx < :idx)
  AND g.status = 'completed' AND g.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at IS NULL
  )
ORDER BY b.seq, g.idx DESC
LIMIT :limit

-- name: own_pictures
-- Behind generations.select. The plus keeps SQLite from walking everybody's completed ones.
WHERE g.owner = :user AND g.seq > :after AND +g.status = 'completed' AND g.deleted_at IS NULL
  AND b.deleted_at IS NULL AND t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at IS NULL
  )
ORDER BY g.seq LIMIT :limit

-- name: own_size
SELECT count(*) AS images, coalesce(sum(a.size_bytes), 0) AS bytes
FROM generation AS g INDEXED BY generation_owner
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
CROSS JOIN asset AS a ON a.id = g.asset_id
WHERE g.owner = :user AND g.status = 'completed' AND g.deleted_at IS NULL
  AND b.deleted_at IS NULL AND t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at IS NULL
  )

-- name: prompts
-- The newest of each; enough are looked at for a page of different ones.
SELECT prompt FROM (
    SELECT b.prompt, b.seq
    FROM batch AS b INDEXED BY batch_owner
    CROSS JOIN topic AS t ON t.id = b.topic_id
    CROSS JOIN project AS p ON p.id = t.project_id
    WHERE b.owner = :user AND b.operation <> 'import' AND b.deleted_at IS NULL
      AND t.deleted_at IS NULL AND p.deleted_at IS NULL
    ORDER BY b.seq DESC LIMIT :looked_at
)
GROUP BY prompt
ORDER BY max(seq) DESC
LIMIT :limit

-- name: durations
-- Of the newest pictures of a model; bounded also where another model made all of the newest.
SELECT width, height, finished_at - started_at AS duration_ms FROM (
    SELECT model, status, operation, width, height, started_at, finished_at
    FROM generation INDEXED BY generation_owner
    WHERE owner = :user
    ORDER BY seq DESC LIMIT :looked_at
)
WHERE model = :model AND status = 'completed' AND operation <> 'import'
  AND started_at IS NOT NULL AND finished_at >= started_at
LIMIT :limit

-- name: balances
-- With the last booking of each unit.
SELECT b.unit, b.amount_micro, l.amount_micro AS change_micro, l.id AS transaction_id,
       coalesce(nullif(l.reason, ''), l.kind, '') AS reason
FROM balance AS b
LEFT JOIN ledger AS l ON l.seq = (
    SELECT max(seq) FROM ledger INDEXED BY ledger_account
    WHERE account = b.account AND unit = b.unit
)
WHERE b.account = ?
ORDER BY b.unit

-- name: active_of_topic
SELECT count(*) FROM generation INDEXED BY generation_status
WHERE status IN ('pending', 'queued', 'processing') AND topic_id = ? AND deleted_at IS NULL
