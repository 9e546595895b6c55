-- name: projects
SELECT * FROM project
WHERE deleted_at IS NULL
  AND (:all OR owner = :user OR visibility = 'workspace' OR (visibility = 'team' AND team = :team))
ORDER BY seq

-- name: visible
-- Own ones and shared ones, each by its index (whose condition stands here word by word).
SELECT t.* FROM (
    SELECT seq FROM topic WHERE owner = :user
    UNION
    SELECT seq FROM topic INDEXED BY topic_shared
    WHERE visibility <> 'private' AND visibility = 'workspace'
    UNION
    SELECT seq FROM topic INDEXED BY topic_shared
    WHERE visibility <> 'private' AND visibility = 'team' AND team = :team
) AS mine
CROSS JOIN topic AS t ON t.seq = mine.seq
CROSS JOIN project AS p ON p.id = t.project_id
WHERE t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND (t.updated_at, t.seq) < (:updated_at, :seq)
ORDER BY t.updated_at DESC, t.seq DESC
LIMIT :limit

-- name: all
SELECT t.* FROM topic AS t JOIN project AS p ON p.id = t.project_id
WHERE t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND (t.updated_at, t.seq) < (:updated_at, :seq)
ORDER BY t.updated_at DESC, t.seq DESC
LIMIT :limit

-- name: of_project
SELECT t.* FROM topic AS t INDEXED BY topic_project JOIN project AS p ON p.id = t.project_id
WHERE t.project_id = :project AND t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND (:all OR t.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND (t.updated_at, t.seq) < (:updated_at, :seq)
ORDER BY t.updated_at DESC, t.seq DESC
LIMIT :limit

-- name: counts
-- Triggers keep `images`: the latest live generation of each index counts, if it is completed.
SELECT t.id AS topic_id, t.images
FROM json_each(:ids) AS wanted
CROSS JOIN topic AS t ON t.id = wanted.value
WHERE (:all OR t.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))

-- name: covers
SELECT t.id, g.asset_id
FROM json_each(:ids) AS wanted
CROSS JOIN topic AS t ON t.id = wanted.value
CROSS JOIN generation AS g ON g.id = t.cover_generation_id
WHERE (:all OR t.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.asset_id IS NOT NULL

-- name: cover_candidate
-- gone_at: deleted by itself or with its batch; hidden_at: or with its topic or project.
SELECT g.topic_id, g.status, coalesce(g.deleted_at, b.deleted_at) AS gone_at,
       coalesce(g.deleted_at, b.deleted_at, t.deleted_at, p.deleted_at) AS hidden_at
FROM generation AS g
JOIN batch AS b ON b.id = g.batch_id
JOIN topic AS t ON t.id = g.topic_id
JOIN project AS p ON p.id = t.project_id
WHERE g.id = ?

-- name: first_success
SELECT g.id
FROM generation AS g INDEXED BY generation_topic
CROSS JOIN batch AS b ON b.id = g.batch_id
WHERE g.topic_id = ? AND g.status = 'completed'
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL
ORDER BY g.seq
LIMIT 1
