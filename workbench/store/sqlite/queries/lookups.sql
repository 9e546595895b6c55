-- name: batch_counts
-- With one max(), bare columns are of the row that has it.
SELECT status, count(*) AS images FROM (
    SELECT status, max(seq) FROM generation INDEXED BY generation_batch
    WHERE batch_id = ? AND deleted_at IS NULL
    GROUP BY idx
) GROUP BY status

-- name: batch_open
SELECT count(*) FROM (
    SELECT status, detail_key, max(seq) FROM generation INDEXED BY generation_batch
    WHERE batch_id = ? AND deleted_at IS NULL
    GROUP BY idx
)
WHERE status IN ('pending', 'queued')
   OR (status = 'processing' AND detail_key IS NOT 'outcome_unknown')

-- name: active_count
SELECT count(*) FROM generation INDEXED BY generation_status
WHERE status IN ('pending', 'queued', 'processing') AND owner = :user AND deleted_at IS NULL
  AND detail_key IS NOT 'outcome_unknown' AND (:topic IS NULL OR topic_id = :topic)

-- name: inputs
SELECT i.* FROM json_each(?) AS wanted
CROSS JOIN input AS i ON i.generation_id = wanted.value
ORDER BY i.generation_id, i.role, i.position

-- name: attempts
SELECT a.* FROM generation AS g
CROSS JOIN attempt AS a INDEXED BY attempt_job ON a.job_id = g.job_id
WHERE g.id = :id AND (a.generation_id IS NULL OR a.generation_id = g.id)
ORDER BY a.seq

-- name: attempts_of
SELECT a.* FROM attempt AS a CROSS JOIN job AS j ON j.id = a.job_id
WHERE :all OR j.owner = :user
ORDER BY a.seq DESC
LIMIT :limit

-- name: asset_visible
SELECT EXISTS (
    SELECT 1 FROM generation AS g JOIN topic AS t ON t.id = g.topic_id
    WHERE g.asset_id = :asset
      AND (g.owner = :user OR t.visibility = 'workspace'
           OR (t.visibility = 'team' AND t.team = :team))
) OR EXISTS (
    SELECT 1 FROM input AS i
    JOIN generation AS g ON g.id = i.generation_id
    JOIN topic AS t ON t.id = g.topic_id
    WHERE i.asset_id = :asset
      AND (g.owner = :user OR t.visibility = 'workspace'
           OR (t.visibility = 'team' AND t.team = :team))
)

-- name: asset_generations
-- In braces: the columns of generations.select, filled in by lookups.py.
{select}, k.of_asset, k.role
FROM (
    SELECT wanted.value AS of_asset, 'result' AS role, r.seq
    FROM json_each(:assets) AS wanted
    CROSS JOIN generation AS r INDEXED BY generation_asset ON r.asset_id = wanted.value
    UNION ALL
    SELECT wanted.value, i.role, s.seq
    FROM json_each(:assets) AS wanted
    CROSS JOIN input AS i INDEXED BY input_asset ON i.asset_id = wanted.value
    CROSS JOIN generation AS s ON s.id = i.generation_id
) AS k
CROSS JOIN generation AS g ON g.seq = k.seq
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE (:all OR g.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL
ORDER BY g.seq DESC

-- name: known_assets
SELECT a.id FROM json_each(?) AS wanted CROSS JOIN asset AS a ON a.id = wanted.value
